"""What tokens may be used for, by whom and how often: the real use cases over the real repositories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from farebox.domain.cards import Card
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import ErrorCode, FareboxError
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, Initiator, OperationKind, Outcome, Reason
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import DeclinePolicy, StoredTokenKind, TokenRules, TokenString
from farebox.ports.processors import ProcessorRequest
from farebox.services.commands import (
    Command,
    Context,
    CreateAgreement,
    CreateCustomer,
    DeleteCustomer,
    EndAgreement,
    Executed,
    FromInstrument,
    FromSingleUseToken,
    FromStoredToken,
    MintSingleUseToken,
    Pay,
    RevokeSingleUseToken,
    SaveCredential,
    StoreCredential,
)
from farebox.testing.parked import ParkedProcessor
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

EUROS = Money(1000, "EUR")
NOTHING = Money(0, "EUR")
CARD = card(NUMBERS[0], cvc="123")
RETURNING = TokenRules(on_decline=DeclinePolicy.SOFT_DECLINE_RETURNS)


class Answering(ParkedProcessor):
    """Answers at once with what it is set to."""

    outcome: Outcome = Approved("p", EUROS.amount_minor, network_transaction_id="ntx1")

    async def submit(self, request: ProcessorRequest) -> Outcome:
        self.received.append(request)
        return self.outcome

    def codes(self) -> list[bool]:
        """Tell which requests had a security code."""
        return [isinstance(r.instrument, Card) and r.instrument.cvc is not None for r in self.received]


class House:
    """One merchant at one Farebox."""

    def __init__(self) -> None:
        self.world = World(1, Rules(weather=CALM, processes=0))
        self.acquirer = Answering(self.world.scheduler)
        _, self.node = self.world.start("one", CALM, self.acquirer)

    def do(
        self, command: Command[Any], *, rules: TokenRules | None = None, ahead: timedelta = timedelta(0)
    ) -> Any:
        context: Context[Any] = Context(
            principal=replace(principal_of(TENANTS[0]), clock_offset=ahead),
            dialect="native",
            rules=rules or TokenRules(),
            request_id="req_1",
            render=render,
        )
        answer = self.world.scheduler.complete(self.node.application.execute(command, context))
        assert isinstance(answer, Executed)
        return answer.result

    def refused(self, command: Command[Any], **how: Any) -> ErrorCode:
        with pytest.raises(FareboxError) as refusal:
            self.do(command, **how)
        return refusal.value.code

    def mint(self) -> TokenString:
        return self.do(MintSingleUseToken(CARD)).string

    def store(self, kind: StoredTokenKind, **links: Any) -> TokenString:
        return self.do(StoreCredential(FromInstrument(CARD), kind, **links)).string

    def token(self) -> tuple[str, bool]:
        """Give the state of the only single-use token, and whether its code is still there."""
        ((state, cvc),) = self.world.database.rows("SELECT state, cvc IS NOT NULL FROM single_use_token")
        return state, bool(cvc)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.world.close()


def purchase(token: TokenString) -> Pay:
    return Pay(OperationKind.PURCHASE, EUROS, FromSingleUseToken(token))


def verification(token: TokenString) -> Pay:
    return Pay(OperationKind.VERIFICATION, NOTHING, FromSingleUseToken(token))


def alone(token: TokenString, cvc: Sensitive | None = None) -> Pay:
    """Pay without the customer."""
    return Pay(OperationKind.PURCHASE, EUROS, FromStoredToken(token, cvc=cvc), initiator=Initiator.MERCHANT)


def test_the_merchant_alone_may_use_only_a_recurrence_token(house: House):
    """SEC-14: neither a single-use token nor a payment token stands for a consent to later payments."""
    assert house.refused(replace(purchase(house.mint()), initiator=Initiator.MERCHANT)) is (
        ErrorCode.TOKEN_CLASS_MISMATCH
    )
    assert house.refused(alone(house.store(StoredTokenKind.PAYMENT_TOKEN))) is ErrorCode.TOKEN_CLASS_MISMATCH
    assert house.token()[0] == "minted"
    assert house.acquirer.received == []


def test_an_agreement_carries_the_networks_id_into_later_payments(house: House):
    """SEC-14: a payment without the customer names the transaction that the consent was given in."""
    agreement = house.do(CreateAgreement(Reason.RECURRING))
    token = house.store(StoredTokenKind.RECURRENCE_TOKEN, agreement_id=agreement.id)
    house.do(Pay(OperationKind.PURCHASE, EUROS, FromStoredToken(token)))
    house.do(alone(token))
    first, later = house.acquirer.received
    assert first.network_transaction_id is None
    assert later.network_transaction_id == "ntx1"
    assert later.reason is Reason.RECURRING
    assert later.initiator is Initiator.MERCHANT


def test_a_payment_without_the_customer_has_no_security_code(house: House):
    """SEC-02: the code of somebody who is absent can only have been kept; it is refused."""
    agreement = house.do(CreateAgreement(Reason.RECURRING))
    token = house.store(StoredTokenKind.RECURRENCE_TOKEN, agreement_id=agreement.id)
    assert house.refused(alone(token, Sensitive("123"))) is ErrorCode.CVC_FORBIDDEN
    house.do(alone(token))
    assert house.acquirer.codes() == [False]


def test_an_agreement_that_ended_ends_its_tokens(house: House):
    """SEC-14: no payment without the customer after the agreement's end."""
    agreement = house.do(CreateAgreement(Reason.RECURRING))
    token = house.store(StoredTokenKind.RECURRENCE_TOKEN, agreement_id=agreement.id)
    house.do(EndAgreement(agreement.id))
    assert house.refused(alone(token)) is ErrorCode.AGREEMENT_ENDED


def test_the_security_code_goes_to_the_first_verification_only(house: House):
    """SEC-02: its first answer ends the code; what follows has none."""
    token = house.mint()
    assert house.token() == ("minted", True)
    house.do(verification(token))
    assert house.token() == ("minted", False)
    house.do(verification(token))
    house.do(purchase(token))
    assert house.acquirer.codes() == [True, False, False]


def test_a_token_can_be_verified_five_times(house: House):
    """I11: looks are counted, the next one is refused, and the token still can be spent."""
    token = house.mint()
    for _ in range(5):
        house.do(verification(token))
    assert house.refused(verification(token)) is ErrorCode.VERIFICATIONS_EXHAUSTED
    house.do(purchase(token))
    assert house.token() == ("spent", False)


@pytest.mark.parametrize(
    ("rules", "reason", "after"),
    [
        (RETURNING, DeclineReason.INSUFFICIENT_FUNDS, "minted"),
        (RETURNING, DeclineReason.LOST_CARD, "spent"),
        (TokenRules(), DeclineReason.INSUFFICIENT_FUNDS, "spent"),
    ],
)
def test_only_a_soft_decline_returns_a_token_and_only_where_the_rules_say_so(
    house: House, rules: TokenRules, reason: DeclineReason, after: str
):
    """I4, SEC-02: a token that comes back has no security code any more."""
    token = house.mint()
    house.acquirer.outcome = Declined(decline_for(reason))
    house.do(purchase(token), rules=rules)
    assert house.token() == (after, False)
    house.acquirer.outcome = Approved("p", EUROS.amount_minor)
    if after == "minted":
        house.do(purchase(token), rules=rules)
        assert house.acquirer.codes() == [True, False]
    else:
        assert house.refused(purchase(token), rules=rules) is ErrorCode.TOKEN_ALREADY_CONSUMED


def test_a_moved_clock_expires_tokens(house: House):
    """I5: a test-mode merchant's token is judged by that merchant's clock."""
    token = house.mint()
    assert house.refused(purchase(token), ahead=timedelta(seconds=601)) is ErrorCode.TOKEN_EXPIRED
    house.do(purchase(token), ahead=timedelta(seconds=599))


def test_time_expires_tokens_whether_or_not_the_worker_ran(house: House):
    """I5, I13: the instant decides; the worker only erases."""
    token = house.mint()
    house.world.clock.elapsed_us += 600_000_000
    assert house.refused(purchase(token)) is ErrorCode.TOKEN_EXPIRED
    assert house.token() == ("minted", True)
    house.world.scheduler.complete(house.node.tokenization.expire_due())
    assert house.token() == ("expired", False)
    assert house.refused(purchase(token)) is ErrorCode.TOKEN_EXPIRED


def test_a_revoked_token_is_erased(house: House):
    """I13: revoking ends the token and everything it stood for."""
    token = house.mint()
    house.do(RevokeSingleUseToken(token))
    assert house.token() == ("revoked", False)
    assert house.refused(purchase(token)) is ErrorCode.TOKEN_REVOKED


@pytest.mark.parametrize(
    ("outcome", "stored"),
    [(Approved("p", 1000), 1), (Declined(decline_for(DeclineReason.DO_NOT_HONOR)), 0)],
)
def test_a_credential_is_saved_with_an_approved_payment_only(house: House, outcome: Outcome, stored: int):
    """SEC-14: nothing is kept of a card that was declined."""
    house.acquirer.outcome = outcome
    save = SaveCredential(StoredTokenKind.PAYMENT_TOKEN)
    view = house.do(replace(purchase(house.mint()), save=save))
    assert (view.saved is not None) == bool(stored)
    assert house.world.database.rows("SELECT COUNT(*) FROM stored_token") == [(stored,)]
    if stored:
        house.do(Pay(OperationKind.PURCHASE, EUROS, FromStoredToken(view.saved.string)))
        assert house.acquirer.codes() == [True, False]


def test_deleting_a_customer_erases_their_credentials(house: House):
    """SEC-06: the wrapped key and what it sealed are gone, and the token is unknown."""
    customer = house.do(CreateCustomer(name="Ada"))
    token = house.store(StoredTokenKind.PAYMENT_TOKEN, customer_id=customer.id)
    house.do(DeleteCustomer(customer.id))
    rows = house.world.database.rows("SELECT state, wrapped_key, payload, details FROM stored_token")
    assert rows == [("deleted", None, None, None)]
    assert house.refused(Pay(OperationKind.PURCHASE, EUROS, FromStoredToken(token))) is (
        ErrorCode.PAYMENT_TOKEN_NOT_FOUND
    )
