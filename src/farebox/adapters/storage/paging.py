"""Lists by cursor: newest first, keyed by the id, which is ordered by time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import LiteralString, TypeVar

from farebox.adapters.storage.connection import Connection, Row, Value
from farebox.domain.access import Tenant
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.ports.storage import Page, PageRequest

T = TypeVar("T")

# Parameter names by position; a list has at most a tenant, two filters, a cursor and a limit.
_PLACES: tuple[LiteralString, ...] = ("$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9")


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
) -> Page[T]:
    """Run a list.

    Args:
        connection: where.
        select: the statement up to its tenant condition, with `$1` and `$2` taken.
        filters: by which columns it may be narrowed.
        tenant: whose rows.
        page: which part.
        read: makes a value of a row.

    Raises:
        InvalidRequest: `parameter_unknown` for a filter that the list does not have.
    """
    sql, params = select, [tenant.merchant_id, tenant.mode]
    values: list[Value] = list(params)
    for name, value in page.filters.items():
        if name not in filters:
            raise InvalidRequest(ErrorCode.PARAMETER_UNKNOWN, param=None)
        sql = sql + " AND " + filters[name].column + " = " + _PLACES[len(values)]
        values.append(value)
    order: LiteralString = " ORDER BY id DESC LIMIT "
    if page.after is not None:
        sql = sql + " AND id < " + _PLACES[len(values)]
        values.append(page.after)
    elif page.before is not None:
        sql = sql + " AND id > " + _PLACES[len(values)]
        values.append(page.before)
        order = " ORDER BY id ASC LIMIT "
    sql = sql + order + _PLACES[len(values)]
    rows = await connection.fetch_all(sql, (*values, page.limit + 1))
    items = [read(row) for row in rows[: page.limit]]
    if page.before is not None:
        items.reverse()
    return Page(items, has_more=len(rows) > page.limit)
