from __future__ import annotations

import socket
from pathlib import Path

import pytest

from farebox.adapters.service_manager import notify


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_hears_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool
) -> None:
    """`Type=notify`: the unit is started when we answer, not when we begin to."""
    address = f"@farebox-{tmp_path.name}-{id(tmp_path)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if is_abstract else address)
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert manager.recv(64) == b"READY=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server started by hand has nobody to tell."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
