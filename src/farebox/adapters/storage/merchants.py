"""Merchants, their accounts and API keys in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    Connection,
    Row,
    from_us,
    optional_from_us,
    optional_us,
    to_json,
    to_us,
)
from farebox.domain.access import ApiKeyKind, Mode, Scope, Tenant
from farebox.domain.ids import ApiKeyId, MerchantAccountId, MerchantId
from farebox.domain.merchants import ApiKey, Merchant, MerchantAccount

_MERCHANT: LiteralString = "id, mode, name, created_at, clock_offset_us"
INSERT: LiteralString = f"INSERT INTO merchant ({_MERCHANT}) VALUES ($1, $2, $3, $4, $5)"
FIND: LiteralString = f"SELECT {_MERCHANT} FROM merchant WHERE id = $1"
ALL: LiteralString = f"SELECT {_MERCHANT} FROM merchant ORDER BY id"
ADVANCE_CLOCK: LiteralString = (
    "UPDATE merchant SET clock_offset_us = $1"
    " WHERE id = $2 AND mode = $3 AND mode = 'test' AND clock_offset_us <= $1"
)
_ACCOUNT: LiteralString = "id, merchant_id, mode, processor, created_at, currencies, names"
INSERT_ACCOUNT: LiteralString = (
    f"INSERT INTO merchant_account ({_ACCOUNT}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
ACCOUNTS: LiteralString = (
    f"SELECT {_ACCOUNT} FROM merchant_account WHERE merchant_id = $1 AND mode = $2 ORDER BY id"
)
_KEY: LiteralString = (
    "k.id, k.merchant_id, k.mode, k.kind, k.dialect, k.key_mac, k.scopes, k.created_at, k.label,"
    " k.attributes, k.revoked_at"
)
INSERT_KEY: LiteralString = (
    "INSERT INTO api_key (id, merchant_id, mode, kind, dialect, key_mac, scopes, created_at, label,"
    " attributes, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
FIND_KEY: LiteralString = (
    f"SELECT {_KEY}, m.id, m.mode, m.name, m.created_at, m.clock_offset_us"
    " FROM api_key k JOIN merchant m ON m.id = k.merchant_id"
    " WHERE k.key_mac = $1 AND k.revoked_at IS NULL"
)
KEYS: LiteralString = f"SELECT {_KEY} FROM api_key k ORDER BY k.id"
KEYS_OF_MERCHANT: LiteralString = f"SELECT {_KEY} FROM api_key k WHERE k.merchant_id = $1 ORDER BY k.id"
REVOKE_KEY: LiteralString = (
    "UPDATE api_key SET revoked_at = farebox_now() WHERE id = $1 AND revoked_at IS NULL"
)

_MICROSECOND = timedelta(microseconds=1)
read_names = msgspec.json.Decoder(dict[str, str]).decode
read_words = msgspec.json.Decoder(list[str]).decode


class Merchants:
    """Implements `ports.storage.Merchants`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, merchant: Merchant) -> None:
        """Store a merchant."""
        await self._connection.execute(
            INSERT,
            (
                merchant.id,
                merchant.mode,
                merchant.name,
                to_us(merchant.created_at),
                merchant.clock_offset // _MICROSECOND,
            ),
        )

    async def find(self, merchant_id: MerchantId) -> Merchant | None:
        """Give a merchant."""
        row = await self._connection.fetch_one(FIND, (merchant_id,))
        return read_merchant(row) if row else None

    async def all(self) -> Sequence[Merchant]:
        """Give every merchant."""
        return [read_merchant(row) for row in await self._connection.fetch_all(ALL)]

    async def advance_clock(self, tenant: Tenant, offset: timedelta) -> bool:
        """Set a test clock's offset, forward only."""
        key = (offset // _MICROSECOND, tenant.merchant_id, tenant.mode)
        return await self._connection.execute(ADVANCE_CLOCK, key) == 1

    async def insert_account(self, account: MerchantAccount) -> None:
        """Store an account at a processor."""
        await self._connection.execute(
            INSERT_ACCOUNT,
            (
                account.id,
                account.tenant.merchant_id,
                account.tenant.mode,
                account.processor,
                to_us(account.created_at),
                to_json(sorted(account.currencies)),
                to_json(account.names),
            ),
        )

    async def accounts(self, tenant: Tenant) -> Sequence[MerchantAccount]:
        """Give a merchant's accounts, oldest first."""
        rows = await self._connection.fetch_all(ACCOUNTS, (tenant.merchant_id, tenant.mode))
        return [
            MerchantAccount(
                id=MerchantAccountId(row[0]),
                tenant=tenant,
                processor=row[3],
                created_at=from_us(row[4]),
                currencies=frozenset(read_words(row[5])),
                names=read_names(row[6]),
            )
            for row in rows
        ]

    async def insert_key(self, key: ApiKey) -> None:
        """Store a credential's digest."""
        await self._connection.execute(
            INSERT_KEY,
            (
                key.id,
                key.tenant.merchant_id,
                key.tenant.mode,
                key.kind,
                key.dialect,
                key.key_mac,
                to_json(sorted(key.scopes)),
                to_us(key.created_at),
                key.label,
                to_json(key.attributes),
                optional_us(key.revoked_at),
            ),
        )

    async def find_key(self, key_mac: bytes) -> tuple[ApiKey, Merchant] | None:
        """Give an unrevoked credential and its merchant."""
        row = await self._connection.fetch_one(FIND_KEY, (key_mac,))
        return (_key(row), read_merchant(row[11:])) if row else None

    async def keys(self, merchant_id: MerchantId | None) -> Sequence[ApiKey]:
        """List credentials."""
        if merchant_id is None:
            rows = await self._connection.fetch_all(KEYS)
        else:
            rows = await self._connection.fetch_all(KEYS_OF_MERCHANT, (merchant_id,))
        return [_key(row) for row in rows]

    async def revoke_key(self, key_id: ApiKeyId) -> bool:
        """Revoke a credential."""
        return await self._connection.execute(REVOKE_KEY, (key_id,)) == 1


def read_merchant(row: Row) -> Merchant:
    """Read a merchant from its five columns."""
    return Merchant(
        id=MerchantId(row[0]),
        mode=Mode(row[1]),
        name=row[2],
        created_at=from_us(row[3]),
        clock_offset=timedelta(microseconds=row[4]),
    )


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=ApiKeyId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        kind=ApiKeyKind(row[3]),
        dialect=row[4],
        key_mac=row[5],
        scopes=frozenset(Scope(word) for word in read_words(row[6])),
        created_at=from_us(row[7]),
        label=row[8],
        attributes=read_names(row[9]),
        revoked_at=optional_from_us(row[10]),
    )
