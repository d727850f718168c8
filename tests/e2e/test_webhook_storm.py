"""A server is killed again and again while it tells a merchant what happens; nothing goes untold.

The witness is the outbox itself: every event that was committed must have reached the receiver, under its own
id, signed so that the public library of Standard Webhooks verifies it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from farebox.testing.client import Client, ConnectionLost
from farebox.testing.server import Server

NewServer = Callable[..., Server]

EVENTS, KILLS = 400, 4
EVENTS_FULL, KILLS_FULL = 20_000, 50
EVENTS_OF_CONTROL, KILLS_OF_CONTROL = 600, 5
WRITERS = 8
FAILS_EVERY = 40
"""Of the requests that reach the receiver, which it answers with 500."""
ARRIVE_WITHIN_S = 240
SETTINGS = {
    "ACCESS_LOG": "false",
    "RATE_LIMITS__PER_S": "0",
    "WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.0/8",
}
PROGRAMS = Path(__file__).with_name("programs")


class Merchant:
    """Receives, verifies, remembers."""

    def __init__(self) -> None:
        self.secret = ""
        self.requests = 0
        self.forged = 0
        self.failed: set[str] = set()
        self.heard: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests += 1
        try:
            event = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.forged += 1
            return web.Response(status=400)
        if self.requests % FAILS_EVERY == 0 and event["id"] not in self.failed:
            # Once only: the wait after a second failure is five minutes.
            self.failed.add(event["id"])
            return web.Response(status=500)
        assert request.headers["webhook-id"] == event["id"]
        assert self.bodies.setdefault(event["id"], body) == body
        self.heard[event["id"]] += 1
        return web.Response()


@asynccontextmanager
async def receiving(merchant: Merchant) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", merchant.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


class Storm:
    """Makes events while the server that tells of them is killed."""

    def __init__(self, server: Server, client: Client, events: int) -> None:
        self.server = server
        self.client = client
        self.left = events
        self.restarting = asyncio.Lock()
        self.is_time = asyncio.Event()
        self.next_kill_at = -1
        """How many events are left to make when the server is killed next."""

    async def rage(self, kills: int) -> None:
        """Spread the kills over the making of the events, one after another."""
        share = self.left // (kills + 1)
        writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        for number in range(kills, 0, -1):
            self.next_kill_at = number * share
            self.is_time.clear()
            await self.is_time.wait()
            await self.kill()
        self.next_kill_at = -1
        await asyncio.gather(*writers)

    async def kill(self) -> None:
        async with self.restarting:
            self.server.kill()
            await asyncio.to_thread(self.server.start)
            await self.client.moved(self.server.port)

    async def _write(self) -> None:
        while self.left > 0:
            try:
                answer = await self.client.ask("POST", "/v1/customers", {"name": "Ada"})
            except ConnectionLost:
                # Whether it happened the outbox will say.
                async with self.restarting:
                    continue
            if answer.status == 201:
                self.left -= 1
            if self.left <= self.next_kill_at:
                self.is_time.set()


async def committed(server: Server) -> set[str]:
    return {event for (event,) in await server.rows("SELECT id FROM event WHERE type = 'customer.created'")}


async def untold(server: Server, merchant: Merchant, within_s: float) -> set[str]:
    """Wait until everything is told, or nothing more is on its way; give what is missing."""
    happened = await committed(server)
    deadline = asyncio.get_running_loop().time() + within_s
    while happened - merchant.heard.keys() and asyncio.get_running_loop().time() < deadline:
        waiting = await server.rows(
            "SELECT (SELECT COUNT(*) FROM event_queue)"
            " + (SELECT COUNT(*) FROM webhook_delivery WHERE state = 'pending')"
        )
        if waiting[0][0] == 0:
            await asyncio.sleep(1)
            break
        await asyncio.sleep(0.2)
    return happened - merchant.heard.keys()


async def told_through(server: Server, events: int, kills: int) -> tuple[set[str], Merchant, str]:
    """Run a storm; give what was never told, who was told, and the figures."""
    merchant = Merchant()
    async with receiving(merchant) as url:
        server.start()
        client = Client(server.port, server.credentials["native"]["secret_key"])
        made = await client.ask("POST", "/v1/webhook_endpoints", {"url": url, "events": ["customer.*"]})
        assert made.status == 201, made.body
        merchant.secret = made.value["secret"]
        storm = Storm(server, client, events)
        await storm.rage(kills)
        missing = await untold(server, merchant, ARRIVE_WITHIN_S)
        happened = len(await committed(server))
        await client.close()
        with suppress(Exception):
            server.stop()
    again = sum(merchant.heard.values()) - len(merchant.heard)
    return missing, merchant, f"{kills} kills, {happened} events, {len(missing)} untold, {again} told again"


async def test_nothing_that_happened_goes_untold_however_often_it_is_killed(
    new_server: NewServer, postgres_url: str, full_scale: bool
) -> None:
    """Both engines at once: most of it is waiting for the claims of the dead to run out."""
    size = (EVENTS_FULL, KILLS_FULL) if full_scale else (EVENTS, KILLS)
    servers = [new_server(None, **SETTINGS), new_server(postgres_url, **SETTINGS)]
    for missing, merchant, figures in await asyncio.gather(
        *[told_through(server, *size) for server in servers]
    ):
        print(figures)  # noqa: T201  # what a run at full scale is quoted from
        assert not missing
        assert merchant.forged == 0
        assert len(merchant.heard) >= size[0]


@pytest.mark.parametrize("program", ["take_first.py", "record_first.py"])
async def test_the_storm_finds_what_a_shorter_way_loses(new_server: NewServer, program: str) -> None:
    """Negative controls: forgotten before it is stored, or recorded before it is sent."""
    shorter: tuple[Any, ...] = (sys.executable, str(PROGRAMS / program))
    server = new_server(None, program=shorter, **SETTINGS)
    missing, _, _ = await told_through(server, EVENTS_OF_CONTROL, KILLS_OF_CONTROL)
    assert missing
