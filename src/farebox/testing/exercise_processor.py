"""What every processor package must hold, ours and third parties': the rules that recovery builds on.

    from farebox.testing.exercise_processor import CHECKS

    @pytest.mark.parametrize("check", CHECKS)
    async def test_processor(check, my_processor, my_purchase):
        await check(my_processor, my_purchase)

`my_purchase` makes, each time it is called, a request with a reference of its own that the processor's test
system approves. A check whose capability a processor does not claim does nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from farebox.domain.ids import OperationId
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, InDoubt, OperationKind, Pending
from farebox.ports.processors import NotFoundAtProcessor, Processor, ProcessorRequest

MakeRequest = Callable[[], ProcessorRequest]
Check = Callable[[Processor, MakeRequest], Awaitable[None]]


async def approves_what_its_test_system_approves(processor: Processor, purchase: MakeRequest) -> None:
    """Give an explicit answer with an amount, and never more than was asked for."""
    request = purchase()
    outcome = await processor.submit(request)
    assert isinstance(outcome, Approved | Pending), outcome
    if isinstance(outcome, Approved):
        assert 0 < outcome.approved_minor <= request.money.amount_minor
        assert len(outcome.network_transaction_id or "") <= 64


async def knows_what_it_answered(processor: Processor, purchase: MakeRequest) -> None:
    """Tell by inquiry what became of a request, and that it does not know another one."""
    if not processor.capabilities.inquiry:
        return
    request = purchase()
    outcome = await processor.submit(request)
    assert await processor.inquire(request.reference, request.tenant) == outcome
    unknown = await processor.inquire(purchase().reference, request.tenant)
    assert isinstance(unknown, NotFoundAtProcessor)


async def answers_a_repetition_as_the_first_time(processor: Processor, purchase: MakeRequest) -> None:
    """Authorize once, however often one reference arrives."""
    if not processor.capabilities.idempotent_submit:
        return
    request = purchase()
    assert await processor.submit(request) == await processor.submit(request)


async def undoes_by_reference(processor: Processor, purchase: MakeRequest) -> None:
    """Acknowledge a reversal, also a repeated one; nothing of the payment is left to refund (I8)."""
    if not processor.capabilities.reversal:
        return
    request = purchase()
    opened = await processor.submit(request)
    assert await processor.reverse(_for_reversal(processor, request))
    assert await processor.reverse(_for_reversal(processor, request))
    refund = await processor.submit(_refund(request, purchase(), opened))
    assert not isinstance(refund, Approved), "a reversed payment was refunded"


async def declines_an_original_that_comes_after_its_reversal(
    processor: Processor, purchase: MakeRequest
) -> None:
    """Poison the reference (R5): the late original is not approved."""
    if not (processor.capabilities.reversal and processor.capabilities.reversal_poisons):
        return
    request = purchase()
    assert await processor.reverse(_for_reversal(processor, request))
    assert isinstance(await processor.submit(request), Declined | InDoubt)


async def refunds_no_more_than_was_paid(processor: Processor, purchase: MakeRequest) -> None:
    """Decline the minor unit too much, by its own books (I7)."""
    if OperationKind.REFUND not in processor.capabilities.operations:
        return
    request = purchase()
    opened = await processor.submit(request)
    if not isinstance(opened, Approved):
        return
    whole = _refund(request, purchase(), opened)
    assert isinstance(await processor.submit(whole), Approved | Pending)
    one_more = replace(_refund(request, purchase(), opened), money=Money(1, request.money.currency))
    assert isinstance(await processor.submit(one_more), Declined)


def _for_reversal(processor: Processor, request: ProcessorRequest) -> ProcessorRequest:
    if processor.capabilities.needs_pan_for_reversal:
        return request
    return replace(request, instrument=None)


def _refund(of: ProcessorRequest, fresh: ProcessorRequest, opened: object) -> ProcessorRequest:
    """Make a refund of all of a purchase, under a reference of its own."""
    return replace(
        of,
        operation_id=OperationId(fresh.reference),
        reference=fresh.reference,
        kind=OperationKind.REFUND,
        instrument=None,
        target_reference=of.reference,
        target_processor_id=opened.processor_id if isinstance(opened, Approved | Pending) else None,
        target_kind=of.kind,
    )


CHECKS: tuple[Check, ...] = (
    approves_what_its_test_system_approves,
    knows_what_it_answered,
    answers_a_repetition_as_the_first_time,
    undoes_by_reference,
    declines_an_original_that_comes_after_its_reversal,
    refunds_no_more_than_was_paid,
)
