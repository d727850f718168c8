"""The HTTP client library, imported here and nowhere else.

Nothing is followed, remembered or taken from the environment: no redirects, no cookies, no proxies, no
decompression. Every name is resolved by a resolver that the caller gives, so that what it lets through
is what is connected to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from farebox.domain.frozen import frozen

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Gives the addresses of a host that may be connected to; raises `OSError` to refuse."""
Admit = Callable[[Address], None]
"""Raises `OSError` for an address that must not be connected to, however it was come by."""

HEAD_BYTES_MAX = 8_190


@frozen
class HttpAnswer:
    """What came back: of the body only the beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailed(Exception):
    """There was no answer; `cause` says why without quoting anything."""


class HttpTimedOut(HttpFailed):
    """There was no answer in time."""


class _Resolver(AbstractResolver):
    """Hands the caller's addresses to the library, which connects to these and to no others."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._resolve(host, port)
        ]

    async def close(self) -> None:
        """Hold nothing."""


class HttpClient:
    """Sends requests over connections of its own."""

    def __init__(
        self, resolve: Resolve, admit: Admit, *, user_agent: str, connections_max: int = 256
    ) -> None:
        """Take who judges addresses; connections are made when they are needed."""
        self._resolve = resolve
        self._admit = admit
        self._user_agent = user_agent
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        body_bytes_max: int,
    ) -> HttpAnswer:
        """Send a request and read the answer's head and the beginning of its body.

        Raises:
            HttpTimedOut: the head was not there in time.
            HttpFailed: the name, the connection, TLS or the protocol failed; its cause is an exception that
                `resolve` raised, if it was that.
        """
        try:
            async with asyncio.timeout(timeout_s):
                async with self._open().request(
                    method,
                    # As it was written: a signature may cover every character of it.
                    URL(url, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                ) as response:
                    return HttpAnswer(
                        response.status, response.headers, await _beginning(response, body_bytes_max)
                    )
        except TimeoutError:
            raise HttpTimedOut from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The library's texts hold the URL.
            raise HttpFailed from _root(error)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _socket(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Make the socket of a connection, whose target is known by now."""
        family, type_, protocol, _, target = info
        try:
            address = ip_address(str(target[0]))
        except ValueError:
            raise OSError("not an address") from None
        self._admit(address)
        made = socket.socket(family, type_, protocol)
        made.settimeout(0)
        return made

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=_Resolver(self._resolve),
                    # The last door: hosts that the library takes for addresses never reach the resolver.
                    socket_factory=self._socket,
                    use_dns_cache=False,
                    limit=self._connections_max,
                    keepalive_timeout=15,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent},
                timeout=aiohttp.ClientTimeout(total=None, connect=None),
                auto_decompress=False,
                trust_env=False,
                max_line_size=HEAD_BYTES_MAX,
                max_field_size=HEAD_BYTES_MAX,
            )
        return self._session


async def _beginning(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Read at most so many bytes; a body that stalls or breaks off takes nothing back of the status."""
    body = bytearray()
    try:
        async with asyncio.timeout(1):
            while len(body) < bytes_max:
                part = await response.content.read(bytes_max - len(body))
                if not part:
                    return bytes(body)
                body += part
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    # More is to come that nobody wants: the connection is of no more use.
    response.close()
    return bytes(body)


def _root(error: BaseException) -> BaseException | None:
    """Find what began a chain of the library's exceptions."""
    seen: set[int] = set()
    found: Any = error
    while id(found) not in seen:
        seen.add(id(found))
        found = found.__cause__ or found.__context__ or getattr(found, "os_error", None) or found
    return found
