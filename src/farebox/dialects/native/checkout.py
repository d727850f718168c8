"""Checkout sessions in the native API: the merchant's endpoints, and where the buyer's page stands."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from farebox.dialects.checkout_page import CheckoutPage
from farebox.dialects.dialect import AnyRoute, Call, NoBody, NoQuery, Route, VisitorInPath
from farebox.dialects.native import checkout_wire as wire
from farebox.dialects.native import mapping
from farebox.domain.checkout import (
    CheckoutSession,
    CheckoutState,
    CheckoutTerms,
    OrderLine,
    OtherMethod,
    SaveChoice,
    SaveTerms,
)
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import CheckoutSessionId
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.ports.storage import Page
from farebox.services import commands

_SESSIONS = "/v1/checkout_sessions"
_PAGE = "/checkout/{address}"


def read_creation(call: Call[wire.CheckoutSessionIn, NoQuery]) -> commands.CreateCheckoutSession:
    """Read an order to be paid.

    Raises:
        InvalidRequest: `amount_invalid` when the lines do not add up; `parameter_missing` when there is
            nothing to take and nothing to store.
    """
    body = call.body
    if body.lines and sum(line.amount_minor for line in body.lines) != body.amount_minor:
        raise InvalidRequest(
            ErrorCode.AMOUNT_INVALID, param="lines", detail="The lines do not add up to amount_minor."
        )
    if body.amount_minor == 0 and body.save is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="save")
    kind = OperationKind.PURCHASE if body.capture else OperationKind.AUTHORIZATION
    return commands.CreateCheckoutSession(
        kind=OperationKind.VERIFICATION if body.amount_minor == 0 else kind,
        terms=_terms(body),
        lifetime=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
        reference=mapping.read_text(body.reference, "reference"),
        customer_id=mapping.read_customer_id(body.customer),
        token=None if body.payment_token is None else TokenString(body.payment_token),
        metadata=mapping.read_metadata(body.metadata),
    )


def _terms(body: wire.CheckoutSessionIn) -> CheckoutTerms:
    for number, line in enumerate(body.lines):
        mapping.read_text(line.description, f"lines[{number}].description")
    save = None
    if body.save is not None:
        # Without anything to take, storing the card is all that the buyer came for.
        choice = SaveChoice.ALWAYS if body.amount_minor == 0 else SaveChoice(body.save_choice)
        save = SaveTerms(StoredTokenKind(body.save), choice)
    return CheckoutTerms(
        amount_minor=body.amount_minor,
        currency=body.currency,
        lines=tuple(
            OrderLine(
                line.description, line.amount_minor, Decimal(line.quantity), line.reference, line.tax_minor
            )
            for line in body.lines
        ),
        others=tuple(OtherMethod(one.name, one.label, one.url) for one in body.other_methods),
        save=save,
        return_url=body.return_url,
        cancel_url=body.cancel_url,
        terms_url=body.terms_url,
        locale=body.locale,
    )


def read_session(call: Call[NoBody, NoQuery]) -> commands.GetCheckoutSession:
    """Read which session to show."""
    return commands.GetCheckoutSession(CheckoutSessionId(call.path["session_id"]))


def read_sessions(call: Call[NoBody, wire.CheckoutSessionQuery]) -> commands.ListCheckoutSessions:
    """Read which sessions to list."""
    query = call.query
    filters = {
        "state": query.status,
        "reference": query.reference,
        "customer_id": query.customer,
        "payment_id": query.payment,
    }
    return commands.ListCheckoutSessions(mapping.read_page(query, filters))


def read_cancellation(call: Call[NoBody, NoQuery]) -> commands.CancelCheckoutSession:
    """Read which session to end."""
    return commands.CancelCheckoutSession(CheckoutSessionId(call.path["session_id"]))


def write_session(view: commands.CheckoutSessionView, call: Call[Any, Any]) -> wire.CheckoutSessionOut:
    """Show a session to its merchant."""
    session, terms = view.session, view.session.terms
    saved = {token_id[:2]: string for token_id, string in view.saved.items()}
    return wire.CheckoutSessionOut(
        id=session.id,
        status=session.state.value,
        mode=session.tenant.mode.value,
        url=None if view.address is None else call.base_url + _PAGE.format(address=view.address),
        amount_minor=terms.amount_minor,
        currency=terms.currency,
        capture=session.kind is OperationKind.PURCHASE,
        lines=[
            wire.LineOut(
                description=line.description,
                amount_minor=line.amount_minor,
                quantity=str(line.quantity),
                reference=line.reference,
                tax_minor=line.tax_minor,
            )
            for line in terms.lines
        ],
        created_at=session.created_at,
        expires_at=session.expires_at,
        reference=session.reference,
        customer=session.customer_id,
        return_url=terms.return_url,
        cancel_url=terms.cancel_url,
        stored_card=None if view.stored is None else mapping.card_out(view.stored, None),
        payment=session.payment_id,
        attempts=session.attempts,
        payment_token=saved.get("pt"),
        recurrence_token=saved.get("rt"),
        history=[
            wire.AttemptOut(event=entry.event.value, at=entry.at, payment=entry.payment_id)
            for entry in session.history
        ],
        metadata=dict(session.metadata),
    )


def write_sessions(
    page: Page[commands.CheckoutSessionView], call: Call[NoBody, wire.CheckoutSessionQuery]
) -> wire.CheckoutSessionListOut:
    """Show a page of sessions."""
    data = [write_session(view, call) for view in page.items]
    last_id = data[-1].id if data else None
    return wire.CheckoutSessionListOut(
        data=data, has_more=page.has_more, next_url=mapping.next_url(page, call, last_id)
    )


_OUTCOMES = {
    CheckoutState.COMPLETED: "completed",
    CheckoutState.FAILED: "failed",
    CheckoutState.CANCELLED: "cancelled",
    CheckoutState.EXPIRED: "expired",
}


def return_to(view: commands.CheckoutSessionView) -> str | None:
    """Give where the buyer goes: the merchant's address, with the session and what came of it.

    These parameters are for the page that the buyer sees; what counts is what the API says of the session.
    """
    session: CheckoutSession = view.session
    outcome = _OUTCOMES.get(session.state)
    address = session.terms.return_url
    if outcome != "completed" and session.terms.cancel_url is not None:
        address = session.terms.cancel_url
    if address is None or outcome is None:
        return address
    parts = urlsplit(address)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("checkout_session", session.id),
        ("status", outcome),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        "POST",
        _SESSIONS,
        wire.CheckoutSessionIn,
        NoQuery,
        read_creation,
        write_session,
        summary="Make a checkout session",
        status=201,
        is_idempotent=True,
    ),
    Route(
        "GET",
        _SESSIONS,
        NoBody,
        wire.CheckoutSessionQuery,
        read_sessions,
        write_sessions,
        summary="List checkout sessions",
    ),
    Route(
        "GET",
        _SESSIONS + "/{session_id}",
        NoBody,
        NoQuery,
        read_session,
        write_session,
        summary="Show a checkout session",
    ),
    Route(
        "POST",
        _SESSIONS + "/{session_id}/cancel",
        NoBody,
        NoQuery,
        read_cancellation,
        write_session,
        summary="Cancel a checkout session, voiding what it authorized",
        is_idempotent=True,
    ),
    *CheckoutPage(_PAGE, VisitorInPath("address"), return_to).routes(),
)
