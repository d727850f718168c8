"""The published Python client of Dintero (PyPI `dintero`), unmodified, against a real server."""

from __future__ import annotations

import re
from typing import Any

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
