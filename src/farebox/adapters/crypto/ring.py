"""The ring: erasable keys in files, outside the database and outside every backup.

One *bucket key* per expiry minute seals what single-use tokens stand for; when the minute is over, the
file is overwritten, unlinked and forgotten, and with it everything sealed under it is gone wherever copies
of the ciphertext lie. A *day key* seals operation envelopes and goes when no open operation of that day is
left. Each file holds one key for test mode and one for live mode.

The ring also remembers the newest event it has seen in the database. A database that does not hold that
event was restored from before it, and gives back tokens that were spent since: the ring starts over.

Source: security design §3.3.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from farebox.adapters.crypto.kek import refuse, sync_directory
from farebox.adapters.crypto.suite import (
    KEY_LENGTH,
    CannotOpen,
    SealingKey,
    associated_data,
    seal,
    unseal,
)
from farebox.domain.access import Mode
from farebox.ports.system import Clock, Randomness

BUCKET, DAY = "bucket", "day"
AHEAD_MINUTES = 64
"""Longer than any native lifetime, so that a bucket is there minutes before its first use."""
DESTROY_AFTER_S = 15
CACHE_TAG_FILE = "CACHEDIR.TAG"
_WITNESS_FILE = "newest-event"
_CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Keys that must die; never back them up.\n"
_KEY_ID = bytes(8)
_MODES = (Mode.TEST, Mode.LIVE)


@dataclass(frozen=True, slots=True)
class RingKey:
    """One file of the ring; `ends_at` is when it is destroyed, unknown for a day."""

    kind: str
    number: int
    created_at: datetime
    ends_at: datetime | None


class FileRing:
    """Erasable keys, one file each."""

    def __init__(
        self, directory: Path, *, data_dir: Path, ring_key: bytes, clock: Clock, randomness: Randomness
    ) -> None:
        """Open a ring directory, making it if needed.

        Args:
            directory: where the files are; only their owner may read it.
            data_dir: where the ring must not be, because that is what gets backed up.
            ring_key: wraps every file; itself wrapped by the KEK.
            clock: the wall clock decides when a minute is over.
            randomness: of the keys.

        Raises:
            ConfigurationError: it lies in the data directory.
        """
        problem = ring_problem(directory, data_dir=data_dir)
        if problem is not None:
            raise refuse(problem)
        self._directory = directory
        self._wrapping = SealingKey(ring_key)
        self._clock = clock
        self._randomness = randomness
        self._keys: dict[tuple[str, int], tuple[bytes, bytes]] = {}
        self._lock = asyncio.Lock()
        self._witness: str | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / CACHE_TAG_FILE).write_text(_CACHE_TAG, encoding="ascii")

    async def open(self) -> None:
        """Destroy what is due, even if a crash interrupted that, load the rest, and make what is missing."""
        await asyncio.to_thread(self._load)
        await self.maintain(None)

    async def maintain(self, oldest_open_day: int | None) -> None:
        """Destroy buckets whose minute is over and keep keys ready ahead.

        Args:
            oldest_open_day: the day of the oldest envelope still needed; none when there is none.
        """
        now_s = self._clock.now().timestamp()
        today, minute = int(now_s // 86_400), int(now_s // 60)
        keep_from = min(oldest_open_day if oldest_open_day is not None else today, today)
        async with self._lock:
            due = [
                key
                for key in self._keys
                if (key[0] == BUCKET and _destroy_at_s(key[1]) <= now_s)
                or (key[0] == DAY and key[1] < keep_from)
            ]
            for key in due:
                # Forgotten first: from here on nobody opens, whatever becomes of the file.
                del self._keys[key]
            await asyncio.to_thread(self._destroy, due)
            wanted = [(BUCKET, minute + ahead) for ahead in range(AHEAD_MINUTES)]
            wanted += [(DAY, today), (DAY, today + 1)]
            await self._make(key for key in wanted if key not in self._keys)

    async def ensure(self, minute: int) -> None:
        """Make sure that a minute's bucket is durable; almost always it was made long before."""
        if (BUCKET, minute) not in self._keys:
            async with self._lock:
                if (BUCKET, minute) not in self._keys:
                    await self._make([(BUCKET, minute)])

    async def witness(self) -> str | None:
        """Give the newest event that the database has held, as far as this ring knows."""
        path = self._directory / _WITNESS_FILE
        if self._witness is None and path.exists():
            self._witness = await asyncio.to_thread(path.read_text, "ascii")
        return self._witness

    async def remember(self, event_id: str | None) -> None:
        """Note the newest event, durably; nothing to do when it is the one noted."""
        if event_id is not None and event_id != await self.witness():
            await asyncio.to_thread(self._write_witness, event_id)
            self._witness = event_id

    async def start_over(self) -> None:
        """Destroy every bucket, whatever its minute, and with it every single-use token; make new ones."""
        async with self._lock:
            due = [key for key in self._keys if key[0] == BUCKET]
            for key in due:
                del self._keys[key]
            await asyncio.to_thread(self._destroy, due)
        await self.maintain(0)

    def ages(self) -> list[RingKey]:
        """List every key that lives, with the time its file was written."""
        found: list[RingKey] = []
        for kind, number in sorted(self._keys):
            try:
                created_at = datetime.fromtimestamp(self._path((kind, number)).stat().st_mtime, UTC)
            except FileNotFoundError:
                # The server has destroyed it since this command opened the ring.
                continue
            ends_at = datetime.fromtimestamp(_destroy_at_s(number), UTC) if kind == BUCKET else None
            found.append(RingKey(kind, number, created_at, ends_at))
        return found

    def is_ready(self) -> bool:
        """Tell whether the coming quarter of an hour has its buckets."""
        minute = int(self._clock.now().timestamp() // 60)
        return all((BUCKET, minute + ahead) in self._keys for ahead in range(16))

    def bucket(self, minute: int, mode: Mode) -> bytes:
        """Give a bucket key.

        Raises:
            CannotOpen: it is destroyed.
        """
        return self._key((BUCKET, minute), mode)

    def day(self, day: int, mode: Mode) -> bytes:
        """Give a day key.

        Raises:
            CannotOpen: it is destroyed.
        """
        return self._key((DAY, day), mode)

    def _key(self, key: tuple[str, int], mode: Mode) -> bytes:
        found = self._keys.get(key)
        if found is None:
            raise CannotOpen
        return found[_MODES.index(mode)]

    async def _make(self, wanted: Iterable[tuple[str, int]]) -> None:
        fresh = {key: self._randomness.bytes(2 * KEY_LENGTH) for key in wanted}
        if fresh:
            kept = await asyncio.to_thread(self._write, fresh)
            self._keys.update({key: _halves(pair) for key, pair in kept.items()})

    # --- files; called in a thread -----------------------------------------------------------------

    def _path(self, key: tuple[str, int]) -> Path:
        return self._directory / f"{key[0]}-{key[1]}.key"

    def _write(self, fresh: dict[tuple[str, int], bytes]) -> dict[tuple[str, int], bytes]:
        """Write keys, durably; give those that stand, which another process may have made first."""
        kept = {key: self._write_one(key, pair) for key, pair in fresh.items()}
        sync_directory(self._directory)
        return kept

    def _write_one(self, key: tuple[str, int], pair: bytes) -> bytes:
        path = self._path(key)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(seal(self._wrapping, _KEY_ID, pair, _aad(key)))
            file.flush()
            os.fsync(file.fileno())
        try:
            # Whole or not at all, and never over a key under which something may be sealed already.
            path.hardlink_to(draft)
        except FileExistsError:
            pair = unseal(self._wrapping, path.read_bytes(), _aad(key))
        draft.unlink()
        return pair

    def _write_witness(self, event_id: str) -> None:
        path = self._directory / _WITNESS_FILE
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="ascii") as file:
            file.write(event_id)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(self._directory)

    def _load(self) -> None:
        """Load what lives and destroy what is due.

        Raises:
            ConfigurationError: a living key does not open: the ring is another vault's, or damaged.
        """
        now_s = self._clock.now().timestamp()
        due: list[tuple[str, int]] = []
        for path in self._directory.glob("*.key"):
            kind, _, number = path.stem.partition("-")
            key = (kind, int(number))
            if kind == BUCKET and _destroy_at_s(key[1]) <= now_s:
                due.append(key)
                continue
            try:
                self._keys[key] = _halves(unseal(self._wrapping, path.read_bytes(), _aad(key)))
            except CannotOpen:
                if kind == BUCKET or key[1] >= int(now_s // 86_400):
                    raise refuse("The ring holds keys of another vault, or is damaged.") from None
                # Its destruction was interrupted.
                due.append(key)
        self._destroy(due)
        for draft in self._directory.glob("*.draft"):
            # Left by a crash before it was linked, unless another process is writing it right now.
            if draft.stat().st_mtime < now_s - 60:
                draft.unlink(missing_ok=True)

    def _destroy(self, due: Iterable[tuple[str, int]]) -> None:
        destroyed = [key for key in due if self._destroy_one(self._path(key))]
        if destroyed:
            sync_directory(self._directory)

    def _destroy_one(self, path: Path) -> bool:
        """Overwrite and unlink; false when another process has."""
        try:
            with path.open("r+b") as file:
                file.write(os.urandom(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            return False
        return True


def _halves(pair: bytes) -> tuple[bytes, bytes]:
    return pair[:KEY_LENGTH], pair[KEY_LENGTH:]


def _destroy_at_s(minute: int) -> int:
    """Give when a bucket is destroyed, in seconds since 1970."""
    return (minute + 1) * 60 + DESTROY_AFTER_S


def ring_problem(directory: Path, *, data_dir: Path) -> str | None:
    """Say why a directory may not be a ring, or nothing (security design §4.9)."""
    if directory.resolve().is_relative_to(data_dir.resolve()):
        return "The ring must not lie in the data directory, which gets backed up."
    if directory.exists() and directory.stat().st_mode & 0o077:
        return "The ring can be read by others; its mode must be 0700."
    return None


def _aad(key: tuple[str, int]) -> bytes:
    return associated_data(None, kind=key[0], record_id=str(key[1]), purpose="ring", key_id=_KEY_ID)
