"""Operations: one request to a processor each, and what became of it.

`Outcome` is what a processor says; `OperationState` is what we know. Only an explicit answer makes an
operation approved or declined (R8); silence makes it in doubt.

Source of the states: security design §4.1 and §4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.checks import Checks
from farebox.domain.declines import Decline
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import OperationId, PaymentId, SingleUseTokenId, StoredTokenId
from farebox.domain.money import Money


class OperationKind(StrEnum):
    """What is asked of a processor."""

    AUTHORIZATION = "authorization"
    PURCHASE = "purchase"
    """Authorization and capture in one step; a bank debit is one too."""
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    VERIFICATION = "verification"
    CREDIT = "credit"
    """Money to an instrument without an earlier payment."""


class OperationState(StrEnum):
    """What we know of an operation."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    """The processor took it and will tell the result later, as banks do."""
    APPROVED = "approved"
    DECLINED = "declined"
    FAILED = "failed"
    """Certain that the processor never had it."""
    IN_DOUBT = "in_doubt"
    REVERSED = "reversed"


class OperationEvent(StrEnum):
    """What can happen to an operation."""

    APPROVE = "approve"
    DECLINE = "decline"
    ACCEPT = "accept"
    FAIL = "fail"
    DOUBT = "doubt"
    REVERSE = "reverse"


TRANSITIONS: Mapping[OperationState, Mapping[OperationEvent, OperationState]] = {
    OperationState.SUBMITTED: {
        OperationEvent.APPROVE: OperationState.APPROVED,
        OperationEvent.DECLINE: OperationState.DECLINED,
        OperationEvent.ACCEPT: OperationState.PENDING,
        OperationEvent.FAIL: OperationState.FAILED,
        OperationEvent.DOUBT: OperationState.IN_DOUBT,
    },
    OperationState.PENDING: {
        OperationEvent.APPROVE: OperationState.APPROVED,
        OperationEvent.DECLINE: OperationState.DECLINED,
    },
    OperationState.IN_DOUBT: {
        OperationEvent.APPROVE: OperationState.APPROVED,
        OperationEvent.DECLINE: OperationState.DECLINED,
        OperationEvent.ACCEPT: OperationState.PENDING,
        OperationEvent.DOUBT: OperationState.IN_DOUBT,
        OperationEvent.REVERSE: OperationState.REVERSED,
    },
    OperationState.APPROVED: {},
    OperationState.DECLINED: {},
    OperationState.FAILED: {},
    OperationState.REVERSED: {},
}

TERMINAL = frozenset(state for state, moves in TRANSITIONS.items() if not moves)
OPEN = frozenset({OperationState.SUBMITTED, OperationState.IN_DOUBT})
"""States from which a first final answer may be recorded."""


RECOVERY_DELAYS_S: tuple[int, ...] = (0, 5, 15, 60, 300, 900, 3600)
"""Seconds before each attempt of recovery; the last one repeats hourly. Source: security design §4.7."""
ALARM_AFTER_ATTEMPTS = 6
SEND_WITHIN_S = 2.0
"""An owner that has not written by then no longer does (R6)."""
RECOVERY_GRACE_S = 10.0
"""Recovery acts this long after `send_by` plus the processor's timeout (R7)."""


def recovery_delay_s(attempts: int) -> int:
    """Give the pause before the next attempt, after `attempts` of them."""
    return RECOVERY_DELAYS_S[min(attempts, len(RECOVERY_DELAYS_S) - 1)]


class Initiator(StrEnum):
    """Who is present: the cardholder (CIT) or only the merchant (MIT)."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"


class Reason(StrEnum):
    """Why a credential is stored or used again, in the card networks' words."""

    RECURRING = "recurring"
    INSTALLMENT = "installment"
    UNSCHEDULED = "unscheduled"
    RESUBMISSION = "resubmission"
    DELAYED_CHARGE = "delayed_charge"
    REAUTHORIZATION = "reauthorization"
    NO_SHOW = "no_show"
    INCREMENTAL = "incremental"


@frozen
class Approved:
    """The processor said yes.

    `approved_minor` differs from the amount asked for when the issuer approves part of it.
    """

    processor_id: str | None
    approved_minor: int
    authorization_code: str | None = None
    checks: Checks = field(default_factory=Checks)
    network_transaction_id: str | None = None


@frozen
class Declined:
    """The issuer or the processor said no; a normal answer."""

    decline: Decline
    processor_id: str | None = None
    checks: Checks = field(default_factory=Checks)
    network_transaction_id: str | None = None


@frozen
class Pending:
    """The processor took it; the result comes later."""

    processor_id: str | None


@frozen
class InDoubt:
    """Nobody knows: a timeout, a cut, or an answer that cannot be read (SEC-22)."""

    why: str
    """A word of ours (`timeout`, `disconnected`, `unreadable`), never the processor's text."""


Outcome = Approved | Declined | Pending | InDoubt


def event_of(outcome: Outcome) -> OperationEvent:
    """Name what an outcome does to the operation."""
    match outcome:
        case Approved():
            return OperationEvent.APPROVE
        case Declined():
            return OperationEvent.DECLINE
        case Pending():
            return OperationEvent.ACCEPT
        case InDoubt():
            return OperationEvent.DOUBT


class Movement(StrEnum):
    """What an approved follow-up does to the amounts of its payment."""

    CAPTURE = "capture"
    REFUND = "refund"
    VOID_AUTHORIZATION = "void_authorization"
    VOID_CAPTURE = "void_capture"
    VOID_PURCHASE = "void_purchase"
    VOID_REFUND = "void_refund"


_VOIDS: Mapping[OperationKind, Movement] = {
    OperationKind.AUTHORIZATION: Movement.VOID_AUTHORIZATION,
    OperationKind.CAPTURE: Movement.VOID_CAPTURE,
    OperationKind.PURCHASE: Movement.VOID_PURCHASE,
    OperationKind.CREDIT: Movement.VOID_PURCHASE,
    OperationKind.REFUND: Movement.VOID_REFUND,
}


def movement_of(kind: OperationKind, target_kind: OperationKind | None) -> Movement | None:
    """Name the movement of a follow-up; nothing for an operation that opens a payment or cannot be voided."""
    match kind:
        case OperationKind.CAPTURE:
            return Movement.CAPTURE
        case OperationKind.REFUND:
            return Movement.REFUND
        case OperationKind.VOID:
            return _VOIDS.get(target_kind or OperationKind.AUTHORIZATION)
        case _:
            return None


@frozen
class Operation:
    """One request to a processor, as stored."""

    id: OperationId
    tenant: Tenant
    payment_id: PaymentId
    kind: OperationKind
    money: Money
    state: OperationState
    created_at: datetime
    send_by: datetime
    """After this instant the owner no longer sends (R6)."""
    processor: str
    processor_reference: str
    """Our reference at the processor; derived from the idempotency key when there is one."""
    token_id: SingleUseTokenId | None = None
    consumes_token: bool = False
    stored_token_id: StoredTokenId | None = None
    target_id: OperationId | None = None
    """What it follows up: the authorization captured, the capture refunded, the operation voided."""
    target_kind: OperationKind | None = None
    initiator: Initiator = Initiator.CUSTOMER
    reason: Reason | None = None
    processor_id: str | None = None
    approved_minor: int = 0
    authorization_code: str | None = None
    checks: Checks = field(default_factory=Checks)
    decline: Decline | None = None
    network_transaction_id: str | None = None
    reference: str | None = None
    """The merchant's own reference of this operation."""
    settled_at: datetime | None = None
    closed_at: datetime | None = None
    envelope: bytes | None = None
    envelope_day: int | None = None
    attempts: int = 0
    """How often recovery has asked the processor."""
    next_attempt_at: datetime | None = None
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect that asked for it wants back."""
    reversing: bool = False
    """Recovery has decided that it must be undone (R4, or nothing explains it)."""
