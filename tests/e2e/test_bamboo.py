"""Bamboo over a real socket, spoken as its PHP SDK does, and by hand as the guide says.

The SDK's paths, headers and bodies are those of its source: lower-case paths relative to the base address,
key as it is behind `Basic`, JSON on every request, `[]` where nothing is said. What it reads of an
answer are the keys asserted here; it raises when `Errors` is filled, whatever the status.
"""

from __future__ import annotations

import hmac
import http.client
import http.server
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farebox.testing.server import Server

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/guides/bamboo-anonymous-purchase.md"
MUST_EXIST = ("Transaction", "Customer", "DataUY", "DataDO", "CommerceAction")
MUST_NOT_BE_NULL = (
    "PurchaseId",
    "Created",
    "Order",
    "Capture",
    "Amount",
    "OriginalAmount",
    "TaxableAmount",
    "Installments",
    "Currency",
    "URL",
    "Acquirer",
    "PurchasePaymentProfileId",
)


class Sdk:
    """Sends what the PHP SDK sends, and takes an answer as it does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.credentials["bamboo"]["private_key"]

    def ask(self, method: str, path: str, body: Any = None, *, authorized: bool = True) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        headers = {"Content-Type": "application/json"}
        if authorized:
            headers["Authorization"] = f"Basic {self.key}"
        sent = None if body is None else json.dumps(body)
        connection.request(method, f"/bamboo/{path}", sent, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Give the response, as the SDK does where `Errors` is empty."""
        _, value = self.ask(method, path, body)
        assert not value.get("Errors"), value["Errors"]
        return value["Response"]

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Give status and first code, out of which the SDK makes its exception."""
        status, value = self.ask(method, path, body)
        return status, value["Errors"][0]["ErrorCode"]

    def token(self, **more: Any) -> str:
        body = {
            "Email": "ana@shop.test",
            "Pan": "4507990000004905",
            "CVV": "123",
            "Expiration": "08/30",
            "Titular": "Ana Prieto",
            **more,
        }
        _, value = self.ask("POST", f"api/Token?commerceKey={self.key}", body, authorized=False)
        assert value["Error"] is None
        return value["TokenId"]


def purchase_body(token: str, **more: Any) -> dict[str, Any]:
    """What the SDK's example sends: no country, a document that is a number, texts for truth values."""
    return {
        "TrxToken": token,
        "Order": "OrderNumber-1",
        "Amount": "10000",
        "Installments": 1,
        "Capture": "true",
        "Currency": "UYU",
        "Customer": {
            "Email": "ana@shop.test",
            "FirstName": "Ana",
            "DocumentTypeId": 2,
            "DocNumber": 12345672,
        },
        "DataUY": {"IsFinalConsumer": "true", "Invoice": "1000", "TaxableAmount": 1000},
        **more,
    }


def check_purchase(purchase: dict[str, Any]) -> None:
    """Hold a purchase to what the SDK's getters need."""
    assert set(MUST_EXIST) <= set(purchase)
    assert all(purchase[name] is not None for name in MUST_NOT_BE_NULL)
    transaction = purchase["Transaction"]
    assert transaction["TransactionId"] == transaction["TransactionID"]
    assert isinstance(transaction["Steps"], list)


def test_a_full_life_as_the_php_sdk_speaks_it(
    new_server: Callable[..., Server], database_url: str | None
) -> None:
    """Token, purchase, commit, partial refund, rollback, customer, profile, list."""
    server = new_server(database_url)
    server.start()
    sdk = Sdk(server)

    authorized = sdk.call("POST", "v1/api/purchase", purchase_body(sdk.token(), Capture="false"))
    check_purchase(authorized)
    assert authorized["Transaction"]["Status"] == "PreAuthorized"
    path = f"v1/api/purchase/{authorized['PurchaseId']}"
    committed = sdk.call("POST", f"{path}/commit", [])
    assert committed["Transaction"]["TransactionStatusId"] == 1
    refunded = sdk.call("POST", f"{path}/refund", {"Amount": 2500})
    assert (refunded["Amount"], refunded["OriginalAmount"], len(refunded["RefundList"])) == (7500, 10000, 1)
    assert sdk.call("GET", path) == refunded
    assert sdk.refused("POST", f"{path}/rollback", []) == (400, "PR009")

    other = sdk.call("POST", "v1/api/purchase", purchase_body(sdk.token(), Capture="false", Order="2"))
    rolled_back = sdk.call("POST", f"v1/api/purchase/{other['PurchaseId']}/rollback", [])
    assert rolled_back["Transaction"]["Status"] == "Cancelled"
    check_purchase(rolled_back)

    customer = sdk.call("POST", "v1/api/customer", {"Email": "ana@shop.test", "FirstName": "Ana"})
    path = f"v1/api/customer/{customer['CustomerId']}"
    commerce_token = sdk.token(CustomerId=customer["CustomerId"])
    (profile,) = sdk.call("GET", path)["PaymentProfiles"]
    assert profile["Token"] == commerce_token
    assert re.fullmatch("CT__[A-Za-z0-9_-]{43}_", commerce_token)
    (found,) = sdk.call("GET", "v1/api/customer/GetCustomerByEmail?email=ana%40shop.test")
    assert found["CustomerId"] == customer["CustomerId"]
    again = sdk.call(
        "POST",
        "v1/api/purchase",
        {"TrxToken": commerce_token, "Order": "3", "Amount": 500, "Currency": "UYU"},
    )
    check_purchase(again)
    assert again["Customer"]["CustomerId"] == customer["CustomerId"]
    assert sdk.call("POST", f"{path}/update", {"FirstName": "Anabel"})["FirstName"] == "Anabel"
    gone = sdk.call("POST", f"{path}/PaymentProfileDelete", {"PaymentProfileId": profile["PaymentProfileId"]})
    assert gone["PaymentProfiles"] == []

    listed = sdk.call("GET", "v1/api/purchase")
    assert [one["PurchaseId"] for one in listed] == sorted(
        [authorized["PurchaseId"], other["PurchaseId"], again["PurchaseId"]]
    )
    assert sdk.call("GET", "v1/api/purchase?OrderNumber=3")[0]["PurchaseId"] == again["PurchaseId"]
    assert sdk.call("GET", "v1/api/purchase?From=20210401&To=20210430") == []
    assert sdk.refused("GET", "v1/api/purchase/1") == (404, "PR008")

    address = f"127.0.0.1:{server.port}"
    server.stop()
    server.start()
    after = json.dumps(sdk.call("GET", f"v1/api/purchase/{authorized['PurchaseId']}"))
    assert after.replace(f"127.0.0.1:{server.port}", address) == json.dumps(refunded)
    assert server.stop() == 0
    log = server.log_path.read_bytes()
    assert sdk.key.encode() not in log, "a key in a query string is a secret"
    assert commerce_token.encode() not in log
    assert sorted((entry.kind, entry.state) for entry in server.books()) == [
        ("authorization", "approved"),
        ("authorization", "approved"),
        ("capture", "approved"),
        ("purchase", "approved"),
        ("refund", "approved"),
        ("void", "approved"),
    ]


def test_the_guide_is_true(new_server: Callable[..., Server]) -> None:
    """Every command of "anonymous purchase in five minutes", pasted in order, does what the guide says."""
    server = new_server()
    server.start()
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    script = "\n".join(block for block in blocks if "make demo" not in block)
    assert script.count("curl") >= 5
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={
            **os.environ,
            "BAMBOO": f"http://127.0.0.1:{server.port}/bamboo",
            "PRIVATE_KEY": server.credentials["bamboo"]["private_key"],
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for promised in re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in promised.strip().splitlines():
            assert line in done.stdout, (line, done.stdout)


class Shop:
    """A merchant's server that keeps what it is told, and answers as it is set to."""

    def __init__(self) -> None:
        shop = self
        self.heard: list[tuple[dict[str, str], Any]] = []
        self.statuses: list[int] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                shop.heard.append((dict(self.headers), json.loads(body)))
                self.send_response(shop.statuses.pop(0) if shop.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"

    def wait_for(self, count: int) -> list[tuple[dict[str, str], Any]]:
        deadline = time.monotonic() + 20
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.heard

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def test_a_purchase_is_told_of_and_signed(new_server: Callable[..., Server], shop: Shop) -> None:
    """Cash is paid later: `Url_Notify` hears the final state, signed with the private key; a decline too."""
    server = new_server(WEBHOOKS__ALLOWED_NETWORKS="127.0.0.0/8")
    server.start()
    sdk = Sdk(server)
    body = {
        "PaymentMediaId": 10,
        "Order": "A-9",
        "Amount": 50000,
        "Currency": "UYU",
        "UniqueID": "shop-9",
        "Customer": {"Email": "ana@shop.test", "DocNumber": 12345672},
        "Redirection": {"URL_Notify": shop.url},
    }
    pending = sdk.call("POST", "v1/api/purchase", body)
    path = pending["MetadataOut"]["SandboxUrl"].partition("/bamboo/")[2]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"/bamboo/{path}", "decision=approve", form)
    assert connection.getresponse().read()
    connection.close()
    declined = purchase_body(
        sdk.token(Pan="4304968001555104", CVV="617"), Redirection={"Url_Notify": shop.url}
    )
    sdk.call("POST", "v1/api/purchase", declined)

    heard = {value["Order"]: (headers, value) for headers, value in shop.wait_for(2)}
    headers, told = heard["A-9"]
    assert told == {
        "PurchaseId": pending["PurchaseId"],
        "UniqueId": "shop-9",
        "Order": "A-9",
        "Amount": 50000,
        "Installments": 1,
        "Currency": "UYU",
        "MetadataOut": {},
        "Transaction": {
            "TransactionStatusId": 1,
            "Status": "Approved",
            "Description": None,
            "ApprovalCode": told["Transaction"]["ApprovalCode"],
        },
    }
    lower = {name.lower(): value for name, value in headers.items()}
    message = f"{told['PurchaseId']}{told['Amount']}{told['Currency']}{lower['datesent']}"
    assert lower["signature"] == hmac.new(sdk.key.encode(), message.encode(), "sha256").hexdigest()
    _, told = heard["OrderNumber-1"]
    assert (told["Transaction"]["Status"], told["Transaction"]["TransactionStatusId"]) == ("Rejected", 4)
    assert server.stop() == 0
    assert sdk.key.encode() not in server.log_path.read_bytes()
