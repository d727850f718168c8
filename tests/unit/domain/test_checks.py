"""AVS and security code results: tables, and what is unlisted."""

from __future__ import annotations

import pytest

from farebox.domain.checks import (
    AVS_CODES,
    AVS_CODES_DISCOVER,
    CVC_CODES,
    AvsResult,
    Checks,
    CvcResult,
    avs_from_code,
    cvc_from_code,
)


@pytest.mark.parametrize(
    ("code", "brand", "result"),
    [
        ("Y", "visa", AvsResult.MATCH),
        ("A", "visa", AvsResult.ADDRESS_MATCH),
        ("Z", "mastercard", AvsResult.POSTAL_CODE_MATCH),
        ("N", "amex", AvsResult.NO_MATCH),
        ("U", "visa", AvsResult.UNAVAILABLE),
        ("G", "visa", AvsResult.NOT_SUPPORTED),
        # Discover swaps the meanings of A and Y.
        ("Y", "discover", AvsResult.ADDRESS_MATCH),
        ("A", "discover", AvsResult.MATCH),
        ("z", "visa", AvsResult.POSTAL_CODE_MATCH),
        ("", "visa", AvsResult.NOT_PROCESSED),
        (" ", "visa", AvsResult.NOT_PROCESSED),
        ("Q", "visa", AvsResult.UNKNOWN),
        ("YY", "visa", AvsResult.UNKNOWN),
    ],
)
def test_avs_letters_are_translated(code: str, brand: str, result: AvsResult) -> None:
    """SEC-22: an unlisted letter is never taken for a match."""
    assert avs_from_code(code, brand=brand) is result


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("M", CvcResult.MATCH),
        ("N", CvcResult.NO_MATCH),
        ("P", CvcResult.NOT_PROCESSED),
        ("S", CvcResult.NOT_PROVIDED),
        ("U", CvcResult.NOT_SUPPORTED),
        ("m", CvcResult.MATCH),
        ("", CvcResult.NOT_PROCESSED),
        ("?", CvcResult.UNKNOWN),
    ],
)
def test_cvc_letters_are_translated(code: str, result: CvcResult) -> None:
    """SEC-22: an unlisted letter is never taken for a match."""
    assert cvc_from_code(code) is result


def test_nothing_was_checked_unless_said() -> None:
    """An operation without an answer claims no result."""
    assert Checks() == Checks(AvsResult.NOT_PROVIDED, CvcResult.NOT_PROVIDED)


def test_tables_hold_single_capital_letters() -> None:
    """The lookup folds case, so a small letter in a table would never be found."""
    for code in (*AVS_CODES, *AVS_CODES_DISCOVER, *CVC_CODES):
        assert len(code) == 1
        assert code == code.upper()
