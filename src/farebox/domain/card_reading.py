"""Card data as terminals read it: magnetic stripes and chips.

One of the few modules that may open a `Sensitive` (the import rules list them). Number, expiry and name
leave as a `Card`; the rest of the stripe or the chip is never kept (SEC-03). As in `cards`, what sees
clear digits returns what is wrong, and the caller raises it.

Source: ISO/IEC 7813:2006 §6 and §7 (tracks 1 and 2); EMV 4.3 Book 3, annex B (TLV) and table 34 (tags).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from farebox.domain.cards import Card, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

_TRACK_1 = re.compile(r"%?B([0-9]{12,19})\^([^^]{0,40})\^([0-9]{2})([0-9]{2})")
_TRACK_2 = re.compile(r";?([0-9]{12,19})[=D]([0-9]{2})([0-9]{2})")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_TEXT_LENGTH_MAX = 8192
_NESTING_MAX = 4

TAG_PAN = "5A"
TAG_TRACK_2 = "57"
TAG_EXPIRY = "5F24"
TAG_NAME = "5F20"

_Read = tuple[Sensitive, int, int, str | None]
"""Number, month, year of two digits, and the name."""


def parse_track(data: Sensitive) -> Card:
    """Read a card from track 1 or track 2 of its stripe, in clear.

    Raises:
        InvalidRequest: `parameter_invalid` when no track is found; what `parse_pan` refuses.
    """
    read = _read_track(reveal(data))
    if read is None:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="track")
    return _card(read)


def parse_chip(data: Sensitive) -> Card | None:
    """Read a card from its chip's data in clear, as hexadecimal TLV; nothing when it has no number in it.

    Raises:
        InvalidRequest: `parameter_invalid` when it is no hexadecimal; what `parse_pan` refuses.
    """
    text = reveal(data)
    if len(text) > _TEXT_LENGTH_MAX or not _HEX.fullmatch(text):
        del text
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="chip")
    read = _read_chip(bytes.fromhex(text))
    del text
    return None if read is None else _card(read)


def _card(read: _Read) -> Card:
    number, month, year, name = read
    return Card(parse_pan(number), parse_expiry(month, year), name)


def _read_track(text: str) -> _Read | None:
    if len(text) > _TEXT_LENGTH_MAX:
        return None
    if first := _TRACK_1.search(text):
        number, name, year, month = first.groups()
        return Sensitive(number), int(month), int(year), _name(name)
    if second := _TRACK_2.search(text):
        number, year, month = second.groups()
        return Sensitive(number), int(month), int(year), None
    return None


def _name(text: str) -> str | None:
    """Give a name as it is spoken: tracks write `SURNAME/FIRST`."""
    surname, _, first = text.strip().partition("/")
    spoken = f"{first.strip()} {surname.strip()}".strip()
    return spoken or None


def _read_chip(data: bytes) -> _Read | None:
    values = dict(_tags(data, 0))
    name = values.get(TAG_NAME, b"").decode("latin-1")
    if TAG_PAN in values and TAG_EXPIRY in values:
        digits, expiry = values[TAG_PAN].hex().rstrip("fF"), values[TAG_EXPIRY].hex()
        if digits.isdigit() and expiry[:4].isdigit():
            return Sensitive(digits), int(expiry[2:4]), int(expiry[:2]), _name(name)
    if TAG_TRACK_2 in values:
        read = _read_track(values[TAG_TRACK_2].hex().upper())
        return None if read is None else (*read[:3], _name(name))
    return None


def _tags(data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield tags and values, those inside constructed ones too; stop where the data is no TLV."""
    place = 0
    while place < len(data):
        tag_end = place + 1
        if data[place] & 0x1F == 0x1F:
            while tag_end < len(data) and data[tag_end] & 0x80:
                tag_end += 1
            tag_end += 1
        if tag_end >= len(data):
            return
        length, start = data[tag_end], tag_end + 1
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
        value = data[start : start + length]
        if len(value) < length or not value:
            return
        yield data[place:tag_end].hex().upper(), value
        if data[place] & 0x20 and depth < _NESTING_MAX:
            yield from _tags(value, depth + 1)
        place = start + length


TEST_NUMBERS: Mapping[str, str] = {
    "3": "3400000000000000",
    "4": "4539858876047062",
    "5": "5001650000000000",
    "6": "6011000000000004",
}
"""Published test cards of Payroc's test environment, by first digit."""


def stand_in_for_encrypted(first_digit: str | None, *, month: int = 12, year: int = 2030) -> Card:
    """Give the published test card that stands for data which only a terminal maker's keys could open.

    For test mode only: in live mode nobody may be charged for a card that was not read.
    """
    number = TEST_NUMBERS.get(first_digit or "4", TEST_NUMBERS["4"])
    return Card(parse_pan(Sensitive(number)), parse_expiry(month, year))
