"""A caller of the Payroc API, in process, that holds every answer to the published models."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from tests.dialects.payroc.models import check, nulls_in

from farebox.dialects.payroc.declaration import PAYROC
from farebox.domain.access import Mode
from farebox.testing.asgi import Answer, ask

ADA = "Ada Byron"
VISA = "4539858876047062"
Body = dict[str, Any] | list[Any] | None
_ROUTES = [
    (route.method, route.path, re.compile(re.sub(r"\{[A-Za-z]+\}", "[^/]+", route.path)))
    for route in PAYROC.routes
]


def route_of(method: str, path: str) -> str:
    """Give the route that a path belongs to; the path itself when there is none."""
    plain = path.partition("?")[0]
    # A literal segment goes before a parameter.
    fitting = [template for verb, template, shape in _ROUTES if verb == method and shape.fullmatch(plain)]
    return min(fitting, key=lambda template: template.count("{")) if fitting else plain


def card(number: str = VISA, **more: Any) -> dict[str, Any]:
    data = {"dataFormat": "plainText", "cardNumber": number, "expiryDate": "1230", "cvv": "321", **more}
    return {
        "type": "card",
        "cardDetails": {"entryMethod": "keyed", "cardholderName": ADA, "keyedData": data},
    }


def ach(number: str = "11101010", **more: Any) -> dict[str, Any]:
    return {
        "type": "ach",
        "accountType": "checking",
        "secCode": "web",
        "nameOnAccount": "Sarah Hazel Hopper",
        "accountNumber": number,
        "routingNumber": "053200983",
        **more,
    }


def pad() -> dict[str, Any]:
    return {
        "type": "pad",
        "accountType": "checking",
        "nameOnAccount": "Sarah Hazel Hopper",
        "accountNumber": "11101010",
        "transitNumber": "12345",
        "institutionNumber": "001",
    }


@dataclass
class Payroc:
    """One merchant's client. `seen` collects which routes answered which statuses."""

    app: Any
    services: Any
    terminal: str
    api_key: str
    native_key: str
    token: str = ""
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def base(self) -> str:
        return f"/v1/processing-terminals/{self.terminal}"

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        answer = await ask(self.app, method, f"/payroc{path}", body=body, headers=headers or {})
        route = route_of(method, path)
        self.seen.add((method, route, answer.status))
        if answer.status >= 400:
            assert answer.header("content-type") == "application/problem+json"
        elif answer.body:
            assert answer.header("content-type") == "application/json"
        check(method, route, answer.status, answer.value)
        assert not nulls_in(answer.value) or not answer.body
        return answer

    async def ask(
        self, method: str, path: str, body: Body = None, *, key: str | None = None, **headers: str
    ) -> Answer:
        """Send as the clients do: a bearer, and a fresh key with what changes something."""
        sent = {"authorization": f"Bearer {self.token}", "accept": "*/*", **headers}
        if method in {"POST", "PATCH"}:
            sent["idempotency-key"] = key or str(uuid4())
        if body is not None:
            sent["content-type"] = "application/json"
        return await self.raw(method, path, json.dumps(body).encode() if body is not None else b"", sent)

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status == status, answer.body
        return answer.value

    async def post(self, path: str, body: Body = None, status: int = 201, **more: Any) -> Any:
        answer = await self.ask("POST", path, body, **more)
        assert answer.status == status, answer.body
        if status == 201:
            assert str(answer.header("location")).startswith("http://farebox.test/payroc/v1/"), path
        return answer.value

    async def post_without_location(self, path: str, body: Body = None) -> Any:
        """Do what answers 201 for something that has no address of its own."""
        answer = await self.ask("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.value

    async def act(self, path: str, body: Body = None, status: int = 200) -> Any:
        return await self.post(path, body, status)

    async def patch(self, path: str, *operations: dict[str, Any], status: int = 200) -> Any:
        answer = await self.ask("PATCH", path, list(operations))
        assert answer.status == status, answer.body
        return answer.value

    async def pay(self, method: dict[str, Any] | None = None, status: int = 201, **more: Any) -> Any:
        return await self.post("/v1/payments", self.payment(method, **more), status)

    def payment(
        self, method: dict[str, Any] | None = None, amount: int = 4999, order_id: str = "A-17", **more: Any
    ) -> dict[str, Any]:
        return {
            "channel": "web",
            "processingTerminalId": self.terminal,
            "order": {"orderId": order_id, "amount": amount, "currency": "USD"},
            "paymentMethod": method or card(),
            **more,
        }

    async def single_use(self, source: dict[str, Any] | None = None) -> str:
        made = await self.post(
            f"{self.base}/single-use-tokens", {"channel": "web", "source": source or card()}
        )
        return made["token"]

    async def secure_token(self, source: dict[str, Any] | None = None, **more: Any) -> Any:
        return await self.post(f"{self.base}/secure-tokens", {"source": source or card(), **more})

    async def native(self, method: str, path: str, body: Body = None) -> Any:
        headers = {"authorization": f"Bearer {self.native_key}", "content-type": "application/json"}
        sent = json.dumps(body).encode() if body is not None else b""
        answer = await ask(self.app, method, path, body=sent, headers=headers)
        assert answer.status < 300, answer.body
        return answer.value

    async def close_batch(self) -> None:
        await self.native("POST", "/v1/sandbox/batches/close")

    async def move_clock(self, days: int) -> None:
        await self.native("POST", "/v1/sandbox/clock", {"forward_s": days * 86_400})


async def merchant(running: Any, mode: str = "test") -> Payroc:
    """Make a merchant and sign it in."""
    _, shown = await running.services.merchants.create("Case", Mode(mode))
    payroc, native = shown["payroc"], shown["native"]
    client = Payroc(
        running.app,
        running.services,
        payroc["processing_terminal_id"],
        payroc["api_key"],
        native["secret_key"],
    )
    answer = await client.raw("POST", "/authorize", headers={"x-api-key": client.api_key})
    assert answer.status == 200, answer.body
    client.token = answer.value["access_token"]
    return client


def is_uuid(text: str) -> bool:
    return str(UUID(text)) == text
