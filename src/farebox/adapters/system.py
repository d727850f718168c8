"""The real clock and the operating system's random source; the only caller of either."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

_BLOCK = 4096


class SystemClock:
    """Implements `ports.system.Clock`."""

    def now(self) -> datetime:
        """Give the wall clock's instant."""
        return datetime.now(UTC)

    def wall_us(self) -> int:
        """Give the wall clock in microseconds since 1970, as storage keeps instants."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Give seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)


class SystemRandomness:
    """Implements `ports.system.Randomness`.

    Reads the kernel's source in blocks, because a system call per id would be a tenth of a mint's cost.
    Bytes are given out once and never again; a forked child starts with an empty block.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def bytes(self, count: int) -> bytes:
        """Give `count` unpredictable bytes."""
        start = self._used
        end = start + count
        if end > len(self._block):
            if count > _BLOCK:
                return os.urandom(count)
            self._block = os.urandom(_BLOCK)
            start, end = 0, count
        self._used = end
        return self._block[start:end]

    def _forget(self) -> None:
        self._block = b""
        self._used = 0
