"""What Bamboo tells merchants' servers: the final state of a purchase, or of every transaction.

A purchase's `Url_Notify` hears of that purchase alone. Only HTTP 200 counts as delivered; what was not is
sent again five times.

Source: documentation, "Webhooks" and "Transaction Notification".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from farebox.dialects.bamboo import wire
from farebox.dialects.bamboo.errors import LANGUAGES, decline_code, text_of
from farebox.dialects.bamboo.presenting import (
    APPROVED,
    CANCELLED_STATE,
    PENDING,
    PRE_AUTHORIZED,
    country_of,
    current_minor,
    medium_of_payment,
    state_of,
    state_of_operation,
)
from farebox.dialects.bamboo.reading import PURCHASE_NOTICE
from farebox.dialects.bamboo.tables import MEDIA_TYPES, brand_name, type_name
from farebox.dialects.bamboo.values import LONG, PLAIN, hundredths_of, object_of, timestamp
from farebox.dialects.codec import encode
from farebox.domain.events import Event, EventType
from farebox.domain.operations import Operation, OperationKind
from farebox.domain.payments import Payment
from farebox.domain.webhooks import OutboundRequest, RetrySchedule, Terms, WebhookEndpoint
from farebox.services.callbacks import Callbacks, Signing
from farebox.services.commands import Notice, PaymentView

TRANSACTION_NOTICE = "transaction"
"""The kind that tells of refunds too; an account chooses one of the two."""
_MINUTE, _HOUR = 60.0, 3600.0
TERMS = Terms(
    retries=RetrySchedule((15 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR), jitter=0.0),
    delivered=(range(200, 201),),
    gone=frozenset(),
)
_FINAL = frozenset({EventType.OPERATION_APPROVED, EventType.OPERATION_DECLINED, EventType.OPERATION_REVERSED})
_OPENING = frozenset({OperationKind.PURCHASE, OperationKind.AUTHORIZATION})


class OutcomeOut(wire.Answer, frozen=True, kw_only=True):
    """The state of a purchase."""

    transaction_status_id: int
    status: str
    description: str | None
    approval_code: str | None


class PurchaseNotice(wire.Answer, frozen=True, kw_only=True):
    """A purchase that has reached a final state."""

    purchase_id: int
    unique_id: str | None
    order: str | None
    amount: int
    installments: int
    currency: str
    metadata_out: dict[str, Any]
    transaction: OutcomeOut


class TransactionNotice(wire.Answer, frozen=True, kw_only=True):
    """A purchase or a refund that has reached a final state."""

    transaction_id: int
    transaction_type: str
    transaction_status_id: int
    status: str
    error_code: str | None
    amount: int
    currency: str
    installments: int
    unique_id: str | None
    order: str | None
    description: str | None
    url_notify: str | None
    target_country_iso: str
    created: str
    metadata_out: dict[str, Any]
    approval_code: str | None
    additional_data: str | None
    customer: dict[str, Any]
    payment_media: dict[str, Any]


def wants(event: Event, endpoint: WebhookEndpoint) -> bool:
    """Look at the kind of event only; what it is about is read later."""
    return event.type in _FINAL


def write_purchase(notice: Notice, endpoint: WebhookEndpoint) -> OutboundRequest | None:
    """Write a purchase in its final state; refunds are told of by the other kind."""
    view = notice.payment
    if view is None or view.operation is None or view.operation.kind is OperationKind.REFUND:
        return None
    payment = view.payment
    if not _is_final(view, view.operation):
        return None
    state = state_of(payment)
    code = decline_code(payment.decline) if payment.decline else None
    body = PurchaseNotice(
        purchase_id=PLAIN.number_of(payment.id),
        unique_id=_text(payment, "unique_id"),
        order=payment.reference,
        amount=hundredths_of(current_minor(payment), payment.currency),
        installments=_installments(payment),
        currency=payment.currency,
        metadata_out={},
        transaction=OutcomeOut(
            transaction_status_id=state.number,
            status=state.word,
            description=text_of(code, LANGUAGES[0]) if code else None,
            approval_code=payment.authorization_code,
        ),
    )
    return _request(endpoint, body)


def write_transaction(notice: Notice, endpoint: WebhookEndpoint) -> OutboundRequest | None:
    """Write a purchase or a refund in its final state."""
    view = notice.payment
    operation = view.operation if view else None
    if view is None or operation is None:
        return None
    if operation.kind is OperationKind.REFUND:
        return _request(endpoint, _transaction(view, operation, sign=-1))
    if not _is_final(view, operation):
        return None
    return _request(endpoint, _transaction(view, operation, sign=1))


def _is_final(view: PaymentView, operation: Operation) -> bool:
    """Tell whether this operation brought a purchase to a final state.

    The void of what a capture left is no news of the purchase.
    """
    state = state_of(view.payment)
    if operation.kind is OperationKind.VOID and state is not CANCELLED_STATE:
        return False
    return view.payment.kind in _OPENING and state not in {PENDING, PRE_AUTHORIZED}


def _transaction(view: PaymentView, operation: Operation, *, sign: int) -> TransactionNotice:
    payment, facts = view.payment, view.payment.facts
    customer, summary = object_of(facts, "customer"), view.payment.summary
    medium_id, medium = medium_of_payment(payment)
    is_refund = sign < 0
    state = state_of_operation(operation) if is_refund else state_of(payment)
    decline = operation.decline if is_refund else payment.decline
    type_ = type_name(summary, medium)
    return TransactionNotice(
        transaction_id=LONG.number_of(operation.id if is_refund else payment.id),
        transaction_type="Refund" if is_refund else "Purchase",
        transaction_status_id=state.number,
        status=state.word,
        error_code=decline_code(decline) if decline and state is not APPROVED else None,
        amount=sign * hundredths_of(operation.money.amount_minor, payment.currency),
        currency=payment.currency,
        installments=_installments(payment),
        unique_id=_text(payment, "unique_id"),
        order=payment.reference,
        description=_text(payment, "description"),
        url_notify=object_of(facts, "redirection").get("Url_Notify"),
        target_country_iso=country_of(payment),
        created=timestamp(operation.created_at),
        metadata_out={},
        approval_code=operation.authorization_code,
        additional_data=_text(payment, "additional_data"),
        customer={
            "CustomerId": PLAIN.number_of(payment.customer_id) if payment.customer_id else 0,
            "Email": customer.get("email"),
            "DocumentTypeId": customer.get("document_type"),
            "DocNumber": customer.get("document"),
            "LastName": customer.get("last_name"),
            "FirstName": customer.get("first_name"),
        },
        payment_media={
            "PaymentMediaId": medium_id,
            "Brand": brand_name(summary, medium),
            "PaymentMediaType": MEDIA_TYPES.get(type_ or "", 0),
            "IssuerBank": None,
            "Bin": summary.bin,
            "Last4": summary.last_four or None,
            "Owner": _text(payment, "owner"),
        },
    )


def _text(payment: Payment, name: str) -> str | None:
    value = payment.facts.get(name)
    return value if isinstance(value, str) else None


def _installments(payment: Payment) -> int:
    value = payment.facts.get("installments")
    return value if isinstance(value, int) else 1


def _request(endpoint: WebhookEndpoint, body: msgspec.Struct) -> OutboundRequest:
    return OutboundRequest(endpoint.url, encode(body), headers={"Content-Type": "application/json"})


def sign(signing: Signing) -> Sequence[tuple[str, str]]:
    """Sign the id, the amount, the currency and the time, as they stand in the body.

    The documents name the header of the time and not that of the signature. Without a secret nothing is
    signed, and nothing is sent.
    """
    sent_at = date_sent(signing.at)
    if not signing.secrets:
        return (("dateSent", sent_at),)
    body: Mapping[str, Any] = msgspec.json.decode(signing.request.body)
    number = body.get("PurchaseId", body.get("TransactionId"))
    return (
        ("dateSent", sent_at),
        ("signature", signature(signing.secrets[0], number, body["Amount"], body["Currency"], sent_at)),
    )


def date_sent(instant: datetime) -> str:
    """Write the time of an attempt, in UTC."""
    return timestamp(instant)


def signature(secret: str, number: object, amount: object, currency: str, sent_at: str) -> str:
    """Sign, in lower-case hexadecimal: HMAC-SHA256 of the four values, one after the other.

    Source: documentation, "Webhooks", *Signature*.
    """
    message = f"{number}{amount}{currency}{sent_at}"
    return hmac.digest(secret.encode(), message.encode(), "sha256").hex()


CALLBACKS: Mapping[str, Callbacks] = {
    PURCHASE_NOTICE: Callbacks(write_purchase, sign, TERMS, wants),
    TRANSACTION_NOTICE: Callbacks(write_transaction, sign, TERMS, wants),
}
