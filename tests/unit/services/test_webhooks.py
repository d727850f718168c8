"""Receivers that fail, hang, redirect, answer late or want no more: none holds up another."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from farebox.bootstrap import Services, init, open_services
from farebox.config.load import load
from farebox.dialects.native.callbacks import CALLBACKS
from farebox.dialects.native.declaration import NATIVE
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, Mode, Principal
from farebox.domain.cards import Card, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import ApiKeyId, RequestId
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.sensitive import Sensitive
from farebox.domain.webhooks import (
    AttemptResult,
    CallbackUrl,
    DeliveryState,
    OutboundRequest,
    RetrySchedule,
    Terms,
)
from farebox.ports.storage import PageRequest
from farebox.services.callbacks import Callbacks
from farebox.services.commands import (
    Command,
    Context,
    CreateCustomer,
    CreateWebhookEndpoint,
    DeleteWebhookEndpoint,
    DeliveryView,
    FollowUp,
    FromInstrument,
    GetDelivery,
    GetWebhookEndpoint,
    ListDeliveries,
    ListPayments,
    Pay,
    PaymentView,
    PingWebhookEndpoint,
    ReplayDelivery,
    RotateAccountSecret,
    RotateWebhookSecret,
    UpdateWebhookEndpoint,
    WebhookEndpointView,
)

QUICK = Terms(RetrySchedule((0.02, 0.02, 0.02), jitter=0), timeout_s=0.4)
Answering = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A merchant's server."""

    answering: Answering
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        return await self.answering(request, len(self.bodies))


@asynccontextmanager
async def receiving(answering: Answering) -> AsyncIterator[Receiver]:
    receiver = Receiver(answering)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    yield receiver
    await runner.cleanup()


async def well(request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(text="thanks")


async def fails_twice(request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(status=500 if number < 3 else 200)


async def always_fails(request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(status=503)


async def hangs(request: web.Request, number: int) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def redirects(request: web.Request, number: int) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def late_once(request: web.Request, number: int) -> web.StreamResponse:
    await asyncio.sleep(0.6 if number == 1 else 0)
    return web.Response()


async def gone(request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(status=410)


async def drips(request: web.Request, number: int) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"x" * 4096)
    await asyncio.sleep(30)
    return response


@dataclass
class Shop:
    """One merchant of a running Farebox, its jobs run by hand."""

    services: Services
    context: Context[Any]

    async def execute(self, command: Command[Any]) -> Any:
        done = await self.services.use_cases.application.execute(command, self.context)
        return done.result

    async def endpoint(self, url: str, **given: Any) -> WebhookEndpointView:
        return await self.execute(CreateWebhookEndpoint(url=url, kind="event", **given))

    async def pay(self, callback: CallbackUrl | None) -> PaymentView:
        card = Card(parse_pan(Sensitive("4242424242424242")), parse_expiry(12, 2034))
        pay = Pay(OperationKind.PURCHASE, Money(1000, "USD"), FromInstrument(card), callback=callback)
        return await self.execute(pay)

    def terms(self, terms: Terms = QUICK, **changes: Any) -> None:
        declared = replace(CALLBACKS["event"], terms=terms, **changes)
        self.services.use_cases.webhooks._callbacks = {"native": {"event": declared}}

    async def work(self) -> None:
        """Run the jobs until nothing is queued, due or under way."""
        webhooks = self.services.use_cases.webhooks
        while await webhooks.fan_out():
            pass
        while await self.pending():
            await webhooks.deliver()
            await webhooks.drain()
            await asyncio.sleep(0.01)

    async def pending(self) -> int:
        return len(await self.deliveries(state="pending"))

    async def deliveries(self, **filters: str) -> Sequence[DeliveryView]:
        page = await self.execute(ListDeliveries(PageRequest(limit=100, filters=filters)))
        return page.items

    async def one(self) -> DeliveryView:
        (found,) = await self.deliveries()
        return await self.execute(GetDelivery(found.delivery.id))


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    settings = load(
        {"data_dir": str(tmp_path / "data"), "webhooks": {"allowed_networks": ["127.0.0.0/8"]}}, {}
    )
    await init(settings)
    async with open_services(settings) as services:
        merchant, _ = await services.merchants.create("Shop", Mode.TEST)
        principal = Principal(
            merchant.tenant,
            ApiKeyId("key_1"),
            ApiKeyKind.SECRET,
            SCOPES_OF_KIND[ApiKeyKind.SECRET],
            "native",
        )
        context = Context(principal, "native", NATIVE.tokens, RequestId("req_1"), lambda view: b"")
        shop = Shop(services, context)
        shop.terms()
        yield shop
        await services.use_cases.webhooks.stop()


async def test_a_storm_of_receivers(shop: Shop) -> None:
    """Whatever the others do, each gets what its terms say: every event, once or a few times."""
    kinds = [well, fails_twice, always_fails, hangs, redirects, late_once, gone, drips]
    receivers: dict[str, Receiver] = {}
    async with asyncio.TaskGroup() as group, _all(kinds, receivers):
        for receiver in receivers.values():
            await shop.endpoint(receiver.url)
        events = 6
        for number in range(events):
            group.create_task(shop.execute(CreateCustomer(name=f"Customer {number}")))
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        await asyncio.wait_for(shop.work(), 60)
        ended = Counter(
            (url_of(view), view.delivery.state, view.delivery.last_result) for view in await shop.deliveries()
        )
    name_of = {receiver.url: name for name, receiver in receivers.items()}
    found = {(name_of[url], state, result): count for (url, state, result), count in ended.items()}
    done, failed = DeliveryState.DELIVERED, DeliveryState.FAILED
    assert {key: count for key, count in found.items() if key[0] != "gone"} == {
        ("well", done, AttemptResult.DELIVERED): events,
        ("fails_twice", done, AttemptResult.DELIVERED): events,
        ("always_fails", failed, AttemptResult.WRONG_STATUS): events,
        ("hangs", failed, AttemptResult.TIMED_OUT): events,
        ("redirects", failed, AttemptResult.WRONG_STATUS): events,
        ("late_once", done, AttemptResult.DELIVERED): events,
        ("drips", done, AttemptResult.DELIVERED): events,
    }
    assert sum(count for key, count in found.items() if key[0] == "gone") == events
    assert len(receivers["well"].bodies) == events
    assert len(receivers["late_once"].bodies) == events + 1
    assert len(receivers["always_fails"].bodies) == 4 * events
    # Nobody was led anywhere else.
    assert len(receivers["redirects"].bodies) == 4 * events


@asynccontextmanager
async def _all(kinds: Sequence[Any], into: dict[str, Receiver]) -> AsyncIterator[None]:
    if not kinds:
        yield
        return
    async with receiving(kinds[0]) as receiver, _all(kinds[1:], into):
        into[kinds[0].__name__] = receiver
        yield


def url_of(view: DeliveryView) -> str:
    return view.delivery.request.url


async def test_every_attempt_says_the_same_and_is_signed(shop: Shop) -> None:
    """One id, one body, a fresh time; the public library verifies each."""
    async with receiving(fails_twice) as receiver:
        made = await shop.endpoint(receiver.url)
        customer = await shop.execute(CreateCustomer(name="Ada", email="ada@example.org"))
        await shop.work()
        assert len(receiver.bodies) == 3
        assert len(set(receiver.bodies)) == 1
        assert len({headers["webhook-id"] for headers in receiver.headers}) == 1
        for body, headers in zip(receiver.bodies, receiver.headers, strict=True):
            said = Webhook(made.secret).verify(body, headers)
        assert (said["id"], said["type"]) == (receiver.headers[0]["webhook-id"], "customer.created")
        assert said["snapshot"]["id"] == said["subject"] == customer.id
        assert said["snapshot"]["email"] == "ada@example.org"
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret).verify(receiver.bodies[0].replace(b"Ada", b"Eve"), receiver.headers[0])
        view = await shop.one()
        assert [attempt.status for attempt in view.attempts] == [500, 500, 200]
    assert [attempt.number for attempt in view.attempts] == [1, 2, 3]


async def test_two_secrets_sign_while_one_is_being_changed(shop: Shop) -> None:
    """A receiver verifies with either until the overlap is over, and then with the new one only."""
    async with receiving(well) as receiver:
        first = await shop.endpoint(receiver.url)
        second = await shop.execute(RotateWebhookSecret(first.endpoint.id))
        await shop.execute(CreateCustomer())
        await shop.work()
        await shop.execute(UpdateWebhookEndpoint(first.endpoint.id, secret=second.secret))
        await shop.execute(CreateCustomer())
        await shop.work()
        old, new = Webhook(first.secret), Webhook(second.secret)
        old.verify(receiver.bodies[0], receiver.headers[0])
        new.verify(receiver.bodies[0], receiver.headers[0])
        new.verify(receiver.bodies[1], receiver.headers[1])
        with pytest.raises(WebhookVerificationError):
            old.verify(receiver.bodies[1], receiver.headers[1])


async def test_a_secret_is_shown_once_and_sealed(shop: Shop) -> None:
    """Neither the database nor a later answer gives it away."""
    made = await shop.endpoint("https://shop.example/hook")
    shown = await shop.execute(GetWebhookEndpoint(made.endpoint.id))
    assert shown.secret is None
    again = await shop.execute(GetWebhookEndpoint(made.endpoint.id, with_secret=True))
    assert again.secret == made.secret
    files = shop.services.settings.data_path.iterdir()
    assert all(made.secret[6:].encode() not in path.read_bytes() for path in files if path.is_file())


async def test_a_receiver_that_is_gone_hears_no_more(shop: Shop) -> None:
    """410 disables; what was on its way is cancelled; enabled again it hears again."""
    async with receiving(gone) as receiver:
        made = await shop.endpoint(receiver.url)
        await shop.execute(CreateCustomer())
        await shop.work()
        shown = await shop.execute(GetWebhookEndpoint(made.endpoint.id))
        assert shown.endpoint.disabled == "gone"
        await shop.execute(CreateCustomer())
        view = await shop.one()
        await shop.execute(ReplayDelivery(view.delivery.id))
        await shop.work()
        assert (await shop.one()).delivery.state is DeliveryState.CANCELLED
        assert len(receiver.bodies) == 1
        receiver.answering = well
        await shop.execute(UpdateWebhookEndpoint(made.endpoint.id, is_enabled=True))
        await shop.execute(ReplayDelivery(view.delivery.id))
        await shop.work()
        assert (await shop.one()).delivery.state is DeliveryState.DELIVERED


async def test_a_deleted_endpoint_hears_no_more(shop: Shop) -> None:
    """What was on its way is cancelled, and its secrets are gone."""
    async with receiving(well) as receiver:
        made = await shop.endpoint(receiver.url)
        await shop.execute(CreateCustomer())
        await shop.services.use_cases.webhooks.fan_out()
        await shop.execute(DeleteWebhookEndpoint(made.endpoint.id))
        await shop.work()
        assert (await shop.one()).delivery.state is DeliveryState.CANCELLED
        assert not receiver.bodies


async def test_a_ping_and_an_unwanted_event(shop: Shop) -> None:
    """A ping goes to its endpoint whatever that wants; other endpoints and unwanted events stay silent."""
    async with receiving(well) as receiver, receiving(well) as other:
        made = await shop.endpoint(receiver.url, event_types=("operation.*",))
        await shop.endpoint(other.url, event_types=("operation.*",))
        await shop.execute(CreateCustomer())
        await shop.execute(PingWebhookEndpoint(made.endpoint.id))
        await shop.work()
        assert [json.loads(body)["type"] for body in receiver.bodies] == ["webhook_endpoint.pinged"]
        assert not other.bodies


async def test_a_receiver_asks_to_be_left_alone(shop: Shop) -> None:
    """Retry-After is honoured."""

    async def busy(request: web.Request, number: int) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "600"})

    async with receiving(busy) as receiver:
        await shop.endpoint(receiver.url)
        await shop.execute(CreateCustomer())
        webhooks = shop.services.use_cases.webhooks
        await webhooks.fan_out()
        await webhooks.deliver()
        await webhooks.drain()
    delivery = (await shop.one()).delivery
    assert delivery.next_attempt_at is not None
    wait = delivery.next_attempt_at - shop.services.clock.now()
    assert 590 < wait.total_seconds() <= 600


async def test_a_defect_of_a_dialect_holds_up_nobody(shop: Shop) -> None:
    """A writer that raises leaves a failed delivery; a signer that raises is tried to the end, unsent."""

    def write(notice: Any, endpoint: Any) -> OutboundRequest | None:
        raise ZeroDivisionError

    def sign(signing: Any) -> Sequence[tuple[str, str]]:
        raise ZeroDivisionError

    async with receiving(well) as receiver:
        await shop.endpoint(receiver.url)
        for changes, result in (({"write": write}, None), ({"sign": sign}, AttemptResult.UNSIGNED)):
            shop.terms(**changes)
            customer = await shop.execute(CreateCustomer())
            await shop.work()
            (view,) = await shop.deliveries(subject_id=customer.id)
            assert (view.delivery.state, view.delivery.last_result) == (DeliveryState.FAILED, result)
        shop.terms()
        await shop.execute(CreateCustomer())
        await shop.work()
        assert len(receiver.bodies) == 1


async def test_a_dialects_terms_decide(shop: Shop) -> None:
    """Only 200 counts, a 4xx is final, and giving up disables: all of it data."""

    async def created(request: web.Request, number: int) -> web.StreamResponse:
        return web.Response(status=201)

    async def refuses(request: web.Request, number: int) -> web.StreamResponse:
        return web.Response(status=404)

    strict = Terms(
        RetrySchedule((0.01,), jitter=0),
        delivered=(range(200, 201),),
        final=(range(400, 500),),
        exhaustion_disables=True,
    )
    shop.terms(strict)
    for answering, tries, disabled in ((created, 2, "exhausted"), (refuses, 1, None)):
        async with receiving(answering) as receiver:
            made = await shop.endpoint(receiver.url)
            await shop.execute(CreateCustomer())
            await shop.work()
            assert len(receiver.bodies) == tries
            shown = await shop.execute(GetWebhookEndpoint(made.endpoint.id))
            assert shown.endpoint.disabled == disabled
            await shop.execute(DeleteWebhookEndpoint(made.endpoint.id))


async def test_a_url_that_came_with_a_payment_hears_of_that_alone(shop: Shop) -> None:
    """Of its own payment and what follows it, signed with the merchant's secret, and of no other payment."""
    async with receiving(well) as receiver:
        secret = await shop.execute(RotateAccountSecret())
        callback = CallbackUrl(receiver.url + "?order=7", "event", {"delay": 0})
        told, untold = await shop.pay(callback), await shop.pay(None)
        await shop.execute(FollowUp(told.payment.id, OperationKind.REFUND, amount_minor=100))
        await shop.work()
        said = [
            Webhook(secret.secret).verify(body, headers)
            for body, headers in zip(receiver.bodies, receiver.headers, strict=True)
        ]
    assert {event["data"]["payment_id"] for event in said} == {told.payment.id} != {untold.payment.id}
    approved = [event["data"]["kind"] for event in said if event["type"] == "operation.approved"]
    assert sorted(approved) == ["purchase", "refund"]
    sequences = [event["sequence"] for event in said]
    assert len(sequences) == len(set(sequences))
    assert said[0]["snapshot"]["id"] == told.payment.id
    (one,) = {view.delivery.request.url for view in await shop.deliveries(subject_id=told.payment.id)}
    assert one == callback.url


async def test_a_callback_url_that_cannot_be_is_refused_with_its_payment(shop: Shop) -> None:
    """Nothing is charged for a request that is refused."""
    with pytest.raises(InvalidRequest) as refusal:
        await shop.pay(CallbackUrl("ftp://shop.example/", "event"))
    assert refusal.value.code is ErrorCode.URL_REFUSED
    page = await shop.execute(ListPayments(PageRequest()))
    assert not page.items


async def test_there_is_a_bound_on_endpoints_and_on_kinds(shop: Shop) -> None:
    """Fan-out stays bounded, and a kind that no dialect declares has no endpoint."""
    with pytest.raises(InvalidRequest):
        await shop.execute(CreateWebhookEndpoint(url="https://shop.example/", kind="other"))
    for number in range(50):
        await shop.endpoint(f"https://shop.example/{number}")
    with pytest.raises(InvalidRequest) as refusal:
        await shop.endpoint("https://shop.example/51")
    assert refusal.value.code is ErrorCode.PARAMETER_INVALID


def test_the_native_callbacks_are_standard() -> None:
    """The schedule of the specification: ten attempts over about three days."""
    declared: Callbacks = CALLBACKS["event"]
    assert len(declared.terms.retries.delays_s) == 9
    assert sum(declared.terms.retries.delays_s) / 3600 == pytest.approx(75.6, abs=0.1)
