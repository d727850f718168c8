"""The real server as a process of its own, over real sockets: started, killed, and its files read.

Everything here goes through the front door (`farebox init`, `farebox serve`) except the two readers at the
end, which open the databases behind the server's back.
"""

from __future__ import annotations

import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

PROGRAM: tuple[str, ...] = (sys.executable, "-c", "from farebox.cli import main; main()")
_START_WITHIN_S = 60.0
_POLL_S = 0.02
_ADDRESS = re.compile(rb"^farebox at http://127\.0\.0\.1:(\d+)$", re.MULTILINE)

Row = tuple[Any, ...]


class ServerFailed(Exception):
    """The server did not do as it was told; the message ends with what it logged last."""


@dataclass(frozen=True, slots=True)
class BookEntry:
    """What the acquirer's own books say of one request."""

    reference: str
    kind: str
    root: str
    """Reference of the request that opened the payment."""
    target: str | None
    amount_minor: int
    approved_minor: int
    state: str
    fingerprint: bytes | None
    received: int


class Server:
    """One data directory and the process that serves it, at most one at a time."""

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Say where and what; `init` makes it.

        Args:
            directory: an empty directory; data, key, ring and log come to lie in it side by side.
            database_url: `postgresql://…` instead of the embedded database.
            settings: settings by their name in the environment without `FAREBOX_`, like `LOG_LEVEL`.
            program: what is started with `serve`; another one than Farebox in negative controls.
        """
        self.data_dir = directory / "data"
        self.log_path = directory / "server.log"
        self.database_url = database_url or f"sqlite:///{self.data_dir / 'farebox.sqlite3'}"
        self.port = 0
        self.credentials: dict[str, Any] = {}
        self._program = tuple(program)
        self._process: subprocess.Popen[bytes] | None = None
        # What the machine has set for another Farebox must not reach this one.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAREBOX_")}
        given = {f"FAREBOX_{name}": value for name, value in (settings or {}).items()}
        self._environment = inherited | given | {"FAREBOX_DATA_DIR": str(self.data_dir)}
        if database_url is not None:
            self._environment["FAREBOX_DATABASE_URL"] = database_url

    # --- the process -------------------------------------------------------------------------------

    def init(self) -> dict[str, Any]:
        """Make data directory, keys and a merchant; give and keep what `farebox init --json` printed."""
        self.credentials = json.loads(self.run("init", "--json"))
        return self.credentials

    def run(self, *arguments: str) -> bytes:
        """Run another command on the same data directory and give what it printed.

        Raises:
            ServerFailed: it ended with another code than 0.
        """
        ended = subprocess.run(  # noqa: S603  # the program under test
            [*PROGRAM, *arguments], env=self._environment, capture_output=True, timeout=60, check=False
        )
        if ended.returncode != 0:
            raise ServerFailed(f"{arguments[0]} ended with {ended.returncode}: {ended.stderr.decode()}")
        return ended.stdout

    def popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start another command with pipes; ending it is for the caller."""
        return subprocess.Popen(  # noqa: S603  # the program under test
            [*PROGRAM, *arguments], env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def start(self) -> None:
        """Start the process on a free port and return when `/readyz` says that it is ready.

        Raises:
            ServerFailed: it ended, or was not ready in time.
        """
        if self._process is not None:
            raise ServerFailed("It runs already.")
        seen = self.log_path.stat().st_size if self.log_path.exists() else 0
        # A test machine may have swap; what `doctor` refuses is not what these tests are about.
        command = [*self._program, "serve", "--port", "0", "--insecure-demo"]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + _START_WITHIN_S
        self.port = 0
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"It is not ready:\n{self.log()[-4000:]}")
            time.sleep(_POLL_S)
            if self.port == 0 and (found := _ADDRESS.search(self._log_since(seen))):
                self.port = int(found[1])

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask it to stop, wait until it has, and give its exit code."""
        if self._process is None:
            return 0
        self.ask_to_stop()
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def ask_to_stop(self) -> None:
        """Send SIGTERM and do not wait."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def has_ended(self) -> bool:
        """Tell whether the process is gone, however it ended."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """Send SIGKILL: the process does nothing any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start again, on another port."""
        self.stop()
        self.start()

    def log(self) -> str:
        """Give everything the server has printed so far."""
        return self._log_since(0).decode(errors="replace")

    def _log_since(self, offset: int) -> bytes:
        return self.log_path.read_bytes()[offset:]

    def _is_ready(self) -> bool:
        if self.port == 0:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    # --- behind its back ---------------------------------------------------------------------------

    async def rows(self, sql: str) -> list[Row]:
        """Ask Farebox's own database."""
        if self.database_url.startswith("sqlite:///"):
            return _sqlite_rows(Path(self.database_url.removeprefix("sqlite:///")), sql)
        # Loaded here: the driver is an extra.
        import asyncpg  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

        driver: Any = asyncpg
        connection = await driver.connect(self.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    def books(self) -> list[BookEntry]:
        """Read the acquirer's own books."""
        return [
            BookEntry(*row)
            for row in _sqlite_rows(
                self.data_dir / "sandbox.sqlite3",
                "SELECT reference, kind, root, target, amount_minor, approved_minor, state, fingerprint,"
                " received FROM entry ORDER BY reference",
            )
        ]

    def book_fingerprint(self, number: str) -> bytes:
        """Digest a card number as the acquirer does, to find it in the books."""
        key: bytes = _sqlite_rows(self.data_dir / "sandbox.sqlite3", "SELECT key FROM book")[0][0]
        return hmac.digest(key, number.encode(), "sha256")


def _sqlite_rows(path: Path, sql: str) -> list[Row]:
    connection: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(5000)
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
