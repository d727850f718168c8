"""Payment tokens and recurrence tokens in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    MODES,
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
from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import AgreementId, CustomerId, MerchantId, PaymentId, StoredTokenId
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.tokens import (
    STORED_ID_PREFIXES,
    SealedReusable,
    StoredToken,
    StoredTokenKind,
    StoredTokenState,
    TokenString,
)
from farebox.ports.storage import Page, PageRequest

# Where a ciphertext's header names its key: after the byte of the suite (security design §3.1).
_KEY_ID = slice(1, 9)

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, kind, token_mac, state, summary, fingerprint, created_at, dialect, wrapped_key,"
    " payload, details, customer_id, agreement_id, network_transaction_id, label, metadata, version, facts,"
    " name, shown_string, string, payment_id, customer_reference, deleted_at"
)
INSERT: LiteralString = (
    f"INSERT INTO stored_token ({_COLUMNS}, key_id) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
    " $22, $23, $24, $25, $26, $27)"
)
_BY_OWNER: LiteralString = f"SELECT {_COLUMNS} FROM stored_token WHERE merchant_id = $1 AND mode = $2"
FIND: LiteralString = _BY_OWNER + " AND token_mac = $3"
FIND_BY_ID: LiteralString = _BY_OWNER + " AND id = $3"
FIND_BY_NAME: LiteralString = _BY_OWNER + " AND name = $3"
BY_FINGERPRINT: LiteralString = (
    _BY_OWNER + " AND fingerprint = $3 AND state = 'active' ORDER BY id DESC LIMIT 100"
)
BY_FINGERPRINT_OF_CUSTOMER: LiteralString = (
    _BY_OWNER + " AND fingerprint = $3 AND customer_id = $4 AND state = 'active' ORDER BY id DESC LIMIT 100"
)
UPDATE: LiteralString = (
    "UPDATE stored_token SET summary = $1, wrapped_key = $2, payload = $3, details = $4, key_id = $5,"
    " customer_id = $6, agreement_id = $7, network_transaction_id = $8, label = $9, metadata = $10,"
    " facts = $11, fingerprint = $12, string = $13, version = version + 1"
    " WHERE id = $14 AND merchant_id = $15 AND mode = $16 AND version = $17 AND state = 'active'"
)
DELETE: LiteralString = (
    "UPDATE stored_token SET state = 'deleted', wrapped_key = NULL, payload = NULL, details = NULL,"
    " key_id = NULL, string = NULL, facts = $1, deleted_at = $2, version = version + 1"
    " WHERE id = $3 AND merchant_id = $4 AND mode = $5 AND state = 'active'"
)
PAGE: LiteralString = _BY_OWNER + " AND state = 'active'"
PAGE_WITH_DELETED: LiteralString = _BY_OWNER
OF_PAYMENT: LiteralString = _BY_OWNER + " AND payment_id = $3 ORDER BY id LIMIT 10"
DUE_FOR_REWRAP: LiteralString = (
    _BY_OWNER + " AND state = 'active' AND key_id <> $3 AND id > $4 ORDER BY id LIMIT $5"
)
SWAP_WRAP: LiteralString = (
    "UPDATE stored_token SET wrapped_key = $1, key_id = $2"
    " WHERE id = $3 AND merchant_id = $4 AND mode = $5 AND wrapped_key = $6"
)
_PREFIXES = tuple(STORED_ID_PREFIXES.values())
_FILTERS = {
    "kind": Filter("kind"),
    "customer_id": Filter("customer_id"),
    "agreement_id": Filter("agreement_id"),
    "customer_reference": Filter("customer_reference"),
}

_summary = msgspec.json.Decoder(InstrumentSummary)
_metadata = msgspec.json.Decoder(dict[str, str])


class StoredTokens:
    """Implements `ports.storage.StoredTokens`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, token: StoredToken) -> None:
        """Store a credential."""
        try:
            await self._connection.execute(INSERT, self._values(token))
        except ConstraintViolated as refusal:
            if refusal.name != "stored_token_name":
                raise
            raise Conflict(ErrorCode.NAME_ALREADY_USED) from None

    def _values(self, token: StoredToken) -> tuple[Value, ...]:
        sealed = token.sealed
        return (
            token.id,
            *_owner(token.tenant),
            token.kind,
            token.token_mac,
            token.state,
            to_json(token.summary),
            token.fingerprint,
            to_us(token.created_at),
            token.dialect,
            sealed.wrapped_key if sealed else None,
            sealed.payload if sealed else None,
            sealed.details if sealed else None,
            token.customer_id,
            token.agreement_id,
            token.network_transaction_id,
            token.label,
            to_json(token.metadata),
            token.version,
            to_json(token.facts),
            token.name,
            token.shown_string,
            sealed.string if sealed else None,
            token.payment_id,
            token.customer_reference,
            optional_us(token.deleted_at),
            sealed.wrapped_key[_KEY_ID] if sealed else None,
        )

    async def find(self, tenant: Tenant, token_macs: Sequence[bytes]) -> StoredToken | None:
        """Give the credential that has one of these digests."""
        for token_mac in token_macs:
            row = await self._connection.fetch_one(FIND, (*_owner(tenant), token_mac))
            if row:
                return _token(row)
        return None

    async def find_by_name(self, tenant: Tenant, name: str) -> StoredToken | None:
        """Give the credential that has, or had, this name."""
        row = await self._connection.fetch_one(FIND_BY_NAME, (*_owner(tenant), name))
        return _token(row) if row else None

    async def find_by_id(self, tenant: Tenant, token_id: StoredTokenId) -> StoredToken | None:
        """Give a credential by its id."""
        row = await self._connection.fetch_one(FIND_BY_ID, (*_owner(tenant), token_id))
        return _token(row) if row else None

    async def find_by_fingerprint(
        self, tenant: Tenant, fingerprint: bytes, customer_id: CustomerId | None
    ) -> Sequence[StoredToken]:
        """Give the active credentials of one instrument, newest first."""
        if customer_id is None:
            rows = await self._connection.fetch_all(BY_FINGERPRINT, (*_owner(tenant), fingerprint))
        else:
            rows = await self._connection.fetch_all(
                BY_FINGERPRINT_OF_CUSTOMER, (*_owner(tenant), fingerprint, customer_id)
            )
        return [_token(row) for row in rows]

    async def update(self, token: StoredToken) -> bool:
        """Write what may change where the version is the one given."""
        sealed = token.sealed
        changed = await self._connection.execute(
            UPDATE,
            (
                to_json(token.summary),
                sealed.wrapped_key if sealed else None,
                sealed.payload if sealed else None,
                sealed.details if sealed else None,
                sealed.wrapped_key[_KEY_ID] if sealed else None,
                token.customer_id,
                token.agreement_id,
                token.network_transaction_id,
                token.label,
                to_json(token.metadata),
                to_json(token.facts),
                token.fingerprint,
                sealed.string if sealed else None,
                token.id,
                *_owner(token.tenant),
                token.version,
            ),
        )
        return changed == 1

    async def delete(self, token: StoredToken) -> bool:
        """Erase a credential; what is said of its end stays."""
        values = (to_json(token.facts), optional_us(token.deleted_at), token.id, *_owner(token.tenant))
        return await self._connection.execute(DELETE, values) == 1

    async def of_payment(self, tenant: Tenant, payment_id: PaymentId) -> Sequence[StoredToken]:
        """Give what a payment stored, deleted ones too."""
        rows = await self._connection.fetch_all(OF_PAYMENT, (*_owner(tenant), payment_id))
        return [_token(row) for row in rows]

    async def page(
        self, tenant: Tenant, page: PageRequest, *, with_deleted: bool = False
    ) -> Page[StoredToken]:
        """List credentials, newest first."""
        select = PAGE_WITH_DELETED if with_deleted else PAGE
        return await page_of(self._connection, select, _FILTERS, tenant, page, _token, _PREFIXES)

    async def due_for_rewrap(
        self, tenant: Tenant, newest_key: bytes, after: StoredTokenId | None, limit: int
    ) -> Sequence[StoredToken]:
        """Give active credentials that an older key wraps, in id order."""
        rows = await self._connection.fetch_all(
            DUE_FOR_REWRAP, (*_owner(tenant), newest_key, after or "", limit)
        )
        return [_token(row) for row in rows]

    async def swap_wrap(
        self, tenant: Tenant, token_id: StoredTokenId, old_wrap: bytes, new_wrap: bytes
    ) -> bool:
        """Replace a wrapped record key if it is still the old one."""
        changed = await self._connection.execute(
            SWAP_WRAP, (new_wrap, new_wrap[_KEY_ID], token_id, *_owner(tenant), old_wrap)
        )
        return changed == 1


def _owner(tenant: Tenant) -> tuple[Value, Value]:
    return tenant.merchant_id, tenant.mode


def _token(row: Row) -> StoredToken:
    return StoredToken(
        id=StoredTokenId(row[0]),
        tenant=Tenant(MerchantId(row[1]), MODES[row[2]]),
        kind=StoredTokenKind(row[3]),
        token_mac=row[4],
        state=StoredTokenState(row[5]),
        summary=_summary.decode(row[6]),
        fingerprint=row[7],
        created_at=from_us(row[8]),
        dialect=row[9],
        sealed=None if row[10] is None else SealedReusable(row[10], row[11], row[12], row[22]),
        customer_id=CustomerId(row[13]) if row[13] else None,
        agreement_id=AgreementId(row[14]) if row[14] else None,
        network_transaction_id=row[15],
        label=row[16],
        metadata=_metadata.decode(row[17]),
        version=row[18],
        facts=read_facts(row[19]),
        name=row[20],
        shown_string=TokenString(row[21]) if row[21] else None,
        payment_id=PaymentId(row[23]) if row[23] else None,
        customer_reference=row[24],
        deleted_at=optional_from_us(row[25]),
    )
