"""A recovery that acts on what it read a while ago, when the key and its reference have passed on."""

from __future__ import annotations

from typing import Any

from farebox.domain.errors import ErrorCode, Unavailable
from farebox.domain.money import Money
from farebox.domain.operations import Approved, OperationKind, OperationState
from farebox.domain.tokens import TokenRules
from farebox.services.commands import Context, FromInstrument, IdempotencyRequest, Pay
from farebox.testing.parked import ParkedProcessor
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

TENANT = TENANTS[0]
PAY = Pay(OperationKind.AUTHORIZATION, Money(1000, "EUR"), FromInstrument(card(NUMBERS[0])))
CONTEXT: Context[Any] = Context(
    principal=principal_of(TENANT),
    dialect="native",
    rules=TokenRules(),
    request_id="req_1",
    render=render,
    idempotency=IdempotencyRequest("k", "pay", b"body"),
)


def test_the_approval_of_a_repetition_is_not_the_failed_originals():
    """R4, I8: the original was never sent and its key was repeated; what its reference finds now stays."""
    world = World(1, Rules(weather=CALM, processes=0))
    acquirer = ParkedProcessor(world.scheduler)
    _, node = world.start("one", CALM, acquirer)

    def send() -> Any:
        world.scheduler.spawn(node.application.execute(PAY, CONTEXT))
        world.scheduler.run()
        (operation_id,) = acquirer.parked
        return operation_id

    original_id = send()
    original = world.database.transact(lambda uow: uow.operations.find(TENANT, original_id))
    assert original is not None
    assert original.state is OperationState.SUBMITTED
    refusal = Unavailable(ErrorCode.PROCESSOR_UNREACHABLE)
    world.scheduler.fail(acquirer.parked.pop(original_id), refusal)
    world.scheduler.run()
    acquirer.answer(send(), Approved("p", 1000))
    acquirer.known[original.processor_reference] = Approved("p", 1000)

    world.scheduler.complete(node.recovery.settle(original))
    world.clock.elapsed_us += 3_600_000_000
    world.scheduler.complete(node.recovery.run_once())

    assert world.database.rows("SELECT state, reversing FROM operation ORDER BY id") == [
        ("failed", 0),
        ("approved", 0),
    ]
    assert original.processor_reference in acquirer.known, "it was reversed at the acquirer"
    world.close()
