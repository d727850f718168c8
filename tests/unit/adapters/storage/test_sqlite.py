"""SQLite's committer: on the loop or in a thread, and a log that does not grow for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.things import single_use_token

from farebox.adapters.storage import sqlite
from farebox.adapters.storage.schema import migrate
from farebox.adapters.storage.sqlite import SqliteStorage

CHECKPOINT_PAGES = 200


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    path = tmp_path / "farebox.sqlite3"
    await migrate(f"sqlite:///{path}", lambda step: None)
    opened = SqliteStorage(
        path, chain_mac=lambda a, b: b"", wall_us=lambda: 0, checkpoint_pages=CHECKPOINT_PAGES
    )
    yield opened
    await opened.close()


async def write_one(storage: SqliteStorage) -> None:
    token = single_use_token()
    await storage.write(lambda uow: uow.tokens.insert(token))


async def test_a_log_begins_anew_under_load(
    storage: SqliteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved while commits go on, it stays near its limit; the control never moves it, and it grows on."""

    async def shop() -> None:
        for _ in range(60):
            await write_one(storage)

    log = tmp_path / "farebox.sqlite3-wal"
    for _ in range(5):
        await asyncio.gather(*[shop() for _ in range(4)])
    assert log.stat().st_size < 6 * CHECKPOINT_PAGES * 4096
    monkeypatch.setattr(storage, "_checkpoint_pages", 10**9)
    before = log.stat().st_size
    for _ in range(12):
        await asyncio.gather(*[shop() for _ in range(4)])
    assert log.stat().st_size > 2 * before


async def test_a_slow_disk_is_waited_for_in_a_thread_and_tried_again_later(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit on the loop would hold everybody up; a disk that has become quick is found out."""
    threads: list[int] = []
    commit = storage._commit  # pyright: ignore[reportPrivateUsage]

    def watched() -> object:
        threads.append(threading.get_ident())
        return commit()

    monkeypatch.setattr(storage, "_commit", watched)
    here = threading.get_ident()
    monkeypatch.setattr(sqlite, "_QUICK_S", 3600.0)
    await write_one(storage)
    assert threads == [here]
    monkeypatch.setattr(storage, "_commit_s", 3700.0)
    await write_one(storage)
    assert threads[-1] != here
    await write_one(storage)
    await write_one(storage)
    assert threads[-1] == here
