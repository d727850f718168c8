"""Chains of commands: look first, then act; and bearer sessions given for a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from farebox.domain.access import CredentialUse, Principal, Scope
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, FareboxError, Unauthenticated
from farebox.domain.ids import Numbering
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import TokenRules
from farebox.ports.storage import PageRequest
from farebox.services.access import ACCESS_TOKEN_LIFETIME_S_MAX
from farebox.services.commands import (
    Attempt,
    Context,
    CreateCustomer,
    CreateDocument,
    DeleteDocument,
    Executed,
    FindNumbered,
    FollowUp,
    FromInstrument,
    GetCustomer,
    GetDocument,
    GetPaymentByKey,
    GetStoredToken,
    Give,
    IdempotencyRequest,
    IssueAccessToken,
    ListStoredTokens,
    Mapped,
    Pay,
    Replayed,
    StoreCredential,
    Then,
    UpdateDocument,
    VisitorPage,
)
from farebox.testing.shoppers import NUMBERS, card, principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World

CARD = card(NUMBERS[0], cvc="123")


class House:
    """One merchant at one Farebox."""

    def __init__(self) -> None:
        self.world = World(1, Rules(weather=CALM, processes=0))
        _, self.node = self.world.start("one", CALM)

    def answer(
        self,
        command: Any,
        *,
        key: str | None = None,
        principal: Principal | None = None,
        rules: TokenRules | None = None,
    ) -> Any:
        context: Context[Any] = Context(
            principal=principal or principal_of(TENANTS[0]),
            dialect="native",
            rules=rules or TokenRules(),
            request_id="req_1",  # type: ignore[arg-type]
            render=render,
            idempotency=IdempotencyRequest(key, "test", b"") if key else None,
        )
        return self.world.scheduler.complete(self.node.application.execute(command, context))

    def do(self, command: Any, **how: Any) -> Any:
        answer = self.answer(command, **how)
        assert isinstance(answer, Executed)
        return answer.result

    def refused(self, command: Any, **how: Any) -> ErrorCode:
        with pytest.raises(FareboxError) as refusal:
            self.do(command, **how)
        return refusal.value.code


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.world.close()


def test_a_chain_looks_before_it_acts(house: House) -> None:
    """What was found decides, purely, what is done."""
    link = house.do(CreateDocument("link", {"n": 1}, name="spring"))

    def close(found: Document) -> Any:
        return UpdateDocument("link", found.id, found.version, facts={"n": 2}, state="closed")

    closed = house.do(Then(GetDocument("link", "spring", by_name=True), close))
    assert (closed.id, closed.state, closed.facts, closed.version) == (link.id, "closed", {"n": 2}, 2)
    assert house.do(Then(GetDocument("link", link.id), lambda found: Give(found.state))) == "closed"


def test_an_attempt_finds_nothing_where_there_is_nothing(house: House) -> None:
    """Only what is not there; any other refusal is one."""
    asked = Attempt(GetDocument("link", "none", by_name=True))
    assert house.do(Then(asked, lambda found: Give(found is None)))
    blind = replace(principal_of(TENANTS[0]), scopes=frozenset())
    assert house.refused(Then(asked, Give), principal=blind) is ErrorCode.SCOPE_MISSING


def test_every_link_of_a_chain_needs_its_scope(house: House) -> None:
    """A look cannot be used to act, nor an act to look."""
    link = house.do(CreateDocument("link", {}))
    chain = Then(GetDocument("link", link.id), lambda found: DeleteDocument("link", found.id))
    for scope in (Scope.DOCUMENTS_READ, Scope.DOCUMENTS_WRITE):
        narrow = replace(principal_of(TENANTS[0]), scopes=frozenset({scope}))
        assert house.refused(chain, principal=narrow) is ErrorCode.SCOPE_MISSING
    assert house.do(chain).deleted_at is not None
    assert house.refused(GetDocument("link", link.id)) is ErrorCode.DOCUMENT_NOT_FOUND


def test_the_idempotency_key_belongs_to_what_acts(house: House) -> None:
    """A repetition looks again and gets the first answer; the look has no answer of its own."""
    house.do(CreateDocument("profile", {}, name="default"))
    chain = Then(
        GetDocument("profile", "default", by_name=True),
        lambda found: CreateDocument("link", {}, parent_id=found.id),
    )
    assert isinstance(house.answer(chain, key="k"), Executed)
    assert isinstance(house.answer(chain, key="k"), Replayed)
    rows = house.world.database.rows("SELECT COUNT(*) FROM document WHERE kind = 'link'")
    assert rows == [(1,)]


def test_a_document_that_changed_meanwhile_is_not_overwritten(house: House) -> None:
    """The version that was read decides."""
    link = house.do(CreateDocument("link", {}))
    change = UpdateDocument("link", link.id, link.version, state="closed")
    house.do(change)
    assert house.refused(change) is ErrorCode.DOCUMENT_STATE_CONFLICT


def test_a_strangers_documents_are_unknown(house: House) -> None:
    """I12: by id, by name, for reading and for writing."""
    link = house.do(CreateDocument("link", {}, name="spring"))
    stranger = principal_of(TENANTS[1])
    for command in (
        GetDocument("link", link.id),
        GetDocument("link", "spring", by_name=True),
        UpdateDocument("link", link.id, 1, state="closed"),
        DeleteDocument("link", link.id),
    ):
        assert house.refused(command, principal=stranger) is ErrorCode.DOCUMENT_NOT_FOUND


def test_an_access_token_lives_an_hour_at_most_and_only_as_one(house: House) -> None:
    """SEC-20: an opaque string with the key's scopes; not a key, not for another dialect, not for ever."""
    view = house.do(IssueAccessToken(lifetime_s=86_400))
    assert view.lifetime_s == ACCESS_TOKEN_LIFETIME_S_MAX
    access, complete = house.node.access, house.world.scheduler.complete

    def authenticate(use: CredentialUse, dialect: str = "native") -> Principal:
        return complete(access.authenticate(view.string, dialect=dialect, use=use))

    found = authenticate(CredentialUse.ACCESS_TOKEN)
    assert (found.tenant, found.scopes) == (TENANTS[0], principal_of(TENANTS[0]).scopes)
    for wrong in (lambda: authenticate(CredentialUse.KEY), lambda: authenticate(CredentialUse.VISITOR)):
        with pytest.raises(Unauthenticated):
            wrong()
    with pytest.raises(Unauthenticated):
        authenticate(CredentialUse.ACCESS_TOKEN, "payroc")
    complete(house.world.clock.sleep(timedelta(hours=1).total_seconds() + 1))
    with pytest.raises(Unauthenticated):
        authenticate(CredentialUse.ACCESS_TOKEN)


def test_an_answer_may_be_made_of_the_result_and_of_what_was_looked_at(house: House) -> None:
    """`Mapped` acts once: its answer is stored under the key as it is given, and replayed."""
    mapped = Mapped(CreateDocument("link", {"n": 1}), lambda made: {"kind": made.kind, "facts": made.facts})
    first = house.answer(mapped, key="m")
    assert isinstance(first, Executed)
    assert first.result == {"kind": "link", "facts": {"n": 1}}
    again = house.answer(mapped, key="m")
    assert isinstance(again, Replayed)
    assert again.answer == first.answer == render(first.result)
    narrow = replace(principal_of(TENANTS[0]), scopes=frozenset())
    assert house.refused(mapped, principal=narrow) is ErrorCode.SCOPE_MISSING


def test_what_comes_with_a_payment_is_stored_with_it(house: House) -> None:
    """A payment's new customer is there and its own; a stranger's e-mail stays free for a registration."""
    bought = house.do(
        Pay(
            OperationKind.PURCHASE,
            Money(1000, "EUR"),
            FromInstrument(CARD),
            new_customer=CreateCustomer(facts={"owner": "Anonymous"}),
            visitor_page=VisitorPage("CA_", timedelta(hours=1)),
        )
    )
    customer = house.do(GetCustomer(bought.payment.customer_id))
    assert customer.facts == {"owner": "Anonymous"}
    session = bought.payment.facts["session"]
    assert re.fullmatch("CA_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", session)
    authenticated = house.node.access.authenticate(session, dialect="native", use=CredentialUse.VISITOR)
    visitor = house.world.scheduler.complete(authenticated)
    assert visitor.attribute("payment_id") == bought.payment.id
    assert visitor.scopes == frozenset({Scope.PAYMENTS_READ, Scope.SANDBOX_WRITE})


def test_an_address_and_a_card_are_taken_once_where_that_is_asked(house: House) -> None:
    """The same e-mail for two customers, or one card twice for one customer, is refused."""
    ana = house.do(CreateCustomer(email="a@b.test", has_unique_email=True))
    other = house.do(CreateCustomer(email="a@b.test"))
    assert (
        house.refused(CreateCustomer(email="a@b.test", has_unique_email=True)) is ErrorCode.NAME_ALREADY_USED
    )
    store = StoreCredential(FromInstrument(CARD), is_unique=True, customer_id=ana.id)
    house.do(store)
    assert house.refused(store) is ErrorCode.INSTRUMENT_ALREADY_STORED
    house.do(replace(store, customer_id=other.id))
    house.do(replace(store, is_unique=False))


def test_a_stored_string_is_shown_again_only_where_the_rules_say_so(house: House) -> None:
    """It is sealed with the details, so a list shows it only when it opens them."""
    shown = TokenRules(shows_stored_again=True)
    for rules, string in ((shown, True), (TokenRules(), False)):
        made = house.do(StoreCredential(FromInstrument(CARD)), rules=rules)
        found = house.do(GetStoredToken(made.token.id))
        assert (found.details.token == made.string) is string
        assert found.details.token is None or string
    page = ListStoredTokens(PageRequest())
    assert all(view.details is None for view in house.do(page).items)
    opened = house.do(replace(page, with_details=True))
    assert sorted(view.details.token is None for view in opened.items) == [False, True]


def test_a_final_capture_voids_the_rest(house: House) -> None:
    """What a capture leaves is held no longer; without the word it stays to be captured."""
    for releases, left in ((True, 0), (False, 700)):
        money = Money(1000, "EUR")
        opened = house.do(Pay(OperationKind.AUTHORIZATION, money, FromInstrument(CARD)))
        capture = FollowUp(opened.payment.id, OperationKind.CAPTURE, 300, releases_rest=releases)
        view = house.do(capture, key=f"capture-{releases}")
        assert view.operation.kind is OperationKind.CAPTURE
        assert (view.payment.captured_minor, view.payment.capturable_minor) == (300, left)


def test_things_are_found_by_their_numbers(house: House) -> None:
    """By either kind of number, of the owner's things only, and nothing by a number that nothing has."""
    customer = house.do(CreateCustomer())
    bought = house.do(Pay(OperationKind.PURCHASE, Money(1000, "EUR"), FromInstrument(CARD)))
    token = house.do(StoreCredential(FromInstrument(CARD)))
    things = [("cus", customer.id), ("pay", bought.payment.id), ("pt", token.token.id)]
    things.append(("op", bought.operations[0].id))
    for prefix, identifier in things:
        for numbering in (Numbering(), Numbering(10)):
            number = numbering.number_of(identifier)
            found = FindNumbered(prefix, numbering, number)  # type: ignore[arg-type]
            assert house.do(found) == identifier
            house.refused(found, principal=principal_of(TENANTS[1]))
            house.refused(replace(found, number=number + 1))


def test_a_payment_is_found_by_the_key_it_was_made_under(house: House) -> None:
    """As long as the key is remembered, by its owner, within its kind of request."""
    pay = Pay(OperationKind.PURCHASE, Money(1000, "EUR"), FromInstrument(CARD))
    bought = house.do(pay, key="order-1")
    assert house.do(GetPaymentByKey("test", "order-1")).payment.id == bought.payment.id
    for kind, key in (("test", "order-2"), ("other", "order-1")):
        assert house.refused(GetPaymentByKey(kind, key)) is ErrorCode.PAYMENT_NOT_FOUND
    stranger = principal_of(TENANTS[1])
    assert (
        house.refused(GetPaymentByKey("test", "order-1"), principal=stranger) is ErrorCode.PAYMENT_NOT_FOUND
    )
