"""Every language is whole, and amounts are written as its readers write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from string import Formatter

import pytest

from farebox.data import read_text
from farebox.web.locales import LANGUAGES, texts_for

ENGLISH = json.loads(read_text("locales/en.json"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_exists_with_the_same_values(language: str) -> None:
    """A missing text, or one that drops a value, would be found by a buyer."""
    found = json.loads(read_text(f"locales/{language}.json"))
    assert list(found) == list(ENGLISH)
    for key, text in found.items():
        assert text.strip() == text != ""
        assert fields(text) == fields(ENGLISH[key]), key
    if language != "en":
        same = [key for key, text in found.items() if text == ENGLISH[key]]
        assert set(same) <= {"total", "card_expiry_hint", "pay_before"}, same


@pytest.mark.parametrize(
    ("tag", "currency", "amount_minor", "written"),
    [
        ("en", "USD", 124900, "$1,249.00"),
        ("en", "NOK", 124900, "NOK\u00a01,249.00"),
        ("en", "JPY", 1249, "¥1,249"),
        ("en", "KWD", 1249, "KWD\u00a01.249"),
        ("en", "IQD", 1249, "IQD\u00a01.249"),
        ("en", "USD", -500, "-$5.00"),
        ("de", "EUR", 124900, "1.249,00\u00a0€"),
        ("de-CH", "CHF", 124900, "CHF\u00a01’249.00"),
        ("nb", "NOK", 124900, "1\u00a0249,00\u00a0kr"),
        ("sv", "SEK", 124900, "1\u00a0249,00\u00a0kr"),
        ("fr", "EUR", 124900, "1\u202f249,00\u00a0€"),
        ("pt-BR", "BRL", 124900, "R$\u00a01.249,00"),
    ],
)
def test_amounts_are_written_as_the_locale_does(
    tag: str, currency: str, amount_minor: int, written: str
) -> None:
    """With the decimals of ISO 4217, so that nothing is rounded away."""
    assert texts_for(tag).money(amount_minor, currency) == written


@pytest.mark.parametrize(
    ("wished", "accepts", "language"),
    [
        (("sv-SE",), "", "sv"),
        (("no",), "", "nb"),
        (("xx", "fi"), "de", "fi"),
        ((None,), "da;q=0.5, de-AT;q=0.9, en;q=0.1", "de"),
        ((None,), "xx, *;q=0.5", "en"),
        ((None,), "fr;q=0, es;q=nonsense", "en"),
        (("../en",), "", "en"),
        (("de_" + "a" * 500,), "", "de"),
    ],
)
def test_a_language_is_chosen(wished: tuple[str | None, ...], accepts: str, language: str) -> None:
    """What was asked for, then what the browser wants, then English."""
    assert texts_for(*wished, accepts=accepts).language == language


def test_quantities_and_instants() -> None:
    texts = texts_for("de")
    assert texts.number(Decimal("2.5")) == "2,5"
    assert texts.instant(datetime(2026, 11, 26, 15, 10, tzinfo=UTC)) == "26.11.2026, 15:10 UTC"
    assert texts.month(2034, 3) == "03/34"
