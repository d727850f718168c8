"""Card brands by the first digits of the number: lengths, security code, grouping.

The facts are `data/card_brands.toml`, each brand with its source. A number may belong to several
brands, because some are issued together (Visa and Dankort on one card) and some are carved out of
another's range (Elo inside Visa's); the narrowest range names the brand, the others are candidates.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NotRequired, TypedDict

from farebox.data import read_text

UNKNOWN: Final = "unknown"
"""The brand of a number that no known range covers."""

_PREFIX_LENGTH = 8
"""Digits that decide the brand: the longest IIN. Source: ISO/IEC 7812-1:2017 §5.2."""


@dataclass(frozen=True, slots=True)
class CardBrand:
    """What all cards of a brand have in common."""

    id: str
    name: str
    lengths: tuple[int, ...]
    cvc_lengths: tuple[int, ...]
    """The usual length first."""
    cvc_name: str
    gaps: tuple[int, ...]
    """After how many digits a blank is printed."""
    has_luhn: bool
    """False where numbers without a check digit exist."""
    source: str


@dataclass(frozen=True, slots=True)
class BrandRange:
    """Numbers whose first eight digits lie from `first` to `last`, and whose they are."""

    first: int
    last: int
    brand: CardBrand
    lengths: frozenset[int]
    is_candidate: bool
    """Another brand names these numbers; this one is on the card too."""

    def rank(self) -> tuple[bool, int]:
        """Give the sort key that puts the likelier brand first: named before candidate, then narrower."""
        return self.is_candidate, self.last - self.first


@dataclass(frozen=True, slots=True)
class BrandTable:
    """All ranges, cut into disjoint pieces, so that one bisection finds those that cover a number."""

    brands: Mapping[str, CardBrand]
    starts: tuple[int, ...]
    covering: tuple[tuple[BrandRange, ...], ...]
    """For each start the ranges that cover the piece, the likeliest first."""

    @classmethod
    def parse(cls, text: str) -> BrandTable:
        """Build the table from the text of `card_brands.toml`."""
        entries: list[_Entry] = tomllib.loads(text)["brands"]
        brands = {entry["id"]: _brand(entry) for entry in entries}
        assert len(brands) == len(entries), "a brand is described once"
        ranges = [each for entry in entries for each in _ranges(entry, brands[entry["id"]])]
        starts = sorted({0} | {each.first for each in ranges} | {each.last + 1 for each in ranges})
        covering = [
            tuple(sorted((each for each in ranges if each.first <= start <= each.last), key=BrandRange.rank))
            for start in starts
        ]
        return cls(brands, tuple(starts), tuple(covering))

    def covering_ranges(self, digits: str) -> tuple[BrandRange, ...]:
        """Give the ranges that cover a number, the likeliest brand first, whatever its length.

        Args:
            digits: at least 8 ASCII digits.
        """
        return self.covering[bisect_right(self.starts, int(digits[:_PREFIX_LENGTH])) - 1]


@cache
def brand_table() -> BrandTable:
    """Give the packaged table; read on first use, because most commands never need it."""
    return BrandTable.parse(read_text("card_brands.toml"))


class _Exception(TypedDict):
    ranges: list[str]
    lengths: list[int]


class _Entry(TypedDict):
    """One brand as `card_brands.toml` writes it."""

    id: str
    name: str
    ranges: list[str]
    candidates: NotRequired[list[str]]
    exceptions: NotRequired[list[_Exception]]
    lengths: list[int]
    gaps: list[int]
    cvc_name: str
    cvc_lengths: list[int]
    luhn: NotRequired[bool]
    source: str


def _brand(entry: _Entry) -> CardBrand:
    return CardBrand(
        id=entry["id"],
        name=entry["name"],
        lengths=tuple(entry["lengths"]),
        cvc_lengths=tuple(entry["cvc_lengths"]),
        cvc_name=entry["cvc_name"],
        gaps=tuple(entry["gaps"]),
        has_luhn=entry.get("luhn", True),
        source=entry["source"],
    )


def _ranges(entry: _Entry, brand: CardBrand) -> Iterator[BrandRange]:
    usual = frozenset(brand.lengths)
    for text in entry["ranges"]:
        yield BrandRange(*_interval(text), brand, usual, is_candidate=False)
    for text in entry.get("candidates", ()):
        yield BrandRange(*_interval(text), brand, usual, is_candidate=True)
    for exception in entry.get("exceptions", ()):
        for text in exception["ranges"]:
            yield BrandRange(*_interval(text), brand, frozenset(exception["lengths"]), is_candidate=False)


def _interval(text: str) -> tuple[int, int]:
    """Widen `51-55` or `4` to eight-digit prefixes."""
    first, _, last = text.partition("-")
    last = last or first
    assert len(first) == len(last) <= _PREFIX_LENGTH, "both ends have the same length"
    scale: int = 10 ** (_PREFIX_LENGTH - len(first))
    return int(first) * scale, (int(last) + 1) * scale - 1
