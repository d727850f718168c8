"""SQLite and PostgreSQL behind the storage port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from farebox.adapters.storage.audit import ChainMac
from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.ports.storage import Storage


async def open_storage(
    url: str, *, chain_mac: ChainMac, wall_us: Callable[[], int], node: str = "node"
) -> Storage:
    """Open the database that a URL names: `sqlite:///path` or `postgresql://…`.

    Raises:
        ConfigurationError: the URL names no engine we have, or the schema is not this program's.
    """
    from farebox.adapters.storage.schema import check

    await check(url)
    if url.startswith("sqlite:///"):
        from farebox.adapters.storage.sqlite import SqliteStorage

        return SqliteStorage(Path(url.removeprefix("sqlite:///")), chain_mac=chain_mac, wall_us=wall_us)
    if url.startswith(("postgresql://", "postgres://")):
        from farebox.adapters.storage.postgres import PostgresStorage

        return await PostgresStorage.open(url, chain_mac=chain_mac, node=node, wall_us=wall_us)
    raise ConfigurationError(
        ErrorCode.CONFIGURATION_INVALID, detail="The database URL is neither SQLite nor PostgreSQL."
    )


def backup(url: str, destination: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the embedded database, consistent and while it is in use.

    Args:
        url: the database's URL.
        destination: a file that must not exist yet.
        progress: told how many of how many pages are copied.

    Raises:
        ConfigurationError: the database is PostgreSQL, or the destination exists.
    """
    if not url.startswith("sqlite:///"):
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID, detail="PostgreSQL is backed up with pg_dump or a base backup."
        )
    if destination.exists():
        raise ConfigurationError(ErrorCode.CONFIGURATION_INVALID, detail="The destination exists already.")
    from farebox.adapters.storage.sqlite import copy_database

    copy_database(Path(url.removeprefix("sqlite:///")), destination, progress)
