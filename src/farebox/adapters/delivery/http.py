"""Sends signed requests to merchants' addresses over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from farebox.adapters.delivery.ssrf import AddressGuard, AddressRefused
from farebox.adapters.http_client import HttpClient, HttpFailed, HttpTimedOut
from farebox.domain.access import Mode
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.webhooks import AttemptResult, OutboundRequest
from farebox.ports.delivery import Answered, Unanswered
from farebox.ports.system import Clock
from farebox.services.audience import check_url

ANSWER_BYTES_MAX = 1_024
"""Of what a receiver answers, for the merchant to look at."""


class HttpSender:
    """Implements `ports.delivery.Sender`."""

    def __init__(self, guard: AddressGuard, clock: Clock, *, version: str) -> None:
        """Take who judges addresses."""
        self._guard = guard
        self._clock = clock
        self._client = HttpClient(guard.resolve, guard.admit, user_agent=f"Farebox/{version}")

    def check(self, url: str, mode: Mode) -> None:
        """Refuse a URL that could never be called."""
        check_url(url, mode)
        try:
            self._guard.check_host(urlsplit(url).hostname or "")
        except AddressRefused:
            raise InvalidRequest(ErrorCode.URL_REFUSED, param="url") from None

    async def send(
        self, request: OutboundRequest, signature: Sequence[tuple[str, str]], *, mode: Mode, timeout_s: float
    ) -> Answered | Unanswered:
        """Send once."""
        try:
            # An address for a host is never resolved, so it is judged here; and the writer may have made
            # another URL of the endpoint's.
            self.check(request.url, mode)
        except InvalidRequest:
            return Unanswered(AttemptResult.ADDRESS_REFUSED)
        try:
            answer = await self._client.send(
                request.method,
                request.url,
                headers={**request.headers, **dict(signature)},
                body=request.body,
                timeout_s=timeout_s,
                body_bytes_max=ANSWER_BYTES_MAX,
            )
        except HttpTimedOut:
            return Unanswered(AttemptResult.TIMED_OUT)
        except HttpFailed as failure:
            is_refused = isinstance(failure.__cause__, AddressRefused)
            return Unanswered(AttemptResult.ADDRESS_REFUSED if is_refused else AttemptResult.UNREACHABLE)
        retry_after_s = _retry_after_s(answer.headers.get("Retry-After", ""), self._clock.now())
        return Answered(answer.status, retry_after_s, answer.body.decode("utf-8", "replace"))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()


def _retry_after_s(value: str, now: datetime) -> int | None:
    """Read seconds or a date (RFC 9110 §10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return int(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, int((at - now).total_seconds()))
