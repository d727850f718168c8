"""Time and chance that come from a seed: the same number gives the same run, on every machine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import coroutine
from typing import TypeVar

from farebox.adapters.storage.connection import to_us

T = TypeVar("T")

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class SeededRandomness:
    """Implements `ports.system.Randomness`, and throws dice; a hash in counter mode.

    Not `random`, whose draws may change from one Python to the next: a seed in a bug report has to mean
    the same run for whoever reads it.
    """

    def __init__(self, seed: int) -> None:
        """Start at a seed."""
        self._key = sha256(f"farebox simulation {seed}".encode()).digest()
        self._counter = 0

    def bytes(self, count: int) -> bytes:
        """Give the next `count` bytes."""
        drawn = b""
        while len(drawn) < count:
            self._counter += 1
            drawn += sha256(self._key + self._counter.to_bytes(8, "big")).digest()
        return drawn[:count]

    def below(self, bound: int) -> int:
        """Draw a whole number from 0 up to and without `bound`."""
        return int.from_bytes(self.bytes(8), "big") % bound

    def between(self, low: float, high: float) -> float:
        """Draw a number from `low` to `high`."""
        return low + (high - low) * self.below(1 << 32) / (1 << 32)

    def chance(self, probability: float) -> bool:
        """Draw whether something that has this probability happens."""
        return probability > 0 and self.between(0, 1) < probability

    def choose(self, options: Sequence[T]) -> T:
        """Draw one of several."""
        return options[self.below(len(options))]


class VirtualClock:
    """Implements `ports.system.Clock`: time passes only while everybody sleeps."""

    def __init__(self) -> None:
        """Start at noon."""
        self.elapsed_us = 0

    def now(self) -> datetime:
        """Give the virtual instant."""
        return START + timedelta(microseconds=self.elapsed_us)

    def wall_us(self) -> int:
        """Give the instant as storage keeps it."""
        return to_us(START) + self.elapsed_us

    def monotonic(self) -> float:
        """Give virtual seconds."""
        return self.elapsed_us / 1_000_000

    async def sleep(self, delay_s: float) -> None:
        """Let the scheduler come back later."""
        await pause(delay_s)


@coroutine
def pause(delay_s: float) -> Generator[float, None, None]:
    """Give the turn away for `delay_s` virtual seconds; only a `Scheduler` can resume."""
    yield delay_s
