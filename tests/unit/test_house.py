"""The project's own rules that no other tool checks."""

from __future__ import annotations

import re
import socket
import tomllib
import warnings
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

ROOT = Path(__file__).parents[2]
LOCKS = ("runtime", "dev")


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    return {match[1] for match in re.finditer(r"^([a-z0-9.-]+)==", text, re.MULTILINE)}


def requirement_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9.-]+", requirement)
    assert match
    return match[0].lower()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    """Locks say what is installed by hash, and never from where."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=[a-z])", text):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_what_the_project_declares_is_locked() -> None:
    """A dependency added without `make lock` would be missing after `make demo`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        runtime += extra
    wanted = {requirement_name(requirement) for requirement in runtime}
    assert wanted <= locked("runtime")
    wanted |= {requirement_name(requirement) for requirement in project["dependency-groups"]["dev"]}
    assert wanted <= locked("dev")


def test_both_locks_agree() -> None:
    """What is tested is what runs."""
    pins = [
        dict(
            re.findall(
                r"^([a-z0-9.-]+)==(\S+)",
                (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        for name in LOCKS
    ]
    runtime, dev = pins
    assert runtime == {name: dev[name] for name in runtime}


def test_the_network_is_closed() -> None:
    """A test reaches nothing but this machine."""
    # pytest-socket warns as it refuses, and a warning is an error here.
    refused = pytest.raises((SocketConnectBlockedError, UserWarning), match=r"192\.0\.2\.1")
    with socket.socket() as outside, refused:
        # 192.0.2.0/24 is reserved for documentation (RFC 5737).
        outside.connect(("192.0.2.1", 80))


def test_a_warning_fails_a_test() -> None:
    """What a library warns of is mended, not scrolled past."""
    with pytest.raises(UserWarning):
        warnings.warn("a warning", UserWarning, stacklevel=1)
