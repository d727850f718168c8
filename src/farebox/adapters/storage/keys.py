"""Wrapped keys and counts of card shapes in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from farebox.adapters.storage.connection import Connection, Row, Value, from_us, to_us
from farebox.domain.access import Mode, Tenant
from farebox.domain.ids import MerchantId
from farebox.ports.keys import KeyRecord, KeyState

_COLUMNS: LiteralString = (
    "key_id, kind, algorithm, merchant_id, mode, epoch, state, created_at, retires_at, wrapped_by,"
    " wrapped, mac"
)
LOAD_ALL: LiteralString = f"SELECT {_COLUMNS} FROM vault_key ORDER BY created_at, key_id"
INSERT: LiteralString = (
    f"INSERT INTO vault_key ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
COMPARE_AND_SET: LiteralString = (
    "UPDATE vault_key SET state = $1, retires_at = $2, wrapped_by = $3, wrapped = $4, mac = $5"
    " WHERE key_id = $6 AND mac = $7"
)
USAGE: LiteralString = "SELECT COUNT(*) FROM stored_token WHERE key_id = $1"
# Asked again and again, it jumps from key to key in the index, where DISTINCT would read every credential.
NEXT_IN_USE: LiteralString = "SELECT key_id FROM stored_token WHERE key_id > $1 ORDER BY key_id LIMIT 1"

NOTE_SHAPE: LiteralString = (
    "INSERT INTO card_shape (merchant_id, mode, day, shape, fingerprint) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (merchant_id, mode, day, shape, fingerprint) DO NOTHING"
)
COUNT_SHAPE: LiteralString = (
    "SELECT COUNT(*) FROM card_shape WHERE merchant_id = $1 AND mode = $2 AND day = $3 AND shape = $4"
)
PURGE_SHAPES: LiteralString = "DELETE FROM card_shape WHERE day < $1"


class Keys:
    """Implements `ports.keys.KeyRepository`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def load_all(self) -> Sequence[KeyRecord]:
        """Give every key row."""
        return [_record(row) for row in await self._connection.fetch_all(LOAD_ALL)]

    async def insert(self, record: KeyRecord) -> None:
        """Store a new key."""
        values: tuple[Value, ...] = (
            record.key_id,
            record.kind,
            record.algorithm,
            record.merchant_id,
            record.mode,
            record.epoch,
            record.state,
            to_us(record.created_at),
            to_us(record.retires_at),
            record.wrapped_by,
            record.wrapped,
            record.mac,
        )
        await self._connection.execute(INSERT, values)

    async def compare_and_set(self, old: KeyRecord, new: KeyRecord) -> bool:
        """Replace a row that nobody has replaced since."""
        changed = await self._connection.execute(
            COMPARE_AND_SET,
            (
                new.state,
                to_us(new.retires_at),
                new.wrapped_by,
                new.wrapped,
                new.mac,
                old.key_id,
                old.mac,
            ),
        )
        return changed == 1

    async def usage(self, key_id: bytes) -> int:
        """Count the record keys that this key wraps."""
        row = await self._connection.fetch_one(USAGE, (key_id,))
        return row[0] if row else 0

    async def in_use(self) -> Sequence[bytes]:
        """Give the id of every key that wraps a record key."""
        found: list[bytes] = []
        while row := await self._connection.fetch_one(NEXT_IN_USE, (found[-1] if found else b"",)):
            found.append(row[0])
        return found


class Probing:
    """Implements `ports.storage.Probing`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def count(self, tenant: Tenant, bin_and_last_four: str, day: int, fingerprint: bytes) -> int:
        """Note a card and give how many of its shape there are today."""
        key = (tenant.merchant_id, tenant.mode, day, bin_and_last_four)
        await self._connection.execute(NOTE_SHAPE, (*key, fingerprint))
        row = await self._connection.fetch_one(COUNT_SHAPE, key)
        return row[0] if row else 0

    async def purge(self, before_day: int) -> int:
        """Forget the counts of earlier days."""
        return await self._connection.execute(PURGE_SHAPES, (before_day,))


def _record(row: Row) -> KeyRecord:
    return KeyRecord(
        key_id=row[0],
        kind=row[1],
        algorithm=row[2],
        merchant_id=MerchantId(row[3]) if row[3] else None,
        mode=Mode(row[4]) if row[4] else None,
        epoch=row[5],
        state=KeyState(row[6]),
        created_at=from_us(row[7]),
        retires_at=from_us(row[8]),
        wrapped_by=row[9],
        wrapped=row[10],
        mac=row[11],
    )
