"""Ids: shape, order, and what is not an id."""

from __future__ import annotations

import pytest

from farebox.domain.ids import (
    ID_ENTROPY,
    base32,
    base58,
    has_shape,
    id_of_uuid,
    new_id,
    parse_base58,
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
