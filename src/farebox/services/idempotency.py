"""The claim on an idempotency key that a use case carries through its transactions.

`begin` goes into the first transaction, `finish` into the one that makes the result true, so a key is
claimed and answered together with what it stands for. Without a key every step does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Generic, TypeVar

from farebox.domain.access import Tenant
from farebox.domain.idempotency import IdempotencyRecord, IdempotencyState
from farebox.domain.ids import OperationId
from farebox.ports.secrets import Secrets
from farebox.ports.storage import UnitOfWork
from farebox.services.commands import Context, IdempotencyRequest

R = TypeVar("R")


class AlreadyClaimed(Exception):
    """The key is known: the transaction is undone and the door decides what the repetition gets."""

    def __init__(self, record: IdempotencyRecord) -> None:
        """Carry what the first request left."""
        super().__init__()
        self.record = record


class Claim(Generic[R]):
    """One request's hold on its idempotency key; inert when the request has none."""

    def __init__(self, context: Context[R], secrets: Secrets, now: Callable[[], datetime]) -> None:
        """Bind to a request."""
        self._context = context
        self._request = context.idempotency
        self._tenant = context.principal.tenant
        self._render = context.render
        self._secrets = secrets
        self._now = now
        self._mac = mac_of(context.idempotency, self._tenant, secrets) if context.idempotency else b""
        self.fingerprint = (
            secrets.request_mac(context.idempotency.canonical, self._tenant) if context.idempotency else b""
        )
        self.answer: bytes | None = None
        self.superseded = False
        """Another request with the key stored its answer first; that one is given."""

    @property
    def reference(self) -> str | None:
        """Give a processor reference derived from the key, so that a restored database repeats it."""
        return f"k{self._mac[:16].hex()}" if self._request else None

    def without_key(self) -> Claim[R]:
        """Give an inert claim, for what the request does beside what its key stands for."""
        return Claim(replace(self._context, idempotency=None), self._secrets, self._now)

    async def begin(self, uow: UnitOfWork, operation_id: OperationId | None = None) -> None:
        """Claim the key in this transaction.

        Raises:
            AlreadyClaimed: somebody was first.
        """
        if self._request is None:
            return
        first = await uow.idempotency.claim(
            IdempotencyRecord(
                tenant=self._tenant,
                kind=self._request.kind,
                key_mac=self._mac,
                fingerprint=self.fingerprint,
                state=IdempotencyState.RUNNING,
                created_at=self._now(),
                operation_id=operation_id,
            )
        )
        if first is not None:
            raise AlreadyClaimed(first)

    async def finish(self, uow: UnitOfWork, result: R, *, bucket_minute: int | None = None) -> None:
        """Store the answer in the transaction that makes the result true.

        `bucket_minute` seals the answer of a mint under the token's own bucket, so that both die together.
        """
        if self._request is None:
            return
        self.answer = self._render(result)
        sealed = self._secrets.seal_answer(
            self.answer,
            tenant=self._tenant,
            idempotency_key=self._request.key,
            bucket_minute=bucket_minute,
        )
        stored = await uow.idempotency.finish(
            self._tenant, self._request.kind, self._mac, sealed, bucket_minute
        )
        self.superseded = not stored

    async def abandon(self, uow: UnitOfWork) -> None:
        """Forget the claim: nothing was sent, so the key may start again."""
        if self._request is not None:
            await uow.idempotency.abandon(self._tenant, self._request.kind, self._mac)

    async def find(self, uow: UnitOfWork) -> IdempotencyRecord | None:
        """Read the record as it stands."""
        if self._request is None:
            return None
        return await uow.idempotency.find(self._tenant, self._request.kind, self._mac)

    def open(self, record: IdempotencyRecord) -> bytes | None:
        """Open the stored answer; nothing when it died with its token."""
        if self._request is None or record.answer is None:
            return None
        return self._secrets.open_answer(
            record.answer,
            tenant=self._tenant,
            idempotency_key=self._request.key,
            bucket_minute=record.bucket_minute,
        )


def mac_of(request: IdempotencyRequest, tenant: Tenant, secrets: Secrets) -> bytes:
    """Digest the key; the key itself is never stored, for it also opens the stored answer."""
    return secrets.idempotency_mac(request.key, request.kind, tenant)
