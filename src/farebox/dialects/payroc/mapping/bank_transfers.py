"""Bank-transfer payments and refunds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at_terminal,
    created,
    custom_fields,
    facts_of,
    ids_of,
    instant,
    plain,
    shown_taxes,
    text,
)
from farebox.dialects.payroc.mapping.instruments import (
    read_bank,
    secure_token_of,
    write_bank_account,
    write_summary,
)
from farebox.dialects.payroc.mapping.payments import (
    any_of,
    between,
    check_kind,
    find_secure_token,
    keeps_settlement,
    save_of,
    stored_source,
)
from farebox.dialects.payroc.mapping.refunds import (
    REFUND_KINDS,
    find_refund,
    operations_by,
    refund_operation,
    reverse_refund,
    with_target,
)
from farebox.dialects.payroc.mapping.results import (
    is_reversed,
    is_settled,
    operation_status,
    order_of,
    payment_summary,
    refund_summaries,
    shown_amount,
)
from farebox.dialects.payroc.mapping.tokens import look
from farebox.dialects.payroc.paging import page_request, scan, write_page
from farebox.dialects.payroc.wire import instruments as shapes
from farebox.dialects.payroc.wire import payments as wire
from farebox.dialects.payroc.wire.common import PageOut
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.facts import Facts
from farebox.domain.ids import OperationId, PaymentId, range_of_short_id, short_id
from farebox.domain.instruments import InstrumentKind
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind, OperationState
from farebox.domain.tokens import TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import (
    Attempt,
    Command,
    FollowUp,
    Give,
    PaymentView,
    SingleUseTokenView,
    Then,
)

ACCOUNTS = frozenset({InstrumentKind.ACH, InstrumentKind.PAD})
_RETURNED = frozenset("R")
"""First letter of Nacha's return codes."""


# --- made ------------------------------------------------------------------------------------------


def read_payment_in(call: Call[wire.BankPaymentIn, NoQuery]) -> Command[PaymentView]:
    """Debit an account."""
    body = call.body
    facts = facts_of(
        processingTerminalId=body.processing_terminal_id,
        order=_order_facts(body.order),
        customer=plain(body.customer),
        customFields=custom_fields(body.custom_fields),
    )

    def pay(source: commands.Source, instrument: Facts) -> Command[PaymentView]:
        return commands.Pay(
            OperationKind.PURCHASE,
            Money(body.order.amount, body.order.currency),
            source,
            reference=body.order.order_id,
            save=save_of(call, body.processing_terminal_id, body.credential_on_file, instrument, facts),
            facts={**_of_account(instrument), **facts},
        )

    return at_terminal(call, body.processing_terminal_id, _with_method(call, body.payment_method, pay))


def _with_method(
    call: AnyCall,
    method: shapes.AchPayload | shapes.PadPayload | shapes.SecureTokenPayload | shapes.SingleUseTokenPayload,
    pay: Callable[[commands.Source, Facts], Command[PaymentView]],
    place: str = "paymentMethod",
) -> Command[PaymentView]:
    match method:
        case shapes.AchPayload() | shapes.PadPayload():
            read = read_bank(method, place, call.principal.tenant.mode)
            return pay(commands.FromInstrument(read.instrument), read.facts)
        case shapes.SecureTokenPayload():
            extra = facts_of(secCode=method.sec_code, accountType=method.account_type)
            return Then(
                find_secure_token(method.token, set(ACCOUNTS)),
                lambda view: pay(stored_source(view), {**view.token.facts, **extra}),
            )
        case shapes.SingleUseTokenPayload():
            more = facts_of(secCode=method.sec_code, accountType=method.account_type)
            source = commands.FromSingleUseToken(TokenString(method.token))

            def with_token(view: SingleUseTokenView | None) -> Command[PaymentView]:
                check_kind(view, set(ACCOUNTS))
                return pay(source, {**(view.token.facts if view else {}), **more})

            return Then(look(method.token), with_token)


def _of_account(facts: Facts) -> dict[str, Any]:
    shown = {"nameOnAccount", "accountType", "secCode"}
    return {name: value for name, value in facts.items() if name in shown}


def _order_facts(order: wire.BankOrderIn) -> dict[str, Any]:
    kept = plain(order)
    kept.pop("dateTime", None)
    return kept


# --- shown -----------------------------------------------------------------------------------------


def return_code(view: PaymentView) -> str | None:
    """Give the code with which the bank returned the debit; nothing when it did not."""
    payment = view.payment
    code = payment.decline.processor_code if payment.decline else None
    is_return = payment.state is OperationState.DECLINED and code is not None and code[:1] in _RETURNED
    return code if is_return else None


def bank_status(view: PaymentView) -> tuple[str, str]:
    """Give status and response code of a bank transfer."""
    state = view.payment.state
    if return_code(view) is not None:
        return "returned", "A"
    if state in {OperationState.DECLINED, OperationState.FAILED, OperationState.REVERSED}:
        return "declined", "D"
    if state in {OperationState.SUBMITTED, OperationState.IN_DOUBT}:
        return "pending", "A"
    if is_reversed(view):
        return "reversal", "A"
    return ("complete" if is_settled(view) else "ready"), "A"


def _result(view: PaymentView) -> wire.BankResult:
    payment = view.payment
    status, code = bank_status(view)
    decline = payment.decline
    is_verification = payment.kind is OperationKind.VERIFICATION
    amount = shown_amount(view) if payment.state is OperationState.APPROVED else payment.amount_minor
    return wire.BankResult(
        type="accountVerification" if is_verification else "payment",
        status=status,
        authorized_amount=amount,
        currency=payment.currency,
        response_code=code,
        response_message=(decline.message or "Declined") if decline and code == "D" else "NoError",
        processor_response_code=decline.processor_code if decline else "0",
    )


def payment_out(
    view: PaymentView, call: AnyCall, successor: PaymentView | None = None
) -> wire.BankPaymentOut:
    """Show a bank-transfer payment."""
    payment, facts = view.payment, view.payment.facts
    return wire.BankPaymentOut(
        payment_id=short_id(payment.id),
        processing_terminal_id=text(facts, "processingTerminalId")
        or call.principal.attribute("processing_terminal_id"),
        order=shown_taxes(order_of(payment, facts)),
        customer=_mapping(facts, "customer"),
        bank_account=write_bank_account(
            payment.summary, facts, write_summary(secure_token_of(view), call.base_url)
        ),
        refunds=refund_summaries(view, call.base_url, "bank-transfer-refunds"),
        returns=_returns(view),
        representment=payment_summary(successor, call.base_url, "bank-transfer-payments")
        if successor
        else None,
        transaction_result=_result(view),
        custom_fields=_list(facts, "customFields"),
    )


def _mapping(facts: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return facts.get(name)


def _list(facts: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    return facts.get(name)


def _returns(view: PaymentView) -> list[wire.ReturnOut] | None:
    code = return_code(view)
    if code is None:
        return None
    payment, operation = view.payment, view.operations[0]
    decline = payment.decline
    day = (operation.closed_at or operation.created_at).date().isoformat()
    return [
        wire.ReturnOut(
            payment_id=short_id(operation.id),
            date=day,
            return_code=code,
            return_reason=(decline.message if decline else None) or "Returned",
            represented=text(payment.facts, "replacedBy") is not None,
            closed=payment.facts.get("closed") is True,
        )
    ]


def write_new_payment(view: PaymentView, call: Call[wire.BankPaymentIn, NoQuery]) -> Answer:
    """Show a new payment."""
    body = payment_out(view, call)
    return created(body, f"{call.url}/{body.payment_id}")


def write_payment(view: PaymentView, call: AnyCall) -> wire.BankPaymentOut:
    """Show a payment."""
    return payment_out(view, call)


def find_payment(call: AnyCall) -> Command[PaymentView]:
    """Find the payment that the path names, or the one whose return it names."""
    short = call.path["paymentId"]
    ids = ids_of(short, "pay")
    of_return = range_of_short_id(short, "op")
    assert of_return is not None, "both readings take the same characters"

    def then(found: str | None) -> Command[PaymentView]:
        if found is not None:
            return Then(commands.GetPayment(PaymentId(found)), _only_accounts)
        return Then(
            commands.ResolveId(of_return),
            lambda operation: Then(commands.GetOperation(OperationId(operation)), _only_accounts),
        )

    return Then(Attempt(commands.ResolveId(ids)), then)


def _only_accounts(view: PaymentView) -> Command[PaymentView]:
    if view.payment.summary.kind not in ACCOUNTS or view.payment.kind is OperationKind.CREDIT:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return Give(view)


def read_payment(call: Call[NoBody, NoQuery]) -> Command[tuple[PaymentView, PaymentView | None]]:
    """Show one, with what it was represented by."""

    def then(view: PaymentView) -> Command[tuple[PaymentView, PaymentView | None]]:
        successor = text(view.payment.facts, "replacedBy")
        if successor is None:
            return Give((view, None))
        found = Attempt(commands.GetPayment(PaymentId(successor)))
        return Then(found, lambda other: Give((view, other)))

    return Then(find_payment(call), then)


def write_with_successor(
    views: tuple[PaymentView, PaymentView | None], call: Call[NoBody, NoQuery]
) -> wire.BankPaymentOut:
    """Show a payment and its representment."""
    return payment_out(views[0], call, views[1])


# --- moved -----------------------------------------------------------------------------------------


def read_reversal(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Take a payment back, while its batch is open."""
    return Then(find_payment(call), lambda view: FollowUp(view.payment.id, OperationKind.VOID))


def read_refund(call: Call[wire.RefundIn, NoQuery]) -> Command[PaymentView]:
    """Reverse what is in an open batch; refund what is settled, where the scheme has refunds."""
    body = call.body

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        if not is_settled(view):
            return FollowUp(payment.id, OperationKind.VOID, body.amount)
        if payment.summary.kind is InstrumentKind.ACH:
            raise InvalidRequest(
                ErrorCode.PARAMETER_INVALID,
                param="paymentId",
                detail="A payment with the status COMPLETE cannot be refunded.",
            )
        facts = facts_of(description=body.description)
        return FollowUp(payment.id, OperationKind.REFUND, body.amount, facts=facts)

    return Then(find_payment(call), then)


def read_representment(call: Call[wire.RepresentIn, NoQuery]) -> Command[PaymentView]:
    """Debit again what the bank returned, from the same account or another one."""

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        _check_return_is_open(view)

        def pay(source: commands.Source, instrument: Facts) -> Command[PaymentView]:
            kept = {name: value for name, value in payment.facts.items() if name != "closed"}
            return commands.Pay(
                OperationKind.PURCHASE,
                Money(payment.amount_minor, payment.currency),
                source,
                reference=payment.reference,
                facts={**kept, **_of_account(instrument)},
                replaces=payment.id,
            )

        if call.body.payment_method is not None:
            return _with_method(call, call.body.payment_method, pay)
        token = secure_token_of(view)
        if token is None or token.token.shown_string is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="paymentMethod")
        return pay(stored_source(token), token.token.facts)

    return Then(find_payment(call), then)


def _check_return_is_open(view: PaymentView) -> None:
    facts = view.payment.facts
    if return_code(view) is None or "replacedBy" in facts or facts.get("closed") is True:
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)


def read_close(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Note that a returned payment will not be represented."""

    def then(view: PaymentView) -> Command[PaymentView]:
        _check_return_is_open(view)
        payment = view.payment
        return commands.AmendPayment(payment.id, payment.version, {**payment.facts, "closed": True})

    return Then(find_payment(call), then)


# --- listed ----------------------------------------------------------------------------------------


def read_payments(call: Call[NoBody, wire.BankPaymentQuery]) -> Command[Page[PaymentView]]:
    """List bank-transfer payments and account verifications of a terminal."""
    query = call.query
    kinds = (OperationKind.PURCHASE.value,)
    filters: dict[str, str | int | tuple[str, ...]] = {"kind": kinds, **between(query)}
    if query.order_id is not None:
        filters["reference"] = query.order_id

    def list_(request: PageRequest) -> Command[Page[PaymentView]]:
        narrowed = PageRequest(request.limit, request.after, request.before, filters)
        return commands.ListPayments(narrowed, with_operations=True)

    request = page_request(query, "pay")
    return scan(list_, request, _keeps_payment(query), lambda view: view.payment.id)


def _keeps_payment(query: wire.BankPaymentQuery) -> Callable[[PaymentView], bool]:
    types, statuses = any_of(query.type), any_of(query.status)

    def keeps(view: PaymentView) -> bool:
        return (
            view.payment.summary.kind in ACCOUNTS
            and _keeps_account(view, query)
            and (types is None or "payment" in types)
            and (statuses is None or bank_status(view)[0] in statuses)
            and keeps_settlement(view, query.settlement_state, query.settlement_date)
            and query.payment_link_id in {None, text(view.payment.facts, "paymentLinkId")}
        )

    return keeps


def _keeps_account(view: PaymentView, query: wire.BankPaymentQuery) -> bool:
    facts = view.payment.facts
    return (
        text(facts, "processingTerminalId") in {None, query.processing_terminal_id}
        and query.last4 in {None, view.payment.summary.last_four}
        and query.name_on_account in {None, text(facts, "nameOnAccount")}
    )


def write_payments(
    page: Page[PaymentView], call: Call[NoBody, wire.BankPaymentQuery]
) -> PageOut[wire.BankPaymentOut]:
    """Show a page of them."""
    return write_page(
        page, call, lambda view: payment_out(view, call), lambda view: short_id(view.payment.id)
    )


# --- refunds ---------------------------------------------------------------------------------------


def read_refund_in(call: Call[wire.BankRefundIn, NoQuery]) -> Command[PaymentView]:
    """Pay out to an account."""
    body = call.body
    order = plain(body.order)
    order.pop("dateTime", None)
    facts = facts_of(
        processingTerminalId=body.processing_terminal_id,
        order=order,
        customer=plain(body.customer),
        customFields=custom_fields(body.custom_fields),
    )

    def pay(source: commands.Source, instrument: Facts) -> Command[PaymentView]:
        return commands.Pay(
            OperationKind.CREDIT,
            Money(body.order.amount, body.order.currency),
            source,
            reference=body.order.order_id,
            facts={**_of_account(instrument), **facts},
        )

    command = _with_method(call, body.refund_method, pay, "refundMethod")
    return at_terminal(call, body.processing_terminal_id, command)


def refund_out(view: PaymentView, call: AnyCall) -> wire.BankRefundOut:
    """Show a refund to an account."""
    operation, payment = refund_operation(view), view.payment
    facts: Mapping[str, Any] = payment.facts
    is_referenced = operation.kind is OperationKind.REFUND
    kept: Any = facts.get("order") or {}
    status, code = operation_status(operation, view)
    decline = operation.decline
    return wire.BankRefundOut(
        refund_id=short_id(operation.id),
        processing_terminal_id=text(facts, "processingTerminalId")
        or call.principal.attribute("processing_terminal_id"),
        order={
            "orderId": kept.get("orderId") or payment.reference or "",
            "dateTime": instant(operation.created_at),
            "description": text(operation.facts, "description") or kept.get("description") or "",
            "amount": operation.money.amount_minor,
            "currency": operation.money.currency,
        },
        customer=_mapping(facts, "customer"),
        bank_account=write_bank_account(
            payment.summary, facts, write_summary(secure_token_of(view), call.base_url)
        ),
        payment=payment_summary(view, call.base_url, "bank-transfer-payments") if is_referenced else None,
        transaction_result=wire.BankResult(
            type="refund" if is_referenced else "unreferencedRefund",
            status=status,
            authorized_amount=-operation.money.amount_minor,
            currency=operation.money.currency,
            response_code="D" if code == "D" else "A",
            response_message=(decline.message or "Declined") if decline else "NoError",
            processor_response_code=decline.processor_code if decline else "0",
        ),
        custom_fields=_list(facts, "customFields"),
    )


def write_new_refund(view: PaymentView, call: Call[wire.BankRefundIn, NoQuery]) -> Answer:
    """Show a new refund."""
    body = refund_out(view, call)
    return created(body, f"{call.url}/{body.refund_id}")


def write_refund(view: PaymentView, call: AnyCall) -> wire.BankRefundOut:
    """Show a refund."""
    return refund_out(view, call)


def write_reversed_refund(view: PaymentView, call: AnyCall) -> wire.BankRefundOut:
    """Show the refund that was reversed."""
    return refund_out(with_target(view), call)


def read_one_refund(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Show one."""
    return find_refund(call, ACCOUNTS)


def read_refund_reversal(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Take a refund back, while its batch is open."""
    return Then(find_refund(call, ACCOUNTS), reverse_refund)


def read_refunds(call: Call[NoBody, wire.BankPaymentQuery]) -> Command[Page[PaymentView]]:
    """List refunds to accounts."""
    query = call.query
    filters: dict[str, str | int | tuple[str, ...]] = {"kind": REFUND_KINDS, **between(query)}
    return scan(
        operations_by(filters),
        page_request(query, "op"),
        _keeps_refund(query),
        lambda view: refund_operation(view).id,
    )


def _keeps_refund(query: wire.BankPaymentQuery) -> Callable[[PaymentView], bool]:
    types, statuses = any_of(query.type), any_of(query.status)

    def keeps(view: PaymentView) -> bool:
        operation = refund_operation(view)
        type_ = "refund" if operation.kind is OperationKind.REFUND else "unreferencedRefund"
        settled = operation.settled_at
        return (
            view.payment.summary.kind in ACCOUNTS
            and _keeps_account(view, query)
            and query.order_id in {None, view.payment.reference}
            and (types is None or type_ in types)
            and (statuses is None or operation_status(operation, view)[0] in statuses)
            and query.settlement_state in {None, "settled" if settled else "unsettled"}
            and query.settlement_date in {None, settled.date().isoformat() if settled else ""}
        )

    return keeps


def write_refunds(
    page: Page[PaymentView], call: Call[NoBody, wire.BankPaymentQuery]
) -> PageOut[wire.BankRefundOut]:
    """Show a page of them."""
    return write_page(
        page, call, lambda view: refund_out(view, call), lambda view: short_id(refund_operation(view).id)
    )
