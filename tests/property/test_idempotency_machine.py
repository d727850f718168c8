"""Requests that are repeated under their key, at every moment of the first one's life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import ErrorCode, FareboxError, Unavailable
from farebox.domain.ids import OperationId
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, InDoubt, OperationKind, Outcome
from farebox.domain.tokens import TokenRules
from farebox.services.commands import Context, FromInstrument, IdempotencyRequest, Pay, Replayed
from farebox.services.idempotency import Claim
from farebox.testing.parked import ParkedProcessor
from farebox.testing.scheduler import Task
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

KEYS = st.sampled_from(["a", "b", "c"])
AMOUNTS = st.sampled_from([100, 200])


@dataclass
class Remembered:
    """What a key stands for."""

    tenant: int
    amount_minor: int
    operation_id: OperationId
    task: Task[Any]
    answers: set[bytes] = field(default_factory=set)
    finished: bool = False
    owner_alive: bool = True


class KeyLife(RuleBasedStateMachine):
    """First requests park at the acquirer; repetitions, other bodies and other merchants come meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(1, Rules(weather=CALM, processes=0))
        self.acquirer = ParkedProcessor(self.world.scheduler)
        self.process, self.node = self.world.start("one", CALM, self.acquirer)
        self.known: dict[tuple[int, str], Remembered] = {}
        self.opened = 0

    def teardown(self) -> None:
        self.world.close()

    def send(self, tenant: int, key: str, amount_minor: int) -> Task[Any]:
        command = Pay(
            OperationKind.AUTHORIZATION, Money(amount_minor, "EUR"), FromInstrument(card(NUMBERS[0]))
        )
        context: Context[Any] = Context(
            principal=principal_of(TENANTS[tenant]),
            dialect="native",
            rules=TokenRules(),
            request_id="req_1",
            render=render,
            idempotency=IdempotencyRequest(key, "pay", str(amount_minor).encode()),
        )
        task = self.world.scheduler.spawn(self.node.application.execute(command, context), self.process)
        self.world.scheduler.run()
        return task

    @rule(tenant=st.sampled_from([0, 1]), key=KEYS, amount_minor=AMOUNTS)
    def request(self, tenant: int, key: str, amount_minor: int) -> None:
        """First, or again: each kind of repetition gets what the key's state says."""
        parked = set(self.acquirer.parked)
        task = self.send(tenant, key, amount_minor)
        first = self.known.get((tenant, key))
        if first is None:
            (operation_id,) = set(self.acquirer.parked) - parked
            self.known[tenant, key] = Remembered(tenant, amount_minor, operation_id, task)
            self.opened += 1
            return
        assert set(self.acquirer.parked) == parked, "a repetition never sends"
        if amount_minor != first.amount_minor:
            assert _code(task) is ErrorCode.IDEMPOTENCY_KEY_REUSED
        elif first.finished:
            assert isinstance(task.result, Replayed)
            first.answers.add(task.result.answer)
        else:
            assert _code(task) is ErrorCode.IDEMPOTENCY_IN_PROGRESS

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), outcome=st.sampled_from(["approved", "declined", "in_doubt"]))
    def answer(self, data: st.DataObject, outcome: str) -> None:
        """The acquirer answers, and so does the first request."""
        one = self.known[data.draw(st.sampled_from(self.waiting()))]
        self.acquirer.answer(one.operation_id, _outcome(outcome, one.amount_minor))
        assert one.task.result is not None
        one.answers.add(one.task.result.answer)
        one.finished = True

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def unreachable(self, data: st.DataObject) -> None:
        """Nothing was sent for certain: the key is free again, for any body."""
        which = data.draw(st.sampled_from(self.waiting()))
        one = self.known.pop(which)
        promise = self.acquirer.parked.pop(one.operation_id)
        self.world.scheduler.fail(promise, Unavailable(ErrorCode.PROCESSOR_UNREACHABLE))
        self.world.scheduler.run()
        assert _code(one.task) is ErrorCode.PROCESSOR_UNREACHABLE

    @rule()
    def crash(self) -> None:
        """The process dies with every request in it; a new one takes over, and recovery in it."""
        self.world.scheduler.crash(self.process)
        self.acquirer.parked.clear()
        for one in self.known.values():
            one.owner_alive = False
        self.process, self.node = self.world.start("next", CALM, self.acquirer)

    @rule(approved=st.booleans())
    def recover(self, approved: bool) -> None:
        """Recovery acts on what crashed; then there is an answer to replay."""
        orphans = [one for one in self.known.values() if not one.finished and not one.owner_alive]
        for one in orphans:
            operation = self.world.database.transact(
                lambda uow, wanted=one: uow.operations.find(TENANTS[wanted.tenant], wanted.operation_id)
            )
            assert operation is not None
            if approved:
                self.acquirer.known[operation.processor_reference] = Approved("p", one.amount_minor)
            self.world.scheduler.complete(self.node.recovery.settle(operation))
            one.finished = True

    def waiting(self) -> list[tuple[int, str]]:
        return [which for which, one in self.known.items() if not one.finished and one.owner_alive]

    @invariant()
    def a_key_has_one_answer_and_one_operation(self) -> None:
        """I9: same key, same bytes; and nothing was opened that no first request stands for."""
        assert all(len(one.answers) <= 1 for one in self.known.values())
        assert self.world.database.rows("SELECT COUNT(*) FROM operation") == [(self.opened,)]
        assert len(self.acquirer.received) == self.opened
        assert not self.world.scheduler.unexpected


def _code(task: Task[Any]) -> ErrorCode | None:
    return task.error.code if isinstance(task.error, FareboxError) else None


def _outcome(name: str, amount_minor: int) -> Outcome:
    match name:
        case "approved":
            return Approved("p", amount_minor)
        case "declined":
            return Declined(decline_for(DeclineReason.DO_NOT_HONOR))
        case _:
            return InDoubt("timeout")


TestKeyLife = KeyLife.TestCase
TestKeyLife.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


def test_the_machine_notices_a_missing_claim(monkeypatch: pytest.MonkeyPatch):
    """I9: requests that do not claim their key are noticed."""

    async def begin(self: Claim[Any], uow: object, operation_id: object = None) -> None:
        return None

    monkeypatch.setattr(Claim, "begin", begin)
    with pytest.raises((AssertionError, ValueError)):
        run_state_machine_as_test(
            KeyLife,
            settings=settings(
                max_examples=100,
                stateful_step_count=30,
                deadline=None,
                database=None,
                derandomize=True,
                report_multiple_bugs=False,
                phases=[Phase.generate],
            ),
        )
