"""The last net under every sink: what looks like a card number does not leave (SEC-12).

It is not the plan: the plan is that no number gets near a sink. The net works on the final bytes, so no
formatting, encoding or third-party library comes after it.
"""

from __future__ import annotations

import re

from farebox.domain.cards import luhn_valid

REPLACEMENT = b"[scrubbed]"
_CANDIDATE = re.compile(rb"(?<![0-9])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])")
_SEPARATORS = b" -"


def scrub(line: bytes) -> bytes:
    """Replace every run of 13 to 19 digits, first 2 to 6, that passes the Luhn check.

    Single blanks or dashes may stand between the digits.
    """
    return _CANDIDATE.sub(_judge, line)


def _judge(match: re.Match[bytes]) -> bytes:
    digits = match.group().translate(None, _SEPARATORS)
    return REPLACEMENT if luhn_valid(digits.decode("ascii")) else match.group()
