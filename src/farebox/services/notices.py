"""What an event is about, put together for whoever is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from farebox.domain.events import Event
from farebox.domain.ids import (
    AgreementId,
    CheckoutSessionId,
    CustomerId,
    OperationId,
    PaymentId,
    SingleUseTokenId,
    StoredTokenId,
    WebhookEndpointId,
)
from farebox.ports.storage import UnitOfWork
from farebox.services.commands import CheckoutSessionView, StoredTokenView, Subject
from farebox.services.views import payment_view


def subject_id_of(event: Event) -> str:
    """Name what an event is about: of an operation its payment; a session stays itself when it is paid."""
    payment_id = event.data.get("payment_id")
    if isinstance(payment_id, str) and not event.type.startswith("checkout_session."):
        return payment_id
    return event.object_id


async def subject_of(uow: UnitOfWork, event: Event) -> Subject | None:
    """Give what an event is about as it stands now; nothing where it is gone or has no form of its own."""
    find = _FINDERS.get(event.type.partition(".")[0])
    return None if find is None else await find(uow, event)


async def _payment(uow: UnitOfWork, event: Event) -> Subject | None:
    payment = await uow.payments.find(event.tenant, PaymentId(subject_id_of(event)))
    if payment is None:
        return None
    view = await payment_view(uow, payment)
    operation = next((one for one in view.operations if one.id == OperationId(event.object_id)), None)
    return replace(view, operation=operation)


async def _stored_token(uow: UnitOfWork, event: Event) -> Subject | None:
    token = await uow.stored_tokens.find_by_id(event.tenant, StoredTokenId(event.object_id))
    return StoredTokenView(token) if token else None


async def _single_use_token(uow: UnitOfWork, event: Event) -> Subject | None:
    return await uow.tokens.find_by_id(event.tenant, SingleUseTokenId(event.object_id))


async def _customer(uow: UnitOfWork, event: Event) -> Subject | None:
    return await uow.customers.find(event.tenant, CustomerId(event.object_id))


async def _agreement(uow: UnitOfWork, event: Event) -> Subject | None:
    return await uow.agreements.find(event.tenant, AgreementId(event.object_id))


async def _endpoint(uow: UnitOfWork, event: Event) -> Subject | None:
    return await uow.webhooks.find_endpoint(event.tenant, WebhookEndpointId(event.object_id))


async def _checkout_session(uow: UnitOfWork, event: Event) -> Subject | None:
    session = await uow.checkout_sessions.find(event.tenant, CheckoutSessionId(event.object_id))
    if session is None:
        return None
    payment = await uow.payments.find(event.tenant, session.payment_id) if session.payment_id else None
    view = await payment_view(uow, payment) if payment is not None else None
    return CheckoutSessionView(session, event.created_at, payment=view)


_FINDERS: Mapping[str, Callable[[UnitOfWork, Event], Awaitable[Subject | None]]] = {
    "operation": _payment,
    "payment_token": _stored_token,
    "single_use_token": _single_use_token,
    "customer": _customer,
    "agreement": _agreement,
    "webhook_endpoint": _endpoint,
    "checkout_session": _checkout_session,
}
