"""The one door: scope → idempotency → handler.

Every dialect and every page executes its commands here, so the permission check, the replay of first
answers and the audit of refusals exist once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from farebox.domain.access import Scope
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.errors import Conflict, ErrorCode, Forbidden, NotFound
from farebox.domain.idempotency import WAIT_S, IdempotencyRecord, Verdict, check_key, judge
from farebox.domain.operations import OperationState
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import Attempt, Command, Context, Executed, Give, Mapped, Replayed, Then
from farebox.services.idempotency import AlreadyClaimed, Claim
from farebox.services.views import payment_view_of_operation

R = TypeVar("R")

Handler = Callable[[Any, Any, Any], Awaitable[Any]]
"""`(command, context, claim) -> result`; the pairing with its command is the table given to `Application`."""

_POLL_S = 0.05


class Application:
    """Executes commands."""

    def __init__(
        self,
        handlers: Mapping[type[Command[Any]], Handler],
        *,
        storage: Storage,
        secrets: Secrets,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        """Take the table of handlers, one per command type."""
        self._handlers = handlers
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._telemetry = telemetry

    async def execute(self, command: Command[R], context: Context[R]) -> Executed[R] | Replayed:
        """Execute a command, or give the first answer again.

        Raises:
            Forbidden: `scope_missing`; the refusal is audited.
            FareboxError: whatever the use case refuses with.
        """
        if context.idempotency is not None:
            check_key(context.idempotency.key)
        command = await self._look_first(command, context)
        if isinstance(command, Give):
            return Executed(command.value)
        if isinstance(command, Mapped):
            return await self._execute_mapped(cast("Mapped[Any, R]", command), context)
        await self._check_scope(command, context)
        claim = Claim(context, self._secrets, self._clock.now)
        try:
            result: R = await self._handlers[type(command)](command, context, claim)
        except AlreadyClaimed as found:
            return await self._repeat(found.record, context, claim)
        if claim.superseded:
            record = await self._storage.read(claim.find)
            if record is not None:
                return await self._repeat(record, context, claim)
        return Executed(result, claim.answer)

    async def _execute_mapped(self, command: Mapped[Any, R], context: Context[R]) -> Executed[R] | Replayed:
        render, into = context.render, command.into
        inner: Context[Any] = Context(
            principal=context.principal,
            dialect=context.dialect,
            rules=context.rules,
            request_id=context.request_id,
            render=lambda result: render(into(result)),
            idempotency=context.idempotency,
        )
        done = await self.execute(command.act, inner)
        return Executed(into(done.result), done.answer) if isinstance(done, Executed) else done

    async def _look_first(self, command: Command[R], context: Context[R]) -> Command[R]:
        """Run what a chain looks at before it acts; give the command that acts."""
        while isinstance(command, Then):
            chain = cast("Then[Any, R]", command)
            command = chain.then(await self._look(chain.first, context))
        return command

    async def _look(self, command: Command[Any], context: Context[Any]) -> Any:
        """Run one looking command, without the idempotency key that belongs to what follows."""
        if isinstance(command, Attempt):
            try:
                return await self._look(command.command, context)
            except NotFound:
                return None
        command = await self._look_first(command, context)
        if isinstance(command, Give):
            return command.value
        await self._check_scope(command, context)
        keyless = replace(context, idempotency=None)
        claim = Claim(keyless, self._secrets, self._clock.now)
        return await self._handlers[type(command)](command, keyless, claim)

    async def _check_scope(self, command: Command[Any], context: Context[Any]) -> None:
        if command.scope is not None and command.scope not in context.principal.scopes:
            await self._refuse(command, command.scope, context)

    async def _refuse(self, command: Command[Any], scope: Scope, context: Context[Any]) -> None:
        entry = AuditEntry(
            action=AuditAction.ACCESS_REFUSED,
            at=self._clock.now(),
            merchant_id=context.principal.tenant.merchant_id,
            actor=context.principal.key_id,
            object_id=type(command).__name__,
            why=scope.value,
            request_id=context.request_id,
        )
        await self._storage.write(lambda uow: uow.audit.append((entry,)))
        raise Forbidden(ErrorCode.SCOPE_MISSING)

    async def _repeat(
        self, first: IdempotencyRecord, context: Context[R], claim: Claim[R]
    ) -> Executed[R] | Replayed:
        """Answer a repeated key: replay, or wait a little for the first request to finish."""
        deadline = self._clock.monotonic() + WAIT_S
        record: IdempotencyRecord | None = first
        while record is not None:
            if judge(record, claim.fingerprint) is Verdict.REPLAY:
                return self._replay(record, context, claim)
            if await self._storage.write(lambda uow: self._adopt(uow, context, claim)):
                record = await self._storage.read(claim.find)
                continue
            if self._clock.monotonic() >= deadline:
                break
            await self._clock.sleep(_POLL_S)
            record = await self._storage.read(claim.find)
        raise Conflict(ErrorCode.IDEMPOTENCY_IN_PROGRESS, retry_after_s=1)

    def _replay(self, record: IdempotencyRecord, context: Context[R], claim: Claim[R]) -> Replayed:
        answer = claim.open(record)
        if answer is None:
            # Only a mint's answer dies early, together with its token.
            raise Conflict(ErrorCode.TOKEN_EXPIRED)
        self._telemetry.replayed(context.dialect)
        return Replayed(answer)

    async def _adopt(self, uow: UnitOfWork, context: Context[R], claim: Claim[R]) -> bool:
        """Finish a record whose owner died: recovery has moved its operation on, so there is an answer."""
        record = await claim.find(uow)
        if record is None or record.operation_id is None:
            return record is None
        operation = await uow.operations.find(context.principal.tenant, record.operation_id)
        if operation is None or operation.state is OperationState.SUBMITTED:
            return False
        view: Any = await payment_view_of_operation(uow, operation)
        await claim.finish(uow, view)
        return True
