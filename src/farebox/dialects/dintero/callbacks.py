"""What a session's `callback_url` is told: the parameters it controls, those it gets, and how it is signed.

Source: Dintero's guides on the callback URL and on validating callbacks.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from farebox.dialects.dintero.names import instant, public_id
from farebox.dialects.dintero.outcomes import error_of, with_parameters
from farebox.dialects.dintero.reading import text_of
from farebox.dialects.dintero.session_views import transaction_id
from farebox.dialects.dintero.transactions import ACCOUNT
from farebox.domain.checkout import CheckoutSession
from farebox.domain.frozen import frozen
from farebox.domain.payments import Payment

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


def called_url(
    url: str,
    session: CheckoutSession,
    payment: Payment | None,
    *,
    event: str | None = None,
    event_id: str | None = None,
) -> str:
    """Give the address that is called: the merchant's own, and behind it what happened.

    Args:
        url: as it was given, its control parameters with it.
        session: what it belongs to.
        payment: the session's latest attempt.
        event: for the report of a capture, refund or void.
        event_id: its number in the transaction.
    """
    account_id = text_of(session.facts, ACCOUNT) or ""
    transaction = transaction_id(session)
    error = None if event is not None else error_of(session, payment)
    created_at: datetime = payment.created_at if payment is not None else session.created_at
    given: Mapping[str, str | None] = {
        "transaction_id": public_id(account_id, transaction) if transaction else None,
        controls_of(url).session_parameter: public_id(account_id, session.id),
        "merchant_reference": session.reference or "",
        "time": instant(created_at),
        "error": error,
        "event": event,
        "event_id": event_id,
    }
    return with_parameters(url, {name: value for name, value in given.items() if value is not None})


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
