"""Money: exponents of ISO 4217 and the range of amounts."""

from __future__ import annotations

import dataclasses

import pytest

from farebox.domain import money
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.money import AMOUNT_MINOR_MAX, EXPONENTS, Money, exponent_of


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("CAD", 2),
        ("GBP", 2),
        ("NOK", 2),
        ("SEK", 2),
        ("DKK", 2),
        ("BRL", 2),
        ("ARS", 2),
        ("MXN", 2),
        ("PEN", 2),
        ("UYU", 2),
        ("COP", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("CLP", 0),
        ("PYG", 0),
        ("ISK", 0),
        ("VND", 0),
        ("BHD", 3),
        ("JOD", 3),
        ("KWD", 3),
        ("OMR", 3),
        ("TND", 3),
        ("CLF", 4),
        ("UYW", 4),
    ],
)
def test_exponents_follow_iso_4217(currency: str, exponent: int) -> None:
    """Source: ISO 4217 list one. A wrong exponent charges a hundred times too much."""
    assert exponent_of(currency) == exponent


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDX", "XXX", "XTS", "XAU", "DEM", " USD", "ＵＳＤ"])
def test_other_codes_are_refused(currency: str) -> None:
    """Upper case, active, and money: neither test codes nor metals."""
    with pytest.raises(InvalidRequest) as caught:
        exponent_of(currency)
    assert (caught.value.code, caught.value.param) == (ErrorCode.CURRENCY_UNSUPPORTED, "currency")
    with pytest.raises(InvalidRequest):
        Money(1, currency)


def test_the_table_names_each_currency_once() -> None:
    """Three capital letters each; a currency in two lists would have the exponent of the last."""
    lists = [
        money._EXPONENT_0,  # pyright: ignore[reportPrivateUsage]
        money._EXPONENT_2,  # pyright: ignore[reportPrivateUsage]
        money._EXPONENT_3,  # pyright: ignore[reportPrivateUsage]
        money._EXPONENT_4,  # pyright: ignore[reportPrivateUsage]
    ]
    assert sum(len(each) for each in lists) == len(EXPONENTS)
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)


@pytest.mark.parametrize("amount_minor", [0, 1, AMOUNT_MINOR_MAX])
def test_amounts_in_range_are_money(amount_minor: int) -> None:
    """Zero is an amount: account checks use it (SEC-15)."""
    assert Money(amount_minor, "EUR").amount_minor == amount_minor


@pytest.mark.parametrize("amount_minor", [-1, AMOUNT_MINOR_MAX + 1, 10**30])
def test_other_amounts_are_refused(amount_minor: int) -> None:
    """Direction is said by the operation, never by a sign."""
    with pytest.raises(InvalidRequest) as caught:
        Money(amount_minor, "EUR")
    assert (caught.value.code, caught.value.param) == (ErrorCode.AMOUNT_INVALID, "amount_minor")


def test_money_does_not_change() -> None:
    """A shared amount cannot be altered under somebody's hands."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Money(1, "EUR").amount_minor = 2  # pyright: ignore[reportAttributeAccessIssue]
