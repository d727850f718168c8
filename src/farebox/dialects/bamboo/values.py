"""Values as the wire has them: amounts in hundredths, instants without a zone, numbers for ids, cut texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, cast

from farebox.dialects.bamboo.errors import refusal
from farebox.domain.access import Mode
from farebox.domain.cards import Card, contains_pan, parse_cvc, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import Numbering
from farebox.domain.money import EXPONENTS, Money
from farebox.domain.sensitive import Sensitive

PLAIN = Numbering()
"""The integers of generations one and two: exact in every JSON reader."""
LONG = Numbering(random_bits=10)
"""The 19-digit texts of generation three."""
_PLAIN_MAX = 2**53

TEXT_LENGTH_MAX = 255
"""Longer texts are cut silently. Source: documentation, "Data Types"; it gives no length."""
URL_LENGTH_MAX = 2048

DOCUMENTED_NUMBERS = tuple(
    Sensitive(number)
    for number in (
        "5385300000000001",
        "5572400000000001",
        "5429910000000001",
        "5165850000000004",
        "4456530000001001",
        "4511346660037060",
        "4000000000000004",
        "347000000000001",
        "347411835563001",
    )
)
"""Documented test cards with a wrong check digit, taken in test mode. Source: test card pages."""


# --- amounts ---------------------------------------------------------------------------------------


def money_of(hundredths: int, currency: str, *, code: str = "PR003") -> Money:
    """Read an amount in hundredths, exactly.

    Raises:
        WireRefusal: `code` when the currency has no such amount, or it is not above zero.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise refusal("PR004")
    if hundredths <= 0:
        raise refusal(code)
    scaled, rest = divmod(hundredths * 10**exponent, 100)
    if rest:
        raise refusal(code)
    try:
        return Money(scaled, currency)
    except InvalidRequest:
        raise refusal(code) from None


def hundredths_of(amount_minor: int, currency: str) -> int:
    """Write an amount in hundredths; a fraction of one, which no purchase made here has, is dropped."""
    return amount_minor * 100 // 10 ** EXPONENTS[currency]


# --- instants --------------------------------------------------------------------------------------


def timestamp(instant: datetime) -> str:
    """Write an instant with three decimals and without a zone."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def long_timestamp(instant: datetime) -> str:
    """Write an instant with seven decimals, as tokens carry it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0"


def day_of(text: str | None) -> date | None:
    """Read `yyyyMMdd`.

    Raises:
        WireRefusal: `PR018`.
    """
    if text is None:
        return None
    if len(text) != 8 or not text.isascii() or not text.isdecimal():
        raise refusal("PR018")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise refusal("PR018") from None


# --- numbers ---------------------------------------------------------------------------------------


def number_in(text: str, code: str, *, status: int = 404) -> int:
    """Read a number that names something.

    Raises:
        WireRefusal: `code` when it is none.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise refusal(code, status=status)
    return int(text)


def numbering_of(number: int) -> Numbering:
    """Tell which generation's number it is; every route takes both."""
    return PLAIN if number < _PLAIN_MAX else LONG


# --- texts -----------------------------------------------------------------------------------------


def clip(value: object, length: int = TEXT_LENGTH_MAX) -> str | None:
    """Give a scalar as a text, cut where it is too long; nothing for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:length]


def order_of(value: object) -> str | None:
    """Read a merchant's order number; nothing for an empty one.

    Raises:
        WireRefusal: `PR002` for one that holds a card number.
    """
    order = clip(value)
    if order is not None and contains_pan(order):
        raise refusal("PR002")
    return order


def has_email_form(text: str | None) -> bool:
    """Tell whether a text looks like an e-mail address; whether it is one only a mail shows."""
    if text is None or len(text) > TEXT_LENGTH_MAX or any(character.isspace() for character in text):
        return False
    local, _, domain = text.rpartition("@")
    return bool(local) and "@" not in local and "." in domain.strip(".") and ".." not in domain


def known(facts: Mapping[str, object], name: str) -> Any:
    """Give a fact that may be missing."""
    return facts.get(name)


def object_of(facts: Mapping[str, object], name: str) -> Mapping[str, Any]:
    """Give a fact that is an object; an empty one when it is missing."""
    found = facts.get(name)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def present(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out what is missing."""
    return {name: value for name, value in values.items() if value is not None}


# --- cards -----------------------------------------------------------------------------------------


def read_card(
    pan: Sensitive, expiration: str, cvv: Sensitive | None, holder: str | None, *, mode: Mode
) -> Card:
    """Read a card; documented test numbers are taken in test mode whatever their check digit.

    Raises:
        WireRefusal: `TK001`, `TK002` or `TK003`.
    """
    is_documented = mode is Mode.TEST and any(pan == number for number in DOCUMENTED_NUMBERS)
    number = parse_pan(pan, requires_check_digit=not is_documented)
    month, separator, year = expiration.partition("/")
    well_formed = separator and len(month) == len(year) == 2 and (month + year).isdecimal()
    if not well_formed or not expiration.isascii():
        raise refusal("TK003")
    code = parse_cvc(cvv, brand=number.brand) if cvv else None
    try:
        return Card(number, parse_expiry(int(month), int(year)), clip(holder), code)
    except InvalidRequest as refused:
        # A holder's name that is none: there is no code for it but the one for bad parameters.
        if refused.code is ErrorCode.PARAMETER_INVALID:
            raise refusal("TR016") from None
        raise
