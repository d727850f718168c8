"""SEC-01, SEC-02, SEC-12: card numbers and security codes are nowhere they could be read."""

from __future__ import annotations

import http.client
import json
import os
import random  # noqa: TID251  # which numbers are planted does not matter, only that nobody else has them
from pathlib import Path

import pytest
from tests.proofs.scanner import encodings, files_below, scan

from farebox.testing.client import card_number
from farebox.testing.server import Server


def test_the_scanner_finds_every_plant(tmp_path: Path) -> None:
    """The control: in a file that holds a number in every encoding and alignment, each is found."""
    number = card_number(123_456_789)
    for name, forms in encodings(number).items():
        for form in forms:
            for before in range(4):
                path = tmp_path / "plant"
                path.write_bytes(os.urandom(1000) + b"x" * before + form + os.urandom(1000))
                assert (number, name) in scan(path.read_bytes(), [number])
    assert scan(os.urandom(1_000_000), [number]) == []


class Caller:
    """Sends what it likes and keeps every answer for the scan."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._key = server.credentials["native"]["secret_key"]
        self.answers = b""

    def send(self, method: str, path: str, body: object = None, **headers: str) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        raw = body if isinstance(body, bytes) else (json.dumps(body).encode() if body is not None else None)
        given = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, raw, given)
            answer = connection.getresponse()
            content = answer.read()
            self.answers += content + str(answer.getheaders()).encode()
            return json.loads(content) if content.startswith(b"{") else {}
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()


def card(number: str, cvc: str = "3141") -> dict:
    return {"card": {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": cvc, "holder_name": "Ada"}}


def use_everything(caller: Caller, numbers: list[str]) -> None:
    """Hand each number in somewhere: where it belongs, and where no number belongs."""
    plants = iter(numbers)
    minted = [caller.send("POST", "/v1/single_use_tokens", card(next(plants), "314")) for _ in range(8)]
    tokens = [answer["token"] for answer in minted]
    pay = {"amount_minor": 100, "currency": "USD"}
    caller.send("GET", f"/v1/single_use_tokens/{tokens[0]}")
    caller.send("POST", "/v1/verifications", {"source": {"single_use_token": tokens[0]}})
    for amount, token in ((100, tokens[0]), (200005, tokens[1]), (200069, tokens[2])):
        caller.send(
            "POST", "/v1/payments", {**pay, "amount_minor": amount, "source": {"single_use_token": token}}
        )
    saved = caller.send(
        "POST",
        "/v1/payments",
        {**pay, "source": {"single_use_token": tokens[3]}, "save": "payment_token"},
        Idempotency_Key="saved",
    )
    source = {"payment_token": saved["payment_token"], "cvc": "314"}
    caller.send("POST", "/v1/payments", {**pay, "source": source})
    caller.send("POST", "/v1/payment_tokens", {"single_use_token": tokens[4]})
    caller.send("DELETE", f"/v1/single_use_tokens/{tokens[5]}")
    caller.send("POST", "/v1/single_use_tokens", card(next(plants), "314"), Idempotency_Key="minted")
    # Where no number belongs
    number = next(plants)
    caller.send("POST", "/v1/single_use_tokens", {"card": {**card(number)["card"], number: "x"}})
    caller.send("POST", "/v1/single_use_tokens", {"card": {**card(number)["card"], "number": int(number)}})
    caller.send("POST", "/v1/single_use_tokens", f'{{"card": {{"number": "{number}", '.encode())
    caller.send("POST", "/v1/single_use_tokens", card(number, "31"))
    caller.send("POST", "/v1/single_use_tokens", {**card(number), "metadata": {"note": number}})
    caller.send("POST", "/v1/single_use_tokens", {**card(number), "customer": number})
    caller.send("POST", "/v1/customers", {"name": number, "email": number})
    number = next(plants)
    caller.send("GET", f"/v1/single_use_tokens/{number}")
    caller.send("GET", f"/v1/payments/{number}?expand={number}")
    caller.send("GET", f"/{number}")
    caller.send("POST", "/v1/payments", {**pay, "reference": number, "source": {"single_use_token": number}})
    caller.send("POST", "/v1/payments", {**pay, "currency": number, "source": {"payment_token": number}})
    number = next(plants)
    caller.send("GET", "/v1/payments", None, Authorization=f"Bearer {number}")
    caller.send(
        "POST", "/v1/payments", {**pay, "source": {"single_use_token": "tok_x"}}, Idempotency_Key=number
    )
    caller.send("POST", "/v1/single_use_tokens", (number * 20_000).encode())
    caller.send("POST", "/v1/single_use_tokens", number.encode(), Content_Type="text/plain")
    caller.send("POST", "/v1/sandbox/faults", {"trouble": number})
    caller.send("GET", "/metrics")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_no_number_is_anywhere(tmp_path: Path, end: str) -> None:
    """Database, WAL, ring, keys, the acquirer's books, logs, answers, metrics and what a crash leaves."""
    numbers = [card_number(random.randrange(10**8, 10**9)) for _ in range(12)]  # noqa: S311
    server = Server(tmp_path)
    server.init()
    server.start()
    caller = Caller(server)
    use_everything(caller, numbers)
    if end == "kill":
        assert server._process is not None
        server._process.send_signal(11)
        server._process.wait(30)
        server._process = None
    else:
        server.stop()
    assert b"captured" in caller.answers
    assert b"in_doubt" in caller.answers
    found = [("answers", *hit) for hit in scan(caller.answers, numbers)]
    scanned = files_below(tmp_path)
    for path in scanned:
        found += [(path.name, *hit) for hit in scan(path.read_bytes(), numbers)]
    assert found == []
    names = {path.name for path in scanned}
    assert {"farebox.sqlite3", "sandbox.sqlite3", "server.log", "data.kek"} <= names
    assert any(name.startswith("bucket-") for name in names)
    if end == "kill":
        assert "farebox.sqlite3-wal" in names
        assert not any("core" in name for name in names)


def test_no_security_code_is_anywhere(tmp_path: Path) -> None:
    """SEC-02: four digits occur by chance, so they are looked for as a program would keep them."""
    server = Server(tmp_path)
    server.init()
    server.start()
    caller = Caller(server)
    amex = {"number": "378282246310005", "exp_month": 12, "exp_year": 2034}
    codes = ["7391", "8264", "9157"]
    for code in codes:
        token = caller.send("POST", "/v1/single_use_tokens", {"card": {**amex, "cvc": code}})["token"]
        pay = {"amount_minor": 100, "currency": "USD", "source": {"single_use_token": token}}
        saved = caller.send("POST", "/v1/payments", {**pay, "save": "payment_token"})["payment_token"]
        source = {"payment_token": saved, "cvc": code}
        caller.send("POST", "/v1/payments", {**pay, "source": source})
    server.kill()
    forms = [form for code in codes for form in _kept_as(code)]
    everything = b"".join(path.read_bytes() for path in files_below(tmp_path)) + caller.answers
    assert [form for form in forms if form in everything] == []
    # The control: the request itself, had anybody kept it.
    assert any(form in json.dumps({"card": {"cvc": codes[0]}}).encode() for form in forms)


def _kept_as(code: str) -> list[bytes]:
    """Give a code as JSON, MessagePack, SQL and log text would hold it."""
    raw = code.encode()
    return [b'"' + raw + b'"', b"'" + raw + b"'", b"\xa4" + raw, b"=" + raw, b": " + raw, b"cvc" + raw]
