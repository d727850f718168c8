"""Read models: payments and events, singly and in lists; and what may be noted on a payment afterwards."""

from __future__ import annotations

from dataclasses import replace

from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.events import Event
from farebox.domain.facts import check_facts
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.services.commands import (
    AmendPayment,
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

    async def amend(
        self, command: AmendPayment, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Change facts of a payment.

        Raises:
            NotFound: `payment_not_found`.
            InvalidRequest: `metadata_invalid` when they hold a card number.
        """
        facts = check_facts(command.facts)

        async def work(uow: UnitOfWork) -> PaymentView:
            await claim.begin(uow)
            payment = await uow.payments.lock(context.principal.tenant, command.payment_id)
            if payment is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            payment = replace(payment, facts={**payment.facts, **facts}, version=payment.version + 1)
            await uow.payments.amend(payment)
            view = await payment_view(uow, payment)
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

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
