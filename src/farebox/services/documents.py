"""Documents: kept, shown, changed and deleted for whatever dialect has such a thing."""

from __future__ import annotations

from dataclasses import replace

from farebox.domain.access import Tenant
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode, NotFound
from farebox.domain.facts import check_facts
from farebox.domain.ids import DocumentId
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.services.commands import (
    AnswerDocument,
    Context,
    CreateDocument,
    DeleteDocument,
    GetDocument,
    ListDocuments,
    UpdateDocument,
)
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids


class Documents:
    """Keeps what merchants keep beside payments."""

    def __init__(self, *, storage: Storage, clock: Clock, ids: Ids) -> None:
        """Take what it works with."""
        self._storage = storage
        self._clock = clock
        self._ids = ids

    async def create(
        self, command: CreateDocument, context: Context[Document], claim: Claim[Document]
    ) -> Document:
        """Keep a thing.

        Raises:
            Conflict: `name_already_used`.
            InvalidRequest: `metadata_invalid` when its facts hold a card number.
        """
        now = self._clock.now() + context.principal.clock_offset
        document = Document(
            id=DocumentId(self._ids.new("doc")),
            tenant=context.principal.tenant,
            kind=command.kind,
            created_at=now,
            updated_at=now,
            state=command.state,
            parent_id=command.parent_id,
            name=command.name,
            facts=check_facts(command.facts),
        )

        async def work(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            await uow.documents.insert(document)
            await claim.finish(uow, document)

        await self._storage.write(work)
        return document

    async def get(self, command: GetDocument, context: Context[Document], claim: Claim[Document]) -> Document:
        """Show a document.

        Raises:
            NotFound: `document_not_found`, for a deleted one too.
        """
        tenant = context.principal.tenant

        async def work(uow: UnitOfWork) -> Document | None:
            if command.by_name:
                return await uow.documents.find_by_name(tenant, command.kind, command.document)
            return await uow.documents.find(tenant, command.kind, DocumentId(command.document))

        document = await self._storage.read(work)
        return document if document is not None and command.with_deleted else _living(document)

    async def page(
        self, command: ListDocuments, context: Context[Page[Document]], claim: Claim[Page[Document]]
    ) -> Page[Document]:
        """List documents of a kind."""
        tenant = context.principal.tenant
        return await self._storage.read(lambda uow: uow.documents.page(tenant, command.kind, command.page))

    async def update(
        self, command: UpdateDocument, context: Context[Document], claim: Claim[Document]
    ) -> Document:
        """Change a document.

        Raises:
            NotFound: `document_not_found`.
            Conflict: `document_state_conflict` when somebody changed it since it was read.
        """
        now = self._clock.now() + context.principal.clock_offset

        async def work(uow: UnitOfWork) -> Document:
            await claim.begin(uow)
            document = await _find(uow, context.principal.tenant, command.kind, command.document_id)
            changed = replace(
                document,
                facts=document.facts if command.facts is None else check_facts(command.facts),
                state=document.state if command.state is None else command.state,
                parent_id=document.parent_id if command.parent_id is None else command.parent_id,
                updated_at=now,
                version=command.version,
            )
            if not await uow.documents.update(changed):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            changed = replace(changed, version=changed.version + 1)
            await claim.finish(uow, changed)
            return changed

        return await self._storage.write(work)

    async def answer(
        self, command: AnswerDocument, context: Context[Document], claim: Claim[Document]
    ) -> Document:
        """Move a document out of the state it waits in.

        Raises:
            NotFound: `document_not_found`.
            Conflict: `document_state_conflict` when it waits no more.
        """
        now = self._clock.now() + context.principal.clock_offset

        async def work(uow: UnitOfWork) -> Document:
            await claim.begin(uow)
            document = await _find(uow, context.principal.tenant, command.kind, command.document_id)
            facts = check_facts({**document.facts, **command.facts})
            changed = replace(document, facts=facts, state=command.state, updated_at=now)
            if document.state != command.waits_in or not await uow.documents.update(changed):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            changed = replace(changed, version=changed.version + 1)
            await claim.finish(uow, changed)
            return changed

        return await self._storage.write(work)

    async def delete(
        self, command: DeleteDocument, context: Context[Document], claim: Claim[Document]
    ) -> Document:
        """Delete a document, its facts with it.

        Raises:
            NotFound: `document_not_found`.
        """
        now = self._clock.now() + context.principal.clock_offset

        async def work(uow: UnitOfWork) -> Document:
            await claim.begin(uow)
            document = await _find(uow, context.principal.tenant, command.kind, command.document_id)
            name = None if command.frees_name else document.name
            deleted = replace(document, name=name, facts={}, deleted_at=now, updated_at=now)
            if not await uow.documents.update(deleted):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            deleted = replace(deleted, version=deleted.version + 1)
            await claim.finish(uow, deleted)
            return deleted

        return await self._storage.write(work)


async def _find(uow: UnitOfWork, tenant: Tenant, kind: str, document_id: DocumentId) -> Document:
    return _living(await uow.documents.find(tenant, kind, document_id))


def _living(document: Document | None) -> Document:
    if document is None or document.deleted_at is not None:
        raise NotFound(ErrorCode.DOCUMENT_NOT_FOUND)
    return document
