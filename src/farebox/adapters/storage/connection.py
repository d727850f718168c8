"""What both engines give the repositories: three ways to run a statement, and values as columns.

Statements are one text for both engines. Parameters are `$1, $2, …` in order of first appearance: PostgreSQL
numbers them by name, SQLite by first appearance, and so a plain tuple binds the same way on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString, Protocol, TypeVar

import msgspec

from farebox.domain.access import Mode

WordT = TypeVar("WordT", bound=StrEnum)

Row = tuple[Any, ...]
Value = str | int | bytes | None
"""A word of a closed list goes in as it is, for it is a string; `by_value` reads it back."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Connection(Protocol):
    """A connection inside a transaction."""

    chain: str
    """The audit chain that this connection appends to."""
    skip_locked: LiteralString
    """What keeps two workers from waiting for each other's rows; empty where there is one writer."""

    async def fetch_one(self, sql: LiteralString, params: Sequence[Value] = ()) -> Row | None:
        """Give the first row."""
        ...

    async def fetch_all(self, sql: LiteralString, params: Sequence[Value] = ()) -> list[Row]:
        """Give every row."""
        ...

    async def execute(self, sql: LiteralString, params: Sequence[Value] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        ...


class ConstraintViolated(Exception):
    """A guard of the schema refused a row; `name` is the guard's, never a value of the row."""

    def __init__(self, name: str) -> None:
        """Name the guard."""
        super().__init__(name)
        self.name = name


def by_value(words: type[WordT]) -> Mapping[str, WordT]:
    """Give a closed list by what stands in a column; asking the enumeration takes ten times as long."""
    return {word.value: word for word in words}


MODES = by_value(Mode)


def to_us(instant: datetime) -> int:
    """Write an instant as microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Read an instant."""
    return EPOCH + timedelta(microseconds=microseconds)


def optional_us(instant: datetime | None) -> int | None:
    """Write an instant that may be missing."""
    return None if instant is None else to_us(instant)


def optional_from_us(microseconds: int | None) -> datetime | None:
    """Read an instant that may be missing."""
    return None if microseconds is None else from_us(microseconds)


_facts = msgspec.json.Decoder(dict[str, object])
read_facts = _facts.decode
"""Read the facts that go with a row."""

_encoder = msgspec.json.Encoder(order="deterministic")


def to_json(value: object) -> str:
    """Write a document."""
    return _encoder.encode(value).decode()
