"""The last net under every sink: what looks like a card number does not leave (security design §3.6).

It is not the plan: the plan is that no number gets near a sink. The net works on the final bytes, so no
formatting, encoding or third-party library comes after it.
"""

from __future__ import annotations

import re

from farebox.domain.cards import luhn_valid

REPLACEMENT = b"[scrubbed]"
_LENGTHS = range(13, 20)
_FIRST_DIGITS = b"23456"
_RUN = re.compile(rb"[0-9](?:[ ._+-]?[0-9]){12,}")
_SEPARATORS = b" ._+-"
_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_SHORTEST = b"0" * _LENGTHS[0]
_GROUP = re.compile(rb"[0-9]+")


def scrub(line: bytes) -> bytes:
    """Replace every 13 to 19 digits, the first of them 2 to 6, that pass the Luhn check.

    One blank, dash, dot, plus or underscore may stand between groups of digits, and other groups before and
    behind: a number is found between a date and a security code as well.
    """
    # Most lines hold no run as long as a card number, and this is how that is seen fastest.
    if _SHORTEST not in line.translate(_AS_ZERO, _SEPARATORS):
        return line
    return _RUN.sub(_judge, line)


def _judge(match: re.Match[bytes]) -> bytes:
    run = match.group()
    groups = [group.span() for group in _GROUP.finditer(run)]
    judged = bytearray()
    kept_from = first = 0
    while first < len(groups):
        last = _number_from(run, groups, first)
        if last is not None:
            judged += run[kept_from : groups[first][0]] + REPLACEMENT
            kept_from = groups[last][1]
            first = last
        first += 1
    return bytes(judged) + run[kept_from:]


def _number_from(run: bytes, groups: list[tuple[int, int]], first: int) -> int | None:
    """Give the last group of the longest number that begins with group `first`, if one does."""
    if run[groups[first][0]] not in _FIRST_DIGITS:
        return None
    digits, found = b"", None
    for index, (start, end) in enumerate(groups[first:], first):
        digits += run[start:end]
        if len(digits) > _LENGTHS[-1]:
            break
        if len(digits) in _LENGTHS and luhn_valid(digits.decode("ascii")):
            found = index
    return found
