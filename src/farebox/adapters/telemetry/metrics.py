"""Metrics in the names of the OpenTelemetry conventions, and `farebox_*` for what is ours.

Labels are closed sets: never a merchant, a token, a BIN or a text. Counting follows committed events, so
what a scrape shows is what the database holds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from farebox.adapters.telemetry.logging import ScrubbedHandler
from farebox.adapters.telemetry.tallies import Durations, Labels, Tally
from farebox.domain.access import Mode
from farebox.domain.events import Event, EventType
from farebox.domain.ids import OperationId
from farebox.domain.webhooks import AttemptResult

_log = logging.getLogger("farebox")

_OUTCOMES: Mapping[EventType, str] = {
    EventType.OPERATION_APPROVED: "approved",
    EventType.OPERATION_PENDING: "pending",
    EventType.OPERATION_DECLINED: "declined",
    EventType.OPERATION_FAILED: "failed",
    EventType.OPERATION_IN_DOUBT: "in_doubt",
    EventType.OPERATION_REVERSED: "reversed",
}
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _AccessLine(msgspec.Struct):
    """What is logged of a request."""

    level: str
    event: str
    dialect: str
    method: str
    route: str
    status: int
    duration_ms: float
    request_id: str


_encode = msgspec.json.Encoder().encode


class Metrics:
    """Implements `ports.telemetry.Telemetry`, and renders what was counted."""

    def __init__(self, *, version: str) -> None:
        """Register every metric."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._access_log: ScrubbedHandler | None = None
        self._requests = self._histogram(
            "http_server_request_duration_seconds",
            "Time from a request's headers to its answer.",
            ("dialect", "http_request_method", "http_route", "http_response_status_code"),
        )
        self._issued = self._counter("farebox_tokens_issued", "Tokens issued.", ("kind", "dialect", "mode"))
        self._consumed = self._counter(
            "farebox_tokens_consumed",
            "Tokens spent, by the dialect that spent them.",
            ("kind", "dialect", "mode"),
        )
        self._conflicts = self._counter(
            "farebox_token_conflicts", "Requests that came too late for their token.", ("dialect", "mode")
        )
        self._operations = self._counter(
            "farebox_operations", "Outcomes recorded.", ("operation", "outcome", "processor", "mode")
        )
        self._declines = self._counter("farebox_declines", "Declines.", ("reason", "processor"))
        self._calls = self._histogram(
            "farebox_operation_duration_seconds", "Time a processor took.", ("operation", "processor")
        )
        self._replays = self._counter(
            "farebox_idempotent_replays", "Answers given again to a repeated key.", ("dialect",)
        )
        self._opens = self._counter(
            "farebox_instrument_opens", "Openings of sealed instruments.", ("purpose",)
        )
        self._alarms = self._counter(
            "farebox_recovery_alarms",
            "Operations in doubt that recovery could not settle in six attempts.",
            (),
        )
        self._probing = self._counter(
            "farebox_card_probing_alerts", "Live cards of one shape, beyond five different ones a day.", ()
        )
        self._webhooks = self._counter(
            "farebox_webhook_deliveries", "Attempts to tell a receiver what happened.", ("result",)
        )
        self._backlog = Gauge(
            "farebox_webhook_backlog_seconds",
            "How long the oldest event or delivery waits that should be on its way.",
            registry=self.registry,
        )
        self._in_doubt = Gauge(
            "farebox_operations_in_doubt",
            "Operations whose outcome nobody knows yet.",
            ("processor",),
            registry=self.registry,
        )
        self._oldest = Gauge(
            "farebox_oldest_in_doubt_seconds",
            "Age of the oldest of them.",
            ("processor",),
            registry=self.registry,
        )
        self._key_age = Gauge(
            "farebox_vault_key_age_seconds", "Age of the keys in use.", ("kind",), registry=self.registry
        )
        Gauge("farebox_build_info", "Version.", ("version",), registry=self.registry).labels(version).set(1)

    def _counter(self, name: str, text: str, labels: Labels) -> Tally:
        tally = Tally(name, text, labels)
        self.registry.register(tally)
        return tally

    def _histogram(self, name: str, text: str, labels: Labels) -> Durations:
        durations = Durations(name, text, labels, _REQUEST_BUCKETS)
        self.registry.register(durations)
        return durations

    # --- ports.telemetry.Telemetry -----------------------------------------------------------------

    def observe(self, events: Sequence[Event]) -> None:
        """Count committed events."""
        for event in events:
            mode = event.tenant.mode.value
            if event.type is EventType.SINGLE_USE_TOKEN_MINTED:
                self._issued.add("single_use_token", str(event.data.get("dialect", "")), mode)
            elif event.type is EventType.STORED_TOKEN_CREATED:
                self._issued.add(str(event.data.get("kind")), str(event.data.get("dialect", "")), mode)
            elif event.type is EventType.SINGLE_USE_TOKEN_SPENT:
                self._consumed.add("single_use_token", str(event.data.get("dialect", "")), mode)
            elif event.type in _OUTCOMES:
                self._operation(event, _OUTCOMES[event.type], mode)

    def _operation(self, event: Event, outcome: str, mode: str) -> None:
        operation, processor = str(event.data.get("kind", "")), str(event.data.get("processor", ""))
        self._operations.add(operation, outcome, processor, mode)
        if outcome == "declined":
            self._declines.add(str(event.data.get("decline_reason", "other")), processor)

    def instrument_opened(self, purpose: str) -> None:
        """Count an opening."""
        self._opens.add(purpose)

    def token_conflict(self, dialect: str, mode: Mode) -> None:
        """Count a request that came too late."""
        self._conflicts.add(dialect, mode.value)

    def replayed(self, dialect: str) -> None:
        """Count an answer given again."""
        self._replays.add(dialect)

    def processor_answered(self, processor: str, operation: str, duration_s: float) -> None:
        """Time a call."""
        self._calls.add(duration_s, operation, processor)

    def card_probing(self, distinct: int) -> None:
        """Count a mint that looks like somebody enumerating a card's digits."""
        self._probing.add()
        _log.warning("many cards of one shape", extra={"distinct": distinct})

    def recovery_alarm(self, operation_id: OperationId, attempts: int) -> None:
        """Raise the alarm."""
        self._alarms.add()
        _log.critical("operation stays in doubt", extra={"operation": operation_id, "attempts": attempts})

    def webhook_attempted(self, result: AttemptResult) -> None:
        """Count one attempt at telling somebody."""
        self._webhooks.add(result.value)

    # --- the server's own --------------------------------------------------------------------------

    def log_requests_to(self, handler: ScrubbedHandler) -> None:
        """Write an access log line per request from now on."""
        self._access_log = handler

    def request_answered(
        self, *, dialect: str, method: str, route: str, status: int, duration_s: float, request_id: str
    ) -> None:
        """Time an answered request and log it: its route's template, never its path."""
        self._requests.add(duration_s, dialect, method, route, str(status))
        if self._access_log is not None:
            duration_ms = round(duration_s * 1000, 3)
            line = _AccessLine("info", "request", dialect, method, route, status, duration_ms, request_id)
            self._access_log.write_soon(_encode(line))

    def in_doubt(self, statistics: Mapping[str, tuple[int, datetime | None]], now: datetime) -> None:
        """Show what is in doubt, by processor."""
        self._in_doubt.clear()
        self._oldest.clear()
        for processor, (count, oldest) in statistics.items():
            self._in_doubt.labels(processor).set(count)
            age_s = (now - oldest).total_seconds() if oldest else 0.0
            self._oldest.labels(processor).set(age_s)

    def webhook_backlog(self, oldest: datetime | None, now: datetime) -> None:
        """Show for how long the oldest undelivered thing waits."""
        self._backlog.set(max(0.0, (now - oldest).total_seconds()) if oldest else 0.0)

    def key_ages(self, ages_s: Mapping[str, float]) -> None:
        """Show how old the keys in use are."""
        for kind, age_s in ages_s.items():
            self._key_age.labels(kind).set(age_s)

    def render(self) -> tuple[bytes, bytes]:
        """Give content type and body of `/metrics`."""
        return CONTENT_TYPE_LATEST.encode(), generate_latest(self.registry)
