from __future__ import annotations

from pathlib import Path

import pytest

from farebox.adapters.crypto.kek import open_key_file, open_systemd_credential
from farebox.domain.errors import ConfigurationError

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "farebox.kek"
    path.write_text(KEY + "\n", encoding="ascii")
    return path


def test_a_credential_as_systemd_places_it_opens(credential: Path) -> None:
    """SEC-08: systemd's access list shows as mode 0440; only the service can enter the directory."""
    credential.chmod(0o440)
    kek = open_systemd_credential("farebox.kek")
    assert kek.unwrap(kek.wrap(bytes(32))) == bytes(32)


def test_a_credential_that_everybody_reads_is_refused(credential: Path) -> None:
    """Section 4.9: a key-encryption key readable by others stops the start."""
    credential.chmod(0o444)
    with pytest.raises(ConfigurationError):
        open_systemd_credential("farebox.kek")


def test_a_key_file_of_the_operator_keeps_the_strict_rule(credential: Path) -> None:
    """Section 4.9: the exception for systemd does not reach key files."""
    credential.chmod(0o440)
    with pytest.raises(ConfigurationError):
        open_key_file(credential, data_dir=credential.parent / "data")


def test_without_systemd_there_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEC-08: the provider never falls back to another place."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigurationError):
        open_systemd_credential("farebox.kek")
