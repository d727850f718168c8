"""What an answer does to our books: the operation, its payment, its token and the outbox, in one transaction.

The owner of an operation and recovery both record through here, so an outcome means the same whoever
learnt it. The first final answer wins; a later one changes nothing, and if it was an approval it
is compensated by a reversal (R4).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from farebox.domain.declines import is_soft
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.events import Event, EventType, Value
from farebox.domain.frozen import evolve, frozen
from farebox.domain.operations import (
    TERMINAL,
    TRANSITIONS,
    Approved,
    Declined,
    Movement,
    Operation,
    OperationEvent,
    OperationState,
    Outcome,
    Pending,
    event_of,
    movement_of,
)
from farebox.domain.payments import Payment, move, open_with, release
from farebox.domain.tokens import DeclinePolicy, TokenState
from farebox.ports.storage import UnitOfWork
from farebox.ports.system import Clock
from farebox.services.ids import Ids

_EVENT_TYPES: Mapping[OperationState, EventType] = {
    OperationState.SUBMITTED: EventType.OPERATION_SUBMITTED,
    OperationState.PENDING: EventType.OPERATION_PENDING,
    OperationState.APPROVED: EventType.OPERATION_APPROVED,
    OperationState.DECLINED: EventType.OPERATION_DECLINED,
    OperationState.FAILED: EventType.OPERATION_FAILED,
    OperationState.IN_DOUBT: EventType.OPERATION_IN_DOUBT,
    OperationState.REVERSED: EventType.OPERATION_REVERSED,
}


@frozen
class Recorded:
    """The books after an answer. `first` is False when somebody had closed the operation before."""

    operation: Operation
    payment: Payment
    events: tuple[Event, ...]
    first: bool = True


class Ledger:
    """Records what became of operations."""

    def __init__(self, clock: Clock, ids: Ids, *, keeps_cvc: bool = False) -> None:
        """Take what stamps and names the events.

        Args:
            clock: stamps them.
            ids: names them.
            keeps_cvc: let a CVC outlive a verification's answer, the only exception to SEC-02.
        """
        self._clock = clock
        self._ids = ids
        self._keeps_cvc = keeps_cvc

    def operation_event(self, operation: Operation, payment: Payment) -> Event:
        """Tell of an operation's current state."""
        data: dict[str, Value] = {
            "kind": operation.kind.value,
            "payment_id": payment.id,
            "amount_minor": operation.money.amount_minor,
            "currency": operation.money.currency,
            "processor": operation.processor,
            "payment_status": payment.status.value,
        }
        if operation.decline is not None:
            data["decline_reason"] = operation.decline.reason.value
        return self._ids.event(
            _EVENT_TYPES[operation.state],
            operation.tenant,
            operation.id,
            at=self._clock.now(),
            sequence=payment.version,
            data=data,
        )

    def token_event(self, type_: EventType, operation: Operation, payment: Payment, sequence: int) -> Event:
        """Tell what happened to the single-use token of an operation."""
        return self._ids.event(
            type_,
            operation.tenant,
            operation.token_id or "",
            at=self._clock.now(),
            sequence=sequence,
            data={"operation_id": operation.id, "dialect": payment.dialect},
        )

    async def record(
        self,
        uow: UnitOfWork,
        operation: Operation,
        answer: Outcome | OperationEvent,
        *,
        payment: Payment | None = None,
        policy: DeclinePolicy = DeclinePolicy.SPENDS,
        clock_offset: timedelta = timedelta(0),
    ) -> Recorded:
        """Record an answer, or what we know without one (`FAIL`, `REVERSE`).

        Args:
            uow: the transaction.
            operation: as it was before.
            answer: what the processor said, or the event recovery or the owner is certain of.
            payment: the payment as this owner inserted it, to spare the look-up.
            policy: what a decline does to the token; only the owner knows the dialect's.
            clock_offset: of the merchant's test clock, to judge a returned token's expiry.
        """
        event = answer if isinstance(answer, OperationEvent) else event_of(answer)
        if event not in TRANSITIONS[operation.state]:
            return await self._too_late(uow, operation, answer)
        after = _after(operation, answer, TRANSITIONS[operation.state][event], self._clock.now())
        returns_token = _returns_token(after, policy)
        if returns_token:
            after = evolve(after, consumes_token=False)
        moved = await (
            uow.operations.doubt(after)
            if after.state is OperationState.IN_DOUBT
            else uow.operations.close(after)
        )
        if not moved:
            return await self._too_late(uow, operation, answer)
        payment = await self._update(uow, after, payment)
        events = [self.operation_event(after, payment)]
        events += await self._token(uow, operation, after, payment, clock_offset, returns_token=returns_token)
        await uow.events.append(events)
        return Recorded(after, payment, tuple(events))

    async def _update(self, uow: UnitOfWork, after: Operation, known: Payment | None) -> Payment:
        """Carry the answer into the payment; one that recovery has touched meanwhile is read again."""
        payment = _with_answer(known or await _lock(uow, after), after)
        if not await uow.payments.update(payment):
            current = await _lock(uow, after)
            if known is not None:
                current = evolve(current, saved_token_id=known.saved_token_id)
            payment = _with_answer(current, after)
            if not await uow.payments.update(payment):
                raise AssertionError("a payment changed while its row was locked")
        return evolve(payment, version=payment.version + 1)

    async def _too_late(
        self, uow: UnitOfWork, operation: Operation, answer: Outcome | OperationEvent
    ) -> Recorded:
        if isinstance(answer, Approved):
            await uow.operations.compensate(evolve(operation, processor_id=answer.processor_id))
        current = await uow.operations.find(operation.tenant, operation.id)
        payment = await uow.payments.find(operation.tenant, operation.payment_id)
        if current is None or payment is None:
            raise NotFound(ErrorCode.OPERATION_NOT_FOUND)
        return Recorded(current, payment, (), first=False)

    async def _token(
        self,
        uow: UnitOfWork,
        before: Operation,
        after: Operation,
        payment: Payment,
        clock_offset: timedelta,
        *,
        returns_token: bool,
    ) -> list[Event]:
        """Move the single-use token of the operation, if it has one."""
        if before.token_id is None or after.state is OperationState.IN_DOUBT:
            return []
        if not before.consumes_token:
            # A verification only looked; its first final answer still ends the CVC (SEC-02).
            if after.state is not OperationState.FAILED and not self._keeps_cvc:
                await uow.tokens.erase_cvc(before.token_id, before.tenant)
            return []
        if returns_token or after.state is OperationState.FAILED:
            state = await uow.tokens.give_back(before.token_id, before.tenant, before.id, clock_offset)
            if returns_token and state is TokenState.MINTED:
                await uow.tokens.erase_cvc(before.token_id, before.tenant)
            return [self.token_event(_GIVEN_BACK[state], before, payment, 3)] if state else []
        if await uow.tokens.settle(before.token_id, before.tenant, before.id):
            return [self.token_event(EventType.SINGLE_USE_TOKEN_SPENT, before, payment, 3)]
        return []


_GIVEN_BACK: Mapping[TokenState, EventType] = {
    TokenState.MINTED: EventType.SINGLE_USE_TOKEN_RELEASED,
    TokenState.EXPIRED: EventType.SINGLE_USE_TOKEN_EXPIRED,
}


async def _lock(uow: UnitOfWork, operation: Operation) -> Payment:
    payment = await uow.payments.lock(operation.tenant, operation.payment_id)
    if payment is None:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return payment


def _returns_token(after: Operation, policy: DeclinePolicy) -> bool:
    return (
        policy is DeclinePolicy.SOFT_DECLINE_RETURNS
        and after.consumes_token
        and after.decline is not None
        and is_soft(after.decline.reason)
    )


def _after(
    operation: Operation, answer: Outcome | OperationEvent, state: OperationState, now: datetime
) -> Operation:
    """Write an answer into the operation."""
    changes: dict[str, Any] = {"state": state}
    if state in TERMINAL:
        changes |= {"closed_at": now, "next_attempt_at": None, "reversing": False}
    elif state is OperationState.IN_DOUBT:
        changes["next_attempt_at"] = now
    elif state is OperationState.PENDING:
        changes["next_attempt_at"] = now + timedelta(hours=1)
    match answer:
        case Approved():
            changes |= {
                "processor_id": answer.processor_id,
                "approved_minor": answer.approved_minor,
                "authorization_code": answer.authorization_code,
                "checks": answer.checks,
                "network_transaction_id": answer.network_transaction_id,
            }
        case Declined():
            changes |= {
                "processor_id": answer.processor_id,
                "decline": answer.decline,
                "checks": answer.checks,
                "network_transaction_id": answer.network_transaction_id,
            }
        case Pending():
            changes["processor_id"] = answer.processor_id
        case _:
            pass
    return evolve(operation, **changes)


def _with_answer(payment: Payment, operation: Operation) -> Payment:
    """Carry an operation's new state into its payment."""
    movement = movement_of(operation.kind, operation.target_kind)
    if movement is not None:
        return _followed_up(payment, operation, movement)
    opened = open_with(payment, operation.state, operation.approved_minor)
    return evolve(
        opened,
        checks=operation.checks,
        decline=operation.decline,
        authorization_code=operation.authorization_code,
        network_transaction_id=operation.network_transaction_id or payment.network_transaction_id,
    )


def _followed_up(payment: Payment, operation: Operation, movement: Movement) -> Payment:
    amount_minor = operation.money.amount_minor
    match operation.state:
        case OperationState.APPROVED:
            return move(payment, movement, amount_minor)
        case OperationState.DECLINED | OperationState.FAILED | OperationState.REVERSED:
            return release(payment, movement, amount_minor)
        case _:
            # Pending or in doubt: what was held stays held.
            return payment
