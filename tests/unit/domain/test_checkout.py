"""The life of a checkout session, move by move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from farebox.domain.access import Mode, Tenant
from farebox.domain.checkout import (
    ATTEMPTS_MAX,
    HISTORY_MAX,
    TRANSITIONS,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    CheckoutTerms,
    check_url,
    event_of_payment,
    moved,
)
from farebox.domain.errors import Conflict, InvalidRequest
from farebox.domain.ids import CheckoutSessionId, MerchantId
from farebox.domain.operations import Initiator, OperationKind, OperationState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = CheckoutSession(
    id=CheckoutSessionId("cs_1"),
    tenant=Tenant(MerchantId("mer_1"), Mode.TEST),
    dialect="native",
    state=CheckoutState.OPEN,
    kind=OperationKind.PURCHASE,
    terms=CheckoutTerms(1000, "EUR"),
    created_at=NOW,
    updated_at=NOW,
    expires_at=NOW + timedelta(days=1),
)
LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize("state", list(CheckoutState))
@pytest.mark.parametrize("event", list(CheckoutEvent))
def test_every_pair_is_in_the_table_or_refused(state: CheckoutState, event: CheckoutEvent) -> None:
    """A move is told in the history; what the table does not name changes nothing."""
    before = replace(SESSION, state=state)
    after = TRANSITIONS[state].get(event)
    if after is None:
        with pytest.raises(Conflict):
            moved(before, event, LATER)
        return
    session = moved(before, event, LATER, request_id="req_1", facts={"a": 1})
    assert session.state is after
    assert session.updated_at == LATER
    assert session.history[-1].event is event
    assert session.history[-1].facts == {"a": 1}


def test_nothing_leads_back_from_an_end_but_a_void() -> None:
    """A session that has ended is never paid."""
    for state in (CheckoutState.FAILED, CheckoutState.CANCELLED, CheckoutState.EXPIRED):
        assert not TRANSITIONS[state]
    assert set(TRANSITIONS[CheckoutState.COMPLETED].values()) == {CheckoutState.CANCELLED}
    paying = {state for state, moves in TRANSITIONS.items() if CheckoutState.PAYING in moves.values()}
    assert paying == {CheckoutState.OPEN, CheckoutState.PAYING}


@pytest.mark.parametrize("state", list(OperationState))
def test_a_payment_says_what_becomes_of_its_session(state: OperationState) -> None:
    """Only an answer moves a session; a doubt never does."""
    event = event_of_payment(state, attempts=1)
    alone = event_of_payment(state, attempts=1, initiator=Initiator.MERCHANT)
    if state in {OperationState.SUBMITTED, OperationState.IN_DOUBT}:
        assert event is alone is None
    elif state in {OperationState.APPROVED, OperationState.PENDING}:
        assert event is alone is CheckoutEvent.COMPLETE
    else:
        assert event in {CheckoutEvent.DECLINE, CheckoutEvent.RELEASE}
        assert alone is CheckoutEvent.FAIL
    assert event is None or event in TRANSITIONS[CheckoutState.PAYING]


def test_the_last_decline_fails_the_session() -> None:
    """Ten cards are tried, not eleven."""
    declined = OperationState.DECLINED
    assert event_of_payment(declined, attempts=ATTEMPTS_MAX - 1) is CheckoutEvent.DECLINE
    assert event_of_payment(declined, attempts=ATTEMPTS_MAX) is CheckoutEvent.FAIL


def test_a_history_is_bounded_and_keeps_its_ends() -> None:
    """Visits stop counting when it is full; what decides is always told."""
    session = SESSION
    for _ in range(HISTORY_MAX + 20):
        session = moved(session, CheckoutEvent.VISIT, LATER)
    assert len(session.history) == HISTORY_MAX
    session = moved(session, CheckoutEvent.CANCEL, LATER)
    assert len(session.history) == HISTORY_MAX
    assert session.history[-1].event is CheckoutEvent.CANCEL


def test_an_unpaid_session_past_its_time_is_shown_expired() -> None:
    """At its end and not before; one that is being paid is not."""
    end = SESSION.expires_at
    assert SESSION.as_of(end - timedelta(microseconds=1)).state is CheckoutState.OPEN
    assert SESSION.as_of(end).state is CheckoutState.EXPIRED
    assert replace(SESSION, state=CheckoutState.PAYING).as_of(end).state is CheckoutState.PAYING


@pytest.mark.parametrize(
    "url", ["https://shop.example/a?b=c#d", "http://127.0.0.1:8000/", "myapp://done", "intent:pay", None]
)
def test_addresses_that_browsers_may_be_sent_to(url: str | None) -> None:
    assert check_url(url, param="url") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "/relative",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://shop.example/\nset-cookie",
        "https://shop.example/<script>",
        "https://shop.example/" + "a" * 2048,
    ],
)
def test_addresses_that_no_browser_is_sent_to(url: str) -> None:
    """What runs, reads files, breaks a header or is no absolute address."""
    with pytest.raises(InvalidRequest):
        check_url(url, param="url")
