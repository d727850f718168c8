"""Facts: what a caller wants back with an object, kept as it came.

Every gateway has fields that no rule of ours looks at (a descriptor, shipping details, a risk score) and
that its programs read back. They are a JSON object beside the thing they belong to. They are personal
data like a customer's name, and they are no place for card data: `check_facts` refuses what looks like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from farebox.domain.cards import contains_pan
from farebox.domain.errors import ErrorCode, InvalidRequest

Facts = Mapping[str, object]
"""A JSON object: text, numbers, truth values, nothing, lists and objects of the same."""


def check_facts(facts: Facts) -> Facts:
    """Give the facts back unless a text in them holds a card number.

    Raises:
        InvalidRequest: `metadata_invalid`, naming the outermost field.
    """
    for name, value in facts.items():
        if _holds_pan(value) or contains_pan(name):
            raise InvalidRequest(ErrorCode.METADATA_INVALID, param=name if name.isidentifier() else None)
    return facts


def _holds_pan(value: object) -> bool:
    if isinstance(value, str):
        return contains_pan(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return contains_pan(str(value))
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return any(contains_pan(name) or _holds_pan(item) for name, item in items)
    if isinstance(value, Sequence):
        return any(_holds_pan(item) for item in cast("Sequence[object]", value))
    return False
