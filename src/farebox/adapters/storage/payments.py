"""Payments in SQL. The amounts' invariants (I7) are CHECK constraints beneath these statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    MODES,
    Connection,
    Row,
    Value,
    by_value,
    from_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.adapters.storage.paging import Filter, page_of
from farebox.domain.access import Tenant
from farebox.domain.checks import AvsResult, Checks, CvcResult
from farebox.domain.declines import Decline
from farebox.domain.ids import (
    AgreementId,
    CustomerId,
    MerchantId,
    PaymentId,
    SingleUseTokenId,
    StoredTokenId,
)
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.operations import Initiator, OperationKind, OperationState, Reason
from farebox.domain.payments import ID_PREFIXES, Payment
from farebox.ports.storage import Page, PageRequest

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, kind, state, amount_minor, currency, created_at, summary, dialect, processor,"
    " authorized_minor, captured_minor, refunded_minor, voided_minor, capturing_minor, refunding_minor,"
    " voiding_minor, single_use_token_id, stored_token_id, saved_token_id, customer_id, agreement_id,"
    " initiator, reason, reference, metadata, avs, cvc_check, decline, authorization_code,"
    " network_transaction_id, version, facts"
)
INSERT: LiteralString = (
    f"INSERT INTO payment ({_COLUMNS}, status) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,"
    " $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)"
)
FIND: LiteralString = f"SELECT {_COLUMNS} FROM payment WHERE id = $1 AND merchant_id = $2 AND mode = $3"
# A write that changes nothing takes the row's lock on both engines, and returns what is there after it.
LOCK: LiteralString = (
    "UPDATE payment SET version = version WHERE id = $1 AND merchant_id = $2 AND mode = $3"
    f" RETURNING {_COLUMNS}"
)
UPDATE: LiteralString = (
    "UPDATE payment SET state = $1, status = $2, authorized_minor = $3, captured_minor = $4,"
    " refunded_minor = $5, voided_minor = $6, capturing_minor = $7, refunding_minor = $8,"
    " voiding_minor = $9, saved_token_id = $10, agreement_id = $11, avs = $12, cvc_check = $13,"
    " decline = $14, authorization_code = $15, network_transaction_id = $16, version = version + 1"
    " WHERE id = $17 AND merchant_id = $18 AND mode = $19 AND version = $20"
)
AMEND: LiteralString = (
    "UPDATE payment SET facts = $1, version = version + 1"
    " WHERE id = $2 AND merchant_id = $3 AND mode = $4 AND version = $5"
)
PAGE: LiteralString = f"SELECT {_COLUMNS} FROM payment WHERE merchant_id = $1 AND mode = $2"
# Who declines because of too many attempts has not asked the issuer.
MADE_ALONE: LiteralString = (
    f"SELECT {_COLUMNS} FROM payment WHERE merchant_id = $1 AND mode = $2 AND initiator = 'merchant'"
    " AND stored_token_id IN (SELECT id FROM stored_token WHERE merchant_id = $1 AND mode = $2"
    " AND fingerprint = $3) AND (decline IS NULL OR decline NOT LIKE '%\"velocity_exceeded\"%')"
    " ORDER BY id DESC LIMIT $4"
)
_PREFIXES = tuple(sorted(set(ID_PREFIXES.values())))
_FILTERS: dict[str, Filter] = {
    "kind": Filter("kind"),
    "status": Filter("status"),
    "reference": Filter("reference"),
    "customer_id": Filter("customer_id"),
    "agreement_id": Filter("agreement_id"),
    "stored_token_id": Filter("stored_token_id"),
    "dialect": Filter("dialect"),
    "from_us": Filter("created_at", " >= "),
    "to_us": Filter("created_at", " <= "),
}

_summary = msgspec.json.Decoder(InstrumentSummary)
_metadata = msgspec.json.Decoder(dict[str, str])
_decline = msgspec.json.Decoder(Decline)
_KINDS, _STATES, _INITIATORS = by_value(OperationKind), by_value(OperationState), by_value(Initiator)
_AVS, _CVC = by_value(AvsResult), by_value(CvcResult)


class Payments:
    """Implements `ports.storage.Payments`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, payment: Payment) -> None:
        """Store a payment with its opening operation's first state."""
        await self._connection.execute(
            INSERT,
            (
                payment.id,
                payment.tenant.merchant_id,
                payment.tenant.mode,
                payment.kind,
                payment.state,
                payment.amount_minor,
                payment.currency,
                to_us(payment.created_at),
                to_json(payment.summary),
                payment.dialect,
                payment.processor,
                *_amounts(payment),
                payment.single_use_token_id,
                payment.stored_token_id,
                payment.saved_token_id,
                payment.customer_id,
                payment.agreement_id,
                payment.initiator,
                payment.reason,
                payment.reference,
                to_json(payment.metadata),
                *_answer(payment),
                payment.version,
                to_json(payment.facts) if payment.facts else "{}",
                payment.status,
            ),
        )

    async def find(self, tenant: Tenant, payment_id: PaymentId) -> Payment | None:
        """Give a payment."""
        row = await self._connection.fetch_one(FIND, (payment_id, tenant.merchant_id, tenant.mode))
        return _payment(row) if row else None

    async def lock(self, tenant: Tenant, payment_id: PaymentId) -> Payment | None:
        """Give a payment whose row nobody else changes until the end of the transaction."""
        row = await self._connection.fetch_one(LOCK, (payment_id, tenant.merchant_id, tenant.mode))
        return _payment(row) if row else None

    async def update(self, payment: Payment) -> bool:
        """Write state, amounts and answer where the version is the one given."""
        changed = await self._connection.execute(
            UPDATE,
            (
                payment.state,
                payment.status,
                *_amounts(payment),
                payment.saved_token_id,
                payment.agreement_id,
                *_answer(payment),
                payment.id,
                payment.tenant.merchant_id,
                payment.tenant.mode,
                payment.version,
            ),
        )
        return changed == 1

    async def amend(self, payment: Payment) -> bool:
        """Write the facts where the version is the one given."""
        tenant = payment.tenant
        changed = await self._connection.execute(
            AMEND,
            (to_json(payment.facts), payment.id, tenant.merchant_id, tenant.mode.value, payment.version),
        )
        return changed == 1

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Payment]:
        """List payments, newest first."""
        return await page_of(self._connection, PAGE, _FILTERS, tenant, page, _payment, _PREFIXES)

    async def made_alone(self, tenant: Tenant, fingerprint: bytes, limit: int) -> Sequence[Payment]:
        """Give the newest payments that the merchant made alone with one instrument."""
        rows = await self._connection.fetch_all(
            MADE_ALONE, (tenant.merchant_id, tenant.mode.value, fingerprint, limit)
        )
        return [_payment(row) for row in rows]


def _amounts(payment: Payment) -> tuple[int, ...]:
    return (
        payment.authorized_minor,
        payment.captured_minor,
        payment.refunded_minor,
        payment.voided_minor,
        payment.capturing_minor,
        payment.refunding_minor,
        payment.voiding_minor,
    )


def _answer(payment: Payment) -> tuple[Value, ...]:
    return (
        payment.checks.avs,
        payment.checks.cvc,
        to_json(payment.decline) if payment.decline else None,
        payment.authorization_code,
        payment.network_transaction_id,
    )


def _payment(row: Row) -> Payment:
    return Payment(
        id=PaymentId(row[0]),
        tenant=Tenant(MerchantId(row[1]), MODES[row[2]]),
        kind=_KINDS[row[3]],
        state=_STATES[row[4]],
        amount_minor=row[5],
        currency=row[6],
        created_at=from_us(row[7]),
        summary=_summary.decode(row[8]),
        dialect=row[9],
        processor=row[10],
        authorized_minor=row[11],
        captured_minor=row[12],
        refunded_minor=row[13],
        voided_minor=row[14],
        capturing_minor=row[15],
        refunding_minor=row[16],
        voiding_minor=row[17],
        single_use_token_id=SingleUseTokenId(row[18]) if row[18] else None,
        stored_token_id=StoredTokenId(row[19]) if row[19] else None,
        saved_token_id=StoredTokenId(row[20]) if row[20] else None,
        customer_id=CustomerId(row[21]) if row[21] else None,
        agreement_id=AgreementId(row[22]) if row[22] else None,
        initiator=_INITIATORS[row[23]],
        reason=Reason(row[24]) if row[24] else None,
        reference=row[25],
        metadata=_metadata.decode(row[26]),
        checks=Checks(_AVS[row[27]], _CVC[row[28]]),
        decline=_decline.decode(row[29]) if row[29] else None,
        authorization_code=row[30],
        network_transaction_id=row[31],
        version=row[32],
        facts=read_facts(row[33]),
    )
