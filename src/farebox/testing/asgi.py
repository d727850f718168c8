"""Asks an ASGI application in process, without a socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""Any ASGI application."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Give a header's value, or nothing."""
        return dict(self.headers).get(name)

    @property
    def value(self) -> Any:
        """The body, read as JSON; none for an empty one."""
        return json.loads(self.body) if self.body else None


async def ask(
    app: App,
    method: str,
    target: str,
    *,
    body: bytes | Sequence[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] = ("127.0.0.1", 50_000),
    server: tuple[str, int] = ("127.0.0.1", 8080),
) -> Answer:
    """Send one request and wait for the answer.

    Args:
        app: the application.
        method: upper case.
        target: path and query, percent-encoded.
        body: whole, or in the pieces in which it is to arrive, which is then a chunked body.
        headers: by lower-case name; host and length are added.
        client: address and port that ask.
        server: address and port that are asked.
    """
    path, _, query = target.partition("?")
    pieces = [body] if isinstance(body, bytes) else list(body)
    length = (b"content-length", str(len(body)).encode()) if isinstance(body, bytes) else None
    raw = [(b"host", b"farebox.test"), *([length] if length else [(b"transfer-encoding", b"chunked")])]
    raw += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "raw_path": path.encode("latin-1"),
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": raw,
        "client": client,
        "server": server,
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    return Answer(
        start["status"],
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]),
        b"".join(message["body"] for message in rest),
    )
