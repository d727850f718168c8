"""Settings that somebody takes away under a running server stop its spending, on either engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.conformance.conftest import Engine

from farebox.domain.errors import ErrorCode, Unavailable
from farebox.services.durability import Durability

Switch = Callable[[str], Awaitable[None]]


@pytest.fixture
async def switch(engine: Engine) -> AsyncIterator[Switch]:
    """Switches a durability setting of the engine off and on again."""

    async def sqlite(to: str) -> None:
        storage: Any = engine.storage
        storage._writer.execute(f"PRAGMA synchronous = {'FULL' if to == 'on' else 'NORMAL'}")

    async def postgres(to: str) -> None:
        await engine.sql(f"ALTER SYSTEM SET full_page_writes = {to}")
        await engine.sql("SELECT pg_reload_conf()")
        for _ in range(200):
            found = await engine.sql(
                "SELECT setting, pg_sleep(0.02) FROM pg_settings WHERE name = 'full_page_writes'"
            )
            if found[0][0] == to:
                return
        raise AssertionError("PostgreSQL did not read its settings again")

    choice = sqlite if engine.name == "sqlite" else postgres
    yield choice
    # One PostgreSQL serves every test of this run.
    await choice("on")


async def test_spending_stops_until_the_setting_is_back(engine: Engine, switch: Switch) -> None:
    """Section 4.4: checked every ten seconds; a confirmed spend that is lost is a token that pays again."""
    durability = Durability(engine.storage)
    for to in ("on", "off", "on"):
        await switch(to)
        await durability.look()
        assert (await engine.storage.health()).is_durable is (to == "on")
        if to == "on":
            durability.require()
            continue
        with pytest.raises(Unavailable) as refusal:
            durability.require()
        assert (refusal.value.code, refusal.value.retry_after_s) == (ErrorCode.STORAGE_BUSY, 10)


async def test_a_clock_that_is_off_does_not_stop_spending(engine: Engine) -> None:
    """It makes the node not ready, but expiry is judged by the database's clock, so nothing is lost."""
    engine.wall.shift_us = -10_000_000
    health = await engine.storage.health()
    assert health.is_durable
