"""Nothing behind the Internet is called, however its address is written or come by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from farebox.adapters.delivery.http import HttpSender
from farebox.adapters.delivery.ssrf import Address, AddressGuard, AddressRefused, embedded, may_be_called
from farebox.adapters.http_client import HttpClient, HttpFailed
from farebox.adapters.system import SystemClock
from farebox.domain.access import Mode
from farebox.domain.errors import InvalidRequest
from farebox.domain.webhooks import AttemptResult, OutboundRequest
from farebox.ports.delivery import Answered, Unanswered

LOOPBACK = (ip_network("127.0.0.0/8"),)

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe:: 3fff::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 fe80::1%1 fec0::1 ff02::1
""".split()
CALLABLE = """
1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 168.63.129.15 172.15.255.255 172.32.0.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 2606:4700:4700::1111 2a00:1450:4001::1
::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::
""".split()


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_on_the_internet_is_refused(text: str) -> None:
    """Private, loopback, link-local, metadata, reserved, and IPv4 in every IPv6 disguise."""
    assert not may_be_called(ip_address(text))


@pytest.mark.parametrize("text", CALLABLE)
def test_the_internet_may_be_called(text: str) -> None:
    """The neighbours of every refused range are ordinary addresses."""
    assert may_be_called(ip_address(text))


@pytest.mark.parametrize("text", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_an_operator_may_allow_a_network(text: str) -> None:
    """For development: what an address leads to counts, and the rest stays refused."""
    assert may_be_called(ip_address(text), LOOPBACK)
    assert not may_be_called(ip_address("10.0.0.1"), LOOPBACK)


def test_a_disguise_is_seen_through() -> None:
    """What an IPv6 address leads to is what is judged."""
    assert str(embedded(ip_address("2002:7f00:1::"))) == "127.0.0.1"
    assert str(embedded(ip_address("2606:4700:4700::1111"))) == "2606:4700:4700::1111"


URLS = """
http://127.0.0.1/ http://127.1/ http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://0177.0.0.1/ http://127.0.0.1./
http://[::1]/ http://[::ffff:127.0.0.1]/ http://169.254.169.254/latest/ http://[fd00:ec2::254]/ http://10.0.0.1:8080/
http://user@shop.example/ http://user:pass@shop.example/ ftp://shop.example/ file:///etc/passwd gopher://shop.example/
http:/// http://:80/ //shop.example/ shop.example http://shop.example:0/ http://shop.example:70000/
http://shop.exämple/ http://１２７.0.0.1/ http://shop.example/\x00 http://shop.example/a\r\nb
""".strip("\n").split(" ")


@pytest.mark.parametrize("url", [url.strip("\n") for url in URLS])
def test_a_url_that_could_never_be_called_is_refused_at_once(url: str) -> None:
    """Merchants hear of it when they write it, not when it fails."""
    with pytest.raises(InvalidRequest):
        HttpSender(AddressGuard(), SystemClock(), version="0").check(url, Mode.TEST)


def test_live_mode_takes_https_only() -> None:
    """A signature proves who speaks and hides nothing."""
    sender = HttpSender(AddressGuard(), SystemClock(), version="0")
    sender.check("http://shop.example/", Mode.TEST)
    sender.check("https://shop.example:8443/a?b=c", Mode.LIVE)
    with pytest.raises(InvalidRequest):
        sender.check("http://shop.example/", Mode.LIVE)


async def test_a_name_for_one_refused_address_is_refused() -> None:
    """One good address beside a bad one makes no good name; no address at all is none either."""
    for found in (["8.8.8.8", "127.0.0.1"], ["::ffff:10.0.0.1"], []):

        async def look_up(host: str, port: int, found: list[str] = found) -> Sequence[Address]:
            return [ip_address(text) for text in found]

        with pytest.raises(AddressRefused):
            await AddressGuard((), look_up).resolve("shop.example", 443)


class Server:
    """Counts who connects, and answers 200."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0
        self.hosts: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        self.hosts += [line[6:] for line in head.decode().split("\r\n") if line.lower().startswith("host: ")]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    kept = Server()
    listening = await asyncio.start_server(kept.serve, "127.0.0.1", 0)
    kept.port = listening.sockets[0].getsockname()[1]
    yield kept
    listening.close()
    await listening.wait_closed()


class Rebinding:
    """A name server that answers differently each time, as an attacker's does."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked += 1
        return [ip_address(self.answers.pop(0))]


async def send(guard: AddressGuard, url: str) -> Answered | Unanswered:
    sender = HttpSender(guard, SystemClock(), version="0")
    try:
        return await sender.send(OutboundRequest(url, b"{}"), (), mode=Mode.TEST, timeout_s=2)
    finally:
        await sender.close()


async def test_a_name_is_asked_for_once_and_what_was_checked_is_connected_to(server: Server) -> None:
    """DNS rebinding: the second answer is never asked for, because nothing resolves the name again."""
    names = Rebinding("127.0.0.1", "10.0.0.1")
    answer = await send(AddressGuard(LOOPBACK, names), f"http://shop.example:{server.port}/hook")
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body, names.asked) == (200, "ok", 1)
    assert server.hosts == [f"shop.example:{server.port}"]


async def test_a_name_that_has_turned_inwards_is_not_connected_to(server: Server) -> None:
    """The answer at the time of the call counts, whatever the name stood for when it was configured."""
    names = Rebinding("127.0.0.1")
    answer = await send(AddressGuard((), names), f"http://shop.example:{server.port}/hook")
    assert answer == Unanswered(AttemptResult.ADDRESS_REFUSED)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_called(server: Server, host: str) -> None:
    """By name or by number, with the system's own resolver."""
    answer = await send(AddressGuard(), f"http://{host}:{server.port}/hook")
    assert answer == Unanswered(AttemptResult.ADDRESS_REFUSED)
    assert server.connections == 0


async def test_the_socket_is_the_last_door(server: Server) -> None:
    """Negative control and second guard: past a resolver that lets everything through, the socket refuses."""

    async def anything(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    async def call(admit: Any, host: str) -> int:
        client = HttpClient(anything, admit, user_agent="Farebox/0")
        try:
            answer = await client.send(
                "POST",
                f"http://{host}:{server.port}/",
                headers={},
                body=b"",
                timeout_s=2,
                body_bytes_max=10,
            )
        finally:
            await client.close()
        return answer.status

    for host in ("shop.example", "127.0.0.1", "127.1"):
        with pytest.raises(HttpFailed):
            await call(AddressGuard().admit, host)
    assert server.connections == 0
    assert await call(lambda address: None, "shop.example") == 200
