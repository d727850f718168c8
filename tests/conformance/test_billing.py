"""Names, moments and subscriptions on both engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from tests.conformance.things import STRANGER, TENANT, merchant, now, operation, payment, stored_token

from farebox.domain.errors import Conflict, ErrorCode
from farebox.domain.ids import (
    AgreementId,
    MerchantAccountId,
    OperationId,
    PaymentId,
    StoredTokenId,
    SubscriptionId,
    new_id,
    range_of_short_id,
    short_id,
)
from farebox.domain.merchants import MerchantAccount
from farebox.domain.operations import OperationKind
from farebox.domain.subscriptions import Frequency, Subscription, SubscriptionState, begin, paid
from farebox.ports.storage import PageRequest, UnitOfWork


def subscription(number: int = 1, **changes: Any) -> Subscription:
    one = Subscription(
        id=SubscriptionId(f"sub_{number:026}"),
        tenant=TENANT,
        name=f"S-{number}",
        plan_id="doc_1",
        token_id=StoredTokenId("pt_1"),
        agreement_id=AgreementId("agr_1"),
        dialect="payroc",
        state=SubscriptionState.ACTIVE,
        is_automatic=True,
        currency="USD",
        amount_minor=1000,
        frequency=Frequency.MONTHLY,
        start_on=now().date(),
        created_at=now(),
        facts={"plan": {"name": "P"}},
        payment_facts={"order": {}},
    )
    return begin(replace(one, **changes))


async def test_a_subscription_comes_back_as_it_was(engine) -> None:
    """Every column; the version guards a change; a name is one tenant's own."""
    one = subscription(end_on=date(2099, 12, 31), length=12, skipped=1)
    await engine.storage.write(lambda uow: uow.subscriptions.insert(one))
    await engine.storage.write(
        lambda uow: uow.subscriptions.insert(replace(one, id=SubscriptionId("sub_x"), tenant=STRANGER))
    )
    assert await engine.storage.read(lambda uow: uow.subscriptions.find(TENANT, one.id)) == one
    assert await engine.storage.read(lambda uow: uow.subscriptions.find_by_name(TENANT, "S-1")) == one
    assert await engine.storage.read(lambda uow: uow.subscriptions.find(STRANGER, one.id)) is None
    moved = paid(one)
    assert await engine.storage.write(lambda uow: uow.subscriptions.update(moved))
    assert not await engine.storage.write(lambda uow: uow.subscriptions.update(moved))
    found = await engine.storage.read(lambda uow: uow.subscriptions.of_plan(TENANT, "doc_1"))
    assert list(found) == [replace(moved, version=2)]
    with pytest.raises(Conflict) as refusal:
        await engine.storage.write(lambda uow: uow.subscriptions.insert(subscription(2, name="S-1")))
    assert refusal.value.code is ErrorCode.NAME_ALREADY_USED


async def test_a_period_has_one_payment(engine) -> None:
    """The second guard: the schema refuses a second payment of a period."""
    one = subscription()
    await engine.storage.write(lambda uow: uow.subscriptions.record_payment(one, PaymentId("pay_1")))
    with pytest.raises(Exception, match="subscription_payment"):
        await engine.storage.write(lambda uow: uow.subscriptions.record_payment(one, PaymentId("pay_2")))


async def test_what_is_due_is_due_by_the_merchants_clock(engine) -> None:
    """Automatic, active, its day come; a moved test clock brings days nearer."""
    await engine.storage.write(lambda uow: uow.merchants.insert(merchant()))
    tomorrow = now().date() + timedelta(days=1)
    for one in (
        subscription(1),
        subscription(2, start_on=tomorrow),
        subscription(3, is_automatic=False),
        replace(subscription(4), state=SubscriptionState.CANCELLED, act_on=None),
    ):
        await engine.storage.write(lambda uow, one=one: uow.subscriptions.insert(one))

    async def due() -> list[tuple[str, timedelta]]:
        found = await engine.storage.read(lambda uow: uow.subscriptions.due(10))
        return [(one.name, offset) for one, offset in found]

    assert await due() == [("S-1", timedelta(0))]
    two_days = timedelta(days=2)
    await engine.storage.write(lambda uow: uow.merchants.advance_clock(TENANT, two_days))
    assert await due() == [("S-1", two_days), ("S-2", two_days)]


async def test_a_list_of_subscriptions(engine) -> None:
    for number in range(1, 4):
        await engine.storage.write(
            lambda uow, number=number: uow.subscriptions.insert(
                subscription(number, plan_id="doc_odd" if number % 2 else "doc_even")
            )
        )

    async def names(request: PageRequest) -> list[str]:
        page = await engine.storage.read(lambda uow: uow.subscriptions.page(TENANT, request))
        return [one.name for one in page.items]

    assert await names(PageRequest()) == ["S-3", "S-2", "S-1"]
    assert await names(PageRequest(filters={"plan_id": "doc_odd", "state": "active"})) == ["S-3", "S-1"]


async def test_a_credential_has_its_merchants_name(engine) -> None:
    """Unique in the tenant, also after it is deleted; its shown string stays with it."""
    named = stored_token(wrapped_by=b"12345678", name="mine", shown_string="296753")
    await engine.storage.write(lambda uow: uow.stored_tokens.insert(named))
    assert await engine.storage.read(lambda uow: uow.stored_tokens.find_by_name(TENANT, "mine")) == named
    assert await engine.storage.read(lambda uow: uow.stored_tokens.find_by_name(STRANGER, "mine")) is None
    await engine.storage.write(lambda uow: uow.stored_tokens.delete(named))
    again = stored_token(wrapped_by=b"12345678", name="mine")
    with pytest.raises(Conflict) as refusal:
        await engine.storage.write(lambda uow: uow.stored_tokens.insert(again))
    assert refusal.value.code is ErrorCode.NAME_ALREADY_USED
    other = replace(again, tenant=STRANGER)
    await engine.storage.write(lambda uow: uow.stored_tokens.insert(other))


async def test_an_id_is_found_by_its_moment(engine) -> None:
    """One of this tenant; two of one moment are both given, so that nobody guesses."""
    one = payment(id=PaymentId(new_id("pay", unix_us=1_800_000_000_000_000, entropy=bytes(13))))
    twin = payment(id=PaymentId(new_id("pay", unix_us=1_800_000_000_000_000, entropy=b"\xff" * 13)))
    spend = operation(one, id=OperationId(new_id("op", unix_us=1_800_000_000_000_000, entropy=bytes(13))))
    ids = range_of_short_id(short_id(one.id), "pay")
    of_operation = range_of_short_id(short_id(spend.id), "op")
    assert ids is not None
    assert of_operation is not None

    async def work(uow: UnitOfWork) -> None:
        await uow.payments.insert(one)
        await uow.operations.insert(spend)

    await engine.storage.write(work)
    assert list(await engine.storage.read(lambda uow: uow.moments.ids(TENANT, ids))) == [one.id]
    assert list(await engine.storage.read(lambda uow: uow.moments.ids(TENANT, of_operation))) == [spend.id]
    assert list(await engine.storage.read(lambda uow: uow.moments.ids(STRANGER, ids))) == []
    await engine.storage.write(lambda uow: uow.payments.insert(twin))
    assert list(await engine.storage.read(lambda uow: uow.moments.ids(TENANT, ids))) == [one.id, twin.id]


async def test_facts_are_amended_on_their_version(engine) -> None:
    one = payment(facts={"a": 1})
    await engine.storage.write(lambda uow: uow.payments.insert(one))
    amended = replace(one, facts={"b": [1, "x"]})
    assert await engine.storage.write(lambda uow: uow.payments.amend(amended))
    assert not await engine.storage.write(lambda uow: uow.payments.amend(amended))
    found = await engine.storage.read(lambda uow: uow.payments.find(TENANT, one.id))
    assert found == replace(amended, version=2)


async def test_lists_by_several_kinds_and_between_instants(engine) -> None:
    """A tuple is any of its values; bounds are inclusive."""
    start = now()
    made = [
        payment(kind=kind, created_at=start + timedelta(hours=hour))
        for hour, kind in enumerate(
            (OperationKind.PURCHASE, OperationKind.AUTHORIZATION, OperationKind.CREDIT)
        )
    ]
    for one in made:
        spend = operation(one, created_at=one.created_at)

        async def work(uow: UnitOfWork, one: Any = one, spend: Any = spend) -> None:
            await uow.payments.insert(one)
            await uow.operations.insert(spend)

        await engine.storage.write(work)

    async def count(what: str, filters: dict[str, Any]) -> int:
        request = PageRequest(filters=filters)
        page = await engine.storage.read(lambda uow: getattr(uow, what).page(TENANT, request))
        return len(page.items)

    one_hour = int((start + timedelta(hours=1)).timestamp() * 1_000_000)
    for what in ("payments", "operations"):
        assert await count(what, {"kind": ("purchase", "authorization")}) == 2
        assert await count(what, {"kind": ("purchase",)}) == 1
        assert await count(what, {"from_us": one_hour}) == 2
        assert await count(what, {"to_us": one_hour, "kind": ("purchase", "credit")}) == 1


async def test_whose_account_has_a_name(engine) -> None:
    """The whole name in its own dialect; part of one is nobody's."""
    await engine.storage.write(lambda uow: uow.merchants.insert(merchant()))
    account = MerchantAccount(
        id=MerchantAccountId("ma_1"),
        tenant=TENANT,
        processor="sandbox",
        created_at=now(),
        names={"payroc": "1234001", "paysafe": "99"},
    )
    await engine.storage.write(lambda uow: uow.merchants.insert_account(account))

    async def owners(dialect: str, name: str) -> list[str]:
        return list(await engine.storage.read(lambda uow: uow.merchants.owners_of_account(dialect, name)))

    assert await owners("payroc", "1234001") == [TENANT.merchant_id]
    for dialect, name in (("payroc", "1234"), ("paysafe", "1234001"), ("payroc", "%"), ("payroc", "99")):
        assert await owners(dialect, name) == []
