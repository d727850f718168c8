"""Sessions as they are shown, singly and in lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farebox.dialects.dialect import Answer, Call
from farebox.dialects.dintero import configuration as configurations
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.lists import limit_of, scan
from farebox.dialects.dintero.names import (
    TOKEN_ONLY,
    instant,
    parse_public_id,
    public_id,
    request_uuid,
)
from farebox.dialects.dintero.reading import (
    instant_in,
    invalid,
    listed,
    object_of,
    text_of,
    without_empty,
)
from farebox.dialects.dintero.transactions import (
    BY_CHECKOUT,
    CHECKBOXES,
    CREATED_BY,
    CUSTOMER,
    CUSTOMER_IP,
    HEADERS,
    METADATA,
    OPERATION,
    ORDER,
    PRODUCT,
    PROFILE,
    URL,
    USER_AGENT,
    account_of,
)
from farebox.domain.checkout import (
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    HistoryEntry,
)
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.facts import Facts
from farebox.domain.ids import CheckoutSessionId
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import CheckoutSessionView

AnyCall = Call[Any, Any]
CONFIGURATION, EXPRESS, MERCHANT, TOKENS = "configuration", "express", "merchant", "tokens"


def write_created(view: CheckoutSessionView, call: Call[Any, wire.CreateQuery]) -> wire.SessionCreatedOut:
    """Show where the buyer is to go; the address has no query, because Magento parses one as a list."""
    sid = public_id(account_of(call), view.session.id)
    return wire.SessionCreatedOut(
        id=sid,
        url=f"{call.base_url}/v1/view/{sid}",
        session=session_out(view, account_of(call)) if call.query.include_session else None,
    )


# --- showing ------------------------------------------------------------------------------------------------

_EVENTS: Mapping[CheckoutEvent, tuple[str, ...]] = {
    CheckoutEvent.CREATE: ("INITIATED",),
    CheckoutEvent.VISIT: ("VISITED",),
    CheckoutEvent.UPDATE: ("UPDATE_SESSION",),
    CheckoutEvent.LOCK: ("PAY_LOCK_START",),
    CheckoutEvent.UNLOCK: ("PAY_LOCK_END",),
    CheckoutEvent.START: (),
    CheckoutEvent.DECLINE: ("PAY_FAILED",),
    CheckoutEvent.RELEASE: ("PAY_FAILED",),
    CheckoutEvent.COMPLETE: ("AUTHORIZED", "COMPLETED"),
    CheckoutEvent.FAIL: ("FAILED",),
    CheckoutEvent.CANCEL: ("CANCELLED",),
    CheckoutEvent.ABANDON: ("CANCELLED",),
    CheckoutEvent.UNDO: ("CANCELLED",),
    CheckoutEvent.EXPIRE: (),
}
"""What an entry of the history is called; an attempt's start and the end of its time have no name there."""


def _events(session: CheckoutSession, includes: frozenset[str]) -> list[Facts]:
    is_token_only = text_of(session.facts, OPERATION) == TOKEN_ONLY
    events: list[Facts] = []
    for entry in session.history:
        names = _EVENTS[entry.event]
        if entry.event is CheckoutEvent.VISIT and is_token_only:
            names = ("VISITED", "PAYMENT_TOKEN_FLOW_START")
        for name in names:
            events.append(_event(str(len(events) + 1), name, entry, session, includes))
    return events


def _event(
    number: str, name: str, entry: HistoryEntry, session: CheckoutSession, includes: frozenset[str]
) -> Facts:
    details: Facts = {one: value for one, value in entry.facts.items() if one != CREATED_BY}
    if name in {"AUTHORIZED", "PAY_FAILED"}:
        details = {
            "payment_product_type": text_of(session.facts, PRODUCT),
            "amount": session.terms.amount_minor,
            **details,
        }
    is_first = entry.event is CheckoutEvent.CREATE and "events.request_headers" in includes
    headers = dict(object_of(session.facts, HEADERS)) if is_first else None
    return without_empty(
        {
            "id": number,
            "name": name,
            "created_at": instant(entry.at),
            "request_id": request_uuid(entry.request_id) if entry.request_id else None,
            "request_headers": headers,
            "details": details,
        }
    )


def transaction_id(session: CheckoutSession) -> str | None:
    """Give the payment that is the session's transaction: an attempt with another one behind it is none."""
    is_one = session.state in {CheckoutState.PAYING, CheckoutState.COMPLETED, CheckoutState.FAILED}
    is_one = is_one or any(entry.event is CheckoutEvent.UNDO for entry in session.history)
    return session.payment_id if is_one else None


def session_out(view: CheckoutSessionView, account_id: str, includes: frozenset[str] = frozenset()) -> Facts:
    """Show a session: what was sent on creation, and what became of it."""
    session = view.session
    facts = session.facts
    transaction = transaction_id(session)
    country = text_of(object_of(facts, MERCHANT), "country")
    merchant = {"id": account_id, "name": view.merchant_name or None, "country": country}
    cancelled = next((one for one in reversed(session.history) if one.event in _CANCELLATIONS), None)
    metadata: dict[str, object] = dict(object_of(facts, METADATA))
    if text_of(facts, PROFILE) is not None:
        metadata["session:profile_id"] = text_of(facts, PROFILE)
    with_headers = "initiating_system_request_headers" in includes
    headers = dict(object_of(facts, HEADERS)) if with_headers else None
    customer = {**object_of(facts, CUSTOMER), TOKENS: dict(object_of(facts, TOKENS))}
    return without_empty(
        {
            "id": public_id(account_id, session.id),
            "account_id": account_id,
            "created_at": instant(session.created_at),
            "updated_at": instant(session.updated_at),
            "expires_at": instant(session.expires_at),
            "transaction_id": public_id(account_id, transaction) if transaction else None,
            "payment_operation": text_of(facts, OPERATION),
            "url": dict(object_of(facts, URL)),
            "order": dict(object_of(facts, ORDER)),
            "customer": without_empty(customer),
            "configuration": {
                **configurations.shown(object_of(facts, CONFIGURATION)),
                "merchant": without_empty(merchant),
            },
            "express": dict(object_of(facts, EXPRESS)),
            "merchant": dict(object_of(facts, MERCHANT)),
            "checkboxes": facts.get(CHECKBOXES),
            "metadata": metadata,
            "customer_ip": text_of(facts, CUSTOMER_IP),
            "user_agent": text_of(facts, USER_AGENT),
            "initiating_system_request_headers": headers,
            "events": _events(session, includes),
            "cancelled_by": text_of(cancelled.facts, CREATED_BY) or BY_CHECKOUT if cancelled else None,
            "cancelled_at": instant(cancelled.at) if cancelled else None,
        }
    )


_CANCELLATIONS = frozenset({CheckoutEvent.CANCEL, CheckoutEvent.ABANDON, CheckoutEvent.UNDO})


# --- finding ------------------------------------------------------------------------------------------------


def session_id_of(call: AnyCall) -> CheckoutSessionId:
    """Read which session the path names.

    Raises:
        NotFound: the id is another account's, or none.
    """
    id_ = parse_public_id(call.path["session_id"], account_of(call), "cs")
    if id_ is None:
        raise NotFound(ErrorCode.CHECKOUT_SESSION_NOT_FOUND)
    return CheckoutSessionId(id_)


def own(view: CheckoutSessionView) -> CheckoutSessionView:
    """Refuse a session of another protocol.

    Raises:
        NotFound: `checkout_session_not_found`.
    """
    if PRODUCT not in view.session.facts:
        raise NotFound(ErrorCode.CHECKOUT_SESSION_NOT_FOUND)
    return view


def read_session(call: Call[wire.Ignored, wire.IncludesQuery]) -> commands.Command[CheckoutSessionView]:
    """Read which session to show."""
    get = commands.GetCheckoutSession(session_id_of(call))
    return commands.Then(get, lambda view: commands.Give(own(view)))


def write_session(view: CheckoutSessionView, call: AnyCall) -> Answer:
    """Show a session."""
    includes = listed(getattr(call.query, "includes", None))
    return Answer(session_out(view, account_of(call), includes))


# --- listing ------------------------------------------------------------------------------------------------


def read_sessions(
    call: Call[wire.Ignored, wire.SessionsQuery],
) -> commands.Command[list[CheckoutSessionView]]:
    """Read which sessions to list."""
    query, account_id = call.query, account_of(call)
    limit, after = limit_of(query.limit), None
    if query.starting_after is not None:
        after = parse_public_id(query.starting_after, account_id, "cs")
        if after is None:
            raise invalid("starting_after", "names no session of this account")
    holds = _conditions(query, account_id)

    def page_after(after: str | None, size: int) -> commands.Command[Page[CheckoutSessionView]]:
        return commands.ListCheckoutSessions(PageRequest(limit=size, after=after))

    return scan(
        page_after,
        lambda view: view if all(one(view) for one in holds) else None,
        lambda view: view.session.id,
        limit=limit,
        after=after,
        narrowed=len(holds) > 1,
    )


def _conditions(query: wire.SessionsQuery, account_id: str) -> list[Callable[[CheckoutSessionView], bool]]:
    holds: list[Callable[[CheckoutSessionView], bool]] = [lambda view: PRODUCT in view.session.facts]
    ids, transactions = listed(query.id), listed(query.transaction_id)
    stores, plugins = listed(query.store_id), listed(query.plugin_name)
    if ids:
        holds.append(lambda view: public_id(account_id, view.session.id) in ids)
    if transactions:
        holds.append(lambda view: _public(transaction_id(view.session), account_id) in transactions)
    if query.created_at_gte is not None:
        since = instant_in(query.created_at_gte, "created_at.gte")
        holds.append(lambda view: view.session.created_at >= since)
    if query.created_at_lte is not None:
        until = instant_in(query.created_at_lte, "created_at.lte", ends=True)
        holds.append(lambda view: view.session.created_at <= until)
    if stores:
        holds.append(lambda view: object_of(_order(view), "store").get("id") in stores)
    if plugins:
        name = "dintero-system-plugin-name"
        holds.append(lambda view: object_of(view.session.facts, HEADERS).get(name) in plugins)
    if query.payment_operation is not None:
        holds.append(lambda view: text_of(view.session.facts, OPERATION) == query.payment_operation)
    if query.search:
        sought = query.search
        holds.append(lambda view: sought in _texts(view.session))
    return holds


def _order(view: CheckoutSessionView) -> Facts:
    return object_of(view.session.facts, ORDER)


def _public(id_: str | None, account_id: str) -> str | None:
    return public_id(account_id, id_) if id_ else None


def _texts(session: CheckoutSession) -> set[str | None]:
    order = object_of(session.facts, ORDER)
    addresses = [object_of(order, name) for name in ("billing_address", "shipping_address")]
    names = {f"{one.get('first_name')} {one.get('last_name')}" for one in addresses if one}
    return {session.reference, text_of(order, "merchant_reference_2"), *names}


def write_sessions(found: list[CheckoutSessionView], call: AnyCall) -> Answer:
    """Show a list: a bare array."""
    return Answer([session_out(view, account_of(call)) for view in found])
