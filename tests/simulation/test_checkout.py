"""Buyers with several tabs, at nodes that crash, stall and lose answers: a session is paid at most once.

`FAREBOX_SIMULATION_SEED=7 pytest tests/simulation/test_checkout.py` replays one run.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from farebox.domain.checkout import SESSION_FACT, CheckoutState, CheckoutTerms
from farebox.domain.errors import FareboxError
from farebox.domain.operations import OperationKind, OperationState
from farebox.domain.tokens import TokenRules
from farebox.ports.processors import Fault
from farebox.services.checkout_books import SESSION_ATTRIBUTE
from farebox.services.checkout_payments import CheckoutPayments
from farebox.services.commands import (
    CancelCheckoutSession,
    Command,
    Context,
    CreateCheckoutSession,
    Executed,
    FromInstrument,
    PayCheckoutSession,
)
from farebox.testing.scheduler import OutOfPatience, ProcessDied
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, TROUBLES, World

_SEED = os.environ.get("FAREBOX_SIMULATION_SEED")
_SEEDS = range(int(_SEED), int(_SEED) + 1) if _SEED else range(120)
TENANT = TENANTS[0]
TERMS = CheckoutTerms(1000, "EUR", return_url="https://shop.example/done")
TABS = 3


class Buyers:
    """Some sessions, each with a few tabs that try until they hear of an end."""

    def __init__(self, world: World, sessions: int = 3) -> None:
        self.world = world
        self.sessions: list[str] = []
        self._number = sessions

    def context(self, session_id: str | None = None) -> Context[Any]:
        principal = principal_of(TENANT)
        if session_id is not None:
            principal = replace(principal, attributes=((SESSION_ATTRIBUTE, session_id),))
        return Context(
            principal=principal, dialect="native", rules=TokenRules(), request_id="req_1", render=render
        )

    async def story(self) -> None:
        _, node = self.world.start("shop", CALM)
        command = CreateCheckoutSession(OperationKind.PURCHASE, TERMS)
        for _ in range(self._number):
            made = await node.application.execute(command, self.context())
            assert isinstance(made, Executed)
            self.sessions.append(made.result.session.id)
        tabs = [
            self.world.scheduler.spawn(self.tab(session_id))
            for session_id in self.sessions
            for _ in range(TABS)
        ]
        for tab in tabs:
            await self.world.scheduler.wait_for(tab)

    async def tab(self, session_id: str) -> None:
        dice = self.world.dice
        for _ in range(5):
            await self.world.clock.sleep(dice.between(0, 3))
            if dice.chance(0.3):
                await self.world.acquirer.add_fault(TENANT, Fault(dice.choose(TROUBLES), delay_s=5))
            command: Command[Any] = PayCheckoutSession(instrument=FromInstrument(card(NUMBERS[0])))
            if dice.chance(0.1):
                command = CancelCheckoutSession(session_id)
            if await self.ask(command, session_id) not in {CheckoutState.OPEN, CheckoutState.PAYING, None}:
                return

    async def ask(self, command: Command[Any], session_id: str) -> CheckoutState | None:
        """Give the state that is answered; nothing when no answer comes."""
        running = self.world.running()
        if running is None:
            return None
        process, node = running
        call = self.world.scheduler.spawn(
            node.application.execute(command, self.context(session_id)), process
        )
        try:
            done = await self.world.scheduler.wait_for(call, 30)
        except (FareboxError, ProcessDied, OutOfPatience):
            return None
        return done.result.session.state if isinstance(done, Executed) else None


def play(seed: int) -> tuple[Counter[str], list[str]]:
    """Play one run to rest; give how sessions ended, and what is wrong."""
    world = World(seed)
    try:
        buyers = Buyers(world)
        world.play(buyers.story())
        _, node = world.start("after", CALM)
        while world.scheduler.complete(node.checkout_payments.follow_payments()):
            pass
        return judge(world)
    finally:
        world.close()


def judge(world: World) -> tuple[Counter[str], list[str]]:
    """Compare every session with the payments made for it."""
    paid: Counter[str] = Counter()
    by_payment: dict[str, str] = {}
    for payment_id, state, session_id in world.database.rows(
        f"SELECT id, state, json_extract(facts, '$.{SESSION_FACT}') FROM payment"
    ):
        by_payment[payment_id] = state
        paid[session_id] += state == OperationState.APPROVED
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    for session_id, state, payment_id in world.database.rows(
        "SELECT id, state, payment_id FROM checkout_session"
    ):
        ends[state] += 1
        if paid[session_id] > 1:
            wrong.append(f"{session_id} was paid {paid[session_id]} times")
        if state == CheckoutState.PAYING:
            wrong.append(f"{session_id} is paying for ever")
        if (state == CheckoutState.COMPLETED) is not (paid[session_id] == 1):
            wrong.append(f"{session_id} is {state}, its payment {by_payment.get(payment_id)}")
    return ends, wrong


def test_every_session_is_paid_at_most_once() -> None:
    """Whatever crashed or got lost, a session and its payments tell the same; and different ends happen."""
    ends: Counter[str] = Counter()
    for seed in _SEEDS:
        ended, wrong = play(seed)
        assert not wrong, f"FAREBOX_SIMULATION_SEED={seed} replays it: {'; '.join(wrong)}"
        ends += ended
    if _SEED is None:
        assert {"completed", "cancelled"} <= set(ends), ends


def test_without_the_move_to_paying_a_session_is_paid_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: attempts that do not take their session are found out."""

    async def nothing(self: Any, uow: Any, attempt: Any, payment: Any) -> tuple[()]:
        return ()

    monkeypatch.setattr(CheckoutPayments, "begin_attempt", nothing)
    assert any(play(seed)[1] for seed in range(20))
