"""Ids: shape, order, and what is not an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.domain.ids import ID_ENTROPY, base32, has_shape, new_id, range_of_short_id, short_id

ZERO = bytes(ID_ENTROPY)
ONES = b"\xff" * ID_ENTROPY
MS = 1000


def test_an_id_is_a_prefix_and_26_characters() -> None:
    """The shape the documents promise."""
    made = new_id("pay", unix_us=1_764_000_000_000 * MS, entropy=ONES)
    prefix, _, rest = made.partition("_")
    assert prefix == "pay"
    assert len(rest) == 26
    assert set(rest) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    assert has_shape(made, "pay")


def test_ids_sort_by_time() -> None:
    """Rows inserted together lie together: the earlier millisecond sorts first, whatever the randomness."""
    times = [0, 1, 1_000, 1_764_000_000_000, 1_764_000_000_001, 2**48 - 1]
    ids = [
        new_id("op", unix_us=time * MS, entropy=ONES if index % 2 else ZERO)
        for index, time in enumerate(times)
    ]
    assert ids == sorted(ids)
    assert new_id("op", unix_us=5 * MS + 999, entropy=ONES) < new_id("op", unix_us=6 * MS, entropy=ZERO)


def test_an_id_holds_a_uuid_version_7() -> None:
    """Source: RFC 9562 §5.7: version 7 and variant 10 in their places, time in front."""
    unix_ms = 0x0190_1234_5678
    text = new_id("op", unix_us=unix_ms * MS, entropy=b"\x5a" * ID_ENTROPY).removeprefix("op_")
    value = 0
    for character in text:
        value = value << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(character)
    assert value >> 80 == unix_ms
    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10


def test_every_random_bit_that_fits_is_used() -> None:
    """62 bits distinguish ids of one microsecond: five of each byte, and two of the last one."""
    base = new_id("op", unix_us=7, entropy=ZERO)
    changed = [
        new_id("op", unix_us=7, entropy=(1 << bit).to_bytes(ID_ENTROPY, "big"))
        for bit in range(8 * ID_ENTROPY)
    ]
    assert len(set(changed) - {base}) == 62


@pytest.mark.parametrize(
    ("value", "length", "text"),
    [(0, 2, "00"), (31, 2, "0z"), (1023, 2, "zz"), (32, 4, "0010"), (2**20 - 1, 4, "zzzz")],
)
def test_base32_writes_most_significant_first(value: int, length: int, text: str) -> None:
    """Crockford's alphabet, fixed width: without it ids would not sort."""
    assert base32(value, length) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay_",
        "pay_" + "0" * 25,
        "pay_" + "0" * 27,
        "op_" + "0" * 26,
        "PAY_" + "0" * 26,
        "pay_" + "0" * 25 + "u",
        "pay_" + "0" * 25 + "A",
        "pay_" + "0" * 25 + "٠",
        "pay" + "0" * 27,
    ],
)
def test_other_texts_have_no_such_shape(text: str) -> None:
    """What has not the shape is unknown without asking the database."""
    assert not has_shape(text, "pay")


def test_ids_of_one_millisecond_keep_their_order() -> None:
    """RFC 9562 §6.2, method 3: a list that is newest first stays so when much happens at once."""
    made = [
        new_id("evt", unix_us=MS + micros, entropy=bytes([255 - micros % 256]) * ID_ENTROPY)
        for micros in range(1000)
    ]
    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert made[-1] < new_id("evt", unix_us=2 * MS, entropy=ZERO)


@given(
    unix_us=st.integers(min_value=1_577_836_800_000_000, max_value=2_400_000_000_000_000),
    entropy=st.binary(min_size=ID_ENTROPY, max_size=ID_ENTROPY),
)
def test_a_short_id_says_the_moment_and_leads_back(unix_us: int, entropy: bytes) -> None:
    """Ten characters of a moment: the range that they name holds the id, and no id of another moment."""
    text = new_id("pay", unix_us=unix_us, entropy=entropy)
    short = short_id(text)
    assert len(short) == 10
    found = range_of_short_id(short, "pay")
    assert found is not None
    assert found.first <= text <= found.last
    later = new_id("pay", unix_us=unix_us + 1, entropy=entropy)
    assert short < short_id(later)
    assert later > found.last


def test_what_is_no_short_id_names_nothing() -> None:
    for text in ("", "ABC", "abcdefghij", "AAAAAAAAA-", "AAAAAAAAAAA"):
        assert range_of_short_id(text, "pay") is None
