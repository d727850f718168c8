"""The real vault and digests, with a ring in memory: keys die on time, but no file is written."""

from __future__ import annotations

from typing import cast

from farebox.adapters.crypto.digests import Digests
from farebox.adapters.crypto.kek import FileKek
from farebox.adapters.crypto.keyset import Keyset
from farebox.adapters.crypto.ring import DESTROY_AFTER_S, FileRing
from farebox.adapters.crypto.suite import KEY_LENGTH, CannotOpen
from farebox.adapters.crypto.vault import LocalVault
from farebox.domain.access import Mode
from farebox.ports.storage import Storage
from farebox.ports.system import Clock, Randomness


class MemoryRing:
    """Does what vault and digests ask of `adapters.crypto.ring.FileRing`."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        """Start without keys."""
        self._clock = clock
        self._randomness = randomness
        self._buckets: dict[tuple[int, Mode], bytes] = {}
        self._days: dict[tuple[int, Mode], bytes] = {}

    async def ensure(self, minute: int) -> None:
        """Make a minute's keys."""
        for mode in Mode:
            if (minute, mode) not in self._buckets:
                self._buckets[minute, mode] = self._randomness.bytes(KEY_LENGTH)

    def bucket(self, minute: int, mode: Mode) -> bytes:
        """Give a bucket key until its minute is over.

        Raises:
            CannotOpen: it is destroyed.
        """
        if (minute + 1) * 60 + DESTROY_AFTER_S <= self._clock.now().timestamp():
            self._buckets.pop((minute, mode), None)
        found = self._buckets.get((minute, mode))
        if found is None:
            raise CannotOpen
        return found

    def day(self, day: int, mode: Mode) -> bytes:
        """Give a day key; no run is so long that one has to go."""
        return self._days.setdefault((day, mode), self._randomness.bytes(KEY_LENGTH))


def new_keyset(storage: Storage, clock: Clock, randomness: Randomness) -> Keyset:
    """Make the keys of a server; `load` and `provision` are for the caller to await."""
    kek = FileKek(randomness.bytes(KEY_LENGTH))
    return Keyset(kek=kek, storage=storage, clock=clock, randomness=randomness)


def open_vault(keyset: Keyset, ring: MemoryRing, randomness: Randomness) -> tuple[LocalVault, Digests]:
    """Put vault and digests over keys that are loaded."""
    as_ring = cast("FileRing", ring)
    return LocalVault(keyset, as_ring, randomness), Digests(keyset, as_ring)
