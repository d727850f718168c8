"""Webhook endpoints, their secrets, the queue of events and the deliveries, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    Connection,
    Row,
    from_us,
    optional_from_us,
    optional_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.adapters.storage.events import COLUMNS as EVENT_COLUMNS
from farebox.adapters.storage.events import read_event
from farebox.adapters.storage.paging import Filter, page_of
from farebox.domain.access import Mode, Tenant
from farebox.domain.events import Event
from farebox.domain.ids import DeliveryId, EventId, MerchantId, WebhookEndpointId
from farebox.domain.webhooks import (
    AttemptResult,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    OutboundRequest,
    SigningSecret,
    WebhookEndpoint,
)
from farebox.ports.storage import Page, PageRequest

_MICROSECOND = timedelta(microseconds=1)
_read_words = msgspec.json.Decoder(tuple[str, ...]).decode
_read_headers = msgspec.json.Decoder(dict[str, str]).decode

# --- endpoints -------------------------------------------------------------------------------------

_ENDPOINT: LiteralString = (
    "id, merchant_id, mode, dialect, kind, url, event_types, is_one_off, disabled, description, facts,"
    " created_at, updated_at, deleted_at, version"
)
LISTEN: LiteralString = (
    "INSERT INTO webhook_audience (merchant_id, mode) VALUES ($1, $2)"
    " ON CONFLICT (merchant_id, mode) DO NOTHING"
)
INSERT_ENDPOINT: LiteralString = (
    f"INSERT INTO webhook_endpoint ({_ENDPOINT}) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
)
_ENDPOINTS: LiteralString = f"SELECT {_ENDPOINT} FROM webhook_endpoint"
FIND_ENDPOINT: LiteralString = _ENDPOINTS + " WHERE id = $1 AND merchant_id = $2 AND mode = $3"
UPDATE_ENDPOINT: LiteralString = (
    "UPDATE webhook_endpoint SET url = $1, event_types = $2, disabled = $3, description = $4, facts = $5,"
    " updated_at = $6, deleted_at = $7, version = version + 1"
    " WHERE id = $8 AND merchant_id = $9 AND mode = $10 AND version = $11"
)
DISABLE_ENDPOINT: LiteralString = (
    "UPDATE webhook_endpoint SET disabled = $1, version = version + 1"
    " WHERE id = $2 AND merchant_id = $3 AND mode = $4 AND disabled IS NULL"
)
PAGE_ENDPOINTS: LiteralString = (
    _ENDPOINTS + " WHERE merchant_id = $1 AND mode = $2 AND is_one_off = 0 AND deleted_at IS NULL"
)
CONFIGURED: LiteralString = PAGE_ENDPOINTS + " AND disabled IS NULL ORDER BY id LIMIT 100"
_ENDPOINT_FILTERS = {"dialect": Filter("dialect"), "kind": Filter("kind"), "url": Filter("url")}
COUNT_ENDPOINTS: LiteralString = (
    "SELECT COUNT(*) FROM webhook_endpoint"
    " WHERE merchant_id = $1 AND mode = $2 AND is_one_off = 0 AND deleted_at IS NULL"
)
WATCH: LiteralString = (
    "INSERT INTO webhook_subject (merchant_id, mode, object_id, endpoint_id) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (merchant_id, mode, object_id, endpoint_id) DO NOTHING"
)
WATCHING: LiteralString = (
    _ENDPOINTS + " WHERE id IN (SELECT endpoint_id FROM webhook_subject"
    " WHERE merchant_id = $1 AND mode = $2 AND object_id = $3) AND disabled IS NULL ORDER BY id LIMIT 100"
)

# --- secrets ---------------------------------------------------------------------------------------

_SECRET: LiteralString = "merchant_id, mode, owner, number, sealed, created_at, expires_at"
INSERT_SECRET: LiteralString = f"INSERT INTO signing_secret ({_SECRET}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
# The newest one counts even if it is over, for a number is never given twice.
SECRETS: LiteralString = (
    f"SELECT {_SECRET} FROM signing_secret WHERE merchant_id = $1 AND mode = $2 AND owner = $3"
    " ORDER BY number DESC LIMIT 10"
)
EXPIRE_SECRETS: LiteralString = (
    "UPDATE signing_secret SET expires_at = $1 WHERE merchant_id = $2 AND mode = $3 AND owner = $4"
    " AND (expires_at IS NULL OR expires_at > $1)"
)
FORGET_SECRETS: LiteralString = (
    "DELETE FROM signing_secret WHERE merchant_id = $1 AND mode = $2 AND owner = $3"
)

# --- the queue of events ---------------------------------------------------------------------------

_TAKE: LiteralString = (
    "DELETE FROM event_queue WHERE event_id IN (SELECT event_id FROM event_queue ORDER BY event_id LIMIT $1"
)
_TAKEN: LiteralString = ") RETURNING event_id"
EVENT: LiteralString = f"SELECT {EVENT_COLUMNS} FROM event WHERE id = $1"
HAS_EVENTS: LiteralString = "SELECT 1 FROM event_queue LIMIT 1"
OLDEST_EVENT: LiteralString = "SELECT queued_at FROM event_queue ORDER BY event_id LIMIT 1"

# --- deliveries ------------------------------------------------------------------------------------

_DELIVERY: LiteralString = (
    "id, merchant_id, mode, endpoint_id, event_id, event_type, subject_id, sequence, method, url, headers,"
    " body, state, created_at, next_attempt_at, attempts, tries, claims, last_result, last_status, closed_at"
)
INSERT_DELIVERY: LiteralString = (
    f"INSERT INTO webhook_delivery ({_DELIVERY}) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"
    " ON CONFLICT (endpoint_id, event_id) DO NOTHING"
)
_DELIVERIES: LiteralString = f"SELECT {_DELIVERY} FROM webhook_delivery WHERE merchant_id = $1 AND mode = $2"
FIND_DELIVERY: LiteralString = _DELIVERIES + " AND id = $3"
DELIVERY_OF: LiteralString = (
    f"SELECT {_DELIVERY} FROM webhook_delivery"
    " WHERE endpoint_id = $1 AND event_id = $2 AND merchant_id = $3 AND mode = $4"
)
_DELIVERY_FILTERS = {
    "endpoint_id": Filter("endpoint_id"),
    "event_id": Filter("event_id"),
    "subject_id": Filter("subject_id"),
    "state": Filter("state"),
}
HAS_DUE: LiteralString = "SELECT 1 FROM webhook_delivery WHERE next_attempt_at <= farebox_now() LIMIT 1"
_CLAIM: LiteralString = (
    "UPDATE webhook_delivery SET next_attempt_at = farebox_now() + $1, claims = claims + 1 WHERE id IN ("
    "SELECT id FROM webhook_delivery WHERE next_attempt_at <= farebox_now() ORDER BY next_attempt_at LIMIT $2"
)
_CLAIMED: LiteralString = f") RETURNING {_DELIVERY}"
# What was delivered is delivered whoever says so; anything else counts only while nobody else has taken it.
RECORD: LiteralString = (
    "UPDATE webhook_delivery SET state = $1, next_attempt_at = $2, attempts = attempts + 1,"
    " tries = tries + 1, last_result = $3, last_status = $4, closed_at = $5"
    " WHERE id = $6 AND merchant_id = $7 AND mode = $8 AND state = 'pending'"
    " AND (claims = $9 OR $1 = 'delivered')"
)
INSERT_ATTEMPT: LiteralString = (
    "INSERT INTO webhook_attempt (delivery_id, number, at, duration_ms, result, status, answer)"
    " SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6 FROM webhook_attempt WHERE delivery_id = $1"
)
ATTEMPTS: LiteralString = (
    "SELECT number, at, duration_ms, result, status, answer FROM webhook_attempt WHERE delivery_id ="
    " (SELECT id FROM webhook_delivery WHERE id = $1 AND merchant_id = $2 AND mode = $3)"
    " ORDER BY number LIMIT 100"
)
POSTPONE: LiteralString = (
    "UPDATE webhook_delivery SET next_attempt_at = farebox_now() + $1"
    " WHERE id = $2 AND merchant_id = $3 AND mode = $4 AND state = 'pending' AND claims = $5"
)
CANCEL: LiteralString = (
    "UPDATE webhook_delivery SET state = 'cancelled', next_attempt_at = NULL, closed_at = farebox_now()"
    " WHERE id = $1 AND merchant_id = $2 AND mode = $3 AND state = 'pending' AND claims = $4"
)
REPLAY: LiteralString = (
    "UPDATE webhook_delivery SET state = 'pending', next_attempt_at = farebox_now(), tries = 0,"
    " claims = claims + 1, closed_at = NULL WHERE id = $1 AND merchant_id = $2 AND mode = $3"
    f" RETURNING {_DELIVERY}"
)
OLDEST_DUE: LiteralString = (
    "SELECT MIN(next_attempt_at) FROM webhook_delivery WHERE next_attempt_at <= farebox_now()"
)

_PURGE_DELIVERIES: LiteralString = (
    "DELETE FROM webhook_delivery WHERE id IN"
    " (SELECT id FROM webhook_delivery WHERE created_at < $1 ORDER BY created_at LIMIT $2)"
)
_PURGE_ONE_OFFS: LiteralString = (
    "DELETE FROM webhook_endpoint WHERE id IN (SELECT id FROM webhook_endpoint"
    " WHERE is_one_off = 1 AND created_at < $1 ORDER BY created_at LIMIT $2)"
)


class Webhooks:
    """Implements `ports.storage.Webhooks`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    # --- endpoints ---------------------------------------------------------------------------------

    async def insert_endpoint(self, endpoint: WebhookEndpoint) -> None:
        """Store an endpoint; from now on this tenant's events are queued."""
        place = _place(endpoint.tenant)
        await self._connection.execute(LISTEN, place)
        await self._connection.execute(
            INSERT_ENDPOINT,
            (
                endpoint.id,
                *place,
                endpoint.dialect,
                endpoint.kind,
                endpoint.url,
                to_json(endpoint.event_types),
                int(endpoint.is_one_off),
                endpoint.disabled,
                endpoint.description,
                to_json(endpoint.facts),
                to_us(endpoint.created_at),
                to_us(endpoint.updated_at),
                optional_us(endpoint.deleted_at),
                endpoint.version,
            ),
        )

    async def find_endpoint(self, tenant: Tenant, endpoint_id: WebhookEndpointId) -> WebhookEndpoint | None:
        """Give an endpoint, deleted ones too."""
        row = await self._connection.fetch_one(FIND_ENDPOINT, (endpoint_id, *_place(tenant)))
        return _endpoint(row) if row else None

    async def update_endpoint(self, endpoint: WebhookEndpoint) -> bool:
        """Write an endpoint where the version is the one given."""
        values = (
            endpoint.url,
            to_json(endpoint.event_types),
            endpoint.disabled,
            endpoint.description,
            to_json(endpoint.facts),
            to_us(endpoint.updated_at),
            optional_us(endpoint.deleted_at),
            endpoint.id,
            *_place(endpoint.tenant),
            endpoint.version,
        )
        return await self._connection.execute(UPDATE_ENDPOINT, values) == 1

    async def disable_endpoint(
        self, tenant: Tenant, endpoint_id: WebhookEndpointId, reason: DisabledReason
    ) -> None:
        """Disable an endpoint that is not yet."""
        await self._connection.execute(DISABLE_ENDPOINT, (reason, endpoint_id, *_place(tenant)))

    async def page_endpoints(self, tenant: Tenant, page: PageRequest) -> Page[WebhookEndpoint]:
        """List configured endpoints, newest first."""
        return await page_of(self._connection, PAGE_ENDPOINTS, _ENDPOINT_FILTERS, tenant, page, _endpoint)

    async def count_endpoints(self, tenant: Tenant) -> int:
        """Count configured endpoints."""
        row = await self._connection.fetch_one(COUNT_ENDPOINTS, _place(tenant))
        return row[0] if row else 0

    async def configured(self, tenant: Tenant) -> Sequence[WebhookEndpoint]:
        """Give the configured endpoints that are not disabled."""
        return [_endpoint(row) for row in await self._connection.fetch_all(CONFIGURED, _place(tenant))]

    async def watch(self, tenant: Tenant, object_id: str, endpoint_id: WebhookEndpointId) -> None:
        """Let a one-off endpoint hear of an object."""
        await self._connection.execute(WATCH, (*_place(tenant), object_id, endpoint_id))

    async def watching(self, tenant: Tenant, object_id: str) -> Sequence[WebhookEndpoint]:
        """Give the one-off endpoints of an object."""
        rows = await self._connection.fetch_all(WATCHING, (*_place(tenant), object_id))
        return [_endpoint(row) for row in rows]

    # --- secrets -----------------------------------------------------------------------------------

    async def insert_secret(self, secret: SigningSecret) -> None:
        """Store a sealed secret."""
        await self._connection.execute(
            INSERT_SECRET,
            (
                *_place(secret.tenant),
                secret.owner,
                secret.number,
                secret.sealed,
                to_us(secret.created_at),
                optional_us(secret.expires_at),
            ),
        )

    async def secrets(self, tenant: Tenant, owner: str) -> Sequence[SigningSecret]:
        """Give an owner's secrets, newest first."""
        rows = await self._connection.fetch_all(SECRETS, (*_place(tenant), owner))
        return [
            SigningSecret(
                tenant=Tenant(MerchantId(row[0]), Mode(row[1])),
                owner=row[2],
                number=row[3],
                sealed=row[4],
                created_at=from_us(row[5]),
                expires_at=optional_from_us(row[6]),
            )
            for row in rows
        ]

    async def expire_secrets(self, tenant: Tenant, owner: str, at: datetime) -> None:
        """Let an owner's secrets end."""
        await self._connection.execute(EXPIRE_SECRETS, (to_us(at), *_place(tenant), owner))

    async def forget_secrets(self, tenant: Tenant, owner: str) -> None:
        """Erase an owner's secrets."""
        await self._connection.execute(FORGET_SECRETS, (*_place(tenant), owner))

    # --- the queue of events -----------------------------------------------------------------------

    async def take_events(self, limit: int) -> Sequence[Event]:
        """Take the oldest events out of the queue."""
        taken = await self._connection.fetch_all(_TAKE + self._connection.skip_locked + _TAKEN, (limit,))
        events: list[Event] = []
        for (event_id,) in sorted(taken):
            row = await self._connection.fetch_one(EVENT, (event_id,))
            if row is not None:
                events.append(read_event(row))
        return events

    async def has_events(self) -> bool:
        """Tell whether the queue holds anything."""
        return await self._connection.fetch_one(HAS_EVENTS) is not None

    # --- deliveries --------------------------------------------------------------------------------

    async def insert_delivery(self, delivery: Delivery) -> bool:
        """Store a delivery unless its endpoint has one of this event."""
        request = delivery.request
        values = (
            delivery.id,
            *_place(delivery.tenant),
            delivery.endpoint_id,
            delivery.event_id,
            delivery.event_type,
            delivery.subject_id,
            delivery.sequence,
            request.method,
            request.url,
            to_json(request.headers),
            request.body,
            delivery.state,
            to_us(delivery.created_at),
            optional_us(delivery.next_attempt_at),
            delivery.attempts,
            delivery.tries,
            delivery.claims,
            delivery.last_result,
            delivery.last_status,
            optional_us(delivery.closed_at),
        )
        return await self._connection.execute(INSERT_DELIVERY, values) == 1

    async def find_delivery(self, tenant: Tenant, delivery_id: DeliveryId) -> Delivery | None:
        """Give a delivery."""
        row = await self._connection.fetch_one(FIND_DELIVERY, (*_place(tenant), delivery_id))
        return _delivery(row) if row else None

    async def delivery_of(
        self, tenant: Tenant, endpoint_id: WebhookEndpointId, event_id: EventId
    ) -> Delivery | None:
        """Give the delivery of an event to an endpoint."""
        row = await self._connection.fetch_one(DELIVERY_OF, (endpoint_id, event_id, *_place(tenant)))
        return _delivery(row) if row else None

    async def page_deliveries(self, tenant: Tenant, page: PageRequest) -> Page[Delivery]:
        """List deliveries, newest first."""
        return await page_of(self._connection, _DELIVERIES, _DELIVERY_FILTERS, tenant, page, _delivery)

    async def attempts(self, tenant: Tenant, delivery_id: DeliveryId) -> Sequence[DeliveryAttempt]:
        """Give a delivery's attempts, oldest first."""
        rows = await self._connection.fetch_all(ATTEMPTS, (delivery_id, *_place(tenant)))
        return [
            DeliveryAttempt(
                number=row[0],
                at=from_us(row[1]),
                duration_ms=row[2],
                result=AttemptResult(row[3]),
                status=row[4],
                answer=row[5],
            )
            for row in rows
        ]

    async def has_due(self) -> bool:
        """Tell whether a delivery is due."""
        return await self._connection.fetch_one(HAS_DUE) is not None

    async def claim_due(self, limit: int, lease: timedelta) -> Sequence[Delivery]:
        """Take what is due, for the time of the lease."""
        rows = await self._connection.fetch_all(
            _CLAIM + self._connection.skip_locked + _CLAIMED, (lease // _MICROSECOND, limit)
        )
        return sorted((_delivery(row) for row in rows), key=lambda delivery: delivery.id)

    async def record_attempt(
        self,
        delivery: Delivery,
        attempt: DeliveryAttempt,
        *,
        state: DeliveryState,
        next_attempt_at: datetime | None,
    ) -> bool:
        """Keep an attempt, and move the delivery on unless somebody else has it now."""
        await self._connection.execute(
            INSERT_ATTEMPT,
            (
                delivery.id,
                to_us(attempt.at),
                attempt.duration_ms,
                attempt.result,
                attempt.status,
                attempt.answer,
            ),
        )
        closed_at = to_us(attempt.at) if state is not DeliveryState.PENDING else None
        values = (
            state,
            optional_us(next_attempt_at),
            attempt.result,
            attempt.status,
            closed_at,
            delivery.id,
            *_place(delivery.tenant),
            delivery.claims,
        )
        return await self._connection.execute(RECORD, values) == 1

    async def postpone(self, delivery: Delivery, delay: timedelta) -> None:
        """Give a claimed delivery back untried."""
        await self._connection.execute(
            POSTPONE, (delay // _MICROSECOND, delivery.id, *_place(delivery.tenant), delivery.claims)
        )

    async def cancel(self, delivery: Delivery) -> None:
        """End a claimed delivery untried."""
        await self._connection.execute(CANCEL, (delivery.id, *_place(delivery.tenant), delivery.claims))

    async def replay(self, tenant: Tenant, delivery_id: DeliveryId) -> Delivery | None:
        """Begin a delivery again, whatever became of it."""
        row = await self._connection.fetch_one(REPLAY, (delivery_id, *_place(tenant)))
        return _delivery(row) if row else None

    async def oldest_undelivered(self) -> datetime | None:
        """Give since when the oldest event or delivery waits that should be on its way."""
        oldest: list[int] = []
        for statement in (OLDEST_EVENT, OLDEST_DUE):
            row = await self._connection.fetch_one(statement)
            if row is not None and row[0] is not None:
                oldest.append(row[0])
        return from_us(min(oldest)) if oldest else None

    async def purge(self, older_than: datetime, limit: int) -> int:
        """Forget old deliveries with their attempts, and old one-off endpoints."""
        values = (to_us(older_than), limit)
        deliveries = await self._connection.execute(_PURGE_DELIVERIES, values)
        return deliveries + await self._connection.execute(_PURGE_ONE_OFFS, values)


def _place(tenant: Tenant) -> tuple[str, str]:
    return tenant.merchant_id, tenant.mode


def _endpoint(row: Row) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=WebhookEndpointId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        dialect=row[3],
        kind=row[4],
        url=row[5],
        event_types=_read_words(row[6]),
        is_one_off=bool(row[7]),
        disabled=DisabledReason(row[8]) if row[8] else None,
        description=row[9],
        facts=read_facts(row[10]),
        created_at=from_us(row[11]),
        updated_at=from_us(row[12]),
        deleted_at=optional_from_us(row[13]),
        version=row[14],
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=DeliveryId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        endpoint_id=WebhookEndpointId(row[3]),
        event_id=EventId(row[4]),
        event_type=row[5],
        subject_id=row[6],
        sequence=row[7],
        request=OutboundRequest(
            method=row[8], url=row[9], headers=_read_headers(row[10]), body=bytes(row[11])
        ),
        state=DeliveryState(row[12]),
        created_at=from_us(row[13]),
        next_attempt_at=optional_from_us(row[14]),
        attempts=row[15],
        tries=row[16],
        claims=row[17],
        last_result=AttemptResult(row[18]) if row[18] else None,
        last_status=row[19],
        closed_at=optional_from_us(row[20]),
    )
