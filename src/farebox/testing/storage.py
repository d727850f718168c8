"""The real repositories over SQLite in memory, where every transaction is a place to die in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import apsw

from farebox.adapters.storage.audit import ChainMac
from farebox.adapters.storage.connection import Row, Value
from farebox.adapters.storage.migrate import pending
from farebox.adapters.storage.sqlite import Sqlite, SqliteConnection
from farebox.adapters.storage.unit_of_work import SqlUnitOfWork
from farebox.domain.errors import ErrorCode, Unavailable
from farebox.ports.storage import StorageHealth, UnitOfWork
from farebox.testing.weather import Sky

T = TypeVar("T")

_OBSERVER = """
CREATE TEMP TABLE moved (
  kind TEXT, id TEXT, before TEXT, after TEXT, at INTEGER, expires_at INTEGER, offset INTEGER
);
CREATE TEMP TRIGGER token_moved AFTER UPDATE OF state ON main.single_use_token WHEN NEW.state <> OLD.state
BEGIN INSERT INTO moved SELECT 'token', NEW.id, OLD.state, NEW.state, farebox_now(), NEW.expires_at,
  (SELECT clock_offset_us FROM merchant WHERE id = NEW.merchant_id); END;
CREATE TEMP TRIGGER operation_moved AFTER UPDATE OF state ON main.operation WHEN NEW.state <> OLD.state
BEGIN INSERT INTO moved VALUES ('operation', NEW.id, OLD.state, NEW.state, farebox_now(), NULL, NULL); END;
"""


class Database:
    """One database in memory, shared by every process of a run; what is committed outlives them all."""

    def __init__(self, wall_us: Callable[[], int], chain_mac: ChainMac, image: bytes | None = None) -> None:
        """Make a database with the newest schema, or start from an image of one.

        An observer of its own, made of triggers that nothing in Farebox knows, notes every move of a token
        and of an operation.
        """
        connection: Any = apsw.Connection(":memory:")
        if image is not None:
            connection.deserialize("main", image)
        self._connection = cast("Sqlite", connection)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.create_scalar_function("farebox_now", wall_us, 0)
        if image is None:
            for step in pending("sqlite", 0, 0):
                self._connection.execute(step.sql)
        self._connection.execute(_OBSERVER)
        self._image = connection.serialize
        self.unit_of_work = SqlUnitOfWork(SqliteConnection(self._connection), chain_mac)

    def rows(self, sql: str, *values: Value) -> list[Row]:
        """Ask the database behind everybody's back."""
        return self._connection.execute(sql, values).fetchall()

    def image(self) -> bytes:
        """Copy the whole database, as it would lie on a disk."""
        return self._image("main")

    def transact(self, work: Callable[[UnitOfWork], Awaitable[T]], *, keep: bool = True) -> T:
        """Run a work and commit it, or undo it all."""
        self._connection.execute("BEGIN IMMEDIATE")
        self.unit_of_work.begin()
        try:
            result = _drive(work(self.unit_of_work))
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT" if keep else "ROLLBACK")
        return result

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


class SimulatedStorage:
    """Implements `ports.storage.Storage` for one process."""

    def __init__(self, database: Database, sky: Sky) -> None:
        """Connect a process to the database."""
        self._database = database
        self._sky = sky

    async def write(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a work; the process may die before it, or after it and never hear that it was done."""
        dice, weather = self._sky.dice, self._sky.weather
        await self._sky.point()
        if dice.chance(weather.busy):
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1)
        unknown = dice.chance(weather.commit_unknown)
        result = self._database.transact(work, keep=not unknown or dice.chance(0.5))
        await self._sky.point()
        if unknown:
            raise Unavailable(ErrorCode.COMMIT_UNKNOWN, retry_after_s=1)
        return result

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a work on what is committed."""
        await self._sky.point()
        return _drive(work(self._database.unit_of_work))

    async def look_up(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a work of one statement."""
        return await self.read(work)

    async def health(self) -> StorageHealth:
        """Be well."""
        return StorageHealth(ready=True)

    async def close(self) -> None:
        """Leave the database to the others."""


def _drive(work: Awaitable[T]) -> T:
    """Run a unit of work to its end; it may wait for nothing but its database."""
    running = cast("Coroutine[Any, Any, T]", work)
    try:
        running.send(None)
    except StopIteration as finished:
        return cast("T", finished.value)
    running.close()
    raise AssertionError("a unit of work waited for something that is not its database")
