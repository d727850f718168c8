"""PostgreSQL behind the storage port: one transaction a work, on one of a few connections.

READ COMMITTED suffices: every guard is a condition in the write itself, judged on the row's newest version
and by `clock_timestamp()`. What cannot be known is never guessed: a connection lost at COMMIT, a wait for
the standby that was cancelled, or a COMMIT that takes too long is `commit_unknown`, the connection is dropped
and nothing is sent; recovery finds out.

Imported only when a `postgresql://` URL is opened; asyncpg is the extra `postgres`.

Source: security design §4.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString, TypeVar

from farebox.adapters.storage.audit import ChainMac
from farebox.adapters.storage.connection import ConstraintViolated, Row, Value
from farebox.adapters.storage.unit_of_work import SqlUnitOfWork
from farebox.domain.errors import ConfigurationError, ErrorCode, FareboxError, Unavailable
from farebox.ports.storage import StorageHealth, UnitOfWork

try:
    import asyncpg as _asyncpg  # pyright: ignore[reportMissingTypeStubs]
except ImportError:
    raise ConfigurationError(
        ErrorCode.CONFIGURATION_INVALID,
        detail="PostgreSQL needs the extra 'postgres': pip install 'farebox[postgres]'.",
    ) from None

asyncpg: Any = _asyncpg

T = TypeVar("T")
Work = Callable[[UnitOfWork], Awaitable[T]]

VERSION_MIN = 14
CONNECTIONS = 10
WAIT_FOR_CONNECTION_S = 5.0
COMMIT_WITHIN_S = 5.0
"""Longer is unknown: `statement_timeout` does not cover the wait for a standby."""
_STATEMENT_WITHIN_S = 5.0
_SETTINGS = {
    "application_name": "farebox",
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "5s",
}
_BEGIN: LiteralString = "BEGIN; SET LOCAL synchronous_commit = on"
_BEGIN_READ: LiteralString = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CHAIN_LOCKS = 7264919
_CHAINS_MAX = 1000
_CANCELLED_WAIT = "01000"
"""Class of the warning that a wait for synchronous replication was cancelled."""

_DURABILITY: LiteralString = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'data_checksums')"
)
_WANTED = {"fsync": "on", "full_page_writes": "on"}
_CLOCK: LiteralString = "SELECT farebox_now()"


class PostgresConnection:
    """Implements `connection.Connection` over asyncpg; the driver keeps statements prepared."""

    skip_locked: LiteralString = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any, chain: str) -> None:
        """Wrap an open connection and name its audit chain."""
        self._connection = connection
        self.chain = chain

    async def fetch_one(self, sql: LiteralString, params: Sequence[Value] = ()) -> Row | None:
        """Give the first row."""
        rows = await self._run(sql, params)
        return rows[0] if rows else None

    async def fetch_all(self, sql: LiteralString, params: Sequence[Value] = ()) -> list[Row]:
        """Give every row."""
        return await self._run(sql, params)

    async def execute(self, sql: LiteralString, params: Sequence[Value] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        try:
            status: str = await self._connection.execute(sql, *params)
        except asyncpg.IntegrityConstraintViolationError as refusal:
            raise _guard(refusal) from None
        return int(status.rpartition(" ")[2])

    async def _run(self, sql: LiteralString, params: Sequence[Value]) -> list[Row]:
        try:
            return await self._connection.fetch(sql, *params)
        except asyncpg.IntegrityConstraintViolationError as refusal:
            raise _guard(refusal) from None


def _guard(refusal: Any) -> ConstraintViolated:
    """Name the guard; the driver's own text holds the row, so it goes no further."""
    return ConstraintViolated(str(refusal.constraint_name))


class _Slot:
    """One connection, its chain, and the unit of work over it."""

    def __init__(self, connection: Any, chain: str, chain_mac: ChainMac) -> None:
        self.connection = connection
        self.uow = SqlUnitOfWork(PostgresConnection(connection, chain), chain_mac)
        self.was_warned = False
        connection.add_log_listener(self._notice)

    def _notice(self, connection: object, message: Any) -> None:
        """Remember that the server cancelled a wait for the standby: the commit is local only."""
        if message.sqlstate == _CANCELLED_WAIT:
            self.was_warned = True


class PostgresStorage:
    """Implements `ports.storage.Storage` over PostgreSQL 14 or newer."""

    def __init__(self, url: str, *, chain_mac: ChainMac, node: str, wall_us: Callable[[], int]) -> None:
        """Take what a connection is made with; `open` connects."""
        self._url = url
        self._chain_mac = chain_mac
        self._node = node
        self._wall_us = wall_us
        self._free: asyncio.LifoQueue[_Slot | None] = asyncio.LifoQueue()
        self._slots: set[_Slot] = set()
        self._closed = False
        # None is a place whose connection is made when it is needed.
        for _ in range(CONNECTIONS):
            self._free.put_nowait(None)

    @classmethod
    async def open(
        cls, url: str, *, chain_mac: ChainMac, node: str, wall_us: Callable[[], int]
    ) -> PostgresStorage:
        """Connect once, to see that everything is as it must be.

        Raises:
            ConfigurationError: the server is too old or cannot be reached.
        """
        storage = cls(url, chain_mac=chain_mac, node=node, wall_us=wall_us)
        async with storage._slot() as slot:
            version: int = slot.connection.get_server_version().major
            if version < VERSION_MIN:
                raise ConfigurationError(
                    ErrorCode.CONFIGURATION_INVALID, detail=f"PostgreSQL must be {VERSION_MIN} or newer."
                )
        return storage

    # --- ports.storage.Storage ---------------------------------------------------------------------

    async def write(self, work: Work[T]) -> T:
        """Run a work in a transaction of its own; once more after a deadlock."""
        try:
            return await self._write_once(work)
        except _Again:
            try:
                return await self._write_once(work)
            except _Again:
                raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None

    async def read(self, work: Work[T]) -> T:
        """Run a work on one snapshot."""
        async with self._slot() as slot:
            await _statement(slot, _BEGIN_READ)
            result = await self._run(slot, work)
            await _statement(slot, "COMMIT")
            return result

    async def look_up(self, work: Work[T]) -> T:
        """Run a work of one statement, which needs no transaction to see one state."""
        async with self._slot() as slot:
            return await self._run(slot, work)

    async def health(self) -> StorageHealth:
        """Check the server's promises of durability, and that its clock and ours agree."""
        try:
            async with self._slot() as slot:
                found = dict(await slot.connection.fetch(_DURABILITY))
                server_us: int = await slot.connection.fetchval(_CLOCK)
        except (FareboxError, OSError, asyncpg.PostgresError):
            return StorageHealth(ready=False, problems=("the database cannot be reached",))
        problems = [
            f"{name} is {found.get(name)}" for name, value in _WANTED.items() if found.get(name) != value
        ]
        is_durable = not problems
        if abs(server_us - self._wall_us()) > 2_000_000:
            problems.append("the database's clock and this node's differ by more than 2 s")
        has_checksums = found.get("data_checksums") == "on"
        return StorageHealth(
            ready=not problems,
            problems=tuple(problems),
            is_durable=is_durable,
            advice=()
            if has_checksums
            else ("data_checksums is off, so a page the disk damaged is not noticed",),
        )

    async def close(self) -> None:
        """Close every connection; a work that is under way is refused at its next statement."""
        self._closed = True
        for slot in tuple(self._slots):
            with suppress(Exception):  # a connection that cannot say goodbye is gone as well
                await slot.connection.close(timeout=2)
        self._slots.clear()

    # --- one transaction ---------------------------------------------------------------------------

    async def _write_once(self, work: Work[T]) -> T:
        async with self._slot() as slot:
            slot.was_warned = False
            await _statement(slot, _BEGIN)
            slot.uow.begin()
            result = await self._run(slot, work)
            await self._commit(slot)
            return result

    async def _run(self, slot: _Slot, work: Work[T]) -> T:
        """Run a work; whatever it raises undoes it."""
        try:
            return await work(slot.uow)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            await self._roll_back(slot)
            raise _Again from None
        except asyncpg.LockNotAvailableError:
            await self._roll_back(slot)
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None
        except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError, TimeoutError):
            # Before COMMIT was sent: the server undoes it on its own.
            self._drop(slot)
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None
        except asyncpg.PostgresError as error:
            # Its text may quote a row; its class says enough.
            name = type(error).__name__
            await self._roll_back(slot)
            raise RuntimeError(f"PostgreSQL refused a statement: {name}") from None
        except BaseException:
            await self._roll_back(slot)
            raise

    async def _commit(self, slot: _Slot) -> None:
        """Commit, or say that nobody knows."""
        try:
            await slot.connection.execute("COMMIT", timeout=COMMIT_WITHIN_S)
        except asyncpg.IntegrityConstraintViolationError as refusal:
            raise _guard(refusal) from None
        except BaseException as error:
            self._drop(slot)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise Unavailable(ErrorCode.COMMIT_UNKNOWN, retry_after_s=5) from None
        if slot.was_warned:
            self._drop(slot)
            raise Unavailable(ErrorCode.COMMIT_UNKNOWN, retry_after_s=5)

    async def _roll_back(self, slot: _Slot) -> None:
        try:
            await slot.connection.execute("ROLLBACK", timeout=_STATEMENT_WITHIN_S)
        except Exception:  # then the connection is of no more use, and its end undoes the work
            self._drop(slot)

    # --- connections -------------------------------------------------------------------------------

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[_Slot]:
        """Lend a connection.

        Raises:
            Unavailable: `storage_busy` when none comes free in time or none can be made.
        """
        if self._closed:
            raise Unavailable(ErrorCode.SHUTTING_DOWN)
        try:
            async with asyncio.timeout(WAIT_FOR_CONNECTION_S):
                slot = await self._free.get()
        except TimeoutError:
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None
        try:
            if slot is None or slot.connection.is_closed():
                slot = await self._connect()
            yield slot
        finally:
            usable = slot is not None and slot in self._slots and not slot.connection.is_closed()
            self._free.put_nowait(slot if usable else None)

    async def _connect(self) -> _Slot:
        try:
            connection = await asyncpg.connect(
                self._url,
                timeout=WAIT_FOR_CONNECTION_S,
                command_timeout=_STATEMENT_WITHIN_S,
                server_settings=_SETTINGS,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None
        slot = _Slot(connection, await self._take_chain(connection), self._chain_mac)
        self._slots.add(slot)
        return slot

    async def _take_chain(self, connection: Any) -> str:
        """Claim an audit chain for this connection's life, so that no two append to one."""
        for number in range(_CHAINS_MAX):
            chain = f"{self._node}-{number}"
            taken: bool = await connection.fetchval(
                "SELECT pg_try_advisory_lock($1::int, hashtext($2))", _CHAIN_LOCKS, chain
            )
            if taken:
                return chain
        raise Unavailable(ErrorCode.STORAGE_BUSY)

    def _drop(self, slot: _Slot) -> None:
        """Give a connection up; the server finishes or undoes what was on it, and nothing is cancelled."""
        self._slots.discard(slot)
        slot.connection.terminate()


class _Again(Exception):
    """The engine chose this work to lose against another; it may win the second time."""


async def _statement(slot: _Slot, sql: LiteralString) -> None:
    """Run a statement of ours outside any work."""
    try:
        await slot.connection.execute(sql)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        slot.connection.terminate()
        raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1) from None


async def connect(url: str) -> Any:
    """Connect for a migration or a look at the schema.

    Raises:
        ConfigurationError: the server cannot be reached.
    """
    try:
        return await asyncpg.connect(url, timeout=WAIT_FOR_CONNECTION_S, server_settings={"timezone": "UTC"})
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
        problem = ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID,
            detail="The PostgreSQL server that database_url names cannot be used.",
        )
    # Raised out here: the driver's error may hold the URL with its password.
    raise problem
