"""Events on the native API and in its webhooks: one struct, with the object's snapshot where it is wanted."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from farebox.dialects.dialect import Call, NoBody
from farebox.dialects.native import mapping, wire
from farebox.domain.credentials_on_file import Agreement
from farebox.domain.customers import Customer
from farebox.domain.ids import EventId
from farebox.ports.storage import Page
from farebox.services import commands


def notice_out(notice: commands.Notice) -> wire.EventOut:
    """Write an event with its object's snapshot."""
    return event_out(notice, snapshot_out(notice.subject))


def event_out(notice: commands.Notice, snapshot: wire.Snapshot | UnsetType | None) -> wire.EventOut:
    """Write an event."""
    event = notice.event
    return wire.EventOut(
        id=event.id,
        type=event.type.value,
        mode=event.tenant.mode.value,
        created_at=event.created_at,
        subject=event.object_id,
        sequence=event.sequence,
        data=dict(event.data),
        snapshot=snapshot,
    )


def snapshot_out(subject: commands.Subject | None) -> wire.Snapshot | None:
    """Show an object as its own endpoint does; a single-use token has no form without its string."""
    match subject:
        case commands.PaymentView():
            return mapping.payment_out(subject)
        case commands.StoredTokenView():
            return mapping.stored_token_out(subject)
        case Customer():
            return mapping.customer_out(subject)
        case Agreement():
            return mapping.agreement_out(subject)
        case _:
            return None


def read_event(call: Call[NoBody, wire.EventExpandQuery]) -> commands.GetNotice:
    """Read which event to show."""
    return commands.GetNotice(EventId(call.path["event_id"]))


def read_events(call: Call[NoBody, wire.EventQuery]) -> commands.ListNotices:
    """Read which events to list."""
    query = call.query
    page = mapping.read_page(query, {"type": query.type, "object_id": query.subject})
    return commands.ListNotices(page)


def write_event(notice: commands.Notice, call: Call[NoBody, wire.EventExpandQuery]) -> wire.EventOut:
    """Show an event."""
    return _shown(notice, with_snapshot=call.query.expand == "snapshot")


def write_events(page: Page[commands.Notice], call: Call[NoBody, wire.EventQuery]) -> wire.EventListOut:
    """Show a page of events."""
    with_snapshot = call.query.expand == "snapshot"
    data = [_shown(notice, with_snapshot=with_snapshot) for notice in page.items]
    return wire.EventListOut(
        data=data,
        has_more=page.has_more,
        next_url=mapping.next_url(page, call, data[-1].id if data else None),
    )


def _shown(notice: commands.Notice, *, with_snapshot: bool) -> wire.EventOut:
    return notice_out(notice) if with_snapshot else event_out(notice, UNSET)
