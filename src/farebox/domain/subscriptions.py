"""Subscriptions: which day an instalment is due, and what an answer to it does.

Periods count from zero at the start date. The first `skipped` of them are not billed; after that each
is billed once, until `length` are paid or the end date has passed. An instalment that is declined is tried
again after `RETRY_AFTER_DAYS`, as long as its decline allows; then the subscription is suspended.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.declines import Advice, Decline
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import AgreementId, StoredTokenId, SubscriptionId

RETRY_AFTER_DAYS = (1, 3, 5)
"""Days from a decline to the next attempt at the same instalment."""


class Frequency(StrEnum):
    """How long a period is."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


_DAYS = {Frequency.WEEKLY: 7, Frequency.FORTNIGHTLY: 14}
_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.YEARLY: 12}


class SubscriptionState(StrEnum):
    """Where a subscription is in its life."""

    ACTIVE = "active"
    COMPLETED = "completed"
    SUSPENDED = "suspended"
    """An instalment was declined for good; the merchant may reactivate it."""
    CANCELLED = "cancelled"


@frozen
class Subscription:
    """What is billed to a stored credential, how much and how often."""

    id: SubscriptionId
    tenant: Tenant
    name: str
    """The merchant's own id for it, unique in the tenant."""
    plan_id: str
    token_id: StoredTokenId
    agreement_id: AgreementId
    dialect: str
    state: SubscriptionState
    is_automatic: bool
    """False where the merchant collects each instalment."""
    currency: str
    amount_minor: int
    """Of an instalment; zero where each collection names its own."""
    frequency: Frequency
    start_on: date
    created_at: datetime
    end_on: date | None = None
    length: int = 0
    """How many instalments; 0 is no end."""
    skipped: int = 0
    period: int = 0
    """The next one to bill."""
    paid: int = 0
    attempts: int = 0
    """Declined attempts at this period's instalment."""
    act_on: date | None = None
    """When the schedule acts next: the due date, or the day of a retry."""
    facts: Facts = field(default_factory=dict[str, object])
    payment_facts: Facts = field(default_factory=dict[str, object])
    """What goes with each payment."""
    version: int = 1

    @property
    def due_on(self) -> date | None:
        """Give the day of the next instalment; nothing when there is none to come."""
        if self.state is not SubscriptionState.ACTIVE:
            return None
        return due_date(self.start_on, self.frequency, self.period)

    @property
    def charge_key(self) -> str:
        """Name this attempt at this period's instalment, for the payment's idempotency."""
        return f"{self.id}:{self.period}:{self.attempts}"


def due_date(start_on: date, frequency: Frequency, period: int) -> date:
    """Give the day of a period; a day that a month lacks is its last one.

    Counted from the start date, so that 31 January is followed by 28 February and 31 March.
    """
    days = _DAYS.get(frequency)
    if days is not None:
        return start_on + timedelta(days=days * period)
    months = start_on.year * 12 + start_on.month - 1 + _MONTHS[frequency] * period
    year, month = divmod(months, 12)
    return date(year, month + 1, min(start_on.day, monthrange(year, month + 1)[1]))


def begin(subscription: Subscription) -> Subscription:
    """Set a new subscription before its first billed period."""
    return _at_period(subscription, subscription.skipped)


def paid(subscription: Subscription) -> Subscription:
    """Take an approved instalment: on to the next period, or completed."""
    counted = replace(subscription, paid=subscription.paid + 1)
    return _at_period(counted, subscription.period + 1)


def declined(subscription: Subscription, decline: Decline | None, on: date) -> Subscription:
    """Take a declined instalment: try again later, or suspend."""
    attempts = subscription.attempts + 1
    is_final = decline is not None and decline.advice is Advice.DO_NOT_RETRY
    if is_final or attempts > len(RETRY_AFTER_DAYS):
        return replace(subscription, attempts=attempts, state=SubscriptionState.SUSPENDED, act_on=None)
    pause = timedelta(days=RETRY_AFTER_DAYS[attempts - 1])
    return replace(subscription, attempts=attempts, act_on=on + pause)


def unmade(subscription: Subscription) -> Subscription:
    """Take an instalment that never was or was undone: nobody declined it, so it is tried again at once."""
    return replace(subscription, attempts=subscription.attempts + 1)


def reactivated(subscription: Subscription, on: date) -> Subscription:
    """Go on with the first period that is not over; what fell due meanwhile is not billed."""
    period = subscription.period
    while due_date(subscription.start_on, subscription.frequency, period) < on:
        period += 1
    active = replace(subscription, state=SubscriptionState.ACTIVE)
    return _at_period(active, period, keeps_attempts=period == subscription.period)


def replanned(subscription: Subscription) -> Subscription:
    """Put the next action where changed dates and lengths want it."""
    if subscription.state is not SubscriptionState.ACTIVE:
        return subscription
    return _at_period(subscription, subscription.period, keeps_attempts=True)


def ended(subscription: Subscription, state: SubscriptionState) -> Subscription:
    """Stop: nothing more is billed."""
    return replace(subscription, state=state, act_on=None)


def _at_period(subscription: Subscription, period: int, *, keeps_attempts: bool = False) -> Subscription:
    due_on = due_date(subscription.start_on, subscription.frequency, period)
    is_over = subscription.length > 0 and subscription.paid >= subscription.length
    # The end date wins over the length.
    if subscription.end_on is not None:
        is_over = due_on > subscription.end_on
    if is_over:
        return replace(
            subscription, period=period, attempts=0, state=SubscriptionState.COMPLETED, act_on=None
        )
    return replace(
        subscription,
        period=period,
        attempts=subscription.attempts if keeps_attempts else 0,
        act_on=due_on,
    )
