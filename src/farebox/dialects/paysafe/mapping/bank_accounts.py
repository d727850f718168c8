"""Customer Vault: bank accounts of four schemes, and mandates.

A mandate is another name for its bank account: a stored token of its own for the same instrument, with the
mandate's reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    billing_address,
    instant,
    is_test,
    our_id,
    present,
)
from farebox.dialects.paysafe.mapping.tokens import ADDRESS, stored_string
from farebox.dialects.paysafe.mapping.vault import (
    BANK_ACCOUNTS_MAX,
    RESOURCE,
    HeldToken,
    Holdings,
    NewThings,
    address_facts,
    address_from_details,
    held_again,
    holdings,
    label,
    resource_of,
    with_address,
)
from farebox.dialects.paysafe.tables import CANCELLED, SCHEMES
from farebox.domain.bank_accounts import parse_ach, parse_bacs, parse_pad, parse_sepa
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import CustomerId, uuid_of
from farebox.domain.instruments import BillingAddress, PayerDetails, PaymentInstrument
from farebox.domain.tokens import TokenString
from farebox.services import commands

COPY_OF = "copy_of"
MANDATE = "mandate"
_MANDATE_KEPT = timedelta(days=36_500)
_BACS_LIFE = ((timedelta(days=3), "ACTIVE"), (timedelta(days=1), "BATCHED"), (timedelta(0), "PENDING"))
"""A Bacs instruction is lodged over three days. Source: Bacs, "AUDDIS" processing cycle."""
_SHAPES = {"bacs": 10, "sepa": 35}
_HOLDER_MAX = {"ach": 22, "eft": 30, "bacs": 18, "sepa": 32}


# --- reading an account ----------------------------------------------------------------------------


def read_account(
    scheme: str,
    account: wire.BankAccount | wire.Debit,
    call: AnyCall,
    *,
    code: str,
    mandate_reference: str | None = None,
    sec_code: str | None = None,
) -> PaymentInstrument:
    """Read a bank account in the clear.

    Raises:
        WireRefusal: `code` with the field at fault.
        InvalidRequest: 5068 for a field that is missing.
    """
    holder = _required(account, "accountHolderName")
    if len(holder) > _HOLDER_MAX[scheme]:
        raise refusal("5068", "accountHolderName", f"size must be between 1 and {_HOLDER_MAX[scheme]}")
    try:
        return _parse(scheme, account, call, holder, mandate_reference, sec_code)
    except InvalidRequest as wrong:
        if wrong.code is ErrorCode.PARAMETER_MISSING:
            raise
        _refuse(code, wrong)


def _refuse(code: str, wrong: InvalidRequest) -> NoReturn:
    name = (wrong.param or "").rpartition(".")[2]
    camel = name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:])
    field = {"institutionNumber": "institutionId", "holderName": "accountHolderName"}.get(camel, camel)
    raise refusal(code, field or None, "is invalid") from None


def _required(account: wire.BankAccount | wire.Debit, name: str) -> Any:
    value = getattr(account, name)
    if value is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param=name)
    return value


def _parse(
    scheme: str,
    account: wire.BankAccount | wire.Debit,
    call: AnyCall,
    holder: str,
    mandate_reference: str | None,
    sec_code: str | None,
) -> PaymentInstrument:
    match scheme:
        case "ach":
            return parse_ach(
                routing_number=_required(account, "routingNumber"),
                account_number=_required(account, "accountNumber"),
                account_type=_required(account, "accountType").lower(),
                sec_code=sec_code or "WEB",
                holder_name=holder,
                # The documented samples have none.
                requires_check_digit=not is_test(call),
            )
        case "eft":
            return parse_pad(
                institution_number=_required(account, "institutionId"),
                transit_number=_required(account, "transitNumber"),
                account_number=_required(account, "accountNumber"),
                holder_name=holder,
            )
        case "bacs":
            return parse_bacs(
                sort_code=_required(account, "sortCode"),
                account_number=_required(account, "accountNumber"),
                mandate_reference=mandate_reference,
                holder_name=holder,
            )
        case _:
            return parse_sepa(
                iban=_required(account, "iban"),
                bic=account.bic,
                mandate_reference=mandate_reference,
                holder_name=holder,
            )


def with_account(
    scheme: str,
    account: wire.BankAccount,
    call: AnyCall,
    then: Callable[[NewThings], commands.Command[Any]],
    address: BillingAddress | None = None,
) -> commands.Command[Any]:
    """Read a bank account to keep, with its address and its mandates, then act."""
    if account.singleUseToken is None:
        instrument = read_account(scheme, account, call, code="7510")
        own = billing_address(account.billingAddress)
        source = commands.FromInstrument(instrument, PayerDetails(account.accountHolderName, own or address))
        new = address_facts(account.billingAddress) if account.billingAddress else None
        return then(_new_account(scheme, account, source, new))

    def looked(view: commands.SingleUseTokenView) -> commands.Command[Any]:
        if SCHEMES.get(view.token.summary.kind) != scheme:
            raise refusal("5502")
        source = commands.FromSingleUseToken(view.string)
        return then(_new_account(scheme, account, source, address_from_details(view.details)))

    return commands.Then(commands.LookAtSingleUseToken(TokenString(account.singleUseToken)), looked)


def _new_account(
    scheme: str,
    account: wire.BankAccount,
    source: commands.FromSingleUseToken | commands.FromInstrument,
    address: Json | None,
) -> NewThings:
    facts: Json = {RESOURCE: scheme, **present(merchantRefNum=account.merchantRefNum, bic=account.bic)}
    if address is None and account.billingAddressId is not None:
        facts["billingAddressId"] = our_id("doc", account.billingAddressId, "7511")
    store = commands.StoreCredential(source, facts=facts, label=label(account.nickName), is_unique=True)
    documents = [commands.NewDocument("address", ADDRESS, address)] if address else []
    links = {"billingAddressId": "address"} if address else {}
    credentials = [commands.NewCredential(store, links)]
    for mandate in account.mandates or ():
        _check_reference(scheme, mandate.reference)
        credentials.append(_new_mandate(scheme, mandate.reference, source, "credential:0"))
    return documents, credentials


# --- bank accounts ---------------------------------------------------------------------------------


def read_account_in(scheme: str) -> Callable[[Call[wire.BankAccount, NoQuery]], commands.Command[Any]]:
    """Make the reader of a bank account to add to a profile."""

    def read(call: Call[wire.BankAccount, NoQuery]) -> commands.Command[Any]:
        body = call.body

        def add(held: Holdings) -> commands.Command[Any]:
            if sum(len(held.of(one)) for one in SCHEMES.values()) >= BANK_ACCOUNTS_MAX:
                raise refusal("7520")

            def enrol(address: BillingAddress | None) -> commands.Command[Any]:
                return with_account(
                    scheme,
                    body,
                    call,
                    lambda new: commands.Enrol(held.customer.id, documents=new[0], credentials=new[1]),
                    address,
                )

            return with_address(call, body.billingAddressId, enrol)

        if body.singleUseToken is None and body.billingAddressId is None and body.billingAddress is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="billingAddressId")
        return holdings(call, add)

    return read


def account_body(view: commands.StoredTokenView, held: Holdings, now: datetime | None = None) -> Json:
    """Show a bank account; its number stays here."""
    token, summary = view.token, view.token.summary
    resource = resource_of(view)
    address_id = token.facts.get("billingAddressId")
    body: Json = {
        "id": uuid_of(token.id),
        "status": "ACTIVE",
        **present(
            nickName=token.label or None,
            merchantRefNum=token.facts.get("merchantRefNum"),
            accountHolderName=view.details.holder_name if view.details else None,
            billingAddressId=uuid_of(address_id) if isinstance(address_id, str) else None,
        ),
        **_routing(resource, summary.bank or "", summary.account_type),
        "lastDigits": summary.last_four[-2:],
        "paymentToken": stored_string(view),
    }
    if resource in _SHAPES:
        body |= present(bic=token.facts.get("bic"))
        body["mandates"] = [
            mandate_body(one, now or one.token.created_at)
            for one in held.of(MANDATE)
            if one.token.facts.get(COPY_OF) == token.id
        ]
    return body


def _routing(resource: str, bank: str, account_type: str | None) -> Json:
    match resource:
        case "ach":
            return {
                "routingNumber": bank,
                "accountType": (account_type or "checking").removeprefix("business_").upper(),
            }
        case "eft":
            institution, _, transit = bank.partition("-")
            return {"transitNumber": transit, "institutionId": institution}
        case "bacs":
            return {"sortCode": bank}
        case _:
            return {}


def write_account_created(enrolled: commands.Enrolled, call: AnyCall) -> Answer:
    """Answer a bank account that was added."""
    held = Holdings(enrolled.customer, tuple(reversed(enrolled.credentials)))
    return Answer(account_body(enrolled.credentials[0], held, call.now))


def read_held_account(scheme: str) -> Callable[[Call[NoBody, NoQuery]], commands.Command[HeldToken]]:
    """Make the reader of which bank account to show."""

    def read(call: Call[NoBody, NoQuery]) -> commands.Command[HeldToken]:
        customer_id = CustomerId(our_id("cus", call.path["profile"]))
        return held_again(customer_id, our_id("pt", call.path["id"]), scheme)

    return read


def write_account(found: HeldToken, call: AnyCall) -> Answer:
    """Show a bank account."""
    return Answer(account_body(found.view, found.held, call.now))


def read_account_update(
    scheme: str,
) -> Callable[[Call[wire.BankAccount, NoQuery]], commands.Command[HeldToken]]:
    """Make the reader of what to put in a bank account's place."""

    def read(call: Call[wire.BankAccount, NoQuery]) -> commands.Command[HeldToken]:
        body, id_ = call.body, our_id("pt", call.path["id"])

        def update(held: Holdings) -> commands.Command[HeldToken]:
            before = held.one(scheme, id_)
            is_new = body.accountNumber is not None or body.iban is not None
            if is_new and any(one.token.facts.get(COPY_OF) == id_ for one in held.of(MANDATE)):
                raise refusal("7509")
            return with_address(
                call, body.billingAddressId, lambda address: change(held, before, address, is_new=is_new)
            )

        def change(
            held: Holdings,
            before: commands.StoredTokenView,
            address: BillingAddress | None,
            *,
            is_new: bool,
        ) -> commands.Command[HeldToken]:
            facts: Json = {RESOURCE: scheme, **present(merchantRefNum=body.merchantRefNum, bic=body.bic)}
            if body.billingAddressId is not None:
                facts["billingAddressId"] = our_id("doc", body.billingAddressId, "7511")
            details = PayerDetails(body.accountHolderName, address)
            source = None
            if is_new:
                instrument = read_account(scheme, body, call, code="7510")
                source = commands.FromInstrument(instrument, details)
            command = commands.UpdateStoredToken(
                before.token.id,
                label=label(body.nickName) or "",
                facts=facts,
                source=source,
                change=None if source else _new_details(details),
            )

            def shown(view: commands.StoredTokenView) -> HeldToken:
                others = [view if one.token.id == id_ else one for one in held.tokens]
                return HeldToken(view, replace(held, tokens=others))

            return commands.Mapped(command, shown)

        return holdings(call, update)

    return read


def _new_details(
    new: PayerDetails,
) -> Callable[[PaymentInstrument, PayerDetails], tuple[PaymentInstrument, PayerDetails]]:
    def change(account: PaymentInstrument, details: PayerDetails) -> tuple[PaymentInstrument, PayerDetails]:
        return account, replace(
            details,
            holder_name=new.holder_name or details.holder_name,
            billing_address=new.billing_address or details.billing_address,
        )

    return change


def read_account_deletion(
    scheme: str,
) -> Callable[[Call[NoBody, NoQuery]], commands.Command[commands.StoredTokenView]]:
    """Make the reader of which bank account to delete; its mandates must have gone before."""

    def read(call: Call[NoBody, NoQuery]) -> commands.Command[commands.StoredTokenView]:
        id_ = our_id("pt", call.path["id"])

        def delete(held: Holdings) -> commands.Command[commands.StoredTokenView]:
            if any(one.token.facts.get(COPY_OF) == id_ for one in held.of(MANDATE)):
                raise refusal("7509")
            return commands.DeleteStoredToken(held.one(scheme, id_).token.id)

        return holdings(call, delete)

    return read


# --- mandates --------------------------------------------------------------------------------------


def _check_reference(scheme: str, reference: str) -> None:
    length = _SHAPES.get(scheme)
    if length is None:
        raise refusal("5068", "mandates", "this scheme has no mandates")
    if len(reference) > length or reference != reference.upper():
        raise refusal("5068", "reference", f"must be at most {length} characters in upper case")


def _new_mandate(
    scheme: str,
    reference: str,
    source: commands.FromSingleUseToken | commands.FromInstrument | commands.FromStoredToken,
    account: str,
) -> commands.NewCredential:
    facts: Json = {RESOURCE: MANDATE, "scheme": scheme, "reference": reference}
    links: dict[str, str] = {}
    if account.startswith("credential:"):
        links[COPY_OF] = account
    else:
        facts[COPY_OF] = account
    store = commands.StoreCredential(source, facts=facts, mandate_reference=reference)
    unique = commands.UniqueReference(f"mandate {scheme}", reference, _MANDATE_KEPT)
    return commands.NewCredential(store, links, unique_reference=unique)


def read_mandate_in(scheme: str) -> Callable[[Call[wire.Mandate, NoQuery]], commands.Command[Any]]:
    """Make the reader of a mandate to add to a bank account."""

    def read(call: Call[wire.Mandate, NoQuery]) -> commands.Command[Any]:
        reference = call.body.reference
        _check_reference(scheme, reference)
        id_ = our_id("pt", call.path["id"])

        def add(held: Holdings) -> commands.Command[Any]:
            account = held.one(scheme, id_)
            source = commands.FromStoredToken(TokenString(account.token.id))
            new = _new_mandate(scheme, reference, source, account.token.id)
            return commands.Enrol(held.customer.id, credentials=(new,))

        return holdings(call, add)

    return read


def mandate_status(view: commands.StoredTokenView, now: datetime) -> tuple[str, datetime]:
    """Give a mandate's status and since when it has it: a Bacs one is lodged over three days."""
    token = view.token
    given = token.facts.get("status")
    if isinstance(given, str):
        return given, datetime.fromisoformat(str(token.facts["statusChangeDate"]))
    if token.facts.get("scheme") == "sepa":
        return "ACTIVE", token.created_at
    for after, status in _BACS_LIFE:
        if now >= token.created_at + after:
            return status, token.created_at + after
    return "PENDING", token.created_at


def mandate_body(view: commands.StoredTokenView, now: datetime) -> Json:
    """Show a mandate."""
    status, since = mandate_status(view, now)
    account = view.token.facts.get(COPY_OF)
    return {
        "id": uuid_of(view.token.id),
        "reference": view.token.facts.get("reference"),
        **present(bankAccountId=uuid_of(account) if isinstance(account, str) else None),
        "status": status,
        "statusChangeDate": instant(since),
        "paymentToken": stored_string(view),
    }


def write_mandate_created(enrolled: commands.Enrolled, call: AnyCall) -> Answer:
    """Answer a mandate that was added."""
    return Answer(mandate_body(enrolled.credentials[0], call.now))


def read_mandate(call: Call[NoBody, NoQuery]) -> commands.Command[HeldToken]:
    """Read which mandate to show."""
    customer_id = CustomerId(our_id("cus", call.path["profile"]))
    return held_again(customer_id, our_id("pt", call.path["id"]), MANDATE)


def write_mandate(found: HeldToken, call: AnyCall) -> Answer:
    """Show a mandate."""
    return Answer(mandate_body(found.view, call.now))


def read_mandate_update(call: Call[wire.StatusIn, NoQuery]) -> commands.Command[HeldToken]:
    """Read that a mandate is cancelled."""
    if call.body.status not in {CANCELLED, "PENDING"}:
        raise refusal("5068", "status", "must be CANCELLED")
    id_ = our_id("pt", call.path["id"])

    def change(held: Holdings) -> commands.Command[HeldToken]:
        found = held.one(MANDATE, id_)
        status, _ = mandate_status(found, call.now)
        if call.body.status != CANCELLED:
            return commands.Give(HeldToken(found, held))
        if status == CANCELLED:
            raise refusal("2013")
        facts = {**found.token.facts, "status": CANCELLED, "statusChangeDate": call.now.isoformat()}
        return commands.Mapped(
            commands.UpdateStoredToken(found.token.id, facts=facts), lambda view: HeldToken(view, held)
        )

    return holdings(call, change)


def read_mandate_deletion(call: Call[NoBody, NoQuery]) -> commands.Command[commands.StoredTokenView]:
    """Read which mandate to delete."""
    id_ = our_id("pt", call.path["id"])
    return holdings(call, lambda held: commands.DeleteStoredToken(held.one(MANDATE, id_).token.id))
