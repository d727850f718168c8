"""The ASGI application: finds the dialect a request is for, within limits, and hands it to its engine.

A dialect is reached by the port it came in on, by its host name, or by the first segment of the path on
the main listener, where the native API also stands at the root.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from time import perf_counter

from farebox.dialects.dialect import WireRequest, WireResponse
from farebox.dialects.engine import UNMATCHED, Engine
from farebox.domain.errors import ErrorCode, FareboxError, LimitExceeded
from farebox.domain.frozen import frozen
from farebox.web.assets import PREFIX
from farebox.web.limits import Limits
from farebox.web.wire import (
    Disconnected,
    Receive,
    Scope,
    Send,
    leaves_body_unread,
    read_body,
    respond,
)

MAIN = "native"


@frozen
class Answered:
    """One answered request, as metrics and the access log want it: no path, no address, no name."""

    dialect: str
    method: str
    route: str
    status: int
    duration_s: float
    request_id: str


Page = Callable[[Scope], Awaitable[WireResponse]]


@frozen
class Mounts:
    """Where dialects are reached besides `/<dialect>` on the main listener."""

    ports: Mapping[int, str] = field(default_factory=dict[int, str])
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Lower-case host names without port."""


class App:
    """An ASGI application over the engines."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        mounts: Mounts,
        limits: Limits,
        pages: Mapping[str, Page],
        on_request: Callable[[Answered], None],
    ) -> None:
        """Take the engines by dialect, the operator's pages by path, and who is told of each request."""
        self._engines = engines
        self._mounts = mounts
        self._limits = limits
        self._pages = pages
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of any ASGI server."""
        if scope["type"] != "http":
            return
        response = await self.answer(scope, receive)
        if response is not None:
            await respond(send, response, has_body=scope["method"] != "HEAD")

    async def answer(self, scope: Scope, receive: Receive, body: bytes | None = None) -> WireResponse | None:
        """Answer one request, whose body may be there already; nothing when its caller went away."""
        started = perf_counter()
        method: str = scope["method"]
        if method == "HEAD":
            method = "GET"
        headers: dict[bytes, bytes] = dict(scope["headers"])
        engine, prefix, path = self._choose(scope, headers)
        if engine is None:
            response = await self._pages[path](scope)
            name = "pages"
        else:
            name = engine.dialect.name
            try:
                response = await self._ask(engine, method, path, prefix, scope, headers, receive, body)
            except Disconnected:
                return None
        duration_s = perf_counter() - started
        self._on_request(
            Answered(name, method, response.route, response.status, duration_s, response.request_id)
        )
        return response

    def _choose(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[Engine | None, str, str]:
        """Give the engine, the mount prefix and the path below it; no engine for an operator's page."""
        path = scope["raw_path"].decode("latin-1")
        if path.startswith(PREFIX) and path in self._pages:
            return None, "", path
        mounts = self._mounts
        server = scope.get("server")
        dialect = mounts.ports.get(server[1]) if server else None
        if dialect is None and mounts.hosts:
            host = headers.get(b"host", b"").decode("latin-1").rpartition(":")
            dialect = mounts.hosts.get((host[0] or host[2]).lower())
        if dialect is not None:
            return self._engines[dialect], "", path
        if path in self._pages:
            return None, "", path
        first, _, rest = path[1:].partition("/")
        engine = self._engines.get(first)
        if engine is not None:
            return engine, f"/{first}", f"/{rest}"
        return self._engines[MAIN], "", path

    async def _ask(
        self,
        engine: Engine,
        method: str,
        path: str,
        prefix: str,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        body: bytes | None,
    ) -> WireResponse:
        limits = self._limits
        try:
            query: bytes = scope["query_string"]
            if len(path) + len(query) > limits.target_bytes:
                raise LimitExceeded(ErrorCode.URI_TOO_LONG)
            whole = await read_body(
                receive, headers, body, bytes_max=limits.body_bytes, timeout_s=limits.body_timeout_s
            )
        except FareboxError as error:
            response = engine.refuse(error, engine.new_request_id(), UNMATCHED)
            if leaves_body_unread(error):
                response.headers.append((b"connection", b"close"))
            return response
        base_url = f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}{prefix}"
        return await engine.handle(WireRequest(method, path, query, headers, whole, base_url))
