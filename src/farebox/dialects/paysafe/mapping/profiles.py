"""Customer Vault: profiles, alone and with what comes with them."""

from __future__ import annotations

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.bank_accounts import account_body, with_account
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    facts_of,
    masked,
    our_id,
    plain,
    present,
)
from farebox.dialects.paysafe.mapping.tokens import ADDRESS
from farebox.dialects.paysafe.mapping.vault import (
    COLLECTIONS,
    Holdings,
    address_body,
    card_body,
    enrol,
    etag,
    holdings,
    holdings_of,
    location,
    resource_of,
    with_card,
)
from farebox.domain.customers import Customer
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.ids import CustomerId, uuid_of
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands


def _profile_facts(body: wire.Profile, status: str | None, locale: str | None) -> Json:
    found: Json = plain(body)
    for name in ("card", "achBankAccount", "eftBankAccount"):
        found.pop(name, None)
    if "accountNumber" in found.get("recipient", {}):
        found["recipient"]["accountNumber"] = masked(found["recipient"]["accountNumber"], 4)
    return {**found, "status": status or "ACTIVE", "locale": locale or "en_US"}


def _full_name(body: wire.Profile) -> str | None:
    return " ".join(part for part in (body.firstName, body.middleName, body.lastName) if part) or None


def read_profile_in(call: Call[wire.ProfileIn, NoQuery]) -> commands.Command[commands.Enrolled]:
    """Read a profile to make, alone or with a card or a bank account."""
    body = call.body
    account = body.achBankAccount or body.eftBankAccount
    if body.locale is None and account is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="locale")
    customer = commands.CreateCustomer(
        reference=body.merchantCustomerId,
        name=_full_name(body),
        email=body.email,
        phone=body.phone,
        facts={"profile": _profile_facts(body, body.status, body.locale)},
        has_unique_reference=True,
    )
    if body.card is not None:
        return with_card(body.card, call, lambda new: enrol(customer, new), is_default=True)
    if account is not None:
        scheme = "ach" if body.achBankAccount is not None else "eft"
        return with_account(scheme, account, call, lambda new: enrol(customer, new))
    return commands.Enrol(customer)


def profile_body(customer: Customer) -> Json:
    """Show a profile without what belongs to it."""
    known = facts_of(customer, "profile")
    return {
        "id": uuid_of(customer.id),
        "status": known.get("status", "ACTIVE"),
        **present(merchantCustomerId=customer.reference, email=customer.email, phone=customer.phone),
        "locale": "en_US",
        **known,
        "paymentToken": f"P{customer.id[4:]}",
    }


def write_profile_created(enrolled: commands.Enrolled, call: Call[wire.ProfileIn, NoQuery]) -> Answer:
    """Answer a profile that was made, with what came with it."""
    body = profile_body(enrolled.customer)
    if enrolled.documents:
        body["addresses"] = [address_body(one) for one in enrolled.documents.values()]
    held = Holdings(enrolled.customer, tuple(reversed(enrolled.credentials)))
    for view in enrolled.credentials:
        key, shown = _embedded(view, held, call)
        body.setdefault(key, []).append(shown)
    has_more = enrolled.documents or enrolled.credentials
    return Answer(body, headers=() if has_more else location(call, f"profiles/{body['id']}"))


def _embedded(
    view: commands.StoredTokenView, held: Holdings, call: Call[wire.ProfileIn, NoQuery]
) -> tuple[str, Json]:
    resource, given = resource_of(view), call.body
    if resource == "card":
        shown = card_body(view, held)
        shown.pop("storedCredentialTokenStatus")
        token = given.card.singleUseToken if given.card else None
        return "cards", {**shown, **present(singleUseToken=token)}
    account = given.achBankAccount or given.eftBankAccount
    token = account.singleUseToken if account else None
    key = next(plural for name, plural in COLLECTIONS.values() if name == resource)
    return key, {**account_body(view, held), **present(singleUseToken=token)}


def read_profile(call: Call[NoBody, wire.ProfileQuery]) -> commands.Command[Holdings]:
    """Read which profile to show, and how much of it."""
    return holdings(call, commands.Give, with_addresses=True)


def read_profile_search(call: Call[NoBody, wire.ProfileQuery]) -> commands.Command[Holdings]:
    """Read which profile to find by the merchant's own id.

    Raises:
        WireRefusal: 7516 without an id, 5269 when there is none, 7521 when there are several.
    """
    reference = call.query.merchantCustomerId
    if not reference:
        raise refusal("7516")

    def found(page: Page[Customer]) -> commands.Command[Holdings]:
        living = [one for one in page.items if one.deleted_at is None]
        if not living:
            raise refusal("5269")
        if len(living) > 1:
            raise Conflict(ErrorCode.NAME_ALREADY_USED, existing=[one.id for one in living])
        return holdings_of(living[0].id, commands.Give, with_addresses=True)

    page = PageRequest(limit=20, filters={"reference": reference})
    return commands.Then(commands.ListCustomers(page), found)


def write_profile(held: Holdings, call: Call[NoBody, wire.ProfileQuery]) -> Answer:
    """Show a profile with what `fields` asks for."""
    body = profile_body(held.customer)
    for field in (call.query.fields or "").lower().split(","):
        name = field.strip()
        if name == "addresses":
            body[name] = [address_body(one) for one in reversed(held.addresses)]
        elif name == "cards":
            body[name] = [card_body(view, held) for view in held.of("card")]
        elif name in COLLECTIONS:
            resource, key = COLLECTIONS[name]
            shown = [account_body(view, held, call.now) for view in held.of(resource)]
            # The Node.js SDK reads the name in lower case, every other one in camel case.
            body |= {key: shown, name: shown}
    return Answer(body, headers=etag(held.customer.version, held.customer.id))


def read_profile_update(call: Call[wire.Profile, NoQuery]) -> commands.Command[Customer]:
    """Read what to put in a profile's place; its status stays unless it is given."""
    body = call.body
    if body.locale is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="locale")
    customer_id = CustomerId(our_id("cus", call.path["profile"]))

    def update(customer: Customer) -> commands.Command[Customer]:
        status = body.status or facts_of(customer, "profile").get("status")
        return commands.UpdateCustomer(
            customer_id,
            changes={
                "reference": body.merchantCustomerId,
                "name": _full_name(body),
                "email": body.email,
                "phone": body.phone,
            },
            facts={"profile": _profile_facts(body, status, body.locale)},
            has_unique_reference=True,
        )

    return commands.Then(commands.GetCustomer(customer_id), update)


def write_profile_updated(customer: Customer, call: AnyCall) -> Answer:
    """Show a profile that was changed."""
    return Answer(profile_body(customer))


def read_profile_deletion(call: Call[NoBody, NoQuery]) -> commands.DeleteCustomer:
    """Read which profile to delete, with everything that belongs to it."""
    return commands.DeleteCustomer(CustomerId(our_id("cus", call.path["profile"])), document_kinds=(ADDRESS,))
