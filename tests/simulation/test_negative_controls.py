"""Each rule taken out, and the same simulation finds what goes wrong: so finding nothing means something.

Most rules are necessary: without one of them an invariant breaks. R6 and R7 only make windows smaller,
and R4 matters where the acquirer does not keep R5; their tests claim just that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from farebox.adapters.crypto import instruments
from farebox.adapters.storage import events, operations, payments, tokens
from farebox.domain.cards import Card, parse_cvc
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.events import Event, EventType
from farebox.domain.operations import (
    Approved,
    Declined,
    InDoubt,
    Operation,
    OperationEvent,
    OperationState,
    Outcome,
)
from farebox.domain.payments import Payment
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import SingleUseToken, TokenState
from farebox.ports.processors import NotFoundAtProcessor, Processor, ProcessorRequest
from farebox.ports.secrets import TokenClass
from farebox.ports.storage import UnitOfWork
from farebox.services import purchases as purchases_module
from farebox.services.commands import FromSingleUseToken
from farebox.services.idempotency import Claim
from farebox.services.ledger import Ledger, Recorded
from farebox.services.purchases import Purchases
from farebox.services.recovery import Recovery
from farebox.services.submission import Submission
from farebox.services.tokenization import explain_refusal
from farebox.services.use_cases import Parts
from farebox.testing.shoppers import NUMBERS
from farebox.testing.simulation import first_violation, run
from farebox.testing.storage import Database
from farebox.testing.weather import CALM, ROUGH
from farebox.testing.world import Rules

BUDGET = range(600)
"""Runs in which a violation has to be found; most controls need less than ten."""


# --- R1 --------------------------------------------------------------------------------------------


class ReadThenWrite(Purchases):
    """Looks whether the token is minted, and reserves it a moment later without looking again."""

    async def _plan(self, command: Any, context: Any) -> Any:
        plan = await super()._plan(command, context)
        if isinstance(command.source, FromSingleUseToken) and command.kind in context.rules.consumed_by:
            tenant = context.principal.tenant
            mac = self._secrets.token_mac(command.source.token, TokenClass.SINGLE_USE, tenant)
            token = await self._storage.read(lambda uow: uow.tokens.find(tenant, mac))
            if token is None or token.state is not TokenState.MINTED:
                raise explain_refusal(token, param="source.single_use_token")
        return plan


def _without_guards(database: Database) -> None:
    database.rows("DROP INDEX one_live_operation")
    database.rows("DROP TRIGGER single_use_token_moves")


@pytest.fixture
def unconditional_reserve(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "RESERVE", tokens.RESERVE.replace(" AND state = 'minted'", ""))


@pytest.mark.usefixtures("unconditional_reserve")
def test_without_r1_a_token_is_authorized_twice():
    """R1: reserving by read-then-write, and no guard beneath it, gives two authorizations."""
    rules = Rules(parts=Parts(purchases=ReadThenWrite), prepare=_without_guards)
    assert first_violation(BUDGET, rules, of="I2: 2 authorizations") is not None


@pytest.mark.usefixtures("unconditional_reserve")
def test_the_schema_stops_a_double_spend_even_without_r1():
    """I1, I2: index and trigger refuse the second spend when the code above them is wrong."""
    rules = Rules(parts=Parts(purchases=ReadThenWrite))
    assert first_violation(range(80), rules, of="I2") is None
    assert first_violation(range(80), rules, of="I1:") is None


# --- R2 --------------------------------------------------------------------------------------------


class ReleasingRecovery(Recovery):
    """Takes "never heard of it" for "it never was sent", and gives the token back."""

    async def settle(self, operation: Operation) -> None:
        if operation.state is OperationState.SUBMITTED:
            processor = self._routing.named(operation.processor)
            answer = await processor.inquire(operation.processor_reference, operation.tenant)
            if isinstance(answer, NotFoundAtProcessor):
                await self._storage.write(
                    lambda uow: self._ledger.record(uow, operation, OperationEvent.FAIL)
                )
                return
        await super().settle(operation)


def test_without_r2_a_token_is_authorized_twice():
    """R2: a token that recovery gave back is spent again, and then its first owner wakes up and sends."""
    rules = Rules(parts=Parts(recovery=ReleasingRecovery))
    assert first_violation(BUDGET, rules, of="I2: 2 authorizations") is not None


# --- R3 --------------------------------------------------------------------------------------------


class ResendingRecovery(Recovery):
    """Sends again what the processor does not know."""

    async def _ask(self, processor: Processor, operation: Operation) -> Outcome | None:
        if not operation.reversing:
            answer = await processor.inquire(operation.processor_reference, operation.tenant)
            if isinstance(answer, NotFoundAtProcessor) and operation.target_id is None:
                return await processor.submit(await self._request(processor, operation))
        return await super()._ask(processor, operation)


def test_without_r3_a_token_is_authorized_twice():
    """R3: what recovery sends again and what its owner sends late are two authorizations."""
    rules = Rules(parts=Parts(recovery=ResendingRecovery))
    assert first_violation(BUDGET, rules, of="I2: 2 authorizations") is not None


# --- R4 --------------------------------------------------------------------------------------------


class ForgetfulLedger(Ledger):
    """Drops an approval that came too late."""

    async def _too_late(
        self, uow: UnitOfWork, operation: Operation, answer: Outcome | OperationEvent
    ) -> Recorded:
        dropped = InDoubt("dropped") if isinstance(answer, Approved) else answer
        return await super()._too_late(uow, operation, dropped)


_HONEST_BUT_NOT_POISONING = Rules(
    # Owners stand still, and every answer arrives in the end.
    weather=replace(CALM, stalled_write=0.2),
    troubles=("decline",),
    reversal_poisons=False,
)


def test_r4_keeps_the_books_in_agreement_where_the_acquirer_does_not_keep_r5():
    """R4: a late approval is reversed; enough as long as every answer reaches somebody."""
    assert first_violation(range(200), _HONEST_BUT_NOT_POISONING) is None


def test_without_r4_money_stays_held():
    """R4: without it the same acquirer holds money for an operation that we closed as not paid."""
    rules = replace(_HONEST_BUT_NOT_POISONING, parts=Parts(ledger=ForgetfulLedger))
    assert first_violation(BUDGET, rules, of="I8") is not None


# --- R5 --------------------------------------------------------------------------------------------


def test_without_r5_money_stays_held():
    """R5: an acquirer that approves a late original after its reversal holds money that nobody knows of."""
    assert first_violation(BUDGET, Rules(reversal_poisons=False), of="I8") is not None


# --- R6 and R7: smaller windows --------------------------------------------------------------------


class NoDeadline(Submission):
    """Sends whenever it gets round to it."""

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        return await super().send(processor, request, math.inf)


_STANDSTILL = Rules(weather=replace(CALM, pause=0.1), troubles=())


def test_with_r6_nothing_is_written_after_send_by():
    """R6: an owner that stood still before its last look at the clock does not send any more."""
    assert sum(run(seed, _STANDSTILL).late for seed in range(40)) == 0


def test_without_r6_requests_are_written_after_send_by():
    """R6: without the look at the clock such an owner sends late; a larger window for R2 and R4."""
    rules = replace(_STANDSTILL, parts=Parts(submission=NoDeadline))
    assert sum(run(seed, rules).late for seed in range(40)) > 0


_SLOW_LINE = Rules(weather=replace(CALM, latency_max_s=8.0), troubles=())


def test_with_r7_nothing_is_reversed_needlessly():
    """R7: where every answer arrives in time, recovery touches nothing."""
    assert sum(run(seed, _SLOW_LINE).reversals for seed in range(40)) == 0


def test_without_r7_what_is_only_slow_is_reversed(monkeypatch: pytest.MonkeyPatch):
    """R7: a recovery that acts at once reverses what its owner still waits for."""
    monkeypatch.setattr(purchases_module, "RECOVERY_GRACE_S", -20.0)
    assert sum(run(seed, _SLOW_LINE).reversals for seed in range(40)) > 0


# --- R8 --------------------------------------------------------------------------------------------


class SilenceIsADecline(Submission):
    """Takes no answer for a no."""

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        outcome = await super().send(processor, request, deadline)
        return Declined(decline_for(DeclineReason.OTHER)) if isinstance(outcome, InDoubt) else outcome


class SilenceIsAnApproval(Submission):
    """Takes no answer for a yes."""

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        outcome = await super().send(processor, request, deadline)
        return Approved(None, request.money.amount_minor) if isinstance(outcome, InDoubt) else outcome


@pytest.mark.parametrize("submission", [SilenceIsADecline, SilenceIsAnApproval])
def test_without_r8_the_books_disagree(submission: type[Submission]):
    """R8: whoever makes an answer out of silence says something else than the acquirer."""
    rules = Rules(parts=Parts(submission=submission))
    assert first_violation(BUDGET, rules, of="I8") is not None


# --- mechanisms behind single invariants -----------------------------------------------------------


def test_without_durable_commits_what_was_told_is_lost(monkeypatch: pytest.MonkeyPatch):
    """I3: a database that says committed and forgets one transaction in fifty is caught."""
    honest, count = Database.transact, 0

    def forgetful(self: Database, work: Any, *, keep: bool = True) -> Any:
        nonlocal count
        count += 1
        return honest(self, work, keep=keep and count % 50 != 0)

    monkeypatch.setattr(Database, "transact", forgetful)
    assert first_violation(BUDGET, Rules(), of="I3") is not None


def test_without_the_expiry_condition_dead_tokens_are_reserved(monkeypatch: pytest.MonkeyPatch):
    """I5: a reserve that does not ask for the expiry is caught by the observer beneath."""
    eternal = tokens.RESERVE.replace("expires_at > farebox_now() + $5", "$5 = $5")
    monkeypatch.setattr(tokens, "RESERVE", eternal)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I5") is not None


def test_without_the_condition_on_closing_an_outcome_changes(monkeypatch: pytest.MonkeyPatch):
    """I6: an answer written without asking for the state overwrites a terminal one."""
    condition = " AND state IN ('submitted', 'in_doubt', 'pending')"
    assert condition in operations.CLOSE
    careless = operations.CLOSE.replace(condition, "").replace(" AND (reversing = 0 OR $1 = 'reversed')", "")
    monkeypatch.setattr(operations, "CLOSE", careless)
    rules = Rules(prepare=lambda database: database.rows("DROP TRIGGER operation_moves") and None)
    assert first_violation(BUDGET, rules, of="I6") is not None


def test_without_the_claim_a_key_is_answered_twice(monkeypatch: pytest.MonkeyPatch):
    """I9: requests that do not claim their key are executed once more when they are repeated."""

    async def begin(self: Claim[Any], uow: UnitOfWork, operation_id: object = None) -> None:
        return None

    monkeypatch.setattr(Claim, "begin", begin)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I9") is not None


def test_an_outbox_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch):
    """I10: a transition without its event."""
    honest = events.Events.append

    async def append(self: events.Events, told: Sequence[Event]) -> None:
        await honest(self, [event for event in told if event.type is not EventType.SINGLE_USE_TOKEN_SPENT])

    monkeypatch.setattr(events.Events, "append", append)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I10") is not None


def test_a_verification_that_reserves_is_caught(monkeypatch: pytest.MonkeyPatch):
    """I11: a look that takes the token."""

    async def take(
        self: tokens.SingleUseTokens, tenant: Any, mac: bytes, operation_id: Any, offset: Any, most: int
    ) -> SingleUseToken | None:
        return await self.reserve(tenant, mac, operation_id, offset)

    monkeypatch.setattr(tokens.SingleUseTokens, "take_verification", take)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I11") is not None


def test_without_the_owner_in_the_query_merchants_reach_each_other(monkeypatch: pytest.MonkeyPatch):
    """I12: a payment that is found by its id alone is found by strangers."""
    for name in ("LOCK", "FIND"):
        monkeypatch.setattr(payments, name, getattr(payments, name).replace("merchant_id = $2", "$2 = $2"))
    monkeypatch.setattr(
        operations, "OF_PAYMENT", operations.OF_PAYMENT.replace("merchant_id = $2", "$2 = $2")
    )
    assert first_violation(BUDGET, Rules(weather=CALM), of="I12") is not None


def test_without_erasure_a_spent_token_can_be_opened(monkeypatch: pytest.MonkeyPatch):
    """I13: a token that is spent and keeps its payload."""
    monkeypatch.setattr(tokens, "SETTLE", tokens.SETTLE.replace(", payload = NULL, details = NULL", ""))
    rules = Rules(
        weather=CALM,
        prepare=lambda database: database.rows("PRAGMA ignore_check_constraints = ON") and None,
    )
    assert first_violation(BUDGET, rules, of="I13") is not None


def test_a_stored_security_code_is_caught(monkeypatch: pytest.MonkeyPatch):
    """I14: a credential that opens with a code which nobody typed this time."""
    honest = instruments._card

    def with_code(fields: list[Any], cvc: Any) -> Card:
        return honest(fields, cvc or parse_cvc(Sensitive("123"), brand="visa"))

    monkeypatch.setitem(instruments._READERS, "card", with_code)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I14") is not None


def test_a_security_code_that_is_handed_out_twice_is_caught(monkeypatch: pytest.MonkeyPatch):
    """I14, SEC-02: verifications that do not compare and set who has the code, and never erase it."""
    monkeypatch.setattr(
        tokens, "TAKE_VERIFICATION", tokens.TAKE_VERIFICATION.replace("COALESCE(cvc_operation_id, $1)", "$1")
    )
    monkeypatch.setattr(tokens, "ERASE_CVC", tokens.ERASE_CVC.replace("SET cvc = NULL", "SET cvc = cvc"))
    assert first_violation(BUDGET, Rules(weather=CALM), of="I14") is not None


def test_a_number_in_clear_is_caught(monkeypatch: pytest.MonkeyPatch):
    """I14: a number that slips into a column, here the one for the merchant's reference."""
    honest = payments.Payments.insert

    async def insert(self: payments.Payments, payment: Payment) -> None:
        await honest(self, replace(payment, reference=NUMBERS[0]))

    monkeypatch.setattr(payments.Payments, "insert", insert)
    assert first_violation(BUDGET, Rules(weather=CALM), of="I14") is not None


def test_the_weather_is_the_one_that_runs_are_judged_in():
    """The controls above that name no weather ran in the one that every seed of `test_spend` runs in."""
    assert Rules().weather is ROUGH
