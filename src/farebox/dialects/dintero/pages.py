"""What the buyer's browser asks: the session's address, what the page reads, locks and leaving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farebox.dialects.checkout_page import CheckoutPage
from farebox.dialects.dialect import Answer, Call, PageView, VisitorInPath, VisitorInQuery, redirect
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.errors import ERRORS
from farebox.dialects.dintero.names import CANCELLED, public_id, request_uuid
from farebox.dialects.dintero.outcomes import return_to
from farebox.dialects.dintero.reading import invalid, object_of, text_of, without_empty
from farebox.dialects.dintero.session_views import EXPRESS, MERCHANT, session_out, transaction_id
from farebox.dialects.dintero.transactions import ACCOUNT, URL
from farebox.domain.checkout import CheckoutState
from farebox.domain.errors import ErrorCode
from farebox.services import commands
from farebox.services.commands import CheckoutSessionView

VISITOR = VisitorInPath("session_id")
VisitCall = Call[wire.Ignored, wire.AnyQuery]

_CAUSES: Mapping[CheckoutState, str] = {
    CheckoutState.CANCELLED: "CANCELLED",
    CheckoutState.FAILED: "FAILED",
    CheckoutState.EXPIRED: "EXPIRED",
    CheckoutState.COMPLETED: "AUTHORIZED",
}
"""Why a session cannot be paid any more."""


def read_address(call: Call[wire.Ignored, wire.AnyQuery]) -> commands.Command[None]:
    """Read a session's address: who opens it is sent to the page, whatever it is."""
    return commands.Give(None)


def write_address(nothing: None, call: VisitCall) -> Answer:
    """Lead to the page: the session is added behind what the address said beside it."""
    query = call.raw_query.decode("ascii", "ignore")
    before = f"{query}&" if query else ""
    return redirect(f"{call.base_url}/?{before}sid={call.path['session_id']}")


def read_outcome(call: Call[wire.Ignored, wire.OutcomeQuery]) -> commands.Command[None]:
    """Read what the web SDK shows in the frame after a final event: only what its address says."""
    return commands.Give(None)


def write_outcome(nothing: None, call: Call[wire.Ignored, wire.OutcomeQuery]) -> Answer:
    """Show how it ended."""
    query = call.query
    outcome = "cancelled" if query.error == CANCELLED else "failed" if query.error else "paid"
    accepts = call.headers.get(b"accept-language", b"").decode("latin-1")
    values = {"outcome": outcome, "language": query.language, "accepts": accepts}
    return Answer(page=PageView("checkout_outcome", values))


PAGE = CheckoutPage(path="/", visitor=VisitorInQuery("sid"), return_to=return_to, scripts=("dintero.js",))
"""The page itself, where the web SDK opens it."""


def read_view(call: VisitCall) -> commands.Command[CheckoutSessionView]:
    """Read that the page wants its session."""
    return commands.ViewCheckoutSession()


def write_view(view: CheckoutSessionView, call: VisitCall) -> Answer:
    """Show the session to its page; one that cannot be paid any more is not found, and says why."""
    session = view.session
    account_id = text_of(session.facts, ACCOUNT) or ""
    cause = _CAUSES.get(session.state)
    if cause is None:
        lock = {"pay_lock_id": request_uuid(session.lock_id)} if session.lock_id else None
        out = without_empty({**session_out(view, account_id), "pay_lock": lock, "version": session.version})
        return Answer(_for_buyer(out))
    transaction = transaction_id(session)
    details = without_empty(
        {
            "merchant_reference": session.reference,
            "return_url": text_of(object_of(session.facts, URL), "return_url"),
            "transaction_id": public_id(account_id, transaction) if transaction else None,
            "merchant": {
                **object_of(session.facts, MERCHANT),
                "name": view.merchant_name,
            },
        }
    )
    not_found = ERRORS[ErrorCode.CHECKOUT_SESSION_NOT_FOUND]
    error = wire.ErrorOut(
        message="The session cannot be paid any more",
        code=not_found.code,
        cause=cause,
        session_details=details,
    )
    return Answer(wire.ErrorsOut(error=error), status=not_found.status)


def _for_buyer(out: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is the merchant's: where news go, and which programs asked."""
    found = {name: value for name, value in out.items() if name != "metadata"}
    url = {name: value for name, value in found.get("url", {}).items() if name != "callback_url"}
    return {**found, "url": url}


def read_lock(call: VisitCall) -> commands.Command[CheckoutSessionView]:
    """Read that the session is to be locked; only an Express session is."""

    def lock(view: CheckoutSessionView) -> commands.Command[CheckoutSessionView]:
        if not object_of(view.session.facts, EXPRESS):
            raise invalid("", "Only an Express session can be locked")
        return commands.LockCheckoutSession()

    return commands.Then(commands.ViewCheckoutSession(), lock)


def write_lock(view: CheckoutSessionView, call: VisitCall) -> Answer:
    """Name the lock."""
    assert view.session.lock_id is not None, "a session that was locked has a lock"
    return Answer({"pay_lock": {"pay_lock_id": request_uuid(view.session.lock_id)}})


def read_abandon(call: VisitCall) -> commands.Command[CheckoutSessionView]:
    """Read that the buyer leaves."""
    return commands.AbandonCheckoutSession()


def write_abandon(view: CheckoutSessionView, call: VisitCall) -> Answer:
    """Lead the buyer back."""
    location = return_to(view)
    assert location is not None, "a session that a buyer sees has a way back"
    return redirect(location)
