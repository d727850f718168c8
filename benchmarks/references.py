"""The reference points of the same run: what the HTTP server, the disk and the database cost alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import apsw

SYNCS = 2000
ROWS = 20_000
BATCH = 64


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read a JSON body and answer it: the least an API on this HTTP server can do."""
    import msgspec

    message = await receive()
    body = msgspec.json.encode(msgspec.json.decode(message["body"]))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve_echo(port: int) -> None:
    """Run `echo` on the same server, loop and parser as Farebox."""
    import uvicorn

    uvicorn.run(
        echo,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
    )


def raw_syncs_per_s(directory: Path) -> float:
    """Append 4 KiB and wait for the disk, again and again."""
    path = directory / "sync-probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    block = os.urandom(4096)
    try:
        started = time.perf_counter()
        for _ in range(SYNCS):
            os.write(descriptor, block)
            os.fdatasync(descriptor)
        return SYNCS / (time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()


def batched_inserts_per_s(directory: Path) -> float:
    """Insert 400-byte rows in transactions of 64 with the pragmas that Farebox uses."""
    path = directory / "insert-probe.sqlite3"
    connection: Any = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 10000"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE probe (id TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID")
    row = os.urandom(400)
    try:
        started = time.perf_counter()
        for first in range(0, ROWS, BATCH):
            with connection:
                for number in range(first, first + BATCH):
                    connection.execute("INSERT INTO probe VALUES (?, ?)", (f"{number:026}", row))
        return ROWS / (time.perf_counter() - started)
    finally:
        connection.close()
        for left in directory.glob("insert-probe.sqlite3*"):
            left.unlink()


if __name__ == "__main__":
    serve_echo(int(sys.argv[1]))
