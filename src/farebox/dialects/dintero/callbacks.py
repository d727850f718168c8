"""What a session's `callback_url` is told: the parameters it controls, those it gets, and how it is signed.

Source: Dintero's guides on the callback URL and on validating callbacks.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from farebox.dialects.codec import encode
from farebox.dialects.dintero.names import instant, public_id, request_uuid
from farebox.dialects.dintero.outcomes import error_of, with_parameters
from farebox.dialects.dintero.reading import text_of
from farebox.dialects.dintero.session_views import session_out, transaction_id
from farebox.dialects.dintero.transactions import (
    ACCOUNT,
    SESSION,
    Transaction,
    events_of,
    transaction_out,
)
from farebox.domain.events import Event, EventType
from farebox.domain.frozen import frozen
from farebox.domain.webhooks import OutboundRequest, RetrySchedule, Terms, WebhookEndpoint
from farebox.services.callbacks import Callbacks, Signing
from farebox.services.commands import CheckoutSessionView, Notice, PaymentView

DELAY_S_MAX = 60
"""The documented maximum; WooCommerce asks for more and gets this."""
SIGNATURE = "v0-hmac-sha256"
REPORTED = frozenset({"CAPTURE", "REFUND", "VOID"})


@frozen
class Controls:
    """What a callback's address says of how it is to be called."""

    method: str = "GET"
    reports_error: bool = False
    delay_s: int = 0
    reports: frozenset[str] = frozenset()
    """Events beside the authorization."""
    includes_session: bool = False
    session_parameter: str = "session_id"


def controls_of(url: str) -> Controls:
    """Read the control parameters of an address; what is none of them is the merchant's own."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        given.setdefault(name, []).append(value)

    def last(name: str) -> str:
        return given.get(name, [""])[-1]

    delay = last("delay_callback")
    return Controls(
        method="POST" if last("method").upper() == "POST" else "GET",
        reports_error=last("report_error") == "true",
        delay_s=min(int(delay), DELAY_S_MAX) if delay.isascii() and delay.isdecimal() else 0,
        reports=frozenset(one.upper() for one in given.get("report_event", [])) & REPORTED,
        includes_session="session" in given.get("includes", []),
        session_parameter="sid" if last("sid_parameter_name") == "sid" else "session_id",
    )


def called_url(url: str, parameters: Mapping[str, str | None]) -> str:
    """Give the address that is called: the merchant's own, and behind it what happened."""
    return with_parameters(url, {name: value for name, value in parameters.items() if value is not None})


def of_session(view: CheckoutSessionView, controls: Controls) -> dict[str, str | None]:
    """Give the parameters that tell how a session ended."""
    session = view.session
    payment = view.payment.payment if view.payment else None
    account_id = text_of(session.facts, ACCOUNT) or ""
    transaction = transaction_id(session)
    return {
        "transaction_id": public_id(account_id, transaction) if transaction else None,
        controls.session_parameter: public_id(account_id, session.id),
        "merchant_reference": session.reference or "",
        "time": instant(payment.created_at if payment is not None else session.created_at),
        "error": error_of(session, payment),
    }


def of_operation(view: PaymentView, controls: Controls, event: str) -> dict[str, str | None]:
    """Give the parameters that tell of a capture, a refund or a void."""
    payment = view.payment
    account_id = text_of(payment.facts, ACCOUNT) or ""
    session_id = text_of(payment.facts, SESSION)
    number = next((one.id for one in reversed(events_of(view, frozenset())) if one.event == event), None)
    return {
        "transaction_id": public_id(account_id, payment.id),
        controls.session_parameter: public_id(account_id, session_id) if session_id else None,
        "merchant_reference": payment.reference or "",
        "time": instant(payment.created_at),
        "event": event,
        "event_id": number,
    }


_ENDS: Mapping[EventType, bool] = {
    EventType.CHECKOUT_SESSION_COMPLETED: False,
    EventType.CHECKOUT_SESSION_FAILED: True,
    EventType.CHECKOUT_SESSION_CANCELLED: True,
    EventType.CHECKOUT_SESSION_EXPIRED: True,
}
"""What a callback tells of, and whether only one that asks for errors hears of it."""
_KINDS: Mapping[str, str] = {"capture": "CAPTURE", "refund": "REFUND", "void": "VOID"}


def wants(event: Event, endpoint: WebhookEndpoint) -> bool:
    """Tell whether an address hears of an event."""
    controls = controls_of(endpoint.url)
    if event.type is EventType.OPERATION_APPROVED:
        return _KINDS.get(str(event.data.get("kind"))) in controls.reports
    is_error = _ENDS.get(event.type)
    return is_error is False or (is_error is True and controls.reports_error)


def write(notice: Notice, endpoint: WebhookEndpoint) -> OutboundRequest | None:
    """Write the call: the transaction is the body of a POST, and `{}` where there is none."""
    controls, subject = controls_of(endpoint.url), notice.subject
    body: object = {}
    match subject:
        case CheckoutSessionView():
            parameters = of_session(subject, controls)
            if subject.payment is not None and parameters["transaction_id"] is not None:
                body = _body(subject.payment, subject if controls.includes_session else None)
        case PaymentView():
            parameters = of_operation(subject, controls, _KINDS[str(notice.event.data.get("kind"))])
            body = _body(subject, None)
        case _:
            return None
    is_post = controls.method == "POST"
    return OutboundRequest(
        url=called_url(endpoint.url, parameters),
        body=encode(body) if is_post else b"",
        method=controls.method,
        headers={"content-type": "application/json"} if is_post else {},
        delay_s=float(controls.delay_s),
    )


def _body(view: PaymentView, session: CheckoutSessionView | None) -> object:
    account_id = text_of(view.payment.facts, ACCOUNT) or ""
    shown = session_out(session, account_id) if session is not None else None
    return transaction_out(Transaction(view, session=shown), account_id)


def sign(signing: Signing) -> Sequence[tuple[str, str]]:
    """Name the delivery, and sign it where the account has a secret."""
    delivery = ("event-delivery", request_uuid(signing.delivery_id))
    if not signing.secrets:
        return (delivery,)
    account_id = text_of(signing.endpoint.facts, ACCOUNT) or ""
    request = signing.request
    signed = signature(
        signing.secrets[0], account_id, request.method, request.url, int(signing.at.timestamp())
    )
    return delivery, ("Dintero-Signature", signed)


CALLBACK = "callback"
_ATTEMPTS = 20
CALLBACKS: Mapping[str, Callbacks] = {
    CALLBACK: Callbacks(
        write,
        sign,
        terms=Terms(
            # Twenty retries; the schedule is ours: doubling from 10 s to 6 h, about three days in all.
            retries=RetrySchedule(tuple(min(10.0 * 2**number, 21_600.0) for number in range(_ATTEMPTS))),
            timeout_s=10.0,
            final=(range(400, 500),),
            gone=frozenset(),
        ),
        wants=wants,
        new_secret=lambda entropy: entropy.hex(),
    )
}
"""One kind: the address that came with a session."""


def text_to_sign(account_id: str, method: str, url: str, at: int) -> str:
    """Write what a signature covers: time, account, method, host, path, and query in order of names."""
    parts = urlsplit(url)
    query: Sequence[tuple[str, str]] = sorted(
        parse_qsl(parts.query, keep_blank_values=True), key=lambda one: one[0]
    )
    lines = (str(at), account_id, method, parts.hostname or "", parts.path, urlencode(query))
    return "\n".join(lines)


def signature(secret: str, account_id: str, method: str, url: str, at: int) -> str:
    """Give the value of `Dintero-Signature`.

    Args:
        secret: the account's.
        account_id: whose.
        method: of the call, upper case.
        url: the one that is called.
        at: seconds since 1970.
    """
    text = text_to_sign(account_id, method, url, at)
    return f"t={at},{SIGNATURE}={hmac.digest(secret.encode(), text.encode(), 'sha256').hex()}"
