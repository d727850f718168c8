"""Checkout sessions: an order that a buyer is sent to a page of ours to pay.

A session is made by the merchant, shown to whoever holds its address, and paid at most once. A declined
attempt leaves it open for another one, up to `ATTEMPTS_MAX` of them. Its life is the table `TRANSITIONS`;
storage enforces the same table, and that the payment of a session changes only where an attempt begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import AgreementId, CheckoutSessionId, CustomerId, PaymentId, StoredTokenId
from farebox.domain.operations import Initiator, OperationKind, OperationState, Reason
from farebox.domain.tokens import StoredTokenKind

ATTEMPTS_MAX = 10
"""Whoever tries more cards than this in one session is trying cards."""
HISTORY_MAX = 100
"""Entries kept; visits are dropped first, and an eventful life is far below it."""
URL_LENGTH_MAX = 2048
LIFETIME = timedelta(days=1)
LIFETIME_MAX = timedelta(days=90)
SHOWN_AFTER_END = timedelta(days=1)
"""How long a page still tells what became of its session and leads back to the shop."""
SESSION_FACT = "checkout_session"
"""Under this name the facts of a payment hold the id of the session that it pays."""


class CheckoutState(StrEnum):
    """Where a session is in its life."""

    OPEN = "open"
    LOCKED = "locked"
    """The merchant is changing the order: it cannot be paid."""
    PAYING = "paying"
    """An attempt is under way; nobody else pays, cancels or changes it."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class CheckoutEvent(StrEnum):
    """What can happen to a session; the word in its history too."""

    CREATE = "created"
    VISIT = "visited"
    UPDATE = "updated"
    LOCK = "locked"
    UNLOCK = "unlocked"
    START = "payment_started"
    DECLINE = "payment_declined"
    """The issuer said no, and the buyer may try again."""
    RELEASE = "payment_released"
    """Certain that nothing was taken: not sent, or undone."""
    COMPLETE = "completed"
    FAIL = "failed"
    CANCEL = "cancelled"
    """By the merchant."""
    ABANDON = "abandoned"
    """By the buyer."""
    EXPIRE = "expired"
    UNDO = "undone"
    """The merchant cancels a session whose payment was voided."""


TRANSITIONS: Mapping[CheckoutState, Mapping[CheckoutEvent, CheckoutState]] = {
    CheckoutState.OPEN: {
        CheckoutEvent.VISIT: CheckoutState.OPEN,
        CheckoutEvent.UPDATE: CheckoutState.OPEN,
        CheckoutEvent.LOCK: CheckoutState.LOCKED,
        CheckoutEvent.START: CheckoutState.PAYING,
        CheckoutEvent.CANCEL: CheckoutState.CANCELLED,
        CheckoutEvent.ABANDON: CheckoutState.CANCELLED,
        CheckoutEvent.EXPIRE: CheckoutState.EXPIRED,
    },
    CheckoutState.LOCKED: {
        CheckoutEvent.VISIT: CheckoutState.LOCKED,
        CheckoutEvent.UPDATE: CheckoutState.LOCKED,
        CheckoutEvent.LOCK: CheckoutState.LOCKED,
        CheckoutEvent.UNLOCK: CheckoutState.OPEN,
        CheckoutEvent.CANCEL: CheckoutState.CANCELLED,
        CheckoutEvent.ABANDON: CheckoutState.CANCELLED,
        CheckoutEvent.EXPIRE: CheckoutState.EXPIRED,
    },
    CheckoutState.PAYING: {
        CheckoutEvent.VISIT: CheckoutState.PAYING,
        CheckoutEvent.COMPLETE: CheckoutState.COMPLETED,
        CheckoutEvent.DECLINE: CheckoutState.OPEN,
        CheckoutEvent.RELEASE: CheckoutState.OPEN,
        CheckoutEvent.FAIL: CheckoutState.FAILED,
    },
    CheckoutState.COMPLETED: {CheckoutEvent.UNDO: CheckoutState.CANCELLED},
    CheckoutState.FAILED: {},
    CheckoutState.CANCELLED: {},
    CheckoutState.EXPIRED: {},
}


class SaveChoice(StrEnum):
    """Who decides whether the card is kept: the merchant's order, or the buyer by a box to tick."""

    ALWAYS = "always"
    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"


@frozen
class SaveTerms:
    """What the card becomes when the payment goes well."""

    kind: StoredTokenKind
    choice: SaveChoice = SaveChoice.OPT_IN
    reason: Reason = Reason.UNSCHEDULED
    agreement_id: AgreementId | None = None
    customer_reference: str | None = None
    """The merchant's own name of the customer, where the dialect keeps no customers."""
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the credential."""
    also: tuple[SaveTerms, ...] = ()
    """More credentials for the same card; they are kept when this one is."""

    def applies(self, *, ticked: bool) -> bool:
        """Tell whether the card is kept, given the box on the page."""
        return self.choice is SaveChoice.ALWAYS or ticked


@frozen
class OrderLine:
    """One line of the order, as it is shown."""

    description: str
    amount_minor: int
    """The line's total, taxes and discounts counted; a discount of its own is negative."""
    quantity: Decimal = Decimal(1)
    reference: str | None = None
    tax_minor: int | None = None
    facts: Facts = field(default_factory=dict[str, object])


@frozen
class OtherMethod:
    """A way to pay that is not ours: a button that leads to an address of the merchant."""

    name: str
    label: str
    url: str


@frozen
class HistoryEntry:
    """One thing that happened to a session, for its merchant."""

    event: CheckoutEvent
    at: datetime
    request_id: str = ""
    payment_id: PaymentId | None = None
    facts: Facts = field(default_factory=dict[str, object])


@frozen
class CheckoutTerms:
    """What is asked of the buyer and shown to them; the part of a session that an update replaces."""

    amount_minor: int
    currency: str
    lines: tuple[OrderLine, ...] = ()
    takes_card: bool = True
    others: tuple[OtherMethod, ...] = ()
    save: SaveTerms | None = None
    asks_cvc: bool = True
    """Of a stored card."""
    return_url: str | None = None
    """Where the buyer goes afterwards; only a session without a buyer has none."""
    cancel_url: str | None = None
    """Where a buyer goes who leaves, when not there."""
    terms_url: str | None = None
    locale: str | None = None
    """The page's language; without one the browser's."""


@frozen
class CheckoutSession:
    """A session as stored."""

    id: CheckoutSessionId
    tenant: Tenant
    dialect: str
    state: CheckoutState
    kind: OperationKind
    """How it is paid: purchase, authorization, or verification for a session that only stores a card."""
    terms: CheckoutTerms
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    """By the merchant's clock."""
    reference: str | None = None
    customer_id: CustomerId | None = None
    stored_token_id: StoredTokenId | None = None
    """The stored card that is offered for confirmation."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the session."""
    payment_facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the payment."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """What reaches the processor as it is."""
    payment_id: PaymentId | None = None
    """Of the latest attempt; the state says what came of it."""
    attempts: int = 0
    lock_id: str | None = None
    ended_by: Initiator | None = None
    """Who cancelled it."""
    history: tuple[HistoryEntry, ...] = ()
    sealed_saved: bytes | None = None
    """The strings of the tokens that its payment stored, for the merchant alone."""
    version: int = 1

    def is_due(self, now: datetime) -> bool:
        """Tell whether an unpaid session's time is over."""
        return CheckoutEvent.EXPIRE in TRANSITIONS[self.state] and self.expires_at <= now

    def as_of(self, now: datetime) -> CheckoutSession:
        """Show an unpaid session past its time as expired, although nobody has come by yet."""
        return replace(self, state=CheckoutState.EXPIRED) if self.is_due(now) else self


def moved(
    session: CheckoutSession,
    event: CheckoutEvent,
    at: datetime,
    *,
    request_id: str = "",
    facts: Facts | None = None,
) -> CheckoutSession:
    """Let something happen to a session.

    Raises:
        Conflict: `checkout_session_conflict` where the table has no such move.
    """
    state = TRANSITIONS[session.state].get(event)
    if state is None:
        raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT)
    entry = HistoryEntry(event, at, request_id, session.payment_id, facts or {})
    return replace(session, state=state, updated_at=at, history=_with(session.history, entry))


def _with(history: tuple[HistoryEntry, ...], entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    if len(history) < HISTORY_MAX:
        return (*history, entry)
    if entry.event is CheckoutEvent.VISIT:
        return history
    return (*history[: HISTORY_MAX // 2], *history[HISTORY_MAX // 2 + 1 :], entry)


def event_of_payment(
    state: OperationState, *, attempts: int, initiator: Initiator = Initiator.CUSTOMER
) -> CheckoutEvent | None:
    """Name what an opening operation's state does to the session it pays; nothing while it is open.

    A pending payment completes the session: the buyer has done their part, and the payment tells the rest.
    A merchant-initiated attempt is the only one, because nobody is there to try another card.
    """
    match state:
        case OperationState.APPROVED | OperationState.PENDING:
            return CheckoutEvent.COMPLETE
        case OperationState.DECLINED:
            is_last = attempts >= ATTEMPTS_MAX or initiator is Initiator.MERCHANT
            return CheckoutEvent.FAIL if is_last else CheckoutEvent.DECLINE
        case OperationState.FAILED | OperationState.REVERSED:
            return CheckoutEvent.FAIL if initiator is Initiator.MERCHANT else CheckoutEvent.RELEASE
        case OperationState.SUBMITTED | OperationState.IN_DOUBT:
            return None


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}:")
_UNFIT = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")
_FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "filesystem"})


def check_url(url: str | None, *, param: str) -> str | None:
    """Refuse what no browser should be sent to; app schemes (`shop://done`) are fine.

    Raises:
        InvalidRequest: `parameter_invalid`.
    """
    if url is None:
        return None
    scheme = _SCHEME.match(url)
    if scheme is None or len(url) > URL_LENGTH_MAX or _UNFIT.search(url):
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=param)
    if scheme.group()[:-1].lower() in _FORBIDDEN_SCHEMES:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=param)
    return url


def check_terms(terms: CheckoutTerms) -> CheckoutTerms:
    """Refuse addresses that no browser should be sent to.

    Raises:
        InvalidRequest: `parameter_invalid`, naming the field.
    """
    check_url(terms.return_url, param="return_url")
    check_url(terms.cancel_url, param="cancel_url")
    check_url(terms.terms_url, param="terms_url")
    for other in terms.others:
        check_url(other.url, param="methods.url")
    return terms
