"""Purchase, authorize, verify, credit: take a credential, submit one operation, record its answer.

Two transactions and one call between them (security design §4.3):

1. claim the idempotency key, reserve the token, write the operation as submitted and the audit entry of
   the opening; commit;
2. open the instrument and send it, once, before `send_by`;
3. record the answer, spend the token, store the credential that was asked for and the answer; commit.

Whatever breaks in between leaves a submitted operation, which recovery settles. Nothing here ever
sends twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from farebox.domain.access import AccessSession, CredentialUse, Principal, Scope, Tenant
from farebox.domain.bank_accounts import BacsAccount, SepaAccount, check_mandate
from farebox.domain.cards import Card, parse_cvc
from farebox.domain.credentials_on_file import Agreement, AgreementState, check_agreed_use, check_use
from farebox.domain.customers import Customer
from farebox.domain.declines import Advice, Decline, DeclineReason
from farebox.domain.errors import (
    Conflict,
    ErrorCode,
    FareboxError,
    InvalidRequest,
    NotFound,
)
from farebox.domain.events import Event, EventType
from farebox.domain.facts import check_facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import (
    AgreementId,
    ApiKeyId,
    CustomerId,
    OperationId,
    PaymentId,
    StoredTokenId,
    WebhookEndpointId,
)
from farebox.domain.instruments import InstrumentSummary, PayerDetails, PaymentInstrument, summary_of
from farebox.domain.operations import (
    RECOVERY_GRACE_S,
    SEND_WITHIN_S,
    Approved,
    Declined,
    Initiator,
    Operation,
    OperationEvent,
    OperationKind,
    OperationState,
    Outcome,
    Pending,
    Reason,
)
from farebox.domain.payments import ID_PREFIXES, Payment
from farebox.domain.retry_limits import is_exhausted
from farebox.domain.tokens import (
    STORED_ID_PREFIXES,
    SingleUseToken,
    StoredToken,
    StoredTokenKind,
    StoredTokenState,
    TokenState,
    TokenString,
)
from farebox.ports.processors import Processor, ProcessorRequest
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.audience import listen
from farebox.services.commands import (
    Context,
    FromCredential,
    FromInstrument,
    FromKnownToken,
    FromSingleUseToken,
    FromStoredToken,
    Pay,
    PaymentView,
    SaveCredential,
    StoredTokenView,
)
from farebox.services.durability import Durability
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger, Recorded
from farebox.services.references import take_reference
from farebox.services.routing import Routing
from farebox.services.strings import with_string
from farebox.services.submission import Submission, commit_answer
from farebox.services.tokenization import explain_refusal
from farebox.services.vaulting import Permit, Vaulting

_TOKEN_CLASSES = {
    StoredTokenKind.PAYMENT_TOKEN: TokenClass.PAYMENT_TOKEN,
    StoredTokenKind.RECURRENCE_TOKEN: TokenClass.RECURRENCE_TOKEN,
}


class Alongside(Protocol):
    """What must become true in the same transactions as a payment."""

    async def reserve(self, uow: UnitOfWork, payment: Payment) -> Sequence[Event]:
        """Take part in the first transaction; what it raises undoes the payment."""
        ...

    async def settle(
        self, uow: UnitOfWork, payment: Payment, saved: Sequence[StoredTokenView]
    ) -> Sequence[Event]:
        """Take part in the transaction that records what became of the payment."""
        ...


@frozen
class _Plan:
    """What is decided before the first transaction."""

    payment_id: PaymentId
    operation_id: OperationId
    processor: Processor
    now: datetime
    send_by: datetime
    deadline: float
    """`send_by` on this node's monotonic clock (R6)."""
    envelope: bytes | None


@frozen
class _Credential:
    """What the source of a payment turned out to be."""

    summary: InstrumentSummary
    single_use: SingleUseToken | None = None
    stored: StoredToken | None = None
    agreement: Agreement | None = None


@frozen
class _Reserved:
    """The first transaction's result."""

    payment: Payment
    operation: Operation
    credential: _Credential
    permit: Permit | None
    events: tuple[Event, ...]
    refused: Declined | None = None
    """Why it is not sent at all: the card was declined too often."""


@frozen
class _Kept:
    """A credential about to be stored with an approved payment."""

    token: StoredToken
    string: TokenString | None
    """None where it is drawn when it is stored, because it may be taken."""
    details: PayerDetails
    agreement: Agreement | None


class Purchases:
    """Opens payments."""

    def __init__(
        self,
        *,
        storage: Storage,
        vaulting: Vaulting,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        routing: Routing,
        ledger: Ledger,
        submission: Submission,
        durability: Durability,
        bin_length: int,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._vaulting = vaulting
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._routing = routing
        self._ledger = ledger
        self._submission = submission
        self._durability = durability
        self._bin_length = bin_length

    async def pay(
        self,
        command: Pay,
        context: Context[PaymentView],
        claim: Claim[PaymentView],
        alongside: Alongside | None = None,
    ) -> PaymentView:
        """Open a payment; a decline and a doubt are results.

        Args:
            command: what to pay.
            context: who asks, and by which protocol.
            claim: the hold on the idempotency key.
            alongside: what becomes true together with the payment.

        Raises:
            Conflict: the token is spent, in flight, expired or revoked, or of the wrong kind.
            NotFound: no such token, customer or agreement.
            InvalidRequest: the processor takes no such operation, instrument or currency.
            Unavailable: nothing was sent; or `commit_unknown`, when the answer could not be recorded.
        """
        self._durability.require()
        plan = await self._plan(command, context)
        reserved = await self._storage.write(
            lambda uow: self._reserve(uow, command, context, claim, plan, alongside)
        )
        self._telemetry.observe(reserved.events)
        kept: Sequence[_Kept] = ()
        if reserved.refused is not None:
            outcome: Outcome = reserved.refused
        else:
            try:
                instrument, payer = self._open(command, reserved)
                request = self._request(command, context, plan, reserved, instrument, payer)
                outcome = await self._submission.send(plan.processor, request, plan.deadline)
            except FareboxError:
                # Raised only where it is certain that no byte left.
                await self._fail(reserved, context, claim, alongside)
                raise
            kept = self._keep(command, context, reserved, instrument, payer, outcome)

        async def work(uow: UnitOfWork) -> tuple[tuple[Event, ...], PaymentView]:
            return await self._settle(uow, context, claim, reserved, outcome, kept, alongside)

        events, view = await commit_answer(self._storage, self._clock, work)
        self._telemetry.observe(events)
        return view

    async def _plan(self, command: Pay, context: Context[PaymentView]) -> _Plan:
        tenant = context.principal.tenant
        processor = await self._routing.route(tenant, command.money.currency)
        if command.kind not in processor.capabilities.operations:
            raise InvalidRequest(ErrorCode.OPERATION_UNSUPPORTED)
        await self._vaulting.prepare(tenant)
        operation_id = OperationId(self._ids.new("op"))
        envelope = None
        if processor.capabilities.needs_pan_for_reversal:
            envelope = await self._envelope(command, context, operation_id)
        now = self._clock.now()
        return _Plan(
            payment_id=PaymentId(self._ids.new(ID_PREFIXES[command.kind])),
            operation_id=operation_id,
            processor=processor,
            now=now,
            send_by=now + timedelta(seconds=SEND_WITHIN_S),
            deadline=self._clock.monotonic() + SEND_WITHIN_S,
            envelope=envelope,
        )

    # --- first transaction -----------------------------------------------------------------------

    async def _reserve(
        self,
        uow: UnitOfWork,
        command: Pay,
        context: Context[PaymentView],
        claim: Claim[PaymentView],
        plan: _Plan,
        alongside: Alongside | None,
    ) -> _Reserved:
        tenant = context.principal.tenant
        await claim.begin(uow, plan.operation_id)
        await take_reference(uow, tenant, command.unique_reference, plan.now + context.principal.clock_offset)
        credential = await self._credential(uow, command, context, plan)
        if credential.summary.kind not in plan.processor.capabilities.instruments:
            raise InvalidRequest(ErrorCode.INSTRUMENT_UNSUPPORTED, param="source")
        command = await self._with_customer(uow, command, plan, context.principal)
        command = await self._with_visitor_page(uow, command, plan, context)
        agreement_id = command.save.agreement_id if command.save else None
        if agreement_id and await uow.agreements.find(tenant, agreement_id) is None:
            raise NotFound(ErrorCode.AGREEMENT_NOT_FOUND, param="agreement")
        refused = await self._refused(uow, command, context, credential, plan)
        payment = self._payment(command, context, plan, credential)
        operation = self._operation(command, plan, payment, claim.reference)
        await uow.payments.insert(payment)
        await uow.operations.insert(operation)
        if command.replaces is not None:
            await _note_replacement(uow, payment, command.replaces)
        if command.callback is not None:
            await listen(
                uow,
                command.callback,
                tenant=tenant,
                dialect=context.dialect,
                object_id=payment.id,
                endpoint_id=WebhookEndpointId(self._ids.new("we")),
                now=plan.now,
            )
        events = [self._ledger.operation_event(operation, payment)]
        if operation.consumes_token:
            reserved = self._ledger.token_event(EventType.SINGLE_USE_TOKEN_RESERVED, operation, payment, 2)
            events.append(reserved)
        if alongside is not None:
            events += await alongside.reserve(uow, payment)
        await uow.events.append(events)
        permit = None
        opened = credential.single_use or credential.stored
        if opened is not None and refused is None:
            permit = await self._vaulting.permit(
                uow,
                opened.id,
                purpose="processor",
                why=command.kind.value,
                principal=context.principal,
                request_id=context.request_id,
            )
        return _Reserved(payment, operation, credential, permit, tuple(events), refused)

    async def _refused(
        self,
        uow: UnitOfWork,
        command: Pay,
        context: Context[PaymentView],
        credential: _Credential,
        plan: _Plan,
    ) -> Declined | None:
        """Decline in the issuer's place what the networks no longer let a merchant try alone."""
        stored = credential.stored
        limit = context.rules.retry_limits.get(credential.summary.brand or "")
        if command.initiator is not Initiator.MERCHANT or stored is None or limit is None:
            return None
        tenant = context.principal.tenant
        tried = await uow.payments.made_alone(tenant, stored.fingerprint, limit.declines)
        now = plan.now + context.principal.clock_offset
        if not is_exhausted([(one.state, one.created_at, one.decline) for one in tried], limit, now):
            return None
        return Declined(Decline(DeclineReason.VELOCITY_EXCEEDED, Advice.DO_NOT_RETRY))

    async def _with_customer(self, uow: UnitOfWork, command: Pay, plan: _Plan, principal: Principal) -> Pay:
        """Check that the customer is there, or store the one that comes with the payment."""
        new = command.new_customer
        if new is None:
            if (
                command.customer_id
                and await uow.customers.find(principal.tenant, command.customer_id) is None
            ):
                raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
            return command
        customer = Customer(
            id=CustomerId(self._ids.new("cus")),
            tenant=principal.tenant,
            created_at=plan.now + principal.clock_offset,
            reference=new.reference,
            name=new.name,
            email=new.email,
            phone=new.phone,
            metadata=new.metadata,
            facts=check_facts(new.facts),
        )
        await uow.customers.insert(customer)
        event = self._ids.event(
            EventType.CUSTOMER_CREATED, customer.tenant, customer.id, at=plan.now, sequence=1, data={}
        )
        await uow.events.append((event,))
        return replace(command, customer_id=customer.id)

    async def _with_visitor_page(
        self, uow: UnitOfWork, command: Pay, plan: _Plan, context: Context[PaymentView]
    ) -> Pay:
        """Open a visitor's session for the payment's page and note its address with the payment."""
        page = command.visitor_page
        if page is None:
            return command
        string = page.prefix + str(self._ids.uuid())
        session = AccessSession(
            mac=self._secrets.session_mac(string, CredentialUse.VISITOR),
            tenant=context.principal.tenant,
            key_id=ApiKeyId(""),
            use=CredentialUse.VISITOR,
            dialect=context.dialect,
            scopes=frozenset({Scope.PAYMENTS_READ, Scope.SANDBOX_WRITE}),
            created_at=plan.now,
            expires_at=plan.now + page.lifetime,
            attributes={"payment_id": plan.payment_id},
        )
        await uow.sessions.insert(session)
        return replace(command, facts={**command.facts, "session": string})

    async def _credential(
        self, uow: UnitOfWork, command: Pay, context: Context[PaymentView], plan: _Plan
    ) -> _Credential:
        match command.source:
            case FromSingleUseToken(token=string):
                return await self._take_single_use(uow, string, command, context, plan)
            case FromStoredToken() | FromKnownToken():
                return await self._take_stored(uow, command.source, command, context)
            case FromCredential():
                return await self._take_agreed(uow, command.source, command, context)
            case FromInstrument(instrument=instrument):
                return _Credential(summary_of(instrument, bin_length=self._bin_length))

    async def _take_single_use(
        self,
        uow: UnitOfWork,
        string: TokenString,
        command: Pay,
        context: Context[PaymentView],
        plan: _Plan,
    ) -> _Credential:
        """Reserve the token, or only look at it if the rules say that this kind of operation looks."""
        principal, rules = context.principal, context.rules
        if command.initiator is Initiator.MERCHANT:
            raise Conflict(ErrorCode.TOKEN_CLASS_MISMATCH, param="source.single_use_token")
        mac = self._secrets.token_mac(string, TokenClass.SINGLE_USE, principal.tenant)
        if command.kind in rules.consumed_by:
            token = await uow.tokens.reserve(principal.tenant, mac, plan.operation_id, principal.clock_offset)
        elif command.kind in rules.looked_at_by:
            token = await uow.tokens.take_verification(
                principal.tenant, mac, plan.operation_id, principal.clock_offset, rules.verifications_max
            )
        else:
            raise Conflict(ErrorCode.TOKEN_CLASS_MISMATCH, param="source.single_use_token")
        if token is None:
            found = await uow.tokens.find(principal.tenant, mac)
            self._telemetry.token_conflict(context.dialect, principal.tenant.mode)
            raise _explain(found, command, rules.verifications_max, plan.now + principal.clock_offset)
        return _Credential(token.summary, single_use=token)

    async def _take_stored(
        self,
        uow: UnitOfWork,
        source: FromStoredToken | FromKnownToken,
        command: Pay,
        context: Context[PaymentView],
    ) -> _Credential:
        tenant = context.principal.tenant
        token = await self._find_stored(uow, source, tenant)
        if token is None or token.state is StoredTokenState.DELETED:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND, param="source")
        agreement = None
        if token.agreement_id is not None:
            agreement = await uow.agreements.find(tenant, token.agreement_id)
        check_use(
            token,
            agreement,
            initiator=command.initiator,
            has_cvc=source.cvc is not None,
            allows_payment_token=context.rules.merchant_may_use_payment_tokens,
        )
        if source.cvc is not None:
            # Refused here, before there is a payment; it is parsed again when the card is opened.
            parse_cvc(source.cvc, brand=token.summary.brand or "unknown")
        return _Credential(token.summary, stored=token, agreement=agreement)

    async def _take_agreed(
        self, uow: UnitOfWork, source: FromCredential, command: Pay, context: Context[PaymentView]
    ) -> _Credential:
        tenant = context.principal.tenant
        token = await uow.stored_tokens.find_by_id(tenant, source.token_id)
        agreement = await uow.agreements.find(tenant, source.agreement_id)
        if token is None or token.state is StoredTokenState.DELETED:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND, param="source")
        check_agreed_use(token, agreement)
        return _Credential(token.summary, stored=token, agreement=agreement)

    async def _find_stored(
        self, uow: UnitOfWork, source: FromStoredToken | FromKnownToken, tenant: Tenant
    ) -> StoredToken | None:
        if isinstance(source, FromKnownToken):
            return await uow.stored_tokens.find_by_id(tenant, source.token_id)
        kinds = (source.kind,) if source.kind else tuple(StoredTokenKind)
        macs = [self._secrets.token_mac(source.token, _TOKEN_CLASSES[kind], tenant) for kind in kinds]
        return await uow.stored_tokens.find(tenant, macs)

    def _payment(
        self, command: Pay, context: Context[PaymentView], plan: _Plan, credential: _Credential
    ) -> Payment:
        single_use, stored, agreement = credential.single_use, credential.stored, credential.agreement
        of_token = single_use or stored
        return Payment(
            id=plan.payment_id,
            tenant=context.principal.tenant,
            kind=command.kind,
            state=OperationState.SUBMITTED,
            amount_minor=command.money.amount_minor,
            currency=command.money.currency,
            created_at=plan.now + context.principal.clock_offset,
            summary=credential.summary,
            dialect=context.dialect,
            processor=plan.processor.name,
            single_use_token_id=single_use.id if single_use else None,
            stored_token_id=stored.id if stored else None,
            customer_id=command.customer_id or (of_token.customer_id if of_token else None),
            agreement_id=agreement.id if agreement else None,
            initiator=command.initiator,
            reason=_reason(command, agreement),
            reference=command.reference,
            metadata=command.metadata,
            facts=check_facts(command.facts),
        )

    def _operation(self, command: Pay, plan: _Plan, payment: Payment, reference: str | None) -> Operation:
        grace_s = plan.processor.timeout_s + RECOVERY_GRACE_S
        return Operation(
            id=plan.operation_id,
            tenant=payment.tenant,
            payment_id=payment.id,
            kind=command.kind,
            money=command.money,
            state=OperationState.SUBMITTED,
            created_at=payment.created_at,
            send_by=plan.send_by,
            processor=plan.processor.name,
            processor_reference=reference or plan.operation_id,
            token_id=payment.single_use_token_id,
            consumes_token=payment.single_use_token_id is not None
            and command.kind is not OperationKind.VERIFICATION,
            stored_token_id=payment.stored_token_id,
            initiator=command.initiator,
            reason=payment.reason,
            reference=command.reference,
            family=command.family,
            envelope=plan.envelope,
            envelope_day=_day_of(plan.now) if plan.envelope else None,
            next_attempt_at=plan.send_by + timedelta(seconds=grace_s),
        )

    async def _envelope(
        self, command: Pay, context: Context[PaymentView], operation_id: OperationId
    ) -> bytes | None:
        """Seal number and expiry for a processor that needs them to reverse.

        The envelope belongs into the reserve transaction, so the instrument is opened (audited) before
        it. What cannot be opened gets none: the reserve then refuses or replays.
        """
        try:
            instrument = await self._peek(command, context)
        except NotFound:
            return None
        if instrument is None:
            return None
        return self._vaulting.seal_envelope(
            instrument,
            tenant=context.principal.tenant,
            operation_id=operation_id,
            day=_day_of(self._clock.now()),
        )

    async def _peek(self, command: Pay, context: Context[PaymentView]) -> PaymentInstrument | None:
        source, tenant = command.source, context.principal.tenant
        if isinstance(source, FromInstrument):
            return source.instrument

        async def find(uow: UnitOfWork) -> tuple[SingleUseToken | StoredToken, Permit] | None:
            if isinstance(source, FromSingleUseToken):
                mac = self._secrets.token_mac(source.token, TokenClass.SINGLE_USE, tenant)
                token = await uow.tokens.find(tenant, mac)
            elif isinstance(source, FromCredential):
                token = await uow.stored_tokens.find_by_id(tenant, source.token_id)
            else:
                token = await self._find_stored(uow, source, tenant)
            if token is None:
                return None
            permit = await self._vaulting.permit(
                uow,
                token.id,
                purpose="processor",
                why="envelope",
                principal=context.principal,
                request_id=context.request_id,
            )
            return token, permit

        found = await self._storage.write(find)
        if found is None:
            return None
        token, permit = found
        if isinstance(token, StoredToken) or not isinstance(source, FromSingleUseToken):
            assert isinstance(token, StoredToken), "only a single-use source finds a single-use token"
            return self._vaulting.open_stored(permit, token)[0]
        assert isinstance(source, FromSingleUseToken), "only its string finds a single-use token"
        return self._vaulting.open_single_use(permit, token, source.token)[0]

    # --- between the transactions ----------------------------------------------------------------

    def _open(self, command: Pay, reserved: _Reserved) -> tuple[PaymentInstrument, PayerDetails]:
        source, credential, permit = command.source, reserved.credential, reserved.permit
        if isinstance(source, FromInstrument):
            instrument, payer = source.instrument, source.details
        elif permit is None:
            raise NotFound(ErrorCode.TOKEN_NOT_FOUND)
        elif credential.stored is not None:
            cvc = source.cvc if isinstance(source, FromStoredToken | FromKnownToken) else None
            instrument, payer = self._vaulting.open_stored(permit, credential.stored, cvc)
        elif isinstance(source, FromSingleUseToken) and credential.single_use is not None:
            instrument, payer = self._vaulting.open_single_use(permit, credential.single_use, source.token)
            if isinstance(instrument, Card) and source.cvc is not None:
                instrument = replace(instrument, cvc=parse_cvc(source.cvc, brand=instrument.pan.brand))
        else:
            raise NotFound(ErrorCode.TOKEN_NOT_FOUND)
        if isinstance(instrument, BacsAccount | SepaAccount) and command.kind is not OperationKind.CREDIT:
            check_mandate(instrument)
        if isinstance(instrument, Card) and command.initiator is Initiator.MERCHANT:
            instrument = instrument.without_cvc()
        return instrument, command.payer or payer

    def _request(
        self,
        command: Pay,
        context: Context[PaymentView],
        plan: _Plan,
        reserved: _Reserved,
        instrument: PaymentInstrument,
        payer: PayerDetails,
    ) -> ProcessorRequest:
        stored, agreement = reserved.credential.stored, reserved.credential.agreement
        linked = (
            command.network_transaction_id
            or (agreement.network_transaction_id if agreement else None)
            or (stored.network_transaction_id if stored else None)
        )
        return ProcessorRequest(
            operation_id=plan.operation_id,
            reference=reserved.operation.processor_reference,
            kind=command.kind,
            tenant=context.principal.tenant,
            money=command.money,
            merchant_time=reserved.payment.created_at,
            instrument=instrument,
            payer=payer,
            initiator=command.initiator,
            reason=reserved.payment.reason,
            network_transaction_id=linked,
            stores_credential=command.save is not None,
            attributes={"dialect": context.dialect, **command.attributes},
        )

    async def _fail(
        self,
        reserved: _Reserved,
        context: Context[PaymentView],
        claim: Claim[PaymentView],
        alongside: Alongside | None,
    ) -> None:
        """Close an operation that was certainly not sent: its token and its key are free again.

        Unless recovery was faster; then it is recovery that closes it.
        """

        async def work(uow: UnitOfWork) -> tuple[Event, ...]:
            recorded = await self._ledger.record(
                uow,
                reserved.operation,
                OperationEvent.FAIL,
                payment=reserved.payment,
                clock_offset=context.principal.clock_offset,
            )
            if recorded.first:
                # What recovery has taken over keeps its key: a repetition learns what came of it.
                await claim.abandon(uow)
            return await _with_company(uow, recorded, alongside)

        self._telemetry.observe(await self._storage.write(work))

    # --- second transaction ----------------------------------------------------------------------

    def _keep(
        self,
        command: Pay,
        context: Context[PaymentView],
        reserved: _Reserved,
        instrument: PaymentInstrument,
        payer: PayerDetails,
        outcome: Outcome,
    ) -> list[_Kept]:
        """Seal the credentials that are to be stored, if the payment went well."""
        if command.save is None or not isinstance(outcome, Approved | Pending):
            return []
        return [
            self._keep_one(save, context, reserved, instrument, payer, outcome)
            for save in (command.save, *command.also_save)
        ]

    def _keep_one(
        self,
        save: SaveCredential,
        context: Context[PaymentView],
        reserved: _Reserved,
        instrument: PaymentInstrument,
        payer: PayerDetails,
        outcome: Approved | Pending,
    ) -> _Kept:
        tenant = context.principal.tenant
        recurrence = save.kind is StoredTokenKind.RECURRENCE_TOKEN
        token_id = StoredTokenId(self._ids.new(STORED_ID_PREFIXES[save.kind]))
        shape = context.rules.shape_of(save.kind.value, reserved.payment.summary.kind)
        is_kept = context.rules.shows_stored_again or context.rules.shows_stored
        is_late = shape.may_collide and not is_kept
        string = None if is_late else self._ids.token(shape)
        if context.rules.shows_stored_again:
            payer = replace(payer, token=string)
        linked = outcome.network_transaction_id if isinstance(outcome, Approved) else None
        agreement = None
        if recurrence and save.agreement_id is None:
            agreement = Agreement(
                id=AgreementId(self._ids.new("agr")),
                tenant=tenant,
                state=AgreementState.ACTIVE,
                reason=save.reason,
                consented_at=reserved.payment.created_at,
                created_at=reserved.payment.created_at,
                customer_id=reserved.payment.customer_id,
                network_transaction_id=linked,
            )
        token = StoredToken(
            id=token_id,
            tenant=tenant,
            kind=save.kind,
            token_mac=b"",
            state=StoredTokenState.ACTIVE,
            summary=reserved.payment.summary,
            fingerprint=self._vaulting.fingerprint(instrument, tenant),
            created_at=reserved.payment.created_at,
            dialect=context.dialect,
            sealed=self._vaulting.seal_reusable(
                instrument,
                payer,
                tenant=tenant,
                token_id=token_id,
                string=string if context.rules.shows_stored else None,
            ),
            customer_id=reserved.payment.customer_id,
            agreement_id=agreement.id if agreement else save.agreement_id,
            network_transaction_id=linked,
            facts=check_facts(save.facts),
            name=save.name,
            payment_id=reserved.payment.id,
            customer_reference=save.customer_reference,
        )
        return _Kept(token, string, payer, agreement)

    async def _settle(
        self,
        uow: UnitOfWork,
        context: Context[PaymentView],
        claim: Claim[PaymentView],
        reserved: _Reserved,
        outcome: Outcome,
        kept: Sequence[_Kept],
        alongside: Alongside | None,
    ) -> tuple[tuple[Event, ...], PaymentView]:
        payment = reserved.payment
        saved = list[StoredTokenView]()
        if kept:
            agreement_id = kept[0].token.agreement_id or payment.agreement_id
            payment = replace(payment, saved_token_id=kept[0].token.id, agreement_id=agreement_id)
        recorded = await self._ledger.record(
            uow,
            reserved.operation,
            outcome,
            payment=payment,
            policy=context.rules.on_decline,
            clock_offset=context.principal.clock_offset,
        )
        if recorded.first:
            saved = [await self._store(uow, one, context) for one in kept]
            await self._link(uow, reserved.credential, outcome)
        stored = reserved.credential.stored
        view = PaymentView(
            recorded.payment,
            (recorded.operation,),
            saved=saved[0] if saved else None,
            also_saved=saved[1:],
            operation=recorded.operation,
            credential=StoredTokenView(stored) if stored else None,
        )
        await claim.finish(uow, view)
        return await _with_company(uow, recorded, alongside, saved), view

    async def _store(self, uow: UnitOfWork, kept: _Kept, context: Context[PaymentView]) -> StoredTokenView:
        if kept.agreement is not None:
            await uow.agreements.insert(kept.agreement)
        shape = context.rules.shape_of(kept.token.kind.value, kept.token.summary.kind)
        token, string = await with_string(uow, kept.token, shape, self._ids, self._secrets, drawn=kept.string)
        await uow.stored_tokens.insert(token)
        event = self._ids.event(
            EventType.STORED_TOKEN_CREATED,
            kept.token.tenant,
            kept.token.id,
            at=self._clock.now(),
            sequence=1,
            data={"kind": kept.token.kind.value, "dialect": kept.token.dialect},
        )
        await uow.events.append((event,))
        return StoredTokenView(token, kept.details, string)

    async def _link(self, uow: UnitOfWork, credential: _Credential, outcome: Outcome) -> None:
        """Give agreement and credential the network's id of their first approved transaction (SEC-14)."""
        if not isinstance(outcome, Approved) or outcome.network_transaction_id is None:
            return
        agreement, stored = credential.agreement, credential.stored
        if agreement is not None and agreement.network_transaction_id is None:
            await uow.agreements.update(
                replace(agreement, network_transaction_id=outcome.network_transaction_id)
            )
        if stored is not None and stored.network_transaction_id is None:
            # Whoever changes the credential meanwhile keeps the change: the next payment links it.
            await uow.stored_tokens.update(
                replace(stored, network_transaction_id=outcome.network_transaction_id)
            )


REPLACED_BY = "replacedBy"


async def _note_replacement(uow: UnitOfWork, payment: Payment, replaced_id: PaymentId) -> None:
    """Name a payment's successor in its facts.

    Raises:
        NotFound: `payment_not_found`.
        Conflict: `payment_state_conflict` when it has one.
    """
    replaced = await uow.payments.lock(payment.tenant, replaced_id)
    if replaced is None:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    if REPLACED_BY in replaced.facts:
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
    await uow.payments.amend(replace(replaced, facts={**replaced.facts, REPLACED_BY: payment.id}))


async def _with_company(
    uow: UnitOfWork, recorded: Recorded, alongside: Alongside | None, saved: Sequence[StoredTokenView] = ()
) -> tuple[Event, ...]:
    """Let what goes alongside hear what was recorded; give all events of the transaction."""
    if alongside is None:
        return recorded.events
    more = await alongside.settle(uow, recorded.payment, saved)
    await uow.events.append(more)
    return (*recorded.events, *more)


def _explain(
    token: SingleUseToken | None, command: Pay, verifications_max: int, now: datetime
) -> FareboxError:
    """Say why the conditional write found nothing; a live token that was verified enough is its own case."""
    if (
        command.kind is OperationKind.VERIFICATION
        and token is not None
        and token.state is TokenState.MINTED
        and token.expires_at > now
        and token.verifications >= verifications_max
    ):
        return Conflict(ErrorCode.VERIFICATIONS_EXHAUSTED, param="source.single_use_token")
    return explain_refusal(token, param="source.single_use_token")


def _reason(command: Pay, agreement: Agreement | None) -> Reason | None:
    if command.reason is not None or command.initiator is Initiator.CUSTOMER:
        return command.reason
    return agreement.reason if agreement else None


def _day_of(instant: datetime) -> int:
    return int(instant.timestamp()) // 86400
