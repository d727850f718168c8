"""A checkout session is paid at most once, whatever is clicked, declined, lost or killed."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from farebox.domain.access import ApiKeyKind, Principal, Scope, Tenant
from farebox.domain.checkout import (
    ATTEMPTS_MAX,
    CheckoutEvent,
    CheckoutState,
    CheckoutTerms,
    SaveChoice,
    SaveTerms,
)
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import ErrorCode, FareboxError, Unavailable
from farebox.domain.operations import Approved, Declined, InDoubt, Initiator, OperationKind, Outcome
from farebox.domain.payments import PaymentStatus
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import StoredTokenKind, TokenRules, TokenString
from farebox.ports.processors import ProcessorRequest
from farebox.services.checkout_books import SESSION_ATTRIBUTE
from farebox.services.commands import (
    AbandonCheckoutSession,
    CancelCheckoutSession,
    CheckoutSessionView,
    Command,
    Context,
    CreateCheckoutSession,
    DeleteStoredToken,
    Executed,
    FromInstrument,
    FromStoredToken,
    GetCheckoutSession,
    LockCheckoutSession,
    PayCheckoutSession,
    PayNewCheckoutSession,
    StoreCredential,
    UpdateCheckoutSession,
    ViewCheckoutSession,
)
from farebox.testing.parked import ParkedProcessor
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

TERMS = CheckoutTerms(1000, "EUR", return_url="https://shop.example/done")
CARD = FromInstrument(card(NUMBERS[0], cvc="123"))
APPROVED = Approved("p", 1000, network_transaction_id="ntx1")
DECLINED = Declined(decline_for(DeclineReason.INSUFFICIENT_FUNDS, "51"))


class Answering(ParkedProcessor):
    """Answers at once with what it is set to."""

    outcome: Outcome = APPROVED
    found: Outcome = APPROVED
    is_reachable = True

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome:
        return self.found

    async def submit(self, request: ProcessorRequest) -> Outcome:
        if not self.is_reachable:
            raise Unavailable(ErrorCode.PROCESSOR_UNREACHABLE)
        self.received.append(request)
        if request.kind is OperationKind.VOID:
            return Approved("v", 1000)
        return self.outcome


class Shop:
    """One merchant at one Farebox, and the buyers it sends there."""

    def __init__(self) -> None:
        self.world = World(1, Rules(weather=CALM, processes=0))
        self.acquirer = Answering(self.world.scheduler)
        _, self.node = self.world.start("one", CALM, self.acquirer)

    def context(self, principal: Principal | None = None) -> Context[Any]:
        return Context(
            principal=principal or principal_of(TENANTS[0]),
            dialect="native",
            rules=TokenRules(),
            request_id="req_1",
            render=render,
        )

    def do(self, command: Command[Any], principal: Principal | None = None) -> Any:
        answer = self.world.scheduler.complete(
            self.node.application.execute(command, self.context(principal))
        )
        assert isinstance(answer, Executed)
        return answer.result

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.world.scheduler.complete(work)

    def create(self, **changes: Any) -> CheckoutSessionView:
        terms = changes.pop("terms", TERMS)
        values: dict[str, Any] = {"kind": OperationKind.PURCHASE, "terms": terms, **changes}
        return self.do(CreateCheckoutSession(**values))

    def buyer(self, view: CheckoutSessionView) -> Principal:
        return Principal(
            TENANTS[0],
            "visitor_1",
            ApiKeyKind.PUBLISHABLE,
            frozenset({Scope.CHECKOUT_PAY}),
            "native",
            ((SESSION_ATTRIBUTE, view.session.id),),
        )

    def pay(self, view: CheckoutSessionView, **how: Any) -> CheckoutSessionView:
        return self.do(PayCheckoutSession(**{"instrument": CARD, **how}), self.buyer(view))

    def get(self, view: CheckoutSessionView) -> CheckoutSessionView:
        return self.do(GetCheckoutSession(view.session.id))

    def refused(self, command: Command[Any], principal: Principal | None = None) -> ErrorCode:
        with pytest.raises(FareboxError) as refusal:
            self.do(command, principal)
        return refusal.value.code

    def payments(self) -> list[tuple[Any, ...]]:
        return self.world.database.rows("SELECT state FROM payment ORDER BY id")


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.world.close()


def history(view: CheckoutSessionView) -> list[CheckoutEvent]:
    return [entry.event for entry in view.session.history]


def test_a_session_is_paid_once(shop: Shop) -> None:
    """A second click finds a completed session and pays nothing."""
    view = shop.create(reference="order-1")
    assert view.address is not None
    assert len(view.address) == 52
    first, second = shop.pay(view), shop.pay(view)
    assert (first.session.state, first.made_attempt) == (CheckoutState.COMPLETED, True)
    assert (second.session.state, second.made_attempt) == (CheckoutState.COMPLETED, False)
    assert second.payment.payment.id == first.payment.payment.id
    assert second.payment.payment.facts["checkout_session"] == view.session.id
    assert len(shop.acquirer.received) == 1
    assert history(second) == [CheckoutEvent.CREATE, CheckoutEvent.START, CheckoutEvent.COMPLETE]


def test_of_two_tabs_one_pays(shop: Shop) -> None:
    """While an attempt is under way, the other tab is shown that it is."""
    view = shop.create()
    shown: list[CheckoutSessionView] = []

    class Slow(Answering):
        async def submit(inner, request: ProcessorRequest) -> Outcome:  # noqa: N805  # the shop is `shop`
            shop.acquirer.received.append(request)
            other = await node.application.execute(
                PayCheckoutSession(instrument=CARD), shop.context(shop.buyer(view))
            )
            shown.append(other.result)
            return APPROVED

    _, node = shop.world.start("slow", CALM, Slow(shop.world.scheduler))
    shop.node = node
    first = shop.pay(view)
    assert first.session.state is CheckoutState.COMPLETED
    assert [(one.session.state, one.made_attempt) for one in shown] == [(CheckoutState.PAYING, False)]
    assert len(shop.acquirer.received) == 1
    assert len(shop.payments()) == 1


def test_a_decline_leaves_the_session_open(shop: Shop) -> None:
    """The buyer may try another card; each attempt is a payment of its own, and one of them is approved."""
    view = shop.create()
    shop.acquirer.outcome = DECLINED
    declined = shop.pay(view)
    assert declined.session.state is CheckoutState.OPEN
    assert declined.payment.payment.decline.reason is DeclineReason.INSUFFICIENT_FUNDS
    shop.acquirer.outcome = APPROVED
    paid = shop.pay(view)
    assert paid.session.state is CheckoutState.COMPLETED
    assert paid.session.attempts == 2
    assert [state for (state,) in shop.payments()] == ["declined", "approved"]


def test_whoever_tries_many_cards_is_stopped(shop: Shop) -> None:
    """A session takes a bounded number of declines, then it has failed."""
    view = shop.create()
    shop.acquirer.outcome = DECLINED
    for _ in range(ATTEMPTS_MAX):
        last = shop.pay(view)
    assert last.session.state is CheckoutState.FAILED
    shop.pay(view)
    assert len(shop.acquirer.received) == ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("found", "state", "event"),
    [
        (APPROVED, CheckoutState.COMPLETED, CheckoutEvent.COMPLETE),
        (DECLINED, CheckoutState.OPEN, CheckoutEvent.DECLINE),
    ],
)
def test_a_doubt_is_settled_by_recovery(
    shop: Shop, found: Outcome, state: CheckoutState, event: CheckoutEvent
) -> None:
    """A session whose payment is in doubt can neither be paid nor left; it follows what recovery finds."""
    view = shop.create()
    shop.acquirer.outcome = InDoubt("timeout")
    assert shop.pay(view).session.state is CheckoutState.PAYING
    assert shop.pay(view).made_attempt is False
    assert shop.do(AbandonCheckoutSession(), shop.buyer(view)).session.state is CheckoutState.PAYING
    assert shop.refused(CancelCheckoutSession(view.session.id)) is ErrorCode.CHECKOUT_SESSION_CONFLICT
    assert shop.run(shop.node.checkout_payments.follow_payments()) == 0
    shop.run(shop.world.clock.sleep(60))
    shop.acquirer.found = found
    assert shop.run(shop.node.recovery.run_once()) == 1
    assert shop.run(shop.node.checkout_payments.follow_payments()) == 1
    after = shop.get(view)
    assert after.session.state is state
    assert history(after)[-1] is event


def test_what_the_reserve_refuses_leaves_the_session_as_it_is(shop: Shop) -> None:
    """The refusal of a payment undoes the move to `paying` with it."""
    stored = shop.do(StoreCredential(FromInstrument(card(NUMBERS[0]))))
    view = shop.create(token=stored.string)
    shop.do(DeleteStoredToken(stored.token.id))
    command = PayCheckoutSession(cvc=Sensitive("123"))
    assert shop.refused(command, shop.buyer(view)) is ErrorCode.PAYMENT_TOKEN_NOT_FOUND
    assert history(shop.get(view)) == [CheckoutEvent.CREATE]
    assert shop.get(view).stored is None
    assert shop.payments() == []


def test_what_was_not_sent_leaves_the_session_open(shop: Shop) -> None:
    """A processor out of reach took nothing: the buyer may try again at once."""
    view = shop.create()
    shop.acquirer.is_reachable = False
    command = PayCheckoutSession(instrument=CARD)
    assert shop.refused(command, shop.buyer(view)) is ErrorCode.PROCESSOR_UNREACHABLE
    assert shop.get(view).session.state is CheckoutState.OPEN
    shop.acquirer.is_reachable = True
    assert shop.pay(view).session.state is CheckoutState.COMPLETED


def test_a_stored_card_is_confirmed_with_its_code(shop: Shop) -> None:
    """The page asks for the security code only; it reaches the acquirer and is not stored."""
    stored = shop.do(StoreCredential(FromInstrument(card(NUMBERS[0]))))
    view = shop.create(token=stored.string)
    assert view.stored.last_four == stored.token.summary.last_four
    command = PayCheckoutSession()
    assert shop.refused(command, shop.buyer(view)) is ErrorCode.CARD_CVC_INVALID
    paid = shop.pay(view, instrument=None, cvc=Sensitive("123"))
    assert paid.session.state is CheckoutState.COMPLETED
    assert paid.payment.payment.stored_token_id == stored.token.id
    assert shop.acquirer.received[0].instrument.cvc is not None


def test_an_unknown_token_is_refused_or_forgotten(shop: Shop) -> None:
    """A dialect chooses whether an unknown stored card is an error or leaves the ordinary form."""
    command = CreateCheckoutSession(OperationKind.PURCHASE, TERMS, token=TokenString("pt_unknown"))
    assert shop.refused(command) is ErrorCode.PAYMENT_TOKEN_NOT_FOUND
    assert shop.do(replace(command, token_may_be_unknown=True)).stored is None


@pytest.mark.parametrize(
    ("choice", "ticked", "saves"),
    [
        (SaveChoice.ALWAYS, False, True),
        (SaveChoice.OPT_IN, False, False),
        (SaveChoice.OPT_IN, True, True),
        (SaveChoice.OPT_OUT, False, False),
        (SaveChoice.OPT_OUT, True, True),
    ],
)
def test_the_merchant_alone_gets_the_saved_token(
    shop: Shop, choice: SaveChoice, ticked: bool, saves: bool
) -> None:
    """The string of what a payment stored is for the merchant, and never for the browser."""
    terms = replace(TERMS, save=SaveTerms(StoredTokenKind.PAYMENT_TOKEN, choice))
    view = shop.create(terms=terms)
    paid = shop.pay(view, saves=ticked)
    assert paid.saved == {}
    assert paid.payment.saved is None or paid.payment.saved.string is None
    assert shop.do(ViewCheckoutSession(), shop.buyer(view)).saved == {}
    for _ in range(2):
        strings = list(shop.get(view).saved.values())
        assert len(strings) == int(saves)
    if saves:
        again = shop.create(token=strings[0])
        assert again.stored.last_four == NUMBERS[0][-4:]


def test_one_payment_may_store_both_kinds(shop: Shop) -> None:
    """A token for the returning buyer and one for the merchant alone, both of one card."""
    also = SaveTerms(StoredTokenKind.RECURRENCE_TOKEN)
    save = SaveTerms(StoredTokenKind.PAYMENT_TOKEN, SaveChoice.ALWAYS, also=(also,))
    view = shop.create(terms=replace(TERMS, save=save))
    shop.pay(view)
    kinds = [token_id[:3] for token_id in shop.get(view).saved]
    assert sorted(kinds) == ["pt_", "rt_"]


def test_a_verification_session_takes_nothing(shop: Shop) -> None:
    """A session of amount zero stores a card by verifying it."""
    terms = replace(
        TERMS, amount_minor=0, save=SaveTerms(StoredTokenKind.RECURRENCE_TOKEN, SaveChoice.ALWAYS)
    )
    shop.acquirer.outcome = Approved("p", 0)
    view = shop.create(terms=terms, kind=OperationKind.VERIFICATION)
    paid = shop.pay(view)
    assert paid.payment.payment.status is PaymentStatus.VERIFIED
    assert len(shop.get(view).saved) == 1
    for kind, amount in ((OperationKind.PURCHASE, 0), (OperationKind.VERIFICATION, 5)):
        command = CreateCheckoutSession(kind, replace(TERMS, amount_minor=amount))
        assert shop.refused(command) is ErrorCode.AMOUNT_INVALID


def test_a_locked_session_is_not_paid(shop: Shop) -> None:
    """While the merchant changes the order, nothing is paid; an update may end the lock."""
    view = shop.create()
    locked = shop.do(LockCheckoutSession(), shop.buyer(view))
    assert locked.session.lock_id is not None
    assert shop.pay(view).made_attempt is False
    terms = replace(TERMS, amount_minor=1500)
    shop.do(UpdateCheckoutSession(view.session.id, terms=terms, requires_lock=True, removes_lock=True))
    command = UpdateCheckoutSession(view.session.id, terms=terms, requires_lock=True)
    assert shop.refused(command) is ErrorCode.CHECKOUT_SESSION_CONFLICT
    paid = shop.pay(view)
    assert (paid.payment.payment.amount_minor, paid.session.lock_id) == (1500, None)
    assert shop.refused(UpdateCheckoutSession(view.session.id)) is ErrorCode.CHECKOUT_SESSION_CONFLICT


def test_what_was_read_before_a_change_does_not_overwrite_it(shop: Shop) -> None:
    """A version that is not the stored one is refused."""
    view = shop.create()
    shop.do(UpdateCheckoutSession(view.session.id, facts={"a": 1}, version=view.session.version))
    late = UpdateCheckoutSession(view.session.id, facts={"a": 2}, version=view.session.version)
    assert shop.refused(late) is ErrorCode.CHECKOUT_SESSION_CONFLICT
    assert shop.get(view).session.facts == {"a": 1}


@pytest.mark.parametrize(("who", "by"), [("merchant", Initiator.MERCHANT), ("buyer", Initiator.CUSTOMER)])
def test_both_sides_may_end_it(shop: Shop, who: str, by: Initiator) -> None:
    """A session that was cancelled or left is not paid; ending it again changes nothing."""
    view = shop.create()
    for _ in range(2):
        if who == "merchant":
            ended = shop.do(CancelCheckoutSession(view.session.id))
        else:
            ended = shop.do(AbandonCheckoutSession(), shop.buyer(view))
    assert (ended.session.state, ended.session.ended_by) == (CheckoutState.CANCELLED, by)
    assert len(ended.session.history) == 2
    assert shop.pay(view).made_attempt is False
    assert shop.payments() == []


def test_cancelling_voids_an_authorization(shop: Shop) -> None:
    """A paid session is undone where its payment can be voided, and refused where its money has moved."""
    view = shop.create(kind=OperationKind.AUTHORIZATION)
    shop.pay(view)
    cancelled = shop.do(CancelCheckoutSession(view.session.id))
    assert cancelled.session.state is CheckoutState.CANCELLED
    assert cancelled.payment.payment.status is PaymentStatus.VOIDED
    captured = shop.create()
    shop.pay(captured)
    assert shop.refused(CancelCheckoutSession(captured.session.id)) is ErrorCode.CHECKOUT_SESSION_CONFLICT
    assert shop.get(captured).session.state is CheckoutState.COMPLETED


def test_an_owner_that_dies_leaves_its_session_to_recovery(shop: Shop) -> None:
    """Nobody is there to record the answer: recovery finds it, and the session follows."""
    view = shop.create()
    process, node = shop.world.start("dying", CALM, ParkedProcessor(shop.world.scheduler))
    command = PayCheckoutSession(instrument=CARD)
    shop.world.scheduler.spawn(node.application.execute(command, shop.context(shop.buyer(view))), process)
    shop.run(shop.world.clock.sleep(1))
    shop.world.scheduler.crash(process)
    assert shop.get(view).session.state is CheckoutState.PAYING
    shop.run(shop.world.clock.sleep(60))
    assert shop.run(shop.node.recovery.run_once()) == 1
    assert shop.run(shop.node.checkout_payments.follow_payments()) == 1
    assert shop.get(view).session.state is CheckoutState.COMPLETED
    assert shop.pay(view).made_attempt is False
    assert [state for (state,) in shop.payments()] == ["approved"]


def test_time_ends_a_session(shop: Shop) -> None:
    """Past its time a session is expired for everybody, before and after the worker has come by."""
    view = shop.create(lifetime=timedelta(minutes=30))
    shop.run(shop.world.clock.sleep(1801))
    assert shop.get(view).session.state is CheckoutState.EXPIRED
    assert shop.pay(view).made_attempt is False
    assert shop.run(shop.node.checkout.expire_due()) == 1
    assert shop.run(shop.node.checkout.expire_due()) == 0
    assert shop.world.database.rows("SELECT state FROM checkout_session") == [("expired",)]


def test_visits_are_noted_and_bounded(shop: Shop) -> None:
    """The history tells who came; however often they reload, it stays bounded."""
    view = shop.create()
    for number in range(120):
        visited = shop.do(ViewCheckoutSession(visits=True, facts={"visitor": number}), shop.buyer(view))
    assert len(visited.session.history) == 100
    assert visited.session.facts == {"visitor": 119}
    assert history(shop.pay(view))[-2:] == [CheckoutEvent.START, CheckoutEvent.COMPLETE]


def test_a_merchant_pays_a_new_session_at_once(shop: Shop) -> None:
    """Without a buyer there is one attempt: approved it completes the session, declined it fails it."""
    agreement_terms = replace(TERMS, save=SaveTerms(StoredTokenKind.RECURRENCE_TOKEN, SaveChoice.ALWAYS))
    view = shop.create(terms=agreement_terms)
    shop.pay(view)
    (string,) = shop.get(view).saved.values()
    terms = replace(TERMS, return_url=None)
    command = PayNewCheckoutSession(
        CreateCheckoutSession(OperationKind.AUTHORIZATION, terms), FromStoredToken(string)
    )
    paid = shop.do(command)
    assert paid.session.state is CheckoutState.COMPLETED
    assert paid.payment.payment.initiator is Initiator.MERCHANT
    shop.acquirer.outcome = DECLINED
    declined = shop.do(command)
    assert declined.session.state is CheckoutState.FAILED
    assert declined.session.id != paid.session.id


def test_a_stranger_has_no_session(shop: Shop) -> None:
    """A visitor reaches the session of their address; a key may not pay, another tenant sees nothing."""
    view = shop.create()
    nobody = replace(shop.buyer(view), attributes=())
    assert shop.refused(PayCheckoutSession(instrument=CARD), nobody) is ErrorCode.CHECKOUT_SESSION_NOT_FOUND
    stranger = replace(principal_of(TENANTS[1]))
    assert shop.refused(GetCheckoutSession(view.session.id), stranger) is ErrorCode.CHECKOUT_SESSION_NOT_FOUND
    assert shop.refused(GetCheckoutSession(view.session.id), shop.buyer(view)) is ErrorCode.SCOPE_MISSING


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//shop.example", "https://a b", "data:text/html,x"])
def test_no_browser_is_sent_to_such_an_address(shop: Shop, url: str) -> None:
    """Return addresses are absolute and of no scheme that runs or reads something."""
    command = CreateCheckoutSession(OperationKind.PURCHASE, replace(TERMS, return_url=url))
    assert shop.refused(command) is ErrorCode.PARAMETER_INVALID
