"""Stripes and chips: a card comes out and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.domain.card_reading import TEST_NUMBERS, parse_chip, parse_track, stand_in_for_encrypted
from farebox.domain.errors import ErrorCode, FareboxError
from farebox.domain.sensitive import Sensitive

VISA = "4539858876047062"


@pytest.mark.parametrize(
    ("track", "name"),
    [
        (f";{VISA}=3012201000000000000?", None),
        (f"{VISA}D30122010000000", None),
        (f"%B{VISA}^BYRON/ADA^3012201000000000000?", "ADA BYRON"),
        (f"%B{VISA}^BYRON/ADA^3012201?;{VISA}=3012201?", "ADA BYRON"),
        (f"%B{VISA}^ ^3012201?", None),
    ],
)
def test_a_stripe_gives_number_expiry_and_name(track: str, name: str | None) -> None:
    """ISO/IEC 7813: YYMM on the stripe."""
    card = parse_track(Sensitive(track))
    assert (card.pan.masked, card.expiry.month, card.expiry.year) == ("453985******7062", 12, 2030)
    assert (card.holder_name, card.cvc) == (name, None)


@pytest.mark.parametrize("track", ["", "hello", ";123=3012?", "A3770E6D6667F0B7", ";" + "4" * 9000])
def test_what_is_no_stripe_is_refused_without_being_shown(track: str) -> None:
    with pytest.raises(FareboxError) as refusal:
        parse_track(Sensitive(track))
    assert refusal.value.code is ErrorCode.PARAMETER_INVALID
    assert "hello" not in repr(refusal.value.args)


@pytest.mark.parametrize(
    ("chip", "name"),
    [
        ("5A0845398588760470625F2403301231", None),
        ("57114539858876047062D3012201000000000F", None),
        ("5F20094259524F4E2F4144415A0845398588760470625F2403301231", "ADA BYRON"),
    ],
)
def test_a_chip_in_clear_gives_its_card(chip: str, name: str | None) -> None:
    """EMV: tags 5A and 5F24, or 57; the name is tag 5F20."""
    card = parse_chip(Sensitive(chip))
    assert card is not None
    assert (card.pan.masked, card.expiry.month, card.expiry.year) == ("453985******7062", 12, 2030)
    assert card.holder_name == name


def test_a_template_is_looked_into() -> None:
    inner = "5A0845398588760470625F2403301231"
    card = parse_chip(Sensitive(f"70{len(inner) // 2:02X}{inner}"))
    assert card is not None
    assert card.pan.last_four == "7062"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever a terminal sends is a card, nothing, or a refusal."""
    try:
        parse_chip(Sensitive(data.hex()))
    except FareboxError as refusal:
        assert refusal.code in {
            ErrorCode.PARAMETER_INVALID,
            ErrorCode.CARD_NUMBER_INVALID,
            ErrorCode.CARD_EXPIRY_INVALID,
            ErrorCode.TRACK_DATA_FORBIDDEN,
        }


def test_what_is_no_hexadecimal_is_refused() -> None:
    with pytest.raises(FareboxError):
        parse_chip(Sensitive("no hex"))


def test_stand_ins_are_published_test_cards() -> None:
    for first, number in TEST_NUMBERS.items():
        assert stand_in_for_encrypted(first).pan.last_four == number[-4:]
    assert stand_in_for_encrypted(None).pan.bin() == "453985"
    assert stand_in_for_encrypted("9").pan.bin() == "453985"
