"""Drives every operation that left to one recorded outcome.

Recovery only inquires and reverses. It never sends an authorization again (R3) and never releases a token,
even if the processor does not know the reference, because a paused owner may still send (R2). An
inquiry that finds nothing is answered by a reversal; a reversal is repeated until acknowledged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from farebox.domain.errors import FareboxError
from farebox.domain.events import Event
from farebox.domain.operations import (
    ALARM_AFTER_ATTEMPTS,
    OPEN,
    InDoubt,
    Operation,
    OperationEvent,
    OperationState,
    Outcome,
    Pending,
    recovery_delay_s,
)
from farebox.ports.processors import NotFoundAtProcessor, Processor, ProcessorRequest
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.ledger import Ledger
from farebox.services.routing import Routing
from farebox.services.vaulting import Vaulting


class Recovery:
    """Settles what is in doubt."""

    def __init__(
        self,
        *,
        storage: Storage,
        vaulting: Vaulting,
        clock: Clock,
        telemetry: Telemetry,
        routing: Routing,
        ledger: Ledger,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._vaulting = vaulting
        self._clock = clock
        self._telemetry = telemetry
        self._routing = routing
        self._ledger = ledger

    async def run_once(self, limit: int = 50) -> int:
        """Act on what is due; give how many operations that was."""
        due = await self._storage.write(lambda uow: uow.operations.due_for_recovery(limit))
        for operation in due:
            await self.settle(operation)
        return len(due)

    async def settle(self, operation: Operation) -> None:
        """Make one attempt at an operation: ask, else undo; postpone when neither is answered."""
        processor = self._routing.named(operation.processor)
        try:
            answer = await self._ask(processor, operation)
            if answer is None:
                if operation.state is OperationState.SUBMITTED and not await self._doubt(operation):
                    return
                answer = await self._undo(processor, operation)
        except FareboxError:
            # The processor could not even be asked.
            answer = None
        if answer is None:
            await self._postpone(operation)
        elif operation.state in OPEN or operation.state is OperationState.PENDING:
            await self._record(operation, answer)
        else:
            await self._compensated(operation)

    async def _ask(self, processor: Processor, operation: Operation) -> Outcome | None:
        """Inquire; nothing when it must be undone or stays unknown."""
        if operation.reversing or not processor.capabilities.inquiry:
            return None
        answer = await processor.inquire(operation.processor_reference, operation.tenant)
        if isinstance(answer, NotFoundAtProcessor | InDoubt):
            return None
        if operation.state is OperationState.PENDING and isinstance(answer, Pending):
            return None
        return answer

    async def _doubt(self, operation: Operation) -> bool:
        """Move a submitted operation to in doubt; False when its owner closed it at the last moment."""
        recorded = await self._storage.write(
            lambda uow: self._ledger.record(uow, operation, InDoubt("unanswered"))
        )
        self._telemetry.observe(recorded.events)
        return recorded.first

    async def _undo(self, processor: Processor, operation: Operation) -> OperationEvent | None:
        """Reverse; nothing when the processor did not acknowledge or still owes the result.

        That it will be reversed is committed before the reversal is sent: from then on no late
        approval can close the operation.
        """
        if operation.state is OperationState.PENDING or not processor.capabilities.reversal:
            return None
        if operation.state in OPEN and not await self._storage.write(
            lambda uow: uow.operations.begin_reversal(operation)
        ):
            return None
        request = await self._request(processor, operation)
        return OperationEvent.REVERSE if await processor.reverse(request) else None

    async def _request(self, processor: Processor, operation: Operation) -> ProcessorRequest:
        instrument = None
        if processor.capabilities.needs_pan_for_reversal and operation.envelope is not None:
            permit = await self._storage.write(
                lambda uow: self._vaulting.permit(
                    uow, operation.id, purpose="processor", why="reversal", tenant=operation.tenant
                )
            )
            instrument = self._vaulting.open_envelope(permit, operation)
        return ProcessorRequest(
            operation_id=operation.id,
            reference=operation.processor_reference,
            kind=operation.kind,
            tenant=operation.tenant,
            money=operation.money,
            merchant_time=operation.created_at,
            instrument=instrument,
            target_processor_id=operation.processor_id,
        )

    async def _record(self, operation: Operation, answer: Outcome | OperationEvent) -> None:
        async def work(uow: UnitOfWork) -> tuple[Event, ...]:
            current = await uow.operations.find(operation.tenant, operation.id)
            if current is None:
                return ()
            return (await self._ledger.record(uow, current, answer)).events

        self._telemetry.observe(await self._storage.write(work))

    async def _compensated(self, operation: Operation) -> None:
        """A late approval of a closed operation has been reversed (R4)."""
        await self._storage.write(lambda uow: uow.operations.compensated(operation))

    async def _postpone(self, operation: Operation) -> None:
        """Come back later, and raise the alarm when that has happened too often."""
        attempts = operation.attempts + 1
        later = replace(operation, attempts=attempts)
        later = replace(later, next_attempt_at=self._next_attempt_at(later))
        await self._storage.write(lambda uow: uow.operations.postpone(later))
        if attempts > ALARM_AFTER_ATTEMPTS and operation.state is not OperationState.PENDING:
            self._telemetry.recovery_alarm(operation.id, attempts)

    def _next_attempt_at(self, operation: Operation) -> datetime:
        if operation.state is OperationState.PENDING:
            return self._clock.now() + timedelta(hours=1)
        return self._clock.now() + timedelta(seconds=recovery_delay_s(operation.attempts))
