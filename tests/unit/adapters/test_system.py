from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from itertools import pairwise

import pytest

from farebox.adapters.system import SystemClock, SystemRandomness


def test_instants_are_aware_and_in_utc() -> None:
    """A naive instant compared with the database's would be off by a time zone."""
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)


def test_both_readings_of_the_wall_clock_agree() -> None:
    """Storage keeps microseconds; they must be those of the same clock."""
    clock = SystemClock()
    before, between_us, after = clock.now(), clock.wall_us(), clock.now()
    assert before.timestamp() * 1e6 - 1 <= between_us <= after.timestamp() * 1e6 + 1


def test_the_monotonic_clock_never_runs_backwards() -> None:
    """Differences are durations."""
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert all(earlier <= later for earlier, later in pairwise(readings))


@pytest.mark.parametrize("count", [0, 1, 10, 16, 32, 4095, 4096, 4097, 20_000])
def test_randomness_gives_as_many_bytes_as_asked(count: int) -> None:
    """SEC-17: also across the end of a block, and for more than a block."""
    randomness = SystemRandomness()
    for _ in range(3):
        assert len(randomness.bytes(count)) == count


def test_no_byte_is_given_out_twice() -> None:
    """SEC-17: 4096 draws of 16 bytes cross many blocks and never meet."""
    randomness = SystemRandomness()
    drawn = [randomness.bytes(16) for _ in range(4096)]
    assert len(set(drawn)) == len(drawn)


FORK = """
import os
from farebox.adapters.system import SystemRandomness
randomness = SystemRandomness()
randomness.bytes(16)
child = os.fork()
if child:
    os.waitpid(child, 0)
print(randomness.bytes(16).hex(), flush=True)
"""


def test_a_forked_child_draws_its_own() -> None:
    """SEC-17: two processes that shared a block would hand out the same token."""
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60
    )
    drawn = done.stdout.split()
    assert len(drawn) == 2
    assert len(set(drawn)) == 2
