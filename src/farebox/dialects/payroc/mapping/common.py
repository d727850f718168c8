"""What the families' readers and writers share."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, TypeVar, cast

import msgspec

from farebox.dialects.dialect import Answer, Call, WireRefusal
from farebox.dialects.payroc.wire import common as wire
from farebox.domain.errors import ErrorCode, FareboxError, InvalidRequest, NotFound
from farebox.domain.ids import IdRange, range_of_short_id
from farebox.services.commands import Attempt, Command, FindAccount, Then

R = TypeVar("R")
AnyCall = Call[Any, Any]

_NATIVE_NAMES = {
    "card.number": "cardNumber",
    "card.exp_month": "expiryDate",
    "card.exp_year": "expiryDate",
    "card.cvc": "cvv",
    "card.holder_name": "cardholderName",
    "bank_account.account_number": "accountNumber",
    "bank_account.routing_number": "routingNumber",
    "bank_account.institution_number": "institutionNumber",
    "bank_account.transit_number": "transitNumber",
    "bank_account.account_type": "accountType",
    "bank_account.sec_code": "secCode",
    "bank_account.holder_name": "nameOnAccount",
    "amount_minor": "amount",
    "track": "trackData",
    "chip": "iccData",
}


@contextmanager
def at(place: str) -> Generator[None]:
    """Say where in the request it is what a rule of the domain refuses inside."""
    try:
        yield
    except WireRefusal:
        raise
    except InvalidRequest as refusal:
        name = _NATIVE_NAMES.get(refusal.param or "", refusal.param or "")
        param = f"{place}.{name}" if name else place
        moved = InvalidRequest(refusal.code, param=param, detail=refusal.message)
    else:
        return
    raise moved


def at_terminal(call: AnyCall, terminal: str, command: Command[R]) -> Command[R]:
    """Run a command for a terminal, unless it is another merchant's.

    The last three digits number a merchant's terminals, so all that differ only there are its own, and an
    id that nobody has is taken for one that was set up a moment ago.
    """
    own = call.principal.attribute("processing_terminal_id")
    if terminal[:-3] == own[:-3]:
        return command

    return Then(Attempt(FindAccount("payroc", terminal)), lambda _: command)


def plain(struct: msgspec.Struct | None) -> Any:
    """Give a struct as it is kept among facts; nothing for none."""
    return None if struct is None else msgspec.to_builtins(struct)


def facts_of(**members: Any) -> dict[str, Any]:
    """Give facts without what there is none of; names in the protocol's words."""
    return {name: value for name, value in members.items() if value is not None}


def members(value: object) -> dict[str, Any]:
    """Give an object's members; nothing of what is no object."""
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def text(facts: Mapping[str, Any], name: str) -> str | None:
    """Give a fact that is a text."""
    value = facts.get(name)
    return value if isinstance(value, str) else None


def instant(at_: datetime) -> str:
    """Write an instant as RFC 3339 in UTC."""
    return at_.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(value: str | None, name: str) -> datetime | None:
    """Read an instant from a query.

    Raises:
        InvalidRequest: `parameter_invalid`.
    """
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=name) from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def microseconds(at_: datetime) -> int:
    """Give an instant as the lists compare it."""
    return int(at_.timestamp() * 1_000_000)


def parse_day(value: str | None, name: str) -> date | None:
    """Read a day.

    Raises:
        InvalidRequest: `parameter_invalid`.
    """
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=name) from None


def created(body: msgspec.Struct, location: str) -> Answer:
    """Answer 201 with the address of what was made."""
    return Answer(body, headers=((b"location", location.encode("ascii", "replace")),))


def no_content() -> Answer:
    """Answer without a body."""
    return Answer(status=204)


def ids_of(short: str, prefix: str) -> IdRange:
    """Read a short id from a path.

    Raises:
        NotFound: `document_not_found` when it is none.
    """
    ids = range_of_short_id(short, prefix)
    if ids is None:
        raise NotFound(ErrorCode.DOCUMENT_NOT_FOUND)
    return ids


def refuse(place: str, detail: str, code: ErrorCode = ErrorCode.PARAMETER_INVALID) -> FareboxError:
    """Make a refusal of a value."""
    return InvalidRequest(code, param=place, detail=detail)


def custom_fields(fields: Iterable[wire.CustomField] | None) -> list[dict[str, str]] | None:
    """Give custom fields as they are kept."""
    return None if fields is None else [{"name": one.name, "value": one.value} for one in fields]


def shown_taxes(order: Any) -> Any:
    """Give an order as it is shown: answers want every tax as a rate."""
    if isinstance(order, list):
        return [shown_taxes(item) for item in cast("list[Any]", order)]
    if not _is_object(order):
        return order
    shown = {name: shown_taxes(value) for name, value in members(order).items()}
    taxes: Any = shown.get("taxes")
    if isinstance(taxes, list):
        base = shown.get("subtotal") or _item_total(shown)
        shown["taxes"] = [_shown_tax(members(tax), base) for tax in cast("list[Any]", taxes)]
    return shown


def _item_total(item: Mapping[str, Any]) -> float:
    return float(item.get("unitPrice") or 0) * float(item.get("quantity") or 0)


def _shown_tax(tax: Mapping[str, Any], base: float) -> dict[str, Any]:
    amount, rate = tax.get("amount"), tax.get("rate")
    if rate is None:
        rate = round(amount / base * 100, 4) if base and amount is not None else 0
    shown = {"name": tax.get("name", ""), "rate": rate}
    return shown if amount is None else {**shown, "amount": amount}


def merged(kept: object, changes: object) -> dict[str, Any]:
    """Put the members of one object over another's, at every depth."""
    found = members(kept)
    for name, value in members(changes).items():
        found[name] = merged(found.get(name), value) if _is_object(value) else value
    return found
