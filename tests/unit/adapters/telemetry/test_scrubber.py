from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.adapters.telemetry.scrubber import REPLACEMENT, scrub
from farebox.domain.cards import luhn_valid

# Published test numbers of 13 to 19 digits.
NUMBERS = (
    "4222222222222",
    "36227206271667",
    "378282246310005",
    "4242424242424242",
    "5555555555554444",
    "2223003122003222",
    "6011111111111117",
    "6304000000000000000",
)
GROUPED = {
    "dashed": "4242-4242-4242-4242",
    "spaced": "4242 4242 4242 4242",
    "dotted": "4242.4242.4242.4242",
    "plussed": "4242+4242+4242+4242",
    "underscored": "4242_4242_4242_4242",
    "grouped as on an American Express card": "3782 822463 10005",
    "unevenly grouped": "42-42424242 424242-42",
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("around", ['{{"event":"{}"}}', "{}", "x{}y", '{{"n":{}}}', "a\\n{}\\n", "={}&"])
def test_a_card_number_does_not_leave(number: str, around: str) -> None:
    """Section 3.6: 13 to 19 digits that pass the Luhn check are replaced wherever they stand."""
    assert scrub(around.format(number).encode()) == around.format(REPLACEMENT.decode()).encode()


@pytest.mark.parametrize("number", GROUPED.values(), ids=GROUPED.keys())
def test_a_grouped_card_number_does_not_leave(number: str) -> None:
    """Section 3.6: separators do not hide a number."""
    assert scrub(f"card {number} declined".encode()) == b"card [scrubbed] declined"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("4242424242424242 123", "[scrubbed] 123"),
        ("4242424242424242 12/34", "[scrubbed] 12/34"),
        ("20 4242424242424242", "20 [scrubbed]"),
        ("2026-11-24 4242424242424242 12", "2026-11-24 [scrubbed] 12"),
        ("4242424242424242 5555555555554444", "[scrubbed] [scrubbed]"),
        ("4242 4242 4242 4242-5555-5555-5555-4444", "[scrubbed]-[scrubbed]"),
        ("100 4242 4242 4242 4242 5", "100 [scrubbed] 5"),
    ],
)
def test_neighbouring_digits_do_not_hide_a_number(line: str, kept: str) -> None:
    """Section 3.6: a number is found beside an amount, a date, a security code or another number."""
    assert scrub(line.encode()) == kept.encode()


@pytest.mark.parametrize(
    "line",
    [
        "4242424242424241",
        "424242424242",
        "42424242424242424242",
        "1111111111111117",
        "9999999999999995",
        "2026-11-24T14:12:16.474893Z",
        "pay_01m86ycwytffqrke617acabab0",
        '{"amount_minor":1999,"duration_ms":3.749,"status":201}',
        "127.0.0.1:18081",
        "4242  4242  4242  4242",
    ],
)
def test_what_is_no_card_number_is_kept(line: str) -> None:
    """A log that is scrubbed at random would be of no use: wrong check digit, length or first digit stays."""
    assert scrub(line.encode()) == line.encode()


@given(
    st.binary(max_size=40).filter(lambda text: not text[-1:].isdigit()),
    st.integers(min_value=2 * 10**11, max_value=7 * 10**17 - 1)
    .map(str)
    .filter(lambda text: text[0] in "23456"),
    st.binary(max_size=40).filter(lambda text: not text[:1].isdigit()),
)
def test_any_number_is_found_in_any_bytes(before: bytes, body: str, after: bytes) -> None:
    """Section 3.6: whatever stands around it, no valid number comes through."""
    number = next(body + digit for digit in "0123456789" if luhn_valid(body + digit)).encode()
    assert number not in scrub(before + b"|" + number + b"|" + after)


@given(st.lists(st.sampled_from(["1", "4242", "13", "5", " ", "-", "."]), max_size=400).map("".join))
def test_nothing_but_digits_and_their_separators_is_touched(text: str) -> None:
    """The net holds on any run of groups: what is kept is a part of the line, in order."""
    rest = text
    for piece in scrub(text.encode()).decode().split(REPLACEMENT.decode()):
        assert piece in rest
        rest = rest[rest.index(piece) + len(piece) :]
