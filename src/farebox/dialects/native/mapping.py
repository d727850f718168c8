"""Between the native API's wire structs and the commands: pure functions, one pair per endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from msgspec import UNSET, Struct, UnsetType

from farebox.dialects.dialect import Call, NoBody, NoQuery
from farebox.dialects.native import wire
from farebox.domain.bank_accounts import parse_ach, parse_bacs, parse_pad, parse_sepa
from farebox.domain.cards import Card, contains_pan, parse_cvc, parse_expiry, parse_pan
from farebox.domain.credentials_on_file import Agreement
from farebox.domain.customers import Customer
from farebox.domain.declines import Decline
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import AgreementId, CustomerId, OperationId, PaymentId
from farebox.domain.instruments import (
    BillingAddress,
    InstrumentKind,
    InstrumentSummary,
    PayerDetails,
    PaymentInstrument,
)
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, Operation, OperationKind, Reason
from farebox.domain.payments import Payment
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.ports.processors import Fault
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands

METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500

T = TypeVar("T")
QueryT = TypeVar("QueryT", bound=wire.PageQuery)
AnyCall = Call[Any, Any]


# --- shared reading --------------------------------------------------------------------------------


def _invalid(param: str, code: ErrorCode = ErrorCode.PARAMETER_INVALID) -> InvalidRequest:
    return InvalidRequest(code, param=param)


def read_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Refuse metadata that is too much, or that is a place to hide a card number (SEC-01)."""
    if not metadata:
        return {}
    if len(metadata) > METADATA_KEYS_MAX:
        raise _invalid("metadata", ErrorCode.METADATA_INVALID)
    for key, value in metadata.items():
        fits = len(key) <= METADATA_KEY_LENGTH_MAX and len(value) <= METADATA_VALUE_LENGTH_MAX
        if not key or not fits or contains_pan(key) or contains_pan(value):
            raise _invalid("metadata", ErrorCode.METADATA_INVALID)
    return metadata


def read_text(text: str | None, param: str) -> str | None:
    """Refuse free text that holds a card number."""
    if text is not None and contains_pan(text):
        raise _invalid(param)
    return text


def read_customer_id(customer: str | None) -> CustomerId | None:
    """Read which customer is meant, if one is."""
    return None if customer is None else CustomerId(customer)


def _amount_minor(amount_minor: int) -> int:
    if amount_minor < 1:
        raise _invalid("amount_minor", ErrorCode.AMOUNT_INVALID)
    return amount_minor


def _card(card: wire.CardIn) -> Card:
    pan = parse_pan(card.number)
    return Card(
        pan=pan,
        expiry=parse_expiry(card.exp_month, card.exp_year),
        holder_name=card.holder_name,
        cvc=None if card.cvc is None else parse_cvc(card.cvc, brand=pan.brand),
    )


def _bank_account(account: wire.BankAccountIn) -> PaymentInstrument:
    match account:
        case wire.AchIn():
            return parse_ach(
                routing_number=account.routing_number,
                account_number=account.account_number,
                account_type=account.account_type,
                sec_code=account.sec_code,
                holder_name=account.holder_name,
            )
        case wire.PadIn():
            return parse_pad(
                institution_number=account.institution_number,
                transit_number=account.transit_number,
                account_number=account.account_number,
                holder_name=account.holder_name,
            )
        case wire.BacsIn():
            return parse_bacs(
                sort_code=account.sort_code,
                account_number=account.account_number,
                mandate_reference=account.mandate_reference,
                holder_name=account.holder_name,
            )
        case wire.SepaIn():
            return parse_sepa(
                iban=account.iban,
                bic=account.bic,
                mandate_reference=account.mandate_reference,
                holder_name=account.holder_name,
            )


def _address(address: wire.BillingAddressIn | None) -> BillingAddress | None:
    if address is None:
        return None
    for name in ("line1", "line2", "city", "state", "postal_code"):
        read_text(getattr(address, name), f"billing_address.{name}")
    return BillingAddress(
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        postal_code=address.postal_code,
        country=address.country,
    )


def _source(source: wire.SourceIn) -> commands.Source:
    """Read which token pays.

    Raises:
        InvalidRequest: `parameter_invalid` unless exactly one is named; `cvc_forbidden` for a CVC beside a
            single-use token, which has its own.
    """
    given = [
        name
        for name in ("single_use_token", "payment_token", "recurrence_token")
        if getattr(source, name) is not None
    ]
    if len(given) != 1:
        raise InvalidRequest(
            ErrorCode.PARAMETER_INVALID,
            param="source",
            detail="Give exactly one of single_use_token, payment_token and recurrence_token.",
        )
    if source.single_use_token is not None:
        if source.cvc is not None:
            raise InvalidRequest(
                ErrorCode.PARAMETER_INVALID,
                param="source.cvc",
                detail="A single-use token carries its own security code.",
            )
        return commands.FromSingleUseToken(TokenString(source.single_use_token))
    string = source.payment_token or source.recurrence_token or ""
    return commands.FromStoredToken(TokenString(string), StoredTokenKind(given[0]), source.cvc)


# --- shared writing --------------------------------------------------------------------------------


def card_out(summary: InstrumentSummary, details: PayerDetails | None) -> wire.CardOut | None:
    """Show what may be shown of a card; nothing of anything else."""
    if summary.kind is not InstrumentKind.CARD:
        return None
    return wire.CardOut(
        brand=summary.brand,
        bin=summary.bin,
        last_four=summary.last_four,
        exp_month=summary.exp_month,
        exp_year=summary.exp_year,
        holder_name=details.holder_name if details else None,
    )


def _bank_account_out(summary: InstrumentSummary, details: PayerDetails | None) -> wire.BankAccountOut | None:
    if summary.kind in {InstrumentKind.CARD, InstrumentKind.ALTERNATIVE}:
        return None
    return wire.BankAccountOut(
        type=summary.kind.value,
        last_four=summary.last_four,
        bank=summary.bank,
        account_type=summary.account_type,
        holder_name=details.holder_name if details else None,
    )


def _address_out(details: PayerDetails | None) -> wire.BillingAddressOut | None:
    address = details.billing_address if details else None
    if address is None:
        return None
    return wire.BillingAddressOut(
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        postal_code=address.postal_code,
        country=address.country,
    )


def _decline_out(decline: Decline | None) -> wire.DeclineOut | None:
    if decline is None:
        return None
    return wire.DeclineOut(
        reason=decline.reason.value, advice=decline.advice.value, processor_code=decline.processor_code
    )


def _operation_out(operation: Operation) -> wire.OperationOut:
    return wire.OperationOut(
        id=operation.id,
        kind=operation.kind.value,
        status=operation.state.value,
        amount_minor=operation.money.amount_minor,
        approved_minor=operation.approved_minor,
        created_at=operation.created_at,
        settled_at=operation.settled_at,
        target=operation.target_id,
        reference=operation.reference,
        authorization_code=operation.authorization_code,
        decline=_decline_out(operation.decline),
    )


# --- lists -----------------------------------------------------------------------------------------


def read_page(query: wire.PageQuery, filters: Mapping[str, str | None]) -> PageRequest:
    """Read which part of a list is meant.

    Raises:
        InvalidRequest: `parameter_invalid` for a part with two ends.
    """
    if query.starting_after is not None and query.ending_before is not None:
        raise _invalid("ending_before")
    return PageRequest(
        limit=query.limit,
        after=query.starting_after,
        before=query.ending_before,
        filters={name: value for name, value in filters.items() if value is not None},
    )


def next_url(page: Page[Any], call: Call[NoBody, QueryT], last_id: str | None) -> str | None:
    """Give the address of the next page in the direction of this one."""
    query = call.query
    if not page.has_more or last_id is None or query.ending_before is not None:
        return None
    parameters = {
        name: value
        for name in query.__struct_fields__
        if (value := getattr(query, name)) is not None and name != "starting_after"
    }
    return f"{call.url}?{urlencode({**parameters, 'starting_after': last_id})}"


# --- single-use tokens -----------------------------------------------------------------------------


def read_mint(call: Call[wire.MintIn, NoQuery]) -> commands.MintSingleUseToken:
    """Read an instrument to seal.

    Raises:
        InvalidRequest: `parameter_invalid` unless exactly one instrument is given.
    """
    body = call.body
    if body.card is not None and body.bank_account is None:
        instrument, holder_name = _card(body.card), body.card.holder_name
    elif body.bank_account is not None and body.card is None:
        instrument, holder_name = _bank_account(body.bank_account), body.bank_account.holder_name
    else:
        raise InvalidRequest(
            ErrorCode.PARAMETER_INVALID, param="card", detail="Give exactly one of card and bank_account."
        )
    return commands.MintSingleUseToken(
        instrument=instrument,
        details=PayerDetails(holder_name=holder_name, billing_address=_address(body.billing_address)),
        lifetime_s=body.lifetime_s,
        customer_id=read_customer_id(body.customer),
        metadata=read_metadata(body.metadata),
    )


def read_look(call: Call[NoBody, NoQuery]) -> commands.LookAtSingleUseToken:
    """Read which token to look at."""
    return commands.LookAtSingleUseToken(TokenString(call.path["token"]))


def read_revoke(call: Call[NoBody, NoQuery]) -> commands.RevokeSingleUseToken:
    """Read which token to revoke."""
    return commands.RevokeSingleUseToken(TokenString(call.path["token"]))


def write_single_use_token(view: commands.SingleUseTokenView, call: AnyCall) -> wire.SingleUseTokenOut:
    """Show a single-use token."""
    token, details = view.token, view.details
    left_s = int((token.expires_at - view.now).total_seconds())
    return wire.SingleUseTokenOut(
        token=view.string,
        id=token.id,
        status=token.state.value,
        mode=token.tenant.mode.value,
        created_at=token.created_at,
        expires_at=token.expires_at,
        expires_in_s=max(left_s, 0),
        card=card_out(token.summary, details),
        bank_account=_bank_account_out(token.summary, details),
        billing_address=_address_out(details),
        customer=token.customer_id,
        metadata=dict(token.metadata),
        operation=token.operation_id,
    )


# --- payments --------------------------------------------------------------------------------------


def read_pay(call: Call[wire.PayIn, NoQuery]) -> commands.Pay:
    """Read a payment to make."""
    body = call.body
    return commands.Pay(
        kind=OperationKind.PURCHASE if body.capture else OperationKind.AUTHORIZATION,
        money=Money(_amount_minor(body.amount_minor), body.currency),
        source=_source(body.source),
        initiator=Initiator(body.initiator),
        reason=None if body.reason is None else Reason(body.reason),
        reference=read_text(body.reference, "reference"),
        save=_save(body),
        customer_id=read_customer_id(body.customer),
        metadata=read_metadata(body.metadata),
        network_transaction_id=read_text(body.network_transaction_id, "network_transaction_id"),
    )


def _save(body: wire.PayIn) -> commands.SaveCredential | None:
    if body.save is None:
        return None
    return commands.SaveCredential(
        kind=StoredTokenKind(body.save),
        reason=Reason(body.reason) if body.reason else Reason.UNSCHEDULED,
        agreement_id=None if body.agreement is None else AgreementId(body.agreement),
    )


def read_verify(call: Call[wire.VerifyIn, NoQuery]) -> commands.Pay:
    """Read a verification."""
    body = call.body
    return commands.Pay(
        kind=OperationKind.VERIFICATION,
        money=Money(0, body.currency),
        source=_source(body.source),
        reference=read_text(body.reference, "reference"),
        customer_id=read_customer_id(body.customer),
        metadata=read_metadata(body.metadata),
    )


def read_credit(call: Call[wire.CreditIn, NoQuery]) -> commands.Pay:
    """Read a standalone credit."""
    body = call.body
    return commands.Pay(
        kind=OperationKind.CREDIT,
        money=Money(_amount_minor(body.amount_minor), body.currency),
        source=_source(body.source),
        reference=read_text(body.reference, "reference"),
        customer_id=read_customer_id(body.customer),
        metadata=read_metadata(body.metadata),
    )


def _read_follow_up(
    kind: OperationKind,
) -> Callable[[Call[wire.FollowUpIn, NoQuery]], commands.FollowUp]:
    def read(call: Call[wire.FollowUpIn, NoQuery]) -> commands.FollowUp:
        body = call.body
        return commands.FollowUp(
            payment_id=PaymentId(call.path["payment_id"]),
            kind=kind,
            amount_minor=None if body.amount_minor is None else _amount_minor(body.amount_minor),
            reference=read_text(body.reference, "reference"),
        )

    return read


read_capture = _read_follow_up(OperationKind.CAPTURE)
read_refund = _read_follow_up(OperationKind.REFUND)


def read_void(call: Call[wire.VoidIn, NoQuery]) -> commands.FollowUp:
    """Read a void."""
    body = call.body
    return commands.FollowUp(
        payment_id=PaymentId(call.path["payment_id"]),
        kind=OperationKind.VOID,
        amount_minor=None if body.amount_minor is None else _amount_minor(body.amount_minor),
        target_id=None if body.operation is None else OperationId(body.operation),
        reference=read_text(body.reference, "reference"),
    )


def read_payment(call: Call[NoBody, NoQuery]) -> commands.GetPayment:
    """Read which payment, verification or credit to show."""
    return commands.GetPayment(PaymentId(call.path["payment_id"]))


def read_payments(call: Call[NoBody, wire.PaymentQuery]) -> commands.ListPayments:
    """Read which payments to list."""
    query = call.query
    filters = {
        "status": query.status,
        "reference": query.reference,
        "customer_id": query.customer,
        "agreement_id": query.agreement,
        "stored_token_id": query.payment_token,
    }
    return commands.ListPayments(read_page(query, filters), with_operations=query.expand == "operations")


_OBJECTS: Mapping[OperationKind, Any] = {
    OperationKind.VERIFICATION: "verification",
    OperationKind.CREDIT: "credit",
}


def write_payment(view: commands.PaymentView, call: AnyCall) -> wire.PaymentOut:
    """Show a payment with its operations."""
    return payment_out(view)


def payment_out(view: commands.PaymentView) -> wire.PaymentOut:
    """Show a payment with its operations."""
    return _payment_out(view, [_operation_out(operation) for operation in view.operations])


def _payment_out(view: commands.PaymentView, operations: list[wire.OperationOut] | None) -> wire.PaymentOut:
    payment = view.payment
    saved: dict[StoredTokenKind, str] = {}
    if view.saved is not None:
        saved[view.saved.token.kind] = view.saved.string or view.saved.token.id
    return wire.PaymentOut(
        object=_OBJECTS.get(payment.kind, "payment"),
        id=payment.id,
        status=payment.status.value,
        mode=payment.tenant.mode.value,
        amount_minor=payment.amount_minor,
        authorized_minor=payment.authorized_minor,
        captured_minor=payment.captured_minor,
        refunded_minor=payment.refunded_minor,
        voided_minor=payment.voided_minor,
        currency=payment.currency,
        created_at=payment.created_at,
        source=_source_out(payment),
        initiator=payment.initiator.value,
        reason=payment.reason.value if payment.reason else None,
        reference=payment.reference,
        checks=wire.ChecksOut(avs=payment.checks.avs.value, cvc=payment.checks.cvc.value),
        decline=_decline_out(payment.decline),
        authorization_code=payment.authorization_code,
        network_transaction_id=payment.network_transaction_id,
        operations=operations,
        payment_token=saved.get(StoredTokenKind.PAYMENT_TOKEN),
        recurrence_token=saved.get(StoredTokenKind.RECURRENCE_TOKEN),
        agreement=payment.agreement_id,
        customer=payment.customer_id,
        metadata=dict(payment.metadata),
    )


def _source_out(payment: Payment) -> wire.SourceOut:
    stored = payment.stored_token_id
    type_: Any = "instrument"
    if payment.single_use_token_id is not None:
        type_ = "single_use_token"
    elif stored is not None:
        type_ = "recurrence_token" if stored.startswith("rt_") else "payment_token"
    return wire.SourceOut(
        type=type_,
        id=payment.single_use_token_id or stored,
        card=card_out(payment.summary, None),
        bank_account=_bank_account_out(payment.summary, None),
    )


def write_payments(
    page: Page[commands.PaymentView], call: Call[NoBody, wire.PaymentQuery]
) -> wire.PaymentListOut:
    """Show a page of payments; their operations only where that was asked for."""
    is_expanded = call.query.expand == "operations"
    data = [write_payment(view, call) if is_expanded else _payment_out(view, None) for view in page.items]
    return wire.PaymentListOut(
        data=data, has_more=page.has_more, next_url=next_url(page, call, data[-1].id if data else None)
    )


# --- stored credentials ----------------------------------------------------------------------------


def read_store(call: Call[wire.StoreIn, NoQuery]) -> commands.StoreCredential:
    """Read which single-use token to turn into a stored credential."""
    body = call.body
    return commands.StoreCredential(
        source=commands.FromSingleUseToken(TokenString(body.single_use_token)),
        kind=StoredTokenKind(body.kind),
        customer_id=read_customer_id(body.customer),
        agreement_id=None if body.agreement is None else AgreementId(body.agreement),
        network_transaction_id=read_text(body.network_transaction_id, "network_transaction_id"),
        label=read_text(body.label, "label"),
        metadata=read_metadata(body.metadata),
    )


def read_stored_token(call: Call[NoBody, NoQuery]) -> commands.GetStoredToken:
    """Read which stored credential to show."""
    return commands.GetStoredToken(call.path["payment_token"])


def read_stored_tokens(call: Call[NoBody, wire.StoredTokenQuery]) -> commands.ListStoredTokens:
    """Read which stored credentials to list."""
    query = call.query
    filters = {"kind": query.kind, "customer_id": query.customer, "agreement_id": query.agreement}
    return commands.ListStoredTokens(read_page(query, filters))


def read_stored_token_update(
    call: Call[wire.StoredTokenUpdateIn, NoQuery],
) -> commands.UpdateStoredToken:
    """Read what to change."""
    body = call.body
    return commands.UpdateStoredToken(
        token=call.path["payment_token"],
        label=read_text(body.label, "label"),
        metadata=None if body.metadata is None else read_metadata(body.metadata),
        customer_id=read_customer_id(body.customer),
        exp_month=body.exp_month,
        exp_year=body.exp_year,
    )


def read_stored_token_deletion(call: Call[NoBody, NoQuery]) -> commands.DeleteStoredToken:
    """Read which stored credential to erase."""
    return commands.DeleteStoredToken(call.path["payment_token"])


def write_stored_token(view: commands.StoredTokenView, call: AnyCall) -> wire.StoredTokenOut:
    """Show a stored credential; its string only where it was just made."""
    return stored_token_out(view)


def stored_token_out(view: commands.StoredTokenView) -> wire.StoredTokenOut:
    """Show a stored credential; its string only where it was just made."""
    token, details = view.token, view.details
    return wire.StoredTokenOut(
        object=token.kind.value,
        id=token.id,
        status=token.state.value,
        mode=token.tenant.mode.value,
        created_at=token.created_at,
        card=card_out(token.summary, details),
        bank_account=_bank_account_out(token.summary, details),
        billing_address=_address_out(details),
        customer=token.customer_id,
        agreement=token.agreement_id,
        network_transaction_id=token.network_transaction_id,
        label=token.label,
        metadata=dict(token.metadata),
        token=UNSET if view.string is None else view.string,
    )


def write_stored_tokens(
    page: Page[commands.StoredTokenView], call: Call[NoBody, wire.StoredTokenQuery]
) -> wire.StoredTokenListOut:
    """Show a page of stored credentials."""
    data = [write_stored_token(view, call) for view in page.items]
    return wire.StoredTokenListOut(
        data=data, has_more=page.has_more, next_url=next_url(page, call, data[-1].id if data else None)
    )


def read_agreement_in(call: Call[wire.AgreementIn, NoQuery]) -> commands.CreateAgreement:
    """Read what the customer consented to."""
    body = call.body
    return commands.CreateAgreement(
        reason=Reason(body.reason),
        consented_at=_instant(body.consented_at),
        customer_id=read_customer_id(body.customer),
        network_transaction_id=read_text(body.network_transaction_id, "network_transaction_id"),
        reference=read_text(body.reference, "reference"),
        description=read_text(body.description, "description"),
        metadata=read_metadata(body.metadata),
    )


def _instant(instant: datetime | None) -> datetime | None:
    if instant is not None and instant.tzinfo is None:
        raise InvalidRequest(
            ErrorCode.PARAMETER_INVALID, param="consented_at", detail="Give the instant with its offset."
        )
    return None if instant is None else instant.astimezone(UTC)


def read_agreement(call: Call[NoBody, NoQuery]) -> commands.GetAgreement:
    """Read which agreement to show."""
    return commands.GetAgreement(AgreementId(call.path["agreement_id"]))


def read_agreements(call: Call[NoBody, wire.AgreementQuery]) -> commands.ListAgreements:
    """Read which agreements to list."""
    query = call.query
    return commands.ListAgreements(read_page(query, {"customer_id": query.customer, "state": query.status}))


def read_agreement_end(call: Call[NoBody, NoQuery]) -> commands.EndAgreement:
    """Read which agreement to end."""
    return commands.EndAgreement(AgreementId(call.path["agreement_id"]))


def write_agreement(agreement: Agreement, call: AnyCall) -> wire.AgreementOut:
    """Show an agreement."""
    return agreement_out(agreement)


def agreement_out(agreement: Agreement) -> wire.AgreementOut:
    """Show an agreement."""
    return wire.AgreementOut(
        id=agreement.id,
        status=agreement.state.value,
        mode=agreement.tenant.mode.value,
        reason=agreement.reason.value,
        consented_at=agreement.consented_at,
        created_at=agreement.created_at,
        customer=agreement.customer_id,
        network_transaction_id=agreement.network_transaction_id,
        reference=agreement.reference,
        description=agreement.description,
        metadata=dict(agreement.metadata),
    )


def write_agreements(page: Page[Agreement], call: Call[NoBody, wire.AgreementQuery]) -> wire.AgreementListOut:
    """Show a page of agreements."""
    data = [write_agreement(agreement, call) for agreement in page.items]
    return wire.AgreementListOut(
        data=data, has_more=page.has_more, next_url=next_url(page, call, data[-1].id if data else None)
    )


# --- customers --------------------------------------------------------------------------


def read_customer_in(call: Call[wire.CustomerIn, NoQuery]) -> commands.CreateCustomer:
    """Read a customer to store."""
    body = call.body
    return commands.CreateCustomer(
        reference=read_text(body.reference, "reference"),
        name=read_text(body.name, "name"),
        email=read_text(body.email, "email"),
        phone=read_text(body.phone, "phone"),
        metadata=read_metadata(body.metadata),
    )


def read_customer(call: Call[NoBody, NoQuery]) -> commands.GetCustomer:
    """Read which customer to show."""
    return commands.GetCustomer(CustomerId(call.path["customer_id"]))


def read_customers(call: Call[NoBody, wire.CustomerQuery]) -> commands.ListCustomers:
    """Read which customers to list."""
    query = call.query
    return commands.ListCustomers(read_page(query, {"reference": query.reference, "email": query.email}))


def read_customer_update(call: Call[wire.CustomerUpdateIn, NoQuery]) -> commands.UpdateCustomer:
    """Read what to change about a customer."""
    body = call.body
    changes: dict[str, str | None] = {}
    for name in ("reference", "name", "email", "phone"):
        value: str | UnsetType | None = getattr(body, name)
        if not isinstance(value, UnsetType):
            changes[name] = read_text(value, name)
    return commands.UpdateCustomer(
        customer_id=CustomerId(call.path["customer_id"]),
        changes=changes,
        metadata=None if body.metadata is None else read_metadata(body.metadata),
    )


def read_customer_deletion(call: Call[NoBody, NoQuery]) -> commands.DeleteCustomer:
    """Read which customer to delete."""
    return commands.DeleteCustomer(CustomerId(call.path["customer_id"]))


def write_customer(customer: Customer, call: AnyCall) -> wire.CustomerOut:
    """Show a customer."""
    return customer_out(customer)


def customer_out(customer: Customer) -> wire.CustomerOut:
    """Show a customer."""
    return wire.CustomerOut(
        id=customer.id,
        mode=customer.tenant.mode.value,
        created_at=customer.created_at,
        is_deleted=customer.deleted_at is not None,
        reference=customer.reference,
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        metadata=dict(customer.metadata),
    )


def write_customers(page: Page[Customer], call: Call[NoBody, wire.CustomerQuery]) -> wire.CustomerListOut:
    """Show a page of customers."""
    data = [write_customer(customer, call) for customer in page.items]
    return wire.CustomerListOut(
        data=data, has_more=page.has_more, next_url=next_url(page, call, data[-1].id if data else None)
    )


# --- sandbox ---------------------------------------------------------------------------------------


def read_clock(call: Call[wire.ClockIn, NoQuery]) -> commands.MoveClock:
    """Read how far to move the clock."""
    try:
        return commands.MoveClock(timedelta(seconds=call.body.forward_s))
    except OverflowError:
        raise _invalid("forward_s") from None


def write_clock(view: commands.ClockView, call: AnyCall) -> wire.ClockOut:
    """Show the merchant's clock."""
    return wire.ClockOut(now=view.now, offset_s=int(view.offset.total_seconds()))


def read_fault(call: Call[wire.FaultIn, NoQuery]) -> commands.AddFault:
    """Read which trouble to script."""
    body = call.body
    for name, value in (body.parameters or {}).items():
        read_text(name, "parameters")
        read_text(value, "parameters")
    return commands.AddFault(
        Fault(
            trouble=body.trouble,
            operation=None if body.operation is None else OperationKind(body.operation),
            count=body.count,
            delay_s=body.delay_s,
            parameters=body.parameters or {},
        )
    )


def write_fault(fault: Fault, call: AnyCall) -> wire.FaultOut:
    """Show queued trouble."""
    return wire.FaultOut(
        trouble=fault.trouble,
        operation=fault.operation.value if fault.operation else None,
        count=fault.count,
        delay_s=fault.delay_s,
        parameters=dict(fault.parameters),
    )


def read_no_faults(call: Call[NoBody, NoQuery]) -> commands.ClearFaults:
    """Read that trouble is to be forgotten."""
    return commands.ClearFaults()


def write_nothing(result: None, call: AnyCall) -> Struct | None:
    """Answer without a body."""
    return None


def read_batch_close(call: Call[NoBody, NoQuery]) -> commands.CloseBatch:
    """Read that the batch is to be closed."""
    return commands.CloseBatch()


def write_batch(view: commands.BatchView, call: AnyCall) -> wire.BatchOut:
    """Show what the batch settled."""
    operations: Sequence[Operation] = view.operations
    return wire.BatchOut(settled=[_operation_out(operation) for operation in operations])
