"""Asks the Paysafe dialect as a merchant's program does, over whatever transport it is given."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from farebox.testing.asgi import Answer, ask

VISA = "4530910000012345"
MASTERCARD = "5191330000004415"
ADDRESS = {"street": "9 Elm", "city": "Laval", "state": "QC", "country": "CA", "zip": "H7A0A1"}
Transport = Callable[[str, str, bytes, dict[str, str]], Awaitable[Answer]]


def in_process(app: Any) -> Transport:
    async def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        return await ask(app, method, f"/paysafe{path}", body=body, headers=headers)

    return send


@dataclass
class Shop:
    """One merchant: its account, its keys, and numbers for its references."""

    send: Transport
    account: str
    api_key: str
    public_key: str
    native_key: str
    merchant: Any = None
    counter: list[int] = field(default_factory=lambda: [0])

    @property
    def cards(self) -> str:
        return f"/cardpayments/v1/accounts/{self.account}"

    @property
    def debits(self) -> str:
        return f"/directdebit/v1/accounts/{self.account}"

    @property
    def threeds(self) -> str:
        return f"/threedsecure/v1/accounts/{self.account}"

    @property
    def threeds2(self) -> str:
        return f"/threedsecure/v2/accounts/{self.account}"

    def ref(self) -> str:
        self.counter[0] += 1
        return f"ref-{self.counter[0]}"

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str | None] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send a request; `headers` replace those that are always sent, and None leaves one out."""
        pair = b64encode((key or self.api_key).encode()).decode()
        sent: dict[str, str | None] = {
            "authorization": f"Basic {pair}",
            "content-type": "application/json; charset=utf-8",
            **(headers or {}),
        }
        payload = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return await self.send(
            method, path, payload, {name: value for name, value in sent.items() if value is not None}
        )

    async def ok(self, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
        answer = await self.ask(method, path, body, **more)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.value

    async def refused(
        self, code: str, status: int, method: str, path: str, body: Any = None, **more: Any
    ) -> Any:
        """Expect a refusal of this code and status, in the documented shape."""
        answer = await self.ask(method, path, body, **more)
        assert (answer.status, answer.value.get("error", {}).get("code")) == (status, code), answer.body
        name = "x-application-error" if path.startswith("/threedsecure") else "x-application-status-code"
        assert answer.header(name) == code
        assert answer.value["error"]["message"]
        return answer.value

    # --- what nearly every test begins with ----------------------------------------------------------

    async def token(self, number: str = VISA, **card: Any) -> str:
        body = {"card": {"cardNum": number, "cardExpiry": {"month": 9, "year": 2035}, **card}}
        made = await self.ok("POST", "/customervault/v1/singleusetokens", body, key=self.public_key)
        return made["paymentToken"]

    async def auth(self, amount: int = 1099, *, status: int = 200, **more: Any) -> Any:
        body = {
            "merchantRefNum": self.ref(),
            "amount": amount,
            "card": {"cardNum": VISA, "cardExpiry": {"month": 9, "year": 2035}, "cvv": "123"},
            "billingDetails": ADDRESS,
            **more,
        }
        return await self.ok("POST", self.cards + "/auths", body, status=status)

    async def settled(self, amount: int = 1000) -> Any:
        """Make a purchase and let its batch close."""
        made = await self.auth(amount, settleWithAuth=True)
        await self.close_batch()
        return made

    async def native(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the native API as the same merchant."""
        headers = {"authorization": f"Bearer {self.native_key}", "content-type": "application/json"}
        payload = b"" if body is None else json.dumps(body).encode()
        answer = await self.send(method, f"/..native{path}", payload, headers)
        assert answer.status < 300, answer.body
        return answer.value

    async def close_batch(self) -> None:
        await self.native("POST", "/v1/sandbox/batches/close")

    async def fault(self, trouble: str, operation: str, **parameters: str) -> None:
        body = {"trouble": trouble, "operation": operation, "parameters": parameters}
        await self.native("POST", "/v1/sandbox/faults", body)

    async def later(self, **duration: int) -> None:
        from datetime import timedelta

        forward = int(timedelta(**duration).total_seconds())
        await self.native("POST", "/v1/sandbox/clock", {"forward_s": forward})

    async def profile(self, **more: Any) -> Any:
        body = {"merchantCustomerId": self.ref(), "locale": "en_US", "firstName": "Ada", **more}
        return await self.ok("POST", "/customervault/v1/profiles", body, status=201)


async def open_shop(services: Any, send: Transport, mode: str = "test") -> Shop:
    from farebox.domain.access import Mode

    merchant, shown = await services.merchants.create("Shop", Mode(mode))
    paysafe, native = shown["paysafe"], shown["native"]
    return Shop(
        send,
        paysafe["account_id"],
        paysafe["api_key"],
        paysafe["single_use_token_key"],
        native["secret_key"],
        merchant,
    )
