"""Stored cards: listed, shown with their secret, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farebox.dialects.dialect import Answer, Call, WireRefusal
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.errors import CONFLICT
from farebox.dialects.dintero.lists import limit_of, scan
from farebox.dialects.dintero.names import instant, parse_token_id, public_id, token_id
from farebox.dialects.dintero.reading import invalid, listed, text_of, without_empty
from farebox.dialects.dintero.transactions import (
    CREATED_BY,
    PRODUCT,
    Strings,
    account_of,
    expiry_date,
    masked_pan,
    token_type,
)
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.ids import StoredTokenId
from farebox.domain.tokens import StoredTokenState
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import StoredTokenView

REASON_LENGTH_MAX = 128
REQUESTORS = frozenset({"MERCHANT", "CARDHOLDER"})

AnyCall = Call[Any, Any]


@dataclass(frozen=True, slots=True)
class CardToken:
    """A stored card to show, with its secret where it has one to show."""

    view: StoredTokenView
    strings: Strings


def card_token_out(view: StoredTokenView, strings: Strings, account_id: str) -> wire.CardTokenOut:
    """Show a stored card."""
    token, summary = view.token, view.token.summary
    return wire.CardTokenOut(
        id=token_id(token.id),
        type=token_type(view),
        status="ACTIVE" if token.state is StoredTokenState.ACTIVE else "DELETED",
        card_brand=summary.brand or "unknown",
        account_id=account_id,
        payment_product_type=text_of(token.facts, PRODUCT) or "",
        created_at=instant(token.created_at),
        updated_at=instant(token.deleted_at or token.created_at),
        token=strings.get(token.id),
        masked_pan=masked_pan(summary),
        pan_expiry_date=expiry_date(summary),
        customer_id=token.customer_reference,
        transaction_id=public_id(account_id, token.payment_id) if token.payment_id else None,
        created_by=text_of(token.facts, CREATED_BY),
        deleted_at=instant(token.deleted_at) if token.deleted_at else None,
        deleted_by=text_of(token.facts, "deleted_by"),
    )


def _named(call: AnyCall) -> str:
    id_ = parse_token_id(call.path["token_id"])
    if id_ is None:
        raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND)
    return id_


def _own(view: StoredTokenView) -> StoredTokenView:
    """Refuse a credential of another protocol.

    Raises:
        NotFound: `payment_token_not_found`.
    """
    if PRODUCT not in view.token.facts:
        raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND)
    return view


def _with_string(view: StoredTokenView) -> commands.Command[CardToken]:
    if view.token.state is StoredTokenState.DELETED:
        return commands.Give(CardToken(_own(view), {}))
    return commands.Then(
        commands.ShowTokenStrings([_own(view).token.id]),
        lambda strings: commands.Give(CardToken(view, strings)),
    )


def read_card_token(call: Call[wire.Ignored, wire.IncludesQuery]) -> commands.Command[CardToken]:
    """Read which stored card to show; a deleted one is shown as deleted."""
    return commands.Then(commands.GetStoredToken(_named(call), with_deleted=True), _with_string)


def write_card_token(found: CardToken, call: AnyCall) -> wire.CardTokenOut:
    """Show a stored card."""
    return card_token_out(found.view, found.strings, account_of(call))


def read_deletion(
    call: Call[wire.CardTokenDeletionIn, wire.IncludesQuery],
) -> commands.Command[StoredTokenView]:
    """Read which stored card to erase; one that is erased already is a conflict."""
    body = call.body
    if body.reason is not None and len(body.reason) > REASON_LENGTH_MAX:
        raise invalid("reason", f"must have at most {REASON_LENGTH_MAX} characters")
    requestor = body.requestor or "MERCHANT"
    if requestor not in REQUESTORS:
        raise invalid("requestor", "must be MERCHANT or CARDHOLDER")
    facts = without_empty(
        {
            "deleted_by": call.principal.attribute("client_id"),
            "reason": body.reason,
            "requestor": requestor,
        }
    )

    def delete(view: StoredTokenView) -> commands.Command[StoredTokenView]:
        if _own(view).token.state is StoredTokenState.DELETED:
            raise WireRefusal(CONFLICT)
        return commands.DeleteStoredToken(view.token.id, facts)

    return commands.Then(commands.GetStoredToken(_named(call), with_deleted=True), delete)


def write_deletion(view: StoredTokenView, call: AnyCall) -> wire.CardTokenOut:
    """Show what is left of a stored card."""
    return card_token_out(view, {}, account_of(call))


# --- list ---------------------------------------------------------------------------------------------------

CardTokens = tuple[tuple[StoredTokenView, ...], Mapping[StoredTokenId, Any]]


def read_card_tokens(call: Call[wire.Ignored, wire.CardTokensQuery]) -> commands.Command[CardTokens]:
    """Read which stored cards to list; a relationship is something no card of ours is dedicated to."""
    query = call.query
    limit, wanted = limit_of(query.limit), listed(query.status)
    with_deleted = query.include_deleted or "DELETED" in wanted
    after = None
    if query.starting_after is not None:
        after = parse_token_id(query.starting_after)
        if after is None:
            raise invalid("starting_after", "names no card token")
    filters = {"customer_reference": query.customer_id} if query.customer_id else {}

    def holds(view: StoredTokenView) -> bool:
        status = "ACTIVE" if view.token.state is StoredTokenState.ACTIVE else "DELETED"
        return PRODUCT in view.token.facts and (not wanted or status in wanted)

    def page_after(after: str | None, size: int) -> commands.Command[Page[StoredTokenView]]:
        request = PageRequest(limit=size, after=after, filters=filters)
        return commands.ListStoredTokens(request, with_deleted=with_deleted)

    if query.relationship_id is not None:
        return commands.Give(((), {}))
    found = scan(
        page_after,
        lambda view: view if holds(view) else None,
        lambda view: view.token.id,
        limit=limit,
        after=after,
        narrowed=bool(wanted),
    )
    return commands.Then(found, lambda views: _with_strings(tuple(views)))


def _with_strings(found: tuple[StoredTokenView, ...]) -> commands.Command[CardTokens]:
    active = [view.token.id for view in found if view.token.state is StoredTokenState.ACTIVE]

    def give(strings: Strings) -> commands.Command[CardTokens]:
        return commands.Give((found, strings))

    return commands.Then(commands.ShowTokenStrings(active), give) if active else give({})


def write_card_tokens(found: CardTokens, call: AnyCall) -> Answer:
    """Show a list: a bare array."""
    views, strings = found
    return Answer([card_token_out(view, strings, account_of(call)) for view in views])
