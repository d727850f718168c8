"""Brings a database's schema up to this program, or says why it may not be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from farebox.adapters.storage.migrate import (
    CREATE_VERSION,
    OLDEST_COMPATIBLE,
    READ_VERSION,
    WRITE_VERSION,
    Migration,
    newest,
    pending,
)
from farebox.adapters.storage.sqlite import open_connection
from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.domain.frozen import frozen


@frozen
class SchemaStatus:
    """Which version a database has and which this program wants."""

    version: int
    wanted: int
    pending: tuple[str, ...]


async def status(url: str) -> SchemaStatus:
    """Look at a database's schema version without changing it.

    Raises:
        ConfigurationError: it is newer than this program may open.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        version, oldest = _sqlite_version(path) if path.exists() else (0, 0)
        steps, wanted = pending("sqlite", version, oldest), newest("sqlite")
    else:
        version, oldest = await _postgres_version(url)
        steps, wanted = pending("postgres", version, oldest), newest("postgres")
    return SchemaStatus(version, wanted, tuple(step.name for step in steps))


async def check(url: str) -> None:
    """Refuse a database whose schema is not this program's.

    Raises:
        ConfigurationError: run `farebox db migrate`, or use a newer Farebox.
    """
    if (await status(url)).pending:
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID,
            detail="The database's schema is older than this program: run 'farebox db migrate'.",
        )


async def migrate(url: str, progress: Callable[[str], None]) -> int:
    """Apply what is pending, each step in a transaction of its own; give how many steps."""
    if url.startswith("sqlite:///"):
        return _migrate_sqlite(Path(url.removeprefix("sqlite:///")), progress)
    return await _migrate_postgres(url, progress)


def _sqlite_version(path: Path) -> tuple[int, int]:
    connection = open_connection(path)
    try:
        connection.execute(CREATE_VERSION)
        row = connection.execute(READ_VERSION).fetchall()[0]
        return row[0], row[1]
    finally:
        connection.close()


def _migrate_sqlite(path: Path, progress: Callable[[str], None]) -> int:
    # The log and its index get the same mode; the directory may be one that others can enter.
    path.touch(mode=0o600)
    connection = open_connection(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(CREATE_VERSION)
        version, oldest = connection.execute(READ_VERSION).fetchall()[0]
        steps = pending("sqlite", version, oldest)
        for step in steps:
            progress(step.name)
            connection.execute(step.sql)
            connection.execute(WRITE_VERSION, (step.version, OLDEST_COMPATIBLE))
        connection.execute("COMMIT")
        return len(steps)
    finally:
        connection.close()


async def _postgres_version(url: str) -> tuple[int, int]:
    from farebox.adapters.storage.postgres import connect

    connection = await connect(url)
    try:
        exists = await connection.fetchval("SELECT to_regclass('schema_version') IS NOT NULL")
        if not exists:
            return 0, 0
        row = await connection.fetchrow(READ_VERSION)
        return row[0], row[1]
    finally:
        await connection.close()


async def _migrate_postgres(url: str, progress: Callable[[str], None]) -> int:
    from farebox.adapters.storage.postgres import connect

    connection = await connect(url)
    try:
        async with connection.transaction():
            # Two nodes that start together must not both migrate.
            await connection.execute("SELECT pg_advisory_xact_lock(7264918)")
            await connection.execute(CREATE_VERSION)
            row = await connection.fetchrow(READ_VERSION)
            steps: list[Migration] = pending("postgres", row[0], row[1])
            for step in steps:
                progress(step.name)
                await connection.execute(step.sql)
                await connection.execute(WRITE_VERSION, step.version, OLDEST_COMPATIBLE)
        return len(steps)
    finally:
        await connection.close()
