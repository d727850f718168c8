"""Listening sockets and the life of the server: one process, several ports, bounded heads, a clean stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from farebox.dialects.dialect import WireResponse
from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.domain.frozen import frozen
from farebox.web.limits import Limits
from farebox.web.wire import Receive, Scope

_BACKLOG = 2048
# TLS 1.2 with authenticated encryption and forward secrecy only; TLS 1.3 has nothing else (SEC-09).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@frozen
class Listener:
    """A port, and the dialect at its root; none is the main listener."""

    port: int
    dialect: str | None = None


@frozen
class Tls:
    """Paths of a PEM certificate chain and its key."""

    certificate: str
    key: str


def open_sockets(host: str, listeners: Sequence[Listener]) -> list[tuple[Listener, socket.socket]]:
    """Bind every listener; port 0 takes a free one.

    Raises:
        ConfigurationError: `configuration_invalid` when an address cannot be taken.
    """
    opened: list[tuple[Listener, socket.socket]] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for listener in listeners:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by every connection: head and body are two writes, and would wait for each other's
            # acknowledgement (40 ms).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((host, listener.port))
        except OSError as error:
            sock.close()
            for _, other in opened:
                other.close()
            raise ConfigurationError(
                ErrorCode.CONFIGURATION_INVALID,
                detail=f"Cannot listen on {host} port {listener.port}: {error.strerror}.",
            ) from None
        port: int = sock.getsockname()[1]
        opened.append((Listener(port, listener.dialect), sock))
    return opened


class Answering(Protocol):
    """An application that answers whole requests; `app.App` is one."""

    async def answer(self, scope: Scope, receive: Receive, body: bytes | None) -> WireResponse | None:
        """Answer a request, whose body is given if it came with the head; nothing for one who left."""
        ...


class Departures:
    """Sends what one turn of the event loop answered when the turn is over.

    Every packet wakes its reader and runs the kernel's network code, after which Python's own code has to
    come back into the processor's caches: to answer first and to send then costs a look a quarter less.
    """

    def __init__(self) -> None:
        """Have nothing to send."""
        self._waiting: list[tuple[asyncio.Transport, bytes, bool]] = []

    def send(self, transport: asyncio.Transport, answer: bytes, *, is_last: bool) -> None:
        """Send an answer soon, and close its connection behind it if it is the last one."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send_all)
        self._waiting.append((transport, answer, is_last))

    def _send_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport, answer, is_last in waiting:
            transport.write(answer)
            if is_last:
                transport.close()


async def _exchange(
    app: Answering,
    departures: Departures,
    cycle: RequestResponseCycle,
    scope: Any,
    receive: Any,
    send: object,
) -> None:
    """Answer one request in one piece, as far as it came in one.

    This is what uvicorn runs in place of an ASGI application: head and body as two messages are two
    packets, each of which wakes the caller up.
    """
    body = None if cycle.more_body else bytes(cycle.body)
    response = await app.answer(scope, receive, body)
    if response is None or cycle.disconnected:
        return
    if cycle.flow.write_paused:
        await cycle.flow.drain()
    if not cycle.disconnected:
        answer = _render(cycle, response)
        cycle.response_started = cycle.response_complete = True
        departures.send(cycle.transport, answer, is_last=not cycle.keep_alive)
        cycle.on_response()


def _render(cycle: RequestResponseCycle, response: WireResponse) -> bytes:
    """Write an answer as it goes over the wire, and note whether its connection goes on."""
    headers = [*cycle.default_headers, *response.headers]
    if response.status != 204:
        headers.append((b"content-length", b"%d" % len(response.body)))
    if (b"connection", b"close") in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        headers.append((b"connection", b"close"))
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    head = STATUS_LINE[response.status] + b"".join(lines)
    if head.count(b"\n") != len(headers) + 1:
        raise ValueError("a header holds a line break")
    return head + b"\r\n" + (b"" if cycle.scope["method"] == "HEAD" else response.body)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that are too large and knows when its caller takes too long.

    A timer for every answer would cost more than looking through all connections once a second.
    """

    limits: Limits
    departures: Departures
    head_since: float | None = None
    idle_since: float | None = None
    head_received = 0
    """Bytes of segments that came before the head was whole."""
    segment = 0

    # uvicorn narrows the argument of asyncio.BaseProtocol in the same way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        self.head_since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read a segment."""
        self.segment = len(data)
        super().data_received(data)
        if self.head_since is not None:
            self.head_received += self.segment
            if self.head_received > self.limits.head_bytes:
                self.send_400_response("The request's headers are too large.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.head_since, self.head_received, self.idle_since = self.loop.time(), 0, None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Judge the head, and let the application answer."""
        self.head_since = None
        limits = self.limits
        if len(self.headers) > limits.headers or (
            self.head_received + self.segment > limits.head_bytes
            and sum(len(name) + len(value) for name, value in self.headers) > limits.head_bytes
        ):
            # Becomes a 400 in the parser's caller.
            raise ValueError
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, partial(_exchange, app, self.departures, cycle))

    def on_response_complete(self) -> None:
        """Go on with a request that was sent ahead, or begin to wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since = self.loop.time()

    def shutdown(self) -> None:
        """End when what this turn answered is sent."""
        self.loop.call_soon(super().shutdown)

    def is_overdue(self, now: float) -> bool:
        """Tell whether its caller has let it wait too long, for a head or for another request."""
        if self.head_since is not None:
            return now - self.head_since > self.limits.head_timeout_s
        return self.idle_since is not None and now - self.idle_since > self.limits.keep_alive_s


class FareboxServer(Server):
    """uvicorn, with our signals: it returns when it has stopped, so that the caller closes the rest."""

    _announce: Callable[[], None]
    _stopping: Callable[[], None]

    async def run_until_stopped(
        self, sockets: list[socket.socket], started: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; a second signal cuts what is in flight.

        Args:
            sockets: bound ones.
            started: told when they listen.
            stopping: told when the end has begun.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        self._announce, self._stopping = started, stopping
        # The handlers stay: a second signal must not cut off how the caller closes the rest.
        await self._serve(sockets)

    def stop(self) -> None:
        """Finish what is in flight and return; at once when asked again."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stopping()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell so."""
        await super().startup(sockets)
        self._announce()


def build_server(app: Answering, *, limits: Limits, tls: Tls | None) -> FareboxServer:
    """Put the application on uvicorn."""
    server: FareboxServer
    protocol: type[BoundedProtocol] = type(
        "Protocol", (BoundedProtocol,), {"limits": limits, "departures": Departures()}
    )

    async def sweep() -> None:
        """Close connections whose caller takes too long."""
        now = asyncio.get_running_loop().time()
        connections: set[Any] = server.server_state.connections
        for connection in tuple(connections):
            if isinstance(connection, BoundedProtocol) and connection.is_overdue(now):
                connection.transport.close()

    options: Mapping[str, Any] = {
        "http": protocol,
        "loop": "uvloop",
        "lifespan": "off",
        "interface": "asgi3",
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": _BACKLOG,
        "timeout_keep_alive": limits.keep_alive_s,
        "timeout_graceful_shutdown": limits.shutdown_s,
        "callback_notify": sweep,
        "timeout_notify": 1,
    }
    served: Any = app  # never called: `_exchange` asks it
    config = Config(served, **options)
    if tls is not None:
        config.load()
        config.ssl = _tls_context(tls)
    server = FareboxServer(config)
    return server


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID, detail="The TLS certificate and key cannot be loaded."
        ) from None
    return context
