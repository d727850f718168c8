"""Lists by cursor: newest first, keyed by the id, which is ordered by time behind its prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import LiteralString, TypeVar

from farebox.adapters.storage.connection import Connection, Row, Value, to_us
from farebox.domain.access import Tenant
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.ports.storage import Page, PageRequest

T = TypeVar("T")

# Parameter names by position: those of a tenant, five filters, two instants, two bounds and a limit.
_PLACES: tuple[LiteralString, ...] = (
    "$1",
    "$2",
    "$3",
    "$4",
    "$5",
    "$6",
    "$7",
    "$8",
    "$9",
    "$10",
    "$11",
    "$12",
)
_ABOVE_EVERY_ID = "~"
_AFTER_UNDERSCORE = "`"
"""The character behind `_`: what begins with a prefix and `_` sorts before the prefix and this one."""


@frozen
class Filter:
    """A column that a list may be narrowed by."""

    column: LiteralString


async def page_of(
    connection: Connection,
    select: LiteralString,
    filters: Mapping[str, Filter],
    tenant: Tenant,
    page: PageRequest,
    read: Callable[[Row], T],
    prefixes: Sequence[str] = (),
) -> Page[T]:
    """Run a list.

    Ids are ordered by time only among those of one prefix, so a list of several kinds of things asks for
    each of them and merges the answers.

    Args:
        connection: where.
        select: the statement up to its tenant condition, with `$1` and `$2` taken; the id comes first.
        filters: by which columns it may be narrowed.
        tenant: whose rows.
        page: which part.
        read: makes a value of a row.
        prefixes: of the ids in the list, where there are several.

    Raises:
        InvalidRequest: `parameter_unknown` for a filter that the list does not have.
    """
    sql, values = select, list[Value]((tenant.merchant_id, tenant.mode))
    for name, value in page.filters.items():
        if name not in filters:
            raise InvalidRequest(ErrorCode.PARAMETER_UNKNOWN, param=None)
        sql = sql + " AND " + filters[name].column + " = " + _PLACES[len(values)]
        values.append(value)
    if page.since is not None:
        sql = sql + " AND created_at >= " + _PLACES[len(values)]
        values.append(to_us(page.since))
    if page.until is not None:
        sql = sql + " AND created_at < " + _PLACES[len(values)]
        values.append(to_us(page.until))
    is_upwards = page.after is None and page.before is not None
    low, high, limit = _PLACES[len(values) : len(values) + 3]
    order: LiteralString = " ORDER BY id ASC LIMIT " if is_upwards else " ORDER BY id DESC LIMIT "
    sql = sql + " AND id > " + low + " AND id < " + high + order + limit
    rows: list[Row] = []
    for low_id, high_id in [_bounds(prefix, page) for prefix in prefixes] or [_cursor(page)]:
        rows += await connection.fetch_all(sql, (*values, low_id, high_id, page.limit + 1))
    if len(prefixes) > 1:
        rows.sort(key=lambda row: _time_of(row[0]), reverse=not is_upwards)
    items = [read(row) for row in rows[: page.limit]]
    if is_upwards:
        items.reverse()
    return Page(items, has_more=len(rows) > page.limit)


def _cursor(page: PageRequest) -> tuple[str, str]:
    """Give the ids between which the page of a list with one prefix lies."""
    if page.after is not None:
        return "", page.after
    return page.before or "", _ABOVE_EVERY_ID


def _bounds(prefix: str, page: PageRequest) -> tuple[str, str]:
    """Give the ids of a prefix between which the page lies."""
    low, high = f"{prefix}_", prefix + _AFTER_UNDERSCORE
    if page.after is not None:
        return low, low + _time_of(page.after)
    if page.before is not None:
        return low + _time_of(page.before), high
    return low, high


def _time_of(id_: str) -> str:
    """Give the part of an id that is ordered by time."""
    return id_.rpartition("_")[2]
