"""What the mappings of all APIs share: accounts, references, amounts, cards, links and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import msgspec

from farebox.dialects.dialect import Answer, Call, NoBody
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.tables import BRANDS, card_type
from farebox.domain.access import Mode
from farebox.domain.cards import Card, contains_pan, parse_cvc, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import id_of, uuid_of
from farebox.domain.instruments import BillingAddress, InstrumentSummary
from farebox.domain.money import Money
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands

T = TypeVar("T")
R = TypeVar("R")
AnyCall = Call[Any, Any]
Json = dict[str, Any]

AMOUNT_MAX = 99_999_999_999
REFERENCE_LENGTH_MAX = 255
REFERENCE_KEPT = timedelta(days=90)
LIST_LIMIT_MAX = 50
LIST_OFFSET_MAX = 1_000_000
LIST_DAYS = timedelta(days=30)
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


# --- accounts, references, amounts -----------------------------------------------------------------


def on_account(
    read: Callable[[Call[T, Any]], commands.Command[R]],
) -> Callable[[AnyCall], commands.Command[R]]:
    """Let a reader act for the account in the address, if it is the caller's."""

    def checked(call: AnyCall) -> commands.Command[R]:
        account = call.path["account"]
        command = read(call)
        if account == call.principal.attribute("account_id"):
            return command
        return commands.Then(commands.FindAccount("paysafe", account), lambda _: command)

    return checked


def currency_of(call: AnyCall) -> str:
    """Give the currency in which the account takes cards."""
    return call.principal.attribute("currency") or "USD"


def reference(merchant_ref_num: str | None) -> str:
    """Check the merchant's reference.

    Raises:
        WireRefusal: 5042.
    """
    if not merchant_ref_num or len(merchant_ref_num) > REFERENCE_LENGTH_MAX:
        text = "may not be empty" if not merchant_ref_num else "size must be between 1 and 255"
        raise refusal("5042", "merchantRefNum", text)
    return text_without_number(merchant_ref_num, "merchantRefNum", "5042")


def text_without_number(text: str, field: str, code: str = "5068") -> str:
    """Refuse a text that holds a card number (SEC-01).

    Raises:
        WireRefusal: `code`.
    """
    if contains_pan(text):
        raise refusal(code, field, "must not hold a card number")
    return text


def unique(call: AnyCall, kind: str) -> commands.UniqueReference | None:
    """Ask for the reference to be new, unless the request says otherwise."""
    if not call.body.dupCheck:
        return None
    scope = f"{call.path['account']} {kind}"
    return commands.UniqueReference(scope, reference(call.body.merchantRefNum), REFERENCE_KEPT)


def amount_minor(amount: int | None) -> int:
    """Check an amount that must be there.

    Raises:
        InvalidRequest: 5068 when it is missing, 5003 when it is out of bounds.
    """
    if amount is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="amount")
    if not 1 <= amount <= AMOUNT_MAX:
        raise refusal("5003", "amount", f"must be between 1 and {AMOUNT_MAX}")
    return amount


def optional_amount(amount: int | None) -> int | None:
    """Check an amount that may be left out for all that is left."""
    return None if amount is None else amount_minor(amount)


def money(call: AnyCall, currency: str | None = None) -> Money:
    """Read the amount in the account's currency."""
    return Money(amount_minor(call.body.amount), currency or currency_of(call))


def our_id(prefix: str, uuid: str, code: str = "5269") -> str:
    """Read an id of an address.

    Raises:
        WireRefusal: `code` for what is none.
    """
    found = id_of(prefix, uuid) if len(uuid) == len("00000000-0000-0000-0000-000000000000") else None
    if found is None:
        raise refusal(code)
    return found


def expect_status(call: Call[wire.StatusIn, Any], *allowed: str) -> str:
    """Read the only change that a transaction takes."""
    if call.body.status not in allowed:
        raise refusal("5068", "status", f"must be one of {', '.join(allowed)}")
    return call.body.status


# --- cards -----------------------------------------------------------------------------------------


def read_card(
    number: Any, expiry: wire.Expiry | None, cvv: Any = None, holder: str | None = None, *, code: str = "3002"
) -> Card:
    """Read a card in the clear.

    Raises:
        InvalidRequest: 5068 with the field at fault; `code` for a brand that Paysafe does not take.
    """
    if expiry is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="card.cardExpiry")
    pan = parse_pan(number)
    if pan.brand not in BRANDS:
        raise refusal(code)
    return Card(
        pan=pan,
        expiry=parse_expiry(expiry.month, expiry.year),
        holder_name=holder,
        cvc=None if cvv is None else parse_cvc(cvv, brand=pan.brand),
    )


def card_of(summary: InstrumentSummary) -> Json:
    """Show the card of a transaction."""
    return {
        "type": card_type(summary) or "VI",
        "lastDigits": summary.last_four,
        "cardExpiry": {"month": summary.exp_month, "year": summary.exp_year},
    }


def billing_address(address: wire.Address | wire.VaultAddress | None) -> BillingAddress | None:
    """Read an address into our words."""
    if address is None:
        return None
    return BillingAddress(
        line1=address.street,
        line2=address.street2,
        city=address.city,
        state=address.state,
        postal_code=address.zip,
        country=address.country,
    )


def address_of(address: BillingAddress | None) -> Json | None:
    """Show an address."""
    if address is None:
        return None
    return present(
        street=address.line1,
        street2=address.line2,
        city=address.city,
        state=address.state,
        country=address.country,
        zip=address.postal_code,
    )


def is_test(call: AnyCall) -> bool:
    """Tell whether no money can move."""
    return call.principal.tenant.mode is Mode.TEST


# --- writing ---------------------------------------------------------------------------------------


def present(**members: Any) -> Json:
    """Leave out what is absent: a `null` is never written."""
    return {name: value for name, value in members.items() if value is not None}


def plain(part: Any) -> Any:
    """Write a part of a request as it came, without what was not given."""
    return None if part is None else msgspec.to_builtins(part)


def masked(text: str, shown: int) -> str:
    """Star all but the last characters."""
    return "*" * max(len(text) - shown, 0) + text[-shown:]


def instant(at: datetime) -> str:
    """Write an instant to the second."""
    return at.astimezone(UTC).strftime(_INSTANT)


def link(call: AnyCall, rel: str, path: str) -> Json:
    """Link to something by its path below the base address."""
    return {"rel": rel, "href": f"{call.base_url}/{path}"}


def account_link(call: AnyCall, api: str, collection: str, id_: str, rel: str = "self") -> Json:
    """Link to a transaction of the account."""
    return link(call, rel, f"{api}/accounts/{call.path['account']}/{collection}/{uuid_of(id_)}")


def facts_of(holder: Any, key: str) -> Json:
    """Give the facts that a mapping of ours wrote, or none for what another dialect made."""
    found = holder.facts.get(key)
    return dict(cast("Mapping[str, Any]", found)) if isinstance(found, Mapping) else {}


# --- lists -----------------------------------------------------------------------------------------


def read_search(call: Call[NoBody, wire.Search], families: tuple[str, ...]) -> commands.ListOperations:
    """Read which transactions to list.

    Raises:
        WireRefusal: 5042 without a reference, 5068 for dates and paging.
    """
    query = call.query
    if not 1 <= query.limit <= LIST_LIMIT_MAX:
        raise refusal("5068", "limit", f"must be between 1 and {LIST_LIMIT_MAX}")
    if not 0 <= query.offset <= LIST_OFFSET_MAX:
        raise refusal("5068", "offset", f"must be between 0 and {LIST_OFFSET_MAX}")
    until = _read_instant(query.endDate, "endDate") or call.now
    since = _read_instant(query.startDate, "startDate") or until - LIST_DAYS
    return commands.ListOperations(
        PageRequest(
            limit=query.limit,
            offset=query.offset,
            since=since,
            # The second that is named is still in.
            until=until + timedelta(seconds=1),
            filters={"family": families, "reference": reference(query.merchantRefNum)},
        )
    )


def _read_instant(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        raise refusal("5068", field, "must have the form YYYY-MM-DDTHH:MM:SSZ") from None


def write_list(
    key: str, write: Callable[[commands.PaymentView, AnyCall], Json]
) -> Callable[[Page[commands.PaymentView], Call[NoBody, wire.Search]], Answer]:
    """Make the writer of a list under `key`."""

    def written(page: Page[commands.PaymentView], call: Call[NoBody, wire.Search]) -> Answer:
        query = call.query
        links = [_page_link(call, "self", query.offset)]
        if page.has_more:
            links.append(_page_link(call, "next", query.offset + query.limit))
        if query.offset:
            links.append(_page_link(call, "previous", max(query.offset - query.limit, 0)))
        return Answer({key: [write(view, call) for view in page.items], "links": links})

    return written


def _page_link(call: Call[NoBody, wire.Search], rel: str, offset: int) -> Json:
    query = call.query
    parameters = present(
        merchantRefNum=query.merchantRefNum,
        limit=query.limit,
        offset=offset,
        startDate=query.startDate,
        endDate=query.endDate,
    )
    return {"rel": rel, "href": f"{call.url.rstrip('/')}?{urlencode(parameters)}"}
