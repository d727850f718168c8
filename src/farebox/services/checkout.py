"""Checkout sessions: made and changed by merchants, viewed and left by buyers, expired by time.

How they are paid is in `checkout_payments`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from farebox.domain.access import AccessSession, CredentialUse, Principal, Scope
from farebox.domain.checkout import (
    SHOWN_AFTER_END,
    TRANSITIONS,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    check_terms,
    moved,
)
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.events import Event
from farebox.domain.facts import check_facts
from farebox.domain.ids import ApiKeyId, CheckoutSessionId, base32
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, OperationKind
from farebox.domain.payments import Payment, PaymentStatus
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.ports.telemetry import Telemetry
from farebox.services.checkout_books import (
    SESSION_ATTRIBUTE,
    CheckoutBooks,
    found,
    own_session,
    payment_context,
)
from farebox.services.commands import (
    AbandonCheckoutSession,
    CancelCheckoutSession,
    CheckoutSessionView,
    Context,
    CreateCheckoutSession,
    FollowUp,
    GetCheckoutSession,
    ListCheckoutSessions,
    LockCheckoutSession,
    UpdateCheckoutSession,
    ViewCheckoutSession,
)
from farebox.services.follow_ups import FollowUps
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids

_ROWS_AT_ONCE = 200


class Checkout:
    """Keeps checkout sessions."""

    def __init__(
        self,
        *,
        storage: Storage,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        telemetry: Telemetry,
        follow_ups: FollowUps,
        books: CheckoutBooks,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._telemetry = telemetry
        self._follow_ups = follow_ups
        self._books = books

    # --- the merchant ----------------------------------------------------------------------------

    async def create(
        self,
        command: CreateCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Make a session and the address of its page.

        Raises:
            InvalidRequest: amount, currency, an address or the end of its life is not allowed.
            NotFound: `customer_not_found`, `payment_token_not_found` or `agreement_not_found`.
        """
        session = self._books.new(command, context)
        address = self._address(command, session.id)

        async def work(uow: UnitOfWork) -> tuple[CheckoutSessionView, Event]:
            await claim.begin(uow)
            event, stored = await self._books.insert(uow, session, command)
            await uow.events.append((event,))
            await uow.sessions.insert(self._visitor(stored, address, context.principal))
            view = await self._books.view(uow, stored, context.principal)
            view = replace(view, address=address)
            await claim.finish(uow, view)
            return view, event

        view, event = await self._storage.write(work)
        self._telemetry.observe((event,))
        return view

    async def get(
        self,
        command: GetCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Show a session.

        Raises:
            NotFound: `checkout_session_not_found`.
        """
        principal = context.principal

        async def work(uow: UnitOfWork) -> CheckoutSessionView:
            session = found(await uow.checkout_sessions.find(principal.tenant, command.session_id))
            return self._books.with_strings(await self._books.view(uow, session, principal))

        return await self._storage.read(work)

    async def page(
        self,
        command: ListCheckoutSessions,
        context: Context[Page[CheckoutSessionView]],
        claim: Claim[Page[CheckoutSessionView]],
    ) -> Page[CheckoutSessionView]:
        """List sessions."""
        tenant = context.principal.tenant
        now = self._books.now(context.principal)
        page = await self._storage.read(lambda uow: uow.checkout_sessions.page(tenant, command.page))
        return Page([CheckoutSessionView(one.as_of(now), now) for one in page.items], page.has_more)

    async def update(
        self,
        command: UpdateCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Change what is asked of the buyer.

        Raises:
            NotFound: `checkout_session_not_found`.
            Conflict: `checkout_session_conflict` when it is not open, not locked as it should be, or
                was changed since it was read.
        """

        def change(session: CheckoutSession, now: datetime) -> list[CheckoutSession]:
            if command.requires_lock and session.state is not CheckoutState.LOCKED:
                raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT)
            if command.version is not None and command.version != session.version:
                raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT)
            updated = moved(
                _changed(session, command),
                CheckoutEvent.UPDATE,
                now,
                request_id=context.request_id,
                facts=check_facts(command.note),
            )
            if not (command.removes_lock and session.state is CheckoutState.LOCKED):
                return [updated]
            unlocked = moved(updated, CheckoutEvent.UNLOCK, now, request_id=context.request_id)
            return [updated, replace(unlocked, lock_id=None)]

        return await self._change(command.session_id, change, context, claim)

    async def cancel(
        self,
        command: CancelCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """End a session; an authorization that was made for it is voided first.

        Raises:
            NotFound: `checkout_session_not_found`.
            Conflict: `checkout_session_conflict` while it is being paid, and where its money has moved.
        """
        undone = await self._void(command.session_id, context)
        event = CheckoutEvent.UNDO if undone else CheckoutEvent.CANCEL

        def change(session: CheckoutSession, now: datetime) -> list[CheckoutSession]:
            if session.state is CheckoutState.CANCELLED:
                return []
            ended = moved(session, event, now, request_id=context.request_id, facts=check_facts(command.note))
            return [replace(ended, ended_by=Initiator.MERCHANT, lock_id=None)]

        return await self._change(command.session_id, change, context, claim)

    # --- the buyer -------------------------------------------------------------------------------

    async def view(
        self,
        command: ViewCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Show a session to its buyer, and note the visit.

        Raises:
            NotFound: `checkout_session_not_found`.
        """
        session_id, principal = own_session(context.principal), context.principal
        if not command.visits:
            return await self._storage.read(lambda uow: self._books.shown(uow, session_id, principal))

        def change(session: CheckoutSession, now: datetime) -> list[CheckoutSession]:
            if CheckoutEvent.VISIT not in TRANSITIONS[session.state]:
                return []
            note = check_facts(command.note)
            visited = moved(session, CheckoutEvent.VISIT, now, request_id=context.request_id, facts=note)
            return [replace(visited, facts={**session.facts, **check_facts(command.facts)})]

        return await self._change(session_id, change, context, claim)

    async def lock(
        self,
        command: LockCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Keep the session from being paid until an update removes the lock.

        Raises:
            NotFound: `checkout_session_not_found`.
            Conflict: `checkout_session_conflict` when it is not open.
        """
        lock_id = self._ids.new("lock")

        def change(session: CheckoutSession, now: datetime) -> list[CheckoutSession]:
            note = check_facts(command.note)
            locked = moved(session, CheckoutEvent.LOCK, now, request_id=context.request_id, facts=note)
            return [replace(locked, lock_id=lock_id)]

        return await self._change(own_session(context.principal), change, context, claim)

    async def abandon(
        self,
        command: AbandonCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Let the buyer leave; while an attempt is under way nobody does.

        Raises:
            NotFound: `checkout_session_not_found`.
        """

        def change(session: CheckoutSession, now: datetime) -> list[CheckoutSession]:
            if CheckoutEvent.ABANDON not in TRANSITIONS[session.state]:
                return []
            note = check_facts(command.note)
            left = moved(session, CheckoutEvent.ABANDON, now, request_id=context.request_id, facts=note)
            return [replace(left, ended_by=Initiator.CUSTOMER, lock_id=None)]

        return await self._change(own_session(context.principal), change, context, claim)

    # --- alongside payments ----------------------------------------------------------------------

    # --- background ------------------------------------------------------------------------------

    async def expire_due(self) -> int:
        """Move unpaid sessions past their time to `expired`; give how many."""

        async def work(uow: UnitOfWork) -> list[Event]:
            events = list[Event]()
            for session in await uow.checkout_sessions.due(_ROWS_AT_ONCE):
                expired = moved(session, CheckoutEvent.EXPIRE, session.expires_at)
                events += await self._books.write(uow, replace(expired, lock_id=None))
            await uow.events.append(events)
            return events

        events = await self._storage.write(work)
        self._telemetry.observe(events)
        return len(events)

    # --- common ----------------------------------------------------------------------------------

    def _address(self, command: CreateCheckoutSession, session_id: CheckoutSessionId) -> str:
        if command.address_of is not None:
            return command.address_of(session_id)
        return base32(int.from_bytes(self._randomness.bytes(32), "big"), 52)

    def _visitor(self, session: CheckoutSession, address: str, principal: Principal) -> AccessSession:
        """Make the credential that the page's address is; its end is judged by the wall clock."""
        return AccessSession(
            mac=self._secrets.session_mac(address, CredentialUse.VISITOR),
            tenant=session.tenant,
            key_id=ApiKeyId(""),
            use=CredentialUse.VISITOR,
            dialect=session.dialect,
            scopes=frozenset({Scope.CHECKOUT_PAY}),
            created_at=self._clock.now(),
            expires_at=session.expires_at - principal.clock_offset + SHOWN_AFTER_END,
            attributes={SESSION_ATTRIBUTE: session.id},
        )

    async def _change(
        self,
        session_id: CheckoutSessionId,
        change: Callable[[CheckoutSession, datetime], list[CheckoutSession]],
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Change a session under its lock, step by step; no step leaves it as it is."""
        principal = context.principal

        async def work(uow: UnitOfWork) -> tuple[CheckoutSessionView, list[Event]]:
            await claim.begin(uow)
            session = found(await uow.checkout_sessions.lock(principal.tenant, session_id))
            now = await uow.now() + principal.clock_offset
            steps = change(session.as_of(now), now)
            events = list[Event]()
            for number, step in enumerate(steps):
                events += await self._books.write(uow, replace(step, version=session.version + number))
            await uow.events.append(events)
            view = await self._books.shown(uow, session_id, principal)
            await claim.finish(uow, view)
            return view, events

        view, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return view

    async def _void(self, session_id: CheckoutSessionId, context: Context[CheckoutSessionView]) -> bool:
        """Void the authorization of a completed session; tell whether there was one to void."""
        tenant = context.principal.tenant

        async def find(uow: UnitOfWork) -> Payment | None:
            session = found(await uow.checkout_sessions.find(tenant, session_id))
            if session.state is not CheckoutState.COMPLETED or session.payment_id is None:
                return None
            return await uow.payments.find(tenant, session.payment_id)

        payment = await self._storage.read(find)
        if payment is None:
            return False
        if payment.status is PaymentStatus.AUTHORIZED:
            inner, inert = payment_context(context, self._secrets, self._clock)
            command = FollowUp(payment.id, OperationKind.VOID)
            payment = (await self._follow_ups.follow_up(command, inner, inert)).payment
        if payment.status is not PaymentStatus.VOIDED:
            raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT)
        return True


def _changed(session: CheckoutSession, command: UpdateCheckoutSession) -> CheckoutSession:
    terms = session.terms if command.terms is None else check_terms(command.terms)
    Money(terms.amount_minor, terms.currency)
    if (terms.amount_minor == 0) is not (session.kind is OperationKind.VERIFICATION):
        raise InvalidRequest(ErrorCode.AMOUNT_INVALID, param="amount_minor")
    return replace(
        session,
        terms=terms,
        facts=session.facts if command.facts is None else check_facts(command.facts),
        payment_facts=(
            session.payment_facts if command.payment_facts is None else check_facts(command.payment_facts)
        ),
        metadata=session.metadata if command.metadata is None else command.metadata,
        expires_at=command.expires_at or session.expires_at,
    )
