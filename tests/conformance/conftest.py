"""The same storage on both engines, empty and migrated."""

from __future__ import annotations

import hmac
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from farebox.adapters.storage import open_storage
from farebox.adapters.storage.schema import migrate
from farebox.ports.storage import Storage

_numbers = itertools.count(1)


def chain_mac(previous: bytes, entry: bytes) -> bytes:
    """A stand-in for the audit key."""
    return hmac.digest(b"audit key of the tests", previous + entry, "sha256")


class Wall:
    """A wall clock that a test may set."""

    def __init__(self) -> None:
        self.shift_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.shift_us  # noqa: TID251  # the wall, as the system clock reads it


@dataclass
class Engine:
    """An open storage and a door beneath it, for tests that look at or break what lies there."""

    name: str
    url: str
    storage: Storage
    wall: Wall
    sql: Callable[..., Any]
    """Run a statement outside the storage; give the rows."""

    async def reopen(self) -> Storage:
        await self.storage.close()
        self.storage = await open_storage(self.url, chain_mac=chain_mac, wall_us=self.wall, node="n")
        return self.storage


def _sqlite_door(path: Path) -> Callable[..., Any]:
    async def sql(statement: str, *values: Any) -> list[Any]:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(5000)
        connection.create_scalar_function("farebox_now", lambda: time.time_ns() // 1000, 0)  # noqa: TID251
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    return sql


def _postgres_door(url: str) -> Callable[..., Any]:
    async def sql(statement: str, *values: Any) -> list[Any]:
        connection: Any = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    return sql


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An empty, migrated database of either engine."""
    if request.param == "sqlite":
        path = tmp_path / "farebox.sqlite3"
        url, sql = f"sqlite:///{path}", _sqlite_door(path)
    else:
        uri: str = request.getfixturevalue("postgres")
        name = f"conformance_{next(_numbers)}"
        await _postgres_door(uri)(f"CREATE DATABASE {name}")
        url = uri.replace("/postgres?", f"/{name}?")
        sql = _postgres_door(url)
    await migrate(url, lambda step: None)
    wall = Wall()
    storage = await open_storage(url, chain_mac=chain_mac, wall_us=wall, node="n")
    engine = Engine(request.param, url, storage, wall, sql)
    yield engine
    await engine.storage.close()
