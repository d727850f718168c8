"""The key-encryption key: wraps the keys that lie in the database.

A provider knows how to wrap and unwrap 32 bytes; what a wrapped key is for, and that nobody moved it, is
authenticated by the keyset (`keyset.py`), so every provider can be that simple.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from farebox.adapters.crypto.suite import (
    KEY_LENGTH,
    CannotOpen,
    SealingKey,
    associated_data,
    seal,
    unseal,
)
from farebox.domain.errors import ConfigurationError, ErrorCode, Unavailable


class KekProvider(Protocol):
    """Where the key-encryption key lives."""

    name: str
    """Names this very key in every row it wraps; not secret."""
    algorithm: str
    """How it wraps."""
    created_at: datetime | None
    """When it was made, where that is known."""

    def wrap(self, key: bytes) -> bytes:
        """Wrap 32 bytes."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Unwrap.

        Raises:
            Unavailable: `vault_sealed` when this is not the key that wrapped it.
        """
        ...

    def close(self) -> None:
        """Forget the key or the session."""
        ...


class FileKek:
    """A key in a file, also a systemd credential: 64 hexadecimal digits, readable by its owner alone."""

    algorithm = "XAES-256-GCM"

    def __init__(self, key: bytes, created_at: datetime | None = None) -> None:
        """Take the key's 32 bytes, and when its file was written."""
        self.created_at = created_at
        self._key_id = sha256(b"farebox kek" + key).digest()[:8]
        self.name = f"file:{self._key_id.hex()}"
        self._key = SealingKey(key)
        self._aad = associated_data(None, kind="key", record_id="", purpose="wrap", key_id=self._key_id)

    def wrap(self, key: bytes) -> bytes:
        """Wrap with the suite itself."""
        return seal(self._key, self._key_id, key, self._aad)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Unwrap."""
        try:
            return unseal(self._key, wrapped, self._aad)
        except CannotOpen:
            raise Unavailable(ErrorCode.VAULT_SEALED) from None

    def close(self) -> None:
        """Nothing is open; the process's end forgets the key."""


def refuse(detail: str) -> ConfigurationError:
    """Make a refusal to start."""
    return ConfigurationError(ErrorCode.CONFIGURATION_INVALID, detail=detail)


def make_key_file(path: Path) -> None:
    """Write a fresh key, unless there is one; durable when it returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(KEY_LENGTH).hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make directory entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_file_problem(path: Path, *, data_dir: Path | None) -> str | None:
    """Say why a key file may not be used, or nothing (security design §4.9).

    Args:
        path: the file.
        data_dir: where it must not be; none for a credential that the service manager placed.
    """
    try:
        found = path.stat()
    except OSError:
        return f"There is no key-encryption key at {path}; 'farebox init' makes one."
    if data_dir is not None and path.resolve().is_relative_to(data_dir.resolve()):
        return "The key-encryption key must not lie in the data directory."
    if found.st_uid not in {0, os.geteuid()}:
        return "The key-encryption key belongs to somebody else."
    # systemd lets the service's user in by an access list, whose mask shows as the group's read bit, inside a
    # directory nobody else may enter. Source: systemd issue 29096.
    closed_to = 0o077 if data_dir is not None else 0o007
    if stat.S_IMODE(found.st_mode) & closed_to:
        return "The key-encryption key can be read by others; its mode must be 0400."
    return None


def open_key_file(path: Path, *, data_dir: Path | None) -> FileKek:
    """Read a key file.

    Raises:
        ConfigurationError: it is missing, misplaced, readable by others, or no key.
    """
    problem = key_file_problem(path, data_dir=data_dir)
    if problem is not None:
        raise refuse(problem)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        key = b""
    if len(key) != KEY_LENGTH:
        raise refuse("The key-encryption key is not 64 hexadecimal digits.")
    # The service manager writes a credential anew at every start.
    return FileKek(key, None if data_dir is None else datetime.fromtimestamp(path.stat().st_mtime, UTC))


def open_systemd_credential(name: str) -> FileKek:
    """Read a key that systemd handed to the service (`LoadCredential=`).

    Raises:
        ConfigurationError: there is no such credential.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise refuse("CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=.")
    return open_key_file(Path(directory) / name, data_dir=None)
