"""Payment links, their sharing events, and event subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery, WireRefusal
from farebox.dialects.payroc.errors import NOT_AUTHORIZED
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at_terminal,
    ids_of,
    instant,
    no_content,
    parse_day,
    plain,
    refuse,
)
from farebox.dialects.payroc.mapping.documents import list_by_id, list_by_name, short
from farebox.dialects.payroc.mapping.tokens import terminal_of
from farebox.dialects.payroc.paging import write_page
from farebox.dialects.payroc.patching import patched
from farebox.dialects.payroc.wire import billing as wire
from farebox.dialects.payroc.wire.common import Facts, PageOut, PatchOperation
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode, NotFound
from farebox.ports.storage import Page
from farebox.services import commands
from farebox.services.commands import Command, Give, Then

LINK = "payment_link"
SHARING = "sharing_event"
EVENTS = "event_subscription"
_FIXED_LINK = ("/type", "/paymentLinkId", "/status", "/createdOn", "/assets", "/merchantReference")
_SHOWN_SECRET = 16


# --- links -----------------------------------------------------------------------------------------


def read_link_in(call: Call[wire.LinkIn, NoQuery]) -> Command[Document]:
    """Keep a link."""
    body, terminal = call.body, terminal_of(call)
    _check_link(body, call.now.date())
    link = commands.CreateDocument(LINK, plain(body), state="active", parent_id=terminal)
    return at_terminal(call, terminal, link)


def _check_link(link: wire.LinkIn, today: date) -> None:
    expires_on = parse_day(link.expires_on, "expiresOn")
    if expires_on is not None and expires_on < today:
        raise refuse("expiresOn", "It cannot lie in the past.")
    if link.auth_type == "preAuthorization" and "bankTransfer" in link.payment_methods:
        raise refuse("paymentMethods", "Only cards can be pre-authorized.")


def _status(document: Document, today: date) -> str:
    expires_on = document.facts.get("expiresOn")
    is_over = isinstance(expires_on, str) and date.fromisoformat(expires_on) < today
    return "expired" if is_over and document.state == "active" else document.state


def link_out(document: Document, call: AnyCall) -> dict[str, Any]:
    """Show a link; its members are those of its kind, and of ours."""
    facts: Mapping[str, Any] = document.facts
    url = f"{call.base_url}/merchant/pay-by-link?token={short(document)}"
    labels: list[Mapping[str, Any]] = facts.get("customLabels") or []
    label = next((str(one["label"]) for one in labels), "PAY NOW")
    return {
        **facts,
        "paymentLinkId": short(document),
        "status": _status(document, call.now.date()),
        "createdOn": document.created_at.date().isoformat(),
        "assets": {"paymentUrl": url, "paymentButton": f'<a href="{url}">{_escaped(label)}</a>'},
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def write_new_link(document: Document, call: Call[wire.LinkIn, NoQuery]) -> Answer:
    """Show a new link."""
    location = f"{call.base_url}/v1/payment-links/{short(document)}"
    return Answer(link_out(document, call), headers=((b"location", location.encode()),))


def write_link(document: Document, call: AnyCall) -> Answer:
    """Show a link."""
    return Answer(link_out(document, call))


def find_link(call: AnyCall) -> Command[Document]:
    """Find the link that the path names."""
    ids = ids_of(call.path["paymentLinkId"], "doc")
    return Then(commands.ResolveId(ids), lambda found: commands.GetDocument(LINK, found))


def read_link(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Show one."""
    return find_link(call)


def read_links(call: Call[NoBody, wire.LinkQuery]) -> Command[Page[Document]]:
    """List a terminal's links; those shared with somebody are found by their sharing events."""
    query, terminal = call.query, terminal_of(call)
    if query.recipient_name is None and query.recipient_email is None:
        listed = list_by_id(LINK, terminal, query, _keeps(query, call.now.date(), None))
        return at_terminal(call, terminal, listed)
    sharing = wire.SharingQuery(
        recipient_name=query.recipient_name, recipient_email=query.recipient_email, limit=100
    )

    def then(page: Page[Document]) -> Command[Page[Document]]:
        shared = {event.parent_id for event in page.items}
        return list_by_id(LINK, terminal, query, _keeps(query, call.now.date(), shared))

    events = list_by_id(SHARING, None, sharing, _keeps_recipient(sharing))
    return at_terminal(call, terminal, Then(events, then))


def _keeps(query: wire.LinkQuery, today: date, shared: set[str | None] | None) -> Callable[[Document], bool]:
    def keeps(document: Document) -> bool:
        facts: Mapping[str, Any] = document.facts
        checks = (
            (query.merchant_reference, facts.get("merchantReference")),
            (query.link_type, facts.get("type")),
            (query.charge_type, facts["order"]["charge"]["type"]),
            (query.status, _status(document, today)),
            (query.created_on, document.created_at.date().isoformat()),
            (query.expires_on, facts.get("expiresOn")),
        )
        is_shared = shared is None or document.id in shared
        return is_shared and all(wanted is None or wanted == found for wanted, found in checks)

    return keeps


def write_links(page: Page[Document], call: Call[NoBody, wire.LinkQuery]) -> PageOut[Facts]:
    """Show a page of them."""
    return write_page(page, call, lambda document: link_out(document, call), short)


def read_link_patch(call: Call[list[PatchOperation], NoQuery]) -> Command[Document]:
    """Change what may be changed of a link."""

    def then(document: Document) -> Command[Document]:
        if document.state != "active":
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        kind = wire.SingleUseLink if document.facts["type"] == "singleUse" else wire.MultiUseLink
        # What a link of many uses is for does not change once it is shared.
        fixed = _FIXED_LINK if kind is wire.SingleUseLink else (*_FIXED_LINK, "/order", "/authType")
        result = patched(link_out(document, call), call.body, kind, fixed=fixed)
        _check_link(result, call.now.date())
        return commands.UpdateDocument(LINK, document.id, document.version, facts=plain(result))

    return Then(find_link(call), then)


def read_link_deactivation(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Let a link be used no more."""

    def then(document: Document) -> Command[Document]:
        if document.state != "active":
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        return commands.UpdateDocument(LINK, document.id, document.version, state="deactivated")

    return Then(find_link(call), then)


# --- sharing events --------------------------------------------------------------------------------


def read_sharing_in(call: Call[wire.SharingIn, NoQuery]) -> Command[Document]:
    """Note that a link was shared. No mail is sent: this server has no way to."""

    def then(link: Document) -> Command[Document]:
        if _status(link, call.now.date()) != "active":
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        return commands.CreateDocument(SHARING, plain(call.body), parent_id=link.id)

    return Then(find_link(call), then)


def sharing_out(document: Document) -> dict[str, Any]:
    """Show a sharing event."""
    return {
        "merchantCopy": False,
        **document.facts,
        "sharingEventId": short(document),
        "dateTime": instant(document.created_at),
    }


def write_new_sharing(document: Document, call: Call[wire.SharingIn, NoQuery]) -> Answer:
    """Show a new sharing event."""
    return Answer(sharing_out(document), headers=((b"location", f"{call.url}/{short(document)}".encode()),))


def read_sharings(call: Call[NoBody, wire.SharingQuery]) -> Command[Page[Document]]:
    """List a link's sharing events."""
    keep = _keeps_recipient(call.query)
    return Then(find_link(call), lambda link: list_by_id(SHARING, link.id, call.query, keep))


def _keeps_recipient(query: wire.SharingQuery) -> Callable[[Document], bool]:
    def keeps(document: Document) -> bool:
        recipients: list[Mapping[str, Any]] = document.facts["recipients"]  # pyright: ignore[reportAssignmentType]  # written by us
        return any(
            query.recipient_name in {None, one["name"]} and query.recipient_email in {None, one["email"]}
            for one in recipients
        )

    return keeps


def write_sharings(page: Page[Document], call: Call[NoBody, wire.SharingQuery]) -> PageOut[Facts]:
    """Show a page of them."""
    return write_page(page, call, sharing_out, short)


# --- event subscriptions ---------------------------------------------------------------------------


def read_events_in(call: Call[wire.EventSubscriptionIn, NoQuery]) -> Command[Document]:
    """Subscribe to events.

    The id is a number below 2**31, drawn from the request's own random UUID.
    """
    key = call.headers.get(b"idempotency-key", b"").decode("latin-1").strip()
    number = int(key[:8], 16) & 0x7FFFFFFF or 1
    return commands.CreateDocument(EVENTS, plain(call.body), name=str(number))


def _events_out(document: Document) -> dict[str, Any]:
    facts: Mapping[str, Any] = document.facts
    status = "registered" if facts["enabled"] else "suspended"
    hooks = [{**hook, "secret": _masked(str(hook["secret"]))} for hook in facts["notifications"]]
    return {**facts, "id": int(document.name or "0"), "status": status, "notifications": hooks}


def _masked(secret: str) -> str:
    return "*" * max(len(secret) - _SHOWN_SECRET, 0) + secret[-_SHOWN_SECRET:]


def write_new_events(document: Document, call: Call[wire.EventSubscriptionIn, NoQuery]) -> Answer:
    """Show a new subscription."""
    location = f"{call.url}/{document.name}".encode()
    return Answer(_events_out(document), headers=((b"location", location),))


def write_events(document: Document, call: AnyCall) -> Answer:
    """Show a subscription."""
    return Answer(_events_out(document))


def find_events(call: AnyCall) -> Command[Document]:
    """Find the subscription that the path names; a deleted one is nobody's any more, which is a 401."""

    def then(document: Document) -> Command[Document]:
        if document.deleted_at is not None:
            raise WireRefusal(NOT_AUTHORIZED)
        return Give(document)

    number = call.path["subscriptionId"]
    if not (number.isascii() and number.isdigit()):
        raise NotFound(ErrorCode.DOCUMENT_NOT_FOUND)
    return Then(commands.GetDocument(EVENTS, number, by_name=True, with_deleted=True), then)


def read_events(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Show one."""
    return find_events(call)


def read_all_events(call: Call[NoBody, wire.EventSubscriptionQuery]) -> Command[Page[Document]]:
    """List them."""
    query = call.query

    def keeps(document: Document) -> bool:
        out = _events_out(document)
        return query.status in {None, out["status"]} and (
            query.event is None or query.event in out["eventTypes"]
        )

    return list_by_name(EVENTS, None, query, keeps)


def write_all_events(page: Page[Document], call: Call[NoBody, wire.EventSubscriptionQuery]) -> PageOut[Facts]:
    """Show a page of them."""
    return write_page(page, call, _events_out, lambda document: document.name or "")


def read_events_update(call: Call[wire.EventSubscriptionIn, NoQuery]) -> Command[Document]:
    """Replace one."""

    def then(document: Document) -> Command[Document]:
        return commands.UpdateDocument(EVENTS, document.id, document.version, facts=plain(call.body))

    return Then(find_events(call), then)


def read_events_patch(call: Call[list[PatchOperation], NoQuery]) -> Command[Document]:
    """Change event types, notifications or whether it is enabled.

    The patch is applied to what is stored, whose secrets are whole, so a secret that it does not name stays.
    """

    def then(document: Document) -> Command[Document]:
        stored = {**document.facts, "id": document.name, "status": "registered"}
        fixed = ("/id", "/status", "/metadata")
        result = patched(stored, call.body, wire.EventSubscriptionIn, fixed=fixed)
        return commands.UpdateDocument(EVENTS, document.id, document.version, facts=plain(result))

    return Then(find_events(call), then)


def read_events_deletion(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Delete one; its number is not given again."""
    return Then(
        find_events(call), lambda document: commands.DeleteDocument(EVENTS, document.id, frees_name=False)
    )


def write_no_events(document: Document, call: AnyCall) -> Answer:
    """Answer without a body."""
    return no_content()
