"""From a purchase on the wire to a payment, the same for every generation.

Each generation reads what it calls things and fills a `Wanted`; what is checked and how it is paid stands
here once. What programs read back goes into the payment's facts, under names of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from farebox.dialects.bamboo import wire, wire_v3
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.tables import (
    Medium,
    countries,
    country_of_currency,
    document_type,
    is_known_brand,
    medium_by_id,
)
from farebox.dialects.bamboo.values import (
    URL_LENGTH_MAX,
    clip,
    has_email_form,
    money_of,
    object_of,
    present,
    read_card,
)
from farebox.dialects.dialect import Call, InBody
from farebox.domain.cards import Card
from farebox.domain.customers import Customer
from farebox.domain.frozen import frozen
from farebox.domain.ids import CustomerId
from farebox.domain.instruments import AlternativeMethod, PayerDetails
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, OperationKind, Reason
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.domain.webhooks import CallbackUrl
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import (
    Attempt,
    Command,
    CreateCustomer,
    FromInstrument,
    FromSingleUseToken,
    FromStoredToken,
    GetCustomer,
    GetPaymentByKey,
    GetStoredToken,
    Give,
    ListStoredTokens,
    LookAtSingleUseToken,
    Pay,
    PaymentView,
    SaveCredential,
    SingleUseTokenView,
    Source,
    StoredTokenView,
    Then,
    VisitorPage,
)

UNIQUE_ID = InBody("UniqueID", "bamboo purchase")
"""One `UniqueID` is one purchase, whichever generation is asked. Source: documentation, "Idempotency"."""
PURCHASE_NOTICE = "purchase"
"""The kind of notification that a purchase's own address gets."""
INSTALLMENTS_MAX = 36
_PAGE_OUTLIVES = timedelta(days=7)
"""A payer who comes back late still sees what became of the payment."""
_STORED_PREFIXES = ("CT_", "pt_", "rt_")
_ANTIFRAUD_TEST = re.compile(r"score-([0-9]{1,3})@antifraud\.", re.IGNORECASE)

AnyPurchase = wire.PurchaseIn | wire_v3.PurchaseIn
AnyCall = Call[Any, Any]


@frozen
class Terms:
    """How a generation names what is wrong."""

    name: str
    email: str
    amount: str = "PR003"


V1 = Terms("v1", email="CS001")
V3 = Terms("v3", email="TR040", amount="TR039")


@frozen
class OnFile:
    """Who starts a payment with a stored card, and whether it is the first of a series."""

    initiator: Initiator = Initiator.CUSTOMER
    is_first: bool = False
    network_transaction_id: str | None = None


@frozen
class Wanted:
    """A purchase that has been read."""

    terms: Terms
    kind: OperationKind
    money: Money
    country: str
    order: str
    facts: Mapping[str, object]
    customer: Mapping[str, object]
    key: str | None = None
    token: str | None = None
    card: Card | None = None
    medium: Medium | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What was sent for the medium, with what is not kept."""
    on_file: OnFile = field(default_factory=OnFile)
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_with_stored_card(self) -> bool:
        """Tell whether the token is a stored one, which brings its own customer."""
        return (self.token or "").startswith(_STORED_PREFIXES)


# --- what every generation checks ------------------------------------------------------------------


def country_named(target: str | None, currency: str) -> str:
    """Read the country of a purchase, which older programs leave out.

    Raises:
        WireRefusal: `PR034`.
    """
    if not target:
        return country_of_currency(currency)
    if target.upper() not in countries():
        raise refusal("PR034")
    return target.upper()


def read_money(body: AnyPurchase, terms: Terms) -> Money:
    """Read amount and currency.

    Raises:
        WireRefusal: `PR003` (or `TR039`) and `PR004`.
    """
    if body.amount is None:
        raise refusal(terms.amount)
    if not body.currency:
        raise refusal("PR004")
    return money_of(body.amount, body.currency.upper(), code=terms.amount)


def check_country(country: str, money: Money, medium_type: str, body: AnyPurchase, terms: Terms) -> None:
    """Refuse a currency that the country does not have, and an amount beyond its limits.

    Raises:
        WireRefusal: `PR004`, `PR003` or `TR039`.
    """
    rules = countries()[country]
    if body.target_country and money.currency not in rules.currencies:
        raise refusal("PR004")
    lowest, highest = rules.limits.get(medium_type, (0, 0))
    if highest and money.currency == rules.currencies[0] and not lowest <= (body.amount or 0) <= highest:
        raise refusal(terms.amount)


def read_installments(count: int | None, country: str, *, is_card: bool) -> int:
    """Read the number of installments; none and zero are one.

    Raises:
        WireRefusal: `PR013`.
    """
    count = count or 1
    allowed = countries()[country].installments or range(1, INSTALLMENTS_MAX + 1)
    if count < 1 or count not in allowed or (count > 1 and not is_card):
        raise refusal("PR013")
    return count


def read_data_uy(data: wire.DataUyIn | None, amount: int | None) -> dict[str, object] | None:
    """Read what Uruguay's law wants.

    Raises:
        WireRefusal: `PR005`, `PR010`, `PR011` or `PR017`.
    """
    if data is None:
        return None
    invoice = clip(data.invoice)
    if data.is_final_consumer and invoice is None:
        raise refusal("PR011")
    if data.is_final_consumer and data.taxable_amount is None:
        raise refusal("PR010")
    if invoice is not None and not (invoice.isascii() and invoice.isdecimal()):
        raise refusal("PR005")
    if (data.taxable_amount or 0) > (amount or 0):
        raise refusal("PR017")
    return {
        "final": bool(data.is_final_consumer),
        "invoice": invoice,
        "taxable": data.taxable_amount or 0,
    }


def check_document(customer: Mapping[str, object], country: str, medium: Medium | None) -> None:
    """Refuse a document that the country does not have, and a missing one where the medium wants it.

    Raises:
        WireRefusal: `CS007` or `CS008`.
    """
    kind, number = customer.get("document_type"), customer.get("document")
    documents = countries()[country].documents
    if kind is not None and documents and document_type(country, str(kind)) is None:
        raise refusal("CS008")
    if number is None and medium is not None and medium.needs_document:
        raise refusal("CS007")
    if number is not None and not any(character.isalnum() for character in str(number)):
        raise refusal("CS007")


def read_antifraud(body: AnyPurchase) -> tuple[dict[str, object] | None, str | None]:
    """Read what the risk engine wants, and the payer's address on the network, wherever it stands.

    Raises:
        WireRefusal: `TR302` without fingerprint, `PR016` without address.
    """
    data = body.antifraud_data
    address = clip(body.customer_ip) or clip(body.client_ip) or (clip(data.client_ip) if data else None)
    if data is None:
        return None, address
    if clip(data.fingerprint_id) is None:
        raise refusal("TR302")
    if address is None:
        raise refusal("PR016")
    facts: dict[str, object] = {
        "AntifraudFingerprintId": clip(data.fingerprint_id),
        "AntifraudMetadataIn": data.metadata,
    }
    return facts, address


def read_method(medium: Medium, metadata: Mapping[str, Any], now: datetime) -> AlternativeMethod:
    """Read how long a payer has for an alternative medium, and what else the medium needs.

    Raises:
        WireRefusal: `TR016`.
    """
    if medium.family is None:
        raise refusal("TK007")
    named = {name.lower(): value for name, value in metadata.items()}
    for need in medium.needs:
        if not need.startswith("Customer.") and not clip(named.get(need.lower())):
            raise refusal("TR016")
    minutes = medium.minutes
    asked = named.get("paymentexpirationinminutes")
    if asked is not None and not medium.has_fixed_minutes:
        text = str(asked)
        if not (text.isascii() and text.isdecimal() and len(text) <= 6):
            raise refusal("TR016")
        minutes = int(text)
        if not medium.minutes_min <= minutes <= medium.minutes_max:
            raise refusal("TR016")
    return AlternativeMethod(str(medium.id), medium.family, medium.country, now + timedelta(minutes=minutes))


def check_medium(medium: Medium, body: AnyPurchase, customer: Mapping[str, object]) -> None:
    """Refuse a purchase that lacks what its alternative medium cannot do without.

    Raises:
        WireRefusal: `PR014` or `TR016`.
    """
    if medium.needs_description and clip(body.description) is None:
        raise refusal("PR014")
    if "Customer.PhoneNumber" in medium.needs:
        phone = str(customer.get("phone") or "")
        if not (phone.isascii() and phone.isdecimal() and len(phone) == 10):
            raise refusal("TR016")


def medium_wanted(country: str, number: int) -> Medium:
    """Find an alternative medium by its id.

    Raises:
        WireRefusal: `TK015` where the country has no such medium, `TK007` for one that needs a card.
    """
    medium = medium_by_id(country, number)
    if medium is None:
        raise refusal("TK015")
    if medium.is_card:
        raise refusal("TK007")
    return medium


def read_card_data(data: wire.CardDataIn, call: AnyCall) -> Card:
    """Read a card in the clear.

    Raises:
        WireRefusal: `TK001`, `TK002`, `TK003` or `TK015`.
    """
    card = read_card(
        data.pan, data.expiration, data.cvv, data.card_holder_name, mode=call.principal.tenant.mode
    )
    if card.expiry.passed(call.now.date()):
        raise refusal("TK003")
    if not is_known_brand(card.pan.brand):
        raise refusal("TK015")
    return card


def facts_of(body: AnyPurchase, terms: Terms, country: str, installments: int) -> dict[str, object]:
    """Collect what every generation reads back."""
    antifraud, address = read_antifraud(body)
    redirection = body.redirection
    return present(
        {
            "generation": terms.name,
            "country": country,
            "installments": installments,
            "unique_id": clip(body.unique_id),
            "tip": body.tip,
            "taxable": body.taxable_amount,
            "description": clip(body.description),
            "additional_data": clip(body.additional_data),
            "user_agent": clip(body.customer_user_agent),
            "ip": address,
            "metadata_in": _kept(body.metadata_in),
            "data_uy": read_data_uy(body.data_uy, body.amount),
            "redirection": None
            if redirection is None
            else {
                "Url_Approved": clip(redirection.approved, URL_LENGTH_MAX),
                "Url_Rejected": clip(redirection.rejected, URL_LENGTH_MAX),
                "Url_Canceled": clip(redirection.canceled, URL_LENGTH_MAX),
                "Url_Pending": clip(redirection.pending, URL_LENGTH_MAX),
                "Url_Notify": clip(redirection.notify, URL_LENGTH_MAX),
            },
            "antifraud": antifraud,
        }
    )


def _kept(metadata: wire.Json | None) -> wire.Json | None:
    """Leave out of what is kept the code that a payer's wallet showed once."""
    if metadata is None:
        return None
    return {name: value for name, value in metadata.items() if name.lower() != "otp"}


def attributes_of(customer: Mapping[str, object]) -> dict[str, str]:
    """Give the acquirer the score that a test address asks for."""
    score = _ANTIFRAUD_TEST.match(str(customer.get("email") or ""))
    return {"antifraud_score": score[1]} if score else {}


def check_email(customer: Mapping[str, object], terms: Terms) -> None:
    """Refuse an anonymous payer without an e-mail address.

    Raises:
        WireRefusal: `CS001` or `TR040`.
    """
    email = customer.get("email")
    if not has_email_form(email if isinstance(email, str) else None):
        raise refusal(terms.email)


# --- how it is paid --------------------------------------------------------------------------------


def pay(wanted: Wanted, call: AnyCall) -> Command[PaymentView]:
    """Make the payment; a purchase that another generation made under the key is only shown.

    A repetition in the same generation gets the first answer, byte for byte, from the door.
    """
    command = _pay(wanted, call)
    if wanted.key is None:
        return command

    def then(earlier: PaymentView | None) -> Command[PaymentView]:
        if earlier is not None and earlier.payment.facts.get("generation") != wanted.terms.name:
            return Give(earlier)
        return command

    return Then(Attempt(GetPaymentByKey(UNIQUE_ID.kind_name, wanted.key)), then)


def _pay(wanted: Wanted, call: AnyCall) -> Command[PaymentView]:
    if wanted.medium is not None:
        method = read_method(wanted.medium, wanted.metadata, call.now)
        return _with_medium(wanted, wanted.medium, method, call)
    if wanted.card is not None:
        source = FromInstrument(wanted.card, PayerDetails(holder_name=wanted.card.holder_name))
        facts = {"owner": wanted.card.holder_name, "has_cvv": wanted.card.cvc is not None}
        return _command(wanted, source, facts)
    token = TokenString(wanted.token or "")
    if wanted.is_with_stored_card:
        return Then(Attempt(GetStoredToken(token)), lambda view: _with_stored(wanted, token, view))
    return Then(Attempt(LookAtSingleUseToken(token)), lambda view: _with_single_use(wanted, token, view))


def _with_medium(
    wanted: Wanted, medium: Medium, method: AlternativeMethod, call: AnyCall
) -> Command[PaymentView]:
    assert method.expires_at is not None, "every alternative medium has an end"
    page = None if medium.is_final else VisitorPage("CA_", method.expires_at - call.now + _PAGE_OUTLIVES)
    facts = {"expires_at": method.expires_at.timestamp()}
    attributes = {"is_final": "1"} if medium.is_final else {}
    return _command(wanted, FromInstrument(method), facts, page=page, attributes=attributes)


def _with_single_use(
    wanted: Wanted, token: TokenString, view: SingleUseTokenView | None
) -> Command[PaymentView]:
    holder = view.details.holder_name if view and view.details else None
    has_cvv = bool(view and view.token.sealed and view.token.sealed.cvc)
    return _command(wanted, FromSingleUseToken(token), {"owner": holder, "has_cvv": has_cvv})


def _with_stored(wanted: Wanted, token: TokenString, view: StoredTokenView | None) -> Command[PaymentView]:
    """Pay as the credential's customer.

    Raises:
        WireRefusal: `PR001` for an unknown credential, `CS012` for a disabled one.
    """
    if view is None:
        raise refusal("PR001")
    if view.token.facts.get("enabled") is False:
        raise refusal("CS012")
    holder = view.details.holder_name if view.details else None
    facts: dict[str, object] = {"owner": holder, "has_cvv": False}
    customer_id = view.token.customer_id
    if customer_id is None:
        return _present_stored(wanted, token, view, facts)
    return _as_customer(
        customer_id, lambda shown: _present_stored(wanted, token, view, {**facts, "customer": shown})
    )


def _present_stored(
    wanted: Wanted, token: TokenString, view: StoredTokenView, facts: Mapping[str, object]
) -> Command[PaymentView]:
    """Present the credential, or for the merchant alone what the first payment of a series left for that."""
    if wanted.on_file.initiator is Initiator.CUSTOMER:
        return _command(wanted, FromStoredToken(token), facts)
    filters = {"kind": StoredTokenKind.RECURRENCE_TOKEN.value}
    if view.token.customer_id is not None:
        filters["customer_id"] = view.token.customer_id
    return Then(
        ListStoredTokens(PageRequest(limit=100, filters=filters), with_details=True),
        lambda page: _command(wanted, FromStoredToken(_series_of(view, page)), facts),
    )


def _as_customer(
    customer_id: CustomerId, then: Callable[[Mapping[str, object]], Command[PaymentView]]
) -> Command[PaymentView]:
    """Look at the credential's customer, who is shown with the purchase."""
    return Then(Attempt(GetCustomer(customer_id)), lambda customer: then(_shown(customer)))


def _shown(customer: Customer | None) -> Mapping[str, object]:
    if customer is None:
        return {}
    return present({**customer.facts, "email": customer.email, "created": customer.created_at.timestamp()})


def _series_of(view: StoredTokenView, page: Page[StoredTokenView]) -> TokenString:
    """Find the recurrence token that the first payment of a series with this card stored.

    Without one the credential itself is presented, and refused: its customer has agreed to nothing.
    """
    for one in page.items:
        if one.token.fingerprint == view.token.fingerprint and one.details and one.details.token:
            return TokenString(one.details.token)
    return TokenString(view.details.token or "" if view.details else "")


def _command(
    wanted: Wanted,
    source: Source,
    facts: Mapping[str, object],
    *,
    page: VisitorPage | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Pay:
    is_stored = isinstance(source, FromStoredToken)
    customer = facts.get("customer", wanted.customer)
    series = wanted.on_file
    return Pay(
        kind=wanted.kind,
        money=wanted.money,
        source=source,
        initiator=series.initiator,
        reason=Reason.RECURRING if series.is_first or series.initiator is Initiator.MERCHANT else None,
        reference=wanted.order,
        save=SaveCredential(StoredTokenKind.RECURRENCE_TOKEN, Reason.RECURRING) if series.is_first else None,
        new_customer=None if is_stored else _anonymous(wanted.customer),
        visitor_page=page,
        callback=callback_of(object_of(wanted.facts, "redirection")),
        facts={**wanted.facts, **present(facts), "customer": customer},
        network_transaction_id=series.network_transaction_id,
        attributes={**wanted.attributes, **(attributes or {})},
    )


def callback_of(redirection: Mapping[str, Any]) -> CallbackUrl | None:
    """Read who is told of the purchase."""
    url = redirection.get("Url_Notify")
    return CallbackUrl(url, PURCHASE_NOTICE) if url else None


def _anonymous(customer: Mapping[str, object]) -> CreateCustomer:
    """Store who pays without being registered; their address registers nobody, so it is no e-mail of ours."""
    return CreateCustomer(facts={**customer, "owner": "Anonymous"})
