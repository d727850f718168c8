"""A stored token's string is shown where it is asked for, audited each time, and nowhere in the clear."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.dintero.shop import Shop, open_shop, store_card

from farebox.domain.audit import AuditAction
from farebox.domain.ids import StoredTokenId


async def shown(shop: Shop) -> list[str]:
    """Give which tokens this client's key was shown, oldest first."""
    services = shop.running.services

    async def work(uow: Any) -> list[str]:
        found: list[Any] = []
        for chain in await uow.audit.chains():
            found += await uow.audit.walk(chain, 0, 100_000)
        entries = [one.entry for one in found if one.entry.action is AuditAction.TOKEN_SHOWN]
        keys = await uow.merchants.keys(None)
        own = {key.id for key in keys if dict(key.attributes).get("account_id") == shop.account}
        return [entry.object_id for entry in entries if entry.actor in own]

    return await services.storage.read(work)


@pytest.mark.asyncio(loop_scope="session")
async def test_every_showing_is_audited(running: Any) -> None:
    """Two tokens of one payment, each an entry, each time; none where nothing was asked for."""
    shop = await open_shop(running)
    stored = await store_card(shop, "payex")
    card = stored["card"]
    assert {"payment_token", "recurrence_token"} <= set(card)
    before = await shown(shop)
    assert len(before) == 2
    plain = await shop.ask("GET", f"/v1/transactions/{stored['id']}")
    assert "payment_token" not in plain.value["card"]
    assert plain.value["card"]["payment_token_id"] == card["payment_token_id"]
    assert await shown(shop) == before
    await shop.ask("GET", f"/v1/card-tokens/{card['payment_token_id']}")
    assert len(await shown(shop)) == 3


@pytest.mark.asyncio(loop_scope="session")
async def test_the_string_is_stored_sealed_only(running: Any) -> None:
    """What the database holds of a token's row does not contain its string; deleting takes the seal too."""
    shop = await open_shop(running)
    stored = await store_card(shop)
    string = stored["card"]["payment_token"]
    storage = running.services.storage
    token_id = StoredTokenId((await shown(shop))[0])
    principal = await running.services.access.authenticate(shop.api_key, dialect="dintero")

    async def find(uow: Any) -> Any:
        return await uow.stored_tokens.find_by_id(principal.tenant, token_id)

    token = await storage.read(find)
    assert token.sealed.string is not None
    assert string.encode() not in token.sealed.string
    assert string not in repr(token)
    await shop.ask("DELETE", f"/v1/card-tokens/{stored['card']['payment_token_id']}")
    assert (await storage.read(find)).sealed is None
