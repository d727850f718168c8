"""Generation three: flat, with words in upper case and texts for ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from farebox.dialects.bamboo import wire, wire_v3
from farebox.dialects.bamboo.errors import decline_code, language_of, refusal, text_of
from farebox.dialects.bamboo.mapping_customers import flat_facts
from farebox.dialects.bamboo.mapping_v1 import check_pre_authorized, check_refundable
from farebox.dialects.bamboo.presenting import (
    APPROVED,
    PENDING,
    REJECTED,
    authorized_at,
    current_minor,
    error_of,
    find_payment,
    medium_of_payment,
    metadata_out,
    page_url,
    state_of,
    state_of_operation,
)
from farebox.dialects.bamboo.reading import (
    UNIQUE_ID,
    V3,
    AnyCall,
    OnFile,
    Wanted,
    attributes_of,
    check_country,
    check_document,
    check_email,
    check_medium,
    country_named,
    facts_of,
    pay,
    read_card_data,
    read_installments,
    read_money,
)
from farebox.dialects.bamboo.tables import (
    Medium,
    brand_name,
    countries,
    medium_by_code,
    medium_of_summary,
    type_name,
)
from farebox.dialects.bamboo.values import (
    LONG,
    clip,
    hundredths_of,
    money_of,
    number_in,
    numbering_of,
    object_of,
    order_of,
    present,
    timestamp,
)
from farebox.dialects.dialect import Call
from farebox.domain.cards import Card, Cvc, parse_expiry, parse_pan
from farebox.domain.ids import OperationId
from farebox.domain.instruments import InstrumentKind, PayerDetails
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, Operation, OperationKind
from farebox.domain.payments import Payment
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import (
    Attempt,
    Command,
    FindNumbered,
    FollowUp,
    FromInstrument,
    GetOperation,
    GetPaymentByKey,
    Give,
    ListPayments,
    Pay,
    PaymentView,
    Then,
)

PurchaseCall = Call[wire_v3.PurchaseIn, wire.Nothing]
AmountCall = Call[wire.AmountIn, wire.Nothing]
NothingCall = Call[wire.Nothing, wire.Nothing]


# --- creating --------------------------------------------------------------------------------------


def read_purchase(call: PurchaseCall) -> Command[PaymentView]:
    """Read a purchase with exactly one of token, card, network token and alternative method.

    Raises:
        WireRefusal: any of the codes of a purchase's fields.
    """
    body = call.body
    method = None if body.network_token is not None else clip(body.payment_method)
    given = (body.trx_token, body.card_data, body.network_token, method)
    if sum(bool(one) for one in given) != 1:
        raise refusal("PR001")
    if body.network_token is not None and not body.payment_method:
        raise refusal("TK019")
    if order_of(body.order) is None:
        raise refusal("PR002")
    if body.loyalty_plan is not None:
        raise refusal("LP0002")
    money = read_money(body, V3)
    if not body.target_country:
        raise refusal("PR034")
    country = country_named(body.target_country, money.currency)
    medium = _medium(country, method)
    check_country(country, money, medium.limits_type if medium else "card", body, V3)
    customer = flat_facts(body.customer)
    check_document(customer, country, medium)
    if medium is not None:
        check_medium(medium, body, customer)
    return pay(_wanted(call, money, country, medium, customer), call)


def _medium(country: str, method: str | None) -> Medium | None:
    if method is None:
        return None
    medium = medium_by_code(country, method.upper())
    if medium is None:
        raise refusal("TK019")
    if medium.is_card:
        raise refusal("TK007")
    return medium


def _wanted(
    call: PurchaseCall, money: Money, country: str, medium: Medium | None, customer: dict[str, object]
) -> Wanted:
    body = call.body
    installments = read_installments(body.installments, country, is_card=medium is None)
    card = None
    if body.card_data is not None:
        card = read_card_data(body.card_data, call)
        customer.setdefault("email", clip(body.card_data.email))
    elif body.network_token is not None:
        card = _network_token(body.network_token, call)
    captures = body.capture is not False or medium is not None
    extra = {"invoice": clip(body.invoice_number), "descriptor": clip(body.soft_descriptor)}
    wanted = Wanted(
        terms=V3,
        kind=OperationKind.PURCHASE if captures else OperationKind.AUTHORIZATION,
        money=money,
        country=country,
        order=order_of(body.order) or "",
        facts=facts_of(body, V3, country, installments) | present(extra),
        customer=customer,
        key=UNIQUE_ID.key_of(body.unique_id),
        token=body.trx_token or None,
        card=card,
        medium=medium,
        metadata=body.metadata_in or {},
        on_file=_on_file(body.card_on_file),
        attributes={**attributes_of(customer), **_authentication(body)},
    )
    if not wanted.is_with_stored_card:
        check_email(customer, V3)
    return wanted


def _network_token(token: wire_v3.NetworkTokenIn, call: AnyCall) -> Card:
    """Read a network's token; its cryptogram lives and dies as a security code does (SEC-03).

    Raises:
        WireRefusal: `TK001`, `TK003` or `TK022`.
    """
    if not token.cryptogram:
        raise refusal("TK022")
    expiry = parse_expiry(token.expiration_month, token.expiration_year)
    if expiry.passed(call.now.date()):
        raise refusal("TK003")
    return Card(parse_pan(token.token), expiry, clip(token.card_holder_name), Cvc(token.cryptogram))


def _on_file(sent: wire_v3.CardOnFileIn | None) -> OnFile:
    """Read who starts the payment.

    Raises:
        WireRefusal: `TR017`.
    """
    if sent is None:
        return OnFile()
    linked = clip(sent.network_transaction_id, 64)
    match sent.transaction_type.upper():
        case "CIT":
            return OnFile(network_transaction_id=linked)
        case "FIT":
            return OnFile(is_first=True)
        case "MIT":
            return OnFile(initiator=Initiator.MERCHANT, network_transaction_id=linked)
        case _:
            raise refusal("TR017")


def _authentication(body: wire_v3.PurchaseIn) -> dict[str, str]:
    """Pass on what another party's 3-D Secure gave.

    Raises:
        WireRefusal: `TR043` for an unknown method, `TK021` without its result, `TK022` for an incomplete one.
    """
    method = (body.three_ds_method or "DISABLED").upper()
    if method == "DISABLED":
        return {}
    if method != "EXTERNAL":
        raise refusal("TR043")
    sent = body.three_ds
    if sent is None:
        raise refusal("TK021")
    if not (sent.eci and sent.cavv and sent.version):
        raise refusal("TK022")
    # The authentication value itself is card data: it is not passed on as an attribute.
    return {
        "three_ds_eci": sent.eci[:2],
        "three_ds_version": sent.version[:8],
        "three_ds_transaction_id": (sent.transaction_id or "")[:64],
    }


# --- finding ---------------------------------------------------------------------------------------


def _number(call: AnyCall) -> int:
    return number_in(call.path["transaction_id"], "PR007", status=400)


def read_one(call: NothingCall) -> Command[PaymentView]:
    """Read which purchase to show.

    Raises:
        WireRefusal: `PR007`.
    """
    return find_payment(_number(call))


def read_of_order(call: NothingCall) -> Command[PaymentView]:
    """Read whose order's latest purchase to show.

    Raises:
        WireRefusal: `PR008`.
    """
    page = PageRequest(limit=1, filters={"reference": call.path["order"]})

    def newest(found: Page[PaymentView]) -> Command[PaymentView]:
        if not found.items:
            raise refusal("PR008", status=404)
        return Give(found.items[0])

    return Then(ListPayments(page, with_operations=True), newest)


def read_of_unique_id(call: NothingCall) -> Command[PaymentView]:
    """Read the purchase of which `UniqueID` to show, while it is remembered.

    Raises:
        WireRefusal: `PR008`.
    """
    key = UNIQUE_ID.key_of(call.path["unique_id"])
    if key is None:
        raise refusal("PR008", status=404)
    return GetPaymentByKey(UNIQUE_ID.kind_name, key)


def read_transaction(call: NothingCall) -> Command[PaymentView]:
    """Read which purchase or refund to show.

    Raises:
        WireRefusal: `PR007`.
    """
    number = _number(call)

    def refund_or_none(payment: PaymentView | None) -> Command[PaymentView]:
        if payment is not None:
            return Give(payment)
        found: Command[str] = FindNumbered("op", numbering_of(number), number)
        return Then(found, lambda identifier: GetOperation(OperationId(identifier)))

    return Then(Attempt(find_payment(number)), refund_or_none)


# --- following up ----------------------------------------------------------------------------------


def _follow_up(
    kind: OperationKind, make: Callable[[AmountCall, Payment, int | None], FollowUp]
) -> Callable[[AmountCall], Command[PaymentView]]:
    def read(call: AmountCall) -> Command[PaymentView]:
        def then(view: PaymentView) -> Command[PaymentView]:
            payment, amount = view.payment, call.body.amount
            amount_minor = None
            if amount is not None:
                amount_minor = money_of(amount, payment.currency, code="TR039").amount_minor
            command = make(call, payment, amount_minor)
            return replace(
                command, kind=kind, releases_rest=command.releases_rest and kind is OperationKind.CAPTURE
            )

        return Then(find_payment(_number(call)), then)

    return read


def _of_authorization(call: AmountCall, payment: Payment, amount_minor: int | None) -> FollowUp:
    check_pre_authorized(payment, amount_minor)
    return FollowUp(payment.id, OperationKind.CAPTURE, amount_minor, releases_rest=True)


_PAYOUT = ("RefundBankID", "RefundBankAccountType", "RefundBankAccountNumber")
_CONTACT = ("CustomerEmail", "CustomerPhoneNumber")
_PERSON = (
    "CustomerFirstName",
    "CustomerLastName",
    "CustomerDocumentType",
    "CustomerDocumentNumber",
)


def _of_purchase(call: AmountCall, payment: Payment, amount_minor: int | None) -> FollowUp:
    _, medium = medium_of_payment(payment)
    needs_payout = medium is not None and not medium.is_card and "F" not in medium.operations
    check_refundable(payment, amount_minor, by_payout=needs_payout, too_much="TR039")
    if not needs_payout:
        return FollowUp(payment.id, OperationKind.REFUND, amount_minor)
    payout = _payout(call.body.metadata_in or {}, payment)
    return FollowUp(
        payment.id, OperationKind.REFUND, amount_minor, attributes={"payout": "1"}, facts={"payout": payout}
    )


def _payout(metadata: Mapping[str, object], payment: Payment) -> dict[str, object]:
    """Read to which bank account, or through which contact, a refund in cash goes.

    Only the account's last four digits are kept.

    Raises:
        WireRefusal: `TR035` for what is missing, `TR036` for what is not valid.
    """
    sent = {name.lower(): clip(value) for name, value in metadata.items()}

    def of(name: str) -> str | None:
        return sent.get(name.lower())

    bank = [of(name) for name in _PAYOUT]
    has_contact = any(of(name) for name in _CONTACT)
    if not object_of(payment.facts, "customer") and not all(of(name) for name in _PERSON):
        raise refusal("TR035")
    if not has_contact and not all(bank):
        raise refusal("TR035")
    if any(bank) and (not all(bank) or of("RefundBankAccountType") not in {"1", "2"}):
        raise refusal("TR036")
    number = of("RefundBankAccountNumber")
    if number is not None and not (number.isascii() and number.isalnum() and 4 <= len(number) <= 34):
        raise refusal("TR036")
    return present(
        {
            "RefundBankAccountNumber": "*" * (len(number) - 4) + number[-4:] if number else None,
            "RefundBankId": of("RefundBankID"),
            "RefundBankAccountType": of("RefundBankAccountType"),
        }
    )


read_capture = _follow_up(OperationKind.CAPTURE, _of_authorization)
read_cancel = _follow_up(OperationKind.VOID, _of_authorization)
read_refund = _follow_up(OperationKind.REFUND, _of_purchase)


# --- showing ---------------------------------------------------------------------------------------


def write_purchase(view: PaymentView, call: AnyCall) -> wire_v3.PurchaseOut:
    """Show a purchase."""
    return wire_v3.PurchaseOut(**_members(view, call))


def write_transaction(view: PaymentView, call: AnyCall) -> wire_v3.TransactionOut:
    """Show a purchase, or the refund that was asked for."""
    members = _members(view, call)
    operation = view.operation
    if operation is None or operation.kind is not OperationKind.REFUND:
        return wire_v3.TransactionOut(**members, type="PURCHASE")
    number = LONG.number_of(operation.id)
    members |= _members_of(operation, call)
    members["amount"] = -members["amount"]
    members["url"] = f"{call.base_url}/v3/api/transaction/{number}"
    return wire_v3.TransactionOut(**members, type="REFUND")


def _members(view: PaymentView, call: AnyCall) -> dict[str, Any]:
    payment, facts = view.payment, view.payment.facts
    state = state_of(payment)
    code, description = error_of(payment, call)
    closed_at = authorized_at(view) if state is not PENDING else None
    number = LONG.number_of(payment.id)
    return {
        "transaction_id": str(number),
        "result": _result(payment),
        "status": state.flat_word,
        "error_code": code,
        "error_description": description,
        "created": timestamp(payment.created_at),
        "authorization_date": timestamp(closed_at) if closed_at else None,
        "authorization_code": payment.authorization_code,
        "amount": hundredths_of(current_minor(payment), payment.currency),
        "currency": payment.currency,
        "installments": facts.get("installments", 1),
        "taxable_amount": facts.get("taxable"),
        "tip": facts.get("tip"),
        "url": f"{call.base_url}/Purchase/{number}",
        "metadata_out": _metadata_out(payment, call),
        "action": _action_out(payment, call),
        "payment_method": _method_out(payment),
    }


def _result(payment: Payment) -> str:
    _, medium = medium_of_payment(payment)
    if state_of(payment) is not PENDING or medium is None or medium.result == "completed":
        return "COMPLETED"
    return "ACTION_REQUIRED"


def _metadata_out(payment: Payment, call: AnyCall) -> wire.Json | None:
    """Give a voucher's data, or the id that the following payments of a series refer to."""
    if payment.saved_token_id is not None and payment.network_transaction_id is not None:
        return {"NetworkTransactionId": payment.network_transaction_id}
    return metadata_out(payment, call)


def _action_out(payment: Payment, call: AnyCall) -> wire_v3.ActionOut | None:
    url, session = page_url(payment, call), payment.facts.get("session")
    _, medium = medium_of_payment(payment)
    if medium is None or medium.result != "action" or state_of(payment) is not PENDING:
        return None
    if url is None or not isinstance(session, str):
        return None
    return wire_v3.ActionOut(session_id=session, reason="REDIRECTION_NEEDED_EXTERNAL_SERVICE", url=url)


def _method_out(payment: Payment) -> wire_v3.MethodOut:
    summary = payment.summary
    _, medium = medium_of_payment(payment)
    if summary.kind is not InstrumentKind.CARD:
        return wire_v3.MethodOut(
            brand=None, card_owner=None, bin=None, issuer_bank=None, type=None, expiration=None, last4=None
        )
    owner = payment.facts.get("owner")
    return wire_v3.MethodOut(
        brand=brand_name(summary, medium),
        card_owner=owner if isinstance(owner, str) else None,
        bin=(summary.bin or "")[:6] or None,
        issuer_bank=None,
        type=type_name(summary, medium),
        expiration=f"{summary.exp_year:04}{summary.exp_month:02}" if summary.exp_year else None,
        last4=summary.last_four,
    )


def write_refund(view: PaymentView, call: AnyCall) -> wire_v3.RefundOut:
    """Show a refund."""
    operation = view.operation
    assert operation is not None, "a refund makes an operation"
    return wire_v3.RefundOut(**_members_of(operation, call))


def _members_of(operation: Operation, call: AnyCall) -> dict[str, Any]:
    state = state_of_operation(operation)
    code = decline_code(operation.decline) if operation.decline else None
    payout = operation.facts.get("payout")
    return {
        "transaction_id": str(LONG.number_of(operation.id)),
        "result": "COMPLETED",
        "status": state.flat_word,
        "error_code": code,
        "error_description": text_of(code, language_of(call.headers)) if code else None,
        "created": timestamp(operation.created_at),
        "authorization_date": timestamp(operation.closed_at) if operation.closed_at else None,
        "authorization_code": operation.authorization_code,
        "amount": hundredths_of(operation.money.amount_minor, operation.money.currency),
        "currency": operation.money.currency,
        "metadata_out": payout if isinstance(payout, dict) else None,
    }


# --- card validation -------------------------------------------------------------------------------


def read_validation(call: Call[wire_v3.ValidateIn, wire.Nothing]) -> Command[PaymentView]:
    """Read a card to validate, by an authorization of nothing.

    Raises:
        WireRefusal: `TK001`, `TK002`, `TK003`, `TK015`, `PR034`; `TR040` where the country wants a customer.
    """
    data = call.body.card_data
    country = country_named(data.target_country, "")
    card = read_card_data(data, call)
    customer = flat_facts(call.body.customer)
    if country in {"AR", "BR"} and "billing" not in customer:
        raise refusal("TR025")
    return Pay(
        kind=OperationKind.VERIFICATION,
        money=Money(0, countries()[country].currencies[0]),
        source=FromInstrument(card, PayerDetails(holder_name=card.holder_name)),
        facts={"country": country},
    )


def write_validation(view: PaymentView, call: AnyCall) -> wire_v3.ValidationOut:
    """Show what came of a validation."""
    payment = view.payment
    code, description = error_of(payment, call)
    _, medium = medium_of_summary(payment.summary, str(payment.facts.get("country") or ""))
    return wire_v3.ValidationOut(
        status=(APPROVED if state_of(payment) is APPROVED else REJECTED).flat_word,
        error_code=code,
        error_description=description,
        payment_method=wire_v3.ValidatedMethodOut(
            brand=brand_name(payment.summary, medium),
            issuer_bank=None,
            type=type_name(payment.summary, medium),
        ),
    )
