"""One suite, two engines: what the storage port promises holds on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.conformance.things import (
    STRANGER,
    TENANT,
    event,
    merchant,
    now,
    operation,
    payment,
    single_use_token,
    stored_token,
)

from farebox.adapters.storage import open_storage
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import Conflict, ErrorCode, FareboxError
from farebox.domain.idempotency import IdempotencyRecord, IdempotencyState
from farebox.domain.ids import MerchantAccountId, OperationId, PaymentId
from farebox.domain.merchants import MerchantAccount
from farebox.domain.operations import Initiator, OperationKind, OperationState
from farebox.domain.payments import ID_PREFIXES
from farebox.domain.tokens import SealedReusable, SingleUseToken, TokenState
from farebox.ports.storage import PageRequest, Storage, UnitOfWork

NO_OFFSET = timedelta(0)
SEALED_WITH_STRING = SealedReusable(b"s" * 64, b"payload", b"details", b"string")


class Late(Exception):
    """Raised by a work that finds its token gone, so that everything of it is undone."""


async def reserve(storage: Storage, token: SingleUseToken, number: int) -> bool:
    """Reserve a token as a purchase does: token, payment and operation together or not at all."""
    bill = payment(single_use_token_id=token.id)
    spend = operation(bill, token_id=token.id, consumes_token=True, id=OperationId(f"op_race_{number:021}"))

    async def work(uow: UnitOfWork) -> None:
        if await uow.tokens.reserve(TENANT, token.token_mac, spend.id, NO_OFFSET) is None:
            raise Late
        await uow.payments.insert(bill)
        await uow.operations.insert(spend)

    try:
        await storage.write(work)
    except (Late, FareboxError):
        return False
    return True


async def mint(storage: Storage, token: SingleUseToken) -> SingleUseToken:
    await storage.write(lambda uow: uow.tokens.insert(token))
    return token


async def test_one_of_many_reserves(engine) -> None:
    """I1, R1: whatever is raced, one operation gets the token, and nothing of the others stays."""
    for _ in range(5):
        token = await mint(engine.storage, single_use_token())
        won = await asyncio.gather(*[reserve(engine.storage, token, number) for number in range(24)])
        assert sum(won) == 1
        stored = await engine.storage.read(lambda uow, mac=token.token_mac: uow.tokens.find(TENANT, mac))
        assert stored.state is TokenState.RESERVED
        await engine.sql("DELETE FROM operation")
        rows = await engine.sql("SELECT COUNT(*) FROM payment")
        assert rows[0][0] == 1
        await engine.sql("DELETE FROM payment")


async def test_a_loser_of_a_batch_does_not_disturb_its_neighbours(engine) -> None:
    """Group commit: a work that raises is undone alone."""
    tokens = [single_use_token() for _ in range(20)]

    async def work(uow: UnitOfWork, token: SingleUseToken, *, fails: bool) -> None:
        await uow.tokens.insert(token)
        if fails:
            raise Late

    jobs = [
        engine.storage.write(lambda uow, t=token, n=number: work(uow, t, fails=n % 3 == 0))
        for number, token in enumerate(tokens)
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for number, (token, result) in enumerate(zip(tokens, results, strict=True)):
        stored = await engine.storage.read(lambda uow, mac=token.token_mac: uow.tokens.find(TENANT, mac))
        assert (stored is None) == (number % 3 == 0) == isinstance(result, Late)


async def test_an_expired_token_is_never_reserved(engine) -> None:
    """I5: expiry is judged by the database's clock, moved on by the merchant's test clock."""
    token = await mint(engine.storage, single_use_token(lives=timedelta(minutes=10)))
    for offset, got in ((timedelta(minutes=11), False), (NO_OFFSET, True)):
        found = await engine.storage.write(
            lambda uow, offset=offset: uow.tokens.reserve(
                TENANT, token.token_mac, OperationId("op_x"), offset
            )
        )
        assert (found is not None) is got


async def test_a_stranger_sees_nothing(engine) -> None:
    """I12: every query names its tenant."""
    token = await mint(engine.storage, single_use_token())
    mac = token.token_mac
    assert await engine.storage.read(lambda uow: uow.tokens.find(STRANGER, mac)) is None
    assert await engine.storage.write(lambda uow: uow.tokens.revoke(STRANGER, mac, NO_OFFSET)) is None
    assert (
        await engine.storage.write(
            lambda uow: uow.tokens.reserve(STRANGER, mac, OperationId("op_x"), NO_OFFSET)
        )
        is None
    )


@pytest.mark.parametrize("end", ["settle", "revoke", "expire"])
async def test_an_ended_token_holds_nothing(engine, end: str) -> None:
    """I13: payload, details and CVC go with the state that ends a token."""
    lives = timedelta(milliseconds=1) if end == "expire" else timedelta(minutes=10)
    token = await mint(engine.storage, single_use_token(lives=lives))

    async def settle(uow: UnitOfWork) -> None:
        await uow.tokens.reserve(TENANT, token.token_mac, OperationId("op_x"), NO_OFFSET)
        assert await uow.tokens.settle(token.id, TENANT, OperationId("op_x"))

    if end == "settle":
        await engine.storage.write(settle)
    elif end == "revoke":
        await engine.storage.write(lambda uow: uow.tokens.revoke(TENANT, token.token_mac, NO_OFFSET))
    else:
        await asyncio.sleep(0.01)
        assert [t.id for t in await engine.storage.write(lambda uow: uow.tokens.expire_due(10))] == [token.id]
    rows = await engine.sql("SELECT payload, details, cvc, state FROM single_use_token")
    assert rows[0][:3] == (None, None, None)
    assert rows[0][3] in {"spent", "revoked", "expired"}


async def test_a_verification_hands_the_cvc_out_once(engine) -> None:
    """SEC-02: one verification gets the CVC; the token's state does not change (I11)."""
    token = await mint(engine.storage, single_use_token())

    async def look(number: int) -> SingleUseToken | None:
        return await engine.storage.write(
            lambda uow: uow.tokens.take_verification(
                TENANT, token.token_mac, OperationId(f"op_{number}"), NO_OFFSET, 3
            )
        )

    found = [await look(number) for number in range(4)]
    assert [one.sealed.cvc if one else None for one in found] == [b"cvc", None, None, None]
    assert [one is not None for one in found] == [True, True, True, False]
    assert found[2].state is TokenState.MINTED


async def test_an_idempotency_key_is_claimed_once(engine) -> None:
    """I9: of many requests with one key, one owns it; the others are given its record."""
    record = IdempotencyRecord(
        tenant=TENANT,
        kind="native POST /v1/payments",
        key_mac=b"k" * 32,
        fingerprint=b"f" * 32,
        state=IdempotencyState.RUNNING,
        created_at=now(),
    )
    found = await asyncio.gather(
        *[engine.storage.write(lambda uow: uow.idempotency.claim(record)) for _ in range(12)]
    )
    assert sum(one is None for one in found) == 1
    finish = lambda uow: uow.idempotency.finish(TENANT, record.kind, record.key_mac, b"answer", None)  # noqa: E731
    assert [await engine.storage.write(finish), await engine.storage.write(finish)] == [True, False]
    stored = await engine.storage.read(lambda uow: uow.idempotency.find(TENANT, record.kind, record.key_mac))
    assert (stored.state, stored.answer) == (IdempotencyState.FINISHED, b"answer")


async def test_an_answer_closes_an_operation_once(engine) -> None:
    """I6: the second of two answers finds the operation closed."""
    bill = payment()
    asked = operation(bill)

    async def open_both(uow: UnitOfWork) -> None:
        await uow.payments.insert(bill)
        await uow.operations.insert(asked)

    await engine.storage.write(open_both)
    approved = replace(asked, state=OperationState.APPROVED, approved_minor=1000, next_attempt_at=None)
    declined = replace(asked, state=OperationState.DECLINED, next_attempt_at=None)
    first, second = await asyncio.gather(
        engine.storage.write(lambda uow: uow.operations.close(approved)),
        engine.storage.write(lambda uow: uow.operations.close(declined)),
    )
    assert [first, second].count(True) == 1


async def test_a_reversal_decided_shuts_out_a_late_approval(engine) -> None:
    """R4, R5: once recovery has decided to undo an operation, no approval closes it."""
    bill = payment()
    asked = operation(bill)

    async def open_both(uow: UnitOfWork) -> None:
        await uow.payments.insert(bill)
        await uow.operations.insert(asked)

    await engine.storage.write(open_both)
    assert await engine.storage.write(lambda uow: uow.operations.doubt(asked))
    assert await engine.storage.write(lambda uow: uow.operations.begin_reversal(asked))
    late = replace(asked, state=OperationState.APPROVED, approved_minor=1000, next_attempt_at=None)
    assert not await engine.storage.write(lambda uow: uow.operations.close(late))


async def test_two_workers_never_get_one_operation(engine) -> None:
    """R7: what recovery works on is leased."""
    for _ in range(6):
        bill = payment()
        asked = operation(bill, next_attempt_at=now() - timedelta(seconds=1))

        async def open_both(uow: UnitOfWork, bill=bill, asked=asked) -> None:
            await uow.payments.insert(bill)
            await uow.operations.insert(asked)

        await engine.storage.write(open_both)
    found = await asyncio.gather(
        *[engine.storage.write(lambda uow: uow.operations.due_for_recovery(4)) for _ in range(4)]
    )
    ids = [one.id for some in found for one in some]
    assert len(ids) == len(set(ids)) == 6


async def test_pages_walk_both_ways(engine) -> None:
    """A cursor neither skips nor repeats, forwards and backwards."""
    bills = [payment() for _ in range(7)]
    for bill in bills:
        await engine.storage.write(lambda uow, bill=bill: uow.payments.insert(bill))
    newest_first = [bill.id for bill in reversed(bills)]

    async def page(**where: str) -> tuple[list[str], bool]:
        found = await engine.storage.read(
            lambda uow: uow.payments.page(TENANT, PageRequest(limit=3, **where))
        )
        return [bill.id for bill in found.items], found.has_more

    assert await page() == (newest_first[:3], True)
    assert await page(after=newest_first[2]) == (newest_first[3:6], True)
    assert await page(after=newest_first[5]) == (newest_first[6:], False)
    assert await page(before=newest_first[4]) == (newest_first[1:4], True)
    assert await page(before=newest_first[2]) == (newest_first[:2], False)


async def test_a_list_of_several_kinds_is_newest_first(engine) -> None:
    """Ids begin with what they are of; the order of a list is that of time, also across its pages."""
    kinds = (OperationKind.VERIFICATION, OperationKind.PURCHASE, OperationKind.CREDIT)
    ids = []
    for number in range(9):
        kind = kinds[number % 3]
        bill = payment(id=PaymentId(f"{ID_PREFIXES[kind]}_{number:026}"), kind=kind)
        await engine.storage.write(lambda uow, bill=bill: uow.payments.insert(bill))
        ids.insert(0, bill.id)

    async def page(**where: Any) -> tuple[list[str], bool]:
        request = PageRequest(limit=4, **where)
        found = await engine.storage.read(lambda uow: uow.payments.page(TENANT, request))
        return [bill.id for bill in found.items], found.has_more

    assert await page() == (ids[:4], True)
    assert await page(after=ids[3]) == (ids[4:8], True)
    assert await page(after=ids[7]) == (ids[8:], False)
    assert await page(before=ids[6]) == (ids[2:6], True)
    assert await page(before=ids[4]) == (ids[:4], False)
    filters = dict.fromkeys(("status", "reference", "customer_id", "agreement_id", "stored_token_id"), "x")
    assert await page(after=ids[3], filters=filters) == ([], False)


async def test_a_list_may_be_bounded_in_time(engine) -> None:
    """From an instant on and before another one; the first is in, the last is not."""
    first = now()
    bills = [payment(created_at=first + timedelta(hours=hour)) for hour in range(4)]
    for bill in bills:
        await engine.storage.write(lambda uow, bill=bill: uow.payments.insert(bill))

    async def between(since: int | None, until: int | None) -> list[str]:
        page = PageRequest(
            since=None if since is None else first + timedelta(hours=since),
            until=None if until is None else first + timedelta(hours=until),
            filters={"status": "pending"},
        )
        found = await engine.storage.read(lambda uow: uow.payments.page(TENANT, page))
        return [bill.id for bill in reversed(found.items)]

    assert await between(1, 3) == [bills[1].id, bills[2].id]
    assert await between(None, 1) == [bills[0].id]
    assert await between(3, None) == [bills[3].id]


async def test_an_operation_is_found_between_two_ids(engine) -> None:
    """The newest one of the owner's; both ends belong to the range."""
    bill = payment()
    await engine.storage.write(lambda uow: uow.payments.insert(bill))
    made = [operation(bill) for _ in range(3)]
    for one in made:
        await engine.storage.write(lambda uow, one=one: uow.operations.insert(one))

    async def find(first: str, last: str, tenant=TENANT) -> str | None:
        found = await engine.storage.read(lambda uow: uow.operations.find_between(tenant, first, last))
        return found.id if found else None

    assert await find(made[0].id, made[1].id) == made[1].id
    assert await find(made[0].id, made[0].id) == made[0].id
    assert await find(made[2].id + "0", made[2].id + "z") is None
    assert await find(made[0].id, made[2].id, STRANGER) is None


async def test_a_reused_reference_is_refused(engine) -> None:
    """The schema's second guard becomes a refusal in domain words, with nothing of the row in it."""
    bill = payment()
    await engine.storage.write(lambda uow: uow.payments.insert(bill))
    await engine.storage.write(lambda uow: uow.operations.insert(operation(bill, processor_reference="r")))
    with pytest.raises(Conflict) as refusal:
        await engine.storage.write(
            lambda uow: uow.operations.insert(operation(bill, processor_reference="r"))
        )
    assert refusal.value.code is ErrorCode.REFERENCE_ALREADY_USED


async def test_what_was_acknowledged_is_there_after_a_restart(engine) -> None:
    """I3."""
    token = await mint(engine.storage, single_use_token())
    storage = await engine.reopen()
    assert (await storage.read(lambda uow: uow.tokens.find(TENANT, token.token_mac))) == token


async def test_the_audit_is_one_unbroken_chain_a_connection(engine) -> None:
    """SEC-11: entries follow one another by position; concurrent writers never share a position."""
    entry = AuditEntry(
        action=AuditAction.MERCHANT_CREATED,
        at=now(),
        merchant_id=None,
        actor="operator",
        object_id="x",
        why="",
    )
    await asyncio.gather(*[engine.storage.write(lambda uow: uow.audit.append((entry,))) for _ in range(30)])
    total = 0
    for chain in await engine.storage.read(lambda uow: uow.audit.chains()):
        entries = await engine.storage.read(lambda uow, chain=chain: uow.audit.walk(chain, 0, 100))
        assert [one.position for one in entries] == list(range(1, len(entries) + 1))
        total += len(entries)
    assert total == 30


async def test_the_engine_says_that_it_is_durable(engine) -> None:
    """Start-up checks: the settings that durability hangs on."""
    assert (await engine.storage.health()).ready


async def test_a_clock_that_disagrees_is_told(engine) -> None:
    """A node whose clock is more than two seconds off is not ready."""
    await mint(engine.storage, single_use_token())
    engine.wall.shift_us = -10_000_000
    assert not (await engine.storage.health()).ready


async def test_a_merchants_clock_expires_only_its_own_tokens(engine) -> None:
    """A test clock moves nobody else's."""
    for tenant in (TENANT, STRANGER):
        await engine.storage.write(lambda uow, tenant=tenant: uow.merchants.insert(merchant(tenant)))
        await mint(engine.storage, single_use_token(tenant=tenant))
    assert await engine.storage.write(lambda uow: uow.merchants.advance_clock(TENANT, timedelta(hours=1)))
    assert not await engine.storage.write(
        lambda uow: uow.merchants.advance_clock(TENANT, timedelta(minutes=1))
    )
    gone = await engine.storage.write(lambda uow: uow.tokens.expire_due(10))
    assert [token.tenant for token in gone] == [TENANT]


async def test_the_newest_event_is_the_databases_own(engine) -> None:
    """Section 3.3: whoever it belongs to, whenever it was stored; a restored database is known by it."""
    assert await engine.storage.read(lambda uow: uow.events.newest()) is None
    for number, tenant in ((2, TENANT), (3, STRANGER), (1, TENANT)):
        await engine.storage.write(
            lambda uow, number=number, tenant=tenant: uow.events.append((event(number, tenant),))
        )
    assert await engine.storage.read(lambda uow: uow.events.newest()) == event(3, STRANGER).id
    assert await engine.storage.read(lambda uow: uow.events.exists(event(1, TENANT).id))
    assert not await engine.storage.read(lambda uow: uow.events.exists(event(4, TENANT).id))


async def test_every_key_in_use_is_named_once(engine) -> None:
    """SEC-07: a re-wrapped or deleted credential no longer counts for its old key."""
    first, second = bytes(8), bytes([255]) * 8
    tokens = [stored_token(wrapped_by=key) for key in (second, first, first)]
    for token in tokens:
        await engine.storage.write(lambda uow, token=token: uow.stored_tokens.insert(token))

    async def in_use() -> tuple[list[bytes], int]:
        keys = list(await engine.storage.read(lambda uow: uow.keys.in_use()))
        return keys, await engine.storage.read(lambda uow: uow.keys.usage(first))

    assert await in_use() == ([first, second], 2)
    await engine.storage.write(lambda uow: uow.stored_tokens.delete(tokens[1]))
    assert await in_use() == ([first, second], 1)
    old, new = (stored_token(wrapped_by=key).sealed.wrapped_key for key in (first, second))
    await engine.storage.write(lambda uow: uow.stored_tokens.swap_wrap(TENANT, tokens[2].id, old, new))
    assert await in_use() == ([second], 0)


async def test_a_database_without_schema_is_refused(tmp_path) -> None:
    """Nobody starts on a database that was not migrated."""
    with pytest.raises(FareboxError):
        await open_storage(f"sqlite:///{tmp_path / 'empty'}", chain_mac=lambda a, b: b, wall_us=lambda: 0)


async def test_operations_are_listed_by_family_reference_and_time(engine) -> None:
    """Newest first, any of several families, in pages that count; of their own tenant only."""
    storage: Storage = engine.storage
    bill = payment()
    made = [
        operation(bill, family=family, reference="same", created_at=now() + timedelta(hours=hour))
        for hour, family in enumerate(("list", "other", "list", "list"))
    ]

    async def work(uow: UnitOfWork) -> None:
        await uow.payments.insert(bill)
        for one in made:
            await uow.operations.insert(one)

    await storage.write(work)

    async def listed(**request: Any) -> list[str]:
        page = PageRequest(**{"filters": {"family": "list", "reference": "same"}, **request})
        found = await storage.read(lambda uow: uow.operations.page(TENANT, page))
        return [one.id for one in found.items]

    newest = [made[number].id for number in (3, 2, 0)]
    assert await listed() == newest
    assert await listed(offset=1, limit=1) == newest[1:2]
    assert await listed(since=now() + timedelta(hours=1, minutes=30)) == newest[:2]
    both = {"family": ("list", "other"), "reference": "same"}
    assert await listed(filters=both) == [made[number].id for number in (3, 2, 1, 0)]
    page = PageRequest(filters={"family": "list"})
    assert not (await storage.read(lambda uow: uow.operations.page(STRANGER, page))).items


async def test_a_released_reference_is_free(engine) -> None:
    """One of two takes it, and another may after it was let go."""
    storage: Storage = engine.storage
    until = now() + timedelta(days=1)

    async def take() -> bool:
        return await storage.write(
            lambda uow: uow.references.take(TENANT, "scope", "r", now=now(), until=until)
        )

    assert [await take(), await take()] == [True, False]
    await storage.write(lambda uow: uow.references.release(STRANGER, "scope", "r"))
    assert not await take()
    await storage.write(lambda uow: uow.references.release(TENANT, "scope", "r"))
    assert await take()


async def test_whose_account_a_name_is(engine) -> None:
    """By dialect and whole name; a part of a name is none."""
    storage: Storage = engine.storage
    account = MerchantAccount(
        MerchantAccountId("ma_named"), TENANT, "sandbox", now(), names={"paysafe": "1001", "payroc": "7"}
    )

    async def work(uow: UnitOfWork) -> None:
        if await uow.merchants.find(TENANT.merchant_id) is None:
            await uow.merchants.insert(merchant())
        await uow.merchants.insert_account(account)

    await storage.write(work)
    for name, owners in (("1001", [TENANT.merchant_id]), ("100", []), ("7", [])):
        found = await storage.read(lambda uow, name=name: uow.merchants.owners_of_account("paysafe", name))
        assert list(found) == owners


async def test_what_a_payment_stored_is_found_and_erased(engine) -> None:
    """Tokens know their payment; a deleted one keeps no sealed part, and is listed where it is asked for."""
    bill = payment()
    kept = [
        stored_token(payment_id=bill.id, customer_reference="c-7", sealed=SEALED_WITH_STRING)
        for _ in range(2)
    ]
    stranger = stored_token(customer_reference="c-8")

    async def insert(uow: UnitOfWork) -> None:
        await uow.payments.insert(bill)
        for token in (*kept, stranger):
            await uow.stored_tokens.insert(token)

    await engine.storage.write(insert)
    ended = replace(kept[0], facts={"reason": "asked"}, deleted_at=now())
    assert await engine.storage.write(lambda uow: uow.stored_tokens.delete(ended))
    assert not await engine.storage.write(lambda uow: uow.stored_tokens.delete(ended))
    of_payment = await engine.storage.read(lambda uow: uow.stored_tokens.of_payment(TENANT, bill.id))
    assert [(one.id, one.sealed) for one in of_payment] == [
        (kept[0].id, None),
        (kept[1].id, SEALED_WITH_STRING),
    ]
    assert of_payment[0].facts == {"reason": "asked"}
    assert of_payment[0].deleted_at is not None
    assert not await engine.storage.read(lambda uow: uow.stored_tokens.of_payment(STRANGER, bill.id))
    page = PageRequest(filters={"customer_reference": "c-7"})
    active = await engine.storage.read(lambda uow: uow.stored_tokens.page(TENANT, page))
    every = await engine.storage.read(lambda uow: uow.stored_tokens.page(TENANT, page, with_deleted=True))
    assert [one.id for one in active.items] == [kept[1].id]
    assert [one.id for one in every.items] == [kept[1].id, kept[0].id]


async def test_the_schema_refuses_a_deleted_token_with_a_string(engine) -> None:
    """The second guard: whatever a statement forgets, a deleted token has nothing that pays."""
    token = stored_token(sealed=SEALED_WITH_STRING)
    await engine.storage.write(lambda uow: uow.stored_tokens.insert(token))
    with pytest.raises(Exception, match="deleted_token"):
        await engine.sql("UPDATE stored_token SET state = 'deleted' WHERE id = $1", token.id)


async def test_facts_of_a_payment_are_amended_under_its_lock(engine) -> None:
    """What is noted later replaces the facts and nothing else, and later writers see the new version."""
    bill = payment(facts={"a": 1})
    await engine.storage.write(lambda uow: uow.payments.insert(bill))

    async def amend(uow: UnitOfWork) -> None:
        locked = await uow.payments.lock(TENANT, bill.id)
        await uow.payments.amend(replace(locked, facts={**locked.facts, "b": 2}))

    await engine.storage.write(amend)
    found = await engine.storage.read(lambda uow: uow.payments.find(TENANT, bill.id))
    assert (found.facts, found.version) == ({"a": 1, "b": 2}, bill.version + 1)
    assert not await engine.storage.write(lambda uow: uow.payments.update(bill)), (
        "an older version is refused"
    )


async def test_attempts_without_the_customer_are_counted_by_instrument(engine) -> None:
    """Every token of one card counts; what the issuer was not asked, and what the customer did, does not."""
    one, other = stored_token(), stored_token()
    other = replace(other, fingerprint=one.fingerprint)
    alone = {"initiator": Initiator.MERCHANT, "state": OperationState.DECLINED}
    declined = decline_for(DeclineReason.INSUFFICIENT_FUNDS)
    wanted = [
        payment(stored_token_id=one.id, decline=declined, **alone),
        payment(stored_token_id=other.id, decline=declined, **alone),
    ]
    others = [
        payment(stored_token_id=one.id, decline=decline_for(DeclineReason.VELOCITY_EXCEEDED), **alone),
        payment(stored_token_id=one.id, decline=declined, state=OperationState.DECLINED),
        payment(decline=declined, **alone),
    ]

    async def insert(uow: UnitOfWork) -> None:
        for token in (one, other):
            await uow.stored_tokens.insert(token)
        for bill in (*wanted, *others):
            await uow.payments.insert(bill)

    await engine.storage.write(insert)

    async def count(tenant: Any, limit: int) -> list[str]:
        found = await engine.storage.read(lambda uow: uow.payments.made_alone(tenant, one.fingerprint, limit))
        return [bill.id for bill in found]

    assert await count(TENANT, 10) == [wanted[1].id, wanted[0].id]
    assert await count(TENANT, 1) == [wanted[1].id]
    assert await count(STRANGER, 10) == []
