"""Customers of generation one, their payment profiles, and generation three's view of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from farebox.dialects.bamboo import wire, wire_v3
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.tables import (
    DEFAULT_COUNTRY,
    brand_name,
    countries,
    document_type,
    installments_text,
    medium_of_summary,
    type_name,
)
from farebox.dialects.bamboo.values import (
    PLAIN,
    clip,
    has_email_form,
    number_in,
    numbering_of,
    object_of,
    present,
    timestamp,
)
from farebox.dialects.dialect import Call
from farebox.domain.customers import Customer
from farebox.domain.frozen import frozen
from farebox.domain.ids import CustomerId, uuid_of
from farebox.domain.tokens import StoredTokenKind
from farebox.ports.storage import PageRequest
from farebox.services.commands import (
    Attempt,
    Command,
    CreateCustomer,
    DeleteStoredToken,
    FindNumbered,
    GetCustomer,
    GetStoredToken,
    Give,
    ListCustomers,
    ListStoredTokens,
    Mapped,
    StoredTokenView,
    Then,
    UpdateCustomer,
    UpdateStoredToken,
)

_ADDITIONAL_DATA = re.compile(r"[^:;]+:[^:;]*(?:;[^:;]+:[^:;]*)*;?")
_PROFILES_MAX = 100
_OF_EMAIL_MAX = 20

AnyCall = Call[Any, Any]


@frozen
class Shown:
    """A customer with their stored cards, newest first."""

    customer: Customer
    profiles: Sequence[StoredTokenView] = ()


# --- reading ---------------------------------------------------------------------------------------


def customer_facts(customer: wire.CustomerIn | None) -> dict[str, object]:
    """Collect what programs read back of a customer, under names of ours.

    Raises:
        WireRefusal: `CS002` or `CS006`.
    """
    if customer is None:
        return {}
    additional = clip(customer.additional_data)
    if additional is not None and not _ADDITIONAL_DATA.fullmatch(additional):
        raise refusal("CS006")
    return present(
        {
            "email": clip(customer.email),
            "commerce_id": clip(customer.commerce_customer_id),
            "first_name": clip(customer.first_name),
            "last_name": clip(customer.last_name),
            "phone": clip(customer.phone_number),
            "document": clip(customer.doc_number),
            "document_type": clip(customer.document_type_id),
            "additional_data": additional,
            "enabled": customer.enabled,
            "billing": _address_facts(customer.billing_address),
            "shipping": _address_facts(customer.shipping_address),
        }
    )


def _address_facts(address: wire.AddressIn | None) -> dict[str, object] | None:
    if address is None:
        return None
    kind = clip(address.address_type)
    if kind not in {None, "1", "2"}:
        raise refusal("CS002")
    return present(
        {
            "type": int(kind or 1),
            "country": clip(address.country),
            "state": clip(address.state),
            "city": clip(address.city),
            "detail": clip(address.address_detail),
            "postal_code": clip(address.postal_code),
        }
    )


def _check_document(facts: Mapping[str, object]) -> None:
    """Refuse a type of document that no country has, and a number without a letter or digit.

    Raises:
        WireRefusal: `CS007` or `CS008`.
    """
    kind, number = facts.get("document_type"), facts.get("document")
    if kind is not None and all(document_type(country, str(kind)) is None for country in countries()):
        raise refusal("CS008")
    if number is not None and not any(character.isalnum() for character in str(number)):
        raise refusal("CS007")


def read_customer_in(call: Call[wire.CustomerIn, wire.Nothing]) -> Command[Shown]:
    """Read a customer to store; an e-mail address registers one customer.

    Raises:
        WireRefusal: `CS001`, `CS002`, `CS006`, `CS007` or `CS008`.
    """
    facts = customer_facts(call.body)
    if not has_email_form(call.body.email):
        raise refusal("CS001")
    _check_document(facts)
    owner = call.body.owner if call.body.owner in {"Our", "Commerce"} else "Commerce"
    return Mapped(_create({**facts, "owner": owner}), Shown)


def _create(facts: Mapping[str, object]) -> CreateCustomer:
    return CreateCustomer(
        reference=_text(facts, "commerce_id"),
        name=" ".join(filter(None, (_text(facts, "first_name"), _text(facts, "last_name")))) or None,
        email=_text(facts, "email"),
        phone=_text(facts, "phone"),
        facts=facts,
        has_unique_email=True,
    )


def _text(facts: Mapping[str, object], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None


def _customer_id(call: AnyCall) -> Command[CustomerId]:
    number = number_in(call.path["customer_id"], "CS003", status=404)
    found = FindNumbered("cus", numbering_of(number), number)
    return Then(found, lambda identifier: Give(CustomerId(identifier)))


def _with_profiles(customer: Customer) -> Command[Shown]:
    filters = {"customer_id": customer.id, "kind": StoredTokenKind.PAYMENT_TOKEN.value}
    page = PageRequest(limit=_PROFILES_MAX, filters=filters)
    return Then(ListStoredTokens(page, with_details=True), lambda found: Give(Shown(customer, found.items)))


def _find(call: AnyCall) -> Command[Shown]:
    return Then(_customer_id(call), lambda found: Then(GetCustomer(found), _with_profiles))


def read_customer(call: Call[wire.Nothing, wire.Nothing]) -> Command[Shown]:
    """Read which customer to show.

    Raises:
        WireRefusal: `CS003`.
    """
    return _find(call)


def _of_email(email: str) -> Command[tuple[Shown, ...]]:
    page = PageRequest(limit=_OF_EMAIL_MAX, filters={"email": email})
    return Then(ListCustomers(page), lambda found: _all_with_profiles(tuple(found.items), ()))


def _all_with_profiles(left: tuple[Customer, ...], done: tuple[Shown, ...]) -> Command[tuple[Shown, ...]]:
    if not left:
        return Give(done)
    return Then(_with_profiles(left[0]), lambda shown: _all_with_profiles(left[1:], (*done, shown)))


def read_of_email(call: Call[wire.Nothing, wire.EmailQuery]) -> Command[tuple[Shown, ...]]:
    """Read whose customers to show, by a query.

    Raises:
        WireRefusal: `CS001`.
    """
    return _of_email(_email(call.query.email))


def read_of_email_in_path(call: Call[wire.Nothing, wire.Nothing]) -> Command[tuple[Shown, ...]]:
    """Read whose customers to show, by a path.

    Raises:
        WireRefusal: `CS001`.
    """
    return _of_email(_email(call.path["email"]))


def _email(text: str) -> str:
    if not has_email_form(text):
        raise refusal("CS001")
    return text


def read_customer_update(call: Call[wire.CustomerIn, wire.Nothing]) -> Command[Shown]:
    """Read what changes of a customer; what is not sent stays.

    Raises:
        WireRefusal: `CS001`, `CS002`, `CS003`, `CS005`, `CS006`, `CS007` or `CS008`.
    """
    changed = customer_facts(call.body)
    email = call.body.email
    if email is not None and not has_email_form(email):
        raise refusal("CS001")
    _check_document(changed)

    def update(shown: Shown) -> Command[Shown]:
        facts = {**shown.customer.facts, **changed}
        made = _create(facts)
        command = UpdateCustomer(
            shown.customer.id,
            changes={
                "reference": made.reference,
                "name": made.name,
                "email": made.email,
                "phone": made.phone,
            },
            facts=facts,
        )
        return Mapped(command, lambda customer: Shown(customer, shown.profiles))

    return Then(_find(call), _unless_taken(email, update))


def _unless_taken(
    email: str | None, update: Callable[[Shown], Command[Shown]]
) -> Callable[[Shown], Command[Shown]]:
    """Refuse an e-mail address that another customer has."""

    def check(shown: Shown) -> Command[Shown]:
        if email is None:
            return update(shown)

        def decide(others: tuple[Shown, ...]) -> Command[Shown]:
            if any(other.customer.id != shown.customer.id for other in others):
                raise refusal("CS005")
            return update(shown)

        return Then(_of_email(email), decide)

    return check


# --- payment profiles ------------------------------------------------------------------------------


def _profile(shown: Shown, number: int) -> StoredTokenView:
    numbering = numbering_of(number)
    for view in shown.profiles:
        if numbering.number_of(view.token.id) == number:
            return view
    raise refusal("CS010")


def read_profile_deletion(call: Call[wire.ProfileIn, wire.Nothing]) -> Command[Shown]:
    """Read which payment profile to erase; the answer is the customer without it.

    Raises:
        WireRefusal: `CS003` or `CS010`.
    """

    def erase(shown: Shown) -> Command[Shown]:
        gone = _profile(shown, call.body.payment_profile_id)
        left = tuple(view for view in shown.profiles if view is not gone)
        return Mapped(DeleteStoredToken(gone.token.id), lambda _: Shown(shown.customer, left))

    return Then(_find(call), erase)


def read_profile_update(call: Call[wire.ProfileIn, wire.Nothing]) -> Command[Shown]:
    """Read what changes of a payment profile: its card's expiry (`yyyyMM`), or whether it may be used.

    Raises:
        WireRefusal: `CS003`, `CS010` or `TK003`.
    """
    expiration = clip(call.body.expiration)
    if expiration is not None and not re.fullmatch("20[0-9]{2}(0[1-9]|1[0-2])", expiration):
        raise refusal("TK003")

    def update(shown: Shown) -> Command[Shown]:
        old = _profile(shown, call.body.payment_profile_id)
        enabled = call.body.enabled
        command = UpdateStoredToken(
            old.token.id,
            exp_month=int(expiration[4:]) if expiration else None,
            exp_year=int(expiration[:4]) if expiration else None,
            facts=None if enabled is None else {**old.token.facts, "enabled": enabled},
        )
        return Mapped(
            command,
            lambda new: Shown(shown.customer, tuple(new if view is old else view for view in shown.profiles)),
        )

    return Then(_find(call), update)


def read_activation(call: Call[wire.ActivationIn, wire.Nothing]) -> Command[Shown]:
    """Refuse an activation: every profile is active from the start, so there is none to activate.

    Raises:
        WireRefusal: `TK009` for what is no code, `TK010` for what is no token of the customer, `TK012`.
    """
    code = clip(call.body.activation_code) or ""

    def decide(shown: Shown) -> Command[Shown]:
        if not re.fullmatch("[A-Za-z0-9]{6}", code):
            raise refusal("TK009")

        def judge(view: StoredTokenView | None) -> Command[Shown]:
            is_own = view is not None and view.token.customer_id == shown.customer.id
            raise refusal("TK012" if is_own else "TK010")

        return Then(Attempt(GetStoredToken(call.body.token)), judge)

    return Then(_find(call), decide)


# --- writing ---------------------------------------------------------------------------------------


def write_customer(shown: Shown, call: AnyCall) -> wire.Envelope:
    """Show a customer."""
    return wire.Envelope(response=customer_out(shown, call))


def write_customers(found: tuple[Shown, ...], call: AnyCall) -> wire.Envelope:
    """Show customers; a list even of one."""
    return wire.Envelope(response=[customer_out(shown, call) for shown in found])


def customer_out(shown: Shown, call: AnyCall) -> wire.CustomerOut:
    """Show a stored customer with their payment profiles, oldest first."""
    customer = shown.customer
    number = PLAIN.number_of(customer.id)
    profiles = tuple(_profile_out(view) for view in reversed(shown.profiles))
    is_anonymous = customer.facts.get("owner") == "Anonymous"
    return person_out(
        {**customer.facts, "email": customer.email or customer.facts.get("email")},
        number=number,
        created=customer.created_at,
        profiles=profiles,
        call=call,
        session=None if is_anonymous else session_of(customer),
    )


def session_of(customer: Customer) -> str:
    """Name the session in which a customer's card is captured: the customer itself."""
    return f"UI_{uuid_of(customer.id)}"


def person_out(
    facts: Mapping[str, Any],
    *,
    number: int,
    created: datetime,
    profiles: tuple[wire.ProfileOut, ...],
    call: AnyCall,
    session: str | None,
) -> wire.CustomerOut:
    """Show a customer from their facts."""
    return wire.CustomerOut(
        customer_id=number,
        created=timestamp(created),
        commerce_customer_id=facts.get("commerce_id"),
        owner=str(facts.get("owner") or "Commerce"),
        email=facts.get("email"),
        enabled=facts.get("enabled") is not False,
        shipping_address=_address_out(object_of(facts, "shipping"), number + 1),
        billing_address=_address_out(object_of(facts, "billing"), number),
        additional_data=facts.get("additional_data"),
        payment_profiles=profiles,
        capture_url=f"{call.base_url}/v1/Capture/" if session else None,
        unique_id=session,
        url=f"{call.base_url}/v1/api/Customer/{number}",
        first_name=facts.get("first_name"),
        last_name=facts.get("last_name"),
        doc_number=facts.get("document"),
        document_type_id=_document_number(facts),
        phone_number=facts.get("phone"),
    )


def _document_number(facts: Mapping[str, Any]) -> int | None:
    """Give the legacy id of the type of document, which was named by its code in generation three."""
    kind = facts.get("document_type")
    if kind is None:
        return None
    known = (document_type(country, str(kind)) for country in (DEFAULT_COUNTRY, *countries()))
    return next((found for found in known if found is not None), None)


def _address_out(address: Mapping[str, Any], number: int) -> wire.AddressOut | None:
    if not address:
        return None
    return wire.AddressOut(
        address_id=number,
        address_type=address.get("type", 1),
        country=address.get("country"),
        state=address.get("state"),
        address_detail=address.get("detail"),
        postal_code=address.get("postal_code"),
        city=address.get("city"),
    )


def _profile_out(view: StoredTokenView) -> wire.ProfileOut:
    token, summary = view.token, view.token.summary
    country = str(token.facts.get("country") or DEFAULT_COUNTRY)
    medium_id, medium = medium_of_summary(summary, country)
    number = PLAIN.number_of(token.id)
    return wire.ProfileOut(
        payment_profile_id=number,
        payment_media_id=medium_id,
        created=timestamp(token.created_at),
        last_update=None,
        brand=brand_name(summary, medium),
        card_owner=view.details.holder_name if view.details else None,
        bin=summary.bin,
        issuer_bank=None,
        installments=installments_text(summary, country),
        type=type_name(summary, medium),
        id_commerce_token=number,
        token=view.details.token if view.details else None,
        expiration=f"{summary.exp_year:04}{summary.exp_month:02}" if summary.exp_year else None,
        last4=summary.last_four,
        enabled=token.facts.get("enabled") is not False,
    )


# --- generation three ------------------------------------------------------------------------------


def flat_facts(customer: wire_v3.CustomerIn | None) -> dict[str, object]:
    """Collect what programs read back of a customer of generation three."""
    if customer is None:
        return {}
    address = customer.address
    return present(
        {
            "email": clip(customer.email),
            "commerce_id": clip(customer.reference_code) or clip(customer.external_customer_id),
            "first_name": clip(customer.first_name),
            "last_name": clip(customer.last_name),
            "phone": clip(customer.phone_number),
            "document": clip(customer.document_number),
            "document_type": clip(customer.document_type),
            "billing": None
            if address is None
            else present(
                {
                    "type": 1,
                    "country": clip(address.country) or clip(address.country_iso_code),
                    "state": clip(address.state),
                    "city": clip(address.city),
                    "detail": clip(address.address_detail),
                    "postal_code": clip(address.postal_code),
                }
            ),
        }
    )


def read_flat_customer_in(call: Call[wire_v3.CustomerIn, wire.Nothing]) -> Command[Shown]:
    """Read a customer to store.

    Raises:
        WireRefusal: `CS001`, `CS007` or `CS008`.
    """
    facts = flat_facts(call.body)
    if not has_email_form(call.body.email):
        raise refusal("CS001")
    _check_document(facts)
    return Mapped(_create({**facts, "owner": "Commerce"}), Shown)


def read_flat_of_email(call: Call[wire.Nothing, wire.Nothing]) -> Command[Shown]:
    """Read whose customer to show.

    Raises:
        WireRefusal: `CS001` or `CS003`.
    """

    def newest(found: tuple[Shown, ...]) -> Command[Shown]:
        if not found:
            raise refusal("CS003", status=404)
        return Give(found[0])

    return Then(_of_email(_email(call.path["email"])), newest)


def write_flat_customer(shown: Shown, call: AnyCall) -> wire_v3.CustomerOut:
    """Show a customer, flat."""
    customer, facts = shown.customer, shown.customer.facts
    address = object_of(facts, "billing")
    country = address.get("country")
    return wire_v3.CustomerOut(
        customer_id=PLAIN.number_of(customer.id),
        email=customer.email,
        first_name=_text(facts, "first_name"),
        last_name=_text(facts, "last_name"),
        external_customer_id=_text(facts, "commerce_id"),
        phone_number=_text(facts, "phone"),
        is_anonymous=facts.get("owner") == "Anonymous",
        created=timestamp(customer.created_at),
        document=_document_out(facts),
        country=country,
        address={
            "Country": country,
            "State": address.get("state"),
            "City": address.get("city"),
            "AddressDetail": address.get("detail"),
            "PostalCode": address.get("postal_code"),
        }
        if address
        else None,
        session_id=session_of(customer),
        payment_profiles=[_profile_out(view) for view in reversed(shown.profiles)],
    )


def _document_out(facts: Mapping[str, object]) -> wire_v3.DocumentOut | None:
    number, named = _text(facts, "document"), str(facts.get("document_type") or "")
    if number is None:
        return None
    rows = [row for country in countries().values() for row in country.documents]
    row = next((row for row in rows if named.upper() in {str(row[0]), row[1]}), None)
    return wire_v3.DocumentOut(
        document_type=row[1] if row else named or None,
        value=number,
        abbreviation=row[1].partition(".")[0] if row else None,
        description=row[2] if row else None,
    )


def created_of(facts: Mapping[str, object], otherwise: datetime) -> datetime:
    """Give when the customer shown with a purchase was stored."""
    found = facts.get("created")
    return datetime.fromtimestamp(found, UTC) if isinstance(found, int | float) else otherwise
