"""Checkout sessions in SQL. Triggers beneath these statements hold the life cycle and the one payment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    Connection,
    ConstraintViolated,
    Row,
    Value,
    from_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.adapters.storage.paging import Filter, page_of
from farebox.adapters.storage.tokens import CLOCKS_AHEAD
from farebox.domain.access import Mode, Tenant
from farebox.domain.checkout import CheckoutSession, CheckoutState, CheckoutTerms, HistoryEntry
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import CheckoutSessionId, CustomerId, MerchantId, PaymentId, StoredTokenId
from farebox.domain.operations import Initiator, OperationKind
from farebox.ports.storage import Page, PageRequest

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, dialect, state, kind, terms, reference, customer_id, stored_token_id, metadata,"
    " facts, payment_facts, attributes, payment_id, attempts, lock_id, ended_by, history, sealed_saved,"
    " created_at, updated_at, expires_at, version"
)
INSERT: LiteralString = (
    f"INSERT INTO checkout_session ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
    " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
)
FIND: LiteralString = (
    f"SELECT {_COLUMNS} FROM checkout_session WHERE id = $1 AND merchant_id = $2 AND mode = $3"
)
# A write that changes nothing takes the row's lock on both engines, and returns what is there after it.
LOCK: LiteralString = (
    "UPDATE checkout_session SET version = version WHERE id = $1 AND merchant_id = $2 AND mode = $3"
    f" RETURNING {_COLUMNS}"
)
UPDATE: LiteralString = (
    "UPDATE checkout_session SET state = $1, terms = $2, reference = $3, customer_id = $4,"
    " stored_token_id = $5, metadata = $6, facts = $7, payment_facts = $8, payment_id = $9, attempts = $10,"
    " lock_id = $11, ended_by = $12, history = $13, sealed_saved = $14, updated_at = $15, expires_at = $16,"
    " version = version + 1 WHERE id = $17 AND merchant_id = $18 AND mode = $19 AND version = $20"
)
PAGE: LiteralString = f"SELECT {_COLUMNS} FROM checkout_session WHERE merchant_id = $1 AND mode = $2"
_FILTERS = {
    "state": Filter("state"),
    "reference": Filter("reference"),
    "customer_id": Filter("customer_id"),
    "payment_id": Filter("payment_id"),
}
DUE: LiteralString = (
    f"SELECT {_COLUMNS} FROM checkout_session WHERE state IN ('open', 'locked')"
    " AND expires_at <= farebox_now() ORDER BY expires_at LIMIT $1"
)
DUE_AHEAD: LiteralString = (
    f"SELECT {_COLUMNS} FROM checkout_session WHERE state IN ('open', 'locked') AND merchant_id = $1"
    " AND mode = $2 AND expires_at <= farebox_now() + $3 ORDER BY expires_at LIMIT $4"
)
# A session whose payment has an answer that the session has not heard of: its owner died in between, or it
# was recovery that learnt the answer.
UNHEARD: LiteralString = (
    f"SELECT {_COLUMNS} FROM checkout_session WHERE state = 'paying' AND payment_id IN"
    " (SELECT p.id FROM payment p JOIN checkout_session c ON c.payment_id = p.id AND c.state = 'paying'"
    "  WHERE p.state NOT IN ('submitted', 'in_doubt') LIMIT $1)"
)

_terms = msgspec.json.Decoder(CheckoutTerms)
_history = msgspec.json.Decoder(tuple[HistoryEntry, ...])
_texts = msgspec.json.Decoder(dict[str, str])
_GUARDS = frozenset({"checkout_session_moves", "checkout_session_pays_once", "checkout_session_payment"})


class CheckoutSessions:
    """Implements `ports.storage.CheckoutSessions`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, session: CheckoutSession) -> None:
        """Store a fresh session."""
        await self._connection.execute(
            INSERT,
            (
                session.id,
                session.tenant.merchant_id,
                session.tenant.mode.value,
                session.dialect,
                session.state.value,
                session.kind.value,
                to_json(session.terms),
                session.reference,
                session.customer_id,
                session.stored_token_id,
                to_json(session.metadata),
                to_json(session.facts),
                to_json(session.payment_facts),
                to_json(session.attributes),
                session.payment_id,
                session.attempts,
                session.lock_id,
                session.ended_by.value if session.ended_by else None,
                to_json(session.history),
                session.sealed_saved,
                to_us(session.created_at),
                to_us(session.updated_at),
                to_us(session.expires_at),
                session.version,
            ),
        )

    async def find(self, tenant: Tenant, session_id: CheckoutSessionId) -> CheckoutSession | None:
        """Give a session."""
        row = await self._connection.fetch_one(FIND, _place(tenant, session_id))
        return _session(row) if row else None

    async def lock(self, tenant: Tenant, session_id: CheckoutSessionId) -> CheckoutSession | None:
        """Give a session whose row nobody else changes until the end of the transaction."""
        row = await self._connection.fetch_one(LOCK, _place(tenant, session_id))
        return _session(row) if row else None

    async def update(self, session: CheckoutSession) -> bool:
        """Write what may change of a session where the version is the one given."""
        values = (
            session.state.value,
            to_json(session.terms),
            session.reference,
            session.customer_id,
            session.stored_token_id,
            to_json(session.metadata),
            to_json(session.facts),
            to_json(session.payment_facts),
            session.payment_id,
            session.attempts,
            session.lock_id,
            session.ended_by.value if session.ended_by else None,
            to_json(session.history),
            session.sealed_saved,
            to_us(session.updated_at),
            to_us(session.expires_at),
            *_place(session.tenant, session.id),
            session.version,
        )
        try:
            return await self._connection.execute(UPDATE, values) == 1
        except ConstraintViolated as refusal:
            if refusal.name not in _GUARDS:
                raise
            raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT) from None

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[CheckoutSession]:
        """List sessions, newest first."""
        return await page_of(self._connection, PAGE, _FILTERS, tenant, page, _session)

    async def due(self, limit: int) -> Sequence[CheckoutSession]:
        """Give unpaid sessions whose time is over, by each merchant's clock."""
        connection = self._connection
        rows = await connection.fetch_all(DUE + connection.skip_locked, (limit,))
        for merchant_id, mode, ahead_us in await connection.fetch_all(CLOCKS_AHEAD):
            values = (merchant_id, mode, ahead_us, limit)
            rows += await connection.fetch_all(DUE_AHEAD + connection.skip_locked, values)
        return list({row[0]: _session(row) for row in rows}.values())

    async def unheard(self, limit: int) -> Sequence[CheckoutSession]:
        """Give sessions in payment whose payment has its answer."""
        connection = self._connection
        rows = await connection.fetch_all(UNHEARD + connection.skip_locked, (limit,))
        return [_session(row) for row in rows]


def _place(tenant: Tenant, session_id: CheckoutSessionId) -> tuple[Value, Value, Value]:
    return session_id, tenant.merchant_id, tenant.mode.value


def _session(row: Row) -> CheckoutSession:
    return CheckoutSession(
        id=CheckoutSessionId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        dialect=row[3],
        state=CheckoutState(row[4]),
        kind=OperationKind(row[5]),
        terms=_terms.decode(row[6]),
        reference=row[7],
        customer_id=CustomerId(row[8]) if row[8] else None,
        stored_token_id=StoredTokenId(row[9]) if row[9] else None,
        metadata=_texts.decode(row[10]),
        facts=read_facts(row[11]),
        payment_facts=read_facts(row[12]),
        attributes=_texts.decode(row[13]),
        payment_id=PaymentId(row[14]) if row[14] else None,
        attempts=row[15],
        lock_id=row[16],
        ended_by=Initiator(row[17]) if row[17] else None,
        history=_history.decode(row[18]),
        sealed_saved=row[19],
        created_at=from_us(row[20]),
        updated_at=from_us(row[21]),
        expires_at=from_us(row[22]),
        version=row[23],
    )
