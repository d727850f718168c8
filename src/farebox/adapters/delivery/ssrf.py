"""Which addresses a merchant may have called: everything on the Internet, and nothing behind it.

A name is resolved once per connection; every address it stands for must pass, and only these are connected
to. A name that answers differently the next time (DNS rebinding) gains nothing, because there is no next time
between the check and the connection.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
LookUp = Callable[[str, int], Awaitable[Sequence[Address]]]

REFUSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; metadata of one cloud at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # metadata of one cloud, in the middle of public space
        "169.254.0.0/16",  # link-local; metadata of most clouds at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of one cloud at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "64:ff9b:1::/48",  # local translation
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local; metadata of one cloud at fd00:ec2::254
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, deprecated
        "ff00::/8",  # multicast
    )
)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""A last label that makes a host an IPv4 address in some spelling.

Source: WHATWG URL standard, *host parsing*.
"""
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """A host stands for an address that may not be called."""


def embedded(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address leads to, or the address itself.

    Source: RFC 4291 §2.5.5.2 (mapped), RFC 3056 (6to4), RFC 6052 (NAT64).
    """
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def may_be_called(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Tell whether an address is out on the Internet, or allowed by the operator."""
    # A scope names an interface of this machine.
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    target = embedded(address)
    if any(target.version == network.version and target in network for network in allowed):
        return True
    refused = any(target.version == network.version and target in network for network in REFUSED)
    return target.is_global and not refused


async def look_up(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # One address of each socket type and scope, each once.
    return [ip_address(text) for text in dict.fromkeys(str(entry[4][0]) for entry in found)]


class AddressGuard:
    """Resolves names to addresses that may be called."""

    def __init__(self, allowed: Sequence[Network] = (), look_up: LookUp = look_up) -> None:
        """Take the networks that the operator allows beside the Internet."""
        self._allowed = tuple(allowed)
        self._look_up = look_up

    def admit(self, address: Address) -> None:
        """Judge an address.

        Raises:
            AddressRefused: it may not be called.
        """
        if not may_be_called(address, self._allowed):
            raise AddressRefused

    def check_host(self, host: str) -> None:
        """Judge a host that is an address; a name is judged when it is resolved.

        Raises:
            AddressRefused: it may not be called, or is an address in a spelling of its own (`127.1`).
        """
        try:
            address = ip_address(host)
        except ValueError:
            if _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
                raise AddressRefused from None
            return
        self.admit(address)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Give every address of a host.

        Raises:
            AddressRefused: one of them may not be called: a name for both is no honest mistake.
            OSError: there is no such name.
        """
        found = await self._look_up(host, port)
        if not found or not all(may_be_called(address, self._allowed) for address in found):
            raise AddressRefused
        return found
