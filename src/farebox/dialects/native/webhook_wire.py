"""What the native API reads and answers about webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from farebox.dialects.native.wire import Answer, PageQuery, Request, ShortText, Text

Url = Annotated[str, Meta(min_length=1, max_length=2000)]
EventPatterns = Annotated[list[ShortText], Meta(max_length=100)]


class WebhookEndpointIn(Request, frozen=True, kw_only=True):
    """Where to tell what happens."""

    url: Url
    events: EventPatterns = field(default_factory=list[str])
    """Types (`operation.approved`) and families (`operation.*`); none means all."""
    description: Text | None = None


class WebhookEndpointUpdateIn(Request, frozen=True, kw_only=True):
    """What to change; what is left out stays."""

    url: Url | None = None
    events: EventPatterns | None = None
    description: Text | None = None
    enabled: bool | None = None


class SecretRotationIn(Request, frozen=True, kw_only=True):
    """For how long the old secret signs too: a day, or at most a week."""

    overlap_s: Annotated[int, Meta(ge=0, le=604_800)] = 86_400


class WebhookEndpointOut(Answer, frozen=True, kw_only=True):
    """An endpoint. `secret` is there only in the answer that made it."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    mode: Literal["test", "live"]
    url: str
    events: list[str]
    status: Literal["enabled", "disabled", "deleted"]
    disabled_reason: Literal["merchant", "gone", "exhausted"] | None
    """`gone`: the receiver answered 410. `exhausted`: its protocol gives up after the last retry."""
    created_at: datetime
    updated_at: datetime
    description: str | None
    dialect: str
    secret: str | None = None


class WebhookEndpointListOut(Answer, frozen=True, kw_only=True):
    """A page of endpoints."""

    object: Literal["list"] = "list"
    data: list[WebhookEndpointOut]
    has_more: bool
    next_url: str | None


class AttemptOut(Answer, frozen=True, kw_only=True):
    """One try."""

    number: int
    at: datetime
    duration_ms: int
    result: Literal[
        "delivered",
        "wrong_status",
        "rejected",
        "gone",
        "timed_out",
        "unreachable",
        "address_refused",
        "unsigned",
    ]
    status: int | None
    answer: str
    """The beginning of the receiver's answer, at most 1,024 bytes."""


class DeliveryOut(Answer, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    object: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    mode: Literal["test", "live"]
    status: Literal["pending", "delivered", "failed", "cancelled"]
    endpoint: str
    event: str
    event_type: str
    subject: str
    """The payment, or the object the event is about."""
    method: str
    url: str
    created_at: datetime
    next_attempt_at: datetime | None
    attempt_count: int
    last_result: str | None
    last_status: int | None
    attempts: list[AttemptOut] | None
    """In lists left out."""


class DeliveryListOut(Answer, frozen=True, kw_only=True):
    """A page of deliveries."""

    object: Literal["list"] = "list"
    data: list[DeliveryOut]
    has_more: bool
    next_url: str | None


class DeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """Deliveries, narrowed."""

    endpoint: ShortText | None = None
    event: ShortText | None = None
    subject: ShortText | None = None
    status: Literal["pending", "delivered", "failed", "cancelled"] | None = None


class ResendIn(Request, frozen=True, kw_only=True):
    """Whom to tell again: one endpoint, or all that want it."""

    endpoint: ShortText | None = None


class ResentOut(Answer, frozen=True, kw_only=True):
    """The deliveries that an event has begun again."""

    object: Literal["list"] = "list"
    data: list[DeliveryOut]
