"""Capture, void and refund: move money that a payment already holds.

The same two transactions as a purchase. The first sets the amount aside on the locked payment row, so
that concurrent follow-ups can never exceed what there is (I7); the second moves it or gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from farebox.domain.errors import Conflict, ErrorCode, FareboxError, InvalidRequest, NotFound
from farebox.domain.events import Event
from farebox.domain.facts import check_facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import OperationId
from farebox.domain.instruments import PaymentInstrument
from farebox.domain.money import Money
from farebox.domain.operations import (
    RECOVERY_GRACE_S,
    SEND_WITHIN_S,
    Movement,
    Operation,
    OperationEvent,
    OperationKind,
    OperationState,
    movement_of,
)
from farebox.domain.payments import Payment, hold
from farebox.ports.processors import Processor, ProcessorRequest
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import Context, FollowUp, PaymentView
from farebox.services.durability import Durability
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger, Recorded
from farebox.services.references import take_reference
from farebox.services.routing import Routing
from farebox.services.submission import Submission, commit_answer
from farebox.services.vaulting import Permit, Vaulting
from farebox.services.views import payment_view


@frozen
class _Started:
    """The first transaction's result."""

    payment: Payment
    operation: Operation
    target: Operation
    opening: Operation
    permit: Permit | None
    event: Event


class FollowUps:
    """Captures, voids and refunds."""

    def __init__(
        self,
        *,
        storage: Storage,
        vaulting: Vaulting,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        routing: Routing,
        ledger: Ledger,
        submission: Submission,
        durability: Durability,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._vaulting = vaulting
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._routing = routing
        self._ledger = ledger
        self._submission = submission
        self._durability = durability

    async def follow_up(
        self, command: FollowUp, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Move part or all of a payment; what the processor declines moves nothing.

        A capture that releases the rest is followed by a void of it. Should that fail, the rest stays open
        as after any partial capture, and may be voided or captured later.

        Raises:
            NotFound: `payment_not_found` or `operation_not_found`.
            Conflict: `payment_state_conflict`.
            InvalidRequest: `amount_exceeds_authorized`, `amount_exceeds_captured`,
                `operation_unsupported`.
            Unavailable: nothing was sent, or `commit_unknown`.
        """
        self._durability.require()
        view = await self._follow_up(command, context, claim)
        captured = view.operation
        if (
            command.releases_rest
            and captured is not None
            and captured.state is OperationState.APPROVED
            and view.payment.capturable_minor
        ):
            rest = FollowUp(command.payment_id, OperationKind.VOID)
            released = await self._follow_up(rest, context, claim.without_key())
            view = replace(released, operation=captured)
        return view

    async def _follow_up(
        self, command: FollowUp, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        operation_id = OperationId(self._ids.new("op"))
        now = self._clock.now()
        deadline = self._clock.monotonic() + SEND_WITHIN_S
        started = await self._storage.write(
            lambda uow: self._start(uow, command, context, claim, operation_id, now)
        )
        self._telemetry.observe((started.event,))
        try:
            processor = self._routing.named(started.operation.processor)
            request = self._request(command, context, started)
            outcome = await self._submission.send(processor, request, deadline)
        except FareboxError:
            await self._fail(started.operation, claim)
            raise

        async def work(uow: UnitOfWork) -> tuple[Recorded, PaymentView]:
            recorded = await self._ledger.record(uow, started.operation, outcome)
            view = await payment_view(uow, recorded.payment, recorded.operation)
            await claim.finish(uow, view)
            return recorded, view

        recorded, view = await commit_answer(self._storage, self._clock, work)
        self._telemetry.observe(recorded.events)
        return view

    async def _start(
        self,
        uow: UnitOfWork,
        command: FollowUp,
        context: Context[PaymentView],
        claim: Claim[PaymentView],
        operation_id: OperationId,
        now: datetime,
    ) -> _Started:
        tenant = context.principal.tenant
        await claim.begin(uow, operation_id)
        await take_reference(uow, tenant, command.unique_reference, now + context.principal.clock_offset)
        payment = await uow.payments.lock(tenant, command.payment_id)
        if payment is None:
            raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
        operations = await uow.operations.of_payment(tenant, payment.id)
        target = _target(command, operations)
        movement = movement_of(command.kind, target.kind)
        if movement is None:
            raise InvalidRequest(ErrorCode.OPERATION_UNSUPPORTED)
        amount_minor = _amount_minor(command, movement, payment, target)
        processor = self._routing.named(payment.processor)
        _check_capabilities(command, processor, amount_minor, payment)
        held = hold(payment, movement, amount_minor)
        await uow.payments.update(held)
        held = replace(held, version=held.version + 1)
        operation = Operation(
            id=operation_id,
            tenant=tenant,
            payment_id=payment.id,
            kind=command.kind,
            money=Money(amount_minor, payment.currency),
            state=OperationState.SUBMITTED,
            created_at=now + context.principal.clock_offset,
            send_by=now + timedelta(seconds=SEND_WITHIN_S),
            processor=payment.processor,
            processor_reference=claim.reference or operation_id,
            target_id=target.id,
            target_kind=target.kind,
            reference=command.reference,
            facts=check_facts(command.facts),
            next_attempt_at=now + timedelta(seconds=SEND_WITHIN_S + processor.timeout_s + RECOVERY_GRACE_S),
        )
        await uow.operations.insert(operation)
        event = self._ledger.operation_event(operation, held)
        await uow.events.append((event,))
        permit = None
        if operations[0].envelope is not None:
            permit = await self._vaulting.permit(
                uow,
                operations[0].id,
                purpose="processor",
                why=command.kind.value,
                principal=context.principal,
                request_id=context.request_id,
            )
        return _Started(held, operation, target, operations[0], permit, event)

    def _request(
        self, command: FollowUp, context: Context[PaymentView], started: _Started
    ) -> ProcessorRequest:
        operation, target = started.operation, started.target
        instrument: PaymentInstrument | None = None
        if started.permit is not None:
            instrument = self._vaulting.open_envelope(started.permit, started.opening)
        return ProcessorRequest(
            operation_id=operation.id,
            reference=operation.processor_reference,
            kind=operation.kind,
            tenant=operation.tenant,
            money=operation.money,
            merchant_time=operation.created_at,
            instrument=instrument,
            target_reference=target.processor_reference,
            target_processor_id=target.processor_id,
            target_kind=target.kind,
            attributes={"dialect": context.dialect, **command.attributes},
        )

    async def _fail(self, operation: Operation, claim: Claim[PaymentView]) -> None:
        """Give back what was held for an operation that was certainly not sent."""

        async def work(uow: UnitOfWork) -> Recorded:
            recorded = await self._ledger.record(uow, operation, OperationEvent.FAIL)
            if recorded.first:
                # What recovery has taken over keeps its key: a repetition learns what came of it.
                await claim.abandon(uow)
            return recorded

        recorded = await self._storage.write(work)
        self._telemetry.observe(recorded.events)


def _target(command: FollowUp, operations: Sequence[Operation]) -> Operation:
    """Find what is followed up: the named operation, or the one that opened the payment."""
    if command.target_id is None:
        return operations[0]
    for operation in operations:
        if operation.id == command.target_id:
            return operation
    raise NotFound(ErrorCode.OPERATION_NOT_FOUND, param="operation")


def _amount_minor(command: FollowUp, movement: Movement, payment: Payment, target: Operation) -> int:
    """Give the amount asked for, or all that the movement can still take.

    Raises:
        Conflict: `payment_state_conflict` when the batch has closed over what is to be voided.
    """
    if command.kind is OperationKind.VOID and (
        target.settled_at is not None or target.state is not OperationState.APPROVED
    ):
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
    if command.amount_minor is not None:
        return command.amount_minor
    match movement:
        case Movement.CAPTURE | Movement.VOID_AUTHORIZATION:
            return payment.capturable_minor
        case Movement.REFUND | Movement.VOID_PURCHASE:
            return payment.refundable_minor
        case Movement.VOID_CAPTURE | Movement.VOID_REFUND:
            return target.money.amount_minor


def _check_capabilities(command: FollowUp, processor: Processor, amount_minor: int, payment: Payment) -> None:
    """Refuse what this payment's processor cannot do.

    Raises:
        InvalidRequest: `operation_unsupported`.
    """
    can = processor.capabilities
    partial = amount_minor < payment.capturable_minor
    refused = (
        command.kind not in can.operations
        or (command.kind is OperationKind.CAPTURE and partial and not can.partial_capture)
        or (
            command.kind is OperationKind.CAPTURE and payment.captured_minor > 0 and not can.multiple_captures
        )
        or (command.kind is OperationKind.VOID and partial and not can.partial_void)
    )
    if refused:
        raise InvalidRequest(ErrorCode.OPERATION_UNSUPPORTED)
