"""A payment: amounts that only ever move within their bounds, and the status they add up to.

A payment is opened by one operation (authorization, purchase or credit) and moved by follow-ups.
Money that a follow-up is about to move is *held* (`capturing_minor`, …) from before the request is
sent until its answer is recorded, so that concurrent follow-ups can never exceed what there is (I7).

The life of each operation is the table `operations.TRANSITIONS`; what a follow-up does to the amounts is
the table `_EFFECTS`; the status follows from both, in `status_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.checks import Checks
from farebox.domain.declines import Decline
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.facts import Facts
from farebox.domain.frozen import evolve, frozen
from farebox.domain.ids import AgreementId, CustomerId, PaymentId, SingleUseTokenId, StoredTokenId
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.operations import Initiator, Movement, OperationKind, OperationState, Reason


class PaymentStatus(StrEnum):
    """What a merchant is told."""

    PENDING = "pending"
    IN_DOUBT = "in_doubt"
    DECLINED = "declined"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"
    VERIFIED = "verified"
    """A verification that the issuer approved; no money moved."""


_BEFORE_APPROVAL: Mapping[OperationState, PaymentStatus] = {
    OperationState.SUBMITTED: PaymentStatus.PENDING,
    OperationState.PENDING: PaymentStatus.PENDING,
    OperationState.IN_DOUBT: PaymentStatus.IN_DOUBT,
    OperationState.DECLINED: PaymentStatus.DECLINED,
    OperationState.FAILED: PaymentStatus.FAILED,
    # We undid it: what matters to the merchant is that no money is held.
    OperationState.REVERSED: PaymentStatus.FAILED,
}


ID_PREFIXES: Mapping[OperationKind, str] = {
    OperationKind.AUTHORIZATION: "pay",
    OperationKind.PURCHASE: "pay",
    OperationKind.VERIFICATION: "ver",
    OperationKind.CREDIT: "crd",
}
"""How the id of a payment begins, by the operation that opens it."""


@frozen
class Payment:
    """A payment as stored. Every amount is in minor units of `currency`.

    Invariants (I7), also CHECK constraints of the schema:
    `captured + capturing + voided + voiding <= authorized` and `refunded + refunding <= captured`.
    """

    id: PaymentId
    tenant: Tenant
    kind: OperationKind
    """Of the opening operation: authorization, purchase, credit or verification."""
    state: OperationState
    """Of the opening operation."""
    amount_minor: int
    currency: str
    created_at: datetime
    summary: InstrumentSummary
    dialect: str
    processor: str
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    voided_minor: int = 0
    capturing_minor: int = 0
    refunding_minor: int = 0
    voiding_minor: int = 0
    single_use_token_id: SingleUseTokenId | None = None
    stored_token_id: StoredTokenId | None = None
    """The credential it was paid with."""
    saved_token_id: StoredTokenId | None = None
    """The credential it stored."""
    customer_id: CustomerId | None = None
    agreement_id: AgreementId | None = None
    initiator: Initiator = Initiator.CUSTOMER
    reason: Reason | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect that opened it wants back."""
    checks: Checks = field(default_factory=Checks)
    decline: Decline | None = None
    authorization_code: str | None = None
    network_transaction_id: str | None = None
    version: int = 1

    @property
    def status(self) -> PaymentStatus:
        """Derive the status from the opening operation's state and the amounts."""
        return status_of(self)

    @property
    def capturable_minor(self) -> int:
        """Give what is left to capture or void, holds counted."""
        return (
            self.authorized_minor
            - self.captured_minor
            - self.capturing_minor
            - self.voided_minor
            - self.voiding_minor
        )

    @property
    def refundable_minor(self) -> int:
        """Give what is left to refund, holds counted."""
        return self.captured_minor - self.refunded_minor - self.refunding_minor


def status_of(payment: Payment) -> PaymentStatus:
    """Add the amounts up to a status; held amounts do not count until they moved."""
    if payment.state is not OperationState.APPROVED:
        return _BEFORE_APPROVAL[payment.state]
    if payment.kind is OperationKind.VERIFICATION:
        return PaymentStatus.VERIFIED
    if payment.captured_minor == 0:
        return _uncaptured_status(payment)
    if payment.refunded_minor:
        whole = payment.refunded_minor == payment.captured_minor
        return PaymentStatus.REFUNDED if whole else PaymentStatus.PARTIALLY_REFUNDED
    open_minor = payment.authorized_minor - payment.voided_minor - payment.captured_minor
    return PaymentStatus.PARTIALLY_CAPTURED if open_minor else PaymentStatus.CAPTURED


def _uncaptured_status(payment: Payment) -> PaymentStatus:
    if payment.voided_minor and payment.voided_minor == payment.authorized_minor:
        return PaymentStatus.VOIDED
    return PaymentStatus.AUTHORIZED


@frozen
class _Effect:
    """How a movement changes amounts: what holds it while in flight, and what it adds when approved."""

    hold: str | None
    limit: str
    exceeds: ErrorCode
    adds: Mapping[str, int]


_EFFECTS: Mapping[Movement, _Effect] = {
    Movement.CAPTURE: _Effect(
        "capturing_minor", "capturable_minor", ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED, {"captured_minor": 1}
    ),
    Movement.REFUND: _Effect(
        "refunding_minor", "refundable_minor", ErrorCode.AMOUNT_EXCEEDS_CAPTURED, {"refunded_minor": 1}
    ),
    Movement.VOID_AUTHORIZATION: _Effect(
        "voiding_minor", "capturable_minor", ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED, {"voided_minor": 1}
    ),
    # A capture taken back before its batch closes may be captured again; what holds its amount
    # meanwhile is the refund hold, because nobody may refund it.
    Movement.VOID_CAPTURE: _Effect(
        "refunding_minor", "refundable_minor", ErrorCode.AMOUNT_EXCEEDS_CAPTURED, {"captured_minor": -1}
    ),
    Movement.VOID_PURCHASE: _Effect(
        "refunding_minor",
        "refundable_minor",
        ErrorCode.AMOUNT_EXCEEDS_CAPTURED,
        {"captured_minor": -1, "voided_minor": 1},
    ),
    # A refund is voided whole, and the schema admits one live void per target, so nothing is held.
    Movement.VOID_REFUND: _Effect(
        None, "refunded_minor", ErrorCode.AMOUNT_EXCEEDS_CAPTURED, {"refunded_minor": -1}
    ),
}

_MOVEMENTS_OF: Mapping[OperationKind, frozenset[Movement]] = {
    OperationKind.AUTHORIZATION: frozenset(Movement) - {Movement.VOID_PURCHASE},
    OperationKind.PURCHASE: frozenset({Movement.REFUND, Movement.VOID_PURCHASE, Movement.VOID_REFUND}),
    OperationKind.CREDIT: frozenset({Movement.VOID_PURCHASE}),
    OperationKind.VERIFICATION: frozenset(),
}


def hold(payment: Payment, movement: Movement, amount_minor: int) -> Payment:
    """Set aside what a follow-up is about to move.

    Raises:
        Conflict: `payment_state_conflict` when there is nothing such a follow-up could move.
        InvalidRequest: `amount_exceeds_authorized` or `amount_exceeds_captured`.
    """
    effect = _EFFECTS[movement]
    if payment.state is not OperationState.APPROVED or movement not in _MOVEMENTS_OF[payment.kind]:
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
    limit_minor: int = getattr(payment, effect.limit)
    if limit_minor == 0:
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
    if amount_minor > limit_minor:
        raise InvalidRequest(effect.exceeds, param="amount_minor")
    return _add(payment, {effect.hold: 1} if effect.hold else {}, amount_minor)


def move(payment: Payment, movement: Movement, amount_minor: int) -> Payment:
    """Turn a hold into a movement: the follow-up was approved."""
    return _add(release(payment, movement, amount_minor), _EFFECTS[movement].adds, amount_minor)


def release(payment: Payment, movement: Movement, amount_minor: int) -> Payment:
    """Give a hold back: the follow-up was declined, failed or reversed."""
    held = _EFFECTS[movement].hold
    return _add(payment, {held: -1} if held else {}, amount_minor)


def _add(payment: Payment, signs: Mapping[str, int], amount_minor: int) -> Payment:
    changes = {name: getattr(payment, name) + sign * amount_minor for name, sign in signs.items()}
    return evolve(payment, **changes)


def open_with(payment: Payment, state: OperationState, approved_minor: int) -> Payment:
    """Record the opening operation's new state and what it authorized or captured.

    A partial approval authorizes `approved_minor`, which may be less than `amount_minor`.
    """
    if state is not OperationState.APPROVED:
        return evolve(payment, state=state)
    captured = 0 if payment.kind is OperationKind.AUTHORIZATION else approved_minor
    return evolve(payment, state=state, authorized_minor=approved_minor, captured_minor=captured)
