"""Remembered requests in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString

from farebox.adapters.storage.connection import Connection, Row, from_us, to_us
from farebox.domain.access import Mode, Tenant
from farebox.domain.idempotency import IdempotencyRecord, IdempotencyState
from farebox.domain.ids import MerchantId, OperationId

_COLUMNS: LiteralString = (
    "merchant_id, mode, kind, key_mac, fingerprint, state, created_at, operation_id, answer, bucket_minute"
)
CLAIM: LiteralString = (
    f"INSERT INTO idempotency ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, mode, kind, key_mac) DO NOTHING"
)
FIND: LiteralString = (
    f"SELECT {_COLUMNS} FROM idempotency WHERE merchant_id = $1 AND mode = $2 AND kind = $3 AND key_mac = $4"
)
FINISH: LiteralString = (
    "UPDATE idempotency SET state = 'finished', answer = $1, bucket_minute = $2"
    " WHERE merchant_id = $3 AND mode = $4 AND kind = $5 AND key_mac = $6 AND state = 'running'"
)
ABANDON: LiteralString = (
    "DELETE FROM idempotency"
    " WHERE merchant_id = $1 AND mode = $2 AND kind = $3 AND key_mac = $4 AND state = 'running'"
)
PURGE: LiteralString = (
    "DELETE FROM idempotency WHERE (merchant_id, mode, kind, key_mac) IN ("
    "SELECT merchant_id, mode, kind, key_mac FROM idempotency WHERE created_at < $1 LIMIT $2)"
)


class Idempotency:
    """Implements `ports.storage.Idempotency`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        """Store a running record, or give the one that was there first."""
        inserted = await self._connection.execute(
            CLAIM,
            (
                record.tenant.merchant_id,
                record.tenant.mode,
                record.kind,
                record.key_mac,
                record.fingerprint,
                record.state,
                to_us(record.created_at),
                record.operation_id,
                record.answer,
                record.bucket_minute,
            ),
        )
        return None if inserted else await self.find(record.tenant, record.kind, record.key_mac)

    async def find(self, tenant: Tenant, kind: str, key_mac: bytes) -> IdempotencyRecord | None:
        """Give a record."""
        row = await self._connection.fetch_one(FIND, (tenant.merchant_id, tenant.mode, kind, key_mac))
        return _record(row) if row else None

    async def finish(
        self, tenant: Tenant, kind: str, key_mac: bytes, answer: bytes, bucket_minute: int | None
    ) -> bool:
        """Store the sealed first answer of a running record."""
        changed = await self._connection.execute(
            FINISH, (answer, bucket_minute, tenant.merchant_id, tenant.mode, kind, key_mac)
        )
        return changed == 1

    async def abandon(self, tenant: Tenant, kind: str, key_mac: bytes) -> None:
        """Forget a running record."""
        await self._connection.execute(ABANDON, (tenant.merchant_id, tenant.mode, kind, key_mac))

    async def purge(self, older_than: datetime, limit: int) -> int:
        """Delete old records."""
        return await self._connection.execute(PURGE, (to_us(older_than), limit))


def _record(row: Row) -> IdempotencyRecord:
    return IdempotencyRecord(
        tenant=Tenant(MerchantId(row[0]), Mode(row[1])),
        kind=row[2],
        key_mac=row[3],
        fingerprint=row[4],
        state=IdempotencyState(row[5]),
        created_at=from_us(row[6]),
        operation_id=OperationId(row[7]) if row[7] else None,
        answer=row[8],
        bucket_minute=row[9],
    )
