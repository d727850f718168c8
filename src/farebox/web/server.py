"""Listening sockets and the life of the server: one process, several ports, bounded heads, a clean stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.web.app import App
from farebox.web.limits import Limits

_BACKLOG = 2048
# TLS 1.2 with authenticated encryption and forward secrecy only; TLS 1.3 has nothing else (SEC-09).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Listener:
    """A port, and the dialect at its root; none is the main listener."""

    port: int
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
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


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    class BoundedProtocol(HttpToolsProtocol):
        """Refuses heads that are too large and lets `sweep` find those that take too long."""

        head_since: float | None = None
        head_received = 0
        """Bytes of segments that came before the head was whole."""
        segment = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.head_since = self.loop.time()
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            self.segment = len(data)
            super().data_received(data)
            if self.head_since is not None:
                self.head_received += self.segment
                if self.head_received > limits.head_bytes:
                    self.send_400_response("The request's headers are too large.")

        def on_message_begin(self) -> None:
            self.head_since, self.head_received = self.loop.time(), 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self.head_since = None
            if len(self.headers) > limits.headers or (
                self.head_received + self.segment > limits.head_bytes
                and sum(len(name) + len(value) for name, value in self.headers) > limits.head_bytes
            ):
                # Becomes a 400 in the parser's caller.
                raise ValueError
            super().on_headers_complete()

    return BoundedProtocol


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
        try:
            await self._serve(sockets)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Finish what is in flight and return; at once when asked again."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stopping()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell so."""
        await super().startup(sockets)
        self._announce()


def build_server(app: App, *, limits: Limits, tls: Tls | None) -> FareboxServer:
    """Put the application on uvicorn."""
    server: FareboxServer

    async def sweep() -> None:
        """Close connections whose head has not come in time."""
        deadline = asyncio.get_running_loop().time() - limits.head_timeout_s
        for connection in tuple(server.server_state.connections):
            since: float | None = getattr(connection, "head_since", None)
            if since is not None and since < deadline:
                connection.transport.close()

    options: Mapping[str, Any] = {
        "http": _protocol(limits),
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
    config = Config(app, **options)
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
