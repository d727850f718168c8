"""Checkout sessions: made and changed by merchants, viewed, paid and left by buyers, expired by time.

A session is paid through the one way that payments are opened (`purchases.Purchases.pay`). The move to
`paying` is made in the transaction that reserves the payment, and what became of it in the one that records
the answer, so that no crash leaves a session paid twice or paid without knowing it. What recovery
learns about a payment, `follow_payments` carries into its session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from farebox.domain.access import AccessSession, CredentialUse, Principal, Scope, Tenant
from farebox.domain.checkout import (
    LIFETIME,
    LIFETIME_MAX,
    SESSION_FACT,
    SHOWN_AFTER_END,
    TRANSITIONS,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    HistoryEntry,
    SaveTerms,
    check_terms,
    event_of_payment,
    moved,
)
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType, Value
from farebox.domain.facts import Facts, check_facts
from farebox.domain.ids import ApiKeyId, CheckoutSessionId, StoredTokenId, base32
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, OperationKind
from farebox.domain.payments import Payment, PaymentStatus
from farebox.domain.tokens import StoredToken, StoredTokenState, TokenString
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    AbandonCheckoutSession,
    CancelCheckoutSession,
    CheckoutSessionView,
    Context,
    CreateCheckoutSession,
    FollowUp,
    FromKnownToken,
    FromStoredToken,
    GetCheckoutSession,
    ListCheckoutSessions,
    LockCheckoutSession,
    Pay,
    PayCheckoutSession,
    PaymentView,
    PayNewCheckoutSession,
    SaveCredential,
    Source,
    StoredTokenView,
    UpdateCheckoutSession,
    ViewCheckoutSession,
)
from farebox.services.follow_ups import FollowUps
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.purchases import Purchases
from farebox.services.views import payment_view

SESSION_ATTRIBUTE = "checkout_session"
"""What a visitor's principal is told: the id of the session whose address they have."""

_EVENT_TYPES: Mapping[CheckoutEvent, EventType] = {
    CheckoutEvent.CREATE: EventType.CHECKOUT_SESSION_CREATED,
    CheckoutEvent.UPDATE: EventType.CHECKOUT_SESSION_UPDATED,
    CheckoutEvent.LOCK: EventType.CHECKOUT_SESSION_LOCKED,
    CheckoutEvent.UNLOCK: EventType.CHECKOUT_SESSION_UNLOCKED,
    CheckoutEvent.START: EventType.CHECKOUT_SESSION_PAYMENT_STARTED,
    CheckoutEvent.DECLINE: EventType.CHECKOUT_SESSION_PAYMENT_DECLINED,
    CheckoutEvent.RELEASE: EventType.CHECKOUT_SESSION_PAYMENT_RELEASED,
    CheckoutEvent.COMPLETE: EventType.CHECKOUT_SESSION_COMPLETED,
    CheckoutEvent.FAIL: EventType.CHECKOUT_SESSION_FAILED,
    CheckoutEvent.CANCEL: EventType.CHECKOUT_SESSION_CANCELLED,
    CheckoutEvent.ABANDON: EventType.CHECKOUT_SESSION_CANCELLED,
    CheckoutEvent.UNDO: EventType.CHECKOUT_SESSION_CANCELLED,
    CheckoutEvent.EXPIRE: EventType.CHECKOUT_SESSION_EXPIRED,
}
"""A visit is told in the session's history only."""
_TOKEN_CLASSES = (TokenClass.PAYMENT_TOKEN, TokenClass.RECURRENCE_TOKEN)
_ROWS_AT_ONCE = 200

_strings = msgspec.json.Decoder(dict[str, str])


class _NothingToPay(Exception):
    """There is nothing to pay any more, or not now: the transaction is undone, the session shown."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Goes alongside a payment: `services.purchases.Alongside` for one attempt at one session."""

    checkout: Checkout
    session_id: CheckoutSessionId
    principal: Principal
    request_id: str
    note: Facts

    async def reserve(self, uow: UnitOfWork, payment: Payment) -> Sequence[Event]:
        return await self.checkout.begin_attempt(uow, self, payment)

    async def settle(
        self, uow: UnitOfWork, payment: Payment, saved: Sequence[StoredTokenView]
    ) -> Sequence[Event]:
        return await self.checkout.follow(uow, self.session_id, payment, saved, self.request_id)


@dataclass(frozen=True, slots=True)
class _NewAttempt:
    """Goes alongside a payment whose session is made together with it."""

    checkout: Checkout
    session: CheckoutSession
    command: PayNewCheckoutSession
    attempt: _Attempt

    async def reserve(self, uow: UnitOfWork, payment: Payment) -> Sequence[Event]:
        session = replace(self.session, stored_token_id=payment.stored_token_id)
        event, _ = await self.checkout.insert(uow, session, self.command.session)
        return (event, *await self.attempt.reserve(uow, payment))

    async def settle(
        self, uow: UnitOfWork, payment: Payment, saved: Sequence[StoredTokenView]
    ) -> Sequence[Event]:
        return await self.attempt.settle(uow, payment, saved)


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
        purchases: Purchases,
        follow_ups: FollowUps,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._telemetry = telemetry
        self._purchases = purchases
        self._follow_ups = follow_ups

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
        session = self._new(command, context)
        address = self._address(command, session.id)

        async def work(uow: UnitOfWork) -> tuple[CheckoutSessionView, Event]:
            await claim.begin(uow)
            event, stored = await self.insert(uow, session, command)
            await uow.events.append((event,))
            await uow.sessions.insert(self._visitor(stored, address, context.principal))
            view = await self._view(uow, stored, context.principal)
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
            session = _found(await uow.checkout_sessions.find(principal.tenant, command.session_id))
            return self._with_strings(await self._view(uow, session, principal))

        return await self._storage.read(work)

    async def page(
        self,
        command: ListCheckoutSessions,
        context: Context[Page[CheckoutSessionView]],
        claim: Claim[Page[CheckoutSessionView]],
    ) -> Page[CheckoutSessionView]:
        """List sessions."""
        tenant = context.principal.tenant
        now = self._now(context.principal)
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

    async def pay_new(
        self,
        command: PayNewCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Make a session that no buyer sees and pay it at once.

        Raises:
            FareboxError: what `create` and `Purchases.pay` refuse with. What is refused before anything is
                to be sent leaves no session; a processor out of reach leaves a failed one.
        """
        session = self._new(command.session, context)
        pay = _pay(session, command.source, command.initiator, saves=False)
        pay = replace(pay, reason=command.reason, unique_reference=command.unique_reference)
        attempt = _Attempt(self, session.id, context.principal, context.request_id, {})
        company = _NewAttempt(self, session, command, attempt)
        inner, inert = self._inner(context)
        payment = await self._purchases.pay(pay, inner, inert, company)
        principal = context.principal

        async def work(uow: UnitOfWork) -> CheckoutSessionView:
            stored = _found(await uow.checkout_sessions.find(principal.tenant, session.id))
            return await self._view(uow, stored, principal)

        view = await self._storage.read(work)
        return replace(view, payment=payment, made_attempt=True)

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
        session_id, principal = _own(context.principal), context.principal
        if not command.visits:
            return await self._storage.read(lambda uow: self._shown(uow, session_id, principal))

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

        return await self._change(_own(context.principal), change, context, claim)

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

        return await self._change(_own(context.principal), change, context, claim)

    async def pay(
        self,
        command: PayCheckoutSession,
        context: Context[CheckoutSessionView],
        claim: Claim[CheckoutSessionView],
    ) -> CheckoutSessionView:
        """Try to pay; where there is nothing to pay, show the session as it is.

        Raises:
            NotFound: `checkout_session_not_found`, or `payment_token_not_found` when the stored card is gone.
            InvalidRequest: neither a card nor a stored one; or the card is refused before it is sent.
            Unavailable: nothing was sent; or `commit_unknown`.
        """
        session_id, principal = _own(context.principal), context.principal
        before = await self._storage.read(lambda uow: self._shown(uow, session_id, principal))
        session = before.session
        if session.state is not CheckoutState.OPEN:
            return before
        pay = _pay(session, _source(session, command), Initiator.CUSTOMER, saves=command.saves)
        pay = replace(
            pay,
            facts={**pay.facts, **command.facts},
            attributes={**pay.attributes, **command.attributes},
        )
        attempt = _Attempt(self, session_id, principal, context.request_id, check_facts(command.note))
        inner, inert = self._inner(context)
        try:
            payment = await self._purchases.pay(pay, inner, inert, attempt)
        except _NothingToPay:
            return await self._storage.read(lambda uow: self._shown(uow, session_id, principal))
        after = await self._storage.read(lambda uow: self._shown(uow, session_id, principal))
        return replace(after, payment=replace(payment, saved=None, also_saved=()), made_attempt=True)

    # --- alongside payments ----------------------------------------------------------------------

    async def insert(
        self, uow: UnitOfWork, session: CheckoutSession, command: CreateCheckoutSession
    ) -> tuple[Event, CheckoutSession]:
        """Store a session whose customer, agreement and stored card were looked up first."""
        tenant, save = session.tenant, session.terms.save
        if session.customer_id and await uow.customers.find(tenant, session.customer_id) is None:
            raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
        if save and save.agreement_id and await uow.agreements.find(tenant, save.agreement_id) is None:
            raise NotFound(ErrorCode.AGREEMENT_NOT_FOUND, param="agreement")
        if command.token is not None:
            token = await self._stored(uow, tenant, command.token)
            if token is None and not command.token_may_be_unknown:
                raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND, param="payment_token")
            session = replace(session, stored_token_id=token.id if token else None)
        await uow.checkout_sessions.insert(session)
        return self._event(session), session

    async def begin_attempt(self, uow: UnitOfWork, attempt: _Attempt, payment: Payment) -> Sequence[Event]:
        """Move the session to `paying` in the transaction that reserves its payment.

        The amount paid must be the one that the session asks for at this moment.
        """
        tenant = attempt.principal.tenant
        session = _found(await uow.checkout_sessions.lock(tenant, attempt.session_id))
        now = await uow.now() + attempt.principal.clock_offset
        terms = session.terms
        asked = (terms.amount_minor, terms.currency)
        if (
            session.state is not CheckoutState.OPEN
            or session.is_due(now)
            or asked != (payment.amount_minor, payment.currency)
        ):
            raise _NothingToPay
        session = replace(session, payment_id=payment.id, attempts=session.attempts + 1)
        session = moved(session, CheckoutEvent.START, now, request_id=attempt.request_id, facts=attempt.note)
        return await self._write(uow, session)

    async def follow(
        self,
        uow: UnitOfWork,
        session_id: CheckoutSessionId,
        payment: Payment,
        saved: Sequence[StoredTokenView] = (),
        request_id: str = "",
    ) -> Sequence[Event]:
        """Carry what became of a payment into its session, unless somebody did already."""
        session = await uow.checkout_sessions.lock(payment.tenant, session_id)
        if session is None or session.state is not CheckoutState.PAYING or session.payment_id != payment.id:
            return ()
        event = event_of_payment(payment.state, attempts=session.attempts, initiator=payment.initiator)
        if event is None:
            return ()
        merchant = await uow.merchants.find(payment.tenant.merchant_id)
        now = self._clock.now() + (merchant.clock_offset if merchant else timedelta(0))
        session = moved(session, event, now, request_id=request_id)
        return await self._write(uow, replace(session, sealed_saved=self._seal(session, saved)))

    # --- background ------------------------------------------------------------------------------

    async def follow_payments(self) -> int:
        """Let sessions hear of payments that recovery settled, or whose owner died; give how many."""

        async def work(uow: UnitOfWork) -> list[Event]:
            events = list[Event]()
            for session in await uow.checkout_sessions.unheard(_ROWS_AT_ONCE):
                assert session.payment_id is not None, "the schema keeps a payment with a session being paid"
                payment = await uow.payments.find(session.tenant, session.payment_id)
                if payment is not None:
                    events += await self.follow(uow, session.id, payment)
            await uow.events.append(events)
            return events

        return self._observed(await self._storage.write(work))

    async def expire_due(self) -> int:
        """Move unpaid sessions past their time to `expired`; give how many."""

        async def work(uow: UnitOfWork) -> list[Event]:
            events = list[Event]()
            for session in await uow.checkout_sessions.due(_ROWS_AT_ONCE):
                expired = moved(session, CheckoutEvent.EXPIRE, session.expires_at)
                events += await self._write(uow, replace(expired, lock_id=None))
            await uow.events.append(events)
            return events

        return self._observed(await self._storage.write(work))

    def _observed(self, events: Sequence[Event]) -> int:
        self._telemetry.observe(events)
        return len(events)

    # --- common ----------------------------------------------------------------------------------

    def _now(self, principal: Principal) -> datetime:
        return self._clock.now() + principal.clock_offset

    def _new(self, command: CreateCheckoutSession, context: Context[CheckoutSessionView]) -> CheckoutSession:
        now, terms = self._now(context.principal), check_terms(command.terms)
        Money(terms.amount_minor, terms.currency)
        if (terms.amount_minor == 0) is not (command.kind is OperationKind.VERIFICATION):
            raise InvalidRequest(ErrorCode.AMOUNT_INVALID, param="amount_minor")
        entry = HistoryEntry(CheckoutEvent.CREATE, now, context.request_id, facts=check_facts(command.note))
        return CheckoutSession(
            id=CheckoutSessionId(self._ids.new("cs")),
            tenant=context.principal.tenant,
            dialect=context.dialect,
            state=CheckoutState.OPEN,
            kind=command.kind,
            terms=terms,
            created_at=now,
            updated_at=now,
            expires_at=_end(command, now),
            reference=command.reference,
            customer_id=command.customer_id,
            metadata=command.metadata,
            facts=check_facts(command.facts),
            payment_facts=check_facts(command.payment_facts),
            attributes=command.attributes,
            history=(entry,),
        )

    def _address(self, command: CreateCheckoutSession, session_id: CheckoutSessionId) -> str:
        if command.address_of is not None:
            return command.address_of(session_id)
        return base32(int.from_bytes(self._randomness.bytes(32), "big"), 52)

    async def _stored(self, uow: UnitOfWork, tenant: Tenant, string: TokenString) -> StoredToken | None:
        macs = [self._secrets.token_mac(string, class_, tenant) for class_ in _TOKEN_CLASSES]
        token = await uow.stored_tokens.find(tenant, macs)
        return token if token and token.state is StoredTokenState.ACTIVE else None

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
            session = _found(await uow.checkout_sessions.lock(principal.tenant, session_id))
            now = await uow.now() + principal.clock_offset
            steps = change(session.as_of(now), now)
            events = list[Event]()
            for number, step in enumerate(steps):
                events += await self._write(uow, replace(step, version=session.version + number))
            await uow.events.append(events)
            view = await self._shown(uow, session_id, principal)
            await claim.finish(uow, view)
            return view, events

        view, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return view

    async def _void(self, session_id: CheckoutSessionId, context: Context[CheckoutSessionView]) -> bool:
        """Void the authorization of a completed session; tell whether there was one to void."""
        tenant = context.principal.tenant

        async def find(uow: UnitOfWork) -> Payment | None:
            session = _found(await uow.checkout_sessions.find(tenant, session_id))
            if session.state is not CheckoutState.COMPLETED or session.payment_id is None:
                return None
            return await uow.payments.find(tenant, session.payment_id)

        payment = await self._storage.read(find)
        if payment is None:
            return False
        if payment.status is not PaymentStatus.VOIDED:
            inner, inert = self._inner(context)
            command = FollowUp(payment.id, OperationKind.VOID)
            voided = await self._follow_ups.follow_up(command, inner, inert)
            if voided.payment.status is not PaymentStatus.VOIDED:
                raise Conflict(ErrorCode.CHECKOUT_SESSION_CONFLICT)
        return True

    def _inner(
        self, context: Context[CheckoutSessionView]
    ) -> tuple[Context[PaymentView], Claim[PaymentView]]:
        """Give what a payment within a session runs with: the session itself is what makes it happen once."""
        inner: Context[PaymentView] = Context(
            principal=context.principal,
            dialect=context.dialect,
            rules=context.rules,
            request_id=context.request_id,
            render=_never,
        )
        return inner, Claim(inner, self._secrets, self._clock.now)

    async def _shown(
        self, uow: UnitOfWork, session_id: CheckoutSessionId, principal: Principal
    ) -> CheckoutSessionView:
        session = _found(await uow.checkout_sessions.find(principal.tenant, session_id))
        return await self._view(uow, session, principal)

    async def _view(
        self, uow: UnitOfWork, session: CheckoutSession, principal: Principal
    ) -> CheckoutSessionView:
        tenant, now = session.tenant, self._now(principal)
        merchant = await uow.merchants.find(tenant.merchant_id)
        stored: InstrumentSummary | None = None
        if session.stored_token_id is not None:
            token = await uow.stored_tokens.find_by_id(tenant, session.stored_token_id)
            stored = token.summary if token and token.state is StoredTokenState.ACTIVE else None
        payment = None
        if session.payment_id is not None:
            found = await uow.payments.find(tenant, session.payment_id)
            payment = await payment_view(uow, found) if found else None
        return CheckoutSessionView(
            session.as_of(now),
            now,
            merchant_name=merchant.name if merchant else "",
            payment=payment,
            stored=stored,
        )

    async def _write(self, uow: UnitOfWork, session: CheckoutSession) -> Sequence[Event]:
        """Write a session that this transaction has locked; give the event of its last entry, if any."""
        if not await uow.checkout_sessions.update(session):
            raise AssertionError("a checkout session changed while its row was locked")
        if session.history[-1].event not in _EVENT_TYPES:
            return ()
        return (self._event(replace(session, version=session.version + 1)),)

    def _event(self, session: CheckoutSession) -> Event:
        data: dict[str, Value] = {
            "state": session.state.value,
            "amount_minor": session.terms.amount_minor,
            "currency": session.terms.currency,
            "dialect": session.dialect,
            "reference": session.reference,
        }
        if session.payment_id is not None:
            data["payment_id"] = session.payment_id
        return self._ids.event(
            _EVENT_TYPES[session.history[-1].event],
            session.tenant,
            session.id,
            at=self._clock.now(),
            sequence=session.version,
            data=data,
        )

    def _seal(self, session: CheckoutSession, saved: Sequence[StoredTokenView]) -> bytes | None:
        """Seal the strings of what was stored: the merchant fetches them, the buyer's browser never does."""
        strings = {one.token.id: one.string for one in saved if one.string is not None}
        if not strings:
            return session.sealed_saved
        return self._secrets.seal_answer(
            msgspec.json.encode(strings),
            tenant=session.tenant,
            idempotency_key=_sealing_key(session),
            bucket_minute=None,
        )

    def _with_strings(self, view: CheckoutSessionView) -> CheckoutSessionView:
        session = view.session
        if session.sealed_saved is None:
            return view
        opened = self._secrets.open_answer(
            session.sealed_saved,
            tenant=session.tenant,
            idempotency_key=_sealing_key(session),
            bucket_minute=None,
        )
        strings = _strings.decode(opened) if opened else {}
        return replace(
            view, saved={StoredTokenId(id_): TokenString(string) for id_, string in strings.items()}
        )


def _never(view: PaymentView) -> bytes:
    raise AssertionError("what is paid within a session has no answer of its own to store")


def _found(session: CheckoutSession | None) -> CheckoutSession:
    if session is None:
        raise NotFound(ErrorCode.CHECKOUT_SESSION_NOT_FOUND)
    return session


def _own(principal: Principal) -> CheckoutSessionId:
    """Name the session whose address a visitor has.

    Raises:
        NotFound: `checkout_session_not_found` for anybody else.
    """
    session_id = principal.attribute(SESSION_ATTRIBUTE)
    if not session_id:
        raise NotFound(ErrorCode.CHECKOUT_SESSION_NOT_FOUND)
    return CheckoutSessionId(session_id)


def _end(command: CreateCheckoutSession, now: datetime) -> datetime:
    end = command.expires_at or now + (command.lifetime or LIFETIME)
    if not now < end <= now + LIFETIME_MAX:
        raise InvalidRequest(ErrorCode.LIFETIME_INVALID, param="expires_at")
    return end


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


def _source(session: CheckoutSession, command: PayCheckoutSession) -> Source:
    """Choose what is paid with: the card typed in, or the stored one that the session offers.

    Raises:
        InvalidRequest: `card_number_invalid` when there is neither, `card_cvc_invalid` without the code
            that the session asks for.
    """
    if command.instrument is not None:
        return command.instrument
    if session.stored_token_id is None:
        raise InvalidRequest(ErrorCode.CARD_NUMBER_INVALID, param="card.number")
    if session.terms.asks_cvc and not command.cvc:
        raise InvalidRequest(ErrorCode.CARD_CVC_INVALID, param="card.cvc")
    return FromKnownToken(session.stored_token_id, command.cvc)


def _pay(session: CheckoutSession, source: Source, initiator: Initiator, *, saves: bool) -> Pay:
    terms, save = session.terms, session.terms.save
    is_typed = not isinstance(source, FromKnownToken | FromStoredToken)
    keeps = save if save is not None and is_typed and save.applies(ticked=saves) else None
    return Pay(
        kind=session.kind,
        money=Money(terms.amount_minor, terms.currency),
        source=source,
        initiator=initiator,
        reference=session.reference,
        save=_credential(keeps) if keeps else None,
        also_save=[_credential(one) for one in keeps.also] if keeps else (),
        customer_id=session.customer_id,
        metadata=session.metadata,
        facts={**session.payment_facts, SESSION_FACT: session.id},
        attributes=session.attributes,
    )


def _credential(terms: SaveTerms) -> SaveCredential:
    return SaveCredential(
        kind=terms.kind,
        reason=terms.reason,
        agreement_id=terms.agreement_id,
        customer_reference=terms.customer_reference,
        facts=terms.facts,
    )


def _sealing_key(session: CheckoutSession) -> str:
    return f"{SESSION_FACT} {session.id}"
