"""Farebox that answers before it commits: the control of the kill storm.

A work's result is given as soon as its statements have run, and the commit follows a moment later, as with
every "asynchronous commit". Everything else is the real server.
"""

from __future__ import annotations

import asyncio

from farebox.adapters.storage import sqlite
from farebox.adapters.storage.sqlite import SqliteStorage
from farebox.cli import main

COMMIT_AFTER_S = 0.02


async def commit_queue(self: SqliteStorage) -> None:
    loop = asyncio.get_running_loop()
    try:
        while self._queue:
            if not await self._begin(loop):
                continue
            for job, result, error in self._run_batch(self._take_batch(), has_savepoints=True) or ():
                sqlite._resolve(job.future, result, error)
            await asyncio.sleep(COMMIT_AFTER_S)
            await loop.run_in_executor(self._thread, self._commit)
    finally:
        self._committer = None


SqliteStorage._commit_queue = commit_queue

if __name__ == "__main__":
    main()
