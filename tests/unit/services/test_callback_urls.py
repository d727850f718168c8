"""Every dialect's callbacks stand behind one address guard, whatever the dialect makes of a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from farebox.bootstrap import DIALECTS, Services, init, open_services
from farebox.config.load import load
from farebox.dialects.dialect import Dialect
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, Mode, Principal
from farebox.domain.cards import Card, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import ApiKeyId, RequestId
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.sensitive import Sensitive
from farebox.domain.webhooks import AttemptResult, CallbackUrl, OutboundRequest
from farebox.ports.storage import PageRequest
from farebox.services.callbacks import Callbacks
from farebox.services.commands import (
    Context,
    CreateWebhookEndpoint,
    FromInstrument,
    ListDeliveries,
    Pay,
    RotateAccountSecret,
)

KINDS = [(dialect, kind) for dialect in DIALECTS for kind in dialect.callbacks]
NAMES = [f"{dialect.name}-{kind}" for dialect, kind in KINDS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """A Farebox that may call the Internet and nothing else."""
    settings = load({"data_dir": str(tmp_path_factory.mktemp("guard") / "data")}, {})
    await init(settings)
    async with open_services(settings) as services:
        yield services
        await services.use_cases.webhooks.stop()


async def context_of(services: Services, dialect: Dialect, mode: Mode = Mode.TEST) -> Context[Any]:
    merchant, _ = await services.merchants.create("Shop", mode)
    scopes = SCOPES_OF_KIND[ApiKeyKind.SECRET]
    principal = Principal(merchant.tenant, ApiKeyId("key_1"), ApiKeyKind.SECRET, scopes, dialect.name)
    return Context(principal, dialect.name, dialect.tokens, RequestId("req_1"), lambda view: b"")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("dialect", "kind"), KINDS, ids=NAMES)
@pytest.mark.parametrize("mode", list(Mode))
async def test_no_dialect_takes_an_endpoint_behind_the_internet(
    services: Services, dialect: Dialect, kind: str, mode: Mode
) -> None:
    """By whatever road an endpoint is configured, its address is judged."""
    context = await context_of(services, dialect, mode)
    for url in ("https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://10.0.0.1/"):
        with pytest.raises(InvalidRequest) as refusal:
            await services.use_cases.application.execute(CreateWebhookEndpoint(url, kind), context)
        assert refusal.value.code is ErrorCode.URL_REFUSED
    taken = await services.use_cases.application.execute(
        CreateWebhookEndpoint("https://shop.example/", kind), context
    )
    assert taken.result.endpoint.url == "https://shop.example/"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("dialect", "kind"), KINDS, ids=NAMES)
async def test_no_dialect_calls_behind_the_internet(services: Services, dialect: Dialect, kind: str) -> None:
    """A URL that comes with a payment is judged when it is called: by number, by name, and in disguise."""
    reached: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    context = await context_of(services, dialect)
    execute, webhooks = services.use_cases.application.execute, services.use_cases.webhooks
    # What this dialect would write and sign is of no interest here; that the call is refused is.
    declared = webhooks._callbacks
    told = Callbacks(lambda notice, endpoint: OutboundRequest(endpoint.url, b"{}"), lambda signing: ())
    webhooks._callbacks = {dialect.name: {kind: told}}
    try:
        await execute(RotateAccountSecret(), context)
        for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"):
            card = Card(parse_pan(Sensitive("4242424242424242")), parse_expiry(12, 2034))
            pay = Pay(
                OperationKind.PURCHASE,
                Money(1000, "USD"),
                FromInstrument(card),
                callback=CallbackUrl(f"http://{host}:{port}/", kind),
            )
            await execute(pay, context)
        while await webhooks.fan_out():
            pass
        while await webhooks.deliver():
            await webhooks.drain()
        page = (await execute(ListDeliveries(PageRequest(limit=100)), context)).result
    finally:
        webhooks._callbacks = declared
        await runner.cleanup()
    assert len(page.items) >= 4
    results = {view.delivery.last_result for view in page.items}
    assert results == {AttemptResult.ADDRESS_REFUSED}
    assert not reached


def test_there_are_callbacks_to_test() -> None:
    """The tests above would pass over no dialect at all."""
    assert "native" in {dialect.name for dialect, _ in KINDS}
