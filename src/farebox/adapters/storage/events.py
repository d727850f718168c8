"""The outbox in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import MODES, Connection, Row, from_us, to_json, to_us
from farebox.adapters.storage.paging import Filter, page_of
from farebox.domain.access import Tenant
from farebox.domain.events import Event, EventType, Value
from farebox.domain.ids import EventId, MerchantId
from farebox.ports.storage import Page, PageRequest

COLUMNS: LiteralString = "id, merchant_id, mode, type, object_id, sequence, created_at, data"
INSERT: LiteralString = f"INSERT INTO event ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
INSERT_TWO: LiteralString = INSERT + ", ($9, $10, $11, $12, $13, $14, $15, $16)"
FIND: LiteralString = f"SELECT {COLUMNS} FROM event WHERE id = $1 AND merchant_id = $2 AND mode = $3"
PAGE: LiteralString = f"SELECT {COLUMNS} FROM event WHERE merchant_id = $1 AND mode = $2"
NEWEST: LiteralString = "SELECT id FROM event ORDER BY id DESC LIMIT 1"
EXISTS: LiteralString = "SELECT 1 FROM event WHERE id = $1"
PURGE: LiteralString = (
    "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE created_at < $1 ORDER BY id LIMIT $2)"
)
_FILTERS = {"type": Filter("type"), "object_id": Filter("object_id")}

_data = msgspec.json.Decoder(dict[str, Value])


class Events:
    """Implements `ports.storage.Events`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def append(self, events: Sequence[Event]) -> None:
        """Store events; a pair, which most transitions make, goes in one statement."""
        if len(events) == 2:
            await self._connection.execute(INSERT_TWO, (*_values(events[0]), *_values(events[1])))
            return
        for event in events:
            await self._connection.execute(INSERT, _values(event))

    async def find(self, tenant: Tenant, event_id: EventId) -> Event | None:
        """Give an event."""
        row = await self._connection.fetch_one(FIND, (event_id, tenant.merchant_id, tenant.mode))
        return read_event(row) if row else None

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Event]:
        """List events, newest first."""
        return await page_of(self._connection, PAGE, _FILTERS, tenant, page, read_event)

    async def newest(self) -> EventId | None:
        """Give the id of the newest event."""
        row = await self._connection.fetch_one(NEWEST)
        return EventId(row[0]) if row else None

    async def exists(self, event_id: EventId) -> bool:
        """Look for an event."""
        return await self._connection.fetch_one(EXISTS, (event_id,)) is not None

    async def purge(self, older_than: datetime, limit: int) -> int:
        """Delete old events."""
        return await self._connection.execute(PURGE, (to_us(older_than), limit))


def _values(event: Event) -> tuple[str | int, ...]:
    return (
        event.id,
        event.tenant.merchant_id,
        event.tenant.mode,
        event.type,
        event.object_id,
        event.sequence,
        to_us(event.created_at),
        to_json(event.data),
    )


def read_event(row: Row) -> Event:
    """Read a row of `COLUMNS`."""
    return Event(
        id=EventId(row[0]),
        tenant=Tenant(MerchantId(row[1]), MODES[row[2]]),
        type=EventType(row[3]),
        object_id=row[4],
        sequence=row[5],
        created_at=from_us(row[6]),
        data=_data.decode(row[7]),
    )
