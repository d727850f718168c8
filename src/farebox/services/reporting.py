"""Read models: payments and events, singly and in lists."""

from __future__ import annotations

from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.events import Event
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.services.commands import (
    Context,
    GetEvent,
    GetNotice,
    GetPayment,
    ListEvents,
    ListNotices,
    ListPayments,
    Notice,
    PaymentView,
)
from farebox.services.idempotency import Claim
from farebox.services.notices import subject_of
from farebox.services.views import payment_view


class Reporting:
    """Shows what is stored."""

    def __init__(self, storage: Storage) -> None:
        """Take the database."""
        self._storage = storage

    async def payment(
        self, command: GetPayment, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Show a payment with its operations.

        Raises:
            NotFound: `payment_not_found`.
        """

        async def work(uow: UnitOfWork) -> PaymentView:
            payment = await uow.payments.find(context.principal.tenant, command.payment_id)
            if payment is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            return await payment_view(uow, payment)

        return await self._storage.read(work)

    async def payments(
        self,
        command: ListPayments,
        context: Context[Page[PaymentView]],
        claim: Claim[Page[PaymentView]],
    ) -> Page[PaymentView]:
        """List payments."""

        async def work(uow: UnitOfWork) -> Page[PaymentView]:
            page = await uow.payments.page(context.principal.tenant, command.page)
            if command.with_operations:
                views = [await payment_view(uow, payment) for payment in page.items]
            else:
                views = [PaymentView(payment, ()) for payment in page.items]
            return Page(views, page.has_more)

        return await self._storage.read(work)

    async def event(self, command: GetEvent, context: Context[Event], claim: Claim[Event]) -> Event:
        """Show an event.

        Raises:
            NotFound: `event_not_found`.
        """
        event = await self._storage.read(
            lambda uow: uow.events.find(context.principal.tenant, command.event_id)
        )
        if event is None:
            raise NotFound(ErrorCode.EVENT_NOT_FOUND)
        return event

    async def events(
        self, command: ListEvents, context: Context[Page[Event]], claim: Claim[Page[Event]]
    ) -> Page[Event]:
        """List events."""
        tenant = context.principal.tenant
        return await self._storage.read(lambda uow: uow.events.page(tenant, command.page))

    async def notice(self, command: GetNotice, context: Context[Notice], claim: Claim[Notice]) -> Notice:
        """Show an event with what it is about.

        Raises:
            NotFound: `event_not_found`.
        """

        async def work(uow: UnitOfWork) -> Notice:
            event = await uow.events.find(context.principal.tenant, command.event_id)
            if event is None:
                raise NotFound(ErrorCode.EVENT_NOT_FOUND)
            return Notice(event, await subject_of(uow, event))

        return await self._storage.read(work)

    async def notices(
        self, command: ListNotices, context: Context[Page[Notice]], claim: Claim[Page[Notice]]
    ) -> Page[Notice]:
        """List events with what they are about."""

        async def work(uow: UnitOfWork) -> Page[Notice]:
            page = await uow.events.page(context.principal.tenant, command.page)
            return Page([Notice(event, await subject_of(uow, event)) for event in page.items], page.has_more)

        return await self._storage.read(work)
