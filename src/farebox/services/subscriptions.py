"""Subscriptions: made, shown, changed, and billed when an instalment is due.

Each attempt at an instalment is one payment under an idempotency key made of subscription, period and
attempt. So whoever bills it again (a node beside this one, or this one after a crash between the payment
and the note that it was made) gets that payment and no second one. The subscription moves on by a write
on its version; the schema holds at most one payment a period.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from farebox.domain.access import ApiKeyKind, Principal, Scope
from farebox.domain.credentials_on_file import Agreement, AgreementState
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode, FareboxError, NotFound
from farebox.domain.facts import Facts, check_facts
from farebox.domain.ids import AgreementId, ApiKeyId, DocumentId, PaymentId, RequestId, SubscriptionId
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, OperationKind, OperationState, Reason
from farebox.domain.subscriptions import (
    Subscription,
    SubscriptionState,
    begin,
    declined,
    due_date,
    ended,
    paid,
    unmade,
)
from farebox.domain.tokens import TokenRules
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.services.commands import (
    ChangePlan,
    ChangeSubscription,
    CollectInstalment,
    Command,
    Context,
    CreateSubscription,
    Executed,
    FromCredential,
    GetSubscription,
    IdempotencyRequest,
    ListSubscriptions,
    Pay,
    PaymentView,
    Replayed,
    StoredTokenView,
    SubscriptionView,
)
from farebox.services.idempotency import AlreadyClaimed, Claim
from farebox.services.ids import Ids
from farebox.services.views import payment_view

Execute = Callable[[Command[Any], Context[Any]], Awaitable[Executed[Any] | Replayed]]
_TAKEN = frozenset({OperationState.APPROVED, OperationState.PENDING})
_UNMADE = frozenset({OperationState.FAILED, OperationState.REVERSED})
_GONE = frozenset(
    {ErrorCode.PAYMENT_TOKEN_NOT_FOUND, ErrorCode.TOKEN_CLASS_MISMATCH, ErrorCode.AGREEMENT_ENDED}
)
"""What it bills to is gone, or its agreement has ended."""
_SCHEDULE = ApiKeyId("schedule")


class Subscriptions:
    """Bills stored credentials by schedules."""

    def __init__(self, *, storage: Storage, clock: Clock, ids: Ids, execute: Execute) -> None:
        """Take what it works with; `execute` is the one door, through which every payment goes."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._execute = execute

    async def create(
        self,
        command: CreateSubscription,
        context: Context[SubscriptionView],
        claim: Claim[SubscriptionView],
    ) -> SubscriptionView:
        """Make a subscription, after charging its setup.

        Raises:
            Conflict: `name_already_used`.
            InvalidRequest: `metadata_invalid`.
        """
        check_facts(command.facts)
        check_facts(command.payment_facts)
        tenant = context.principal.tenant
        now = self._clock.now() + context.principal.clock_offset
        agreement = Agreement(
            id=AgreementId(self._ids.new("agr")),
            tenant=tenant,
            state=AgreementState.ACTIVE,
            reason=Reason.RECURRING,
            consented_at=now,
            created_at=now,
            customer_id=command.token.customer_id,
            network_transaction_id=command.token.network_transaction_id,
            reference=command.token.id,
        )
        subscription = begin(
            Subscription(
                id=SubscriptionId(self._ids.new("sub")),
                tenant=tenant,
                name=command.name,
                plan_id=command.plan.id,
                token_id=command.token.id,
                agreement_id=agreement.id,
                dialect=context.dialect,
                state=SubscriptionState.ACTIVE,
                is_automatic=command.is_automatic,
                currency=command.money.currency,
                amount_minor=command.money.amount_minor,
                frequency=command.frequency,
                start_on=command.start_on,
                created_at=now,
                end_on=command.end_on,
                length=command.length,
                skipped=command.skipped,
                facts=command.facts,
                payment_facts=command.payment_facts,
            )
        )
        await self._storage.write(lambda uow: self._consent(uow, command, claim, agreement))
        payment = None
        if command.setup is not None and command.setup.amount_minor > 0:
            payment = await self._charge(
                subscription,
                command.setup,
                key=f"setup:{command.name}",
                reference=command.setup_reference,
                facts=command.payment_facts,
                offset=context.principal.clock_offset,
            )
            if payment.payment.state is OperationState.DECLINED or payment.payment.state in _UNMADE:
                subscription = ended(subscription, SubscriptionState.SUSPENDED)
        view = SubscriptionView(subscription, StoredTokenView(command.token), command.plan, payment)

        async def work(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            await uow.subscriptions.insert(subscription)
            await claim.finish(uow, view)

        await self._storage.write(work)
        return view

    async def _consent(
        self,
        uow: UnitOfWork,
        command: CreateSubscription,
        claim: Claim[SubscriptionView],
        agreement: Agreement,
    ) -> None:
        """Record what the customer agreed to, unless the request was answered or the name is taken."""
        first = await claim.find(uow)
        if first is not None:
            raise AlreadyClaimed(first)
        if await uow.subscriptions.find_by_name(agreement.tenant, command.name) is not None:
            raise Conflict(ErrorCode.NAME_ALREADY_USED)
        await uow.agreements.insert(agreement)

    async def get(
        self, command: GetSubscription, context: Context[SubscriptionView], claim: Claim[SubscriptionView]
    ) -> SubscriptionView:
        """Show a subscription.

        Raises:
            NotFound: `document_not_found`.
        """

        async def work(uow: UnitOfWork) -> SubscriptionView:
            return await _view(uow, await _find(uow, context, command.name))

        return await self._storage.read(work)

    async def page(
        self,
        command: ListSubscriptions,
        context: Context[Page[SubscriptionView]],
        claim: Claim[Page[SubscriptionView]],
    ) -> Page[SubscriptionView]:
        """List subscriptions."""

        async def work(uow: UnitOfWork) -> Page[SubscriptionView]:
            page = await uow.subscriptions.page(context.principal.tenant, command.page)
            return Page([await _view(uow, one) for one in page.items], page.has_more)

        return await self._storage.read(work)

    async def change(
        self,
        command: ChangeSubscription,
        context: Context[SubscriptionView],
        claim: Claim[SubscriptionView],
    ) -> SubscriptionView:
        """Change a subscription.

        Raises:
            NotFound: `document_not_found`.
            Conflict: `document_state_conflict` when somebody changed it since it was read.
        """
        today = self._today(context.principal.clock_offset)

        async def work(uow: UnitOfWork) -> SubscriptionView:
            await claim.begin(uow)
            found = await _find(uow, context, command.name)
            changed = replace(command.change(found, today), version=command.version)
            check_facts(changed.facts)
            if not await uow.subscriptions.update(changed):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            view = await _view(uow, replace(changed, version=changed.version + 1))
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def change_plan(
        self, command: ChangePlan, context: Context[Document], claim: Claim[Document]
    ) -> Document:
        """Change or delete a plan, and its active subscriptions with it, in one transaction.

        Raises:
            Conflict: `document_state_conflict` when somebody changed the plan or one of them meanwhile.
        """
        now = self._clock.now() + context.principal.clock_offset
        plan, tenant = command.plan, context.principal.tenant
        if command.facts is None:
            changed = replace(plan, facts={}, deleted_at=now, updated_at=now)
        else:
            changed = replace(plan, facts=check_facts(command.facts), updated_at=now)

        async def work(uow: UnitOfWork) -> Document:
            await claim.begin(uow)
            if not await uow.documents.update(changed):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            if command.change is not None:
                for one in await uow.subscriptions.of_plan(tenant, plan.id):
                    if one.state is not SubscriptionState.ACTIVE:
                        continue
                    if not await uow.subscriptions.update(command.change(one)):
                        raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            stored = replace(changed, version=changed.version + 1)
            await claim.finish(uow, stored)
            return stored

        return await self._storage.write(work)

    async def collect(
        self,
        command: CollectInstalment,
        context: Context[SubscriptionView],
        claim: Claim[SubscriptionView],
    ) -> SubscriptionView:
        """Collect an instalment by hand.

        Raises:
            NotFound: `document_not_found`.
            Conflict: `document_state_conflict`: it has a schedule, is not active, or this period is paid.
        """
        offset = context.principal.clock_offset

        async def look(uow: UnitOfWork) -> Subscription:
            first = await claim.find(uow)
            if first is not None:
                raise AlreadyClaimed(first)
            return await _find(uow, context, command.name)

        subscription = await self._storage.read(look)
        _check_collectable(subscription, self._today(offset))
        amount_minor = subscription.amount_minor if command.amount_minor is None else command.amount_minor
        payment = await self._charge(
            subscription,
            Money(amount_minor, subscription.currency),
            key=subscription.charge_key,
            reference=command.reference,
            facts={**subscription.payment_facts, **command.facts},
            offset=offset,
        )
        moved = self._moved(subscription, payment, offset)

        async def work(uow: UnitOfWork) -> SubscriptionView:
            await claim.begin(uow)
            view = replace(await _view(uow, moved or subscription), payment=payment)
            if moved is not None:
                await _advance(uow, subscription, moved, payment)
            await claim.finish(uow, view)
            return view

        view = await self._storage.write(work)
        if (payment.payment.amount_minor, payment.payment.reference) != (amount_minor, command.reference):
            # Somebody's earlier collection of this period, which had not been noted yet.
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        return view

    async def bill_due(self, limit: int = 50) -> int:
        """Bill what is due, each once; give how many subscriptions moved on."""
        due = await self._storage.read(lambda uow: uow.subscriptions.due(limit))
        moved = 0
        for subscription, offset in due:
            moved += await self._bill(subscription, offset)
        return moved

    async def _bill(self, subscription: Subscription, offset: timedelta) -> bool:
        payment = None
        try:
            payment = await self._charge(
                subscription,
                Money(subscription.amount_minor, subscription.currency),
                key=subscription.charge_key,
                reference=subscription.name,
                facts=subscription.payment_facts,
                offset=offset,
            )
        except FareboxError as refusal:
            if refusal.code not in _GONE:
                # Nothing was sent, or nobody knows yet what came of it; a later turn finds out.
                return False
            moved = ended(subscription, SubscriptionState.SUSPENDED)
        else:
            moved = self._moved(subscription, payment, offset)
        if moved is None:
            return False

        async def work(uow: UnitOfWork) -> bool:
            return await _advance(uow, subscription, moved, payment)

        return await self._storage.write(work)

    def _moved(
        self, subscription: Subscription, payment: PaymentView, offset: timedelta
    ) -> Subscription | None:
        """Give what an instalment's answer makes of its subscription; nothing while there is none."""
        state = payment.payment.state
        if state in _TAKEN:
            return paid(subscription)
        if state is OperationState.DECLINED:
            return declined(subscription, payment.payment.decline, self._today(offset))
        return unmade(subscription) if state in _UNMADE else None

    async def _charge(
        self,
        subscription: Subscription,
        money: Money,
        *,
        key: str,
        reference: str | None,
        facts: Facts,
        offset: timedelta,
    ) -> PaymentView:
        """Make the payment of a key, or find the one that was made; its state is today's."""
        principal = Principal(
            tenant=subscription.tenant,
            key_id=_SCHEDULE,
            kind=ApiKeyKind.SECRET,
            scopes=frozenset({Scope.PAYMENTS_WRITE}),
            dialect=subscription.dialect,
            clock_offset=offset,
        )
        context: Context[PaymentView] = Context(
            principal=principal,
            dialect=subscription.dialect,
            rules=TokenRules(),
            request_id=RequestId(self._ids.new("req")),
            render=lambda view: view.payment.id.encode(),
            idempotency=IdempotencyRequest(key, "schedule", b""),
        )
        command = Pay(
            OperationKind.PURCHASE,
            money,
            FromCredential(subscription.token_id, subscription.agreement_id),
            initiator=Initiator.MERCHANT,
            reason=Reason.RECURRING,
            reference=reference,
            facts=facts,
        )
        done = await self._execute(command, context)
        is_replayed = isinstance(done, Replayed)
        payment_id = PaymentId(done.answer.decode()) if is_replayed else done.result.payment.id

        async def read(uow: UnitOfWork) -> PaymentView:
            payment = await uow.payments.find(subscription.tenant, payment_id)
            if payment is None:
                raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
            return await payment_view(uow, payment)

        return await self._storage.read(read)

    def _today(self, offset: timedelta) -> date:
        return (self._clock.now() + offset).date()


def _check_collectable(subscription: Subscription, today: date) -> None:
    """Refuse a second collection in a period; the first period may be collected ahead."""
    is_ahead = subscription.period > subscription.skipped and today < due_date(
        subscription.start_on, subscription.frequency, subscription.period
    )
    if subscription.is_automatic or subscription.state is not SubscriptionState.ACTIVE or is_ahead:
        raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)


async def _advance(
    uow: UnitOfWork, before: Subscription, after: Subscription, payment: PaymentView | None
) -> bool:
    """Write how a subscription moved on, unless somebody did so first."""
    if not await uow.subscriptions.update(after):
        return False
    if payment is not None and payment.payment.state in _TAKEN:
        await uow.subscriptions.record_payment(before, payment.payment.id)
    return True


async def _find(uow: UnitOfWork, context: Context[SubscriptionView], name: str) -> Subscription:
    found = await uow.subscriptions.find_by_name(context.principal.tenant, name)
    if found is None:
        raise NotFound(ErrorCode.DOCUMENT_NOT_FOUND)
    return found


async def _view(uow: UnitOfWork, subscription: Subscription) -> SubscriptionView:
    token = await uow.stored_tokens.find_by_id(subscription.tenant, subscription.token_id)
    plan = await uow.documents.find(subscription.tenant, "payment_plan", DocumentId(subscription.plan_id))
    return SubscriptionView(subscription, StoredTokenView(token) if token else None, plan)
