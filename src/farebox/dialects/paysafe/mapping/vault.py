"""Customer Vault: what is held for a profile, addresses and cards.

A profile is a customer of ours, an address a document, a card a stored payment token whose string is shown
again. Which card is the default is the latest one that was made so, so that no other row has to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    address_of,
    billing_address,
    link,
    our_id,
    plain,
    present,
    read_card,
    text_without_number,
)
from farebox.dialects.paysafe.mapping.tokens import ADDRESS, stored_string
from farebox.dialects.paysafe.tables import SCHEMES, card_category, card_type
from farebox.domain.cards import Card, parse_expiry
from farebox.domain.customers import Customer
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.ids import CustomerId, DocumentId, uuid_of
from farebox.domain.instruments import BillingAddress, InstrumentKind, PayerDetails, PaymentInstrument
from farebox.domain.tokens import TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands

API = "customervault/v1"
CARDS_MAX = 50
BANK_ACCOUNTS_MAX = 50
_HELD_MAX = 100
RESOURCE = "resource"
_DEFAULT_SINCE = "defaultSince"
COLLECTIONS = {
    "achbankaccounts": ("ach", "achBankAccounts"),
    "eftbankaccounts": ("eft", "eftBankAccounts"),
    "bacsbankaccounts": ("bacs", "bacsBankAccounts"),
    "sepabankaccounts": ("sepa", "sepaBankAccounts"),
}


@frozen
class Holdings:
    """A customer and what is stored for them."""

    customer: Customer
    tokens: Sequence[commands.StoredTokenView]
    addresses: Sequence[Document] = ()

    def of(self, resource: str) -> list[commands.StoredTokenView]:
        """Give the credentials of one kind, oldest first."""
        return [view for view in reversed(self.tokens) if resource_of(view) == resource]

    def one(self, resource: str, id_: str) -> commands.StoredTokenView:
        """Give one credential.

        Raises:
            WireRefusal: 5269.
        """
        for view in self.of(resource):
            if view.token.id == id_:
                return view
        raise refusal("5269")


def resource_of(view: commands.StoredTokenView) -> str:
    """Name what a credential is in the vault; what another dialect stored is told by its kind."""
    named = view.token.facts.get(RESOURCE)
    if isinstance(named, str):
        return named
    kind = view.token.summary.kind
    return "card" if kind is InstrumentKind.CARD else SCHEMES.get(kind, "")


def holdings(
    call: AnyCall, then: Callable[[Holdings], commands.Command[Any]], *, with_addresses: bool = False
) -> commands.Command[Any]:
    """Look at the profile of the address and at what is stored for it, then act."""
    return holdings_of(CustomerId(our_id("cus", call.path["profile"])), then, with_addresses=with_addresses)


def holdings_of(
    customer_id: CustomerId,
    then: Callable[[Holdings], commands.Command[Any]],
    *,
    with_addresses: bool = False,
) -> commands.Command[Any]:
    """Look at a customer and at what is stored for them, then act."""

    def with_customer(customer: Customer) -> commands.Command[Any]:
        page = PageRequest(limit=_HELD_MAX, filters={"customer_id": customer.id})
        return commands.Then(
            commands.ListStoredTokens(page, with_details=True), lambda found: with_tokens(customer, found)
        )

    def with_tokens(customer: Customer, found: Page[commands.StoredTokenView]) -> commands.Command[Any]:
        held = Holdings(customer, found.items)
        if not with_addresses:
            return then(held)
        page = PageRequest(limit=_HELD_MAX, filters={"parent_id": customer.id})
        return commands.Then(
            commands.ListDocuments(ADDRESS, page),
            lambda documents: then(replace(held, addresses=documents.items)),
        )

    return commands.Then(commands.GetCustomer(customer_id), with_customer)


NewThings = tuple[Sequence[commands.NewDocument], Sequence[commands.NewCredential]]


def enrol(customer: commands.CreateCustomer | CustomerId, new: NewThings) -> commands.Enrol:
    """Store what comes with a customer."""
    return commands.Enrol(customer, documents=new[0], credentials=new[1])


def location(call: AnyCall, path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Say where what was made is."""
    return ((b"location", link(call, "self", f"{API}/{path}")["href"].encode("ascii", "replace")),)


def etag(version: int, id_: str) -> tuple[tuple[bytes, bytes], ...]:
    """Name a version of a thing."""
    return ((b"etag", f'"{id_[-8:]}-{version}"'.encode()),)


def write_deleted(result: object, call: AnyCall) -> Answer:
    """Answer a deletion: nothing, as JSON."""
    return Answer(b"")


# --- addresses -------------------------------------------------------------------------------------


def address_facts(address: wire.VaultAddress) -> Json:
    """Give what is kept of an address.

    Raises:
        WireRefusal: 5068 for a state that is no code where codes are asked for.
    """
    state = address.state
    if address.country in {"US", "CA"} and state is not None and (len(state) != 2 or not state.isupper()):
        raise refusal("5068", "state", "must be a code of two letters")
    return {**plain(address), "defaultShippingAddressIndicator": address.defaultShippingAddressIndicator}


def address_body(document: Document) -> Json:
    """Show an address."""
    return {"id": uuid_of(document.id), **dict(document.facts), "status": "ACTIVE"}


def read_address_in(call: Call[wire.VaultAddress, NoQuery]) -> commands.Enrol:
    """Read an address to add to a profile."""
    new = commands.NewDocument("address", ADDRESS, address_facts(call.body))
    return commands.Enrol(CustomerId(our_id("cus", call.path["profile"])), documents=(new,))


def write_address_created(enrolled: commands.Enrolled, call: AnyCall) -> Answer:
    """Answer an address that was added."""
    body = address_body(enrolled.documents["address"])
    path = f"profiles/{call.path['profile']}/addresses/{body['id']}"
    return Answer(body, headers=location(call, path))


def _address(
    call: AnyCall,
    then: Callable[[Document], commands.Command[Any]],
    id_: str | None = None,
    code: str = "5269",
) -> commands.Command[Any]:
    """Look at an address of the profile of the address, then act."""
    customer_id = our_id("cus", call.path["profile"])
    document_id = DocumentId(our_id("doc", id_ or call.path["id"], code))

    def checked(document: Document | None) -> commands.Command[Any]:
        if document is None or document.parent_id != customer_id:
            raise refusal(code)
        return then(document)

    return commands.Then(commands.Attempt(commands.GetDocument(ADDRESS, document_id)), checked)


def read_address(call: Call[NoBody, NoQuery]) -> commands.Command[Document]:
    """Read which address to show."""
    return _address(call, commands.Give)


def read_address_update(call: Call[wire.VaultAddress, NoQuery]) -> commands.Command[Document]:
    """Read what to put in an address's place."""
    facts = address_facts(call.body)
    return _address(
        call, lambda found: commands.UpdateDocument(ADDRESS, found.id, found.version, facts=facts)
    )


def read_address_deletion(call: Call[NoBody, NoQuery]) -> commands.Command[Document]:
    """Read which address to delete."""
    return _address(call, lambda found: commands.DeleteDocument(ADDRESS, found.id))


def write_address(document: Document, call: AnyCall) -> Answer:
    """Show an address."""
    return Answer(address_body(document), headers=etag(document.version, document.id))


# --- cards -----------------------------------------------------------------------------------------


def with_card(
    card: wire.VaultCard,
    call: AnyCall,
    then: Callable[[NewThings], commands.Command[Any]],
    *,
    is_default: bool,
) -> commands.Command[Any]:
    """Read a card to keep, with its address, then act."""
    is_default = is_default or bool(card.defaultCardIndicator)
    if card.singleUseToken is None:
        if card.cardNum is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="cardNum")
        instrument = read_card(card.cardNum, card.cardExpiry, holder=card.holderName, code="7508")
        details = PayerDetails(card.holderName, billing_address(card.billingAddress))
        source = commands.FromInstrument(instrument, details)
        address = address_facts(card.billingAddress) if card.billingAddress else None
        return then(_new_card(card, source, address, call, is_default=is_default))

    def looked(view: commands.SingleUseTokenView) -> commands.Command[Any]:
        if view.token.summary.kind is not InstrumentKind.CARD or view.token.facts.get("wallet"):
            raise refusal("5502")
        source = commands.FromSingleUseToken(view.string)
        kept = address_from_details(view.details)
        return then(_new_card(card, source, kept, call, is_default=is_default))

    return commands.Then(commands.LookAtSingleUseToken(TokenString(card.singleUseToken)), looked)


def address_from_details(details: PayerDetails | None) -> Json | None:
    """Make a vault address of the one that came with a token; one without a country is none."""
    found = address_of(details.billing_address if details else None)
    if not found or "country" not in found:
        return None
    return {**found, "defaultShippingAddressIndicator": False}


def _new_card(
    card: wire.VaultCard,
    source: commands.FromSingleUseToken | commands.FromInstrument,
    address: Json | None,
    call: AnyCall,
    *,
    is_default: bool,
) -> NewThings:
    facts: Json = {
        RESOURCE: "card",
        **present(merchantRefNum=card.merchantRefNum, accountId=card.accountId),
        **({_DEFAULT_SINCE: call.now.isoformat()} if is_default else {}),
    }
    if address is None and card.billingAddressId is not None:
        facts["billingAddressId"] = our_id("doc", card.billingAddressId, "7511")
    store = commands.StoreCredential(source, facts=facts, label=label(card.nickName), is_unique=True)
    documents = [commands.NewDocument("address", ADDRESS, address)] if address else []
    links = {"billingAddressId": "address"} if address else {}
    return documents, [commands.NewCredential(store, links)]


def read_card_in(call: Call[wire.VaultCard, NoQuery]) -> commands.Command[commands.Enrolled]:
    """Read a card to add to a profile."""

    def add(held: Holdings) -> commands.Command[commands.Enrolled]:
        cards = held.of("card")
        if len(cards) >= CARDS_MAX:
            raise refusal("7515")

        def keep(new: NewThings) -> commands.Command[commands.Enrolled]:
            return with_address(call, call.body.billingAddressId, lambda _: enrol(held.customer.id, new))

        return with_card(call.body, call, keep, is_default=not cards)

    return holdings(call, add)


def label(nick_name: str | None) -> str | None:
    """Read what the merchant calls a card or an account."""
    return None if nick_name is None else text_without_number(nick_name, "nickName")


def with_address(
    call: AnyCall, id_: str | None, then: Callable[[BillingAddress | None], commands.Command[Any]]
) -> commands.Command[Any]:
    """Check the address that a card or an account names, then act.

    Raises:
        WireRefusal: 7511 when the profile has no such address.
    """
    if id_ is None:
        return then(None)
    return _address(call, lambda found: then(_our_address(found.facts)), id_, "7511")


def _our_address(facts: Mapping[str, Any]) -> BillingAddress:
    return BillingAddress(
        line1=facts.get("street"),
        line2=facts.get("street2"),
        city=facts.get("city"),
        state=facts.get("state"),
        postal_code=facts.get("zip"),
        country=facts.get("country"),
    )


def card_body(view: commands.StoredTokenView, held: Holdings) -> Json:
    """Show a card."""
    token, summary = view.token, view.token.summary
    address_id = token.facts.get("billingAddressId")
    return {
        "status": "ACTIVE",
        "id": uuid_of(token.id),
        "cardBin": summary.bin,
        "lastDigits": summary.last_four,
        "cardExpiry": {"year": summary.exp_year, "month": summary.exp_month},
        **present(
            holderName=view.details.holder_name if view.details else None,
            nickName=token.label or None,
            merchantRefNum=token.facts.get("merchantRefNum"),
            accountId=token.facts.get("accountId"),
            billingAddressId=uuid_of(address_id) if isinstance(address_id, str) else None,
        ),
        "cardType": card_type(summary) or "VI",
        "cardCategory": card_category(summary),
        "paymentToken": stored_string(view),
        "defaultCardIndicator": _default_id(held) == token.id,
        "storedCredentialTokenStatus": "VERIFIED" if token.network_transaction_id else "UNVERIFIED",
    }


def _default_id(held: Holdings) -> str | None:
    """Give the card that was made the default last; the oldest one if none was."""
    cards = held.of("card")
    named = [view.token for view in cards if view.token.facts.get(_DEFAULT_SINCE)]
    if named:
        return max(named, key=lambda token: (str(token.facts[_DEFAULT_SINCE]), token.id)).id
    return cards[0].token.id if cards else None


@frozen
class HeldToken:
    """A credential and the holdings it is part of."""

    view: commands.StoredTokenView
    held: Holdings


def held_again(customer_id: CustomerId, id_: str, resource: str) -> commands.Command[HeldToken]:
    """Look at a credential among all of its customer's."""
    return holdings_of(customer_id, lambda held: commands.Give(HeldToken(held.one(resource, id_), held)))


def read_held_card(call: Call[NoBody, NoQuery]) -> commands.Command[HeldToken]:
    """Read which card to show."""
    id_ = our_id("pt", call.path["id"])
    return held_again(CustomerId(our_id("cus", call.path["profile"])), id_, "card")


def write_card_created(enrolled: commands.Enrolled, call: AnyCall) -> Answer:
    """Answer a card that was added."""
    view = enrolled.credentials[0]
    facts = view.token.facts
    body = card_body(view, Holdings(enrolled.customer, enrolled.credentials))
    body["defaultCardIndicator"] = _DEFAULT_SINCE in facts
    path = f"profiles/{call.path['profile']}/cards/{body['id']}"
    return Answer(body, headers=location(call, path))


def write_card(found: HeldToken, call: AnyCall) -> Answer:
    """Show a card."""
    token = found.view.token
    return Answer(card_body(found.view, found.held), headers=etag(token.version, token.id))


def read_card_update(call: Call[wire.VaultCard, NoQuery]) -> commands.Command[HeldToken]:
    """Read what to put in a card's place: its number and its token stay, unless a single-use token comes."""
    body = call.body
    id_ = our_id("pt", call.path["id"])

    def update(held: Holdings) -> commands.Command[HeldToken]:
        before = held.one("card", id_)
        facts: Json = {
            RESOURCE: "card",
            **present(merchantRefNum=body.merchantRefNum, accountId=body.accountId),
        }
        if body.defaultCardIndicator:
            facts[_DEFAULT_SINCE] = call.now.isoformat()
        elif body.defaultCardIndicator is None and _DEFAULT_SINCE in before.token.facts:
            facts[_DEFAULT_SINCE] = before.token.facts[_DEFAULT_SINCE]
        if body.billingAddressId is not None:
            facts["billingAddressId"] = our_id("doc", body.billingAddressId, "7511")
        return with_address(call, body.billingAddressId, lambda address: change(held, before, facts, address))

    def change(
        held: Holdings, before: commands.StoredTokenView, facts: Json, address: BillingAddress | None
    ) -> commands.Command[HeldToken]:
        source = (
            commands.FromSingleUseToken(TokenString(body.singleUseToken)) if body.singleUseToken else None
        )
        update_command = commands.UpdateStoredToken(
            before.token.id,
            label=label(body.nickName) or "",
            facts=facts,
            source=source,
            change=None if source else _new_card_details(body, address),
        )

        def shown(view: commands.StoredTokenView) -> HeldToken:
            others = [view if one.token.id == id_ else one for one in held.tokens]
            return HeldToken(view, replace(held, tokens=others))

        return commands.Mapped(update_command, shown)

    return holdings(call, update)


def _new_card_details(
    body: wire.VaultCard, address: BillingAddress | None
) -> Callable[[PaymentInstrument, PayerDetails], tuple[PaymentInstrument, PayerDetails]]:
    """Make what changes expiry, holder and address of a sealed card."""
    expiry = None if body.cardExpiry is None else parse_expiry(body.cardExpiry.month, body.cardExpiry.year)

    def change(card: PaymentInstrument, details: PayerDetails) -> tuple[PaymentInstrument, PayerDetails]:
        assert isinstance(card, Card), "only cards are looked up here"
        holder = body.holderName or details.holder_name
        renewed = replace(card, expiry=expiry or card.expiry, holder_name=holder)
        return renewed, replace(
            details, holder_name=holder, billing_address=address or details.billing_address
        )

    return change


def read_card_deletion(call: Call[NoBody, NoQuery]) -> commands.Command[commands.StoredTokenView]:
    """Read which card to delete."""
    id_ = our_id("pt", call.path["id"])
    return holdings(call, lambda held: commands.DeleteStoredToken(held.one("card", id_).token.id))
