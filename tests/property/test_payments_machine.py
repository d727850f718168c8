"""Captures, voids and refunds of one payment, in flight side by side, in every order of their answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import Conflict, FareboxError, InvalidRequest
from farebox.domain.ids import OperationId, PaymentId
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, InDoubt, OperationKind, Outcome
from farebox.domain.tokens import TokenRules
from farebox.services import follow_ups
from farebox.services.commands import Command, Context, FollowUp, FromInstrument, Pay
from farebox.testing.parked import ParkedProcessor
from farebox.testing.scheduler import Task
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

AUTHORIZED = 1000
CONTEXT: Context[Any] = Context(
    principal=principal_of(TENANTS[0]),
    dialect="native",
    rules=TokenRules(),
    request_id="req_1",
    render=render,
)
OUTCOMES = st.sampled_from(["approved", "declined", "in_doubt"])


@dataclass
class InFlight:
    """A follow-up that the acquirer has and has not answered."""

    kind: str
    amount_minor: int
    task: Task[Any]


class PaymentLife(RuleBasedStateMachine):
    """Keeps a model of one authorization: what moved, and what is held by what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(1, Rules(weather=CALM, processes=0))
        self.acquirer = ParkedProcessor(self.world.scheduler)
        _, self.node = self.world.start("one", CALM, self.acquirer)
        self.moved: Counter[str] = Counter()
        self.flying: dict[OperationId, InFlight] = {}
        self.doubted: dict[OperationId, InFlight] = {}
        self.payment_id = PaymentId("")

    def teardown(self) -> None:
        self.world.close()

    def send(self, command: Command[Any]) -> Task[Any]:
        task = self.world.scheduler.spawn(self.node.application.execute(command, CONTEXT))
        self.world.scheduler.run()
        return task

    def held(self, kind: str) -> int:
        waiting = [*self.flying.values(), *self.doubted.values()]
        return sum(one.amount_minor for one in waiting if one.kind == kind)

    @property
    def capturable(self) -> int:
        taken = self.moved["capture"] + self.moved["void"]
        return AUTHORIZED - taken - self.held("capture") - self.held("void")

    @property
    def refundable(self) -> int:
        return self.moved["capture"] - self.moved["refund"] - self.held("refund")

    @initialize()
    def authorize(self) -> None:
        source = FromInstrument(card(NUMBERS[0]))
        task = self.send(Pay(OperationKind.AUTHORIZATION, Money(AUTHORIZED, "EUR"), source))
        self.acquirer.answer(next(iter(self.acquirer.parked)), Approved("p", AUTHORIZED))
        assert task.result is not None
        self.payment_id = task.result.result.payment.id

    @rule(
        kind=st.sampled_from(["capture", "void", "refund"]),
        amount_minor=st.none() | st.integers(1, 700) | st.just(AUTHORIZED),
    )
    def start(self, kind: str, amount_minor: int | None) -> None:
        left = self.refundable if kind == "refund" else self.capturable
        known = set(self.acquirer.parked)
        task = self.send(FollowUp(self.payment_id, OperationKind(kind), amount_minor))
        if left == 0 or (amount_minor or 0) > left:
            assert isinstance(task.error, Conflict | InvalidRequest)
            assert set(self.acquirer.parked) == known
            return
        (operation_id,) = set(self.acquirer.parked) - known
        self.flying[operation_id] = InFlight(kind, amount_minor or left, task)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=OUTCOMES)
    def finish(self, data: st.DataObject, outcome: str) -> None:
        operation_id = data.draw(st.sampled_from(sorted(self.flying)))
        one = self.flying.pop(operation_id)
        self.acquirer.answer(operation_id, _outcome(outcome, one))
        assert one.task.error is None
        if outcome == "approved":
            self.moved[one.kind] += one.amount_minor
        elif outcome == "in_doubt":
            self.doubted[operation_id] = one

    @precondition(lambda self: self.doubted)
    @rule(data=st.data(), outcome=st.sampled_from(["approved", "declined", "unknown"]))
    def recover(self, data: st.DataObject, outcome: str) -> None:
        """Let recovery learn the truth, or learn nothing and undo."""
        operation_id = data.draw(st.sampled_from(sorted(self.doubted)))
        one = self.doubted.pop(operation_id)
        if outcome != "unknown":
            self.acquirer.known[operation_id] = _outcome(outcome, one)
        operation = self.world.database.transact(lambda uow: uow.operations.find(TENANTS[0], operation_id))
        assert operation is not None
        self.world.scheduler.complete(self.node.recovery.settle(operation))
        if outcome == "approved":
            self.moved[one.kind] += one.amount_minor

    @invariant()
    def the_amounts_are_the_models(self) -> None:
        """I7: what moved and what is held, to the minor unit, and never more than there is."""
        rows = self.world.database.rows(
            "SELECT authorized_minor, captured_minor, voided_minor, refunded_minor, capturing_minor,"
            " voiding_minor, refunding_minor FROM payment"
        )
        expected = (
            AUTHORIZED,
            self.moved["capture"],
            self.moved["void"],
            self.moved["refund"],
            self.held("capture"),
            self.held("void"),
            self.held("refund"),
        )
        assert rows == ([expected] if self.payment_id else [])
        assert self.moved["capture"] + self.moved["void"] <= AUTHORIZED
        assert self.moved["refund"] <= self.moved["capture"]
        assert not [e for e in self.world.scheduler.unexpected if not isinstance(e, FareboxError)]


def _outcome(name: str, one: InFlight) -> Outcome:
    match name:
        case "approved":
            return Approved("p", one.amount_minor)
        case "declined":
            return Declined(decline_for(DeclineReason.DO_NOT_HONOR))
        case _:
            return InDoubt("timeout")


TestPaymentLife = PaymentLife.TestCase
TestPaymentLife.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


def test_the_machine_notices_a_missing_hold(monkeypatch: pytest.MonkeyPatch):
    """I7: a follow-up that sets nothing aside is noticed."""
    monkeypatch.setattr(follow_ups, "hold", lambda payment, *_: payment)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            PaymentLife,
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
