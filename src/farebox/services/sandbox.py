"""The hands on test mode: the merchant's clock, scripted trouble, batches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from farebox.domain.access import Mode, Principal, Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.errors import ErrorCode, Forbidden, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType
from farebox.domain.operations import Operation, OperationState
from farebox.ports.processors import Fault, Sandbox
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    AddFault,
    BatchView,
    ClearFaults,
    ClockView,
    CloseBatch,
    Context,
    DecidePending,
    MoveClock,
    PaymentView,
)
from farebox.services.idempotency import AlreadyClaimed, Claim
from farebox.services.ids import Ids
from farebox.services.recovery import Recovery
from farebox.services.views import payment_view

FORWARD_MAX = timedelta(days=3660)
_PENDING_AT_ONCE = 500


class SandboxCommands:
    """Commands of test mode; a live key is refused each of them."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        sandbox: Sandbox,
        recovery: Recovery,
        clock_moved: Callable[[Tenant], None],
    ) -> None:
        """Take what it works with; `clock_moved` tells who remembers a merchant's clock."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._sandbox = sandbox
        self._recovery = recovery
        self._clock_moved = clock_moved

    async def move_clock(
        self, command: MoveClock, context: Context[ClockView], claim: Claim[ClockView]
    ) -> ClockView:
        """Move this merchant's clock forward; nobody else's moves.

        Raises:
            InvalidRequest: `parameter_invalid` for a step back or one beyond ten years in all.
            Forbidden: `mode_mismatch`.
        """
        tenant = _tenant(context.principal)
        if command.forward < timedelta(0):
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="forward_s")

        async def work(uow: UnitOfWork) -> ClockView:
            await claim.begin(uow)
            merchant = await uow.merchants.find(tenant.merchant_id)
            if merchant is None:
                raise NotFound(ErrorCode.MERCHANT_NOT_FOUND)
            offset = merchant.clock_offset + command.forward
            if offset > FORWARD_MAX:
                raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="forward_s")
            await uow.merchants.advance_clock(tenant, offset)
            await self._audit(uow, context, "clock")
            view = ClockView(self._clock.now() + offset, offset)
            await claim.finish(uow, view)
            return view

        view = await self._storage.write(work)
        self._clock_moved(tenant)
        await self.expire_pending(tenant, view.now)
        return view

    async def add_fault(self, command: AddFault, context: Context[Fault], claim: Claim[Fault]) -> Fault:
        """Script trouble for the next requests to the sandbox acquirer.

        Raises:
            Forbidden: `mode_mismatch`.
        """
        tenant = _tenant(context.principal)

        async def work(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            await self._audit(uow, context, "fault")
            await claim.finish(uow, command.fault)

        await self._storage.write(work)
        await self._sandbox.add_fault(tenant, command.fault)
        return command.fault

    async def clear_faults(self, command: ClearFaults, context: Context[None], claim: Claim[None]) -> None:
        """Forget scripted trouble.

        Raises:
            Forbidden: `mode_mismatch`.
        """
        await self._sandbox.clear_faults(_tenant(context.principal))

    async def decide_pending(
        self, command: DecidePending, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Be the payer of a pending payment, and take over what came of it.

        Raises:
            NotFound: `payment_not_found`.
            Forbidden: `mode_mismatch`.
        """
        tenant = _tenant(context.principal)

        async def find(uow: UnitOfWork) -> PaymentView:
            payment = await uow.payments.find(tenant, command.payment_id)
            if payment is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            return await payment_view(uow, payment)

        view = await self._storage.read(find)
        opening = view.operations[0]
        if opening.state is OperationState.PENDING:
            await self._storage.write(lambda uow: self._audit(uow, context, "payer"))
            reference = opening.processor_reference
            await self._sandbox.decide_pending(tenant, reference, command.reason, command.code)
            await self._recovery.settle(opening)
            view = await self._storage.read(find)
        return view

    async def expire_pending(self, tenant: Tenant, now: datetime) -> int:
        """Take over what payers have not completed by the merchant's `now`; give how many."""
        expired = set(await self._sandbox.expire_pending(tenant, now))
        if expired:
            pending = await self._storage.read(lambda uow: uow.operations.pending(tenant, _PENDING_AT_ONCE))
            for operation in pending:
                if operation.processor_reference in expired:
                    await self._recovery.settle(operation)
        return len(expired)

    async def close_batch(
        self, command: CloseBatch, context: Context[BatchView], claim: Claim[BatchView]
    ) -> BatchView:
        """Close the acquirer's batch and take over what it settled.

        Raises:
            Forbidden: `mode_mismatch`.
        """
        tenant = _tenant(context.principal)

        first = await self._storage.read(claim.find)
        if first is not None:
            raise AlreadyClaimed(first)
        await self._storage.write(lambda uow: self._audit(uow, context, "batch"))
        view = BatchView(await self.settle_batch(tenant, context.principal.clock_offset))

        async def remember(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            await claim.finish(uow, view)

        # Closing a batch twice is harmless, so the key is claimed only together with its answer.
        await self._storage.write(remember)
        return view

    async def settle_batch(self, tenant: Tenant, clock_offset: timedelta) -> tuple[Operation, ...]:
        """Close a tenant's batch: owed results are asked for, settled operations are marked."""
        now = self._clock.now() + clock_offset
        references = await self._sandbox.close_batch(tenant, now)
        pending = await self._storage.read(lambda uow: uow.operations.pending(tenant, _PENDING_AT_ONCE))
        for operation in pending:
            await self._recovery.settle(operation)

        async def work(uow: UnitOfWork) -> tuple[tuple[Operation, ...], tuple[Event, ...]]:
            settled = tuple(await uow.operations.mark_settled(tenant, references, now))
            events = tuple(self._settled_event(operation) for operation in settled)
            if events:
                await uow.events.append(events)
            return settled, events

        settled, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return settled

    def _settled_event(self, operation: Operation) -> Event:
        return self._ids.event(
            EventType.OPERATION_SETTLED,
            operation.tenant,
            operation.id,
            at=self._clock.now(),
            sequence=0,
            data={"kind": operation.kind.value, "payment_id": operation.payment_id},
        )

    async def _audit(self, uow: UnitOfWork, context: Context[Any], what: str) -> None:
        principal = context.principal
        await uow.audit.append(
            (
                AuditEntry(
                    action=AuditAction.SANDBOX_COMMAND,
                    at=self._clock.now(),
                    merchant_id=principal.tenant.merchant_id,
                    actor=principal.key_id,
                    object_id=what,
                    why="",
                    request_id=context.request_id,
                ),
            )
        )


def _tenant(principal: Principal) -> Tenant:
    if principal.tenant.mode is not Mode.TEST:
        raise Forbidden(ErrorCode.MODE_MISMATCH)
    return principal.tenant
