"""Checkout sessions on both engines: kept as they are, moved as the domain says, paid once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.things import STRANGER, TENANT, merchant, now, payment

from farebox.domain.checkout import (
    TRANSITIONS,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    CheckoutTerms,
    HistoryEntry,
    OrderLine,
    OtherMethod,
    SaveTerms,
    moved,
)
from farebox.domain.errors import Conflict
from farebox.domain.ids import CheckoutSessionId, PaymentId
from farebox.domain.operations import OperationKind, OperationState
from farebox.domain.tokens import StoredTokenKind
from farebox.ports.storage import PageRequest, UnitOfWork

_numbers = itertools.count(1)
TERMS = CheckoutTerms(
    1000,
    "EUR",
    lines=(OrderLine("Cup", 1100, Decimal("2.5"), "sku", 220, {"a": [1]}), OrderLine("Discount", -100)),
    others=(OtherMethod("invoice", "Invoice", "https://shop.example/invoice"),),
    save=SaveTerms(StoredTokenKind.PAYMENT_TOKEN),
    return_url="https://shop.example/done",
)
ALLOWED = {(before.value, after.value) for before, moves in TRANSITIONS.items() for after in moves.values()}


def checkout_session(*, lives: timedelta = timedelta(minutes=10), **changes: Any) -> CheckoutSession:
    at = now()
    values: dict[str, Any] = {
        "id": CheckoutSessionId(f"cs_{next(_numbers):026}"),
        "tenant": TENANT,
        "dialect": "native",
        "state": CheckoutState.OPEN,
        "kind": OperationKind.PURCHASE,
        "terms": TERMS,
        "created_at": at,
        "updated_at": at,
        "expires_at": at + lives,
        "history": (HistoryEntry(CheckoutEvent.CREATE, at, "req_1", facts={"x": "y"}),),
    }
    return CheckoutSession(**{**values, **changes})


async def keep(engine, session: CheckoutSession) -> CheckoutSession:
    await engine.storage.write(lambda uow: uow.checkout_sessions.insert(session))
    return session


async def find(engine, session: CheckoutSession) -> CheckoutSession:
    return await engine.storage.read(lambda uow: uow.checkout_sessions.find(TENANT, session.id))


async def test_a_session_comes_back_as_it_was(engine) -> None:
    """Terms, history and facts survive storage; an update changes what may change and the version."""
    session = await keep(engine, checkout_session(reference="r", metadata={"k": "v"}, facts={"f": {"g": 1}}))
    assert await find(engine, session) == session
    changed = moved(replace(session, facts={}, sealed_saved=b"s"), CheckoutEvent.LOCK, now())
    changed = replace(changed, lock_id="lock_1")
    assert await engine.storage.write(lambda uow: uow.checkout_sessions.update(changed))
    assert not await engine.storage.write(lambda uow: uow.checkout_sessions.update(changed))
    assert await find(engine, session) == replace(changed, version=2)

    def stranger(uow):
        return uow.checkout_sessions.find(STRANGER, session.id)

    assert await engine.storage.read(stranger) is None


@pytest.mark.parametrize("before", list(CheckoutState))
@pytest.mark.parametrize("after", list(CheckoutState))
async def test_sessions_move_as_the_domain_says(engine, before: CheckoutState, after: CheckoutState) -> None:
    """The trigger and `checkout.TRANSITIONS` are one table; every pair is tried on both engines."""
    await keep(engine, checkout_session())
    path = {
        CheckoutState.OPEN: [],
        CheckoutState.COMPLETED: ["paying", "completed"],
        CheckoutState.FAILED: ["paying", "failed"],
    }
    payment_id = ", payment_id = 'pay_1'"
    for state in path.get(before, [before.value]):
        extra = payment_id if state == "paying" else ""
        await engine.sql(f"UPDATE checkout_session SET state = '{state}'{extra}")
    may = before is after or (before.value, after.value) in ALLOWED
    extra = payment_id if after is CheckoutState.PAYING and may else ""
    try:
        await engine.sql(f"UPDATE checkout_session SET state = '{after.value}'{extra}")
    except Exception as refusal:
        assert not may, refusal
    else:
        assert may


async def test_of_many_attempts_one_begins(engine) -> None:
    """Whoever takes the session first pays it; the others find it taken, and nothing of them stays."""
    session = await keep(engine, checkout_session())

    async def attempt(uow: UnitOfWork, number: int) -> bool:
        found = await uow.checkout_sessions.lock(TENANT, session.id)
        if found.state is not CheckoutState.OPEN:
            return False
        started = moved(replace(found, payment_id=PaymentId(f"pay_{number}")), CheckoutEvent.START, now())
        return await uow.checkout_sessions.update(started)

    began = await asyncio.gather(
        *[engine.storage.write(lambda uow, number=number: attempt(uow, number)) for number in range(20)]
    )
    assert sum(began) == 1


async def test_the_schema_lets_no_second_payment_in(engine) -> None:
    """Without the conditional move above it, the trigger alone refuses another payment for the session."""
    session = await keep(engine, checkout_session())
    started = moved(replace(session, payment_id=PaymentId("pay_1")), CheckoutEvent.START, now())
    await engine.storage.write(lambda uow: uow.checkout_sessions.update(started))
    second = replace(started, payment_id=PaymentId("pay_2"), version=2)
    with pytest.raises(Conflict):
        await engine.storage.write(lambda uow: uow.checkout_sessions.update(second))
    other = await keep(engine, checkout_session())
    same = moved(replace(other, payment_id=PaymentId("pay_1")), CheckoutEvent.START, now())
    with pytest.raises(Conflict):
        await engine.storage.write(lambda uow: uow.checkout_sessions.update(same))
    await engine.sql("DROP TRIGGER checkout_session_pays_once" + _on(engine))
    assert await engine.storage.write(lambda uow: uow.checkout_sessions.update(second))


def _on(engine) -> str:
    return " ON checkout_session" if engine.name == "postgres" else ""


async def test_sessions_end_by_their_merchants_clock(engine) -> None:
    """A test clock ahead expires its own merchant's sessions and nobody else's."""
    for tenant in (TENANT, STRANGER):
        await engine.storage.write(lambda uow, tenant=tenant: uow.merchants.insert(merchant(tenant)))
        await keep(engine, checkout_session(tenant=tenant))
    over = await keep(engine, checkout_session(tenant=STRANGER, lives=timedelta(seconds=-1)))

    def due(uow):
        return uow.checkout_sessions.due(10)

    assert [one.id for one in await engine.storage.write(due)] == [over.id]
    await engine.storage.write(lambda uow: uow.merchants.advance_clock(TENANT, timedelta(hours=1)))
    assert {one.tenant for one in await engine.storage.write(due)} == {TENANT, STRANGER}


async def test_a_session_that_has_not_heard_is_found(engine) -> None:
    """Payments with an answer are carried over; those still open are left alone."""
    for state in OperationState:
        bill = payment(state=state)
        await engine.storage.write(lambda uow, bill=bill: uow.payments.insert(bill))
        session = await keep(engine, checkout_session())
        started = moved(replace(session, payment_id=bill.id), CheckoutEvent.START, now())
        await engine.storage.write(lambda uow, started=started: uow.checkout_sessions.update(started))
    found = await engine.storage.write(lambda uow: uow.checkout_sessions.unheard(10))
    assert len(found) == len(OperationState) - 2


async def test_sessions_are_listed(engine) -> None:
    """Newest first, narrowed by what they are looked up by."""
    sessions = [await keep(engine, checkout_session(reference=f"r{number}")) for number in range(3)]

    def page(**filters: str):
        return engine.storage.read(
            lambda uow: uow.checkout_sessions.page(TENANT, PageRequest(filters=filters))
        )

    assert [one.id for one in (await page()).items] == [one.id for one in reversed(sessions)]
    assert [one.id for one in (await page(reference="r1")).items] == [sessions[1].id]
