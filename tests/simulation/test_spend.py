"""Thousands of short lives of a Farebox that crashes, stands still and is lied to, each from a number.

`FAREBOX_SIMULATION_SEED=822 pytest tests/simulation/test_spend.py` replays one;
`FAREBOX_SIMULATION_RUNS=20000` plays more.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from farebox.testing.simulation import Run, run

_SEED = os.environ.get("FAREBOX_SIMULATION_SEED")
_RUNS = int(os.environ.get("FAREBOX_SIMULATION_RUNS", "1000"))
_BATCH = 50
_BATCHES = (
    [range(int(_SEED), int(_SEED) + 1)]
    if _SEED
    else [range(start, min(start + _BATCH, _RUNS)) for start in range(0, _RUNS, _BATCH)]
)


def _play(seed: int) -> Run:
    played = run(seed)
    if played.unexpected:
        raise AssertionError(f"FAREBOX_SIMULATION_SEED={seed} replays it") from played.unexpected[0]
    return played


@pytest.mark.parametrize("seeds", _BATCHES, ids=str)
def test_every_run_keeps_every_invariant(seeds: range):
    """I1 to I14 hold, and the acquirer's books agree with ours, whatever crashed, stalled or got lost."""
    for seed in seeds:
        played = _play(seed)
        assert not played.broken, f"FAREBOX_SIMULATION_SEED={seed} replays it: {'; '.join(played.broken)}"


def test_the_same_seed_gives_the_same_run():
    """A seed in a report has to mean the same run for whoever reads it: every byte of the database."""
    first, again, other = run(7), run(7), run(8)
    assert first.trace == again.trace
    assert first.trace != other.trace


def test_the_runs_are_rough():
    """The invariants above are worth something only if what breaks them happens: it does, all of it."""
    states: Counter[str] = Counter()
    crashes = reversals = late = 0
    for seed in range(60):
        played = _play(seed)
        states.update(dict(played.states))
        crashes += played.crashes
        reversals += played.reversals
        late += played.late
    assert set(states) == {"approved", "declined", "failed", "reversed"}
    assert crashes >= 60
    assert reversals >= 30
    assert late >= 10
