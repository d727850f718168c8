from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from farebox.adapters.telemetry import Metrics
from farebox.adapters.telemetry.logging import ScrubbedHandler
from farebox.domain.access import Mode, Tenant
from farebox.domain.events import Event, EventType, Value
from farebox.domain.ids import EventId, MerchantId, OperationId

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TENANT = Tenant(MerchantId("mer_1"), Mode.TEST)
CLOSED_LABELS = {
    "dialect", "http_request_method", "http_route", "http_response_status_code", "kind", "mode", "operation",
    "outcome", "processor", "reason", "purpose", "version", "revision", "key_version", "le", "generation",
    "implementation", "major", "minor", "patchlevel",
}  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3")


def event(type_: EventType, **data: Value) -> Event:
    return Event(EventId("evt_1"), TENANT, type_, "obj_1", 1, NOW, data)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, body = metrics.render()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_minted_tokens_are_counted(metrics: Metrics) -> None:
    """I10: one event per transition is one count per transition."""
    minted = event(EventType.SINGLE_USE_TOKEN_MINTED, dialect="native", kind="card")
    metrics.observe([minted, minted])
    labels = {"kind": "single_use_token", "dialect": "native", "mode": "test"}
    assert value(metrics, "farebox_tokens_issued_total", **labels) == 2


def test_spent_tokens_are_counted_by_the_dialect_that_spent_them(metrics: Metrics) -> None:
    """A token minted through one dialect may be spent through another."""
    metrics.observe([event(EventType.SINGLE_USE_TOKEN_SPENT, operation_id="op_1", dialect="native")])
    labels = {"kind": "single_use_token", "dialect": "native", "mode": "test"}
    assert value(metrics, "farebox_tokens_consumed_total", **labels) == 1


def test_stored_tokens_are_counted_by_kind(metrics: Metrics) -> None:
    """Payment and recurrence tokens are told apart."""
    metrics.observe([event(EventType.STORED_TOKEN_CREATED, dialect="native", kind="recurrence_token")])
    labels = {"kind": "recurrence_token", "dialect": "native", "mode": "test"}
    assert value(metrics, "farebox_tokens_issued_total", **labels) == 1


@pytest.mark.parametrize(
    ("type_", "outcome"),
    [
        (EventType.OPERATION_APPROVED, "approved"),
        (EventType.OPERATION_PENDING, "pending"),
        (EventType.OPERATION_DECLINED, "declined"),
        (EventType.OPERATION_FAILED, "failed"),
        (EventType.OPERATION_IN_DOUBT, "in_doubt"),
        (EventType.OPERATION_REVERSED, "reversed"),
    ],
)
def test_every_outcome_is_counted(metrics: Metrics, type_: EventType, outcome: str) -> None:
    """I10: no outcome goes uncounted."""
    metrics.observe([event(type_, kind="purchase", processor="sandbox")])
    labels = {"operation": "purchase", "outcome": outcome, "processor": "sandbox", "mode": "test"}
    assert value(metrics, "farebox_operations_total", **labels) == 1


def test_declines_are_counted_by_reason(metrics: Metrics) -> None:
    """The reason is one of a closed list, never the issuer's text."""
    declined = event(
        EventType.OPERATION_DECLINED,
        kind="purchase",
        processor="sandbox",
        decline_reason="insufficient_funds",
    )
    metrics.observe([declined])
    assert value(metrics, "farebox_declines_total", reason="insufficient_funds", processor="sandbox") == 1


def test_what_is_no_transition_of_money_is_not_counted_as_one(metrics: Metrics) -> None:
    """A look, a customer or a submission is no outcome."""
    before = {key for key in samples(metrics) if key[0].startswith("farebox_operations_total")}
    metrics.observe(
        [event(EventType.OPERATION_SUBMITTED, kind="purchase"), event(EventType.CUSTOMER_CREATED)]
    )
    assert {key for key in samples(metrics) if key[0].startswith("farebox_operations_total")} == before


def test_openings_are_counted_by_purpose(metrics: Metrics) -> None:
    """SEC-11: the number a security team watches."""
    metrics.instrument_opened("processor")
    metrics.instrument_opened("rotation")
    metrics.instrument_opened("processor")
    assert value(metrics, "farebox_instrument_opens_total", purpose="processor") == 2
    assert value(metrics, "farebox_instrument_opens_total", purpose="rotation") == 1


def test_conflicts_replays_and_alarms_are_counted(metrics: Metrics) -> None:
    """What came too late, what was answered again, and what recovery could not settle."""
    metrics.token_conflict("native", Mode.LIVE)
    metrics.replayed("native")
    metrics.recovery_alarm(OperationId("op_1"), 6)
    assert value(metrics, "farebox_token_conflicts_total", dialect="native", mode="live") == 1
    assert value(metrics, "farebox_idempotent_replays_total", dialect="native") == 1
    assert value(metrics, "farebox_recovery_alarms_total") == 1


def test_processors_and_requests_are_timed(metrics: Metrics) -> None:
    """Durations are in seconds, under the names of the OpenTelemetry conventions."""
    metrics.processor_answered("sandbox", "purchase", 0.25)
    labels = {"operation": "purchase", "processor": "sandbox"}
    assert value(metrics, "farebox_operation_duration_seconds_sum", **labels) == 0.25
    metrics.request_answered(
        dialect="native",
        method="GET",
        route="/v1/payments/{id}",
        status=200,
        duration_s=0.5,
        request_id="req_1",
    )
    labels = {
        "dialect": "native",
        "http_request_method": "GET",
        "http_route": "/v1/payments/{id}",
        "http_response_status_code": "200",
    }
    assert value(metrics, "http_server_request_duration_seconds_sum", **labels) == 0.5


def test_what_is_settled_is_no_longer_shown_in_doubt(metrics: Metrics) -> None:
    """A gauge that keeps a processor's last number would ring for nothing."""
    metrics.in_doubt({"sandbox": (2, NOW - timedelta(seconds=30)), "other": (0, None)}, NOW)
    assert value(metrics, "farebox_operations_in_doubt", processor="sandbox") == 2
    assert value(metrics, "farebox_oldest_in_doubt_seconds", processor="sandbox") == 30
    assert value(metrics, "farebox_oldest_in_doubt_seconds", processor="other") == 0
    metrics.in_doubt({}, NOW)
    shown = {name for name, _ in samples(metrics)}
    assert not shown & {"farebox_operations_in_doubt", "farebox_oldest_in_doubt_seconds"}


def test_labels_are_closed_sets(metrics: Metrics) -> None:
    """Never a merchant, a token, a BIN or a text in a label, nor a merchant's id in a value."""
    for type_ in EventType:
        metrics.observe([event(type_, kind="purchase", processor="sandbox", dialect="native")])
    found = samples(metrics)
    assert {name for _, labels in found for name, _ in labels} <= CLOSED_LABELS
    _, body = metrics.render()
    for secret in (b"mer_1", b"obj_1", b"evt_1"):
        assert secret not in body


def test_the_access_log_has_the_route_and_is_scrubbed(metrics: Metrics) -> None:
    """The template is logged, never a path; and the net is under this sink as well."""
    sink = io.BytesIO()
    metrics.log_requests_to(ScrubbedHandler(sink))
    metrics.request_answered(
        dialect="native",
        method="GET",
        route="/v1/payments/{id}",
        status=404,
        duration_s=0.0012,
        request_id="4242424242424242",
    )
    assert json.loads(sink.getvalue()) == {
        "level": "info",
        "event": "request",
        "dialect": "native",
        "method": "GET",
        "route": "/v1/payments/{id}",
        "status": 404,
        "duration_ms": 1.2,
        "request_id": "[scrubbed]",
    }
