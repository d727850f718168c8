"""Ids: shape, order, and what is not an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.domain.ids import (
    ID_ENTROPY,
    Numbering,
    base32,
    base58,
    has_shape,
    id_of_uuid,
    new_id,
    parse_base58,
    range_of_short_id,
    short_id,
    uuid_number,
)

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


def test_an_id_has_a_base58_form_that_sorts_alike() -> None:
    """A bijection: what one gateway calls an id is the same UUID in other letters."""
    ids = [
        new_id("pay", unix_us=time * MS, entropy=ONES if time % 2 else ZERO) for time in (0, 1, 2, 2**48 - 1)
    ]
    short = [base58(uuid_number(one)) for one in ids]
    assert short == sorted(short)
    assert {len(one) for one in short} == {22}
    for one, text in zip(ids, short, strict=True):
        uuid = parse_base58(text)
        assert uuid is not None
        assert id_of_uuid("pay", uuid) == one


def test_what_is_no_base58_id_is_nothing() -> None:
    """Other lengths, letters that base58 leaves out, and numbers beyond 128 bits."""
    for text in ("", "1" * 21, "1" * 23, "1" * 21 + "0", "1" * 21 + "l", "z" * 22):
        assert parse_base58(text) is None
    assert parse_base58("1" * 22) == 0


@pytest.mark.parametrize(("random_bits", "digits"), [(0, 16), (10, 19)])
def test_a_number_stands_for_a_range_of_ids(random_bits: int, digits: int) -> None:
    """What has the number lies in its range, and neighbours of other numbers do not."""
    numbering = Numbering(random_bits)
    times = [(1_764_000_000_000, 0), (1_764_000_000_000, 1), (1_764_000_000_000, 999), (2_047_000_000_000, 5)]
    made = [
        new_id("pay", unix_us=time * MS + micros, entropy=entropy)
        for time, micros in times
        for entropy in (ZERO, ONES)
    ]
    for identifier in made:
        number = numbering.number_of(identifier)
        assert len(str(number)) == digits
        bounds = numbering.range_of("pay", number)
        assert bounds is not None
        inside = {one for one in made if bounds[0] <= one <= bounds[1]}
        assert inside == {one for one in made if numbering.number_of(one) == number}
        assert numbering.number_of(bounds[0]) == numbering.number_of(bounds[1]) == number


def test_numbers_grow_with_time_and_stay_exact_in_json() -> None:
    """A reader whose numbers are doubles keeps every plain number until September 2039."""
    numbers = [
        Numbering().number_of(new_id("op", unix_us=1_764_000_000_000 * MS + micros, entropy=ONES))
        for micros in range(1000)
    ]
    assert numbers == sorted(set(numbers)), "one for every microsecond"
    last_ms = 2**53 // 4096 - 1
    assert Numbering().number_of(new_id("op", unix_us=last_ms * MS + 999, entropy=ONES)) < 2**53


@pytest.mark.parametrize("number", [-1, 2**70])
def test_what_no_id_can_have_is_no_number(number: int) -> None:
    """Numbers come from outside: there is nothing behind these, and asking costs no query."""
    assert Numbering().range_of("pay", number) is None


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
