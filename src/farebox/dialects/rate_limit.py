"""A token bucket per key, in this process's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from farebox.domain.errors import ErrorCode, LimitExceeded

_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """Refuses a key that asks faster than it may."""

    def __init__(self, *, per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        """Allow `per_s` requests a second on average and `burst` at once; 0 per second allows all."""
        self._per_s = per_s
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str) -> None:
        """Count one request.

        Raises:
            LimitExceeded: `rate_limited`, with the seconds after which one is allowed again.
        """
        if not self._per_s:
            return
        now = self._monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _KEYS_MAX:
                self._buckets.clear()
            bucket = self._buckets[key] = _Bucket(float(self._burst), now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._per_s)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait_s = ceil((1 - bucket.tokens) / self._per_s)
            raise LimitExceeded(ErrorCode.RATE_LIMITED, retry_after_s=wait_s)
        bucket.tokens -= 1
