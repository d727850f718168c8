"""Single-use tokens in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    MODES,
    Connection,
    Row,
    by_value,
    from_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.domain.access import Tenant
from farebox.domain.ids import CustomerId, MerchantId, OperationId, SingleUseTokenId
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.tokens import SealedSingleUse, SingleUseToken, TokenState

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, token_mac, state, summary, fingerprint, created_at, expires_at, dialect,"
    " bucket_minute, payload, details, cvc, operation_id, verifications, customer_id, metadata, facts"
)

INSERT: LiteralString = (
    f"INSERT INTO single_use_token ({_COLUMNS}) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
)
FIND: LiteralString = (
    f"SELECT {_COLUMNS} FROM single_use_token WHERE merchant_id = $1 AND mode = $2 AND token_mac = $3"
)
FIND_BY_ID: LiteralString = (
    f"SELECT {_COLUMNS} FROM single_use_token WHERE merchant_id = $1 AND mode = $2 AND id = $3"
)
# Liveness is judged once in the condition and once more in what is returned: when the holder of the row
# lock rolls back, PostgreSQL does not evaluate the condition again for the one who waited.
RESERVE: LiteralString = (
    "UPDATE single_use_token SET state = 'reserved', operation_id = $1"
    " WHERE merchant_id = $2 AND mode = $3 AND token_mac = $4 AND state = 'minted'"
    " AND expires_at > farebox_now() + $5"
    f" RETURNING {_COLUMNS}, CASE WHEN expires_at > farebox_now() + $5 THEN 1 ELSE 0 END"
)
UNRESERVE: LiteralString = (
    "UPDATE single_use_token SET state = 'minted', operation_id = NULL WHERE id = $1 AND operation_id = $2"
)
TAKE_VERIFICATION: LiteralString = (
    "UPDATE single_use_token SET verifications = verifications + 1,"
    " cvc_operation_id = COALESCE(cvc_operation_id, $1)"
    " WHERE merchant_id = $2 AND mode = $3 AND token_mac = $4 AND state = 'minted'"
    " AND expires_at > farebox_now() + $5 AND verifications < $6"
    f" RETURNING {_COLUMNS}, CASE WHEN expires_at > farebox_now() + $5 THEN 1 ELSE 0 END, cvc_operation_id"
)
ERASE_CVC: LiteralString = (
    "UPDATE single_use_token SET cvc = NULL"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND cvc IS NOT NULL"
)
SETTLE: LiteralString = (
    "UPDATE single_use_token SET state = 'spent', payload = NULL, details = NULL, cvc = NULL"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND state = 'reserved' AND operation_id = $4"
)
GIVE_BACK: LiteralString = (
    "UPDATE single_use_token SET state = 'minted', operation_id = NULL"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND state = 'reserved' AND operation_id = $4"
    " AND expires_at > farebox_now() + $5"
)
EXPIRE_RESERVED: LiteralString = (
    "UPDATE single_use_token SET state = 'expired', payload = NULL, details = NULL, cvc = NULL"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND state = 'reserved' AND operation_id = $4"
)
REVOKE: LiteralString = (
    "UPDATE single_use_token SET state = 'revoked', payload = NULL, details = NULL, cvc = NULL"
    " WHERE merchant_id = $1 AND mode = $2 AND token_mac = $3 AND state = 'minted'"
    f" AND expires_at > farebox_now() + $4 RETURNING {_COLUMNS}"
)
_EXPIRE: LiteralString = (
    "UPDATE single_use_token SET state = 'expired', payload = NULL, details = NULL, cvc = NULL"
    " WHERE state = 'minted' AND id IN ("
)
_DUE: LiteralString = (
    "SELECT id FROM single_use_token WHERE state = 'minted' AND expires_at <= farebox_now()"
    " ORDER BY expires_at LIMIT $1"
)
_DUE_AHEAD: LiteralString = (
    "SELECT id FROM single_use_token WHERE state = 'minted' AND merchant_id = $1 AND mode = $2"
    " AND expires_at <= farebox_now() + $3 ORDER BY expires_at LIMIT $4"
)
_RETURNING: LiteralString = f") RETURNING {_COLUMNS}"
CLOCKS_AHEAD: LiteralString = "SELECT id, mode, clock_offset_us FROM merchant WHERE clock_offset_us > 0"

_summary = msgspec.json.Decoder(InstrumentSummary)
_metadata = msgspec.json.Decoder(dict[str, str])
_STATES = by_value(TokenState)
_MICROSECOND = timedelta(microseconds=1)


class SingleUseTokens:
    """Implements `ports.storage.SingleUseTokens`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, token: SingleUseToken) -> None:
        """Store a fresh token."""
        sealed = token.sealed
        await self._connection.execute(
            INSERT,
            (
                token.id,
                token.tenant.merchant_id,
                token.tenant.mode,
                token.token_mac,
                token.state,
                to_json(token.summary),
                token.fingerprint,
                to_us(token.created_at),
                to_us(token.expires_at),
                token.dialect,
                sealed.bucket_minute if sealed else 0,
                sealed.payload if sealed else None,
                sealed.details if sealed else None,
                sealed.cvc if sealed else None,
                token.operation_id,
                token.verifications,
                token.customer_id,
                to_json(token.metadata),
                to_json(token.facts) if token.facts else "{}",
            ),
        )

    async def find(self, tenant: Tenant, token_mac: bytes) -> SingleUseToken | None:
        """Give a token by its digest."""
        row = await self._connection.fetch_one(FIND, (tenant.merchant_id, tenant.mode, token_mac))
        return _token(row) if row else None

    async def find_by_id(self, tenant: Tenant, token_id: SingleUseTokenId) -> SingleUseToken | None:
        """Give a token by its id."""
        row = await self._connection.fetch_one(FIND_BY_ID, (tenant.merchant_id, tenant.mode, token_id))
        return _token(row) if row else None

    async def reserve(
        self, tenant: Tenant, token_mac: bytes, operation_id: OperationId, clock_offset: timedelta
    ) -> SingleUseToken | None:
        """Reserve a live token by one conditional write (R1)."""
        row = await self._connection.fetch_one(
            RESERVE,
            (operation_id, tenant.merchant_id, tenant.mode, token_mac, clock_offset // _MICROSECOND),
        )
        if row is None:
            return None
        if not row[-1]:
            # It expired while this write waited for the row.
            await self._connection.execute(UNRESERVE, (row[0], operation_id))
            return None
        return _token(row)

    async def take_verification(
        self,
        tenant: Tenant,
        token_mac: bytes,
        operation_id: OperationId,
        clock_offset: timedelta,
        verifications_max: int,
    ) -> SingleUseToken | None:
        """Count one look; hand the CVC over to the first one only."""
        row = await self._connection.fetch_one(
            TAKE_VERIFICATION,
            (
                operation_id,
                tenant.merchant_id,
                tenant.mode,
                token_mac,
                clock_offset // _MICROSECOND,
                verifications_max,
            ),
        )
        if row is None or not row[-2]:
            return None
        token = _token(row)
        if row[-1] != operation_id and token.sealed is not None:
            sealed = token.sealed
            without = SealedSingleUse(sealed.bucket_minute, sealed.payload, sealed.details, None)
            return replace(token, sealed=without)
        return token

    async def erase_cvc(self, token_id: SingleUseTokenId, tenant: Tenant) -> None:
        """Erase the sealed CVC (SEC-02)."""
        await self._connection.execute(ERASE_CVC, (token_id, tenant.merchant_id, tenant.mode))

    async def settle(self, token_id: SingleUseTokenId, tenant: Tenant, operation_id: OperationId) -> bool:
        """Spend a token that this operation reserved, and erase it."""
        key = (token_id, tenant.merchant_id, tenant.mode, operation_id)
        return await self._connection.execute(SETTLE, key) == 1

    async def give_back(
        self, token_id: SingleUseTokenId, tenant: Tenant, operation_id: OperationId, clock_offset: timedelta
    ) -> TokenState | None:
        """Free a token that this operation reserved, or expire it when its time is over."""
        key = (token_id, tenant.merchant_id, tenant.mode, operation_id)
        if await self._connection.execute(GIVE_BACK, (*key, clock_offset // _MICROSECOND)):
            return TokenState.MINTED
        if await self._connection.execute(EXPIRE_RESERVED, key):
            return TokenState.EXPIRED
        return None

    async def revoke(
        self, tenant: Tenant, token_mac: bytes, clock_offset: timedelta
    ) -> SingleUseToken | None:
        """End a live token, erased."""
        row = await self._connection.fetch_one(
            REVOKE, (tenant.merchant_id, tenant.mode, token_mac, clock_offset // _MICROSECOND)
        )
        return _token(row) if row else None

    async def expire_due(self, limit: int) -> Sequence[SingleUseToken]:
        """Expire and erase what is due, by the wall clock and by every test clock that is ahead."""
        connection = self._connection
        rows = await connection.fetch_all(_EXPIRE + _DUE + connection.skip_locked + _RETURNING, (limit,))
        for merchant_id, mode, ahead_us in await connection.fetch_all(CLOCKS_AHEAD):
            rows += await connection.fetch_all(
                _EXPIRE + _DUE_AHEAD + connection.skip_locked + _RETURNING,
                (merchant_id, mode, ahead_us, limit),
            )
        return [_token(row) for row in rows]


def _token(row: Row) -> SingleUseToken:
    (
        token_id,
        merchant_id,
        mode,
        token_mac,
        state,
        summary,
        fingerprint,
        created_at,
        expires_at,
        dialect,
        bucket_minute,
        payload,
        details,
        cvc,
        operation_id,
        verifications,
        customer_id,
        metadata,
        facts,
    ) = row[:19]
    return SingleUseToken(
        id=SingleUseTokenId(token_id),
        tenant=Tenant(MerchantId(merchant_id), MODES[mode]),
        token_mac=token_mac,
        state=_STATES[state],
        summary=_summary.decode(summary),
        fingerprint=fingerprint,
        created_at=from_us(created_at),
        expires_at=from_us(expires_at),
        dialect=dialect,
        sealed=None if payload is None else SealedSingleUse(bucket_minute, payload, details, cvc),
        operation_id=OperationId(operation_id) if operation_id else None,
        verifications=verifications,
        customer_id=CustomerId(customer_id) if customer_id else None,
        metadata=_metadata.decode(metadata),
        facts=read_facts(facts),
    )
