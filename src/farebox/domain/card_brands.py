"""Card brands by the first digits of the number: lengths, security code, grouping.

The facts are `data/card_brands.toml`, each brand with its source. A number may belong to several
brands, because some are issued together (Visa and Dankort on one card) and some are carved out of
another's range (Elo inside Visa's); the narrowest range names the brand, the others are candidates.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NotRequired, TypedDict

from farebox.data import read_text
from farebox.domain.frozen import frozen

UNKNOWN: Final = "unknown"
"""The brand of a number that no known range covers."""

_PREFIX_LENGTH = 8
"""Digits that decide the brand: the longest IIN. Source: ISO/IEC 7812-1:2017 §5.2."""


@frozen
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


@frozen
class BrandTable:
    """All ranges, cut into disjoint pieces, so that one bisection says everything about a number."""

    brands: Mapping[str, CardBrand]
    starts: tuple[int, ...]
    """The first eight-digit prefix of each piece, ascending."""
    pieces: tuple[Mapping[int, tuple[CardBrand, ...]], ...]
    """For each piece, by length of the number: the brand first, then the others on the same card."""

    @classmethod
    def parse(cls, text: str) -> BrandTable:
        """Build the table from the text of `card_brands.toml`."""
        entries: list[_Entry] = tomllib.loads(text)["brands"]
        brands = {entry["id"]: _brand(entry) for entry in entries}
        assert len(brands) == len(entries), "a brand is described once"
        ranges = [each for entry in entries for each in _ranges(entry, brands[entry["id"]])]
        starts = sorted({0} | {each.first for each in ranges} | {each.last + 1 for each in ranges})
        pieces = tuple(
            _by_length([each for each in ranges if each.first <= start <= each.last]) for start in starts
        )
        return cls(brands, tuple(starts), pieces)

    def brands_by_length(self, digits: str) -> Mapping[int, tuple[CardBrand, ...]]:
        """Give the brands that own the first digits of a number, by the lengths they allow.

        The first of each tuple is the brand, the others share the card with it. Nothing at all means
        that the digits belong to nobody we know.

        Args:
            digits: at least 8 ASCII digits.
        """
        return self.pieces[bisect_right(self.starts, int(digits[:_PREFIX_LENGTH])) - 1]


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


@frozen
class _Range:
    """Numbers whose first eight digits lie from `first` to `last`, and whose they are."""

    first: int
    last: int
    brand: CardBrand
    lengths: tuple[int, ...]
    is_candidate: bool
    """Another brand names these numbers; this one is on the card too."""


def _ranges(entry: _Entry, brand: CardBrand) -> Iterator[_Range]:
    for text in entry["ranges"]:
        yield _Range(*_interval(text), brand, brand.lengths, is_candidate=False)
    for text in entry.get("candidates", ()):
        yield _Range(*_interval(text), brand, brand.lengths, is_candidate=True)
    for exception in entry.get("exceptions", ()):
        for text in exception["ranges"]:
            yield _Range(*_interval(text), brand, tuple(exception["lengths"]), is_candidate=False)


def _by_length(covering: list[_Range]) -> Mapping[int, tuple[CardBrand, ...]]:
    """Decide for each length of number who names it: the narrowest range that allows the length."""
    found: dict[int, tuple[CardBrand, ...]] = {}
    for length in sorted({length for each in covering for length in each.lengths}):
        fitting = [each for each in covering if length in each.lengths]
        naming = sorted((e for e in fitting if not e.is_candidate), key=lambda e: e.last - e.first)
        sharing = [each for each in fitting if each.is_candidate]
        # A candidate alone, without the brand it shares the card with, says nothing.
        if naming:
            found[length] = tuple(dict.fromkeys(each.brand for each in [naming[0], *sharing]))
    return found


def _interval(text: str) -> tuple[int, int]:
    """Widen `51-55` or `4` to eight-digit prefixes."""
    first, _, last = text.partition("-")
    last = last or first
    assert len(first) == len(last) <= _PREFIX_LENGTH, "both ends have the same length"
    scale: int = 10 ** (_PREFIX_LENGTH - len(first))
    return int(first) * scale, (int(last) + 1) * scale - 1
