"""The published Python client of Dintero (PyPI `dintero`), unmodified, against a real server."""

from __future__ import annotations

import hmac
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import pytest
import requests
from dintero import Dintero
from dintero.error import AuthError, InvalidRequestBody, UnexpectedError
from tests.e2e.conftest import NewServer

from farebox.testing.server import Server

ITEM = {
    "id": "kopp",
    "line_id": "1",
    "description": "Kopp",
    "quantity": 1,
    "amount": 45900,
    "vat_amount": 9180,
    "vat": 25,
}


def session(**members: Any) -> dict[str, Any]:
    return {
        "profile_id": "default",
        "url": {"return_url": "https://shop.example/kvittering?o=88"},
        "order": {"amount": 45900, "currency": "NOK", "merchant_reference": "88 a", "items": [ITEM]},
        **members,
    }


def client_of(server: Server, *, secret: str | None = None) -> Any:
    given = server.credentials["dintero"]
    base = f"http://127.0.0.1:{server.port}/dintero"
    return Dintero(
        given["account_id"],
        given["client_id"],
        secret or given["client_secret"],
        "koppebutikk",
        "3.2.0",
        api_url=base,
        checkout_url=base,
    ).checkout()


def pay(url: str, number: str, **fields: str) -> requests.Response:
    """Follow the address to the page and post its form, as a browser without scripts does."""
    page = requests.get(url, timeout=10)
    assert page.status_code == 200, page.text
    assert 'autocomplete="cc-number"' in page.text
    form = {"do": "pay", "card": "new", "number": number, "expiry": "04/34", "cvc": "123", **fields}
    return requests.post(page.url, data=form, allow_redirects=False, timeout=10)


@pytest.fixture
def server(new_server: NewServer) -> Server:
    made = new_server(None)
    made.start()
    return made


def test_a_purchase_from_session_to_refund(server: Server) -> None:
    """Create, pay on the page, read, capture part, refund part of it, void what is not captured elsewhere."""
    dintero = client_of(server)
    made = dintero.create_session(session())
    assert re.fullmatch(r"T\d{8}\.[1-9A-HJ-NP-Za-km-z]{22}", made["id"])

    led = pay(made["url"], "4000 0000 0000 0002")
    paid = dintero.get_session(made["id"])
    transaction_id = paid["transaction_id"]
    assert led.status_code == 303
    assert led.headers["location"] == (
        f"https://shop.example/kvittering?o=88&merchant_reference=88+a&transaction_id={transaction_id}"
    )
    transaction = dintero.get_transaction(transaction_id)
    assert (transaction["status"], transaction["amount"]) == ("AUTHORIZED", 45900)
    assert transaction["merchant_reference"] == "88 a"

    captured = dintero.capture_transaction(transaction_id, 22950, [{"line_id": "1", "amount": 22950}], "pk-1")
    assert captured["status"] == "PARTIALLY_CAPTURED"
    assert captured["events"][-1]["request_headers"]["dintero-system-name"] == "koppebutikk"
    refunded = dintero.refund_transaction(transaction_id, 10000, [], "rk-1", "Sprukken")
    assert refunded["status"] == "PARTIALLY_CAPTURED_REFUNDED"
    with pytest.raises(InvalidRequestBody) as refused:
        dintero.refund_transaction(transaction_id, 20000, [])
    assert "exceeds" in str(refused.value)
    with pytest.raises(InvalidRequestBody):
        dintero.void_transaction(transaction_id)


def test_a_declined_card_may_be_followed_by_another(server: Server) -> None:
    """The page stays, the session can still be paid, and the void releases the authorization."""
    dintero = client_of(server)
    made = dintero.create_session(session())
    declined = pay(made["url"], "4000300000000006")
    assert declined.status_code == 200
    assert "transaction_id" not in dintero.get_session(made["id"])
    assert pay(made["url"], "5200000000000007").status_code == 303
    transaction_id = dintero.get_session(made["id"])["transaction_id"]
    assert dintero.void_transaction(transaction_id)["status"] == "AUTHORIZATION_VOIDED"


def test_refusals_are_the_clients_own_exceptions(server: Server) -> None:
    """Wrong credentials, wrong bodies and unknown ids each raise what the client has for them."""
    with pytest.raises(AuthError):
        client_of(server, secret="wrong").get_session("T1.x")
    dintero = client_of(server)
    with pytest.raises(InvalidRequestBody):
        dintero.create_session(session(profile_id="nobody"))
    with pytest.raises(UnexpectedError):
        dintero.get_transaction(f"{server.credentials['dintero']['account_id']}.{'1' * 22}")


def test_a_buyer_who_leaves_is_led_back(server: Server) -> None:
    """The other button of the form."""
    made = client_of(server).create_session(session())
    led = pay(made["url"], "", do="cancel")
    assert led.status_code == 303
    assert led.headers["location"].endswith("?o=88&merchant_reference=88+a&error=cancelled")


class Receiver(http.server.BaseHTTPRequestHandler):
    """A shop's callback address: keeps what it is told, and answers what it was given to answer."""

    told: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []
    answers: ClassVar[list[int]] = []

    def do_POST(self) -> None:  # the base class's name
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.told.append((self.command, self.path, headers, body))
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.end_headers()

    do_GET = do_POST  # noqa: N815  # the base class's name

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """Where callbacks go."""
    Receiver.told.clear()
    Receiver.answers.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def wait_for(count: int) -> list[tuple[str, str, dict[str, str], bytes]]:
    deadline = time.monotonic() + 20
    while len(Receiver.told) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(Receiver.told) >= count
    return Receiver.told


def test_callbacks_are_signed_and_end_with_a_4xx(new_server: NewServer, receiver: str) -> None:
    """A POST with the transaction when it is authorized, one for the capture; a 404 is final."""
    server = new_server(None, WEBHOOKS__ALLOWED_NETWORKS="127.0.0.0/8")
    server.start()
    dintero, base = client_of(server), f"http://127.0.0.1:{server.port}/dintero"
    given = server.credentials["dintero"]
    key = {"x-api-key": f"{given['client_id']}:{given['client_secret']}"}
    assert requests.get(f"{base}/v1/admin/signature", headers=key, timeout=10).status_code == 404
    made = requests.post(f"{base}/v1/admin/signature", headers=key, timeout=10).json()
    assert requests.get(f"{base}/v1/admin/signature", headers=key, timeout=10).json() == made

    Receiver.answers += [404]
    query = "o=1&method=POST&includes=session&report_event=CAPTURE&sid_parameter_name=sid"
    url = {"return_url": "https://shop.example/k", "callback_url": f"{receiver}/hook?{query}"}
    session_id = dintero.create_session(session(url=url))["id"]
    pay(f"{base}/v1/view/{session_id}", "4000300000000006")
    pay(f"{base}/v1/view/{session_id}", "4000000000000002")
    transaction_id = dintero.get_session(session_id)["transaction_id"]
    dintero.capture_transaction(transaction_id, 45900, [])

    (method, path, headers, body), (_, captured, _, captured_body) = wait_for(2)[:2]
    told = dict(parse_qsl(urlsplit(path).query))
    assert method == "POST"
    assert told.pop("time").endswith("Z")
    assert told == {
        **dict(parse_qsl(query)),
        "transaction_id": transaction_id,
        "sid": session_id,
        "merchant_reference": "88 a",
    }
    transaction = json.loads(body)
    assert (transaction["id"], transaction["session"]["id"]) == (transaction_id, session_id)
    assert "payment_token" not in transaction["card"]
    assert json.loads(captured_body)["status"] == "CAPTURED"
    reported = dict(parse_qsl(urlsplit(captured).query))
    assert (reported["event"], reported["event_id"]) == ("CAPTURE", "3")

    # Checked as the guide tells merchants to, without a line of the server's code.
    signed = dict(part.split("=", 1) for part in headers["dintero-signature"].split(","))
    ordered = urlencode(sorted(parse_qsl(urlsplit(path).query), key=lambda one: one[0]))
    text = "\n".join([signed["t"], given["account_id"], "POST", "127.0.0.1", "/hook", ordered])
    secret = made["signature"]["secret"].encode()
    assert signed["v0-hmac-sha256"] == hmac.new(secret, text.encode(), "sha256").hexdigest()
    assert UUID(headers["event-delivery"])
    time.sleep(1)
    assert len(Receiver.told) == 2, "what was answered with a 404 is not sent again"


def test_a_buyer_who_leaves_is_told_where_it_is_asked_for(new_server: NewServer, receiver: str) -> None:
    """`report_error=true` hears of it by a GET without a transaction; who did not ask hears nothing."""
    server = new_server(None, WEBHOOKS__ALLOWED_NETWORKS="127.0.0.0/8")
    server.start()
    dintero = client_of(server)
    for query in ("silent=1", "report_error=true"):
        url = {"return_url": "https://shop.example/k", "callback_url": f"{receiver}/hook?{query}"}
        pay(dintero.create_session(session(url=url))["url"], "", do="cancel")
    method, path, headers, body = wait_for(1)[0]
    told = dict(parse_qsl(urlsplit(path).query))
    assert (method, body) == ("GET", b"")
    assert (told["error"], told["report_error"], "transaction_id" in told) == ("cancelled", "true", False)
    assert "dintero-signature" not in headers, "there is no secret to sign with"
    time.sleep(1)
    assert len(Receiver.told) == 1
