"""What a running server tells its operator, beside the events it stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from farebox.domain.access import Mode
from farebox.domain.events import Event
from farebox.domain.ids import OperationId
from farebox.domain.webhooks import AttemptResult


class Telemetry(Protocol):
    """Receives facts after they are durable. Labels are closed sets; ids only where a log line needs one."""

    def observe(self, events: Sequence[Event]) -> None:
        """Count committed events."""
        ...

    def instrument_opened(self, purpose: str) -> None:
        """Count an opening of an instrument: `processor`, `store`, `rotation`."""
        ...

    def token_conflict(self, dialect: str, mode: Mode) -> None:
        """Count a request that came too late for its token."""
        ...

    def replayed(self, dialect: str) -> None:
        """Count an answer given again to a repeated idempotency key."""
        ...

    def processor_answered(self, processor: str, operation: str, duration_s: float) -> None:
        """Time one call to a processor."""
        ...

    def card_probing(self, distinct: int) -> None:
        """Tell that many different live cards of one shape were sent today by one merchant."""
        ...

    def recovery_alarm(self, operation_id: OperationId, attempts: int) -> None:
        """Raise the alarm for an operation that stays in doubt."""
        ...

    def webhook_attempted(self, result: AttemptResult) -> None:
        """Count one attempt at telling somebody."""
        ...
