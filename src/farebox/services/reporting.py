"""Read models: payments and events, singly and in lists; and what may be noted on a payment afterwards."""

from __future__ import annotations

from dataclasses import replace

from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode, NotFound
from farebox.domain.events import Event
from farebox.domain.facts import check_facts
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Page, PageRequest, Storage, UnitOfWork
from farebox.services.commands import (
    AmendPayment,
    Context,
    FindNumbered,
    GetEvent,
    GetNotice,
    GetOperation,
    GetPayment,
    GetPaymentByKey,
    ListEvents,
    ListNotices,
    ListOperations,
    ListPayments,
    Notice,
    PaymentView,
    ResolveId,
)
from farebox.services.idempotency import Claim
from farebox.services.notices import subject_of
from farebox.services.views import payment_view, payment_view_of_operation

_NOT_FOUND = {
    "pay": ErrorCode.PAYMENT_NOT_FOUND,
    "op": ErrorCode.OPERATION_NOT_FOUND,
    "cus": ErrorCode.CUSTOMER_NOT_FOUND,
    "pt": ErrorCode.PAYMENT_TOKEN_NOT_FOUND,
}


class Reporting:
    """Shows what is stored."""

    def __init__(self, storage: Storage, secrets: Secrets) -> None:
        """Take the database, and what digests idempotency keys."""
        self._storage = storage
        self._secrets = secrets

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

    async def operation(
        self, command: GetOperation, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Show the payment that an operation belongs to.

        Raises:
            NotFound: `operation_not_found`.
        """

        async def work(uow: UnitOfWork) -> PaymentView:
            operation = await uow.operations.find(context.principal.tenant, command.operation_id)
            if operation is None:
                raise NotFound(ErrorCode.OPERATION_NOT_FOUND)
            return await payment_view_of_operation(uow, operation)

        return await self._storage.read(work)

    async def payment_by_key(
        self, command: GetPaymentByKey, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Show the payment that was made under an idempotency key.

        Raises:
            NotFound: `payment_not_found` when the key is unknown or no longer remembered.
        """
        tenant = context.principal.tenant
        mac = self._secrets.idempotency_mac(command.key, command.kind, tenant)

        async def work(uow: UnitOfWork) -> PaymentView:
            record = await uow.idempotency.find(tenant, command.kind, mac)
            operation_id = record.operation_id if record else None
            operation = await uow.operations.find(tenant, operation_id) if operation_id else None
            if operation is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            return await payment_view_of_operation(uow, operation)

        return await self._storage.read(work)

    async def find_numbered(self, command: FindNumbered, context: Context[str], claim: Claim[str]) -> str:
        """Find the id that has a number.

        Raises:
            NotFound: naming the kind of thing that there is none of.
        """
        bounds = command.numbering.range_of(command.prefix, command.number)
        found = None
        if bounds is not None:
            first, last = bounds
            tenant = context.principal.tenant
            found = await self._storage.read(
                lambda uow: _newest_between(uow, tenant, command.prefix, first, last)
            )
        if found is None:
            raise NotFound(_NOT_FOUND[command.prefix])
        return found

    async def operations(
        self,
        command: ListOperations,
        context: Context[Page[PaymentView]],
        claim: Claim[Page[PaymentView]],
    ) -> Page[PaymentView]:
        """List operations, each with its payment."""

        async def work(uow: UnitOfWork) -> Page[PaymentView]:
            page = await uow.operations.page(context.principal.tenant, command.page)
            views = [await payment_view_of_operation(uow, operation) for operation in page.items]
            return Page(views, page.has_more)

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

    async def amend(
        self, command: AmendPayment, context: Context[PaymentView], claim: Claim[PaymentView]
    ) -> PaymentView:
        """Replace a payment's facts.

        Raises:
            NotFound: `payment_not_found`.
            Conflict: `payment_state_conflict` when somebody changed it since it was read.
        """
        check_facts(command.facts)

        async def work(uow: UnitOfWork) -> PaymentView:
            await claim.begin(uow)
            payment = await uow.payments.find(context.principal.tenant, command.payment_id)
            if payment is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            amended = replace(payment, facts=command.facts, version=command.version)
            if not await uow.payments.amend(amended):
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            operation = None
            if command.operation_id is not None:
                operation = await uow.operations.find(amended.tenant, command.operation_id)
            view = await payment_view(uow, replace(amended, version=amended.version + 1), operation)
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def resolve(self, command: ResolveId, context: Context[str], claim: Claim[str]) -> str:
        """Find the only id within a range.

        Raises:
            NotFound: `document_not_found` when there is none, or when there are several and nothing says
                which one is meant.
        """
        tenant = context.principal.tenant
        found = await self._storage.read(lambda uow: uow.moments.ids(tenant, command.ids))
        if len(found) != 1:
            raise NotFound(ErrorCode.DOCUMENT_NOT_FOUND)
        return found[0]

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


async def _newest_between(uow: UnitOfWork, tenant: Tenant, prefix: str, first: str, last: str) -> str | None:
    """Give the newest id in a range, both ends included."""
    if prefix == "op":
        operation = await uow.operations.find_between(tenant, first, last)
        return operation.id if operation else None
    # A list continues below its cursor; nothing lies between an id and the same id with one character more.
    page = PageRequest(limit=1, after=f"{last}0")
    match prefix:
        case "pay":
            rows = (await uow.payments.page(tenant, page)).items
        case "cus":
            rows = (await uow.customers.page(tenant, page)).items
        case _:
            rows = (await uow.stored_tokens.page(tenant, page)).items
    return rows[0].id if rows and rows[0].id >= first else None
