"""How often a merchant may try a card alone that its issuer keeps declining.

The networks fine those who go on: Visa counts the declines of a card in 30 days, Mastercard in 24 hours, and
both say at once when a card is not to be tried again. A gateway that enforces this stops sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from farebox.domain.declines import Advice, Decline
from farebox.domain.frozen import frozen
from farebox.domain.operations import OperationState


@frozen
class RetryLimit:
    """How many declines in a period end the merchant's own attempts with a card."""

    declines: int
    period: timedelta


Attempt = tuple[OperationState, datetime, Decline | None]
"""How an attempt ended, when it began, and why it was declined."""


def is_exhausted(attempts: Sequence[Attempt], limit: RetryLimit, now: datetime) -> bool:
    """Tell whether a card may not be tried any more.

    Args:
        attempts: those made without the customer, newest first, at least `limit.declines` of them if there
            are so many.
        limit: of the card's brand.
        now: by the merchant's clock.
    """
    declines = 0
    for state, at, decline in attempts:
        if state is OperationState.APPROVED or at <= now - limit.period:
            break
        if decline is None:
            continue
        if decline.advice is Advice.DO_NOT_RETRY:
            return True
        declines += 1
    return declines >= limit.declines
