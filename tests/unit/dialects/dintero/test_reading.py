"""What programs of four shops write, read leniently."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from farebox.dialects.dialect import WireRefusal
from farebox.dialects.dintero.configuration import DEFAULT, card_product, laid_over, shown
from farebox.dialects.dintero.names import parse_public_id, parse_token_id, public_id, token_id
from farebox.dialects.dintero.reading import instant_in, listed, minor

ID = "pay_01kwf3w9g6y8kz4q6a3p2n7m5t"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-09-21T14:13:20.402Z", datetime(2026, 9, 21, 14, 13, 20, 402_000, UTC)),
        ("2026-09-21T14:13:20", datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        ("2026-09-21T16:13:20+02:00", datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        ("2026-09-21T12:43:20-0130", datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        ("2026-09-21T14:13:20.7Z", datetime(2026, 9, 21, 14, 13, 20, 700_000, UTC)),
        ("2026-09-21", datetime(2026, 9, 21, tzinfo=UTC)),
    ],
)
def test_instants(text: str, at: datetime) -> None:
    """UTC where no zone is named, and any number of digits behind the second."""
    assert instant_in(text, "x") == at


def test_a_bare_upper_bound_is_the_end_of_its_day() -> None:
    """`created_at.lte=2026-09-21` holds the whole day."""
    assert instant_in("2026-09-21", "x", ends=True) > datetime(2026, 9, 21, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-09-21T25:00:00Z", "0001-01-01T00:00:00+09:00"]
)
def test_what_is_no_instant(text: str) -> None:
    """It is refused by name, and never echoed."""
    with pytest.raises(WireRefusal) as refusal:
        instant_in(text, "expires_at")
    assert refusal.value.problems[0].param == "expires_at"


def test_amounts_with_the_noise_of_floats() -> None:
    """PHP's 1998.9999999999998 is 1999; 1998.5 is nothing that can be paid."""
    assert minor(1998.9999999999998, "amount") == 1999
    for amount in (1998.5, -1, 2**31):
        with pytest.raises(WireRefusal):
            minor(amount, "amount")


def test_lists_are_repeated_or_have_commas() -> None:
    """Both forms are documented."""
    assert listed(["A,B", " C "]) == {"A", "B", "C"}
    assert listed(None) == frozenset()


def test_ids_are_the_same_uuid_in_other_letters() -> None:
    """Nothing is stored to translate them, and another account's id is nobody's."""
    public = public_id("T20044310", ID)
    assert parse_public_id(public, "T20044310", "pay") == ID
    assert parse_public_id(public, "T20044311", "pay") is None
    for text in ("T20044310", "T20044310.", f"{public}x", public.replace(".", "-")):
        assert parse_public_id(text, "T20044310", "pay") is None
    stored = ID.replace("pay", "rt")
    assert parse_token_id(token_id(stored)) == stored
    assert parse_token_id("x" * 32) is None


def test_a_request_is_laid_over_its_profile_at_every_depth() -> None:
    """What the request does not say stays as the profile has it."""
    over = {"dintero_psp": {"creditcard": {"generate_payment_token": True}}, "auto_capture": True}
    merged = laid_over(DEFAULT, over)
    assert merged["dintero_psp"] == {"creditcard": {"enabled": True, "generate_payment_token": True}}
    assert merged["auto_capture"] is True
    block = shown(merged)["dintero_psp"]
    assert (block["type"], block["creditcard"]["type"]) == ("payment_type", "payment_product_type")


def test_which_product_the_card_form_is_for() -> None:
    """The stored card's, then the default one, then the first that is enabled; none where none is."""
    both = {
        "bambora": {"creditcard": {"enabled": True}},
        "payex": {"creditcard": {"enabled": True}},
        "default_payment_type": "payex.creditcard",
    }
    for configuration, preferred, found in (
        (both, "bambora.creditcard", "bambora.creditcard"),
        (both, "dintero_psp.creditcard", "payex.creditcard"),
        ({**both, "default_payment_type": "vipps"}, None, "bambora.creditcard"),
        ({"active_payment_types": {"enabled": True}}, None, "payex.creditcard"),
    ):
        product = card_product(configuration, preferred)
        assert product is not None
        assert product.type == found
    assert card_product({"vipps": {"enabled": True}}, None) is None
