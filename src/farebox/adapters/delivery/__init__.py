"""Webhooks out: what may be called, and how."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from farebox.adapters.delivery.http import HttpSender
from farebox.adapters.delivery.ssrf import AddressGuard
from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.ports.system import Clock


def open_sender(allowed_networks: Sequence[str], clock: Clock, *, version: str) -> HttpSender:
    """Make what sends webhooks.

    Args:
        allowed_networks: networks in CIDR form that may be called beside the Internet.
        clock: reads dates in answers.
        version: named to receivers.

    Raises:
        ConfigurationError: one of them is no network.
    """
    try:
        networks = [ip_network(text.strip()) for text in allowed_networks]
    except ValueError:
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID,
            detail="webhooks.allowed_networks wants networks like 127.0.0.0/8.",
        ) from None
    return HttpSender(AddressGuard(networks), clock, version=version)
