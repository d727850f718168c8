"""An owner whose answer came in time and who records it late, when recovery has been there already."""

from __future__ import annotations

from typing import Any

import pytest

from farebox.domain.access import Tenant
from farebox.domain.money import Money
from farebox.domain.operations import InDoubt, OperationKind, Outcome
from farebox.domain.tokens import StoredTokenKind, TokenRules
from farebox.ports.processors import Fault, Processor, ProcessorRequest
from farebox.services.commands import Context, Executed, FromInstrument, Pay, SaveCredential
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger
from farebox.services.submission import Submission
from farebox.services.use_cases import Parts
from farebox.testing.clock import pause
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

TENANT: Tenant = TENANTS[0]
PAY = Pay(
    OperationKind.PURCHASE,
    Money(1000, "EUR"),
    FromInstrument(card(NUMBERS[0])),
    save=SaveCredential(StoredTokenKind.PAYMENT_TOKEN),
)
CONTEXT: Context[Any] = Context(
    principal=principal_of(TENANT),
    dialect="native",
    rules=TokenRules(),
    request_id="req_1",
    render=render,
)


class LateOwner(Submission):
    """Has the answer and stands still for half a minute."""

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        outcome = await super().send(processor, request, deadline)
        await pause(30)
        return outcome


@pytest.fixture
def world():
    made = World(1, Rules(weather=CALM, processes=0, parts=Parts(submission=LateOwner)))
    yield made
    made.close()


def test_an_answer_after_a_doubt_reaches_the_payment_too(world: World):
    """I7: recovery's doubt changed the payment's row; the owner's approval still moves its amounts."""
    _, node = world.start("one", CALM)

    async def doubt() -> None:
        await pause(25)
        for (operation_id,) in world.database.rows("SELECT id FROM operation"):
            operation = world.database.transact(
                lambda uow, wanted=operation_id: uow.operations.find(TENANT, wanted)
            )
            assert operation is not None
            ledger = Ledger(world.clock, Ids(world.clock, world.dice))
            world.database.transact(
                lambda uow, doubted=operation, by=ledger: by.record(uow, doubted, InDoubt("unanswered"))
            )

    world.scheduler.spawn(doubt())
    executed = world.scheduler.complete(node.application.execute(PAY, CONTEXT))
    assert isinstance(executed, Executed)
    assert executed.result.payment.captured_minor == 1000
    assert world.database.rows("SELECT state, status, captured_minor FROM payment") == [
        ("approved", "captured", 1000)
    ]
    assert world.database.rows("SELECT saved_token_id FROM payment") == world.database.rows(
        "SELECT id FROM stored_token"
    )


def test_what_is_pending_becomes_so_once(world: World):
    """I10: recovery learns that the processor took it, then the owner says so again: one event."""
    _, node = world.start("one", CALM)

    async def recover() -> None:
        await world.acquirer.add_fault(TENANT, Fault("hold"))
        await pause(25)
        await node.recovery.run_once()

    world.scheduler.spawn(recover())
    world.scheduler.complete(node.application.execute(PAY, CONTEXT))
    assert world.database.rows("SELECT state FROM operation") == [("pending",)]
    assert world.database.rows("SELECT COUNT(*) FROM event WHERE type = 'operation.pending'") == [(1,)]
