"""Card refunds, with and without a payment of ours before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
    text,
)
from farebox.dialects.payroc.mapping.instruments import (
    read_card,
    secure_token_of,
    write_card,
    write_summary,
)
from farebox.dialects.payroc.mapping.payments import (
    adjusted_customer,
    any_of,
    between,
    find_secure_token,
    keeps_card,
    stored_source,
)
from farebox.dialects.payroc.mapping.results import (
    operation_status,
    payment_summary,
    refund_result,
)
from farebox.dialects.payroc.mapping.tokens import payer_of
from farebox.dialects.payroc.paging import page_request, scan, write_page
from farebox.dialects.payroc.wire import instruments as shapes
from farebox.dialects.payroc.wire import payments as wire
from farebox.dialects.payroc.wire.common import PageOut
from farebox.domain.errors import Conflict, ErrorCode, NotFound
from farebox.domain.facts import Facts
from farebox.domain.ids import OperationId, short_id
from farebox.domain.instruments import InstrumentKind
from farebox.domain.money import Money
from farebox.domain.operations import Operation, OperationKind
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import Command, FollowUp, Give, PaymentView, Then

REFUND_KINDS = (OperationKind.CREDIT.value, OperationKind.REFUND.value)


def read_refund_in(call: Call[wire.UnreferencedRefundIn, NoQuery]) -> Command[PaymentView]:
    """Pay out to a card that is named in the request or by its secure token."""
    body, method = call.body, call.body.refund_method
    if isinstance(method, shapes.SecureTokenPayload):
        pay: Command[PaymentView] = Then(
            find_secure_token(method.token, {InstrumentKind.CARD}),
            lambda view: _credit(body, stored_source(view), view.token.facts),
        )
    else:
        read = read_card(method, "refundMethod", call.principal.tenant.mode)
        details = payer_of(plain(body.customer), read.holder_name)
        pay = _credit(body, commands.FromInstrument(read.instrument, details), read.facts)
    return at_terminal(call, body.processing_terminal_id, pay)


def _credit(body: wire.UnreferencedRefundIn, source: commands.Source, instrument: Facts) -> commands.Pay:
    shown = {"cardholderName", "cardholderSignature", "entryMethod", "ebt"}
    order = plain(body.order)
    order.pop("dateTime", None)
    return commands.Pay(
        OperationKind.CREDIT,
        Money(body.order.amount, body.order.currency),
        source,
        reference=body.order.order_id,
        facts={
            **{name: value for name, value in instrument.items() if name in shown},
            **facts_of(
                processingTerminalId=body.processing_terminal_id,
                channel=body.channel,
                operator=body.operator,
                order=order,
                customer=plain(body.customer),
                customFields=custom_fields(body.custom_fields),
            ),
        },
    )


def refund_operation(view: PaymentView) -> Operation:
    """Give the operation that is the refund: the one looked for, or the one that opened a credit."""
    operation = view.operation
    if operation is not None and operation.kind in {OperationKind.REFUND, OperationKind.CREDIT}:
        return operation
    return view.operations[0]


def refund_out(view: PaymentView, call: AnyCall) -> wire.RefundOut:
    """Show a refund."""
    operation, payment = refund_operation(view), view.payment
    is_referenced = operation.kind is OperationKind.REFUND
    facts: Mapping[str, Any] = {**payment.facts, **operation.facts} if is_referenced else payment.facts
    kept: Any = facts.get("order") or {}
    order = {
        "orderId": kept.get("orderId") or payment.reference or "",
        "dateTime": instant(operation.created_at),
        "description": text(operation.facts, "description") or kept.get("description") or "",
        "amount": operation.money.amount_minor,
        "currency": operation.money.currency,
    }
    status, _ = operation_status(operation, view)
    can_reverse = status == "ready"
    return wire.RefundOut(
        refund_id=short_id(operation.id),
        processing_terminal_id=text(facts, "processingTerminalId")
        or call.principal.attribute("processing_terminal_id"),
        operator=text(facts, "operator"),
        order=order,
        customer=facts.get("customer"),
        card=write_card(
            payment.summary,
            facts,
            None,
            write_summary(secure_token_of(view), call.base_url),
        ),
        payment=payment_summary(view, call.base_url, "payments") if is_referenced else None,
        supported_operations=["fullyReverse", "setAsPending"] if can_reverse else None,
        transaction_result=refund_result(operation, view, status=text(facts, "refundStatus")),
        custom_fields=facts.get("customFields"),
    )


def write_new_refund(view: PaymentView, call: Call[wire.UnreferencedRefundIn, NoQuery]) -> Answer:
    """Show a new refund."""
    body = refund_out(view, call)
    return created(body, f"{call.url}/{body.refund_id}")


def write_refund(view: PaymentView, call: AnyCall) -> wire.RefundOut:
    """Show a refund."""
    return refund_out(view, call)


def find_refund(call: AnyCall, kinds: frozenset[InstrumentKind]) -> Command[PaymentView]:
    """Find the refund that the path names, by its operation."""
    ids = ids_of(call.path["refundId"], "op")

    def only_refunds(view: PaymentView) -> Command[PaymentView]:
        operation = view.operation
        if (
            operation is None
            or operation.kind not in {OperationKind.REFUND, OperationKind.CREDIT}
            or view.payment.summary.kind not in kinds
        ):
            raise NotFound(ErrorCode.OPERATION_NOT_FOUND)
        return Give(view)

    return Then(
        commands.ResolveId(ids),
        lambda found: Then(commands.GetOperation(OperationId(found)), only_refunds),
    )


CARDS = frozenset({InstrumentKind.CARD})


def read_refund(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Show one."""
    return find_refund(call, CARDS)


def read_refund_reversal(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Take a refund back, while its batch is open."""
    return Then(find_refund(call, CARDS), reverse_refund)


def reverse_refund(view: PaymentView) -> Command[PaymentView]:
    """Void the refund's operation."""
    return FollowUp(view.payment.id, OperationKind.VOID, target_id=refund_operation(view).id)


def write_reversed_refund(view: PaymentView, call: AnyCall) -> wire.RefundOut:
    """Show the refund that was reversed: the target of the operation that was made."""
    return refund_out(with_target(view), call)


def with_target(view: PaymentView) -> PaymentView:
    """Look at the operation that was voided."""
    target = view.operation.target_id if view.operation else None
    found = [one for one in view.operations if one.id == target]
    return replace(view, operation=found[0]) if found else view


def read_refund_adjustment(call: Call[wire.RefundAdjustIn, NoQuery]) -> Command[PaymentView]:
    """Change status or customer of a refund in an open batch."""
    body = call.body

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        if operation_status(refund_operation(view), view)[0] != "ready":
            raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
        facts: dict[str, Any] = dict(payment.facts)
        for adjustment in body.adjustments:
            if isinstance(adjustment, wire.StatusAdjustment):
                facts["refundStatus"] = adjustment.to_status
            else:
                facts["customer"] = adjusted_customer(facts, adjustment)
        if body.operator is not None:
            facts["operator"] = body.operator
        return commands.AmendPayment(
            payment.id, payment.version, facts, operation_id=refund_operation(view).id
        )

    return Then(find_refund(call, CARDS), then)


def read_refunds(call: Call[NoBody, wire.RefundQuery]) -> Command[Page[PaymentView]]:
    """List card refunds."""
    query = call.query
    filters: dict[str, str | int | tuple[str, ...]] = {"kind": REFUND_KINDS, **between(query)}
    return scan(
        operations_by(filters),
        page_request(query, "op"),
        _keeps(query),
        lambda view: refund_operation(view).id,
    )


def operations_by(
    filters: Mapping[str, str | int | tuple[str, ...]],
) -> Callable[[PageRequest], Command[Page[PaymentView]]]:
    """List operations of these kinds."""

    def list_(request: PageRequest) -> Command[Page[PaymentView]]:
        return commands.ListOperations(PageRequest(request.limit, request.after, request.before, filters))

    return list_


def _keeps(query: wire.RefundQuery) -> Callable[[PaymentView], bool]:
    statuses = any_of(query.status)

    def keeps(view: PaymentView) -> bool:
        operation = refund_operation(view)
        settled = operation.settled_at
        return (
            view.payment.summary.kind is InstrumentKind.CARD
            and keeps_card(view, query)
            and (query.order_id is None or view.payment.reference == query.order_id)
            and (statuses is None or operation_status(operation, view)[0] in statuses)
            and (query.settlement_state is None or (query.settlement_state == "settled") == bool(settled))
            and (
                query.settlement_date is None
                or (settled is not None and settled.date().isoformat() == query.settlement_date)
            )
        )

    return keeps


def write_refunds(page: Page[PaymentView], call: Call[NoBody, wire.RefundQuery]) -> PageOut[wire.RefundOut]:
    """Show a page of them."""
    return write_page(
        page, call, lambda view: refund_out(view, call), lambda view: short_id(refund_operation(view).id)
    )
