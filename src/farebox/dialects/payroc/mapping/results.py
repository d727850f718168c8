"""What became of a transaction, in the protocol's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from farebox.dialects.payroc.mapping.common import instant, members, text
from farebox.dialects.payroc.wire.common import Link, Result, Summary
from farebox.domain.declines import DeclineReason
from farebox.domain.ids import short_id
from farebox.domain.operations import Operation, OperationKind, OperationState
from farebox.domain.payments import Payment
from farebox.services.commands import PaymentView

APPROVAL = "APPROVAL"
_REFUSALS: Mapping[DeclineReason | None, tuple[str, str]] = {
    DeclineReason.REFER_TO_ISSUER: ("referral", "R"),
    DeclineReason.PICKUP_CARD: ("pickup", "C"),
    DeclineReason.LOST_CARD: ("pickup", "C"),
    DeclineReason.STOLEN_CARD: ("pickup", "C"),
}
"""Status and response code of declines that are more than one."""
_LIVE = frozenset({OperationState.APPROVED, OperationState.PENDING, OperationState.SUBMITTED})
_OPEN = frozenset({OperationState.SUBMITTED, OperationState.PENDING, OperationState.IN_DOUBT})


def opening(view: PaymentView) -> Operation | None:
    """Give the operation that opened the payment."""
    return view.operations[0] if view.operations else None


def of_kind(view: PaymentView, kind: OperationKind) -> Sequence[Operation]:
    """Give a payment's operations of a kind that stand."""
    return [one for one in view.operations if one.kind is kind and one.state in _LIVE]


def is_settled(view: PaymentView) -> bool:
    """Tell whether a batch has closed over what the payment captured."""
    captures = of_kind(view, OperationKind.CAPTURE)
    moved = captures or [one for one in view.operations[:1] if one.kind is not OperationKind.AUTHORIZATION]
    return bool(moved) and all(one.settled_at is not None for one in moved)


def settled_on(view: PaymentView) -> str | None:
    """Give the day of the settlement."""
    days = [one.settled_at.date().isoformat() for one in view.operations if one.settled_at is not None]
    return days[0] if days else None


def is_reversed(view: PaymentView) -> bool:
    """Tell whether all of it was taken back before settlement."""
    payment = view.payment
    if payment.state is not OperationState.APPROVED or payment.authorized_minor == 0:
        return False
    if payment.voided_minor == payment.authorized_minor:
        return True
    voids = [one for one in of_kind(view, OperationKind.VOID) if one.target_kind is OperationKind.CAPTURE]
    return bool(voids) and payment.captured_minor == 0


def payment_type(view: PaymentView) -> str:
    """Name the kind of a card payment."""
    payment = view.payment
    if payment.kind is not OperationKind.AUTHORIZATION:
        is_completion = text(payment.facts, "completed") is not None
        return "preAuthorizationCompletion" if is_completion else "sale"
    return "preAuthorizationCompletion" if of_kind(view, OperationKind.CAPTURE) else "preAuthorization"


def status_and_code(view: PaymentView) -> tuple[str, str]:
    """Give status and response code of a card transaction."""
    payment = view.payment
    if payment.state in _OPEN:
        return "pending", "E"
    if payment.state is not OperationState.APPROVED:
        return _REFUSALS.get(payment.decline.reason if payment.decline else None, ("declined", "D"))
    code = "P" if payment.authorized_minor < payment.amount_minor else "A"
    if is_reversed(view):
        return "reversal", "A"
    if is_settled(view):
        return "complete", code
    if text(payment.facts, "offline") == "deferredAuthorization":
        return "accepted", "E"
    return (text(payment.facts, "status") or "ready"), code


def message_and_processor_code(payment: Payment) -> tuple[str, str | None]:
    """Give the words and the code of the answer."""
    if payment.state in _OPEN:
        return "ACCEPTED", None
    if payment.decline is not None:
        words = payment.decline.message or payment.decline.reason.value.replace("_", " ").upper()
        return words, payment.decline.processor_code
    if payment.state is not OperationState.APPROVED:
        return "NOT PROCESSED", None
    return APPROVAL, "00"


def shown_amount(view: PaymentView) -> int:
    """Give what is authorized now: less than asked for after a partial approval or reversal."""
    payment = view.payment
    if payment.state is not OperationState.APPROVED:
        return 0
    if is_reversed(view):
        return payment.authorized_minor
    if payment.kind is OperationKind.AUTHORIZATION and payment.captured_minor:
        return payment.captured_minor
    return payment.authorized_minor - payment.voided_minor


def payment_result(view: PaymentView) -> Result:
    """Show the result of a card payment."""
    payment = view.payment
    status, code = status_and_code(view)
    message, processor_code = message_and_processor_code(payment)
    return Result(
        type=payment_type(view),
        status=status,
        approval_code=text(payment.facts, "approvalCode") or payment.authorization_code,
        authorized_amount=shown_amount(view),
        currency=payment.currency,
        response_code=code,
        response_message=message,
        processor_response_code=processor_code,
        card_scheme_reference_id=payment.network_transaction_id,
    )


def supported_operations(view: PaymentView) -> list[str]:
    """Name what may be done with a card payment now."""
    payment = view.payment
    status, _ = status_and_code(view)
    if status == "complete":
        return ["refund"] if payment.refundable_minor else []
    if status not in {"ready", "pending"} or payment.state is not OperationState.APPROVED:
        return []
    found = ["capture"] if can_capture(view) else []
    found += ["fullyReverse", "partiallyReverse"]
    if payment.kind is OperationKind.AUTHORIZATION or payment.facts.get("processAsSale"):
        return found
    found += ["incrementAuthorization", "adjustTip"]
    if text(payment.facts, "cardholderSignature") is None:
        found.append("addSignature")
    return [*found, "setAsReady" if status == "pending" else "setAsPending"]


def can_capture(view: PaymentView) -> bool:
    """Tell whether it was not captured yet."""
    payment = view.payment
    if payment.kind is OperationKind.AUTHORIZATION:
        return not of_kind(view, OperationKind.CAPTURE) and payment.capturable_minor > 0
    return text(payment.facts, "completed") is None


def operation_status(operation: Operation, view: PaymentView) -> tuple[str, str]:
    """Give status and response code of a refund."""
    if any(one.target_id == operation.id for one in of_kind(view, OperationKind.VOID)):
        return "reversal", "A"
    match operation.state:
        case OperationState.APPROVED:
            return ("complete" if operation.settled_at else "ready"), "A"
        case OperationState.SUBMITTED | OperationState.PENDING | OperationState.IN_DOUBT:
            return "pending", "E"
        case _:
            return "declined", "D"


def refund_result(operation: Operation, view: PaymentView, *, status: str | None = None) -> Result:
    """Show the result of a refund; its amount is negative."""
    shown, code = operation_status(operation, view)
    decline = operation.decline
    return Result(
        type="refund",
        status=status if status and shown == "ready" else shown,
        approval_code=operation.authorization_code,
        authorized_amount=-operation.money.amount_minor,
        currency=operation.money.currency,
        response_code=code,
        response_message=(decline.message or "DECLINED") if decline else APPROVAL,
        processor_response_code=decline.processor_code if decline else "00",
        card_scheme_reference_id=operation.network_transaction_id,
    )


def refund_summaries(view: PaymentView, base_url: str, family: str) -> list[Summary] | None:
    """Show a payment's refunds in short."""
    found = [refund_summary(one, view, base_url, family) for one in of_kind(view, OperationKind.REFUND)]
    return found or None


def refund_summary(operation: Operation, view: PaymentView, base_url: str, family: str) -> Summary:
    """Show a refund in short."""
    status, code = operation_status(operation, view)
    refund_id = short_id(operation.id)
    return Summary(
        refund_id=refund_id,
        date_time=instant(operation.created_at),
        currency=operation.money.currency,
        amount=operation.money.amount_minor,
        status=status,
        response_code=code,
        response_message=APPROVAL if code == "A" else "DECLINED",
        link=Link(rel="self", method="GET", href=f"{base_url}/v1/{family}/{refund_id}"),
    )


def payment_summary(view: PaymentView, base_url: str, family: str) -> Summary:
    """Show a payment in short."""
    payment = view.payment
    status, code = status_and_code(view)
    payment_id = short_id(payment.id)
    return Summary(
        payment_id=payment_id,
        date_time=instant(payment.created_at),
        currency=payment.currency,
        amount=payment.amount_minor,
        status=status,
        response_code=code,
        response_message=message_and_processor_code(payment)[0],
        link=Link(rel="self", method="GET", href=f"{base_url}/v1/{family}/{payment_id}"),
    )


def order_of(payment: Payment, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Show an order; one that another protocol wrote has only its money."""
    order = members(facts.get("order"))
    return {
        **order,
        "orderId": order.get("orderId") or payment.reference or "",
        "dateTime": instant(payment.created_at),
        "amount": order.get("amount", payment.amount_minor),
        "currency": payment.currency,
    }
