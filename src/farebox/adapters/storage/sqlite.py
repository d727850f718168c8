"""SQLite: one writer, group commit, and no await that waits.

**Group commit.** Requests queue their works. The committer opens a transaction, runs every work that is
waiting at that moment and commits them together: one sync for all. The statements take microseconds and run
on the event loop itself. So does `COMMIT` where the disk syncs quickly, because to hand it to a thread and to
hear from it takes longer than such a sync; where the disk is slow, it runs in the committer's own thread, and
what arrives meanwhile is the next batch. Nobody waits for a batch to fill.

**Checkpoints.** The log is moved into the database by a connection and a thread of its own while commits go
on. What came meanwhile, a few pages, is moved with the next commit, and the log begins anew.

**Driving a work.** A repository's coroutine never suspends here, so a work is run to its end with one
`send(None)`. The write connection is touched by the loop and by the committer's thread strictly in turn.

**Time.** `farebox_now()` is the wall clock, but never less than the high-water mark kept in the database, so
that a clock stepped back revives nothing (security design §4.5).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, LiteralString, Protocol, TypeVar, cast

import apsw

from farebox.adapters.storage.audit import ChainMac
from farebox.adapters.storage.connection import ConstraintViolated, Row, Value
from farebox.adapters.storage.unit_of_work import SqlUnitOfWork
from farebox.domain.errors import ConfigurationError, ErrorCode, Unavailable
from farebox.ports.storage import StorageHealth, UnitOfWork

T = TypeVar("T")
Work = Callable[[UnitOfWork], Awaitable[T]]

BATCH_MAX = 256
"""Works per transaction: bounds how long the loop is held and how much one rollback undoes."""
QUEUE_MAX = 4096
LIBRARY_MIN = (3, 51, 3)
"""Older libraries can corrupt a WAL database that two connections write. Source: security design §4.5."""

_PRAGMAS: tuple[LiteralString, ...] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",
)
_READ_PRAGMAS: tuple[LiteralString, ...] = (
    "PRAGMA query_only = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
)
_FULL = 2
_BACKUP_PAGES = 1000
CHECKPOINT_PAGES = 1_000
_LEFT_OVER_SHARE = 8
"""What is left over of a checkpoint is moved with a commit when it is this small a share of one."""
_FADING = 0.98
_QUICK_S = 0.001
"""A disk that syncs in less is not worth a thread."""
_HIGH_WATER: LiteralString = "SELECT clock_us FROM high_water WHERE one = 1"
_RAISE_HIGH_WATER: LiteralString = "UPDATE high_water SET clock_us = $1 WHERE one = 1 AND clock_us < $1"


class Statements(Protocol):
    """The part of an apsw cursor that is used here, fully typed."""

    def execute(self, statements: str, bindings: Sequence[Value] | None = None) -> Statements: ...

    def fetchall(self) -> list[Row]: ...

    def fetchone(self) -> Row | None: ...


class Sqlite(Protocol):
    """The part of an apsw connection that is used here, fully typed."""

    def execute(self, statements: str, bindings: Sequence[Value] | None = None) -> Statements: ...

    def cursor(self) -> Statements: ...

    def changes(self) -> int: ...

    def total_changes(self) -> int: ...

    def set_busy_timeout(self, milliseconds: int) -> None: ...

    def create_scalar_function(
        self,
        name: str,
        callable: Callable[..., Value],
        numargs: int,
    ) -> None: ...

    def backup(self, databasename: str, sourceconnection: Any, sourcedatabasename: str) -> Any: ...

    def set_wal_hook(self, callable: Callable[[Any, str, int], int]) -> None: ...

    def wal_checkpoint(self, *, mode: int) -> tuple[int, int]: ...

    def close(self) -> None: ...


class SqliteConnection:
    """Implements `connection.Connection` over apsw."""

    chain = "main"
    skip_locked: LiteralString = ""

    def __init__(self, connection: Sqlite) -> None:
        """Wrap an open connection.

        One cursor serves every statement, each of which is at its end before the next one begins: making a
        cursor costs as much as finding a row.
        """
        self._run = connection.cursor().execute
        self._changes = connection.changes

    async def fetch_one(self, sql: LiteralString, params: Sequence[Value] = ()) -> Row | None:
        """Give the first row, and let the statement run to its end."""
        rows = self._rows(sql, params)
        return rows[0] if rows else None

    async def fetch_all(self, sql: LiteralString, params: Sequence[Value] = ()) -> list[Row]:
        """Give every row."""
        return self._rows(sql, params)

    async def execute(self, sql: LiteralString, params: Sequence[Value] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        self._rows(sql, params)
        return self._changes()

    def _rows(self, sql: LiteralString, params: Sequence[Value]) -> list[Row]:
        try:
            return self._run(sql, params).fetchall()
        except apsw.ConstraintError as refusal:
            # The message names the guard or its columns, never a value.
            raise ConstraintViolated(_guard(str(refusal))) from None


# SQLite names a violated unique index by its columns; a partial index by them as well.
_GUARDS = {
    "operation.token_id": "one_live_operation",
    "operation.processor, operation.processor_reference": "one_processor_reference",
    "operation.target_id": "one_live_void",
    "document.merchant_id, document.mode, document.kind, document.name": "document_name",
    "stored_token.merchant_id, stored_token.mode, stored_token.name": "stored_token_name",
    "subscription.merchant_id, subscription.mode, subscription.name": "subscription_name",
    "checkout_session.payment_id": "checkout_session_payment",
}


def _guard(message: str) -> str:
    for columns, name in _GUARDS.items():
        if message.endswith(columns):
            return name
    return message.rsplit(": ", 1)[-1]


@dataclass(slots=True)
class _Job:
    """A work that waits for its turn, and who waits for it."""

    work: Work[Any]
    future: asyncio.Future[Any]


_Done = tuple[_Job, Any, BaseException | None]
"""A job, what it gave, or what it raised."""


class SqliteStorage:
    """Implements `ports.storage.Storage` over one SQLite file."""

    def __init__(
        self,
        path: Path,
        *,
        chain_mac: ChainMac,
        wall_us: Callable[[], int],
        vfs: str | None = None,
        synchronous: LiteralString = "FULL",
        checkpoint_pages: int = CHECKPOINT_PAGES,
    ) -> None:
        """Open the file; its schema must be there (`migrate.py`).

        Args:
            path: the database file.
            chain_mac: makes the digests of the audit chain.
            wall_us: the wall clock in microseconds since 1970.
            vfs: name of a registered apsw VFS, for tests that cut the power.
            synchronous: `FULL`; anything less loses acknowledged writes and is there to prove just that.
            checkpoint_pages: length of the write-ahead log at which it is moved into the database.
        """
        if tuple(int(part) for part in apsw.sqlitelibversion().split(".")) < LIBRARY_MIN:
            raise ConfigurationError(
                ErrorCode.CONFIGURATION_INVALID, detail="The SQLite library is older than 3.51.3."
            )
        self._wall_us = wall_us
        self._writer = open_connection(path, vfs=vfs)
        self._writer.set_busy_timeout(0)
        if synchronous != "FULL":
            self._writer.execute("PRAGMA synchronous = " + synchronous)
        self._reader = _open(path, vfs, _READ_PRAGMAS)
        self._write, self._read = self._writer.cursor().execute, self._reader.cursor().execute
        self._high_water: int = self._writer.execute(_HIGH_WATER).fetchall()[0][0]
        for connection in (self._writer, self._reader):
            connection.create_scalar_function("farebox_now", self._now_us, 0)
        self._writing = SqlUnitOfWork(SqliteConnection(self._writer), chain_mac)
        self._reading = SqlUnitOfWork(SqliteConnection(self._reader), chain_mac)
        self._queue: deque[_Job] = deque()
        self._committer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._commit_s = 0.0
        """How long a commit on the loop takes, the last ones counting most."""
        self._mover = open_connection(path, vfs=vfs)
        self._moving = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._moved: Future[int] | None = None
        """A checkpoint under way or just finished, and how many pages of the log it found moved."""
        self._checkpoint_pages = checkpoint_pages
        self._writer.set_wal_hook(self._checkpoint)
        self._closed = False

    # --- ports.storage.Storage ---------------------------------------------------------------------

    async def write(self, work: Work[T]) -> T:
        """Run a work in the next transaction; return when it is durable."""
        if self._closed:
            raise Unavailable(ErrorCode.SHUTTING_DOWN)
        if len(self._queue) >= QUEUE_MAX:
            raise Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Job(work, future))
        if self._committer is None:
            self._committer = loop.create_task(self._commit_queue())
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run a work on the last committed state, the same for all its statements."""
        self._read("BEGIN")
        try:
            return _drive(work(self._reading))
        finally:
            self._read("COMMIT")

    async def look_up(self, work: Work[T]) -> T:
        """Run a work of one statement, which needs no transaction to see one state."""
        return _drive(work(self._reading))

    async def health(self) -> StorageHealth:
        """Check that the connection still is as durable as it was opened."""
        problems: list[str] = []
        if self._pragma("PRAGMA synchronous") != _FULL:
            problems.append("synchronous is not FULL")
        if self._pragma("PRAGMA journal_mode") != "wal":
            problems.append("journal_mode is not WAL")
        is_durable = not problems
        if self._high_water > self._wall_us() + 2_000_000:
            problems.append("the clock is more than 2 s behind the database")
        return StorageHealth(ready=not problems, problems=tuple(problems), is_durable=is_durable)

    async def close(self) -> None:
        """Finish what is queued, then close."""
        self._closed = True
        if self._committer is not None:
            await self._committer
        self._thread.shutdown(wait=True)
        self._moving.shutdown(wait=True)
        self._mover.close()
        self._reader.close()
        self._writer.close()

    # --- the committer -----------------------------------------------------------------------------

    async def _commit_queue(self) -> None:
        """Write batches until nothing is waiting.

        Works run one after another without savepoints, because a savepoint copies every page that a work
        touches. When one fails after it has written, the whole batch is undone and run again with them,
        so that it alone stays undone. Nobody hears anything, not even a refusal, before the commit that it
        rests on.
        """
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                if not await self._begin(loop):
                    continue
                jobs = self._take_batch()
                done = self._run_batch(jobs, has_savepoints=False)
                if done is None:
                    self._write("ROLLBACK")
                    if not await self._begin(loop):
                        _refuse(jobs)
                        continue
                    done = self._run_batch(jobs, has_savepoints=True) or []
                failure = await self._commit_batch(loop)
                for job, result, error in done:
                    _resolve(job.future, result, error or failure)
        finally:
            self._committer = None

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Open the transaction; when another process is writing, wait for it off the loop."""
        try:
            self._write("BEGIN IMMEDIATE")
        except apsw.BusyError:
            try:
                await loop.run_in_executor(self._thread, self._begin_patiently)
            except apsw.Error:
                _refuse(self._queue)
                self._queue.clear()
                return False
        return True

    def _begin_patiently(self) -> None:
        self._writer.set_busy_timeout(5000)
        try:
            self._write("BEGIN IMMEDIATE")
        finally:
            self._writer.set_busy_timeout(0)

    def _take_batch(self) -> list[_Job]:
        """Take what is waiting now, within bounds."""
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))]
        return [job for job in taken if not job.future.cancelled()]

    def _run_batch(self, jobs: Sequence[_Job], *, has_savepoints: bool) -> list[_Done] | None:
        """Run works in the open transaction; nothing when one left writes that must be undone."""
        writer = self._writer
        self._write(_RAISE_HIGH_WATER, (self._now_us(),))
        self._writing.begin()
        done: list[_Done] = []
        for job in jobs:
            before = writer.total_changes()
            if has_savepoints:
                self._write("SAVEPOINT work")
            try:
                done.append((job, _drive(job.work(self._writing)), None))
            except BaseException as error:  # whatever it was, only this work is undone
                if has_savepoints:
                    self._write("ROLLBACK TO work")
                    self._writing.begin()
                elif writer.total_changes() != before:
                    return None
                done.append((job, None, error))
            if has_savepoints:
                self._write("RELEASE work")
        return done

    async def _commit_batch(self, loop: asyncio.AbstractEventLoop) -> Unavailable | None:
        """Commit on the loop, or in the thread where that took too long lately.

        A thread's time says nothing, because it waits for the interpreter as well. So what is remembered
        fades, and now and then a commit on the loop finds out how quick the disk is by now.
        """
        if self._commit_s >= _QUICK_S:
            self._commit_s *= _FADING
            return await loop.run_in_executor(self._thread, self._commit)
        started = perf_counter()
        failure = self._commit()
        self._commit_s += (perf_counter() - started - self._commit_s) / 8
        return failure

    def _commit(self) -> Unavailable | None:
        """Commit, which waits for the disk; say what became of it instead of raising."""
        try:
            self._write("COMMIT")
        except apsw.Error:
            with suppress(apsw.Error):
                self._write("ROLLBACK")
            # A commit that failed after its frames were written may still be found by the next open.
            return Unavailable(ErrorCode.COMMIT_UNKNOWN, retry_after_s=1)
        return None

    def _checkpoint(self, connection: object, name: str, pages: int) -> int:
        """Look after the log, whose length SQLite tells after each commit."""
        if self._moved is not None and self._moved.done():
            left_over, self._moved = pages - self._moved.result(), None
            if left_over <= self._checkpoint_pages // _LEFT_OVER_SHARE:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                return apsw.SQLITE_OK
        if self._moved is None and pages >= self._checkpoint_pages:
            self._moved = self._moving.submit(self._move_log)
        return apsw.SQLITE_OK

    def _move_log(self) -> int:
        """Move what is in the log now, beside the writer; tell how many pages of it are moved."""
        with suppress(apsw.Error):
            return self._mover.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)[1]
        return 0

    # --- small things ------------------------------------------------------------------------------

    def _now_us(self, *_: object) -> int:
        self._high_water = max(self._high_water, self._wall_us())
        return self._high_water

    def _pragma(self, query: LiteralString) -> Value:
        return self._writer.execute(query).fetchall()[0][0]


def _refuse(jobs: Iterable[_Job]) -> None:
    refusal = Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=1)
    for job in jobs:
        _resolve(job.future, None, refusal)


def _resolve(future: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


def _drive(work: Awaitable[T]) -> T:
    """Run a coroutine that never waits to its end."""
    coroutine = cast("Coroutine[Any, Any, T]", work)
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return cast("T", finished.value)
    coroutine.close()
    raise AssertionError("a unit of work waited for something that is not its database")


def open_connection(path: Path, *, vfs: str | None = None) -> Sqlite:
    """Open a writing connection with the durability that is promised.

    Raises:
        ConfigurationError: the file cannot be put into WAL mode.
    """
    connection = _open(path, vfs, _PRAGMAS)
    if connection.execute("PRAGMA journal_mode").fetchall() != [("wal",)]:
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID, detail="The database cannot be put into WAL mode."
        )
    return connection


def copy_database(source: Path, destination: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database with SQLite's online backup; writers go on meanwhile.

    Args:
        source: the database.
        destination: the file to make; readable by its owner only.
        progress: told how many of how many pages are copied.
    """
    reader = _open(source, None, _READ_PRAGMAS)
    destination.touch(mode=0o600)
    copy = cast("Sqlite", apsw.Connection(str(destination)))
    try:
        with copy.backup("main", reader, "main") as backup:
            while not backup.done:
                backup.step(_BACKUP_PAGES)
                progress(backup.page_count - backup.remaining, backup.page_count)
    finally:
        copy.close()
        reader.close()


def _open(path: Path, vfs: str | None, pragmas: tuple[LiteralString, ...]) -> Sqlite:
    connection = cast("Sqlite", apsw.Connection(str(path), vfs=vfs, statementcachesize=200))
    connection.set_busy_timeout(5000)
    for pragma in pragmas:
        connection.execute(pragma).fetchall()
    return connection
