"""The token bucket, on a clock of its own."""

from __future__ import annotations

import pytest

from farebox.dialects import rate_limit
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.errors import ErrorCode, LimitExceeded


class Watch:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def refused_for_s(limit: RateLimit, key: str) -> int | None:
    with pytest.raises(LimitExceeded) as caught:
        limit.take(key)
    assert caught.value.code is ErrorCode.RATE_LIMITED
    return caught.value.retry_after_s


def test_a_burst_passes_and_the_next_one_waits() -> None:
    """SEC-18: a key has its burst, then its rate, and is told when to come back."""
    watch = Watch()
    limit = RateLimit(per_s=0.5, burst=3, monotonic=watch)
    for _ in range(3):
        limit.take("a")
    assert refused_for_s(limit, "a") == 2
    watch.now_s += 1.0
    assert refused_for_s(limit, "a") == 1
    watch.now_s += 1.0
    limit.take("a")
    assert refused_for_s(limit, "a") == 2


def test_retry_after_is_honest() -> None:
    """Whoever waits as long as told is let through."""
    watch = Watch()
    limit = RateLimit(per_s=3.0, burst=1, monotonic=watch)
    limit.take("a")
    wait_s = refused_for_s(limit, "a")
    assert wait_s is not None
    watch.now_s += wait_s
    limit.take("a")


def test_keys_do_not_share_a_bucket() -> None:
    """One caller's hurry is not another one's refusal."""
    limit = RateLimit(per_s=1.0, burst=1, monotonic=Watch())
    limit.take("a")
    limit.take("b")
    refused_for_s(limit, "a")


def test_an_idle_key_saves_no_more_than_its_burst() -> None:
    """A bucket overflows."""
    watch = Watch()
    limit = RateLimit(per_s=10.0, burst=2, monotonic=watch)
    limit.take("a")
    watch.now_s += 3600.0
    limit.take("a")
    limit.take("a")
    refused_for_s(limit, "a")


def test_zero_switches_it_off() -> None:
    """The setting's documented meaning."""
    limit = RateLimit(per_s=0, burst=1, monotonic=Watch())
    for _ in range(100):
        limit.take("a")


def test_many_keys_do_not_grow_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whoever asks."""
    monkeypatch.setattr(rate_limit, "_KEYS_MAX", 10)
    limit = RateLimit(per_s=1.0, burst=1, monotonic=Watch())
    for number in range(95):
        limit.take(str(number))
        assert len(limit._buckets) <= 10
