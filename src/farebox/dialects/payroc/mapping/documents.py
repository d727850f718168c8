"""Things kept by a name of the merchant's own, or by the moment they were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from farebox.dialects.payroc.paging import check_cursors, limit_of, page_request, scan
from farebox.dialects.payroc.wire.common import PageQuery
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import short_id
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import Attempt, Command, Give, Then


def by_name(kind: str, name: str) -> Command[Document]:
    """Find a document by the merchant's name for it."""
    return commands.GetDocument(kind, name, by_name=True)


def short(document: Document) -> str:
    """Give a document's id as the protocol writes it."""
    return short_id(document.id)


def list_by_name(
    kind: str, parent: str | None, query: PageQuery, keep: Callable[[Document], bool]
) -> Command[Page[Document]]:
    """List documents whose cursors are the merchant's names.

    Raises, when it runs:
        InvalidRequest: a cursor that names nothing.
    """
    after, before = check_cursors(query)

    def at_cursor(found: Document | None) -> Command[Page[Document]]:
        if found is None and (after is not None or before is not None):
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="after" if after else "before")
        edge = found.id if found else None
        request = PageRequest(limit_of(query), edge if after else None, edge if before else None)
        return scan(_list(kind, parent), request, keep, lambda document: document.id)

    cursor = after or before
    first: Command[Document | None] = Give(None)
    if cursor is not None:
        first = Attempt(by_name(kind, cursor))
    return Then(first, at_cursor)


def list_by_id(
    kind: str, parent: str | None, query: PageQuery, keep: Callable[[Document], bool]
) -> Command[Page[Document]]:
    """List documents whose cursors are short ids."""
    return scan(_list(kind, parent), page_request(query, "doc"), keep, lambda document: document.id)


def _list(kind: str, parent: str | None) -> Callable[[PageRequest], Command[Page[Document]]]:
    filters: dict[str, str | int | tuple[str, ...]] = {} if parent is None else {"parent_id": parent}

    def list_(request: PageRequest) -> Command[Page[Document]]:
        return commands.ListDocuments(kind, replace(request, filters=filters))

    return list_
