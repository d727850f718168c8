"""Chains of commands: look first, then act; and bearer sessions given for a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from farebox.domain.access import CredentialUse, Principal, Scope
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, FareboxError, Unauthenticated
from farebox.domain.tokens import TokenRules
from farebox.services.access import ACCESS_TOKEN_LIFETIME_S_MAX
from farebox.services.commands import (
    Attempt,
    Context,
    CreateDocument,
    DeleteDocument,
    Executed,
    GetDocument,
    Give,
    IdempotencyRequest,
    IssueAccessToken,
    Replayed,
    Then,
    UpdateDocument,
)
from farebox.testing.shoppers import principal_of, render
from farebox.testing.weather import CALM
from farebox.testing.world import TENANTS, Rules, World


class House:
    """One merchant at one Farebox."""

    def __init__(self) -> None:
        self.world = World(1, Rules(weather=CALM, processes=0))
        _, self.node = self.world.start("one", CALM)

    def answer(self, command: Any, *, key: str | None = None, principal: Principal | None = None) -> Any:
        context: Context[Any] = Context(
            principal=principal or principal_of(TENANTS[0]),
            dialect="native",
            rules=TokenRules(),
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
