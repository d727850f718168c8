"""A backup put back: what it gives back of spent tokens is dead."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from farebox.testing.client import Client, card_number, mint_body
from farebox.testing.server import Server


def payment_body(token: str) -> dict[str, object]:
    return {"amount_minor": 1999, "currency": "USD", "source": {"single_use_token": token}}


async def mint(client: Client, number: int) -> str:
    answer = await client.ask("POST", "/v1/single_use_tokens", mint_body(card_number(number)))
    assert answer.status == 201, answer.body
    return answer.value["token"]


async def test_a_restored_backup_spends_no_token_again(
    new_server: Callable[..., Server], tmp_path: Path
) -> None:
    """Section 3.3: a restore begins a new epoch, in which every single-use token of before is dead.

    The backup was made between mint and payment, so it says `minted` of a token that is spent.
    """
    server = new_server()
    server.start()
    client = Client(server.port, server.credentials["native"]["secret_key"])
    token, unspent = await mint(client, 1), await mint(client, 2)
    backup = tmp_path / "backup.sqlite3"
    server.run("db", "backup", str(backup))
    paid = await client.ask("POST", "/v1/payments", payment_body(token))
    assert (paid.status, paid.value["status"]) == (201, "captured")
    await client.close()
    # The ring notes every five seconds how far the database has come, and at a clean stop.
    server.stop()

    for file in server.data_dir.glob("farebox.sqlite3*"):
        file.unlink()
    shutil.copy(backup, server.data_dir / "farebox.sqlite3")
    # A command that opens the ring before the server does must not hide it.
    server.run("api-keys", "list")
    server.start()
    await client.moved(server.port)
    for dead in (token, unspent):
        again = await client.ask("POST", "/v1/payments", payment_body(dead))
        assert (again.status, again.code) == (404, "token_not_found")
    assert len([entry for entry in server.books() if entry.kind == "purchase"]) == 1
    fresh = await client.ask("POST", "/v1/payments", payment_body(await mint(client, 3)))
    assert (fresh.status, fresh.value["status"]) == (201, "captured")
    await client.close()
    server.stop()
    noticed = await server.rows("SELECT COUNT(*) FROM audit WHERE action = 'restore_noticed'")
    assert noticed == [(1,)]


async def test_a_restart_is_no_restore(new_server: Callable[..., Server]) -> None:
    """Negative control: a token outlives a stop and a kill of its server."""
    server = new_server()
    server.start()
    client = Client(server.port, server.credentials["native"]["secret_key"])
    token = await mint(client, 1)
    for end in (server.stop, server.kill):
        end()
        server.start()
        await client.moved(server.port)
        assert (await client.ask("GET", f"/v1/single_use_tokens/{token}")).value["status"] == "minted"
    paid = await client.ask("POST", "/v1/payments", payment_body(token))
    assert (paid.status, paid.value["status"]) == (201, "captured")
    await client.close()
