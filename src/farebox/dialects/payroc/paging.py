"""Lists: cursors, filters that no column has, and links that can be followed.

Filters over what a dialect keeps are looked at row by row: `scan` reads page after page until one page of
what fits is full. It is a chain of commands, so it stays a pure function of what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from farebox.dialects.dialect import Call
from farebox.dialects.payroc.wire.common import Link, PageOut, PageQuery
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import range_of_short_id
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import Command, Give, Then

T = TypeVar("T")
V = TypeVar("V")

LIMIT = 10
LIMIT_MAX = 100
_CHUNK = 100


def page_request(query: PageQuery, prefix: str) -> PageRequest:
    """Read cursors that are short ids.

    Raises:
        InvalidRequest: both cursors, or one that is none.
    """
    after, before = check_cursors(query)
    return PageRequest(
        limit=limit_of(query),
        after=_cursor(after, prefix, "after", is_last=False),
        before=_cursor(before, prefix, "before", is_last=True),
    )


def limit_of(query: PageQuery) -> int:
    """Give the page size."""
    return min(query.limit or LIMIT, LIMIT_MAX)


def check_cursors(query: PageQuery) -> tuple[str | None, str | None]:
    """Give `after` and `before`.

    Raises:
        InvalidRequest: both are there.
    """
    if query.after is not None and query.before is not None:
        raise InvalidRequest(
            ErrorCode.PARAMETER_INVALID, param="before", detail="Give 'after' or 'before', not both."
        )
    return query.after, query.before


def _cursor(text: str | None, prefix: str, name: str, *, is_last: bool) -> str | None:
    if text is None:
        return None
    ids = range_of_short_id(text, prefix)
    if ids is None:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=name)
    return ids.last if is_last else ids.first


@dataclass(frozen=True, slots=True)
class Found:
    """Rows so far of a scan that goes on at `next_request`."""

    rows: Sequence[Any]
    request: PageRequest


def scan(
    list_: Callable[[PageRequest], Command[Page[T]]],
    request: PageRequest,
    keep: Callable[[T], bool],
    id_of: Callable[[T], str],
) -> Command[Page[T]]:
    """Give the page of what `keep` keeps, in the direction that is asked for.

    Args:
        list_: lists everything.
        request: which page.
        keep: the filter.
        id_of: the id that the list is ordered by.
    """
    return _scan(list_, request, keep, id_of, (), replace(request, limit=_CHUNK))


def _scan(
    list_: Callable[[PageRequest], Command[Page[T]]],
    request: PageRequest,
    keep: Callable[[T], bool],
    id_of: Callable[[T], str],
    found: tuple[T, ...],
    part: PageRequest,
) -> Command[Page[T]]:
    is_backwards = part.before is not None

    def then(page: Page[T]) -> Command[Page[T]]:
        kept = tuple(item for item in page.items if keep(item))
        rows = kept + found if is_backwards else found + kept
        if len(rows) <= request.limit and page.has_more:
            edge = id_of(page.items[0] if is_backwards else page.items[-1])
            further = replace(part, before=edge) if is_backwards else replace(part, after=edge)
            return _scan(list_, request, keep, id_of, rows, further)
        has_more = len(rows) > request.limit
        shown = rows[-request.limit :] if is_backwards else rows[: request.limit]
        return Give(Page(shown, has_more))

    return Then(list_(part), then)


def write_page(
    page: Page[T], call: Call[Any, Any], write: Callable[[T], V], cursor_of: Callable[[T], str]
) -> PageOut[V]:
    """Write a page with absolute links that repeat the filters."""
    query: PageQuery = call.query
    is_backwards = query.before is not None
    has_next = bool(page.items) and (is_backwards or page.has_more)
    has_previous = bool(page.items) and (page.has_more if is_backwards else query.after is not None)
    limit = limit_of(query)
    links: list[Link] = []
    if has_next:
        links.append(_link(call, "next", limit, after=cursor_of(page.items[-1])))
    if has_previous:
        links.append(_link(call, "previous", limit, before=cursor_of(page.items[0])))
    return PageOut(
        limit=limit,
        count=len(page.items),
        has_more=has_next,
        data=[write(item) for item in page.items],
        links=links,
    )


def _link(call: Call[Any, Any], rel: str, limit: int, **cursor: str) -> Link:
    pairs = parse_qsl(call.raw_query.decode("latin-1"), keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] not in {"limit", "before", "after"}]
    query = urlencode([*kept, ("limit", str(limit)), *cursor.items()])
    return Link(rel=rel, method="get", href=f"{call.url}?{query}")
