"""The hash-chained audit in SQL: each connection appends to a chain of its own, so appends never contend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import LiteralString

from farebox.adapters.storage.connection import Connection, from_us, to_us
from farebox.domain.audit import AuditAction, AuditEntry, ChainedEntry, canonical_bytes
from farebox.domain.ids import MerchantId

ChainMac = Callable[[bytes, bytes], bytes]
"""`(previous mac, canonical entry) -> mac`, under a key that storage does not know."""

HEAD: LiteralString = "SELECT position, mac FROM audit WHERE chain = $1 ORDER BY position DESC LIMIT 1"
APPEND: LiteralString = (
    "INSERT INTO audit (chain, position, action, at, merchant_id, actor, object_id, why, request_id, mac)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
CHAINS: LiteralString = "SELECT DISTINCT chain FROM audit ORDER BY chain"
WALK: LiteralString = (
    "SELECT chain, position, action, at, merchant_id, actor, object_id, why, request_id, mac FROM audit"
    " WHERE chain = $1 AND position > $2 ORDER BY position LIMIT $3"
)


class Audit:
    """Implements `ports.storage.Audit`."""

    def __init__(self, connection: Connection, chain_mac: ChainMac) -> None:
        """Bind to a transaction and to the key the chain is made with."""
        self._connection = connection
        self._chain_mac = chain_mac
        self._head: tuple[int, bytes] | None = None

    def begin(self) -> None:
        """Forget where the chain ends: a transaction begins, or a part of it was undone."""
        self._head = None

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Chain entries to the end of this connection's chain."""
        chain = self._connection.chain
        if self._head is None:
            row = await self._connection.fetch_one(HEAD, (chain,))
            self._head = (row[0], row[1]) if row else (0, b"")
        position, mac = self._head
        for entry in entries:
            position += 1
            mac = self._chain_mac(mac, canonical_bytes(chain, position, entry))
            await self._connection.execute(
                APPEND,
                (
                    chain,
                    position,
                    entry.action,
                    to_us(entry.at),
                    entry.merchant_id,
                    entry.actor,
                    entry.object_id,
                    entry.why,
                    entry.request_id,
                    mac,
                ),
            )
        self._head = (position, mac)

    async def chains(self) -> Sequence[str]:
        """Name every chain."""
        return [row[0] for row in await self._connection.fetch_all(CHAINS)]

    async def walk(self, chain: str, after_position: int, limit: int) -> Sequence[ChainedEntry]:
        """Give a stretch of a chain."""
        rows = await self._connection.fetch_all(WALK, (chain, after_position, limit))
        return [
            ChainedEntry(
                chain=row[0],
                position=row[1],
                entry=AuditEntry(
                    action=AuditAction(row[2]),
                    at=from_us(row[3]),
                    merchant_id=MerchantId(row[4]) if row[4] else None,
                    actor=row[5],
                    object_id=row[6],
                    why=row[7],
                    request_id=row[8],
                ),
                mac=row[9],
            )
            for row in rows
        ]
