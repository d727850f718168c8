"""How often a card may be declined without its customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.operations import OperationState
from farebox.domain.retry_limits import RetryLimit, is_exhausted

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LIMIT = RetryLimit(3, timedelta(days=1))
SOFT = (OperationState.DECLINED, NOW, decline_for(DeclineReason.INSUFFICIENT_FUNDS))
HARD = (OperationState.DECLINED, NOW, decline_for(DeclineReason.STOLEN_CARD))
GOOD = (OperationState.APPROVED, NOW, None)
LOST = (OperationState.FAILED, NOW, None)
OLD = (OperationState.DECLINED, NOW - timedelta(days=1), decline_for(DeclineReason.STOLEN_CARD))


def test_declines_are_counted_back_to_the_last_approval() -> None:
    """Attempts are newest first; what was never sent counts for nothing."""
    assert is_exhausted([SOFT] * 3, LIMIT, NOW)
    assert not is_exhausted([SOFT] * 2, LIMIT, NOW)
    assert not is_exhausted([SOFT, SOFT, GOOD, SOFT], LIMIT, NOW)
    assert not is_exhausted([SOFT, LOST, SOFT], LIMIT, NOW)


def test_a_card_that_is_not_to_be_tried_again_is_blocked_at_once() -> None:
    """Until the period is over or, by the customer's own payment with it, an approval came."""
    assert is_exhausted([HARD], LIMIT, NOW)
    assert is_exhausted([SOFT, HARD], LIMIT, NOW)
    assert not is_exhausted([GOOD, HARD], LIMIT, NOW)
    assert not is_exhausted([OLD], LIMIT, NOW)
