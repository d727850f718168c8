"""Subscriptions in SQL, and the payment of each billed period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import LiteralString

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
from farebox.domain.access import Mode, Tenant
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import AgreementId, MerchantId, PaymentId, StoredTokenId, SubscriptionId
from farebox.domain.subscriptions import Frequency, Subscription, SubscriptionState
from farebox.ports.storage import Page, PageRequest

_NAMES: LiteralString = (
    "id, merchant_id, mode, name, plan_id, token_id, agreement_id, dialect, state, is_automatic, currency,"
    " amount_minor, frequency, start_on, created_at, end_on, length, skipped, period, paid, attempts, act_on,"
    " facts, payment_facts, version"
)
_PREFIXED: LiteralString = (
    "s.id, s.merchant_id, s.mode, s.name, s.plan_id, s.token_id, s.agreement_id, s.dialect, s.state,"
    " s.is_automatic, s.currency, s.amount_minor, s.frequency, s.start_on, s.created_at, s.end_on, s.length,"
    " s.skipped, s.period, s.paid, s.attempts, s.act_on, s.facts, s.payment_facts, s.version"
)
INSERT: LiteralString = (
    f"INSERT INTO subscription ({_NAMES}, act_us) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,"
    " $23, $24, $25, $26)"
)
_OF_OWNER: LiteralString = f"SELECT {_NAMES} FROM subscription WHERE merchant_id = $1 AND mode = $2"
FIND: LiteralString = _OF_OWNER + " AND id = $3"
FIND_BY_NAME: LiteralString = _OF_OWNER + " AND name = $3"
OF_PLAN: LiteralString = _OF_OWNER + " AND plan_id = $3 ORDER BY id"
UPDATE: LiteralString = (
    "UPDATE subscription SET state = $1, is_automatic = $2, amount_minor = $3, frequency = $4,"
    " start_on = $5, end_on = $6, length = $7, skipped = $8, period = $9, paid = $10, attempts = $11,"
    " act_on = $12, act_us = $13, facts = $14, payment_facts = $15, token_id = $16, version = version + 1"
    " WHERE id = $17 AND merchant_id = $18 AND mode = $19 AND version = $20"
)
# The day is over for a merchant by its own clock, which in test mode may be ahead of the database's.
DUE: LiteralString = (
    f"SELECT {_PREFIXED}, m.clock_offset_us FROM subscription s JOIN merchant m ON m.id = s.merchant_id"
    " WHERE s.act_us IS NOT NULL AND s.is_automatic = 1"
    " AND s.act_us <= farebox_now() + m.clock_offset_us ORDER BY s.act_us LIMIT $1"
)
RECORD: LiteralString = (
    "INSERT INTO subscription_payment (merchant_id, mode, subscription_id, period, payment_id)"
    " VALUES ($1, $2, $3, $4, $5)"
)
_FILTERS = {"plan_id": Filter("plan_id"), "state": Filter("state")}


class Subscriptions:
    """Implements `ports.storage.Subscriptions`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, subscription: Subscription) -> None:
        """Store a subscription."""
        one = subscription
        values: tuple[Value, ...] = (
            one.id,
            *_owner(one.tenant),
            one.name,
            one.plan_id,
            one.token_id,
            one.agreement_id,
            one.dialect,
            one.state.value,
            int(one.is_automatic),
            one.currency,
            one.amount_minor,
            one.frequency.value,
            one.start_on.isoformat(),
            to_us(one.created_at),
            _day(one.end_on),
            one.length,
            one.skipped,
            one.period,
            one.paid,
            one.attempts,
            _day(one.act_on),
            to_json(one.facts),
            to_json(one.payment_facts),
            one.version,
            _day_us(one.act_on),
        )
        try:
            await self._connection.execute(INSERT, values)
        except ConstraintViolated as refusal:
            if refusal.name != "subscription_name":
                raise
            raise Conflict(ErrorCode.NAME_ALREADY_USED) from None

    async def find(self, tenant: Tenant, subscription_id: SubscriptionId) -> Subscription | None:
        """Give a subscription."""
        row = await self._connection.fetch_one(FIND, (*_owner(tenant), subscription_id))
        return _subscription(row) if row else None

    async def find_by_name(self, tenant: Tenant, name: str) -> Subscription | None:
        """Give a subscription by the merchant's name for it."""
        row = await self._connection.fetch_one(FIND_BY_NAME, (*_owner(tenant), name))
        return _subscription(row) if row else None

    async def of_plan(self, tenant: Tenant, plan_id: str) -> Sequence[Subscription]:
        """Give a plan's subscriptions, oldest first."""
        rows = await self._connection.fetch_all(OF_PLAN, (*_owner(tenant), plan_id))
        return [_subscription(row) for row in rows]

    async def update(self, subscription: Subscription) -> bool:
        """Write what may change where the version is the one given."""
        one = subscription
        changed = await self._connection.execute(
            UPDATE,
            (
                one.state.value,
                int(one.is_automatic),
                one.amount_minor,
                one.frequency.value,
                one.start_on.isoformat(),
                _day(one.end_on),
                one.length,
                one.skipped,
                one.period,
                one.paid,
                one.attempts,
                _day(one.act_on),
                _day_us(one.act_on),
                to_json(one.facts),
                to_json(one.payment_facts),
                one.token_id,
                one.id,
                *_owner(one.tenant),
                one.version,
            ),
        )
        return changed == 1

    async def record_payment(self, subscription: Subscription, payment_id: PaymentId) -> None:
        """Note which payment paid the subscription's current period."""
        values = (*_owner(subscription.tenant), subscription.id, subscription.period, payment_id)
        await self._connection.execute(RECORD, values)

    async def due(self, limit: int) -> Sequence[tuple[Subscription, timedelta]]:
        """Give automatic ones whose day has come, of all tenants, with their merchants' clock offsets."""
        rows = await self._connection.fetch_all(DUE, (limit,))
        return [(_subscription(row), timedelta(microseconds=row[25])) for row in rows]

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Subscription]:
        """List subscriptions, newest first."""
        return await page_of(self._connection, _OF_OWNER, _FILTERS, tenant, page, _subscription)


def _owner(tenant: Tenant) -> tuple[Value, Value]:
    return tenant.merchant_id, tenant.mode.value


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day_us(day: date | None) -> int | None:
    return None if day is None else to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _subscription(row: Row) -> Subscription:
    return Subscription(
        id=SubscriptionId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        name=row[3],
        plan_id=row[4],
        token_id=StoredTokenId(row[5]),
        agreement_id=AgreementId(row[6]),
        dialect=row[7],
        state=SubscriptionState(row[8]),
        is_automatic=bool(row[9]),
        currency=row[10],
        amount_minor=row[11],
        frequency=Frequency(row[12]),
        start_on=date.fromisoformat(row[13]),
        created_at=from_us(row[14]),
        end_on=date.fromisoformat(row[15]) if row[15] else None,
        length=row[16],
        skipped=row[17],
        period=row[18],
        paid=row[19],
        attempts=row[20],
        act_on=date.fromisoformat(row[21]) if row[21] else None,
        facts=read_facts(row[22]),
        payment_facts=read_facts(row[23]),
        version=row[24],
    )
