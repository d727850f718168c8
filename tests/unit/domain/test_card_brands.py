"""The brand table: well formed, sourced, and the narrowest range wins."""

from __future__ import annotations

import pytest

from farebox.domain.card_brands import BrandTable, CardBrand, brand_table

REQUIRED = {
    "visa",
    "mastercard",
    "amex",
    "discover",
    "diners",
    "jcb",
    "unionpay",
    "maestro",
    "elo",
    "hipercard",
    "mir",
    "uatp",
    "dankort",
    "bancontact",
    "verve",
    "rupay",
    "cabal",
    "naranja",
    "oca",
}


def names(digits: str, length: int = 16) -> list[str]:
    padded = digits.ljust(length, "0")
    return [brand.id for brand in brand_table().brands_by_length(padded).get(length, ())]


def test_the_table_holds_the_brands_we_promise() -> None:
    """The documents list these brands by name."""
    assert REQUIRED <= set(brand_table().brands)


@pytest.mark.parametrize("brand", brand_table().brands.values(), ids=lambda brand: brand.id)
def test_every_brand_is_complete(brand: CardBrand) -> None:
    """A brand without a source is a guess; lengths and groups must make sense for a number."""
    assert brand.source
    assert brand.name
    assert brand.lengths == tuple(sorted(set(brand.lengths)))
    assert 12 <= brand.lengths[0]
    assert brand.lengths[-1] <= 19
    assert set(brand.cvc_lengths) <= {3, 4}
    assert list(brand.gaps) == sorted(set(brand.gaps))
    assert brand.gaps[-1] < brand.lengths[-1]


def test_pieces_are_disjoint_and_cover_every_prefix() -> None:
    """One bisection must be enough: the starts ascend from zero, with one piece each."""
    table = brand_table()
    assert table.starts[0] == 0
    assert list(table.starts) == sorted(set(table.starts))
    assert len(table.starts) == len(table.pieces)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("4", ["visa"]),
        ("401178", ["elo"]),
        ("401177", ["visa"]),
        ("401180", ["visa"]),
        ("2220", []),
        ("2221", ["mastercard"]),
        ("2720", ["mastercard"]),
        ("2721", []),
        ("542990", ["mastercard"]),
        ("542991", ["oca"]),
        ("542992", ["mastercard"]),
        ("4571", ["visa", "dankort"]),
        ("5019", ["dankort"]),
        ("3560", ["jcb", "rupay"]),
        ("622125", ["unionpay"]),
        ("622126", ["unionpay", "discover"]),
        ("622925", ["unionpay", "discover"]),
        ("622926", ["unionpay"]),
        ("628026", ["passcard"]),
        ("6703", ["bancontact", "maestro"]),
        ("63737423", ["hiper"]),
        ("63737424", ["maestro"]),
        ("99999999", []),
        ("00000000", []),
    ],
)
def test_the_narrowest_range_names_the_brand(digits: str, expected: list[str]) -> None:
    """Both edges of a range, brands inside brands, and cards with two marks."""
    assert names(digits) == expected


def test_a_narrow_range_yields_where_it_does_not_allow_the_length() -> None:
    """Elo numbers have 16 digits; a Visa number of 13 with the same first digits is a Visa number."""
    assert names("401178", 16) == ["elo"]
    assert names("401178", 13) == ["visa"]


def test_an_exception_changes_the_length_of_its_range_only() -> None:
    """A gateway's 16-digit Amex test number is taken, other Amex numbers keep 15."""
    assert names("34000000", 16) == ["amex"]
    assert names("34000000", 15) == ["amex"]
    assert names("34000001", 16) == []
    assert names("34000001", 15) == ["amex"]


def brand_text(name: str, fields: str) -> str:
    return (
        f'[[brands]]\nid = "{name}"\nname = "{name}"\n{fields}\ngaps = [4]\n'
        'cvc_name = "CVC"\ncvc_lengths = [3]\nsource = "test"\n'
    )


def test_a_brand_described_twice_is_refused() -> None:
    """The data file cannot contradict itself silently."""
    one = brand_text("a", 'ranges = ["4"]\nlengths = [16]')
    assert set(BrandTable.parse(one).brands) == {"a"}
    with pytest.raises(AssertionError):
        BrandTable.parse(one + one)


def test_a_brand_that_only_shares_a_card_never_names_it() -> None:
    """Where the naming brand does not allow the length, the one that shares the card does not either."""
    table = BrandTable.parse(
        brand_text("a", 'ranges = ["4"]\nlengths = [16]')
        + brand_text("b", 'ranges = ["5"]\ncandidates = ["4"]\nlengths = [16, 19]')
    )
    found = table.brands_by_length("40000000")
    assert [brand.id for brand in found[16]] == ["a", "b"]
    assert 19 not in found
    assert 19 in table.brands_by_length("50000000")
