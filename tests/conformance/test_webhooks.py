"""What delivery rests on: nothing is lost between an event's commit and its receiver, on either engine."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.conformance.things import STRANGER, TENANT, now

from farebox.domain.access import Tenant
from farebox.domain.events import Event, EventType
from farebox.domain.ids import DeliveryId, EventId, WebhookEndpointId
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
from farebox.ports.storage import PageRequest, UnitOfWork

_numbers = itertools.count(1)
LEASE = timedelta(seconds=60)


class Undone(Exception):
    pass


def endpoint(**changes: Any) -> WebhookEndpoint:
    values: dict[str, Any] = {
        "id": WebhookEndpointId(f"we_{next(_numbers):026}"),
        "tenant": TENANT,
        "dialect": "native",
        "kind": "event",
        "url": "https://shop.example/hooks",
        "created_at": now(),
        "updated_at": now(),
    }
    return WebhookEndpoint(**{**values, **changes})


def event(tenant: Tenant = TENANT) -> Event:
    number = next(_numbers)
    return Event(EventId(f"evt_{number:026}"), tenant, EventType.OPERATION_APPROVED, f"op_{number}", 1, now())


def delivery(of: WebhookEndpoint, **changes: Any) -> Delivery:
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": DeliveryId(f"dlv_{number:026}"),
        "tenant": of.tenant,
        "endpoint_id": of.id,
        "event_id": EventId(f"evt_{number:026}"),
        "event_type": "operation.approved",
        "subject_id": "pay_1",
        "sequence": 3,
        "request": OutboundRequest(of.url, b'{"a":1}', headers={"Content-Type": "application/json"}),
        "state": DeliveryState.PENDING,
        "created_at": now(),
        "next_attempt_at": now() - timedelta(seconds=1),
    }
    return Delivery(**{**values, **changes})


def attempt(result: AttemptResult = AttemptResult.DELIVERED, status: int | None = 200) -> DeliveryAttempt:
    return DeliveryAttempt(0, now(), 12, result, status, "ok")


async def store(engine, *things: WebhookEndpoint | Event | Delivery) -> None:
    async def work(uow: UnitOfWork) -> None:
        for thing in things:
            match thing:
                case WebhookEndpoint():
                    await uow.webhooks.insert_endpoint(thing)
                case Event():
                    await uow.events.append((thing,))
                case Delivery():
                    assert await uow.webhooks.insert_delivery(thing)

    await engine.storage.write(work)


async def claim(engine, limit: int = 10, lease: timedelta = LEASE) -> list[Delivery]:
    return list(await engine.storage.write(lambda uow: uow.webhooks.claim_due(limit, lease)))


async def find(engine, of: Delivery) -> Delivery:
    found = await engine.storage.read(lambda uow: uow.webhooks.find_delivery(of.tenant, of.id))
    assert found is not None
    return found


async def test_events_are_queued_for_whoever_has_somebody_to_tell(engine) -> None:
    """A tenant without endpoints costs the queue nothing; one with an endpoint loses no event."""
    unheard, heard, foreign = event(), event(), event(STRANGER)
    await store(engine, unheard, endpoint(), heard, foreign)
    assert await engine.storage.read(lambda uow: uow.webhooks.has_events())
    taken = await engine.storage.write(lambda uow: uow.webhooks.take_events(10))
    assert list(taken) == [heard]
    assert not await engine.storage.read(lambda uow: uow.webhooks.has_events())


async def test_an_event_leaves_the_queue_only_with_its_deliveries(engine) -> None:
    """A node that dies between taking and committing loses nothing."""
    told = event()
    await store(engine, endpoint(), told)

    async def dies(uow: UnitOfWork) -> None:
        assert await uow.webhooks.take_events(10)
        raise Undone

    with pytest.raises(Undone):
        await engine.storage.write(dies)
    assert list(await engine.storage.write(lambda uow: uow.webhooks.take_events(10))) == [told]


async def test_two_nodes_take_different_events(engine) -> None:
    """Of many that take at once each event goes to one, in order."""
    events = [event() for _ in range(30)]
    await store(engine, endpoint(), *events)
    taken = await asyncio.gather(
        *[engine.storage.write(lambda uow: uow.webhooks.take_events(5)) for _ in range(12)]
    )
    assert sorted(one.id for part in taken for one in part) == [one.id for one in events]
    assert all(list(part) == sorted(part, key=lambda one: one.id) for part in taken)


async def test_a_claim_is_one_workers_until_it_runs_out(engine) -> None:
    """Nobody else sends what somebody is sending; what a dead worker held is due again."""
    of = endpoint()
    await store(engine, of, *[delivery(of) for _ in range(20)])
    claimed = await asyncio.gather(*[claim(engine, 5) for _ in range(8)])
    ids = [one.id for part in claimed for one in part]
    assert len(ids) == len(set(ids)) == 20
    assert not await engine.storage.read(lambda uow: uow.webhooks.has_due())
    soon = delivery(of)
    await store(engine, soon)
    assert [one.id for one in await claim(engine, lease=timedelta(milliseconds=1))] == [soon.id]
    await asyncio.sleep(0.01)
    (again,) = await claim(engine)
    assert (again.id, again.claims) == (soon.id, 2)


async def test_a_late_worker_changes_nothing_but_a_delivery_stands(engine) -> None:
    """Who comes after its claim ran out is kept as an attempt; only that it arrived is believed."""
    of = endpoint()
    await store(engine, of, delivery(of))
    (late,) = await claim(engine, lease=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    await claim(engine)
    failed = attempt(AttemptResult.TIMED_OUT, None)

    async def record(uow: UnitOfWork, one: DeliveryAttempt, state: DeliveryState) -> bool:
        return await uow.webhooks.record_attempt(late, one, state=state, next_attempt_at=None)

    assert not await engine.storage.write(lambda uow: record(uow, failed, DeliveryState.FAILED))
    assert (await find(engine, late)).state is DeliveryState.PENDING
    assert await engine.storage.write(lambda uow: record(uow, attempt(), DeliveryState.DELIVERED))
    found = await find(engine, late)
    assert (found.state, found.next_attempt_at, found.last_status) == (DeliveryState.DELIVERED, None, 200)
    kept = await engine.storage.read(lambda uow: uow.webhooks.attempts(TENANT, late.id))
    assert [(one.number, one.result) for one in kept] == [
        (1, AttemptResult.TIMED_OUT),
        (2, AttemptResult.DELIVERED),
    ]


async def test_an_event_is_told_to_an_endpoint_in_one_delivery(engine) -> None:
    """The schema refuses a second delivery of the same event to the same endpoint."""
    of, other = endpoint(), endpoint()
    first = delivery(of)
    await store(engine, of, other, first, replace(delivery(other), event_id=first.event_id))
    second = replace(delivery(of), event_id=first.event_id)
    assert not await engine.storage.write(lambda uow: uow.webhooks.insert_delivery(second))
    found = await engine.storage.read(lambda uow: uow.webhooks.delivery_of(TENANT, of.id, first.event_id))
    assert found.id == first.id
    assert found.request == first.request


async def test_a_replay_begins_the_schedule_again(engine) -> None:
    """Replayed is due at once, with its attempts kept and its tries at none."""
    of = endpoint()
    await store(engine, of, delivery(of))
    (one,) = await claim(engine)
    await engine.storage.write(
        lambda uow: uow.webhooks.record_attempt(
            one, attempt(AttemptResult.REJECTED, 400), state=DeliveryState.FAILED, next_attempt_at=None
        )
    )
    assert (await find(engine, one)).closed_at is not None
    again = await engine.storage.write(lambda uow: uow.webhooks.replay(TENANT, one.id))
    assert (again.state, again.attempts, again.tries) == (DeliveryState.PENDING, 1, 0)
    assert [found.id for found in await claim(engine)] == [one.id]
    assert await engine.storage.write(lambda uow: uow.webhooks.replay(STRANGER, one.id)) is None


async def test_a_worker_can_put_back_and_give_up(engine) -> None:
    """Only whoever has it now can give it back or end it."""
    of = endpoint()
    await store(engine, of, delivery(of))
    (one,) = await claim(engine)
    await engine.storage.write(lambda uow: uow.webhooks.cancel(replace(one, claims=7)))
    await engine.storage.write(lambda uow: uow.webhooks.postpone(one, timedelta(seconds=-1)))
    (one,) = await claim(engine)
    await engine.storage.write(lambda uow: uow.webhooks.cancel(one))
    assert (await find(engine, one)).state is DeliveryState.CANCELLED


async def test_endpoints_are_listed_changed_and_disabled(engine) -> None:
    """Configured ones are listed; an old version changes nothing; disabled and deleted ones hear nothing."""
    kept, gone, one_off = endpoint(event_types=("operation.*",)), endpoint(), endpoint(is_one_off=True)
    await store(engine, kept, gone, one_off)
    await engine.storage.write(
        lambda uow: uow.webhooks.disable_endpoint(TENANT, gone.id, DisabledReason.GONE)
    )
    hearing = await engine.storage.read(lambda uow: uow.webhooks.configured(TENANT))
    assert hearing == [kept]
    page = await engine.storage.read(lambda uow: uow.webhooks.page_endpoints(TENANT, PageRequest()))
    assert {one.id for one in page.items} == {kept.id, gone.id}
    assert await engine.storage.read(lambda uow: uow.webhooks.count_endpoints(TENANT)) == 2
    changed = replace(kept, url="https://shop.example/other", deleted_at=now())
    assert await engine.storage.write(lambda uow: uow.webhooks.update_endpoint(changed))
    assert not await engine.storage.write(lambda uow: uow.webhooks.update_endpoint(changed))
    assert not await engine.storage.read(lambda uow: uow.webhooks.configured(TENANT))
    assert await engine.storage.read(lambda uow: uow.webhooks.find_endpoint(STRANGER, kept.id)) is None


async def test_a_one_off_hears_of_what_it_came_with(engine) -> None:
    """And of what it was told to follow, but of nothing else."""
    one_off = endpoint(is_one_off=True, facts={"method": "POST"})
    await store(engine, one_off)

    async def watch(uow: UnitOfWork) -> None:
        for object_id in ("pay_1", "pay_1", "pay_2"):
            await uow.webhooks.watch(TENANT, object_id, one_off.id)

    await engine.storage.write(watch)
    for object_id, tenant, expected in (
        ("pay_1", TENANT, [one_off]),
        ("pay_2", TENANT, [one_off]),
        ("pay_3", TENANT, []),
        ("pay_1", STRANGER, []),
    ):
        found = await engine.storage.read(
            lambda uow, tenant=tenant, object_id=object_id: uow.webhooks.watching(tenant, object_id)
        )
        assert found == expected


async def test_secrets_end_when_they_are_told_to(engine) -> None:
    """The newest comes first; an end is only ever brought forward; forgetting leaves nothing."""
    soon, later = now() + timedelta(hours=1), now() + timedelta(days=1)

    async def work(uow: UnitOfWork) -> None:
        for number, end in ((1, soon), (2, None)):
            await uow.webhooks.insert_secret(SigningSecret(TENANT, "we_1", number, b"sealed", now(), end))
        await uow.webhooks.expire_secrets(TENANT, "we_1", later)

    await engine.storage.write(work)
    found = await engine.storage.read(lambda uow: uow.webhooks.secrets(TENANT, "we_1"))
    assert [(one.number, one.expires_at) for one in found] == [(2, later), (1, soon)]
    assert not await engine.storage.read(lambda uow: uow.webhooks.secrets(STRANGER, "we_1"))
    await engine.storage.write(lambda uow: uow.webhooks.forget_secrets(TENANT, "we_1"))
    assert not await engine.storage.read(lambda uow: uow.webhooks.secrets(TENANT, "we_1"))


async def test_old_deliveries_go_with_their_attempts(engine) -> None:
    """Retention, in bounded steps; a one-off endpoint goes with what it watched."""
    old = now() - timedelta(days=100)
    of = endpoint(is_one_off=True, created_at=old)
    gone, kept = delivery(of, created_at=old), delivery(of)
    await store(engine, of, gone, kept)
    await engine.storage.write(lambda uow: uow.webhooks.watch(TENANT, "pay_1", of.id))
    for one in await claim(engine):
        await engine.storage.write(
            lambda uow, one=one: uow.webhooks.record_attempt(
                one, attempt(), state=DeliveryState.DELIVERED, next_attempt_at=None
            )
        )
    assert await engine.storage.write(lambda uow: uow.webhooks.purge(now() - timedelta(days=90), 500)) == 2
    assert len(await engine.sql("SELECT 1 FROM webhook_attempt")) == 1
    assert not await engine.sql("SELECT 1 FROM webhook_subject")
    page = await engine.storage.read(
        lambda uow: uow.webhooks.page_deliveries(TENANT, PageRequest(filters={"subject_id": "pay_1"}))
    )
    assert [one.id for one in page.items] == [kept.id]


async def test_the_backlog_begins_with_what_waits_longest(engine) -> None:
    """A queued event and a due delivery count; one that is due later does not."""

    def oldest():
        return engine.storage.read(lambda uow: uow.webhooks.oldest_undelivered())

    of, waiting = endpoint(), event()
    await store(engine, of, delivery(of, next_attempt_at=now() + timedelta(hours=1)))
    assert await oldest() is None
    await store(engine, waiting)
    assert await oldest() == waiting.created_at
    due = delivery(of, next_attempt_at=waiting.created_at - timedelta(minutes=1))
    await store(engine, due)
    assert await oldest() == due.next_attempt_at
