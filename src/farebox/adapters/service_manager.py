"""Tell systemd that the server answers, or stops (`Type=notify`)."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send a state to the service manager, if one is listening.

    Args:
        state: `READY=1` or `STOPPING=1`.

    Source: sd_notify(3); an address that begins with `@` is in the abstract namespace.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(state.encode("ascii"))
