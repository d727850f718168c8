"""Merchant-initiated payments: a session made and paid in one call, with a stored card and nobody present."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from farebox.dialects.dialect import Call
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.names import (
    PRODUCTS,
    RECURRING,
    UNSCHEDULED,
    Product,
)
from farebox.dialects.dintero.reading import callback_of, invalid, missing, object_of, text_of, toggles
from farebox.dialects.dintero.sessions import Draft, draft, payment_facts, terms_of
from farebox.dialects.dintero.transactions import (
    CHANNEL,
    OPERATION,
    PRODUCT,
    Transaction,
    account_of,
    status_of,
    transaction_out,
)
from farebox.domain.errors import ErrorCode
from farebox.domain.facts import Facts
from farebox.domain.operations import Initiator, OperationKind, OperationState, Reason
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import CheckoutSessionView, PaymentView, StoredTokenView

ChargeCall = Call[wire.ChargeIn, wire.IncludesQuery]

STRICT, STRICT_SUCCESS = "strict-merchant-reference", "strict-success-merchant-reference"
_KEPT = timedelta(days=3650)
_INCLUDED = frozenset({"initiating_system_request_headers", "events.request_headers"})
_REASONS: Mapping[str, Reason] = {RECURRING: Reason.RECURRING, UNSCHEDULED: Reason.UNSCHEDULED}


def read_charge(call: ChargeCall) -> commands.Command[CheckoutSessionView]:
    """Read a charge: product, operation and token must fit together.

    Raises:
        WireRefusal: they do not, something is missing, or the token is unknown.
    """
    session, payment = call.body.session or wire.SessionIn(), call.body.payment or wire.ChargeOfIn()
    found = draft(session, call, prefix="session.")
    if found.amount_minor < 1:
        raise invalid("session.order.amount", "must be more than zero")
    product = PRODUCTS.get(payment.payment_product_type or "")
    if product is None:
        raise invalid("payment.payment_product_type", "must be a card product that can be charged alone")
    operation = payment.operation or ""
    if operation not in _REASONS:
        raise invalid("payment.operation", f"must be {UNSCHEDULED} or {RECURRING}")
    type_ = product.recurring if operation == RECURRING else product.unscheduled
    string = _string(found, product, type_)
    configuration = wire.members(session.configuration)
    if configuration.get("pre_authorization") is True:
        raise invalid("session.configuration.pre_authorization", "is not supported")

    def charge(token: StoredTokenView | None) -> commands.Command[CheckoutSessionView]:
        if token is None or text_of(token.token.facts, PRODUCT) != product.type or token.token.id == string:
            raise invalid(_place(product, type_), "is not a token of this account and product")
        if text_of(token.token.facts, "type") != type_:
            raise invalid(_place(product, type_), f"is not what {operation} needs")
        return _charge(found, product, operation, type_, string, configuration, call)

    return commands.Then(commands.Attempt(commands.GetStoredToken(string)), charge)


def _place(product: Product, type_: str) -> str:
    return f"session.customer.tokens.{product.type}.{type_}"


def _string(found: Draft, product: Product, type_: str) -> str:
    given = found.tokens.get(product.type)
    string: str | None = getattr(given, type_, None)
    if not string:
        raise missing(_place(product, type_))
    return string


def _charge(
    found: Draft,
    product: Product,
    operation: str,
    type_: str,
    string: str,
    configuration: Facts,
    call: ChargeCall,
) -> commands.Command[CheckoutSessionView]:
    facts: dict[str, object] = {
        **found.facts,
        "configuration": configuration,
        CHANNEL: text_of(configuration, CHANNEL) or "ecommerce",
        PRODUCT: product.type,
        OPERATION: operation,
        "token_type": type_,
    }
    captures = configuration.get("auto_capture") is True
    # No buyer ever sees this session, so nobody is sent back either.
    facts["url"] = {
        name: value for name, value in object_of(found.facts, "url").items() if name != "return_url"
    }
    session = commands.CreateCheckoutSession(
        kind=OperationKind.PURCHASE if captures else OperationKind.AUTHORIZATION,
        terms=terms_of(facts, found.amount_minor, found.currency, None, None),
        reference=found.reference,
        facts=facts,
        payment_facts=payment_facts(facts),
        callback=callback_of(facts, account_of(call)),
    )
    command = commands.PayNewCheckoutSession(
        session=session,
        source=commands.FromStoredToken(TokenString(string), StoredTokenKind.RECURRENCE_TOKEN),
        initiator=Initiator.MERCHANT,
        reason=_REASONS[operation],
    )
    return _strictly(command, found.reference, toggles(call.headers))


# --- references that may be used once -------------------------------------------------------------------


def _strictly(
    command: commands.PayNewCheckoutSession, reference: str, wanted: frozenset[str]
) -> commands.Command[CheckoutSessionView]:
    """Refuse a reference in use, where the caller asks for that.

    What is there is looked at first; what two requests may see at the same moment is decided by taking the
    reference together with the newest payment that it has, so that only one of them goes on.
    """
    if not wanted & {STRICT, STRICT_SUCCESS}:
        return command
    newest = PageRequest(limit=100, filters={"reference": reference})

    def decide(page: Page[PaymentView]) -> commands.Command[CheckoutSessionView]:
        paid = [one.payment for one in page.items if one.payment.state is OperationState.APPROVED]
        if paid or page.has_more:
            raise _used()
        last = page.items[0].payment.id if page.items else "none"
        unique = commands.UniqueReference(f"merchant_reference {last}", reference, _KEPT)
        return _with_unique(command, unique)

    def unless_in_session(page: Page[CheckoutSessionView]) -> commands.Command[CheckoutSessionView]:
        if page.items:
            raise _used()
        return commands.Then(commands.ListPayments(newest), decide)

    if STRICT in wanted:
        sessions = commands.ListCheckoutSessions(PageRequest(limit=1, filters={"reference": reference}))
        return commands.Then(sessions, unless_in_session)
    return commands.Then(commands.ListPayments(newest), decide)


def _used() -> Exception:
    return invalid("session.order.merchant_reference", "is used already", ErrorCode.REFERENCE_ALREADY_USED)


def _with_unique(
    command: commands.PayNewCheckoutSession, unique: commands.UniqueReference
) -> commands.PayNewCheckoutSession:
    return commands.PayNewCheckoutSession(
        session=command.session,
        source=command.source,
        initiator=command.initiator,
        reason=command.reason,
        unique_reference=unique,
    )


# --- writing ------------------------------------------------------------------------------------------------

_ACTIONS: Mapping[str, tuple[str, str]] = {
    "AUTHORIZED": ("AUTHORIZED", "success"),
    "CAPTURED": ("AUTHORIZED", "success"),
    "UNKNOWN": ("UNKNOWN", "error"),
    "INITIATED": ("UNKNOWN", "error"),
}


def write_charge(view: CheckoutSessionView, call: Call[Any, Any]) -> wire.TransactionOut:
    """Show the transaction of a charge; a decline is an answer like any other."""
    paid = view.payment
    assert paid is not None, "a session that was paid at once has its payment"
    account_id = account_of(call)
    code, type_ = _ACTIONS.get(status_of(paid.payment), ("DECLINED", "error"))
    out = transaction_out(Transaction(paid), account_id, _INCLUDED)
    source = out.payment_product.upper()
    tokens = call.body.session.customer.tokens
    given = {**(out.customer or {}), "tokens": wire.kept(tokens)}
    return wire.with_charge(
        out,
        success=type_ == "success",
        actions=[wire.ActionOut(source=source, code=code, type=type_)],
        customer=given,
    )
