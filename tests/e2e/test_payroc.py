"""A life on the Payroc API over a real socket, as its SDKs speak it: by bearer, key and link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import pytest_asyncio
from tests.dialects.payroc.client import card, route_of
from tests.dialects.payroc.models import check

from farebox.testing.server import Server

NewServer = Callable[..., Server]
PAGED = 1000


@dataclass
class Sdk:
    """Sends what the SDKs send, and reads every answer as their models do."""

    session: aiohttp.ClientSession
    root: str
    token: str = ""

    async def ask(self, method: str, url: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        headers = {"accept": "*/*", "x-fern-language": "Python"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if key is not None:
            headers["idempotency-key"] = key
        target = url if url.startswith("http") else f"{self.root}{url}"
        async with self.session.request(method, target, json=body, headers=headers) as response:
            content = await response.read()
            value = json.loads(content) if content else None
            check(method, route_of(method, response.url.path.removeprefix("/payroc")), response.status, value)
            return response.status, value

    async def post(self, url: str, body: Any = None, status: int = 201, key: str | None = None) -> Any:
        answer = await self.ask("POST", url, body, key or str(uuid4()))
        assert answer[0] == status, answer
        return answer[1]


async def _pages(sdk: Sdk, url: str, rel: str) -> list[list[str]]:
    """Follow links of one direction to their end."""
    found: list[list[str]] = []
    while url:
        status, page = await sdk.ask("GET", url)
        assert status == 200
        found.append([item["paymentId"] for item in page["data"]])
        url = next((link["href"] for link in page["links"] if link["rel"] == rel), "")
    return found


@dataclass
class Shop:
    """A server with one merchant, signed in at the Payroc API and at the sandbox's controls."""

    server: Server
    sdk: Sdk

    @property
    def base(self) -> str:
        return f"/v1/processing-terminals/{self.terminal}"

    @property
    def terminal(self) -> str:
        return self.server.credentials["payroc"]["processing_terminal_id"]

    async def sign_in(self) -> None:
        self.sdk.root = f"http://127.0.0.1:{self.server.port}/payroc"
        headers = {"x-api-key": self.server.credentials["payroc"]["api_key"]}
        async with self.sdk.session.post(f"{self.sdk.root}/authorize", headers=headers) as signed:
            assert signed.status == 200
            self.sdk.token = (await signed.json())["access_token"]

    async def sandbox(self, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.server.port}/v1/sandbox/{path}"
        headers = {"authorization": f"Bearer {self.server.credentials['native']['secret_key']}"}
        async with self.sdk.session.post(url, json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    def payment(self, method: dict[str, Any], order_id: str, amount: int) -> dict[str, Any]:
        return {
            "channel": "web",
            "processingTerminalId": self.terminal,
            "order": {"orderId": order_id, "amount": amount, "currency": "USD"},
            "paymentMethod": method,
        }


@pytest_asyncio.fixture
async def shop(new_server: NewServer, database_url: str | None) -> AsyncIterator[Shop]:
    server = new_server(database_url, RATE_LIMITS__PER_S="0", SANDBOX__TIMEOUT_S="0.5")
    server.start()
    async with aiohttp.ClientSession() as session:
        made = Shop(server, Sdk(session, ""))
        await made.sign_in()
        yield made


async def test_a_token_pays_once_and_a_payment_is_refunded(shop: Shop) -> None:
    """Authorize, tokenize, pay, replay, conflict, second spend refused, refund."""
    sdk = shop.sdk
    once = await sdk.post(f"{shop.base}/single-use-tokens", {"channel": "web", "source": card()})
    method, key = {"type": "singleUseToken", "token": once["token"]}, str(uuid4())
    body = shop.payment(method, "A-17", 2350)
    paid = await sdk.post("/v1/payments", body, key=key)
    assert await sdk.post("/v1/payments", body, key=key) == paid
    await sdk.post("/v1/payments", shop.payment(method, "A-17", 1), 409, key=key)
    await sdk.post("/v1/payments", body, 400)
    await shop.sandbox("batches/close")
    refund = {"amount": 350, "description": "Returned"}
    refunded = await sdk.post(f"/v1/payments/{paid['paymentId']}/refund", refund, 200)
    assert refunded["refunds"][0]["amount"] == 350


async def _until(shop: Shop, holds: Callable[[Any], bool]) -> Any:
    """Wait for a state of the subscription; give the last one seen."""
    state: Any = None
    for _ in range(1200):
        _, found = await shop.sdk.ask("GET", f"{shop.base}/subscriptions/S-1")
        state = found["currentState"]
        if holds(state):
            break
        await asyncio.sleep(0.05)
    return state


async def test_a_subscription_runs_through_a_year_and_a_crash(shop: Shop) -> None:
    """The server's own job bills on the test clock, and a kill while it does loses and doubles nothing.

    Where the kill lands is luck. That the window between a payment and its note is safe is proved by
    `test_a_crash_between_payment_and_note_bills_nothing_twice`, which fails without the schedule's key.
    """
    sdk = shop.sdk
    kept = await sdk.post(f"{shop.base}/secure-tokens", {"source": card(), "secureTokenId": "sarah"})
    plan = {
        "paymentPlanId": "Premium",
        "name": "Premium",
        "currency": "USD",
        "type": "automatic",
        "frequency": "monthly",
        "onUpdate": "update",
        "onDelete": "complete",
        "length": 12,
        "recurringOrder": {"amount": 1000},
    }
    await sdk.post(f"{shop.base}/payment-plans", plan)
    today = (await shop.sandbox("clock", {"forward_s": 0}))["now"][:10]
    subscription = {
        "subscriptionId": "S-1",
        "paymentPlanId": "Premium",
        "paymentMethod": {"type": "secureToken", "token": kept["token"]},
        "startDate": today,
    }
    await sdk.post(f"{shop.base}/subscriptions", subscription)
    await shop.sandbox("clock", {"forward_s": 366 * 86_400})
    await _until(shop, lambda state: state["paidInvoices"] > 0)
    shop.server.kill()
    shop.server.start()
    await shop.sign_in()
    state = await _until(shop, lambda state: state["status"] == "completed")
    assert (state["status"], state["paidInvoices"]) == ("completed", 12)
    _, billed = await sdk.ask("GET", "/v1/payments?orderId=S-1&limit=100&status=ready")
    assert [item["order"]["amount"] for item in billed["data"]] == [1000] * 12
    # What the kill cut off may have been undone and made again; the acquirer holds twelve.
    books = [entry for entry in shop.server.books() if entry.state == "approved"]
    assert [(entry.kind, entry.approved_minor) for entry in books] == [("purchase", 1000)] * 12


async def test_a_thousand_payments_are_paged_in_both_directions(shop: Shop) -> None:
    """Links lead through all of them, each once, newest first."""
    sdk, count = shop.sdk, PAGED
    kept = await sdk.post(f"{shop.base}/secure-tokens", {"source": card()})
    one = shop.payment({"type": "secureToken", "token": kept["token"]}, "page", 100)
    for _ in range(count // 50):
        await asyncio.gather(*[sdk.post("/v1/payments", one) for _ in range(50)])
    forwards = await _pages(sdk, "/v1/payments?orderId=page&limit=100", "next")
    ids = [item for page in forwards for item in page]
    assert len(set(ids)) == len(ids) == count
    assert ids == sorted(ids, reverse=True)
    oldest = ids[-1]
    backwards = await _pages(sdk, f"/v1/payments?orderId=page&limit=100&before={oldest}", "previous")
    assert [item for page in backwards[::-1] for item in page] == ids[:-1]
