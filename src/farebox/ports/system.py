"""Time and randomness, the two things a rule can never make for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time as this node sees it. Expiry is judged by the database's clock, not by this one."""

    def now(self) -> datetime:
        """Give the current instant, aware, in UTC."""
        ...

    def wall_us(self) -> int:
        """Give the current instant in microseconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never run backwards; only differences mean something."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds."""
        ...


class Randomness(Protocol):
    """The operating system's random source (SEC-08, SEC-17)."""

    def bytes(self, count: int) -> bytes:
        """Give `count` unpredictable bytes."""
        ...
