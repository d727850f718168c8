"""What happened, as frozen records: the outbox that webhooks, metrics and lists read.

One event per transition (I10), written in the same transaction as the transition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.frozen import frozen
from farebox.domain.ids import EventId


class EventType(StrEnum):
    """The closed list of things that happen."""

    SINGLE_USE_TOKEN_MINTED = "single_use_token.minted"
    SINGLE_USE_TOKEN_RESERVED = "single_use_token.reserved"
    SINGLE_USE_TOKEN_SPENT = "single_use_token.spent"
    SINGLE_USE_TOKEN_RELEASED = "single_use_token.released"
    SINGLE_USE_TOKEN_EXPIRED = "single_use_token.expired"
    SINGLE_USE_TOKEN_REVOKED = "single_use_token.revoked"
    STORED_TOKEN_CREATED = "payment_token.created"
    STORED_TOKEN_UPDATED = "payment_token.updated"
    STORED_TOKEN_DELETED = "payment_token.deleted"
    AGREEMENT_CREATED = "agreement.created"
    AGREEMENT_ENDED = "agreement.ended"
    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_UPDATED = "customer.updated"
    CUSTOMER_DELETED = "customer.deleted"
    OPERATION_SUBMITTED = "operation.submitted"
    OPERATION_APPROVED = "operation.approved"
    OPERATION_PENDING = "operation.pending"
    OPERATION_DECLINED = "operation.declined"
    OPERATION_FAILED = "operation.failed"
    OPERATION_IN_DOUBT = "operation.in_doubt"
    OPERATION_REVERSED = "operation.reversed"
    OPERATION_SETTLED = "operation.settled"
    CHECKOUT_SESSION_CREATED = "checkout_session.created"
    CHECKOUT_SESSION_UPDATED = "checkout_session.updated"
    CHECKOUT_SESSION_LOCKED = "checkout_session.locked"
    CHECKOUT_SESSION_UNLOCKED = "checkout_session.unlocked"
    CHECKOUT_SESSION_PAYMENT_STARTED = "checkout_session.payment_started"
    CHECKOUT_SESSION_PAYMENT_DECLINED = "checkout_session.payment_declined"
    CHECKOUT_SESSION_PAYMENT_RELEASED = "checkout_session.payment_released"
    CHECKOUT_SESSION_COMPLETED = "checkout_session.completed"
    CHECKOUT_SESSION_FAILED = "checkout_session.failed"
    CHECKOUT_SESSION_CANCELLED = "checkout_session.cancelled"
    CHECKOUT_SESSION_EXPIRED = "checkout_session.expired"
    WEBHOOK_ENDPOINT_PINGED = "webhook_endpoint.pinged"


Value = str | int | bool | None
"""What an event may say: never a nested document, never card data."""


@frozen
class Event:
    """One thing that happened to one object.

    `sequence` orders the events of one object; `data` holds flat facts (kind, amounts, reasons) that
    readers need without asking again.
    """

    id: EventId
    tenant: Tenant
    type: EventType
    object_id: str
    sequence: int
    created_at: datetime
    data: Mapping[str, Value] = field(default_factory=dict[str, Value])
