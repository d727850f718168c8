"""Documents, taken references and bearer sessions, on both engines alike."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.conformance.things import STRANGER, TENANT, merchant, now

from farebox.domain.access import AccessSession, ApiKeyKind, CredentialUse, Scope
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import ApiKeyId, DocumentId
from farebox.domain.merchants import ApiKey
from farebox.ports.storage import PageRequest

FACTS = {"street": "9 Elm", "lines": [1, 2.5, None, True, {"x": "y"}]}


def document(number: int, **changes: Any) -> Document:
    made = Document(
        id=DocumentId(f"doc_{number:026}"),
        tenant=TENANT,
        kind="address",
        created_at=now(),
        updated_at=now(),
        facts=FACTS,
    )
    return replace(made, **changes)


async def test_a_document_comes_back_as_it_was_kept(engine) -> None:
    """Facts of every JSON type, by id and by name; and a stranger finds nothing (I12)."""
    kept = document(1, name="home", parent_id="cus_1", state="active")
    await engine.storage.write(lambda uow: uow.documents.insert(kept))
    by_id = await engine.storage.read(lambda uow: uow.documents.find(TENANT, "address", kept.id))
    by_name = await engine.storage.read(lambda uow: uow.documents.find_by_name(TENANT, "address", "home"))
    assert by_id == by_name == kept
    for tenant, kind in ((STRANGER, "address"), (TENANT, "link")):
        found = await engine.storage.read(lambda uow, t=tenant, k=kind: uow.documents.find(t, k, kept.id))
        assert found is None


async def test_a_name_is_taken_once_within_its_kind(engine) -> None:
    """By the index, whoever looked before; another kind or merchant has names of its own."""
    await engine.storage.write(lambda uow: uow.documents.insert(document(1, name="home")))
    for other in (document(2, name="home", kind="link"), document(3, name="home", tenant=STRANGER)):
        await engine.storage.write(lambda uow, other=other: uow.documents.insert(other))
    with pytest.raises(Conflict) as refused:
        await engine.storage.write(lambda uow: uow.documents.insert(document(4, name="home")))
    assert refused.value.code is ErrorCode.NAME_ALREADY_USED


async def test_a_change_of_what_somebody_else_changed_is_lost_for_neither(engine) -> None:
    """The version decides; a deleted document is in no list, and keeps its name unless it gives it up."""
    kept = document(1, name="home")
    await engine.storage.write(lambda uow: uow.documents.insert(kept))
    one, two = replace(kept, state="one"), replace(kept, state="two")
    won = [await engine.storage.write(lambda uow, d=d: uow.documents.update(d)) for d in (one, two)]
    assert won == [True, False]
    page = await engine.storage.read(lambda uow: uow.documents.page(TENANT, "address", PageRequest()))
    assert [item.state for item in page.items] == ["one"]
    await engine.storage.write(lambda uow: uow.documents.update(replace(one, version=2, deleted_at=now())))
    page = await engine.storage.read(lambda uow: uow.documents.page(TENANT, "address", PageRequest()))
    assert not page.items
    with pytest.raises(Conflict):
        await engine.storage.write(lambda uow: uow.documents.insert(document(2, name="home")))


async def test_documents_are_listed_by_parent(engine) -> None:
    """Newest first, of one kind and one parent."""
    for number in range(1, 6):
        parent = "cus_1" if number % 2 else "cus_2"
        await engine.storage.write(
            lambda uow, n=number, p=parent: uow.documents.insert(document(n, parent_id=p))
        )
    request = PageRequest(limit=2, filters={"parent_id": "cus_1"})
    page = await engine.storage.read(lambda uow: uow.documents.page(TENANT, "address", request))
    assert [int(item.id[-2:]) for item in page.items] == [5, 3]
    assert page.has_more


async def test_a_reference_is_free_again_when_its_time_is_over(engine) -> None:
    """Taken until an instant by the merchant's clock, in its own scope, by its own merchant."""
    start = now()

    async def take(minutes: int, scope: str = "auth", tenant=TENANT) -> bool:
        at = start + timedelta(minutes=minutes)
        return await engine.storage.write(
            lambda uow: uow.references.take(tenant, scope, "r-1", now=at, until=at + timedelta(minutes=10))
        )

    assert await take(0)
    assert not await take(9)
    assert await take(9, scope="refund")
    assert await take(9, tenant=STRANGER)
    assert await take(10)
    assert not await take(19)


async def test_references_and_sessions_are_forgotten(engine) -> None:
    """What is over is purged; what is not stays."""
    await engine.storage.write(lambda uow: uow.merchants.insert(merchant()))
    past, future = now() - timedelta(days=3), now() + timedelta(days=3)
    for name, until in (("old", past), ("new", future)):
        await engine.storage.write(
            lambda uow, n=name, u=until: uow.references.take(TENANT, "auth", n, now=past, until=u)
        )
        await engine.storage.write(lambda uow, u=until: uow.sessions.insert(session(expires_at=u)))
    assert await engine.storage.write(lambda uow: uow.references.purge(10)) == 1
    assert await engine.storage.write(lambda uow: uow.sessions.purge(10)) == 1


def session(**changes: Any) -> AccessSession:
    made = AccessSession(
        mac=os.urandom(32),
        tenant=TENANT,
        key_id=ApiKeyId("key_1"),
        use=CredentialUse.ACCESS_TOKEN,
        dialect="payroc",
        scopes=frozenset({Scope.PAYMENTS_READ, Scope.TOKENS_MINT}),
        created_at=now(),
        expires_at=now() + timedelta(hours=1),
        attributes={"terminal": "1234001"},
    )
    return replace(made, **changes)


async def test_a_session_ends_with_its_key(engine) -> None:
    """An access token means nothing once the key it was given for is revoked; a visitor has no key."""
    shop = merchant()
    token, visitor = session(), session(use=CredentialUse.VISITOR, key_id=ApiKeyId(""))
    key = ApiKey(
        ApiKeyId("key_1"), TENANT, ApiKeyKind.SECRET, "payroc", os.urandom(32), frozenset(Scope), now()
    )
    await engine.storage.write(lambda uow: uow.merchants.insert(shop))
    await engine.storage.write(lambda uow: uow.merchants.insert_key(key))
    for one in (token, visitor):
        await engine.storage.write(lambda uow, one=one: uow.sessions.insert(one))
    for one in (token, visitor):
        found = await engine.storage.read(lambda uow, mac=one.mac: uow.sessions.find(mac))
        assert found == (one, shop)
    await engine.storage.write(lambda uow: uow.merchants.revoke_key(key.id))
    assert await engine.storage.read(lambda uow: uow.sessions.find(token.mac)) is None
    assert await engine.storage.read(lambda uow: uow.sessions.find(visitor.mac)) is not None
