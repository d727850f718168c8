"""Facts go back as they came, and are no place for card data (SEC-01)."""

from __future__ import annotations

import pytest

from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.facts import check_facts

NUMBER = "4242424242424242"


@pytest.mark.parametrize(
    "facts",
    [
        {"note": NUMBER},
        {"note": f"card {NUMBER[:4]} {NUMBER[4:8]} {NUMBER[8:12]} {NUMBER[12:]} was used"},
        {"note": int(NUMBER)},
        {"lines": [{"text": [NUMBER]}]},
        {"lines": {NUMBER: 1}},
        {NUMBER: 1},
    ],
)
def test_a_card_number_is_refused_wherever_it_stands(facts: dict[str, object]) -> None:
    """At any depth, as text or number, as value or name; and it is not echoed."""
    with pytest.raises(InvalidRequest) as refused:
        check_facts(facts)
    assert refused.value.code is ErrorCode.METADATA_INVALID
    assert NUMBER not in f"{refused.value.param} {refused.value.message}"


def test_everything_else_is_kept_as_it_is() -> None:
    """Texts, numbers, truth values, nothing, lists and objects."""
    facts = {"a": "x", "b": 12, "c": 1.5, "d": True, "e": None, "f": ["y", {"g": 1}]}
    assert check_facts(facts) is facts
