"""An owner that was too slow to send meets a recovery that has taken its operation over."""

from __future__ import annotations

from typing import Any

import pytest

from farebox.domain.access import Tenant
from farebox.domain.errors import FareboxError, Unavailable
from farebox.domain.money import Money
from farebox.domain.operations import InDoubt, OperationKind, Outcome
from farebox.domain.tokens import TokenRules
from farebox.ports.processors import Fault, Processor, ProcessorRequest
from farebox.services.commands import Context, Executed, FollowUp, FromInstrument, IdempotencyRequest, Pay
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger
from farebox.services.submission import Submission
from farebox.services.use_cases import Parts
from farebox.testing.clock import pause
from farebox.testing.node import Node
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

TENANT: Tenant = TENANTS[0]
PAY = Pay(OperationKind.AUTHORIZATION, Money(1000, "EUR"), FromInstrument(card(NUMBERS[0])))


class SlowOwner(Submission):
    """Stands still for half a minute before it looks at the clock (R6), as often as it is told to."""

    stalls = 1

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        if type(self).stalls:
            type(self).stalls -= 1
            await pause(30)
        return await super().send(processor, request, deadline)


@pytest.fixture
def world():
    made = World(1, Rules(weather=CALM, processes=0, parts=Parts(submission=SlowOwner)))
    yield made
    made.close()


def context(key: str) -> Context[Any]:
    return Context(
        principal=principal_of(TENANT),
        dialect="native",
        rules=TokenRules(),
        request_id="req_1",
        render=render,
        idempotency=IdempotencyRequest(key, "order", key.encode()),
    )


def states(world: World) -> list[str]:
    return [state for (state,) in world.database.rows("SELECT state FROM operation ORDER BY id")]


async def _slow_request(world: World, node: Node, command: Pay | FollowUp, key: str) -> FareboxError | None:
    """Send a request whose owner stalls, and let recovery take it over meanwhile without an answer."""
    for trouble in ("inquiry_fails", "reversal_fails"):
        await world.acquirer.add_fault(TENANT, Fault(trouble))

    async def recover() -> None:
        await pause(25)
        await node.recovery.run_once()

    SlowOwner.stalls = 1
    recovering = world.scheduler.spawn(recover())
    try:
        await node.application.execute(command, context(key))
    except Unavailable as refusal:
        await world.scheduler.wait_for(recovering)
        return refusal
    return None


def _settled_answer(world: World, node: Node, command: Pay | FollowUp, key: str) -> object:
    """Let recovery finish, and send the request again."""

    async def again() -> object:
        await pause(60)
        await node.recovery.run_once()
        return await node.application.execute(command, context(key))

    return world.scheduler.complete(again())


def _doubt(world: World) -> None:
    """Do the first half of what recovery does to an operation that nobody can tell about."""
    for (operation_id,) in world.database.rows("SELECT id FROM operation"):
        operation = world.database.transact(
            lambda uow, wanted=operation_id: uow.operations.find(TENANT, wanted)
        )
        assert operation is not None
        ledger = Ledger(world.clock, Ids(world.clock, world.dice))
        world.database.transact(
            lambda uow, doubted=operation, by=ledger: by.record(uow, doubted, InDoubt("unanswered"))
        )


def test_an_owner_does_not_fail_what_recovery_doubts(world: World):
    """I6: between the doubt and its reversal the owner cannot say "failed" either; nothing breaks."""
    _, node = world.start("one", CALM)
    SlowOwner.stalls = 1
    owner = world.scheduler.spawn(node.application.execute(PAY, context("k")))

    async def doubt() -> None:
        await pause(25)
        _doubt(world)

    world.scheduler.complete(doubt())
    assert isinstance(owner.error, Unavailable)
    assert not world.scheduler.unexpected
    assert states(world) == ["in_doubt"]


def test_an_owner_does_not_fail_what_recovery_has_taken_over(world: World):
    """R2, I6: in doubt never becomes failed; the late owner is refused and nothing breaks."""
    _, node = world.start("one", CALM)
    refusal = world.scheduler.complete(_slow_request(world, node, PAY, "k"))
    assert refusal is not None
    assert refusal.code.value == "processor_unreachable"
    assert states(world) == ["in_doubt"]
    assert not world.scheduler.unexpected
    assert not world.wire.sent


def test_its_idempotency_key_still_leads_to_its_answer(world: World):
    """I9: the key of an operation that recovery settles is not free again, so a retry gets its outcome."""
    _, node = world.start("one", CALM)
    world.scheduler.complete(_slow_request(world, node, PAY, "k"))
    replayed = _settled_answer(world, node, PAY, "k")
    assert b'"state": "reversed"' in getattr(replayed, "answer", b"")
    assert states(world) == ["reversed"]


def test_the_same_holds_for_a_follow_up(world: World):
    """I7, I9: a capture that recovery reverses gives its hold back once, and its key its answer."""
    _, node = world.start("one", CALM)
    SlowOwner.stalls = 0
    paid = world.scheduler.complete(node.application.execute(PAY, context("first")))
    assert isinstance(paid, Executed)
    capture = FollowUp(paid.result.payment.id, OperationKind.CAPTURE, 400)
    assert world.scheduler.complete(_slow_request(world, node, capture, "k")) is not None
    assert states(world) == ["approved", "in_doubt"]
    replayed = _settled_answer(world, node, capture, "k")
    assert b'"state": "reversed"' in getattr(replayed, "answer", b"")
    assert world.database.rows("SELECT capturing_minor, captured_minor FROM payment") == [(0, 0)]
