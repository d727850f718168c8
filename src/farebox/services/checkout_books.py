"""What a checkout session is in the books: stored with its events, shown, its tokens' strings sealed.

Shared by the use cases of merchants and buyers (`checkout`) and by the payments made for sessions
(`checkout_payments`); every write of a session goes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from farebox.domain.access import Principal, Tenant
from farebox.domain.checkout import (
    LIFETIME,
    LIFETIME_MAX,
    SESSION_FACT,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    HistoryEntry,
    check_terms,
)
from farebox.domain.errors import ErrorCode, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType, Value
from farebox.domain.facts import check_facts
from farebox.domain.ids import CheckoutSessionId, StoredTokenId, WebhookEndpointId
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import StoredToken, StoredTokenState, TokenString
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import UnitOfWork
from farebox.ports.system import Clock
from farebox.services.audience import listen
from farebox.services.commands import (
    CheckoutSessionView,
    Context,
    CreateCheckoutSession,
    PaymentView,
    StoredTokenView,
)
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
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

_strings = msgspec.json.Decoder(dict[str, str])


class CheckoutBooks:
    """Keeps sessions within transactions."""

    def __init__(self, *, secrets: Secrets, clock: Clock, ids: Ids) -> None:
        """Take what it works with."""
        self._secrets = secrets
        self._clock = clock
        self._ids = ids

    def now(self, principal: Principal) -> datetime:
        """Give the instant by the merchant's clock."""
        return self._clock.now() + principal.clock_offset

    def new(self, command: CreateCheckoutSession, context: Context[CheckoutSessionView]) -> CheckoutSession:
        """Make a session out of what its merchant asks for.

        Raises:
            InvalidRequest: amount, currency, an address or the end of its life is not allowed.
        """
        now, terms = self.now(context.principal), check_terms(command.terms)
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
        if command.callback is not None:
            await listen(
                uow,
                command.callback,
                tenant=tenant,
                dialect=session.dialect,
                object_id=session.id,
                endpoint_id=WebhookEndpointId(self._ids.new("we")),
                now=self._clock.now(),
            )
        return self.event(session), session

    async def write(self, uow: UnitOfWork, session: CheckoutSession) -> Sequence[Event]:
        """Write a session that this transaction has locked; give the event of its last entry, if any."""
        if not await uow.checkout_sessions.update(session):
            raise AssertionError("a checkout session changed while its row was locked")
        if session.history[-1].event not in _EVENT_TYPES:
            return ()
        return (self.event(replace(session, version=session.version + 1)),)

    async def shown(
        self, uow: UnitOfWork, session_id: CheckoutSessionId, principal: Principal
    ) -> CheckoutSessionView:
        """Show a session.

        Raises:
            NotFound: `checkout_session_not_found`.
        """
        session = found(await uow.checkout_sessions.find(principal.tenant, session_id))
        return await self.view(uow, session, principal)

    async def view(
        self, uow: UnitOfWork, session: CheckoutSession, principal: Principal
    ) -> CheckoutSessionView:
        """Put together what is shown of a session, for merchant and buyer alike."""
        tenant, now = session.tenant, self.now(principal)
        merchant = await uow.merchants.find(tenant.merchant_id)
        stored: InstrumentSummary | None = None
        if session.stored_token_id is not None:
            token = await uow.stored_tokens.find_by_id(tenant, session.stored_token_id)
            stored = token.summary if token and token.state is StoredTokenState.ACTIVE else None
        payment = None
        if session.payment_id is not None:
            latest = await uow.payments.find(tenant, session.payment_id)
            payment = await payment_view(uow, latest) if latest else None
        return CheckoutSessionView(
            session.as_of(now),
            now,
            merchant_name=merchant.name if merchant else "",
            payment=payment,
            stored=stored,
        )

    def seal(self, session: CheckoutSession, saved: Sequence[StoredTokenView]) -> bytes | None:
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

    def with_strings(self, view: CheckoutSessionView) -> CheckoutSessionView:
        """Add, for the merchant, the strings of the tokens that the session's payment stored."""
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

    async def _stored(self, uow: UnitOfWork, tenant: Tenant, string: TokenString) -> StoredToken | None:
        macs = [self._secrets.token_mac(string, class_, tenant) for class_ in _TOKEN_CLASSES]
        token = await uow.stored_tokens.find(tenant, macs)
        return token if token and token.state is StoredTokenState.ACTIVE else None

    def event(self, session: CheckoutSession) -> Event:
        """Tell of the last entry in a session's history."""
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


def found(session: CheckoutSession | None) -> CheckoutSession:
    """Give a session that is there.

    Raises:
        NotFound: `checkout_session_not_found`.
    """
    if session is None:
        raise NotFound(ErrorCode.CHECKOUT_SESSION_NOT_FOUND)
    return session


def own_session(principal: Principal) -> CheckoutSessionId:
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


def _sealing_key(session: CheckoutSession) -> str:
    return f"{SESSION_FACT} {session.id}"


def payment_context(
    context: Context[CheckoutSessionView], secrets: Secrets, clock: Clock
) -> tuple[Context[PaymentView], Claim[PaymentView]]:
    """Give what a payment within a session runs with: the session itself is what makes it happen once."""
    inner: Context[PaymentView] = Context(
        principal=context.principal,
        dialect=context.dialect,
        rules=context.rules,
        request_id=context.request_id,
        render=_never,
    )
    return inner, Claim(inner, secrets, clock.now)


def _never(view: PaymentView) -> bytes:
    raise AssertionError("what is paid within a session has no answer of its own to store")
