"""Between the native API's webhook structs and the commands, and the routes they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec import UNSET

from farebox.dialects.dialect import AnyRoute, Call, NoBody, NoQuery, Route
from farebox.dialects.native import mapping, notices, wire
from farebox.dialects.native import webhook_wire as shapes
from farebox.dialects.native.callbacks import EVENT
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.events import Event
from farebox.domain.ids import DeliveryId, EventId, WebhookEndpointId
from farebox.domain.webhooks import is_event_pattern
from farebox.ports.storage import Page
from farebox.services import commands

AnyCall = Call[Any, Any]

# --- endpoints -------------------------------------------------------------------------------------


def read_create(call: Call[shapes.WebhookEndpointIn, NoQuery]) -> commands.CreateWebhookEndpoint:
    """Read an endpoint to make."""
    body = call.body
    return commands.CreateWebhookEndpoint(
        url=body.url,
        kind=EVENT,
        event_types=_patterns(body.events),
        description=mapping.read_text(body.description, "description"),
    )


def read_get(call: AnyCall) -> commands.GetWebhookEndpoint:
    """Read which endpoint to show."""
    return commands.GetWebhookEndpoint(_endpoint_id(call))


def read_list(call: Call[NoBody, wire.PageQuery]) -> commands.ListWebhookEndpoints:
    """Read which endpoints to list."""
    return commands.ListWebhookEndpoints(mapping.read_page(call.query, {}))


def read_update(call: Call[shapes.WebhookEndpointUpdateIn, NoQuery]) -> commands.UpdateWebhookEndpoint:
    """Read what to change."""
    body = call.body
    return commands.UpdateWebhookEndpoint(
        endpoint_id=_endpoint_id(call),
        url=body.url,
        event_types=None if body.events is None else _patterns(body.events),
        is_enabled=body.enabled,
        description=mapping.read_text(body.description, "description"),
    )


def read_delete(call: AnyCall) -> commands.DeleteWebhookEndpoint:
    """Read which endpoint to delete."""
    return commands.DeleteWebhookEndpoint(_endpoint_id(call))


def read_rotate(call: Call[shapes.SecretRotationIn, NoQuery]) -> commands.RotateWebhookSecret:
    """Read whose secret to change."""
    return commands.RotateWebhookSecret(_endpoint_id(call), timedelta(seconds=call.body.overlap_s))


def read_ping(call: AnyCall) -> commands.PingWebhookEndpoint:
    """Read which endpoint to ping."""
    return commands.PingWebhookEndpoint(_endpoint_id(call))


def write_endpoint(view: commands.WebhookEndpointView, call: AnyCall) -> shapes.WebhookEndpointOut:
    """Show an endpoint; its secret only where it was just made."""
    endpoint = view.endpoint
    status = "enabled" if endpoint.is_open else "disabled"
    return shapes.WebhookEndpointOut(
        id=endpoint.id,
        mode=endpoint.tenant.mode.value,
        url=endpoint.url,
        events=list(endpoint.event_types),
        status="deleted" if endpoint.deleted_at else status,
        disabled_reason=endpoint.disabled.value if endpoint.disabled else None,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        description=endpoint.description,
        dialect=endpoint.dialect,
        secret=view.secret,
    )


def write_endpoints(
    page: Page[commands.WebhookEndpointView], call: Call[NoBody, wire.PageQuery]
) -> shapes.WebhookEndpointListOut:
    """Show a page of endpoints."""
    data = [write_endpoint(view, call) for view in page.items]
    next_url = mapping.next_url(page, call, data[-1].id if data else None)
    return shapes.WebhookEndpointListOut(data=data, has_more=page.has_more, next_url=next_url)


def write_ping(event: Event, call: AnyCall) -> wire.EventOut:
    """Show the event that was sent."""
    return notices.event_out(commands.Notice(event, None), UNSET)


def _endpoint_id(call: AnyCall) -> WebhookEndpointId:
    return WebhookEndpointId(call.path["endpoint_id"])


def _patterns(events: Sequence[str]) -> Sequence[str]:
    """Refuse what no event is called: an endpoint that waits for a misspelt one would wait for ever."""
    if not all(is_event_pattern(text) for text in events):
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="events")
    return events


# --- deliveries ------------------------------------------------------------------------------------


def read_delivery(call: AnyCall) -> commands.GetDelivery:
    """Read which delivery to show."""
    return commands.GetDelivery(DeliveryId(call.path["delivery_id"]))


def read_deliveries(call: Call[NoBody, shapes.DeliveryQuery]) -> commands.ListDeliveries:
    """Read which deliveries to list."""
    query = call.query
    filters = {
        "endpoint_id": query.endpoint,
        "event_id": query.event,
        "subject_id": query.subject,
        "state": query.status,
    }
    return commands.ListDeliveries(mapping.read_page(query, filters))


def read_replay(call: AnyCall) -> commands.ReplayDelivery:
    """Read which delivery to begin again."""
    return commands.ReplayDelivery(DeliveryId(call.path["delivery_id"]))


def read_resend(call: Call[shapes.ResendIn, NoQuery]) -> commands.ResendEvent:
    """Read which event to tell again."""
    endpoint = call.body.endpoint
    return commands.ResendEvent(
        EventId(call.path["event_id"]), None if endpoint is None else WebhookEndpointId(endpoint)
    )


def write_delivery(view: commands.DeliveryView, call: AnyCall) -> shapes.DeliveryOut:
    """Show a delivery with its attempts."""
    return _delivery_out(view, [_attempt_out(attempt) for attempt in view.attempts])


def write_deliveries(
    page: Page[commands.DeliveryView], call: Call[NoBody, shapes.DeliveryQuery]
) -> shapes.DeliveryListOut:
    """Show a page of deliveries."""
    data = [_delivery_out(view, None) for view in page.items]
    next_url = mapping.next_url(page, call, data[-1].id if data else None)
    return shapes.DeliveryListOut(data=data, has_more=page.has_more, next_url=next_url)


def write_resent(views: Sequence[commands.DeliveryView], call: AnyCall) -> shapes.ResentOut:
    """Show what was begun again."""
    return shapes.ResentOut(data=[_delivery_out(view, None) for view in views])


def _delivery_out(
    view: commands.DeliveryView, attempts: list[shapes.AttemptOut] | None
) -> shapes.DeliveryOut:
    delivery = view.delivery
    return shapes.DeliveryOut(
        id=delivery.id,
        mode=delivery.tenant.mode.value,
        status=delivery.state.value,
        endpoint=delivery.endpoint_id,
        event=delivery.event_id,
        event_type=delivery.event_type,
        subject=delivery.subject_id,
        method=delivery.request.method,
        url=delivery.request.url,
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at,
        attempt_count=delivery.attempts,
        last_result=delivery.last_result.value if delivery.last_result else None,
        last_status=delivery.last_status,
        attempts=attempts,
    )


def _attempt_out(attempt: commands.DeliveryAttempt) -> shapes.AttemptOut:
    return shapes.AttemptOut(
        number=attempt.number,
        at=attempt.at,
        duration_ms=attempt.duration_ms,
        result=attempt.result.value,
        status=attempt.status,
        answer=attempt.answer,
    )


# --- routes ----------------------------------------------------------------------------------------

_ENDPOINTS = "/v1/webhook_endpoints"
_ENDPOINT = _ENDPOINTS + "/{endpoint_id}"
_DELIVERIES = "/v1/webhook_deliveries"
_DELIVERY = _DELIVERIES + "/{delivery_id}"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        "POST",
        _ENDPOINTS,
        shapes.WebhookEndpointIn,
        NoQuery,
        read_create,
        write_endpoint,
        summary="Have an address told what happens; the secret is shown now only",
        status=201,
        is_idempotent=True,
    ),
    Route(
        "GET",
        _ENDPOINTS,
        NoBody,
        wire.PageQuery,
        read_list,
        write_endpoints,
        summary="List webhook endpoints",
    ),
    Route("GET", _ENDPOINT, NoBody, NoQuery, read_get, write_endpoint, summary="Show a webhook endpoint"),
    Route(
        "PATCH",
        _ENDPOINT,
        shapes.WebhookEndpointUpdateIn,
        NoQuery,
        read_update,
        write_endpoint,
        summary="Change, enable or disable a webhook endpoint",
    ),
    Route(
        "DELETE",
        _ENDPOINT,
        NoBody,
        NoQuery,
        read_delete,
        write_endpoint,
        summary="Delete a webhook endpoint; what is on its way to it is cancelled",
    ),
    Route(
        "POST",
        _ENDPOINT + "/rotate_secret",
        shapes.SecretRotationIn,
        NoQuery,
        read_rotate,
        write_endpoint,
        summary="Give a webhook endpoint a new secret, shown now only",
        is_idempotent=True,
    ),
    Route(
        "POST",
        _ENDPOINT + "/ping",
        NoBody,
        NoQuery,
        read_ping,
        write_ping,
        summary="Send a webhook endpoint an event that tells of nothing",
        status=201,
        is_idempotent=True,
    ),
    Route(
        "GET",
        _DELIVERIES,
        NoBody,
        shapes.DeliveryQuery,
        read_deliveries,
        write_deliveries,
        summary="List webhook deliveries",
    ),
    Route(
        "GET",
        _DELIVERY,
        NoBody,
        NoQuery,
        read_delivery,
        write_delivery,
        summary="Show a webhook delivery with its attempts",
    ),
    Route(
        "POST",
        _DELIVERY + "/replay",
        NoBody,
        NoQuery,
        read_replay,
        write_delivery,
        summary="Send a webhook delivery again, the same bytes under the same id",
        is_idempotent=True,
    ),
    Route(
        "POST",
        "/v1/events/{event_id}/resend",
        shapes.ResendIn,
        NoQuery,
        read_resend,
        write_resent,
        summary="Tell an event again",
        is_idempotent=True,
    ),
)
