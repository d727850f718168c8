"""Payments made for checkout sessions, one at most that takes anything.

A session is paid through the one way that payments are opened (`purchases.Purchases.pay`). The move to
`paying` is made in the transaction that reserves the payment, and what became of it in the one that records
the answer, so that no crash leaves a session paid twice or paid without knowing it. What recovery
learns about a payment, `follow_payments` carries into its session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from farebox.domain.access import Principal
from farebox.domain.checkout import (
    SESSION_FACT,
    CheckoutEvent,
    CheckoutSession,
    CheckoutState,
    SaveTerms,
    event_of_payment,
    moved,
)
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.events import Event
from farebox.domain.facts import Facts, check_facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import CheckoutSessionId
from farebox.domain.money import Money
from farebox.domain.operations import Initiator
from farebox.domain.payments import Payment
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services import audience
from farebox.services.checkout_books import (
    CheckoutBooks,
    found,
    own_session,
    payment_context,
)
from farebox.services.commands import (
    CheckoutSessionView,
    Context,
    FromKnownToken,
    FromStoredToken,
    Pay,
    PayCheckoutSession,
    PayNewCheckoutSession,
    SaveCredential,
    Source,
    StoredTokenView,
)
from farebox.services.idempotency import Claim
from farebox.services.purchases import Purchases

_ROWS_AT_ONCE = 200


class _NothingToPay(Exception):
    """There is nothing to pay any more, or not now: the transaction is undone, the session shown."""


@frozen
class _Attempt:
    """Goes alongside a payment: `services.purchases.Alongside` for one attempt at one session."""

    payments: CheckoutPayments
    session_id: CheckoutSessionId
    principal: Principal
    request_id: str
    note: Facts

    async def reserve(self, uow: UnitOfWork, payment: Payment) -> Sequence[Event]:
        return await self.payments.begin_attempt(uow, self, payment)

    async def settle(
        self, uow: UnitOfWork, payment: Payment, saved: Sequence[StoredTokenView]
    ) -> Sequence[Event]:
        return await self.payments.follow(uow, self.session_id, payment, saved, self.request_id)


@frozen
class _NewAttempt:
    """Goes alongside a payment whose session is made together with it."""

    books: CheckoutBooks
    session: CheckoutSession
    command: PayNewCheckoutSession
    attempt: _Attempt

    async def reserve(self, uow: UnitOfWork, payment: Payment) -> Sequence[Event]:
        session = replace(self.session, stored_token_id=payment.stored_token_id)
        event, _ = await self.books.insert(uow, session, self.command.session)
        return (event, *await self.attempt.reserve(uow, payment))

    async def settle(
        self, uow: UnitOfWork, payment: Payment, saved: Sequence[StoredTokenView]
    ) -> Sequence[Event]:
        return await self.attempt.settle(uow, payment, saved)


class CheckoutPayments:
    """Pays checkout sessions."""

    def __init__(
        self,
        *,
        storage: Storage,
        secrets: Secrets,
        clock: Clock,
        telemetry: Telemetry,
        purchases: Purchases,
        books: CheckoutBooks,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._telemetry = telemetry
        self._purchases = purchases
        self._books = books

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
        session_id, principal = own_session(context.principal), context.principal
        before = await self._storage.read(lambda uow: self._books.shown(uow, session_id, principal))
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
        inner, inert = payment_context(context, self._secrets, self._clock)
        try:
            payment = await self._purchases.pay(pay, inner, inert, attempt)
        except _NothingToPay:
            return await self._storage.read(lambda uow: self._books.shown(uow, session_id, principal))
        after = await self._storage.read(lambda uow: self._books.shown(uow, session_id, principal))
        return replace(after, payment=replace(payment, saved=None, also_saved=()), made_attempt=True)

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
        session = self._books.new(command.session, context)
        pay = _pay(session, command.source, command.initiator, saves=False)
        pay = replace(pay, reason=command.reason, unique_reference=command.unique_reference)
        attempt = _Attempt(self, session.id, context.principal, context.request_id, {})
        company = _NewAttempt(self._books, session, command, attempt)
        inner, inert = payment_context(context, self._secrets, self._clock)
        payment = await self._purchases.pay(pay, inner, inert, company)
        principal = context.principal

        async def work(uow: UnitOfWork) -> CheckoutSessionView:
            stored = found(await uow.checkout_sessions.find(principal.tenant, session.id))
            return await self._books.view(uow, stored, principal)

        view = await self._storage.read(work)
        return replace(view, payment=payment, made_attempt=True)

    async def begin_attempt(self, uow: UnitOfWork, attempt: _Attempt, payment: Payment) -> Sequence[Event]:
        """Move the session to `paying` in the transaction that reserves its payment.

        The amount paid must be the one that the session asks for at this moment.
        """
        tenant = attempt.principal.tenant
        session = found(await uow.checkout_sessions.lock(tenant, attempt.session_id))
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
        await audience.follow(uow, tenant, object_id=session.id, next_id=payment.id)
        return await self._books.write(uow, session)

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
        return await self._books.write(uow, replace(session, sealed_saved=self._books.seal(session, saved)))

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

        events = await self._storage.write(work)
        self._telemetry.observe(events)
        return len(events)


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
