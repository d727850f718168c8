"""What pages say in each language, and how amounts and dates are written there.

The texts are `data/locales/*.json`, one file a language, all with the same keys. Amounts, dates and numbers
follow the Unicode CLDR, through Babel (ADR 0027).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from farebox.data import read_text
from farebox.domain.frozen import frozen
from farebox.domain.money import exponent_of

LANGUAGES = ("en", "nb", "sv", "da", "fi", "de", "es", "pt", "fr")
_SAME = {"no": "nb", "nn": "nb"}
"""Other codes for a language that we have: Norwegian without its form, and its other written form."""


_LETTER_THEN_DIGIT = re.compile(r"(?<=[A-Za-z])(?=[0-9])")
"""Where a currency's letters touch the number, CLDR sets a no-break space, which Babel leaves out.

Source: UTS 35, part 3, §2.3, `currencySpacing`.
"""


@frozen
class Texts:
    """One language, with the region that decides how amounts and dates are written."""

    language: str
    locale: Locale
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: str) -> str:
        """Give a text with its values put in."""
        return self.texts[key].format(**values)

    def money(self, amount_minor: int, currency: str) -> str:
        """Write an amount with the decimals of ISO 4217, which are those it is counted in."""
        decimals = exponent_of(currency)
        pattern = copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = (decimals, decimals)
        amount = Decimal(amount_minor).scaleb(-decimals)
        text = pattern.apply(amount, self.locale, currency=currency, currency_digits=False)
        return _LETTER_THEN_DIGIT.sub("\u00a0", text)

    def number(self, number: Decimal) -> str:
        """Write a quantity."""
        return format_decimal(number, locale=self.locale)

    def month(self, year: int, month: int) -> str:
        """Write the month of a card's expiry, as on the card."""
        return f"{month:02}/{year % 100:02}"

    def instant(self, instant: datetime) -> str:
        """Write an instant in UTC; the page does not know where its reader is."""
        day, time = (
            format_date(instant, "medium", self.locale),
            format_time(instant, "short", locale=self.locale),
        )
        return f"{day}, {time} UTC"


@cache
def _texts(language: str) -> Mapping[str, str]:
    return json.loads(read_text(f"locales/{language}.json"))


def texts_for(*wished: str | None, accepts: str = "") -> Texts:
    """Choose a language.

    Args:
        wished: tags in the order of preference, like `nb`, `en-US` or `sv_SE`; unknown ones are passed over.
        accepts: the browser's `Accept-Language` (RFC 9110 §12.5.4), which comes last.
    """
    for tag in (*wished, *_accepted(accepts)):
        found = _known(tag)
        if found is not None:
            return found
    return Texts("en", Locale("en"), _texts("en"))


def _known(tag: str | None) -> Texts | None:
    language, _, region = (tag or "").replace("_", "-").lower().partition("-")
    language = _SAME.get(language, language)
    if language not in LANGUAGES:
        return None
    try:
        locale = Locale.parse(f"{language}_{region.upper()}" if len(region) == 2 else language)
    except (UnknownLocaleError, ValueError):
        locale = Locale(language)
    return Texts(language, locale, _texts(language))


def _accepted(header: str) -> list[str]:
    """Give the tags of an `Accept-Language` header, the most wanted first; a bad quality counts as none."""
    found: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            found.append((-quality, tag.strip()))
    return [tag for _, tag in sorted(found, key=lambda one: one[0])]
