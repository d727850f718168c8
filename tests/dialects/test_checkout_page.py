"""The checkout page over the wire: what it answers to forms and scripts, and the headers it stands behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farebox.domain.access import Mode
from farebox.testing.asgi import Answer, ask
from farebox.web.assets import ASSETS, asset

FORM = {"content-type": "application/x-www-form-urlencoded"}
SCRIPT = {**FORM, "accept": "application/json"}
CARD = b"number=4242+4242+4242+4242&expiry=12/34&cvc=123"
pytestmark = pytest.mark.asyncio(loop_scope="session")


class Shop:
    def __init__(self, running: Any, key: str) -> None:
        self.app = running.app
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        return (await ask(self.app, method, path, body=content, headers=self._headers)).value

    async def session(self, **changes: Any) -> tuple[str, str]:
        """Make a session; give its id and the path of its page."""
        body = {
            "amount_minor": 4500,
            "currency": "EUR",
            "return_url": "https://shop.example/done?a=b",
            **changes,
        }
        made = await self.api("POST", "/v1/checkout_sessions", body)
        return made["id"], made["url"].removeprefix("http://farebox.test")

    async def page(
        self, path: str, body: bytes | None = None, headers: dict[str, str] = FORM, host: str | None = None
    ) -> Answer:
        more = {"host": host} if host else {}
        if body is None:
            return await ask(self.app, "GET", path, headers={**headers, **more})
        return await ask(self.app, "POST", path, body=body, headers={**headers, **more})


@pytest.fixture
async def shop(running: Any) -> Shop:
    _, credentials = await running.services.merchants.create("A & B <shop>", Mode.TEST)
    return Shop(running, credentials["native"]["secret_key"])


async def test_a_posted_form_pays_and_leads_back(shop: Shop) -> None:
    """303, so that reloading does not post again; the merchant's own query stays."""
    session_id, path = await shop.session()
    answer = await shop.page(path, CARD)
    assert answer.status == 303
    where = f"https://shop.example/done?a=b&checkout_session={session_id}&status=completed"
    assert answer.header("location") == where
    again = await shop.page(path, CARD)
    assert (again.status, again.header("location")) == (303, where)
    session = await shop.api("GET", f"/v1/checkout_sessions/{session_id}")
    assert session["attempts"] == 1


async def test_scripts_are_told_the_same(shop: Shop) -> None:
    """Problems by field, declines as a message, and where to go."""
    session_id, path = await shop.session(locale="de")
    wrong = (await shop.page(path, b"number=1&expiry=13/34&cvc=", SCRIPT)).value
    assert wrong["state"] == "open"
    assert list(wrong["problems"]) == ["number", "expiry", "cvc"]
    assert wrong["problems"]["cvc"] == "Geben Sie die Prüfziffer ein."
    declined = (
        await shop.page(path, CARD.replace(b"4242+4242+4242+4242", b"4000000000000002"), SCRIPT)
    ).value
    assert (declined["state"], declined["problems"]) == ("open", {})
    assert declined["message"].startswith("Ihre Karte wurde abgelehnt")
    paid = (await shop.page(path, CARD, SCRIPT)).value
    assert paid["state"] == "completed"
    assert paid["location"].endswith(f"checkout_session={session_id}&status=completed")


async def test_a_card_number_is_never_shown_again(shop: Shop) -> None:
    """A form that comes back holds the name and the tick, no number and no code."""
    _, path = await shop.session(save="payment_token")
    answer = await shop.page(path, b"number=4242424242424242&expiry=12/34&cvc=9&name=Ada+L&save=on")
    text = answer.body.decode()
    assert answer.status == 200
    assert "4242" not in text
    assert 'value="Ada L"' in text
    assert " checked" in text
    named = await shop.page(path, b"number=&expiry=&cvc=&name=4242424242424242")
    assert "name-error" in named.body.decode()


async def test_what_is_shown_is_escaped(shop: Shop) -> None:
    """Names and lines of a merchant are text."""
    _, path = await shop.session(
        lines=[{"description": "<script>alert(1)</script>", "amount_minor": 4500}], reference='"><img>'
    )
    text = (await shop.page(path)).body.decode()
    assert "<script>alert" not in text
    assert "<img>" not in text
    assert "A &amp; B &lt;shop&gt;" in text


async def test_the_page_stands_behind_a_strict_policy(shop: Shop) -> None:
    """SEC-10, and forms that lead to this merchant only."""
    _, path = await shop.session(cancel_url="myapp://cart")
    answer = await shop.page(path)
    policy = answer.header("content-security-policy") or ""
    assert "form-action 'self' https://shop.example myapp:;" in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-frame-options") is None


@pytest.mark.parametrize("body", [None, CARD])
async def test_an_unknown_address_is_a_page_too(shop: Shop, body: bytes | None) -> None:
    """404, in the buyer's language, in the shape that was asked for; the API's refusals stay JSON."""
    answer = await shop.page("/checkout/" + "0" * 52, body, {**FORM, "accept-language": "nb"})
    assert answer.status == 404
    assert "Vi finner ikke denne siden" in answer.body.decode()
    script = await shop.page("/checkout/" + "0" * 52, body, SCRIPT)
    assert (script.status, script.value["state"]) == (404, "unknown")
    other = await shop.page("/v1/checkout_sessions")
    assert other.value["code"] == "api_key_missing"


async def test_an_address_opens_its_page_only(shop: Shop) -> None:
    """A buyer's secret is no key, and a key no buyer's secret."""
    session_id, path = await shop.session()
    secret = path.rpartition("/")[2]
    answer = await ask(
        shop.app, "GET", f"/v1/checkout_sessions/{session_id}", headers={"authorization": f"Bearer {secret}"}
    )
    assert answer.status == 401
    assert (await shop.page(f"/checkout/{session_id}")).status == 404


@pytest.mark.parametrize("name", ASSETS)
async def test_assets_are_what_their_names_say(shop: Shop, name: str) -> None:
    """Served at every mount, for ever, readable for integrity checks."""
    answer = await shop.page(asset(name).path)
    assert answer.body == asset(name).content
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert answer.header("access-control-allow-origin") == "*"
    assert (await shop.page(f"/-/{name}")).status == 404


async def test_a_broken_form_is_refused_in_words(shop: Shop) -> None:
    """Neither a 500 nor the API's problem details."""
    _, path = await shop.session()
    for body in (b"%ff=%ff", b"number=1&number=2", b"number=%00"):
        answer = await shop.page(path, body)
        assert answer.status == 400
        assert answer.header("content-type") == "text/html; charset=utf-8"
