"""Customers: whom stored credentials belong to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from farebox.domain.access import Principal, Tenant
from farebox.domain.customers import Customer
from farebox.domain.errors import Conflict, ErrorCode, NotFound
from farebox.domain.events import Event, EventType
from farebox.domain.facts import check_facts
from farebox.domain.ids import CustomerId
from farebox.ports.storage import Page, PageRequest, Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    Context,
    CreateCustomer,
    DeleteCustomer,
    GetCustomer,
    ListCustomers,
    UpdateCustomer,
)
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids

_CREDENTIALS_AT_ONCE = 100


class Customers:
    """Keeps customers."""

    def __init__(self, *, storage: Storage, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        """Take what it works with."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry

    async def create(
        self, command: CreateCustomer, context: Context[Customer], claim: Claim[Customer]
    ) -> Customer:
        """Store a customer.

        Raises:
            Conflict: `name_already_used` for a reference or an e-mail address that must be unique and is not.
        """

        async def work(uow: UnitOfWork) -> tuple[Customer, Event]:
            await claim.begin(uow)
            customer, event = await self.insert(uow, command, context.principal)
            await uow.events.append((event,))
            await claim.finish(uow, customer)
            return customer, event

        customer, event = await self._storage.write(work)
        self._telemetry.observe((event,))
        return customer

    async def insert(
        self, uow: UnitOfWork, command: CreateCustomer, principal: Principal
    ) -> tuple[Customer, Event]:
        """Store a customer in the caller's transaction.

        Raises:
            Conflict: `name_already_used`.
        """
        customer = Customer(
            id=CustomerId(self._ids.new("cus")),
            tenant=principal.tenant,
            created_at=self._clock.now() + principal.clock_offset,
            reference=command.reference,
            name=command.name,
            email=command.email,
            phone=command.phone,
            metadata=command.metadata,
            facts=check_facts(command.facts),
        )
        if command.has_unique_reference:
            customer = replace(customer, facts={**customer.facts, _HOLDS_REFERENCE: True})
            await _take_reference(uow, customer)
        if command.has_unique_email and customer.email is not None:
            same = PageRequest(limit=1, filters={"email": customer.email})
            if (await uow.customers.page(customer.tenant, same)).items:
                raise Conflict(ErrorCode.NAME_ALREADY_USED, param="email")
        await uow.customers.insert(customer)
        return customer, self._event(EventType.CUSTOMER_CREATED, customer)

    async def get(self, command: GetCustomer, context: Context[Customer], claim: Claim[Customer]) -> Customer:
        """Show a customer.

        Raises:
            NotFound: `customer_not_found`.
        """
        return await self._storage.read(lambda uow: _find(uow, context.principal.tenant, command.customer_id))

    async def page(
        self, command: ListCustomers, context: Context[Page[Customer]], claim: Claim[Page[Customer]]
    ) -> Page[Customer]:
        """List customers."""
        tenant = context.principal.tenant
        return await self._storage.read(lambda uow: uow.customers.page(tenant, command.page))

    async def update(
        self, command: UpdateCustomer, context: Context[Customer], claim: Claim[Customer]
    ) -> Customer:
        """Change a customer.

        Raises:
            NotFound: `customer_not_found`.
            Conflict: `payment_state_conflict` when somebody changed it at the same moment.
        """
        changes: dict[str, object] = dict(command.changes)
        if command.metadata is not None:
            changes["metadata"] = command.metadata
        if command.facts is not None:
            changes["facts"] = check_facts(command.facts)
        return await self._change(
            command.customer_id,
            context,
            claim,
            EventType.CUSTOMER_UPDATED,
            changes,
            has_unique_reference=command.has_unique_reference,
        )

    async def delete(
        self, command: DeleteCustomer, context: Context[Customer], claim: Claim[Customer]
    ) -> Customer:
        """Delete a customer; the credentials stored for them are erased first.

        Raises:
            NotFound: `customer_not_found`.
        """
        tenant = context.principal.tenant
        while await self._storage.write(
            lambda uow: self._erase_credentials(uow, tenant, command.customer_id)
        ):
            pass
        for kind in command.document_kinds:
            while await self._storage.write(
                lambda uow, kind=kind: self._erase_documents(uow, tenant, kind, command.customer_id)
            ):
                pass
        erased: dict[str, object] = {
            "deleted_at": self._clock.now(),
            "name": None,
            "email": None,
            "phone": None,
            "facts": {},
        }
        return await self._change(command.customer_id, context, claim, EventType.CUSTOMER_DELETED, erased)

    async def _erase_credentials(self, uow: UnitOfWork, tenant: Tenant, customer_id: CustomerId) -> bool:
        """Erase some of a customer's credentials; tell whether there may be more."""
        page = await uow.stored_tokens.page(
            tenant, PageRequest(limit=_CREDENTIALS_AT_ONCE, filters={"customer_id": customer_id})
        )
        for token in page.items:
            await uow.stored_tokens.delete(replace(token, deleted_at=self._clock.now()))
        events = [
            self._ids.event(
                EventType.STORED_TOKEN_DELETED,
                tenant,
                token.id,
                at=self._clock.now(),
                sequence=token.version + 1,
                data={"kind": token.kind.value, "dialect": token.dialect},
            )
            for token in page.items
        ]
        if events:
            await uow.events.append(events)
        return page.has_more

    async def _erase_documents(
        self, uow: UnitOfWork, tenant: Tenant, kind: str, customer_id: CustomerId
    ) -> bool:
        """Erase some of a customer's documents; tell whether there may be more."""
        page = await uow.documents.page(
            tenant, kind, PageRequest(limit=_CREDENTIALS_AT_ONCE, filters={"parent_id": customer_id})
        )
        for document in page.items:
            await uow.documents.update(replace(document, name=None, facts={}, deleted_at=self._clock.now()))
        return page.has_more

    async def _change(
        self,
        customer_id: CustomerId,
        context: Context[Customer],
        claim: Claim[Customer],
        type_: EventType,
        changes: dict[str, object],
        *,
        has_unique_reference: bool = False,
    ) -> Customer:
        async def work(uow: UnitOfWork) -> tuple[Customer, Event]:
            await claim.begin(uow)
            customer = await _find(uow, context.principal.tenant, customer_id)
            before, customer = customer, replace(customer, **changes)
            if customer.deleted_at is not None or before.reference != customer.reference:
                await _release_reference(uow, before)
                if has_unique_reference:
                    await _take_reference(uow, customer)
            if has_unique_reference:
                customer = replace(customer, facts={**customer.facts, _HOLDS_REFERENCE: True})
            if not await uow.customers.update(customer):
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            customer = replace(customer, version=customer.version + 1)
            event = self._event(type_, customer)
            await uow.events.append((event,))
            await claim.finish(uow, customer)
            return customer, event

        customer, event = await self._storage.write(work)
        self._telemetry.observe((event,))
        return customer

    def _event(self, type_: EventType, customer: Customer) -> Event:
        return self._ids.event(
            type_,
            customer.tenant,
            customer.id,
            at=self._clock.now(),
            sequence=customer.version,
            data={},
        )


_REFERENCES = "customers"
_HOLDS_REFERENCE = "holds_reference"
"""The fact that a customer's reference is taken: others may have it without."""
_FOREVER = timedelta(days=365_000)


async def _take_reference(uow: UnitOfWork, customer: Customer) -> None:
    """Take a customer's reference for as long as there is the customer.

    Raises:
        Conflict: `name_already_used`, naming who has it.
    """
    reference = customer.reference or ""
    until = customer.created_at + _FOREVER
    if await uow.references.take(
        customer.tenant, _REFERENCES, reference, now=customer.created_at, until=until
    ):
        return
    page = await uow.customers.page(customer.tenant, PageRequest(limit=1, filters={"reference": reference}))
    raise Conflict(ErrorCode.NAME_ALREADY_USED, existing=[one.id for one in page.items])


async def _release_reference(uow: UnitOfWork, customer: Customer) -> None:
    if customer.reference is not None and customer.facts.get(_HOLDS_REFERENCE):
        await uow.references.release(customer.tenant, _REFERENCES, customer.reference)


async def _find(uow: UnitOfWork, tenant: Tenant, customer_id: CustomerId) -> Customer:
    customer = await uow.customers.find(tenant, customer_id)
    if customer is None:
        raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND)
    return customer
