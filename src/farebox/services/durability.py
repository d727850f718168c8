"""Stops spending while the database does not keep what it confirms.

Somebody may switch `fsync` off under a running server. A spend that is confirmed and then lost comes back as
a token that pays again, so until the setting is back nothing is spent; looks, lists and recovery go on.

Source: security design §4.4.
"""

from __future__ import annotations

from farebox.domain.errors import ErrorCode, Unavailable
from farebox.ports.storage import Storage, StorageHealth

CHECK_EVERY_S = 10.0


class Durability:
    """Knows what the last look at the database found."""

    def __init__(self, storage: Storage) -> None:
        """Believe the database until the first look."""
        self._storage = storage
        self._is_durable = True

    async def look(self) -> StorageHealth:
        """Look at the database's settings."""
        health = await self._storage.health()
        self._is_durable = health.is_durable
        return health

    def require(self) -> None:
        """Let a spend begin.

        Raises:
            Unavailable: `storage_busy`; nothing was done.
        """
        if not self._is_durable:
            raise Unavailable(
                ErrorCode.STORAGE_BUSY,
                retry_after_s=int(CHECK_EVERY_S),
                detail="The database does not keep what it confirms, so nothing is spent.",
            )
