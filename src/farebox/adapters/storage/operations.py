"""Operations in SQL; the partial unique index of a token's one live operation guards them (I1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    MODES,
    Connection,
    ConstraintViolated,
    Row,
    Value,
    by_value,
    from_us,
    optional_from_us,
    optional_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.domain.access import Tenant
from farebox.domain.checks import AvsResult, Checks, CvcResult
from farebox.domain.declines import Decline
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import MerchantId, OperationId, PaymentId, SingleUseTokenId, StoredTokenId
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, Operation, OperationKind, OperationState, Reason

_COLUMNS: LiteralString = (
    "id, merchant_id, mode, payment_id, kind, amount_minor, currency, state, created_at, send_by, processor,"
    " processor_reference, token_id, consumes_token, stored_token_id, target_id, target_kind, initiator,"
    " reason, processor_id, approved_minor, authorization_code, avs, cvc_check, decline,"
    " network_transaction_id, reference, settled_at, closed_at, envelope, envelope_day, attempts,"
    " next_attempt_at, reversing, facts"
)
INSERT: LiteralString = (
    f"INSERT INTO operation ({_COLUMNS}) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,"
    " $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)"
)
FIND: LiteralString = f"SELECT {_COLUMNS} FROM operation WHERE id = $1 AND merchant_id = $2 AND mode = $3"
FIND_BETWEEN: LiteralString = (
    f"SELECT {_COLUMNS} FROM operation WHERE id >= $1 AND id <= $2 AND merchant_id = $3 AND mode = $4"
    " ORDER BY id DESC LIMIT 1"
)
OF_PAYMENT: LiteralString = (
    f"SELECT {_COLUMNS} FROM operation WHERE payment_id = $1 AND merchant_id = $2 AND mode = $3"
    " ORDER BY id LIMIT 1000"
)
# What recovery has begun to reverse takes no answer but that it was reversed; what recovery has taken over
# cannot be failed by its owner any more; and what is pending already does not become so again.
CLOSE: LiteralString = (
    "UPDATE operation SET state = $1, processor_id = $2, approved_minor = $3, authorization_code = $4,"
    " avs = $5, cvc_check = $6, decline = $7, network_transaction_id = $8, closed_at = $9,"
    " consumes_token = $10, next_attempt_at = $11, reversing = 0"
    " WHERE id = $12 AND merchant_id = $13 AND mode = $14 AND state IN ('submitted', 'in_doubt', 'pending')"
    " AND (reversing = 0 OR $1 = 'reversed') AND (state = 'submitted' OR $1 <> 'failed') AND state <> $1"
)
DOUBT: LiteralString = (
    "UPDATE operation SET state = 'in_doubt', next_attempt_at = $1"
    " WHERE id = $2 AND merchant_id = $3 AND mode = $4 AND state = 'submitted'"
)
BEGIN_REVERSAL: LiteralString = (
    "UPDATE operation SET reversing = 1"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND state = 'in_doubt'"
)
POSTPONE: LiteralString = (
    "UPDATE operation SET attempts = $1, next_attempt_at = $2"
    " WHERE id = $3 AND merchant_id = $4 AND mode = $5"
    " AND (reversing = 1 OR state IN ('submitted', 'in_doubt', 'pending'))"
)
# Nothing of a failed operation was sent: what is approved under its reference is its repetition.
COMPENSATE: LiteralString = (
    "UPDATE operation SET reversing = 1, next_attempt_at = farebox_now(),"
    " processor_id = COALESCE(processor_id, $1)"
    " WHERE id = $2 AND merchant_id = $3 AND mode = $4"
    " AND state IN ('declined', 'reversed')"
)
COMPENSATED: LiteralString = (
    "UPDATE operation SET reversing = 0, next_attempt_at = NULL"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3"
    " AND state IN ('declined', 'reversed')"
)
_LEASE: LiteralString = (
    "UPDATE operation SET next_attempt_at = farebox_now() + 30000000 WHERE id IN ("
    "SELECT id FROM operation WHERE next_attempt_at <= farebox_now() ORDER BY next_attempt_at LIMIT $1"
)
_LEASED: LiteralString = f") RETURNING {_COLUMNS}"
PENDING: LiteralString = (
    f"SELECT {_COLUMNS} FROM operation WHERE merchant_id = $1 AND mode = $2"
    " AND state = 'pending' AND next_attempt_at IS NOT NULL ORDER BY next_attempt_at LIMIT $3"
)
SETTLED: LiteralString = (
    "UPDATE operation SET settled_at = $1 WHERE processor_reference = $2"
    " AND merchant_id = $3 AND mode = $4 AND state = 'approved' AND settled_at IS NULL"
    f" RETURNING {_COLUMNS}"
)
OLDEST_ENVELOPE: LiteralString = (
    "SELECT MIN(envelope_day) FROM operation WHERE next_attempt_at IS NOT NULL AND envelope IS NOT NULL"
)
DOUBT_STATISTICS: LiteralString = (
    "SELECT processor, COUNT(*), MIN(created_at) FROM operation"
    " WHERE next_attempt_at IS NOT NULL AND state = 'in_doubt' GROUP BY processor"
)

_decline = msgspec.json.Decoder(Decline)
_KINDS, _STATES, _INITIATORS = by_value(OperationKind), by_value(OperationState), by_value(Initiator)
_AVS, _CVC = by_value(AvsResult), by_value(CvcResult)

_REFUSALS: Mapping[str, ErrorCode] = {
    "one_live_operation": ErrorCode.TOKEN_ALREADY_CONSUMED,
    "one_processor_reference": ErrorCode.REFERENCE_ALREADY_USED,
    "one_live_void": ErrorCode.PAYMENT_STATE_CONFLICT,
}


class Operations:
    """Implements `ports.storage.Operations`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, operation: Operation) -> None:
        """Store an operation before it is sent."""
        try:
            await self._connection.execute(INSERT, _values(operation))
        except ConstraintViolated as refusal:
            code = _REFUSALS.get(refusal.name)
            if code is None:
                raise
            raise Conflict(code) from None

    async def find(self, tenant: Tenant, operation_id: OperationId) -> Operation | None:
        """Give an operation."""
        row = await self._connection.fetch_one(FIND, (operation_id, tenant.merchant_id, tenant.mode))
        return _operation(row) if row else None

    async def find_between(self, tenant: Tenant, first: str, last: str) -> Operation | None:
        """Give the newest operation whose id lies in a range."""
        row = await self._connection.fetch_one(
            FIND_BETWEEN, (first, last, tenant.merchant_id, tenant.mode.value)
        )
        return _operation(row) if row else None

    async def of_payment(self, tenant: Tenant, payment_id: PaymentId) -> Sequence[Operation]:
        """Give a payment's operations, oldest first."""
        rows = await self._connection.fetch_all(OF_PAYMENT, (payment_id, tenant.merchant_id, tenant.mode))
        return [_operation(row) for row in rows]

    async def close(self, operation: Operation) -> bool:
        """Record an answer where the operation still is open."""
        changed = await self._connection.execute(
            CLOSE,
            (
                operation.state,
                operation.processor_id,
                operation.approved_minor,
                operation.authorization_code,
                operation.checks.avs,
                operation.checks.cvc,
                to_json(operation.decline) if operation.decline else None,
                operation.network_transaction_id,
                optional_us(operation.closed_at),
                int(operation.consumes_token),
                optional_us(operation.next_attempt_at),
                *_key(operation),
            ),
        )
        return changed == 1

    async def doubt(self, operation: Operation) -> bool:
        """Move a submitted operation to in doubt."""
        due = optional_us(operation.next_attempt_at)
        return await self._connection.execute(DOUBT, (due, *_key(operation))) == 1

    async def begin_reversal(self, operation: Operation) -> bool:
        """Mark an operation in doubt as being reversed."""
        return await self._connection.execute(BEGIN_REVERSAL, _key(operation)) == 1

    async def postpone(self, operation: Operation) -> None:
        """Write when recovery tries again."""
        due = optional_us(operation.next_attempt_at)
        await self._connection.execute(POSTPONE, (operation.attempts, due, *_key(operation)))

    async def compensate(self, operation: Operation) -> None:
        """Note that a closed operation's late approval must be reversed (R4)."""
        await self._connection.execute(COMPENSATE, (operation.processor_id, *_key(operation)))

    async def compensated(self, operation: Operation) -> None:
        """Note that the late approval was reversed."""
        await self._connection.execute(COMPENSATED, _key(operation))

    async def due_for_recovery(self, limit: int) -> Sequence[Operation]:
        """Lease what recovery may act on now."""
        rows = await self._connection.fetch_all(_LEASE + self._connection.skip_locked + _LEASED, (limit,))
        return [_operation(row) for row in rows]

    async def pending(self, tenant: Tenant, limit: int) -> Sequence[Operation]:
        """Give the operations whose result is owed."""
        rows = await self._connection.fetch_all(PENDING, (tenant.merchant_id, tenant.mode, limit))
        return [_operation(row) for row in rows]

    async def mark_settled(
        self, tenant: Tenant, references: Sequence[str], settled_at: datetime
    ) -> Sequence[Operation]:
        """Note what the acquirer's batch took."""
        settled: list[Operation] = []
        for reference in references:
            rows = await self._connection.fetch_all(
                SETTLED, (to_us(settled_at), reference, tenant.merchant_id, tenant.mode)
            )
            settled += [_operation(row) for row in rows]
        return settled

    async def oldest_envelope_day(self) -> int | None:
        """Give the day of the oldest envelope that recovery may still need."""
        row = await self._connection.fetch_one(OLDEST_ENVELOPE)
        return row[0] if row else None

    async def doubt_statistics(self) -> Mapping[str, tuple[int, datetime | None]]:
        """Count what is in doubt, by processor."""
        rows = await self._connection.fetch_all(DOUBT_STATISTICS)
        return {processor: (count, optional_from_us(oldest)) for processor, count, oldest in rows}


def _key(operation: Operation) -> tuple[str, str, str]:
    return operation.id, operation.tenant.merchant_id, operation.tenant.mode


def _values(operation: Operation) -> tuple[Value, ...]:
    return (
        operation.id,
        operation.tenant.merchant_id,
        operation.tenant.mode,
        operation.payment_id,
        operation.kind,
        operation.money.amount_minor,
        operation.money.currency,
        operation.state,
        to_us(operation.created_at),
        to_us(operation.send_by),
        operation.processor,
        operation.processor_reference,
        operation.token_id,
        int(operation.consumes_token),
        operation.stored_token_id,
        operation.target_id,
        operation.target_kind,
        operation.initiator,
        operation.reason,
        operation.processor_id,
        operation.approved_minor,
        operation.authorization_code,
        operation.checks.avs,
        operation.checks.cvc,
        to_json(operation.decline) if operation.decline else None,
        operation.network_transaction_id,
        operation.reference,
        optional_us(operation.settled_at),
        optional_us(operation.closed_at),
        operation.envelope,
        operation.envelope_day,
        operation.attempts,
        optional_us(operation.next_attempt_at),
        int(operation.reversing),
        to_json(operation.facts) if operation.facts else "{}",
    )


def _operation(row: Row) -> Operation:
    return Operation(
        id=OperationId(row[0]),
        tenant=Tenant(MerchantId(row[1]), MODES[row[2]]),
        payment_id=PaymentId(row[3]),
        kind=_KINDS[row[4]],
        money=Money(row[5], row[6]),
        state=_STATES[row[7]],
        created_at=from_us(row[8]),
        send_by=from_us(row[9]),
        processor=row[10],
        processor_reference=row[11],
        token_id=SingleUseTokenId(row[12]) if row[12] else None,
        consumes_token=bool(row[13]),
        stored_token_id=StoredTokenId(row[14]) if row[14] else None,
        target_id=OperationId(row[15]) if row[15] else None,
        target_kind=_KINDS[row[16]] if row[16] else None,
        initiator=_INITIATORS[row[17]],
        reason=Reason(row[18]) if row[18] else None,
        processor_id=row[19],
        approved_minor=row[20],
        authorization_code=row[21],
        checks=Checks(_AVS[row[22]], _CVC[row[23]]),
        decline=_decline.decode(row[24]) if row[24] else None,
        network_transaction_id=row[25],
        reference=row[26],
        settled_at=optional_from_us(row[27]),
        closed_at=optional_from_us(row[28]),
        envelope=row[29],
        envelope_day=row[30],
        attempts=row[31],
        next_attempt_at=optional_from_us(row[32]),
        reversing=bool(row[33]),
        facts=read_facts(row[34]),
    )
