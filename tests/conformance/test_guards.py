"""The schema is the second guard: what it refuses on its own, and what happens when it is taken out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.conformance.things import TENANT, operation, payment, single_use_token

from farebox.adapters.storage.connection import ConstraintViolated
from farebox.domain.errors import FareboxError
from farebox.domain.ids import OperationId
from farebox.domain.operations import TRANSITIONS as OPERATION_MOVES
from farebox.domain.operations import OperationState
from farebox.domain.tokens import TRANSITIONS as TOKEN_MOVES
from farebox.domain.tokens import TokenState
from farebox.ports.storage import UnitOfWork


def _allowed(table) -> set[tuple[str, str]]:
    return {(before.value, after.value) for before, moves in table.items() for after in moves.values()}


@pytest.mark.parametrize("before", list(TokenState))
@pytest.mark.parametrize("after", list(TokenState))
async def test_tokens_move_as_the_domain_says(engine, before: TokenState, after: TokenState) -> None:
    """I6: the trigger and `tokens.TRANSITIONS` are one table; every pair is tried on both engines."""
    token = single_use_token()
    await engine.storage.write(lambda uow: uow.tokens.insert(token))
    path = {
        TokenState.MINTED: [],
        TokenState.RESERVED: ["reserved"],
        TokenState.SPENT: ["reserved", "spent"],
        TokenState.EXPIRED: ["expired"],
        TokenState.REVOKED: ["revoked"],
    }
    empty = ", payload = NULL, details = NULL, cvc = NULL"
    for state in path[before]:
        await engine.sql(f"UPDATE single_use_token SET state = '{state}'{empty}")
    may = before is after or (before.value, after.value) in _allowed(TOKEN_MOVES)
    try:
        await engine.sql(f"UPDATE single_use_token SET state = '{after.value}'{empty}")
    except Exception as refusal:
        assert not may, refusal
        assert "single_use_token_moves" in str(refusal)
    else:
        assert may


@pytest.mark.parametrize("before", list(OperationState))
@pytest.mark.parametrize("after", list(OperationState))
async def test_operations_move_as_the_domain_says(
    engine, before: OperationState, after: OperationState
) -> None:
    """I6: the same for operations."""
    bill = payment()
    await engine.storage.write(lambda uow: uow.payments.insert(bill))
    await engine.storage.write(lambda uow: uow.operations.insert(operation(bill)))
    path = {OperationState.SUBMITTED: [], OperationState.REVERSED: ["in_doubt", "reversed"]}
    for state in path.get(before, [before.value]):
        await engine.sql(f"UPDATE operation SET state = '{state}'")
    may = before is after or (before.value, after.value) in _allowed(OPERATION_MOVES)
    try:
        await engine.sql(f"UPDATE operation SET state = '{after.value}'")
    except Exception as refusal:
        assert not may, refusal
        assert "operation_moves" in str(refusal)
    else:
        assert may


@pytest.mark.parametrize(
    "change",
    [
        "captured_minor = 1001",
        "capturing_minor = 600, captured_minor = 500",
        "captured_minor = 500, refunded_minor = 501",
        "captured_minor = 500, refunded_minor = 300, refunding_minor = 201",
        "voided_minor = 500, capturing_minor = 501",
        "captured_minor = -1",
    ],
)
async def test_amounts_cannot_pass_their_bounds(engine, change: str) -> None:
    """I7 is also a CHECK of the schema."""
    bill = payment(state=OperationState.APPROVED, authorized_minor=1000)
    await engine.storage.write(lambda uow: uow.payments.insert(bill))
    with pytest.raises(Exception, match="(?i)check"):
        await engine.sql(f"UPDATE payment SET {change}")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET why = 'x'", "DELETE FROM audit", "UPDATE event SET type = 'x'"]
)
async def test_what_happened_stays(engine, statement: str) -> None:
    """SEC-11: audit rows are neither changed nor deleted; events are not changed."""
    await engine.sql(
        "INSERT INTO audit VALUES ('c', 1, 'a', 1, NULL, 'x', 'x', '', '', "
        + ("x'00')" if engine.name == "sqlite" else "'\\x00')")
    )
    await engine.sql("INSERT INTO event VALUES ('e', 'm', 'test', 't', 'o', 1, 1, '{}')")
    with pytest.raises(Exception, match="_is_(final|kept)"):
        await engine.sql(statement)


async def _spend_carelessly(engine, mac: bytes, number: int) -> bool:
    """R1 taken out: look first, write afterwards, as if nobody else were there."""
    bill = payment()
    spend = operation(bill, consumes_token=True, id=OperationId(f"op_careless_{number:017}"))
    token = await engine.storage.read(lambda uow: uow.tokens.find(TENANT, mac))
    if token is None or token.state is not TokenState.MINTED:
        return False
    await asyncio.sleep(0.02)

    async def work(uow: UnitOfWork) -> None:
        await uow.payments.insert(bill)
        await uow.operations.insert(operation(bill, id=spend.id, token_id=token.id, consumes_token=True))

    try:
        await engine.storage.write(work)
    except (FareboxError, ConstraintViolated):
        return False
    return True


@pytest.mark.parametrize("has_index", [True, False])
async def test_the_index_stops_what_the_conditional_write_would_have(engine, has_index: bool) -> None:
    """I1: without R1 the index alone still lets one operation in; without both, the token is spent twice."""
    if not has_index:
        await engine.sql("DROP INDEX one_live_operation")
        await engine.reopen()
    token = single_use_token()
    await engine.storage.write(lambda uow: uow.tokens.insert(token))
    won = await asyncio.gather(*[_spend_carelessly(engine, token.token_mac, number) for number in range(8)])
    assert (sum(won) == 1) is has_index


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
async def test_expiry_is_judged_after_the_wait_for_a_lock(engine) -> None:
    """I5: one who began to wait before the expiry does not get the token after it.

    On PostgreSQL the waiter's condition is not evaluated again when the holder rolls back; only what the
    write returns tells that the time is over. SQLite has one writer, and takes the time after the lock.
    """
    token = single_use_token(lives=timedelta(milliseconds=250))
    await engine.storage.write(lambda uow: uow.tokens.insert(token))

    async def hold(uow: UnitOfWork) -> None:
        await uow.tokens.reserve(TENANT, token.token_mac, OperationId("op_holder"), timedelta(0))
        await asyncio.sleep(0.4)
        raise RuntimeError("the holder gives up")

    async def wait(uow: UnitOfWork) -> object:
        return await uow.tokens.reserve(TENANT, token.token_mac, OperationId("op_waiter"), timedelta(0))

    holder = asyncio.ensure_future(engine.storage.write(hold))
    await asyncio.sleep(0.1)
    got = await engine.storage.write(wait)
    with pytest.raises(RuntimeError):
        await holder
    assert got is None
    # The control: the same wait with the condition alone gets the token although its time is over.
    await engine.sql("UPDATE single_use_token SET expires_at = farebox_now() + 250000")
    holder = asyncio.ensure_future(engine.storage.write(hold))
    await asyncio.sleep(0.1)
    rows = await engine.sql(
        "UPDATE single_use_token SET operation_id = 'op_fooled'"
        " WHERE state = 'minted' AND expires_at > farebox_now() RETURNING expires_at <= farebox_now()"
    )
    with pytest.raises(RuntimeError):
        await holder
    assert rows == [(True,)]
