"""One purchase over real sockets: what the README's lines do, and what a restart leaves of it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from farebox.testing.client import Client, ConnectionLost, card_number, mint_body
from farebox.testing.server import PROGRAM, Server

NewServer = Callable[..., Server]


def client_of(server: Server) -> Client:
    return Client(server.port, server.credentials["native"]["secret_key"])


def payment_body(token: str, amount_minor: int = 1999) -> dict[str, object]:
    return {"amount_minor": amount_minor, "currency": "USD", "source": {"single_use_token": token}}


async def mint(client: Client, number: str) -> str:
    answer = await client.ask("POST", "/v1/single_use_tokens", mint_body(number))
    assert answer.status == 201, answer.body
    return answer.value["token"]


async def test_mint_look_verify_pay_replay_refund_and_all_of_it_after_a_restart(
    new_server: NewServer, database_url: str | None
) -> None:
    """Purpose of Farebox: a token is looked at without being spent, spent once, and nothing is forgotten."""
    server = new_server(database_url)
    server.start()
    client = client_of(server)
    token = await mint(client, "4242424242424242")
    look = await client.ask("GET", f"/v1/single_use_tokens/{token}")
    assert look.value["status"] == "minted"
    assert look.value["card"]["last_four"] == "4242"

    verified = await client.ask("POST", "/v1/verifications", {"source": {"single_use_token": token}})
    assert verified.status == 201, verified.body
    assert (await client.ask("GET", f"/v1/single_use_tokens/{token}")).value["status"] == "minted"

    paid = await client.ask("POST", "/v1/payments", payment_body(token), idempotency_key="order-1")
    assert (paid.status, paid.value["status"]) == (201, "captured")
    again = await client.ask("POST", "/v1/payments", payment_body(token), idempotency_key="order-1")
    assert (again.status, again.body) == (201, paid.body)
    assert b"idempotent-replayed: true" in again.head.lower()
    other = await client.ask("POST", "/v1/payments", payment_body(token), idempotency_key="order-2")
    assert (other.status, other.code) == (409, "token_already_consumed")

    spent = 'farebox_tokens_consumed_total{dialect="native",kind="single_use_token",mode="test"} 1.0'
    assert spent.encode() in (await client.ask("GET", "/metrics")).body

    payment = f"/v1/payments/{paid.value['id']}"
    refunded = await client.ask(
        "POST", f"{payment}/refunds", {"amount_minor": 500}, idempotency_key="refund-1"
    )
    assert refunded.status == 201, refunded.body
    before = await client.ask("GET", payment)
    assert (before.value["status"], before.value["refunded_minor"]) == ("partially_refunded", 500)

    assert server.stop() == 0
    server.start()
    await client.moved(server.port)
    assert (await client.ask("GET", payment)).body == before.body
    assert (await client.ask("GET", f"/v1/single_use_tokens/{token}")).value["status"] == "spent"
    again = await client.ask("POST", "/v1/payments", payment_body(token), idempotency_key="order-1")
    assert again.body == paid.body
    await client.close()

    books = server.books()
    assert sorted((entry.kind, entry.amount_minor, entry.state, entry.received) for entry in books) == [
        ("purchase", 1999, "approved", 1),
        ("refund", 500, "approved", 1),
        ("verification", 0, "approved", 1),
    ]


async def test_a_stopping_server_finishes_what_is_in_flight(
    new_server: NewServer, database_url: str | None
) -> None:
    """Graceful shutdown: who has asked gets the answer, and the answer is kept."""
    server = new_server(database_url)
    server.start()
    client = client_of(server)
    token = await mint(client, card_number(1))
    fault = {"trouble": "late", "delay_s": 1.5}
    assert (await client.ask("POST", "/v1/sandbox/faults", fault)).status == 201
    paying = asyncio.create_task(client.ask("POST", "/v1/payments", payment_body(token)))
    while not server.books() and not paying.done():  # noqa: ASYNC110  # a file calls nobody
        await asyncio.sleep(0.01)
    assert not paying.done(), "the acquirer holds its answer back"
    server.ask_to_stop()
    paid = await paying
    assert (paid.status, paid.value["status"]) == (201, "captured")
    assert await asyncio.to_thread(server.stop) == 0
    with pytest.raises(ConnectionLost):
        await client.ask("GET", "/livez")

    server.start()
    await client.moved(server.port)
    assert (await client.ask("GET", f"/v1/payments/{paid.value['id']}")).value["status"] == "captured"
    await client.close()


async def test_a_batch_closes_on_its_schedule_and_not_because_of_a_restart(new_server: NewServer) -> None:
    """By default daily, so a capture can be voided after a restart; every second, it settles by itself."""
    server = new_server()
    server.start()
    client = client_of(server)
    paid = await client.ask("POST", "/v1/payments", payment_body(await mint(client, card_number(1))))
    server.restart()
    await client.moved(server.port)
    voided = await client.ask("POST", f"/v1/payments/{paid.value['id']}/void", {})
    assert (voided.status, voided.value["status"]) == (201, "voided")

    hasty = new_server(SANDBOX__BATCH_EVERY_S="1")
    hasty.start()
    other = client_of(hasty)
    payment = (await other.ask("POST", "/v1/payments", payment_body(await mint(other, card_number(1))))).value
    async with asyncio.timeout(20):
        while payment["operations"][0]["settled_at"] is None:
            await asyncio.sleep(0.1)
            payment = (await other.ask("GET", f"/v1/payments/{payment['id']}")).value
    await client.close()
    await other.close()


async def test_the_audit_says_when_a_server_began_and_ended(new_server: NewServer) -> None:
    """SEC-11: a clean stop has an end, a kill has none, and the chain holds through both."""
    server = new_server()
    server.start()
    server.kill()
    server.start()
    server.stop()
    rows = await server.rows("SELECT action FROM audit WHERE action LIKE 'audit_%' ORDER BY position")
    assert [action for (action,) in rows] == ["audit_started", "audit_started", "audit_stopped"]
    assert b"intact" in server.run("audit", "verify")


async def test_signals_that_keep_coming_do_not_cut_off_the_end(new_server: NewServer) -> None:
    """Whoever asks again and again gets a clean exit all the same, with its entry in the audit."""
    server = new_server()
    server.start()
    async with asyncio.timeout(20):
        while not server.has_ended():
            server.ask_to_stop()
            await asyncio.sleep(0.002)
    assert server.stop() == 0
    rows = await server.rows("SELECT action FROM audit ORDER BY position DESC LIMIT 1")
    assert rows == [("audit_stopped",)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_demo_prints_lines_that_work_when_pasted(tmp_path: Path) -> None:
    """The README's promise: start the demo, paste its lines, and a card is tokenized, paid, refunded."""
    printed = tmp_path / "printed"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAREBOX_")}
    with printed.open("wb") as out:
        demo = subprocess.Popen(
            [*PROGRAM, "demo", "--port", "0"],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    try:
        lines = ""
        while "Ctrl-C" not in lines:
            assert demo.poll() is None, "the demo ended"
            lines = printed.read_text(encoding="utf-8")
        pasted = lines[lines.index("# 1.") : lines.index("Ctrl-C")]
        shown = subprocess.run(
            ["bash", "-euc", pasted], capture_output=True, text=True, timeout=60, check=True
        )
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        demo.kill()
        demo.wait()
    answers = shown.stderr + shown.stdout
    assert '"status":"minted"' in answers
    assert '"status":"captured"' in answers
    # A refund answers with the payment it is of.
    assert re.search(r'"refunded_minor":500\b', answers)
