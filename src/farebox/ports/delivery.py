"""Sending one signed request to an address that a merchant chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from farebox.domain.access import Mode
from farebox.domain.frozen import frozen
from farebox.domain.webhooks import AttemptResult, OutboundRequest


@frozen
class Answered:
    """The receiver answered; of its body only the beginning is read."""

    status: int
    retry_after_s: int | None = None
    body: str = ""


@frozen
class Unanswered:
    """No answer: timed out, unreachable, or an address that may not be called."""

    why: AttemptResult


class Sender(Protocol):
    """Calls merchants' addresses, which may be anything (security design §5, SSRF)."""

    def check(self, url: str, mode: Mode) -> None:
        """Refuse a URL that could never be called; one that passes is judged again at every call.

        Raises:
            InvalidRequest: `url_refused`.
        """
        ...

    async def send(
        self, request: OutboundRequest, signature: Sequence[tuple[str, str]], *, mode: Mode, timeout_s: float
    ) -> Answered | Unanswered:
        """Send once: no redirect is followed, and only an address that was checked is connected to."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
