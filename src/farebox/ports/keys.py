"""The rows in which wrapped keys are kept; storage holds them, only the vault can read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from farebox.domain.access import Mode, Tenant
from farebox.domain.frozen import frozen
from farebox.domain.ids import MerchantId


class KeyState(StrEnum):
    """New versions seal, old ones only open, destroyed ones leave their row as a record."""

    ACTIVE = "active"
    OPENING = "opening"
    DESTROYED = "destroyed"


@frozen
class KeyRecord:
    """One wrapped key (SEC-07). `mac` authenticates every other field against substitution (SEC-08)."""

    key_id: bytes
    """8 random bytes; stands in every ciphertext's header."""
    kind: str
    algorithm: str
    merchant_id: MerchantId | None
    mode: Mode | None
    epoch: int
    state: KeyState
    created_at: datetime
    retires_at: datetime
    """End of the cryptoperiod."""
    wrapped_by: str
    """Name of the KEK or key that wraps it."""
    wrapped: bytes
    """Empty once destroyed."""
    mac: bytes


class KeyRepository(Protocol):
    """Key rows."""

    async def load_all(self) -> Sequence[KeyRecord]:
        """Give every row, destroyed ones too."""
        ...

    async def insert(self, record: KeyRecord) -> None:
        """Store a new key."""
        ...

    async def compare_and_set(self, old: KeyRecord, new: KeyRecord) -> bool:
        """Replace a row that still has `old.mac`."""
        ...

    async def usage(self, key_id: bytes) -> int:
        """Count the stored credentials whose record key this key wraps."""
        ...

    async def in_use(self) -> Sequence[bytes]:
        """Give the id of every key that a stored credential names."""
        ...


class KeyProvisioning(Protocol):
    """Makes the keys a tenant needs before anything of theirs can be sealed or digested."""

    async def provision(self, tenant: Tenant) -> None:
        """Make fingerprint, answer and tenant keys for a new tenant, durable when it returns."""
        ...


class TenantKeys(Protocol):
    """The keys that wrap a tenant's record keys, newest first in use."""

    async def rotate(self, tenant: Tenant) -> bytes:
        """Make a newer key that seals from now on; the older ones only open. Give its id."""
        ...

    def newest(self, tenant: Tenant) -> bytes:
        """Give the id of the key that seals now."""
        ...
