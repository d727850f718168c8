"""Bodies: the quick way to read one never differs from the strict way (SEC-18)."""

from __future__ import annotations

import json

from hypothesis import example, given, reject
from hypothesis import strategies as st

from farebox.dialects.codec import (
    _NotPlain,  # pyright: ignore[reportPrivateUsage]
    _read_plainly,  # pyright: ignore[reportPrivateUsage]
    _read_strictly,  # pyright: ignore[reportPrivateUsage]
)

_NUMBERS = st.integers() | st.integers(-(10**22), 10**22) | st.floats()
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(st.sampled_from(["a", "b", "a:b"]) | st.text(max_size=3), inner), max_size=4)
    ),
    max_leaves=20,
)


def write(value: object, draw_space: st.DataObject) -> str:
    """Write a value as JSON; a list of pairs becomes an object, perhaps with a name twice."""
    space = draw_space.draw(st.sampled_from(["", "", "", " "]))
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        members = [
            f"{json.dumps(name, ensure_ascii=False)}{space}:{write(item, draw_space)}" for name, item in value
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item, draw_space) for item in value) + "]"
    return json.dumps(value, ensure_ascii=draw_space.draw(st.booleans()))


def agree(body: bytes) -> None:
    try:
        plainly = _read_plainly(body)
    except _NotPlain:
        return
    assert plainly == _read_strictly(body)


@given(_VALUES, st.data())
def test_what_is_read_quickly_is_what_strict_reading_gives(value: object, data: st.DataObject) -> None:
    """Names given twice, blanks, colons in texts, numbers of any size: quick reading gives the same."""
    try:
        body = write(value, data).encode()
    except UnicodeEncodeError:
        reject()
    agree(body)


@given(st.binary(max_size=60))
@example(b'{"a" :1,"a":2}')
@example(b'{"a":1,"a" :2}')
@example(b'{"a":{"b":1,"b":2}}')
@example(b'{"a":[{"b":1,"b":2}],"c":":"}')
@example(b'{"a":12345678901234567890}')
@example(b'{"a":-0}')
@example(b'{"a":1e400}')
@example(b"\xef\xbb\xbf{}")
def test_no_bytes_are_read_quickly_that_strict_reading_refuses(body: bytes) -> None:
    """A body that is wrong is never right for the quick reader."""
    agree(body)


def test_the_bodies_that_clients_send_are_read_quickly() -> None:
    """The control: the quick reader does read something, and refuses a name that stands there twice."""
    assert _read_plainly(b'{"a":{"b":"c"},"d":[1,{"e":null}]}') == {"a": {"b": "c"}, "d": [1, {"e": None}]}
    for body in (b'{"a":1,"a":2}', b'{"a":{"b":1,"b":2}}', b'[{"a":1},{"a" :1,"a":2}]'):
        try:
            _read_plainly(body)
        except _NotPlain:
            continue
        raise AssertionError(body)
