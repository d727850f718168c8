"""Counting for every request: a dictionary and an addition, made into metrics only when somebody scrapes.

prometheus-client's own counters take a lock and two calls each, which a request pays a dozen times. All
counting happens in the event loop's thread, so nothing here is locked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter by labels."""

    def __init__(self, name: str, text: str, labels: Labels = ()) -> None:
        """Count nothing yet; without labels the count is there from the beginning, at zero."""
        self._name = name
        self._text = text
        self._labels = labels
        self._counts: dict[Labels, int] = {} if labels else {(): 0}

    def add(self, *labels: str) -> None:
        """Count one."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give what was counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Durations(Collector):
    """A histogram of seconds by labels."""

    def __init__(self, name: str, text: str, labels: Labels, bounds_s: Sequence[float]) -> None:
        """Take the upper bounds of the buckets, ascending."""
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds_s = tuple(bounds_s)
        self._counts: dict[Labels, list[int]] = {}
        self._sums_s: dict[Labels, float] = {}

    def add(self, duration_s: float, *labels: str) -> None:
        """Count one that took so long."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds_s) + 1)
            self._sums_s[labels] = 0.0
        counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sums_s[labels] += duration_s

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give what was counted; a bucket holds all that took no longer."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*map(str, self._bounds_s), "+Inf"]
        for labels, counts in self._counts.items():
            so_far = [sum(counts[: index + 1]) for index in range(len(counts))]
            family.add_metric(labels, list(zip(names, so_far, strict=True)), self._sums_s[labels])
        yield family
