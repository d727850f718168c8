"""How a session ended, as the merchant is told by redirects, callbacks and the page's messages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote_plus, urlsplit, urlunsplit

from farebox.dialects.dintero.names import AUTHORIZATION, CANCELLED, FAILED, public_id
from farebox.dialects.dintero.reading import object_of, text_of
from farebox.dialects.dintero.session_views import transaction_id
from farebox.dialects.dintero.transactions import ACCOUNT, URL
from farebox.domain.checkout import CheckoutSession, CheckoutState
from farebox.domain.declines import DeclineReason
from farebox.domain.payments import Payment
from farebox.services.commands import CheckoutSessionView

_UNPAID: Mapping[CheckoutState, str] = {
    CheckoutState.OPEN: CANCELLED,
    CheckoutState.LOCKED: CANCELLED,
    CheckoutState.CANCELLED: CANCELLED,
    CheckoutState.EXPIRED: CANCELLED,
    CheckoutState.FAILED: FAILED,
    CheckoutState.PAYING: FAILED,
}
"""The `error` of a session that was not paid. Whoever leaves an open one has cancelled."""
_BY_PAYER = frozenset({DeclineReason.AUTHENTICATION_FAILED, DeclineReason.AUTHENTICATION_REQUIRED})


def error_of(session: CheckoutSession, payment: Payment | None) -> str | None:
    """Name what went wrong: `cancelled`, `authorization` or `failed`; nothing where nothing did."""
    error = _UNPAID.get(session.state)
    decline = payment.decline if payment else None
    if error == FAILED and decline is not None and decline.reason in _BY_PAYER:
        return AUTHORIZATION
    return error


def parameters_of(session: CheckoutSession, payment: Payment | None) -> dict[str, str]:
    """Give what a redirect appends to the merchant's address."""
    found = {"merchant_reference": session.reference or ""}
    transaction = transaction_id(session)
    if transaction is not None:
        found["transaction_id"] = public_id(text_of(session.facts, ACCOUNT) or "", transaction)
    error = error_of(session, payment)
    return found if error is None else {**found, "error": error}


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Append parameters to the query that an address has, which stays as it is written."""
    added = "&".join(f"{name}={quote_plus(value, safe='.')}" for name, value in parameters.items())
    parts = urlsplit(url)
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))


def return_to(view: CheckoutSessionView) -> str | None:
    """Give where the buyer goes: the merchant's own address, because Magento posts a form to it."""
    session = view.session
    url = text_of(object_of(session.facts, URL), "return_url")
    if url is None:
        return None
    return with_parameters(url, parameters_of(session, view.payment.payment if view.payment else None))
