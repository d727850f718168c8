"""The sandbox acquirer: its own books, its own rules, and trouble on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.adapters.processors.test_tables import TENANT, CountingClock, request

from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.adapters.processors.sandbox.trouble import TROUBLES
from farebox.domain.access import Mode, Tenant
from farebox.domain.bank_accounts import parse_ach
from farebox.domain.declines import DeclineReason
from farebox.domain.errors import InvalidRequest, Unavailable
from farebox.domain.ids import MerchantId
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, InDoubt, OperationKind, Outcome, Pending
from farebox.domain.sensitive import Sensitive
from farebox.ports.processors import Fault, NotFoundAtProcessor, ProcessorRequest

STRANGER = Tenant(MerchantId("mer_2"), Mode.TEST)


@pytest.fixture
async def acquirer(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    processor = SandboxProcessor(tmp_path / "sandbox.sqlite3", clock=CountingClock(), timeout_s=10.0)
    yield processor
    await processor.close()


def follow_up(
    kind: OperationKind, of: ProcessorRequest, amount_minor: int, **changes: Any
) -> ProcessorRequest:
    return replace(
        request("native", money=Money(amount_minor, "USD"), kind=kind, **changes),
        instrument=None,
        target_reference=of.reference,
        target_kind=of.kind,
    )


def reason(outcome: Outcome) -> DeclineReason | None:
    return outcome.decline.reason if isinstance(outcome, Declined) else None


async def authorized(acquirer: SandboxProcessor, amount_minor: int = 1000) -> ProcessorRequest:
    asked = request("native", money=Money(amount_minor, "USD"), kind=OperationKind.AUTHORIZATION)
    assert isinstance(await acquirer.submit(asked), Approved)
    return asked


async def test_captures_never_exceed_the_authorization(acquirer: SandboxProcessor) -> None:
    """I7, by the acquirer's own books: the last cent is captured and not one more."""
    opened = await authorized(acquirer)
    outcomes = [await acquirer.submit(follow_up(OperationKind.CAPTURE, opened, 400)) for _ in range(3)]
    assert [reason(one) for one in outcomes] == [None, None, DeclineReason.AMOUNT_EXCEEDED]
    assert reason(await acquirer.submit(follow_up(OperationKind.VOID, opened, 200))) is None
    assert (
        reason(await acquirer.submit(follow_up(OperationKind.CAPTURE, opened, 1)))
        is DeclineReason.AMOUNT_EXCEEDED
    )


async def test_refunds_never_exceed_the_captures(acquirer: SandboxProcessor) -> None:
    """I7, for refunds; a refund that is voided may be made again."""
    opened = await authorized(acquirer)
    assert (
        reason(await acquirer.submit(follow_up(OperationKind.REFUND, opened, 1)))
        is DeclineReason.AMOUNT_EXCEEDED
    )
    await acquirer.submit(follow_up(OperationKind.CAPTURE, opened, 1000))
    first = follow_up(OperationKind.REFUND, opened, 700)
    assert reason(await acquirer.submit(first)) is None
    assert (
        reason(await acquirer.submit(follow_up(OperationKind.REFUND, opened, 301)))
        is DeclineReason.AMOUNT_EXCEEDED
    )
    assert reason(await acquirer.submit(follow_up(OperationKind.VOID, first, 700))) is None
    assert reason(await acquirer.submit(follow_up(OperationKind.REFUND, opened, 1000))) is None


async def test_what_is_settled_is_not_voided(acquirer: SandboxProcessor) -> None:
    """A void belongs before the batch; afterwards it is a refund."""
    bought = request("native")
    await acquirer.submit(bought)
    assert await acquirer.close_batch(TENANT, bought.merchant_time) == (bought.reference,)
    assert await acquirer.close_batch(TENANT, bought.merchant_time) == ()
    voided = await acquirer.submit(follow_up(OperationKind.VOID, bought, 12_345))
    assert reason(voided) is DeclineReason.ALREADY_SETTLED


async def test_a_repeated_reference_gets_the_first_answer(acquirer: SandboxProcessor) -> None:
    """One reference, one authorization, however often it arrives."""
    asked = request("native")
    first = await acquirer.submit(asked)
    assert await acquirer.submit(replace(asked, money=Money(999, "USD"))) == first
    books = await acquirer.ledger(TENANT)
    assert [entry["received"] for entry in books] == [2]


async def test_a_reversal_that_comes_first_poisons(acquirer: SandboxProcessor) -> None:
    """R5: a late original whose reversal was seen is declined; without poison it would be approved."""
    asked = request("native")
    assert await acquirer.reverse(asked)
    assert reason(await acquirer.submit(asked)) is DeclineReason.ALREADY_REVERSED
    careless = SandboxProcessor(None, clock=CountingClock(), reversal_poisons=False)
    assert await careless.reverse(asked)
    assert isinstance(await careless.submit(asked), Approved)
    await careless.close()


async def test_a_reversed_payment_is_no_longer_there(acquirer: SandboxProcessor) -> None:
    """I8: nothing is captured of what was reversed; a second reversal is harmless."""
    opened = await authorized(acquirer)
    assert await acquirer.reverse(opened)
    assert await acquirer.reverse(opened)
    assert reason(await acquirer.inquire(opened.reference, TENANT)) is DeclineReason.ALREADY_REVERSED
    captured = await acquirer.submit(follow_up(OperationKind.CAPTURE, opened, 1))
    assert reason(captured) is DeclineReason.TRANSACTION_NOT_FOUND


async def test_a_stranger_finds_nothing(acquirer: SandboxProcessor) -> None:
    """I12: neither by inquiry nor by follow-up nor in the books."""
    opened = await authorized(acquirer)
    assert isinstance(await acquirer.inquire(opened.reference, STRANGER), NotFoundAtProcessor)
    captured = await acquirer.submit(follow_up(OperationKind.CAPTURE, opened, 1, tenant=STRANGER))
    assert reason(captured) is DeclineReason.TRANSACTION_NOT_FOUND
    assert [entry["state"] for entry in await acquirer.ledger(STRANGER)] == ["declined"]


@pytest.mark.parametrize(
    ("account", "settled"), [("000123456789", None), ("000222222227", "insufficient_funds")]
)
async def test_a_bank_debit_waits_for_its_batch(
    acquirer: SandboxProcessor, account: str, settled: str | None
) -> None:
    """Banks answer later: pending until the batch closes, then paid or returned."""
    instrument = parse_ach(routing_number="110000000", account_number=Sensitive(account))
    asked = replace(request("native"), instrument=instrument)
    assert isinstance(await acquirer.submit(asked), Pending)
    await acquirer.close_batch(TENANT, asked.merchant_time)
    outcome = await acquirer.inquire(asked.reference, TENANT)
    assert isinstance(outcome, Approved if settled is None else Declined)
    assert reason(outcome) == settled


_BY_TROUBLE = {
    "late": (Approved, Approved),
    "delayed": (Approved, Approved),
    "never": (InDoubt, Approved),
    "twice": (Approved, Approved),
    "garbled": (InDoubt, Approved),
    "drop_before_write": (Unavailable, NotFoundAtProcessor),
    "lost_request": (InDoubt, NotFoundAtProcessor),
    "drop_after_write": (InDoubt, Approved),
    "decline": (Declined, Declined),
    "hold": (Pending, Pending),
    "review": (Pending, Pending),
}


@pytest.mark.parametrize("trouble", _BY_TROUBLE)
async def test_trouble_does_what_it_says(acquirer: SandboxProcessor, trouble: str) -> None:
    """What the caller sees, and what the acquirer knows afterwards; the next request has no trouble."""
    seen, known = _BY_TROUBLE[trouble]
    await acquirer.add_fault(TENANT, Fault(trouble, delay_s=3.0))
    asked = request("native")
    try:
        outcome: object = await acquirer.submit(asked)
    except Unavailable as refusal:
        outcome = refusal
    assert isinstance(outcome, seen)
    assert isinstance(await acquirer.inquire(asked.reference, TENANT), known)
    assert isinstance(await acquirer.submit(request("native")), Approved)


async def test_the_list_of_troubles_is_whole() -> None:
    """Every documented trouble is tried here or belongs to recovery."""
    assert set(TROUBLES) == set(_BY_TROUBLE) | {"inquiry_fails", "reversal_fails"}


async def test_recovery_meets_trouble_too(acquirer: SandboxProcessor) -> None:
    """An inquiry without an answer, and a reversal that is not acknowledged."""
    asked = request("native")
    await acquirer.submit(asked)
    await acquirer.add_fault(TENANT, Fault("inquiry_fails"))
    await acquirer.add_fault(TENANT, Fault("reversal_fails"))
    assert isinstance(await acquirer.inquire(asked.reference, TENANT), InDoubt)
    assert not await acquirer.reverse(asked)
    assert isinstance(await acquirer.inquire(asked.reference, TENANT), Approved)


async def test_trouble_hits_whom_it_is_meant_for(acquirer: SandboxProcessor) -> None:
    """By tenant, by operation, and as often as was said."""
    await acquirer.add_fault(TENANT, Fault("garbled", operation=OperationKind.CREDIT, count=2))
    assert isinstance(await acquirer.submit(request("native")), Approved)
    assert isinstance(
        await acquirer.submit(request("native", kind=OperationKind.CREDIT, tenant=STRANGER)), Approved
    )
    for seen in (InDoubt, InDoubt, Approved):
        assert isinstance(await acquirer.submit(request("native", kind=OperationKind.CREDIT)), seen)
    await acquirer.add_fault(TENANT, Fault("garbled"))
    await acquirer.clear_faults(TENANT)
    assert isinstance(await acquirer.submit(request("native")), Approved)
    for wrong in (Fault("earthquake"), Fault("decline", parameters={"reason": "because"})):
        with pytest.raises(InvalidRequest):
            await acquirer.add_fault(TENANT, wrong)


async def test_a_request_may_arrive_after_its_reversal(acquirer: SandboxProcessor) -> None:
    """R4, R5: the caller gives up, reverses, and the request arrives afterwards: it is declined."""
    await acquirer.add_fault(TENANT, Fault("delayed", delay_s=60.0))
    asked = request("native")
    assert isinstance(await acquirer.submit(asked), InDoubt)
    await acquirer.reverse(asked)
    await asyncio.sleep(0)
    await asyncio.gather(*acquirer._late)
    found = await acquirer.inquire(asked.reference, TENANT)
    assert not isinstance(found, Approved)


async def test_the_books_outlive_the_process_and_hold_no_number(tmp_path: Path) -> None:
    """SEC-05: a digest under the books' own key, and the same answers after a restart."""
    path, asked = tmp_path / "books.sqlite3", request("native")
    first = SandboxProcessor(path, clock=CountingClock())
    answer = await first.submit(asked)
    raw = b"".join(part.read_bytes() for part in tmp_path.iterdir())
    await first.close()
    again = SandboxProcessor(path, clock=CountingClock())
    assert await again.inquire(asked.reference, TENANT) == answer
    await again.close()
    assert asked.reference.encode() in raw
    assert b"4242424242424242" not in raw


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("4100000000000019", OperationKind.CAPTURE),
        ("4100000000000027", OperationKind.REFUND),
        ("5100000000000040", OperationKind.VOID),
    ],
)
async def test_a_card_may_bring_its_trouble_later(
    acquirer: SandboxProcessor, number: str, kind: OperationKind
) -> None:
    """Dintero's cards: the authorization is approved, and one kind of follow-up is never answered."""
    asked = request("dintero", number=number, kind=OperationKind.AUTHORIZATION)
    assert isinstance(await acquirer.submit(asked), Approved)
    whole = asked.money.amount_minor
    for follow in (OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID):
        outcome = await acquirer.submit(follow_up(follow, asked, whole // 2))
        assert isinstance(outcome, InDoubt) is (follow is kind)
