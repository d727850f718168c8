"""Cards: number, security code, expiry, and what may be shown of them.

One of the few modules that may open a `Sensitive` (the import rules list them). Clear digits live in
local names here and leave only as `bin`, `last_four`, a brand, or a yes or no.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from farebox.domain.card_brands import UNKNOWN, brand_table
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

PAN_LENGTH_MIN = 12
PAN_LENGTH_MAX = 19
BIN_LENGTH = 6
BIN_LENGTH_LONG = 8
HOLDER_NAME_LENGTH_MAX = 255
YEAR_MAX = 2099

_UNTYPED_CVC_LENGTHS = (3, 4)
"""Where the brand is not known, either length of the known ones."""

# Tables for bytes.translate: from the character of a digit to what it adds to the Luhn sum.
_LUHN_SINGLE = bytes((i - 48) % 10 if 48 <= i <= 57 else 0 for i in range(256))
_LUHN_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[i - 48] if 48 <= i <= 57 else 0 for i in range(256))

_GROUPED = re.compile(r" *[0-9](?:[ -]?[0-9])* *")
# Sentinels and separators of tracks 1 and 2, and the separator D of the chip's track 2 equivalent.
# Source: ISO/IEC 7813:2006 §6 and §7; EMV Book 3, tag 57.
_TRACK = re.compile(r"[%;^=?]|[0-9]{12,19}[Dd][0-9]{4}")
_TRACK_LENGTH_MAX = 128
"""Track 1 has at most 79 characters; what is looked through is bounded either way."""
_UNFIT_FOR_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and paragraph separators, text direction overrides, lone surrogates."""
_DIGIT_RUN = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_RECOGNISED_LENGTH_MIN = 13
_RECOGNISED_FIRST = frozenset("23456")


def luhn_valid(digits: str) -> bool:
    """Tell whether the check digit of `digits`, 8 to 19 ASCII digits, is right.

    Source: ISO/IEC 7812-1:2017, Annex B.
    """
    body = digits.encode()
    total = sum(body[-1::-2].translate(_LUHN_SINGLE)) + sum(body[-2::-2].translate(_LUHN_DOUBLED))
    return total % 10 == 0


@frozen
class Pan:
    """A card number and what may be said of it. Made by `parse_pan` alone."""

    number: Sensitive
    """Digits only."""
    last_four: str
    brand: str
    brands: tuple[str, ...]
    """`brand`, then the others on a co-badged card, among which the cardholder may choose."""
    length: int

    def bin(self, length: int = BIN_LENGTH) -> str:
        """Give the issuer's prefix that may be shown and stored in clear (SEC-04).

        Args:
            length: 6, or 8 where the operator chose so. Numbers of fewer than 16 digits give 6
                either way, because 8 and the last four would leave too little hidden.

        Source: PCI SSC FAQ 1091 (acceptable formats for truncation).
        """
        assert length in {BIN_LENGTH, BIN_LENGTH_LONG}
        shown = length if self.length >= 16 else BIN_LENGTH
        return reveal(self.number)[:shown]

    @property
    def masked(self) -> str:
        """Give the number with all but BIN and last four starred."""
        head = self.bin()
        return f"{head}{'*' * (self.length - len(head) - 4)}{self.last_four}"


def parse_pan(number: Sensitive, *, requires_check_digit: bool = True) -> Pan:
    """Read a card number as people type it: digits, single blanks or dashes between them.

    A number outside all known ranges is of brand `unknown`: no range that a merchant wants should be
    refused because our table is older than it.

    Args:
        number: the number as received.
        requires_check_digit: false only for the documented test numbers of a gateway that has some
            with wrong check digits, in test mode.

    Raises:
        InvalidRequest: `card_number_invalid`, or `track_data_forbidden` when it looks like a magnetic
            stripe or its chip equivalent (SEC-03).
    """
    pan = _read_pan(reveal(number), requires_check_digit=requires_check_digit)
    # Raised here, where no local name holds clear digits: some tracebacks print locals.
    if isinstance(pan, ErrorCode):
        raise InvalidRequest(pan, param="card.number")
    return pan


def _read_pan(digits: str, *, requires_check_digit: bool) -> Pan | ErrorCode:
    if not (digits.isascii() and digits.isdigit()):
        if _TRACK.search(digits, 0, _TRACK_LENGTH_MAX):
            return ErrorCode.TRACK_DATA_FORBIDDEN
        if len(digits) > _TRACK_LENGTH_MAX or not _GROUPED.fullmatch(digits):
            return ErrorCode.CARD_NUMBER_INVALID
        digits = digits.replace(" ", "").replace("-", "")
    length = len(digits)
    # Issuers of payment cards have no leading zero. Source: ISO/IEC 7812-1:2017, table 1.
    if not PAN_LENGTH_MIN <= length <= PAN_LENGTH_MAX or digits[0] == "0":
        return ErrorCode.CARD_NUMBER_INVALID
    by_length = brand_table().brands_by_length(digits)
    found = by_length.get(length, ())
    if by_length and not found:
        return ErrorCode.CARD_NUMBER_INVALID
    if requires_check_digit and not luhn_valid(digits):
        found = tuple([brand for brand in found if not brand.has_luhn])
        if not found:
            return ErrorCode.CARD_NUMBER_INVALID
    brands = tuple([brand.id for brand in found]) or (UNKNOWN,)
    return Pan(Sensitive(digits), digits[-4:], brands[0], brands, length)


@frozen
class Cvc:
    """A card's security code; lives only beside a single-use token (SEC-02)."""

    value: Sensitive


def parse_cvc(code: Sensitive, *, brand: str) -> Cvc:
    """Read a security code.

    Args:
        code: the code as received.
        brand: the card's brand, or `unknown`; decides the length.

    Raises:
        InvalidRequest: `card_cvc_invalid`.
    """
    known = brand_table().brands.get(brand)
    if not _is_code(reveal(code), known.cvc_lengths if known else _UNTYPED_CVC_LENGTHS):
        raise InvalidRequest(ErrorCode.CARD_CVC_INVALID, param="card.cvc")
    return Cvc(code)


def _is_code(digits: str, lengths: tuple[int, ...]) -> bool:
    return len(digits) in lengths and digits.isascii() and digits.isdigit()


@frozen
class Expiry:
    """The month through whose last day a card is valid."""

    month: int
    year: int

    def passed(self, on: date) -> bool:
        """Tell whether the card is no longer valid on a day."""
        return (on.year, on.month) > (self.year, self.month)


def parse_expiry(month: int, year: int) -> Expiry:
    """Read an expiry; a year of two digits is of this century. Says nothing about today.

    Args:
        month: 1 to 12.
        year: 0 to 99, or 2000 to 2099.

    Raises:
        InvalidRequest: `card_expiry_invalid`.
    """
    if not 1 <= month <= 12:
        raise InvalidRequest(ErrorCode.CARD_EXPIRY_INVALID, param="card.exp_month")
    full_year = year + 2000 if 0 <= year <= 99 else year
    if not 2000 <= full_year <= YEAR_MAX:
        raise InvalidRequest(ErrorCode.CARD_EXPIRY_INVALID, param="card.exp_year")
    return Expiry(month, full_year)


@frozen
class Card:
    """A card as its holder gave it.

    Raises:
        InvalidRequest: `parameter_invalid` when the holder's name is none (see `check_holder_name`).
    """

    pan: Pan
    expiry: Expiry
    holder_name: str | None = None
    cvc: Cvc | None = None

    def __post_init__(self) -> None:
        """Refuse a name that is none."""
        check_holder_name(self.holder_name, param="card.holder_name")

    def without_cvc(self) -> Card:
        """Give the same card without its security code, as it is stored for good."""
        return Card(self.pan, self.expiry, self.holder_name)


def check_holder_name(name: str | None, *, param: str) -> None:
    """Refuse a name that is too long, holds control characters, or hides a card number.

    Args:
        name: the name as given, if it was.
        param: the field at fault in the native API's words.

    Raises:
        InvalidRequest: `parameter_invalid`.
    """
    if name is None:
        return
    if len(name) > HOLDER_NAME_LENGTH_MAX or _UNFIT_FOR_NAME.search(name) or contains_pan(name):
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=param)


def contains_pan(text: str) -> bool:
    """Tell whether a text holds what is very likely a card number.

    That is 13 to 19 ASCII digits, as one run or as whole groups with single blanks or dashes between,
    with a right check digit and a first digit of 2 to 6. A number glued to other digits is not
    found: every long reference would hold one by chance.
    """
    # Most texts are names and short words, and this is asked of every one.
    return len(text) >= _RECOGNISED_LENGTH_MIN and next(_find_pans(text), None) is not None


def mask(text: str) -> str:
    """Replace everything that `contains_pan` would find by stars and its last four digits."""
    parts: list[str] = []
    done = 0
    for start, end in _find_pans(text):
        parts += (text[done:start], "*" * (end - start - 4), text[end - 4 : end])
        done = end
    parts.append(text[done:])
    return "".join(parts)


def _find_pans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where likely card numbers start and end, left to right, none within another."""
    for run in _DIGIT_RUN.finditer(text):
        if run.end() - run.start() < _RECOGNISED_LENGTH_MIN:
            continue
        groups = [(match.start(), match.end()) for match in re.finditer("[0-9]+", run.group())]
        first = 0
        while first < len(groups):
            last = _pan_from(run.group(), groups, first)
            if last is not None:
                yield run.start() + groups[first][0], run.start() + groups[last][1]
                first = last
            first += 1


def _pan_from(run: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """Give the last group of the longest card number that begins with group `first`."""
    found: int | None = None
    digits = ""
    if run[groups[first][0]] not in _RECOGNISED_FIRST:
        return None
    for index in range(first, len(groups)):
        start, end = groups[index]
        if len(digits) + end - start > PAN_LENGTH_MAX:
            break
        digits += run[start:end]
        if len(digits) >= _RECOGNISED_LENGTH_MIN and luhn_valid(digits):
            found = index
    return found
