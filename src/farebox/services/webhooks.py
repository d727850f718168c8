"""From the outbox to the receivers: at least once, under fixed ids, whatever dies on the way.

Two background steps, each safe to run on every node at once and to be killed anywhere:

- *fan out*: events leave the queue and become deliveries, their requests written, in one transaction;
- *deliver*: due deliveries are claimed for a time, sent, and what came of it is recorded. A worker that dies
  in between lets the claim run out, and somebody else sends again; that is why receivers look at the id.

What is sent is written once and frozen (ADR 0024).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from farebox.domain.cards import contains_pan
from farebox.domain.errors import FareboxError
from farebox.domain.events import Event, EventType
from farebox.domain.ids import DeliveryId
from farebox.domain.webhooks import (
    TIMEOUT_S_MAX,
    AttemptResult,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    OutboundRequest,
    WebhookEndpoint,
    account_owner,
    decide,
    judge,
)
from farebox.ports.delivery import Answered, Sender, Unanswered
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.ports.telemetry import Telemetry
from farebox.services.callbacks import Callbacks, CallbackTable, Signing
from farebox.services.commands import Notice
from farebox.services.ids import Ids
from farebox.services.notices import subject_id_of, subject_of

EVENTS_AT_ONCE = 20
CLAIMS_AT_ONCE = 32
IN_FLIGHT_MAX = 128
LANE_MAX = 16
"""Requests at once to one host: a receiver that hangs holds up nobody else."""
LEASE = timedelta(seconds=30)
"""Longer than the longest timeout and what recording may take."""
_PUT_BACK = timedelta(seconds=5)
_STOP_WITHIN_S = 5.0


class Report(Protocol):
    """Is told of a dialect's writer or signer that failed: our defect, for the operator."""

    def __call__(self, what: str, error: Exception, /) -> None:
        """Tell."""
        ...


class Webhooks:
    """Fans events out and delivers."""

    def __init__(
        self,
        *,
        storage: Storage,
        secrets: Secrets,
        sender: Sender,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        telemetry: Telemetry,
        callbacks: CallbackTable,
        on_error: Report,
    ) -> None:
        """Take what it works with, and what the dialects declare."""
        self._storage = storage
        self._secrets = secrets
        self._sender = sender
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._telemetry = telemetry
        assert all(
            declared.terms.timeout_s <= TIMEOUT_S_MAX
            for kinds in callbacks.values()
            for declared in kinds.values()
        ), "a claim runs out before its attempt does"
        self._callbacks = callbacks
        self._on_error = on_error
        self._in_flight: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, int] = {}

    # --- from events to deliveries -----------------------------------------------------------------

    async def fan_out(self) -> int:
        """Turn queued events into deliveries; give how many events that were. A background job."""
        if not await self._storage.read(lambda uow: uow.webhooks.has_events()):
            return 0
        return await self._storage.write(self._fan_out)

    async def _fan_out(self, uow: UnitOfWork) -> int:
        events = await uow.webhooks.take_events(EVENTS_AT_ONCE)
        for event in events:
            await self.tell(uow, event)
        return len(events)

    async def tell(
        self, uow: UnitOfWork, event: Event, only: WebhookEndpoint | None = None
    ) -> list[Delivery]:
        """Make the deliveries of an event that are not there yet; give the new ones."""
        endpoints = [only] if only is not None else await self._listening(uow, event)
        wanting = [
            (endpoint, callbacks)
            for endpoint in endpoints
            if (callbacks := self.callbacks_of(endpoint)) is not None
            and (event.type is EventType.WEBHOOK_ENDPOINT_PINGED or callbacks.wants(event, endpoint))
        ]
        if not wanting:
            return []
        subject = await subject_of(uow, event)
        made: list[Delivery] = []
        for endpoint, callbacks in wanting:
            notice = Notice(event, subject, DeliveryId(self._ids.new("dlv")))
            delivery = self._delivery(notice, endpoint, callbacks)
            if delivery is not None and await uow.webhooks.insert_delivery(delivery):
                made.append(delivery)
        return made

    async def _listening(self, uow: UnitOfWork, event: Event) -> list[WebhookEndpoint]:
        """Give who may hear of an event: of a ping its endpoint, else whoever is configured or watches."""
        if event.type is EventType.WEBHOOK_ENDPOINT_PINGED:
            configured = await uow.webhooks.configured(event.tenant)
            return [endpoint for endpoint in configured if endpoint.id == event.object_id]
        found = {endpoint.id: endpoint for endpoint in await uow.webhooks.configured(event.tenant)}
        for object_id in {event.object_id, subject_id_of(event)}:
            for endpoint in await uow.webhooks.watching(event.tenant, object_id):
                found[endpoint.id] = endpoint
        return list(found.values())

    def callbacks_of(self, endpoint: WebhookEndpoint) -> Callbacks | None:
        """Give what the endpoint's dialect declares for its kind; nothing if it does so no more."""
        return self._callbacks.get(endpoint.dialect, {}).get(endpoint.kind)

    def _delivery(self, notice: Notice, endpoint: WebhookEndpoint, callbacks: Callbacks) -> Delivery | None:
        """Write what is sent; a writer that fails leaves a failed delivery, and holds up no other."""
        assert notice.delivery_id is not None, "a notice that is sent has its delivery's id"
        now = self._clock.now()
        try:
            request = callbacks.write(notice, endpoint)
        except Exception as error:  # our defect: the others are still told
            self._on_error(f"callback of {endpoint.dialect}", error)
            request, state = OutboundRequest(endpoint.url), DeliveryState.FAILED
        else:
            state = DeliveryState.PENDING
        if request is None:
            return None
        event = notice.event
        is_pending = state is DeliveryState.PENDING
        return Delivery(
            id=notice.delivery_id,
            tenant=event.tenant,
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type.value,
            subject_id=subject_id_of(event),
            sequence=event.sequence,
            request=request,
            state=state,
            created_at=now,
            next_attempt_at=now + timedelta(seconds=request.delay_s) if is_pending else None,
            closed_at=None if is_pending else now,
        )

    # --- from deliveries to receivers --------------------------------------------------------------

    async def deliver(self) -> int:
        """Claim what is due and start sending it; give how many were claimed. A background job."""
        free = min(CLAIMS_AT_ONCE, IN_FLIGHT_MAX - len(self._in_flight))
        if free <= 0 or not await self._storage.read(lambda uow: uow.webhooks.has_due()):
            return 0
        claimed = await self._storage.write(lambda uow: uow.webhooks.claim_due(free, LEASE))
        for delivery in claimed:
            await self._start(delivery)
        return len(claimed)

    async def drain(self) -> None:
        """Wait for everything that is being sent."""
        while self._in_flight:
            await asyncio.gather(*self._in_flight)

    async def stop(self) -> None:
        """Let go: what is being sent has a few seconds, the rest is somebody's after its claim."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_STOP_WITHIN_S)
        for task in tuple(self._in_flight):
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        await self._sender.close()

    async def _start(self, delivery: Delivery) -> None:
        """Send in a task of its own, or give it back when its host has enough to do."""
        lane = urlsplit(delivery.request.url).netloc
        if self._lanes.get(lane, 0) >= LANE_MAX:
            await self._storage.write(lambda uow: uow.webhooks.postpone(delivery, _PUT_BACK))
            return
        self._lanes[lane] = self._lanes.get(lane, 0) + 1
        task = asyncio.create_task(self._attend(delivery, lane), name=f"delivery:{delivery.id}")
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _attend(self, delivery: Delivery, lane: str) -> None:
        try:
            await self._attempt(delivery)
        except FareboxError as error:
            # The claim runs out and it is sent again.
            self._on_error("delivery", error)
        finally:
            self._lanes[lane] -= 1
            if not self._lanes[lane]:
                del self._lanes[lane]

    async def _attempt(self, delivery: Delivery) -> None:
        """Send once and record what came of it."""
        found = await self._storage.read(lambda uow: self._find(uow, delivery))
        if found is None:
            await self._storage.write(lambda uow: uow.webhooks.cancel(delivery))
            return
        endpoint, callbacks, sealed = found
        at, started = self._clock.now(), self._clock.monotonic()
        reply = await self._send(delivery, endpoint, callbacks, sealed, at)
        result = reply.why if isinstance(reply, Unanswered) else judge(callbacks.terms, reply.status)
        attempt = DeliveryAttempt(
            number=0,
            at=at,
            duration_ms=round((self._clock.monotonic() - started) * 1000),
            result=result,
            status=reply.status if isinstance(reply, Answered) else None,
            answer=_showable(reply.body) if isinstance(reply, Answered) else "",
        )
        await self._record(delivery, attempt, callbacks, reply)
        self._telemetry.webhook_attempted(result)

    async def _send(
        self,
        delivery: Delivery,
        endpoint: WebhookEndpoint,
        callbacks: Callbacks,
        sealed: Sequence[tuple[str, bytes]],
        at: datetime,
    ) -> Answered | Unanswered:
        """Sign for this moment and send."""
        secrets = [
            self._secrets.open_signing_secret(one, tenant=delivery.tenant, owner=owner)
            for owner, one in sealed
        ]
        signing = Signing(
            request=delivery.request,
            event_id=delivery.event_id,
            delivery_id=delivery.id,
            at=at,
            secrets=secrets,
            endpoint=endpoint,
        )
        try:
            signature = callbacks.sign(signing)
        except Exception as error:  # our defect: told to the operator, and tried again
            self._on_error(f"signature of {endpoint.dialect}", error)
            return Unanswered(AttemptResult.UNSIGNED)
        return await self._sender.send(
            delivery.request, signature, mode=delivery.tenant.mode, timeout_s=callbacks.terms.timeout_s
        )

    async def _find(
        self, uow: UnitOfWork, delivery: Delivery
    ) -> tuple[WebhookEndpoint, Callbacks, list[tuple[str, bytes]]] | None:
        """Give endpoint, declaration and sealed secrets with their owners; nothing for a closed endpoint."""
        endpoint = await uow.webhooks.find_endpoint(delivery.tenant, delivery.endpoint_id)
        callbacks = self.callbacks_of(endpoint) if endpoint is not None and endpoint.is_open else None
        if endpoint is None or callbacks is None:
            return None
        now = self._clock.now()
        for owner in (endpoint.id, account_owner(endpoint.dialect)):
            secrets = await uow.webhooks.secrets(delivery.tenant, owner)
            valid = [(owner, one.sealed) for one in secrets if one.expires_at is None or one.expires_at > now]
            if valid:
                return endpoint, callbacks, valid
        return endpoint, callbacks, []

    async def _record(
        self, delivery: Delivery, attempt: DeliveryAttempt, callbacks: Callbacks, reply: Answered | Unanswered
    ) -> None:
        verdict = decide(
            callbacks.terms,
            attempt.result,
            tries=delivery.tries + 1,
            fraction=int.from_bytes(self._randomness.bytes(2), "big") / 65_535,
            retry_after_s=reply.retry_after_s if isinstance(reply, Answered) else None,
        )
        next_attempt_at = None
        if verdict.retry_in_s is not None:
            next_attempt_at = self._clock.now() + timedelta(seconds=verdict.retry_in_s)

        async def work(uow: UnitOfWork) -> None:
            recorded = await uow.webhooks.record_attempt(
                delivery, attempt, state=verdict.state, next_attempt_at=next_attempt_at
            )
            if recorded and verdict.disables is not None:
                await uow.webhooks.disable_endpoint(delivery.tenant, delivery.endpoint_id, verdict.disables)

        await self._storage.write(work)


def _showable(answer: str) -> str:
    """Keep what a receiver answered unless it looks like card data (SEC-01)."""
    return "" if contains_pan(answer) else answer
