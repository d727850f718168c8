"""Documents and taken references in SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import LiteralString

from farebox.adapters.storage.connection import (
    Connection,
    ConstraintViolated,
    Row,
    Value,
    from_us,
    optional_from_us,
    optional_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.adapters.storage.paging import Filter, page_of
from farebox.domain.access import Mode, Tenant
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import DocumentId, MerchantId
from farebox.ports.storage import Page, PageRequest

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, kind, state, parent_id, name, facts, created_at, updated_at, deleted_at, version"
)
INSERT: LiteralString = (
    f"INSERT INTO document ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
_OF_OWNER: LiteralString = f"SELECT {_COLUMNS} FROM document WHERE merchant_id = $1 AND mode = $2"
FIND: LiteralString = _OF_OWNER + " AND kind = $3 AND id = $4"
FIND_BY_NAME: LiteralString = _OF_OWNER + " AND kind = $3 AND name = $4"
UPDATE: LiteralString = (
    "UPDATE document SET state = $1, parent_id = $2, name = $3, facts = $4, updated_at = $5, deleted_at = $6,"
    " version = version + 1 WHERE merchant_id = $7 AND mode = $8 AND kind = $9 AND id = $10 AND version = $11"
)
PAGE: LiteralString = _OF_OWNER + " AND deleted_at IS NULL"
_FILTERS = {
    "kind": Filter("kind"),
    "parent_id": Filter("parent_id"),
    "state": Filter("state"),
    "name": Filter("name"),
}

# A reference whose time is over is taken over by the same statement.
TAKE: LiteralString = (
    "INSERT INTO reference_use (merchant_id, mode, scope, reference, until) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (merchant_id, mode, scope, reference) DO UPDATE SET until = excluded.until"
    " WHERE reference_use.until <= $6"
)
RELEASE: LiteralString = (
    "DELETE FROM reference_use WHERE merchant_id = $1 AND mode = $2 AND scope = $3 AND reference = $4"
)
PURGE: LiteralString = (
    "DELETE FROM reference_use WHERE (merchant_id, mode, scope, reference) IN"
    " (SELECT merchant_id, mode, scope, reference FROM reference_use WHERE until <= farebox_now() LIMIT $1)"
)


class Documents:
    """Implements `ports.storage.Documents`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, document: Document) -> None:
        """Store a document."""
        values = (
            document.id,
            *_place(document.tenant, document.kind),
            document.state,
            document.parent_id,
            document.name,
            to_json(document.facts),
            to_us(document.created_at),
            to_us(document.updated_at),
            optional_us(document.deleted_at),
            document.version,
        )
        await self._guarded(INSERT, values)

    async def find(self, tenant: Tenant, kind: str, document_id: DocumentId) -> Document | None:
        """Give a document."""
        row = await self._connection.fetch_one(FIND, (*_place(tenant, kind), document_id))
        return _document(row) if row else None

    async def find_by_name(self, tenant: Tenant, kind: str, name: str) -> Document | None:
        """Give the document that has, or had, this name."""
        row = await self._connection.fetch_one(FIND_BY_NAME, (*_place(tenant, kind), name))
        return _document(row) if row else None

    async def update(self, document: Document) -> bool:
        """Write a document where the version is the one given."""
        values = (
            document.state,
            document.parent_id,
            document.name,
            to_json(document.facts),
            to_us(document.updated_at),
            optional_us(document.deleted_at),
            *_place(document.tenant, document.kind),
            document.id,
            document.version,
        )
        return await self._guarded(UPDATE, values) == 1

    async def page(self, tenant: Tenant, kind: str, page: PageRequest) -> Page[Document]:
        """List documents of a kind, newest first."""
        narrowed = replace(page, filters={"kind": kind, **page.filters})
        return await page_of(self._connection, PAGE, _FILTERS, tenant, narrowed, _document)

    async def _guarded(self, sql: LiteralString, values: tuple[Value, ...]) -> int:
        try:
            return await self._connection.execute(sql, values)
        except ConstraintViolated as refusal:
            if refusal.name != "document_name":
                raise
            raise Conflict(ErrorCode.NAME_ALREADY_USED) from None


class References:
    """Implements `ports.storage.References`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def take(
        self, tenant: Tenant, scope: str, reference: str, *, now: datetime, until: datetime
    ) -> bool:
        """Take a reference that nobody has."""
        values = (tenant.merchant_id, tenant.mode.value, scope, reference, to_us(until), to_us(now))
        return await self._connection.execute(TAKE, values) == 1

    async def release(self, tenant: Tenant, scope: str, reference: str) -> None:
        """Let a reference go."""
        await self._connection.execute(RELEASE, (tenant.merchant_id, tenant.mode, scope, reference))

    async def purge(self, limit: int) -> int:
        """Forget references whose time is over."""
        return await self._connection.execute(PURGE, (limit,))


def _place(tenant: Tenant, kind: str) -> tuple[Value, Value, Value]:
    return tenant.merchant_id, tenant.mode.value, kind


def _document(row: Row) -> Document:
    return Document(
        id=DocumentId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        kind=row[3],
        state=row[4],
        parent_id=row[5],
        name=row[6],
        facts=read_facts(row[7]),
        created_at=from_us(row[8]),
        updated_at=from_us(row[9]),
        deleted_at=optional_from_us(row[10]),
        version=row[11],
    )
