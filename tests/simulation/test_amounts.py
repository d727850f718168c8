"""A hundred thousand captures and refunds on the real database, to an acquirer that refuses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from farebox.adapters.storage.sqlite import SqliteStorage
from farebox.adapters.system import SystemClock, SystemRandomness
from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, InvalidRequest, Unavailable
from farebox.domain.ids import PaymentId, RequestId
from farebox.domain.instruments import InstrumentKind
from farebox.domain.money import Money
from farebox.domain.operations import Approved, OperationKind, Outcome
from farebox.domain.tokens import TokenRules
from farebox.ports.processors import NOT_FOUND, Capabilities, NotFoundAtProcessor, ProcessorRequest
from farebox.services import follow_ups
from farebox.services.application import Application
from farebox.services.commands import Context, Executed, FollowUp, FromInstrument, Pay
from farebox.services.use_cases import Parts
from farebox.testing.clock import SeededRandomness
from farebox.testing.node import build_node
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

ATTEMPTS = 100_000
AUTHORIZED = 1000
AT_ONCE = 500
PER_PAYMENT = 100
CONTEXT: Context[Any] = Context(
    principal=principal_of(TENANTS[0]),
    dialect="native",
    rules=TokenRules(),
    request_id=RequestId("req_1"),
    render=render,
)


class Blind:
    """An acquirer that approves all and adds up: nothing but Farebox keeps the amounts in bounds."""

    name = "sandbox"
    timeout_s = 10.0
    capabilities = Capabilities(
        operations=frozenset(OperationKind),
        instruments=frozenset(InstrumentKind),
        inquiry=True,
        reversal=True,
        reversal_poisons=True,
        needs_pan_for_reversal=False,
        idempotent_submit=True,
    )

    def __init__(self) -> None:
        self.moved: Counter[tuple[str, str]] = Counter()

    async def submit(self, request: ProcessorRequest) -> Outcome:
        await asyncio.sleep(0)
        root = request.target_reference or request.reference
        self.moved[root, request.kind.value] += request.money.amount_minor
        return Approved("p", request.money.amount_minor)

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome | NotFoundAtProcessor:
        return NOT_FOUND

    async def reverse(self, request: ProcessorRequest) -> bool:
        return True

    async def close(self) -> None:
        return None


@asynccontextmanager
async def farebox(path: Path, acquirer: Blind) -> AsyncGenerator[tuple[Application, SqliteStorage]]:
    """Run the real use cases over a real file."""
    world = World(1, Rules(weather=CALM, processes=0))
    path.write_bytes(world.database.image())
    clock = SystemClock()
    storage = SqliteStorage(path, chain_mac=world.secrets.audit_mac, wall_us=clock.wall_us)
    node = build_node(
        storage=storage,
        vault=world.vault,
        secrets=world.secrets,
        processor=acquirer,
        sandbox=world.acquirer,
        clock=clock,
        randomness=SystemRandomness(),
        parts=Parts(),
    )
    try:
        yield node.application, storage
    finally:
        await storage.close()
        await world.acquirer.close()
        world.database.close()


async def _authorize(application: Application) -> PaymentId:
    source = FromInstrument(card(NUMBERS[0]))
    pay = Pay(OperationKind.AUTHORIZATION, Money(AUTHORIZED, "EUR"), source)
    answer = await application.execute(pay, CONTEXT)
    assert isinstance(answer, Executed)
    return answer.result.payment.id


async def _attempt(application: Application, command: FollowUp) -> bool:
    try:
        await application.execute(command, CONTEXT)
    except (Conflict, InvalidRequest, Unavailable):
        # The last is what R6 says on a machine that is too busy to send in time: nothing was sent.
        return False
    return True


async def _storm(application: Application, attempts: int) -> Counter[bool]:
    """Make the attempts, `AT_ONCE` side by side, a hundred on each payment."""
    dice, outcomes = SeededRandomness(1), Counter[bool]()
    for _ in range(attempts // AT_ONCE):
        payments = [await _authorize(application) for _ in range(AT_ONCE // PER_PAYMENT)]
        commands = [
            FollowUp(
                payment_id,
                dice.choose((OperationKind.CAPTURE, OperationKind.REFUND)),
                1 + dice.below(AUTHORIZED // 2),
            )
            for _ in range(PER_PAYMENT)
            for payment_id in payments
        ]
        outcomes.update(await asyncio.gather(*(_attempt(application, command) for command in commands)))
    return outcomes


async def _books(storage: SqliteStorage, acquirer: Blind) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Give captured and refunded of each payment, by our books and by the acquirer's."""
    rows = storage._reader.execute(
        "SELECT o.processor_reference, p.captured_minor, p.refunded_minor FROM payment p"
        " JOIN operation o ON o.payment_id = p.id AND o.target_id IS NULL"
    ).fetchall()
    return [
        (
            (captured, refunded),
            (acquirer.moved[reference, "capture"], acquirer.moved[reference, "refund"]),
        )
        for reference, captured, refunded in rows
    ]


def _exceeds(captured: int, refunded: int) -> bool:
    return captured > AUTHORIZED or refunded > captured


async def test_a_hundred_thousand_concurrent_attempts_never_exceed(tmp_path: Path):
    """I7: captures within what was authorized, refunds within what was captured, both books the same."""
    acquirer = Blind()
    async with farebox(tmp_path / "farebox.sqlite3", acquirer) as (application, storage):
        outcomes = await _storm(application, ATTEMPTS)
        books = await _books(storage, acquirer)
    assert sum(outcomes.values()) == ATTEMPTS
    assert len(books) == ATTEMPTS // PER_PAYMENT
    assert outcomes[True] > len(books), "most payments were captured and refunded in several steps"
    assert [ours for ours, theirs in books if ours != theirs] == []
    assert [ours for ours, _ in books if _exceeds(*ours)] == []


async def test_without_the_hold_they_exceed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """I7: amounts that are looked at but not set aside, and no guard in the schema, are exceeded at once."""
    honest = follow_ups.hold

    def looked_at_only(payment: Any, movement: Any, amount_minor: int) -> Any:
        honest(payment, movement, amount_minor)
        return payment

    monkeypatch.setattr(follow_ups, "hold", looked_at_only)
    acquirer = Blind()
    async with farebox(tmp_path / "farebox.sqlite3", acquirer) as (application, storage):
        storage._writer.execute("PRAGMA ignore_check_constraints = ON")
        await _storm(application, AT_ONCE)
        books = await _books(storage, acquirer)
    assert any(_exceeds(*theirs) for _, theirs in books)
