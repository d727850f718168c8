"""A client of the native API: keep-alive connections, and as little work per answer as possible.

It shares the machine with the server it drives, so it parses an answer's status and length and leaves the
rest to whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class ConnectionLost(Exception):
    """No answer came: nobody knows what became of the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    head: bytes
    body: bytes

    @property
    def value(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a refusal."""
        return self.value.get("code") if self.status >= 400 else None  # HTTP's own bound


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self) -> None:
        """Start unconnected."""
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a server on this machine.

        Raises:
            ConnectionLost: nobody listens.
        """
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        except OSError:
            raise ConnectionLost from None
        return connection

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, request: bytes) -> Answer:
        """Send a request as it is and wait for its answer.

        Raises:
            ConnectionLost: the connection ended first.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport), "TCP gives both directions"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Put an answer together."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head, rest = self._received[: end + 2], self._received[end + 4 :]
        found = _LENGTH.search(head)
        if len(rest) < (int(found[1]) if found else 0):
            return
        waiting, self._waiting, self._received = self._waiting, None, b""
        if not waiting.done():
            waiting.set_result(Answer(int(head[9:12]), head, rest))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost())


class Client:
    """Asks as one merchant, on as many connections as there are requests at the same time."""

    def __init__(self, port: int, secret_key: str) -> None:
        """Say whom to ask, and as whom."""
        self.port = port
        self._secret_key = secret_key
        self._idle: list[Connection] = []

    async def ask(
        self, method: str, path: str, body: object = None, *, idempotency_key: str | None = None
    ) -> Answer:
        """Send one request.

        Raises:
            ConnectionLost: no answer came.
        """
        port = self.port
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                break
        else:
            connection = await Connection.open(port)
        try:
            answer = await connection.send(self.request(method, path, body, idempotency_key=idempotency_key))
        except BaseException:
            # An answer that comes after all must not be taken for that of the next request.
            connection.close()
            raise
        if port == self.port:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def request(
        self, method: str, path: str, body: object = None, *, idempotency_key: str | None = None
    ) -> bytes:
        """Write a request."""
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: 127.0.0.1",
            f"authorization: Bearer {self._secret_key}",
            "content-type: application/json",
            f"content-length: {len(payload)}",
        ]
        if idempotency_key is not None:
            lines.append(f"idempotency-key: {idempotency_key}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload

    async def moved(self, port: int) -> None:
        """Go on with a server that was started again."""
        self.port = port
        await self.close()

    async def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        # A transport lets go of its socket one turn after it was closed.
        await asyncio.sleep(0)


def card_number(serial: int) -> str:
    """Give a number of its own for every serial: a published test prefix, and a right check digit.

    Source: the prefix is that of 4242 4242 4242 4242; the check digit is ISO/IEC 7812-1, annex B.
    """
    body = f"424242{serial:09d}"
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(body))
    total = sum(value - 9 if value > 9 else value for value in doubled)  # as the standard says
    return body + str(-total % 10)


def mint_body(number: str, *, lifetime_s: int = 3600) -> dict[str, object]:
    """Write what mints a token for a card."""
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123", "holder_name": "Ada"}
    return {"card": card, "lifetime_s": lifetime_s}
