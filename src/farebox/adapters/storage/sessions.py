"""Bearer sessions in SQL: found by digest, never by their string."""

from __future__ import annotations

from typing import LiteralString

from farebox.adapters.storage.connection import Connection, Row, from_us, to_json, to_us
from farebox.adapters.storage.merchants import read_merchant, read_names, read_words
from farebox.domain.access import AccessSession, CredentialUse, Mode, Scope, Tenant
from farebox.domain.ids import ApiKeyId, MerchantId
from farebox.domain.merchants import Merchant

_COLUMNS: LiteralString = (
    "s.mac, s.merchant_id, s.mode, s.key_id, s.kind, s.dialect, s.scopes, s.attributes, s.created_at,"
    " s.expires_at"
)
INSERT: LiteralString = (
    "INSERT INTO access_session (mac, merchant_id, mode, key_id, kind, dialect, scopes, attributes,"
    " created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
# A revoked key takes its sessions with it; a visitor has no key.
FIND: LiteralString = (
    f"SELECT {_COLUMNS}, m.id, m.mode, m.name, m.created_at, m.clock_offset_us"
    " FROM access_session s JOIN merchant m ON m.id = s.merchant_id"
    " LEFT JOIN api_key k ON k.id = s.key_id WHERE s.mac = $1 AND k.revoked_at IS NULL"
)
_DAY_US = 86_400_000_000
PURGE: LiteralString = (
    "DELETE FROM access_session WHERE mac IN"
    " (SELECT mac FROM access_session WHERE expires_at < farebox_now() - $1 LIMIT $2)"
)


class Sessions:
    """Implements `ports.storage.Sessions`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, session: AccessSession) -> None:
        """Store a session's digest."""
        await self._connection.execute(
            INSERT,
            (
                session.mac,
                session.tenant.merchant_id,
                session.tenant.mode.value,
                session.key_id,
                session.use.value,
                session.dialect,
                to_json(sorted(session.scopes)),
                to_json(session.attributes),
                to_us(session.created_at),
                to_us(session.expires_at),
            ),
        )

    async def find(self, mac: bytes) -> tuple[AccessSession, Merchant] | None:
        """Give a session and its merchant."""
        row = await self._connection.fetch_one(FIND, (mac,))
        return (_session(row), read_merchant(row[10:])) if row else None

    async def purge(self, limit: int) -> int:
        """Forget sessions that ended a day ago or more."""
        return await self._connection.execute(PURGE, (_DAY_US, limit))


def _session(row: Row) -> AccessSession:
    return AccessSession(
        mac=row[0],
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        key_id=ApiKeyId(row[3]),
        use=CredentialUse(row[4]),
        dialect=row[5],
        scopes=frozenset(Scope(word) for word in read_words(row[6])),
        attributes=read_names(row[7]),
        created_at=from_us(row[8]),
        expires_at=from_us(row[9]),
    )
