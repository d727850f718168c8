"""Endpoints that are told what happened, what is sent to them, and when it is sent again.

How often, how long and what counts as delivered is data (`Terms`): each protocol has its own. A delivery is
one event for one endpoint. Its request is written once and never changes, so that every attempt sends the
same bytes under the same id; only the signature has the time of the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.events import Event, EventType
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import DeliveryId, EventId, WebhookEndpointId

ENDPOINTS_MAX = 50
"""Configured endpoints of one tenant."""
RETRY_AFTER_S_MAX = 86_400
TIMEOUT_S_MAX = 20.0
"""A claim outlives the longest attempt, so that nothing is sent twice but after a crash."""
BODY_BYTES_MAX = 20_000
"""Receivers may rely on bodies below this."""


@frozen
class RetrySchedule:
    """How long after each failed attempt the next one follows.

    `jitter` is the share of a delay by which it grows at most, at random, so that what failed together
    does not come back together.
    """

    delays_s: tuple[float, ...]
    jitter: float = 0.1

    def delay_s(self, tries: int, fraction: float) -> float | None:
        """Give the wait after so many tries (1 and more); nothing when that was the last one.

        Args:
            tries: attempts made so far.
            fraction: a random number from 0 to 1.
        """
        if tries > len(self.delays_s):
            return None
        return self.delays_s[tries - 1] * (1 + self.jitter * fraction)


_MINUTE, _HOUR = 60.0, 3600.0
STANDARD_SCHEDULE = RetrySchedule(
    (
        5.0,
        5 * _MINUTE,
        30 * _MINUTE,
        2 * _HOUR,
        5 * _HOUR,
        10 * _HOUR,
        14 * _HOUR,
        20 * _HOUR,
        24 * _HOUR,
    )
)
"""Ten attempts, the first at once.

Source: Standard Webhooks specification, *Deliverability and reliability*.
"""


@frozen
class Terms:
    """What a protocol promises about delivery."""

    retries: RetrySchedule = STANDARD_SCHEDULE
    timeout_s: float = 15.0
    """From the look-up of the name to the end of the answer; at most `TIMEOUT_S_MAX`."""
    delivered: tuple[range, ...] = (range(200, 300),)
    """Statuses that count as delivered."""
    final: tuple[range, ...] = ()
    """Statuses after which nothing is sent again."""
    gone: frozenset[int] = frozenset({410})
    """Statuses by which a receiver says that it wants no more; its endpoint is disabled."""
    exhaustion_disables: bool = False
    """A delivery that was tried in vain to the end disables its endpoint."""


class AttemptResult(StrEnum):
    """What came of one attempt."""

    DELIVERED = "delivered"
    WRONG_STATUS = "wrong_status"
    REJECTED = "rejected"
    """The receiver answered what the protocol calls final."""
    GONE = "gone"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    ADDRESS_REFUSED = "address_refused"
    """The name stands for an address that may not be called."""
    UNSIGNED = "unsigned"
    """Nothing was sent: the dialect's signer failed, which is our defect."""


def judge(terms: Terms, status: int) -> AttemptResult:
    """Say what a status means."""
    if any(status in statuses for statuses in terms.delivered):
        return AttemptResult.DELIVERED
    if status in terms.gone:
        return AttemptResult.GONE
    if any(status in statuses for statuses in terms.final):
        return AttemptResult.REJECTED
    return AttemptResult.WRONG_STATUS


_FINAL = frozenset({AttemptResult.REJECTED, AttemptResult.GONE})


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing."""

    MERCHANT = "merchant"
    GONE = "gone"
    EXHAUSTED = "exhausted"


@frozen
class WebhookEndpoint:
    """Where a merchant wants to be told.

    A configured endpoint hears of everything it wants; a one-off, whose URL came with a payment or a
    session, hears of that alone.
    """

    id: WebhookEndpointId
    tenant: Tenant
    dialect: str
    kind: str
    """Which of the dialect's declared callbacks it gets."""
    url: str
    created_at: datetime
    updated_at: datetime
    event_types: tuple[str, ...] = ()
    """In the dialect's words; none means all."""
    is_one_off: bool = False
    disabled: DisabledReason | None = None
    description: str | None = None
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it, and control parameters of its own."""
    deleted_at: datetime | None = None
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Tell whether it is sent anything."""
        return self.disabled is None and self.deleted_at is None


def wants_type(event: Event, endpoint: WebhookEndpoint) -> bool:
    """Tell whether an endpoint asked for an event's type: by name, by family (`operation.*`) or for all."""
    if not endpoint.event_types:
        return True
    family = event.type.partition(".")[0] + ".*"
    return any(wanted in {event.type.value, family, "*"} for wanted in endpoint.event_types)


def is_event_pattern(text: str) -> bool:
    """Tell whether some event has this type or is of this family."""
    return text == "*" or any(text in {type_.value, type_.partition(".")[0] + ".*"} for type_ in EventType)


@frozen
class SigningSecret:
    """One secret of an endpoint, or of a merchant in a dialect; the newest signs first.

    While a secret is being changed the one before it signs too, until `expires_at`.
    """

    tenant: Tenant
    owner: str
    """An endpoint's id, or `account_owner` of a dialect."""
    number: int
    sealed: bytes
    created_at: datetime
    expires_at: datetime | None = None


@frozen
class CallbackUrl:
    """A URL that came with a payment or a session, to be told of that alone."""

    url: str
    kind: str
    """Which of the dialect's declared callbacks it gets."""
    facts: Facts = field(default_factory=dict[str, object])
    """Control parameters for the dialect's writer."""


def account_owner(dialect: str) -> str:
    """Name the owner of the secret that a dialect signs everything of a merchant with."""
    return f"account:{dialect}"


@frozen
class OutboundRequest:
    """What is sent, without its signature."""

    url: str
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay_s: float = 0.0
    """How long after the event the first attempt is made."""


class DeliveryState(StrEnum):
    """A pending delivery is tried again; the others rest until somebody replays them."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Its endpoint was disabled or deleted before it got there."""


@frozen
class Delivery:
    """One event on its way to one endpoint."""

    id: DeliveryId
    tenant: Tenant
    endpoint_id: WebhookEndpointId
    event_id: EventId
    event_type: str
    subject_id: str
    """What the event is about: the payment of an operation, otherwise the object itself."""
    sequence: int
    """Orders what is told of one subject."""
    request: OutboundRequest
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: int = 0
    tries: int = 0
    """Attempts since it was made or replayed: its place in the schedule."""
    claims: int = 0
    """Grows when a worker takes it, so that a worker that comes late finds it taken by another."""
    last_result: AttemptResult | None = None
    last_status: int | None = None
    closed_at: datetime | None = None


@frozen
class DeliveryAttempt:
    """One try, as it is kept for the merchant to look at."""

    number: int
    at: datetime
    duration_ms: int
    result: AttemptResult
    status: int | None = None
    answer: str = ""
    """The beginning of what the receiver answered."""


@frozen
class Verdict:
    """What an attempt makes of its delivery; without `retry_in_s` it is over."""

    state: DeliveryState
    retry_in_s: float | None = None
    disables: DisabledReason | None = None


def decide(
    terms: Terms, result: AttemptResult, *, tries: int, fraction: float, retry_after_s: int | None = None
) -> Verdict:
    """Say what follows an attempt.

    Args:
        terms: the protocol's.
        result: what came of the attempt.
        tries: how many were made since the delivery began, this one among them.
        fraction: a random number from 0 to 1.
        retry_after_s: how long the receiver asked to be left alone; at most a day of it is granted.
    """
    if result is AttemptResult.DELIVERED:
        return Verdict(DeliveryState.DELIVERED)
    if result in _FINAL:
        gone = DisabledReason.GONE if result is AttemptResult.GONE else None
        return Verdict(DeliveryState.FAILED, disables=gone)
    delay_s = terms.retries.delay_s(tries, fraction)
    if delay_s is None:
        exhausted = DisabledReason.EXHAUSTED if terms.exhaustion_disables else None
        return Verdict(DeliveryState.FAILED, disables=exhausted)
    return Verdict(DeliveryState.PENDING, max(delay_s, min(retry_after_s or 0, RETRY_AFTER_S_MAX)))
