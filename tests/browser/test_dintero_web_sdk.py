"""Dintero's published web SDK (npm), unmodified, on a shop's page in a real browser."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from playwright.sync_api import Page, expect
from tests.browser.conftest import fill_card, missing

from farebox.testing.server import Server

SDK = (
    Path(__file__).parent / "node_modules/@dintero/checkout-web-sdk/dist/dintero-checkout-web-sdk.umd.min.js"
)
NewPage = Callable[..., Page]
CARD = "4000000000000002"
HANDLERS = (
    "onSession onPayment onPaymentError onSessionCancel onSessionNotFound onSessionLocked onSessionLockFailed"
    " onActivePaymentType"
).split()


@dataclass
class Merchant:
    """A shop with a page of its own, on another origin than the checkout."""

    endpoint: str
    origin: str
    account: str
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = requests.request(method, self.endpoint + path, json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def session(self, **members: Any) -> str:
        order = {
            "amount": 45900,
            "currency": "NOK",
            "merchant_reference": "88",
            "items": [
                {"id": "kopp", "line_id": "1", "description": "Kopp, blå", "quantity": 2, "amount": 45900}
            ],
        }
        body = {
            "profile_id": "default",
            "url": {"return_url": f"{self.origin}/kvittering?o=88"},
            "order": order,
            **members,
        }
        return self.ask("POST", "/v1/sessions-profile", body)["id"]


class ShopPage(http.server.BaseHTTPRequestHandler):
    """Serves the shop's page, which has nothing but the SDK and a place for it."""

    def do_GET(self) -> None:  # the base class's name
        scripts = {"/sdk.js": SDK}
        path = urlsplit(self.path).path
        content = (
            scripts[path].read_bytes()
            if path in scripts
            else b"<!doctype html><title>Shop</title><div id='here'></div><script src='/sdk.js'></script>"
        )
        self.send_response(200)
        self.send_header("content-type", "text/javascript" if path in scripts else "text/html")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def merchant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merchant]:
    """A server with the dialect at a port of its own, because the SDK wants a bare origin."""
    if not SDK.exists():
        missing("The web SDK is not installed (npm ci --prefix tests/browser).")
    port = free_port()
    server = Server(tmp_path_factory.mktemp("dintero"), settings={"DIALECT_PORTS": f"dintero={port}"})
    given = server.init()["dintero"]
    server.start()
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ShopPage)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{port}"
    answer = requests.post(
        f"{endpoint}/v1/accounts/{given['account_id']}/auth/token",
        json={
            "grant_type": "client_credentials",
            "audience": f"https://api.dintero.com/v1/accounts/{given['account_id']}",
        },
        auth=(given["client_id"], given["client_secret"]),
        timeout=30,
    )
    origin = f"http://localhost:{shop.server_address[1]}"
    try:
        yield Merchant(endpoint, origin, given["account_id"], answer.json()["access_token"])
    finally:
        shop.shutdown()
        shop.server_close()
        server.kill()


def embed(page: Page, merchant: Merchant, sid: str, **options: Any) -> None:
    """Embed a session as a shop does; every handler notes what it was told."""
    page.goto(merchant.origin)
    page.evaluate(
        """async ([options, handlers]) => {
            window.told = [];
            for (const name of handlers) options[name] = (event) => { window.told.push([name, event]); };
            if (options.validates) options.onValidateSession = (event, checkout, callback) => {
                window.told.push(["onValidateSession", event]);
                callback(window.verdict ?? {success: true});
            };
            const container = document.getElementById("here");
            window.checkout = await dintero.embed({...options, container});
        }""",
        [{"sid": sid, "endpoint": merchant.endpoint, "language": "en", **options}, HANDLERS],
    )


def told(page: Page, name: str) -> Any:
    """Wait until a handler was called, and give what it was told the last time."""
    page.wait_for_function("name => window.told.some(([one]) => one === name)", arg=name, timeout=15_000)
    return page.evaluate("name => window.told.filter(([one]) => one === name).at(-1)[1]", name)


def test_a_session_is_paid_in_the_frame(merchant: Merchant, new_page: NewPage) -> None:
    """Loaded, grown to its height, paid; the frame then shows the outcome."""
    page, sid = new_page(), merchant.session()
    embed(page, merchant, sid)
    loaded = told(page, "onSession")
    assert loaded["session"]["order"]["amount"] == 45900
    assert "callback_url" not in loaded["session"]["url"]
    assert told(page, "onActivePaymentType")["payment_product_type"] == "dintero_psp.creditcard"
    assert page.locator("iframe").bounding_box()["height"] > 300
    frame = page.frame_locator("iframe")
    fill = page.frames[1]
    fill_card(fill, CARD)
    frame.locator("#pay").click()
    paid = told(page, "onPayment")
    transaction = merchant.ask("GET", f"/v1/transactions/{paid['transaction_id']}")
    assert (transaction["status"], transaction["session_id"]) == ("AUTHORIZED", sid)
    said = dict(parse_qsl(urlsplit(paid["href"]).query))
    assert said == {"o": "88", "merchant_reference": "88", "transaction_id": paid["transaction_id"]}
    expect(frame.get_by_role("heading", name="Payment complete")).to_be_visible()
    assert "/embedResult/" in page.frames[1].url


def test_without_a_handler_the_shop_is_left_for_its_receipt(merchant: Merchant, new_page: NewPage) -> None:
    """What the SDK does by itself: the top window goes to the return address."""
    page, sid = new_page(), merchant.session()
    page.goto(merchant.origin)
    page.evaluate(
        "options => dintero.embed({...options, container: document.getElementById('here')}).then(() => 0)",
        {"sid": sid, "endpoint": merchant.endpoint},
    )
    page.frame_locator("iframe").locator("#number").wait_for()
    fill_card(page.frames[1], CARD)
    page.frame_locator("iframe").locator("#pay").click()
    page.wait_for_url("**/kvittering?o=88&merchant_reference=88&transaction_id=*")


def test_a_declined_card_stays_and_cancelling_tells(merchant: Merchant, new_page: NewPage) -> None:
    """No final event after a decline; one after the buyer leaves."""
    page, sid = new_page(), merchant.session()
    embed(page, merchant, sid)
    told(page, "onSession")
    fill_card(page.frames[1], "4000300000000006")
    frame = page.frame_locator("iframe")
    frame.locator("#pay").click()
    expect(frame.locator("#message")).to_contain_text("declined")
    frame.locator("#cancel").click()
    left = told(page, "onSessionCancel")
    assert left["href"].endswith("merchant_reference=88&error=cancelled")
    assert page.evaluate("window.told.some(([name]) => name === 'onPayment')") is False


def test_a_shop_locks_changes_and_refreshes(merchant: Merchant, new_page: NewPage) -> None:
    """Express: the cart changes while the page is open, and the buyer sees and pays the new amount."""
    option = {"id": "post", "line_id": "frakt", "title": "Posten", "operator": "", "amount": 3900}
    page, sid = new_page(), merchant.session(express={"shipping_options": [option]})
    embed(page, merchant, sid)
    told(page, "onSession")
    page.evaluate("window.checkout.lockSession()")
    assert told(page, "onSessionLocked")["pay_lock_id"]
    merchant.ask(
        "PUT",
        f"/v1/sessions/{sid}",
        {"order": {"amount": 49800, "shipping_option": option}, "express": {"shipping_options": [option]}},
    )
    page.evaluate("window.checkout.refreshSession()")
    page.wait_for_function("window.told.some(([, event]) => event.session?.order.amount === 49800)")
    frame = page.frame_locator("iframe")
    expect(frame.locator("#pay")).to_contain_text("498")
    fill_card(page.frames[1], CARD)
    frame.locator("#pay").click()
    paid = told(page, "onPayment")
    assert merchant.ask("GET", f"/v1/transactions/{paid['transaction_id']}")["amount"] == 49800


def test_an_ordinary_session_is_not_locked(merchant: Merchant, new_page: NewPage) -> None:
    """Only Express sessions are; the shop is told."""
    page, sid = new_page(), merchant.session()
    embed(page, merchant, sid)
    told(page, "onSession")
    page.evaluate("window.checkout.lockSession().catch(() => 0)")
    told(page, "onSessionLockFailed")


def test_the_shop_may_refuse_before_paying(merchant: Merchant, new_page: NewPage) -> None:
    """The validation callback holds the payment back, shows its words, and lets it go."""
    page, sid = new_page(), merchant.session()
    embed(page, merchant, sid, validates=True)
    told(page, "onSession")
    page.evaluate("window.verdict = {success: false, clientValidationError: 'Sold out'}")
    fill_card(page.frames[1], CARD)
    frame = page.frame_locator("iframe")
    frame.locator("#pay").click()
    expect(frame.locator("#message")).to_have_text("Sold out")
    assert "transaction_id" not in merchant.ask("GET", f"/v1/sessions/{sid}")
    page.evaluate("window.verdict = {success: true}")
    frame.locator("#pay").click()
    assert told(page, "onPayment")["transaction_id"]


def test_an_unknown_session_is_told(merchant: Merchant, new_page: NewPage) -> None:
    """A session that was cancelled cannot be paid any more."""
    page, sid = new_page(), merchant.session()
    merchant.ask("POST", f"/v1/sessions/{sid}/cancel")
    embed(page, merchant, sid)
    assert told(page, "onSessionCancel")["error"] == "cancelled"


def test_redirect_opens_the_page_by_itself(merchant: Merchant, new_page: NewPage) -> None:
    """Nothing is embedded: the page pays and leads back."""
    page, sid = new_page(), merchant.session()
    page.goto(merchant.origin)
    page.evaluate(
        "options => void dintero.redirect(options)", {"sid": sid, "endpoint": merchant.endpoint + "/"}
    )
    page.wait_for_url(f"{merchant.endpoint}/?*sid={sid}*")
    fill_card(page, CARD)
    page.locator("#pay").click()
    page.wait_for_url("**/kvittering?o=88&merchant_reference=88&transaction_id=*")
    state = json.dumps(merchant.ask("GET", f"/v1/sessions/{sid}")["events"])
    assert all(f'"{name}"' in state for name in ("INITIATED", "VISITED", "AUTHORIZED", "COMPLETED"))
