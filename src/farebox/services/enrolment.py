"""Storing a customer with documents and credentials of theirs: all of it or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from farebox.domain.customers import Customer
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.events import Event
from farebox.domain.facts import check_facts
from farebox.domain.ids import DocumentId
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    Context,
    CreateCustomer,
    Enrol,
    Enrolled,
    NewCredential,
    NewDocument,
    StoreCredential,
    StoredTokenView,
)
from farebox.services.credentials import Credentials, Prepared
from farebox.services.customers import Customers
from farebox.services.durability import Durability
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.references import take_reference


class Enrolment:
    """Stores customers with what belongs to them."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        customers: Customers,
        credentials: Credentials,
        durability: Durability,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._customers = customers
        self._credentials = credentials
        self._durability = durability

    async def enrol(self, command: Enrol, context: Context[Enrolled], claim: Claim[Enrolled]) -> Enrolled:
        """Store a customer with documents and credentials; what is refused has spent no token.

        Raises:
            Conflict: `name_already_used` for the customer's reference, `reference_already_used` for a
                mandate's, `instrument_already_stored`, or the token cannot be spent.
            NotFound: no such customer or token.
        """
        self._durability.require()
        prepared = [await self._credentials.prepare(one.store, context) for one in command.credentials]

        async def work(uow: UnitOfWork) -> tuple[Enrolled, list[Event]]:
            await claim.begin(uow)
            customer, events = await self._customer(uow, command, context)
            documents = {
                one.key: await self._document(uow, one, customer, context) for one in command.documents
            }
            ids: dict[str, str] = {key: document.id for key, document in documents.items()}
            views: list[StoredTokenView] = []
            for one, sealed in zip(command.credentials, prepared, strict=True):
                view, new = await self._credential(uow, one, sealed, customer, ids, context)
                ids[f"credential:{len(views)}"] = view.token.id
                views.append(view)
                events += new
            await uow.events.append(events)
            enrolled = Enrolled(customer, documents, views)
            await claim.finish(uow, enrolled)
            return enrolled, events

        enrolled, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return enrolled

    async def _customer(
        self, uow: UnitOfWork, command: Enrol, context: Context[Enrolled]
    ) -> tuple[Customer, list[Event]]:
        if isinstance(command.customer, CreateCustomer):
            customer, event = await self._customers.insert(uow, command.customer, context.principal)
            return customer, [event]
        found = await uow.customers.find(context.principal.tenant, command.customer)
        if found is None:
            raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
        return found, []

    async def _document(
        self, uow: UnitOfWork, new: NewDocument, customer: Customer, context: Context[Enrolled]
    ) -> Document:
        now = self._now(context)
        document = Document(
            id=DocumentId(self._ids.new("doc")),
            tenant=customer.tenant,
            kind=new.kind,
            created_at=now,
            updated_at=now,
            state=new.state,
            parent_id=customer.id,
            facts=check_facts(new.facts),
        )
        await uow.documents.insert(document)
        return document

    async def _credential(
        self,
        uow: UnitOfWork,
        new: NewCredential,
        prepared: Prepared,
        customer: Customer,
        ids: dict[str, str],
        context: Context[Enrolled],
    ) -> tuple[StoredTokenView, list[Event]]:
        await take_reference(uow, customer.tenant, new.unique_reference, self._now(context))
        facts = {**new.store.facts, **{name: ids[key] for name, key in new.links.items()}}
        store: StoreCredential = replace(new.store, customer_id=customer.id, facts=facts)
        return await self._credentials.keep(uow, store, prepared, context)

    def _now(self, context: Context[Enrolled]) -> datetime:
        return self._clock.now() + context.principal.clock_offset
