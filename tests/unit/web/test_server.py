"""Sockets, TLS and the life of the server; what a hostile caller gets is in `tests/e2e/test_hostile.py`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from farebox.dialects.dialect import WireResponse
from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.web.limits import Limits
from farebox.web.server import FareboxServer, Listener, Tls, build_server, open_sockets

LIMITS = Limits(
    body_bytes=100,
    target_bytes=100,
    head_bytes=1000,
    headers=10,
    head_timeout_s=5.0,
    body_timeout_s=5.0,
    keep_alive_s=5,
    shutdown_s=5,
)


# A server that has not stopped by then never will.
PATIENCE_S = 20.0


class Slow:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def answer(self, scope: Any, receive: Any, body: bytes | None) -> WireResponse:
        self.asked.set()
        await self.let.wait()
        return WireResponse(200, [], b"ok", "/", "")


@asynccontextmanager
async def running(
    app: Slow, tls: Tls | None = None
) -> AsyncIterator[tuple[FareboxServer, int, asyncio.Event]]:
    """A server on a free port, and what it told of its life."""
    server = build_server(app, limits=LIMITS, tls=tls)
    ((listener, sock),) = open_sockets("127.0.0.1", [Listener(0)])
    told, started = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(server.run_until_stopped([sock], started.set, told.set))
    await started.wait()
    try:
        yield server, listener.port, told
    finally:
        server.stop()
        app.let.set()
        await task


async def get(port: int, context: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_in_flight_finish(number: signal.Signals) -> None:
    """Whoever was being served is served; readiness is told at once."""
    app = Slow()
    async with running(app) as (_, port, told):
        request = asyncio.create_task(get(port))
        await app.asked.wait()
        os.kill(os.getpid(), number)
        await told.wait()
        assert not request.done()
        app.let.set()
        assert (await request).endswith(b"ok")


async def test_a_second_stop_waits_for_nobody() -> None:
    """An operator in a hurry is obeyed: the server returns while a request still waits."""
    app = Slow()
    server = build_server(app, limits=LIMITS, tls=None)
    ((listener, sock),) = open_sockets("127.0.0.1", [Listener(0)])
    told: list[str] = []
    started = asyncio.Event()
    task = asyncio.create_task(server.run_until_stopped([sock], started.set, lambda: told.append("stopping")))
    await started.wait()
    request = asyncio.create_task(get(listener.port))
    await app.asked.wait()
    server.stop()
    server.stop()
    async with asyncio.timeout(PATIENCE_S):
        await task
    assert told == ["stopping", "stopping"]
    assert not request.done()
    app.let.set()
    await asyncio.wait([request])


def test_a_port_in_use_says_which_and_frees_the_others() -> None:
    """A refusal to start leaves nothing behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="configuration_invalid") as caught:
            open_sockets("127.0.0.1", [Listener(0), Listener(port)])
    assert caught.value.code is ErrorCode.CONFIGURATION_INVALID
    assert f"port {port}" in caught.value.message


def test_every_listener_has_its_socket() -> None:
    """A free port is told, and whose it is."""
    opened = open_sockets("127.0.0.1", [Listener(0), Listener(0, "bamboo")])
    try:
        assert [listener.dialect for listener, _ in opened] == [None, "bamboo"]
        assert all(sock.getsockname() == ("127.0.0.1", listener.port) for listener, sock in opened)
    finally:
        for _, sock in opened:
            sock.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Tls:
    """A certificate for 127.0.0.1, signed by itself."""
    tls = Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1"
    )
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", tls.certificate, "-keyout", tls.key]
    subprocess.run(
        [*command.split(), *files],
        check=True,
        capture_output=True,
    )
    return tls


def client(tls: Tls) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=tls.certificate)


async def test_tls_is_served(certificate: Tls) -> None:
    """SEC-09: 1.3 by default, 1.2 for those who have no more."""
    app = Slow()
    app.let.set()
    async with running(app, certificate) as (_, port, _told):
        assert (await get(port, client(certificate))).endswith(b"ok")
        older = client(certificate)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await get(port, older)).endswith(b"ok")


async def test_weak_ciphers_are_not_served(certificate: Tls) -> None:
    """SEC-09: no cipher without forward secrecy or without authentication of what it encrypts."""
    app = Slow()
    async with running(app, certificate) as (_, port, _told):
        for ciphers in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES256-GCM-SHA384"):
            weak = client(certificate)
            weak.maximum_version = ssl.TLSVersion.TLSv1_2
            weak.set_ciphers(ciphers)
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await get(port, weak)


def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """Without the path, which is the operator's own, or the library's words."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            build_server(Slow(), limits=LIMITS, tls=Tls(str(path), str(path)))
        assert str(tmp_path) not in caught.value.message
