"""A merchant of the Dintero dialect, and a buyer who pays on its page, against the application in process."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from farebox.dialects.dintero.declaration import DINTERO
from farebox.domain.access import CredentialUse, Mode
from farebox.domain.cards import Card, parse_cvc, parse_expiry, parse_pan
from farebox.domain.ids import RequestId
from farebox.domain.sensitive import Sensitive
from farebox.services.commands import Context, FromInstrument, PayCheckoutSession
from farebox.testing.asgi import Answer, ask

VISA, MASTERCARD = "4000000000000002", "5200000000000007"


@dataclass(slots=True)
class Shop:
    """Asks as a program of the merchant does."""

    running: Any
    account: str
    client_id: str
    client_secret: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()

    @property
    def api_key(self) -> str:
        return f"{self.client_id}:{self.client_secret}"

    async def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Send a request; `raw` is a body as it stands, headers have `_` for `-`, None leaves one out."""
        sent: dict[str, str | None] = {"authorization": f"Bearer {self.token}", **self.headers}
        if body is not None or raw is not None:
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kept = {name: value for name, value in sent.items() if value is not None}
        return await ask(self.running.app, method, f"/dintero{path}", body=content, headers=kept)

    async def log_in(self) -> None:
        answer = await self.ask(
            "POST",
            f"/v1/accounts/{self.account}/auth/token",
            {
                "grant_type": "client_credentials",
                "audience": f"https://api.dintero.com/v1/accounts/{self.account}",
            },
            authorization=self.basic,
        )
        assert answer.status == 200, answer.body
        self.token = answer.value["access_token"]


async def open_shop(running: Any) -> Shop:
    """Make a merchant and log its client in."""
    _, credentials = await running.services.merchants.create("Koppebutikken", Mode.TEST)
    given = credentials["dintero"]
    shop = Shop(running, given["account_id"], given["client_id"], given["client_secret"])
    await shop.log_in()
    return shop


async def buyer_pays(
    running: Any, sid: str, number: str | None = VISA, *, saves: bool = False, cvc: str = "123"
) -> Any:
    """Pay a session as its page does: with a card typed in, or with the code of the stored one."""
    services = running.services
    principal = await services.access.authenticate(sid, dialect="dintero", use=CredentialUse.VISITOR)
    command = PayCheckoutSession(cvc=Sensitive(cvc))
    if number is not None:
        pan = parse_pan(Sensitive(number))
        card = Card(
            pan=pan,
            expiry=parse_expiry(4, 2034),
            holder_name=None,
            cvc=parse_cvc(Sensitive(cvc), brand=pan.brand),
        )
        command = PayCheckoutSession(instrument=FromInstrument(card), saves=saves)
    context = Context(
        principal=principal,
        dialect="dintero",
        rules=DINTERO.tokens,
        request_id=RequestId(services.ids.new("req")),
        render=lambda view: b"",
    )
    return (await services.use_cases.application.execute(command, context)).result


def order(amount: int = 45900, reference: str = "88 a", **members: Any) -> dict[str, Any]:
    return {
        "amount": amount,
        "currency": "NOK",
        "merchant_reference": reference,
        "items": [
            {"id": "kopp", "line_id": "1", "description": "Kopp, blå", "quantity": 1, "amount": amount}
        ],
        **members,
    }


def purchase(product: str = "dintero_psp", *, tokens: bool = False, **members: Any) -> dict[str, Any]:
    """The body of a session on the default profile, paid with a product, storing its tokens on request."""
    creditcard: dict[str, Any] = {"enabled": True, "generate_payment_token": tokens}
    if product == "payex":
        creditcard["generate_recurrence_token"] = tokens
    return {
        "profile_id": "default",
        "url": {"return_url": "https://shop.example/kvittering?o=88"},
        "order": order(),
        "customer": {"customer_id": "c-7", "email": "kari@shop.example"},
        "configuration": {
            "default_payment_type": f"{product}.creditcard",
            product: {"creditcard": creditcard},
        },
        **members,
    }


async def store_card(shop: Shop, product: str = "dintero_psp", number: str = VISA) -> dict[str, Any]:
    """Buy something and keep the card; give the transaction with its tokens."""
    made = await shop.ask("POST", "/v1/sessions-profile", purchase(product, tokens=True))
    await buyer_pays(shop.running, made.value["id"], number, saves=True)
    session = await shop.ask("GET", f"/v1/sessions/{made.value['id']}")
    includes = "?includes=card.payment_token&includes=card.recurrence_token"
    found = await shop.ask("GET", f"/v1/transactions/{quote(session.value['transaction_id'])}{includes}")
    return found.value
