"""Sending an operation, once, and recording what came back even when the database stumbles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from farebox.domain.errors import ErrorCode, Unavailable
from farebox.domain.operations import Outcome
from farebox.ports.processors import Processor, ProcessorRequest
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry

T = TypeVar("T")

_COMMIT_ATTEMPTS = 3
_COMMIT_PAUSE_S = 0.1


class Submission:
    """Hands requests to processors."""

    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        """Take the clock that R6 is judged by."""
        self._clock = clock
        self._telemetry = telemetry

    async def send(self, processor: Processor, request: ProcessorRequest, deadline: float) -> Outcome:
        """Send, unless it is too late for it (R6).

        Raises:
            Unavailable: `processor_unreachable`; no byte was sent.
        """
        started = self._clock.monotonic()
        if started >= deadline:
            raise Unavailable(ErrorCode.PROCESSOR_UNREACHABLE)
        outcome = await processor.submit(request)
        elapsed_s = self._clock.monotonic() - started
        self._telemetry.processor_answered(processor.name, request.kind.value, elapsed_s)
        return outcome


async def commit_answer(storage: Storage, clock: Clock, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """Write an answer down, trying again while the database is busy.

    Raises:
        Unavailable: `commit_unknown`: something was sent and its answer may not be recorded, so
            nobody may be told that nothing happened. Recovery finds out.
    """
    for attempt in range(_COMMIT_ATTEMPTS):
        try:
            return await storage.write(work)
        except Unavailable as refusal:
            if refusal.code is not ErrorCode.STORAGE_BUSY or attempt == _COMMIT_ATTEMPTS - 1:
                break
            await clock.sleep(_COMMIT_PAUSE_S)
    raise Unavailable(ErrorCode.COMMIT_UNKNOWN, retry_after_s=5)
