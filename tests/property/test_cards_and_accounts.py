"""Cards and accounts under arbitrary input (Hypothesis)."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from farebox.data import read_text
from farebox.domain.bank_accounts import parse_sepa
from farebox.domain.card_brands import brand_table
from farebox.domain.cards import (
    Card,
    Expiry,
    Pan,
    contains_pan,
    luhn_valid,
    mask,
    parse_cvc,
    parse_expiry,
    parse_pan,
)
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

DIGITS = "0123456789"
digits = st.text(DIGITS, min_size=8, max_size=19)


def with_check_digit(head: str) -> str:
    return next(head + check for check in DIGITS if slow_luhn(head + check))


def slow_luhn(text: str) -> bool:
    """Compute ISO/IEC 7812-1 Annex B as it is written, digit by digit."""
    total = 0
    for position, character in enumerate(reversed(text)):
        value = int(character) * (2 if position % 2 else 1)
        total += value // 10 + value % 10
    return total % 10 == 0


card_numbers = st.builds(
    lambda first, rest: with_check_digit(first + rest),
    st.sampled_from("23456"),
    st.text(DIGITS, min_size=11, max_size=17),
)


@given(digits)
def test_the_fast_luhn_agrees_with_the_slow_one(text: str) -> None:
    """The tables compute what the standard says."""
    assert luhn_valid(text) is slow_luhn(text)


@given(digits, st.data())
def test_one_wrong_digit_is_always_noticed(text: str, data: st.DataObject) -> None:
    """What the check digit is for."""
    number = with_check_digit(text)
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([each for each in DIGITS if each != number[place]]))
    assert not luhn_valid(number[:place] + other + number[place + 1 :])


@given(st.text(max_size=60))
@example("4111111111111111")
@example(";4111111111111111=3012")
def test_parse_pan_answers_or_refuses(text: str) -> None:
    """SEC-18, SEC-19: any text gives a card number or a refusal of ours that does not hold the text."""
    try:
        pan = parse_pan(Sensitive(text))
    except InvalidRequest as error:
        assert error.code in {ErrorCode.CARD_NUMBER_INVALID, ErrorCode.TRACK_DATA_FORBIDDEN}
        assert str(error) == error.code.value
    else:
        assert reveal(pan.number) == text.replace(" ", "").replace("-", "")


@given(card_numbers, st.data())
def test_grouping_does_not_matter(number: str, data: st.DataObject) -> None:
    """However the digits are grouped, they are the same card or the same refusal."""
    separator = st.sampled_from(["", " ", "-"])
    separators = data.draw(st.lists(separator, min_size=len(number) - 1, max_size=len(number) - 1))
    typed = "".join(digit + gap for digit, gap in zip(number, [*separators, ""], strict=True))

    def read(text: str) -> Pan | ErrorCode:
        try:
            return parse_pan(Sensitive(text))
        except InvalidRequest as error:
            return error.code

    assert read(typed) == read(number)


@given(card_numbers)
def test_what_is_shown_never_adds_up_to_the_number(number: str) -> None:
    """SEC-04: BIN and last four leave digits hidden, at any length."""
    try:
        pan = parse_pan(Sensitive(number))
    except InvalidRequest:
        return
    for length in (6, 8):
        assert number.startswith(pan.bin(length))
        assert len(pan.bin(length)) + len(pan.last_four) <= len(number) - 2
    assert "*" in pan.masked
    assert len(pan.masked) == len(number)
    assert number not in repr(pan)
    assert pan.brand == pan.brands[0]
    assert all(brand == "unknown" or brand in brand_table().brands for brand in pan.brands)


@given(st.text(DIGITS, min_size=8, max_size=8))
def test_the_bisection_agrees_with_the_ranges_one_by_one(prefix: str) -> None:
    """The pieces say what the data file says: a brand is found if and only if one of its ranges covers."""
    expected: set[str] = set()
    for entry in tomllib.loads(read_text("card_brands.toml"))["brands"]:
        texts = entry["ranges"] + [text for each in entry.get("exceptions", ()) for text in each["ranges"]]
        for text in texts:
            first, _, last = text.partition("-")
            if first <= prefix[: len(first)] <= (last or first):
                expected.add(entry["id"])
    found = brand_table().brands_by_length(prefix)
    assert {brands[0].id for brands in found.values()} <= expected
    assert bool(found) is bool(expected)


@given(st.text(max_size=20), card_numbers, st.text(max_size=20))
def test_a_card_number_in_any_text_is_found_and_masked(before: str, number: str, after: str) -> None:
    """The last net: unless other digits touch it, a number in a text is found, and not after masking."""
    text = f"{before}|{number}|{after}"
    assert contains_pan(text)
    assert number not in mask(text)
    assert not contains_pan(mask(text))


@given(st.text(max_size=80))
def test_mask_keeps_length_and_everything_that_is_no_number(text: str) -> None:
    """Masking changes digits and separators of found numbers only."""
    masked = mask(text)
    assert len(masked) == len(text)
    assert all(b in {a, "*"} for a, b in zip(text, masked, strict=True))
    assert contains_pan(text) is (masked != text)


@given(st.integers(), st.integers())
def test_parse_expiry_answers_or_refuses(month: int, year: int) -> None:
    """Any two numbers give a month of this century or a refusal."""
    try:
        expiry = parse_expiry(month, year)
    except InvalidRequest as error:
        assert error.code is ErrorCode.CARD_EXPIRY_INVALID
    else:
        assert 1 <= expiry.month <= 12
        assert 2000 <= expiry.year <= 2099


@given(st.integers(1, 12), st.integers(2000, 2098))
def test_a_card_passes_exactly_once(month: int, year: int) -> None:
    """Valid on the last day of its month, passed on the next."""
    first_after = date(year + month // 12, month % 12 + 1, 1)
    expiry = Expiry(month, year)
    assert not expiry.passed(first_after - timedelta(days=1))
    assert expiry.passed(first_after)


@given(st.text(max_size=6), st.sampled_from([*brand_table().brands, "unknown"]))
def test_parse_cvc_answers_or_refuses(text: str, brand: str) -> None:
    """Any text gives a code of three or four ASCII digits or a refusal."""
    try:
        cvc = parse_cvc(Sensitive(text), brand=brand)
    except InvalidRequest as error:
        assert error.code is ErrorCode.CARD_CVC_INVALID
    else:
        assert reveal(cvc.value) == text
        assert len(text) in {3, 4}
        assert set(text) <= set(DIGITS)


@given(st.text(max_size=300))
def test_a_holder_name_answers_or_refuses(name: str) -> None:
    """A name is kept as it is or refused; it never holds a card number or a line break."""
    try:
        card = Card(parse_pan(Sensitive("4111111111111111")), Expiry(1, 2030), name)
    except InvalidRequest as error:
        assert error.code is ErrorCode.PARAMETER_INVALID
    else:
        assert card.holder_name == name
        assert len(name) <= 255
        assert "\n" not in name
        assert not contains_pan(name)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", fullmatch=True)))
def test_parse_sepa_answers_or_refuses(text: str) -> None:
    """Whatever the library makes of a text, only our own refusal comes out."""
    try:
        account = parse_sepa(iban=Sensitive(text))
    except InvalidRequest as error:
        assert error.code is ErrorCode.BANK_ACCOUNT_INVALID
        assert error.__context__ is None
    else:
        assert reveal(account.iban) == text.replace(" ", "").upper()


@given(st.text("0123456789", min_size=18, max_size=18), st.data())
def test_one_wrong_digit_of_an_iban_is_always_noticed(bban: str, data: st.DataObject) -> None:
    """Mod 97 finds every single error. Source: ISO 7064 (mod 97-10)."""
    check = 98 - int(bban + "131400") % 97
    good = f"DE{check:02d}{bban}"
    assert reveal(parse_sepa(iban=Sensitive(good)).iban) == good
    place = data.draw(st.integers(2, len(good) - 1))
    other = data.draw(st.sampled_from([each for each in DIGITS if each != good[place]]))
    bad = good[:place] + other + good[place + 1 :]
    try:
        parse_sepa(iban=Sensitive(bad))
    except InvalidRequest:
        return
    raise AssertionError("a wrong digit was not noticed")
