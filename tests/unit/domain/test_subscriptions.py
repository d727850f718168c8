"""Due dates and what an answer does to a subscription."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.domain.access import Mode, Tenant
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.ids import AgreementId, MerchantId, StoredTokenId, SubscriptionId
from farebox.domain.subscriptions import (
    RETRY_AFTER_DAYS,
    Frequency,
    Subscription,
    SubscriptionState,
    begin,
    declined,
    due_date,
    ended,
    paid,
    reactivated,
    unmade,
)

START = date(2027, 1, 31)


def subscription(**more: object) -> Subscription:
    one = Subscription(
        id=SubscriptionId("sub_1"),
        tenant=Tenant(MerchantId("mer_1"), Mode.TEST),
        name="S-1",
        plan_id="doc_1",
        token_id=StoredTokenId("pt_1"),
        agreement_id=AgreementId("agr_1"),
        dialect="payroc",
        state=SubscriptionState.ACTIVE,
        is_automatic=True,
        currency="USD",
        amount_minor=1000,
        frequency=Frequency.MONTHLY,
        start_on=START,
        created_at=datetime(2027, 1, 1, tzinfo=UTC),
    )
    return begin(replace(one, **more))


@pytest.mark.parametrize(
    ("frequency", "days"),
    [
        (Frequency.WEEKLY, [date(2027, 1, 31), date(2027, 2, 7), date(2027, 2, 14)]),
        (Frequency.FORTNIGHTLY, [date(2027, 1, 31), date(2027, 2, 14), date(2027, 2, 28)]),
        (Frequency.MONTHLY, [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31)]),
        (Frequency.QUARTERLY, [date(2027, 1, 31), date(2027, 4, 30), date(2027, 7, 31)]),
        (Frequency.YEARLY, [date(2027, 1, 31), date(2028, 1, 31), date(2029, 1, 31)]),
    ],
)
def test_days_are_counted_from_the_start(frequency: Frequency, days: list[date]) -> None:
    """A short month does not shorten the months after it."""
    assert [due_date(START, frequency, period) for period in range(3)] == days


def test_a_leap_day_falls_on_the_last_of_february() -> None:
    assert due_date(date(2028, 2, 29), Frequency.YEARLY, 1) == date(2029, 2, 28)
    assert due_date(date(2028, 2, 29), Frequency.YEARLY, 4) == date(2032, 2, 29)


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.sampled_from(Frequency), st.integers(0, 100))
def test_each_period_is_later_than_the_one_before(start: date, frequency: Frequency, period: int) -> None:
    assert due_date(start, frequency, period) < due_date(start, frequency, period + 1)


def test_a_length_is_paid_and_then_it_is_over() -> None:
    one = subscription(length=2)
    assert one.act_on == START
    one = paid(one)
    assert (one.paid, one.act_on) == (1, date(2027, 2, 28))
    one = paid(one)
    assert (one.state, one.act_on, one.due_on) == (SubscriptionState.COMPLETED, None, None)


def test_an_end_date_wins_over_a_length() -> None:
    assert paid(subscription(length=12, end_on=date(2027, 2, 27))).state is SubscriptionState.COMPLETED
    assert paid(subscription(length=1, end_on=date(2027, 2, 28))).state is SubscriptionState.ACTIVE


def test_skipped_periods_are_not_billed() -> None:
    one = subscription(skipped=2, length=1)
    assert (one.period, one.act_on) == (2, date(2027, 3, 31))
    assert paid(one).state is SubscriptionState.COMPLETED


def test_a_declined_instalment_is_tried_again_by_rule() -> None:
    """Each attempt has a key of its own, the due date stays, and after the last one it is suspended."""
    one, on, keys = subscription(), START, set[str]()
    soft = decline_for(DeclineReason.INSUFFICIENT_FUNDS)
    for days in RETRY_AFTER_DAYS:
        keys.add(one.charge_key)
        one = declined(one, soft, on)
        assert (one.act_on, one.due_on) == (on + timedelta(days=days), START)
    keys.add(one.charge_key)
    assert len(keys) == len(RETRY_AFTER_DAYS) + 1
    one = declined(one, soft, on)
    assert (one.state, one.act_on) == (SubscriptionState.SUSPENDED, None)
    assert one.charge_key not in keys


def test_a_final_decline_suspends_at_once() -> None:
    stolen = decline_for(DeclineReason.STOLEN_CARD)
    assert declined(subscription(), stolen, START).state is SubscriptionState.SUSPENDED


def test_an_instalment_that_never_was_is_tried_again_at_once() -> None:
    """Under another key, on the same day: a crash is no decline."""
    one = subscription()
    again = unmade(one)
    assert (again.act_on, again.state) == (one.act_on, SubscriptionState.ACTIVE)
    assert again.charge_key != one.charge_key


def test_a_paid_period_forgets_its_attempts() -> None:
    one = paid(declined(subscription(), None, START))
    assert (one.period, one.attempts) == (1, 0)


def test_who_goes_on_skips_what_fell_due_meanwhile() -> None:
    stopped = ended(subscription(), SubscriptionState.CANCELLED)
    one = reactivated(stopped, date(2027, 5, 1))
    assert (one.period, one.act_on) == (4, date(2027, 5, 31))
    same = reactivated(ended(declined(subscription(), None, START), SubscriptionState.SUSPENDED), START)
    assert (same.period, same.attempts, same.act_on) == (0, 1, START)
