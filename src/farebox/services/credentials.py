"""Stored credentials and the agreements behind them: kept, shown, changed, erased."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from farebox.domain.access import Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.bank_accounts import with_mandate
from farebox.domain.cards import Card, parse_expiry
from farebox.domain.credentials_on_file import (
    NETWORK_TRANSACTION_ID_LENGTH_MAX,
    Agreement,
    AgreementState,
)
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType, Value
from farebox.domain.facts import check_facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import AgreementId, CustomerId, OperationId, StoredTokenId, has_shape
from farebox.domain.instruments import InstrumentSummary, PayerDetails, PaymentInstrument, summary_of
from farebox.domain.tokens import (
    STORED_ID_PREFIXES,
    SealedReusable,
    SingleUseToken,
    StoredToken,
    StoredTokenKind,
    StoredTokenState,
    TokenShape,
    TokenString,
)
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    Context,
    CreateAgreement,
    DeleteStoredToken,
    EndAgreement,
    FromInstrument,
    FromSingleUseToken,
    FromStoredToken,
    GetAgreement,
    GetStoredToken,
    ListAgreements,
    ListStoredTokens,
    ShowTokenStrings,
    StoreCredential,
    StoredTokenView,
    UpdateStoredToken,
)
from farebox.services.durability import Durability
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.strings import with_string
from farebox.services.tokenization import COPY_OF, explain_refusal
from farebox.services.vaulting import Permit, Vaulting

_CLASSES: Mapping[StoredTokenKind, TokenClass] = {
    StoredTokenKind.PAYMENT_TOKEN: TokenClass.PAYMENT_TOKEN,
    StoredTokenKind.RECURRENCE_TOKEN: TokenClass.RECURRENCE_TOKEN,
}


@frozen
class Prepared:
    """What is to be stored, sealed; nothing is sealed when the token for it holds nothing any more."""

    token_id: StoredTokenId
    shape: TokenShape | None = None
    drawn: TokenString | None = None
    """The string, where none of its shape can be taken; otherwise it is drawn where it is stored."""
    summary: InstrumentSummary | None = None
    details: PayerDetails | None = None
    sealed: SealedReusable | None = None
    fingerprint: bytes | None = None


class Credentials:
    """Keeps what may be used again."""

    def __init__(
        self,
        *,
        storage: Storage,
        vaulting: Vaulting,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        bin_length: int,
        durability: Durability,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._vaulting = vaulting
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._bin_length = bin_length
        self._durability = durability

    async def store(
        self,
        command: StoreCredential,
        context: Context[StoredTokenView],
        claim: Claim[StoredTokenView],
    ) -> StoredTokenView:
        """Store an instrument; a single-use token given for it is spent in the same transaction.

        The instrument is opened (audited first) and sealed anew before the token is spent. Nothing leaves
        the house, so the conditional write alone decides which of two racing requests gets it.

        Raises:
            Conflict: the token cannot be spent; `token_class_mismatch` for a recurrence token without
                agreement; `instrument_already_stored`.
            NotFound: no such token, customer or agreement.
        """
        self._durability.require()
        prepared = await self.prepare(command, context)

        async def work(uow: UnitOfWork) -> tuple[StoredTokenView, list[Event]]:
            await claim.begin(uow)
            view, events = await self.keep(uow, command, prepared, context)
            await uow.events.append(events)
            await claim.finish(uow, view)
            return view, events

        view, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return view

    async def prepare(self, command: StoreCredential, context: Context[Any]) -> Prepared:
        """Open (audited) and seal anew what is to be stored, before the transaction that keeps it.

        Raises:
            InvalidRequest: `parameter_invalid` for a network transaction id or a mandate reference.
        """
        tenant = context.principal.tenant
        await self._vaulting.prepare(tenant)
        _check_network_transaction_id(command.network_transaction_id)
        opened = await self._open(command.source, context)
        token_id = StoredTokenId(self._ids.new(STORED_ID_PREFIXES[command.kind]))
        if opened is None:
            return Prepared(token_id)
        instrument, details = opened
        if command.mandate_reference is not None:
            instrument = with_mandate(instrument, command.mandate_reference)
        summary = summary_of(instrument, bin_length=self._bin_length)
        shape = context.rules.shape_of(command.kind.value, summary.kind)
        if command.mandate_reference is not None:
            shape = context.rules.stored_shapes.get("mandate", shape)
        # What is sealed together with the card has to be there before; the unique index stands behind it.
        is_kept = context.rules.shows_stored_again or context.rules.shows_stored
        is_late = shape.may_collide and not is_kept
        drawn = None if is_late else self._ids.token(shape)
        shown = replace(details, token=drawn) if context.rules.shows_stored_again else details
        return Prepared(
            token_id,
            shape=shape,
            drawn=drawn,
            summary=summary,
            details=shown,
            sealed=self._vaulting.seal_reusable(
                instrument,
                shown,
                tenant=tenant,
                token_id=token_id,
                string=drawn if context.rules.shows_stored else None,
            ),
            fingerprint=self._vaulting.fingerprint(instrument, tenant),
        )

    async def keep(
        self, uow: UnitOfWork, command: StoreCredential, prepared: Prepared, context: Context[Any]
    ) -> tuple[StoredTokenView, list[Event]]:
        """Spend the single-use token and store the credential, in the caller's transaction.

        Raises:
            Conflict: the token cannot be spent; `token_class_mismatch`; `instrument_already_stored`.
            NotFound: no such token, customer or agreement.
        """
        tenant = context.principal.tenant
        events = await self._spend(uow, command.source, context, OperationId(self._ids.new("op")))
        summary, sealed, fingerprint = prepared.summary, prepared.sealed, prepared.fingerprint
        if summary is None or sealed is None or fingerprint is None or prepared.shape is None:
            raise _nothing_to_store(command.source)
        await self._check_links(uow, tenant, command)
        if command.is_unique:
            await _refuse_twice(uow, tenant, fingerprint, command.customer_id)
        token = StoredToken(
            id=prepared.token_id,
            tenant=tenant,
            kind=command.kind,
            token_mac=b"",
            state=StoredTokenState.ACTIVE,
            summary=summary,
            fingerprint=fingerprint,
            created_at=self._clock.now() + context.principal.clock_offset,
            dialect=context.dialect,
            sealed=sealed,
            customer_id=command.customer_id,
            agreement_id=command.agreement_id,
            network_transaction_id=command.network_transaction_id,
            label=command.label,
            metadata=command.metadata,
            facts=check_facts(command.facts),
            name=command.name,
        )
        token, string = await with_string(
            uow, token, prepared.shape, self._ids, self._secrets, drawn=prepared.drawn
        )
        await uow.stored_tokens.insert(token)
        events.append(self._event(EventType.STORED_TOKEN_CREATED, token, 1))
        return StoredTokenView(token, prepared.details, string), events

    async def _open(
        self, source: FromSingleUseToken | FromStoredToken | FromInstrument, context: Context[Any]
    ) -> tuple[PaymentInstrument, PayerDetails] | None:
        """Open what is to be stored; nothing when the token holds nothing any more."""
        if isinstance(source, FromInstrument):
            instrument = source.instrument
            card = isinstance(instrument, Card)
            return (instrument.without_cvc() if card else instrument), source.details
        if isinstance(source, FromStoredToken):
            token, permit = await self._permitted(source.token, context, "copy")
            return self._vaulting.open_stored(permit, token)
        mac = self._token_mac(source.token, context)

        async def find(uow: UnitOfWork) -> tuple[SingleUseToken, Permit] | None:
            token = await uow.tokens.find(context.principal.tenant, mac)
            if token is None or token.sealed is None:
                return None
            permit = await self._vaulting.permit(
                uow,
                token.id,
                purpose="store",
                why="store",
                principal=context.principal,
                request_id=context.request_id,
            )
            return token, permit

        found = await self._storage.write(find)
        return self._vaulting.open_single_use(found[1], found[0], source.token) if found else None

    async def _permitted(self, string: str, context: Context[Any], why: str) -> tuple[StoredToken, Permit]:
        """Find a credential and give leave to open it."""

        async def find(uow: UnitOfWork) -> tuple[StoredToken, Permit]:
            token = await self._find(uow, string, context)
            permit = await self._vaulting.permit(
                uow,
                token.id,
                purpose="store",
                why=why,
                principal=context.principal,
                request_id=context.request_id,
            )
            return token, permit

        return await self._storage.write(find)

    async def _spend(
        self,
        uow: UnitOfWork,
        source: FromSingleUseToken | FromStoredToken | FromInstrument,
        context: Context[Any],
        operation_id: OperationId,
    ) -> list[Event]:
        """Reserve and spend the token in one step; the conditional write refuses a second taker (R1)."""
        if not isinstance(source, FromSingleUseToken):
            return []
        tenant = context.principal.tenant
        mac = self._token_mac(source.token, context)
        token = await uow.tokens.reserve(tenant, mac, operation_id, context.principal.clock_offset)
        if token is None:
            raise explain_refusal(await uow.tokens.find(tenant, mac), param="single_use_token")
        await uow.tokens.settle(token.id, tenant, operation_id)
        return [
            self._ids.event(
                type_,
                tenant,
                token.id,
                at=self._clock.now(),
                sequence=sequence,
                data={"by": "store", "dialect": context.dialect},
            )
            for sequence, type_ in (
                (2, EventType.SINGLE_USE_TOKEN_RESERVED),
                (3, EventType.SINGLE_USE_TOKEN_SPENT),
            )
        ]

    async def _check_links(self, uow: UnitOfWork, tenant: Tenant, command: StoreCredential) -> None:
        if command.customer_id and await uow.customers.find(tenant, command.customer_id) is None:
            raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
        if command.agreement_id is not None:
            if await uow.agreements.find(tenant, command.agreement_id) is None:
                raise NotFound(ErrorCode.AGREEMENT_NOT_FOUND, param="agreement")
        elif command.kind is StoredTokenKind.RECURRENCE_TOKEN:
            raise Conflict(ErrorCode.TOKEN_CLASS_MISMATCH, param="agreement")

    async def get(
        self,
        command: GetStoredToken,
        context: Context[StoredTokenView],
        claim: Claim[StoredTokenView],
    ) -> StoredTokenView:
        """Show a stored credential.

        Raises:
            NotFound: `payment_token_not_found`.
        """
        await self._vaulting.prepare(context.principal.tenant)
        if command.by_name:
            token = await self._storage.read(lambda uow: self._find_by_name(uow, command.token, context))
        else:
            token = await self._storage.read(
                lambda uow: self._find(uow, command.token, context, with_deleted=command.with_deleted)
            )
        return StoredTokenView(token, self._vaulting.details_of_stored(token))

    async def show_strings(
        self,
        command: ShowTokenStrings,
        context: Context[Mapping[StoredTokenId, TokenString]],
        claim: Claim[Mapping[StoredTokenId, TokenString]],
    ) -> Mapping[StoredTokenId, TokenString]:
        """Show strings again, each after its audit entry is durable (SEC-11)."""
        tenant = context.principal.tenant
        await self._vaulting.prepare(tenant)

        async def work(uow: UnitOfWork) -> list[StoredToken]:
            found = [await uow.stored_tokens.find_by_id(tenant, token_id) for token_id in command.token_ids]
            kept = [token for token in found if token and token.sealed and token.sealed.string]
            entries = [
                AuditEntry(
                    action=AuditAction.TOKEN_SHOWN,
                    at=self._clock.now(),
                    merchant_id=tenant.merchant_id,
                    actor=context.principal.key_id,
                    object_id=token.id,
                    why=context.dialect,
                    request_id=context.request_id,
                )
                for token in kept
            ]
            if entries:
                await uow.audit.append(entries)
            return kept

        kept = await self._storage.write(work) if command.token_ids else []
        strings = {token.id: self._vaulting.string_of_stored(token) for token in kept}
        return {token_id: string for token_id, string in strings.items() if string is not None}

    async def page(
        self,
        command: ListStoredTokens,
        context: Context[Page[StoredTokenView]],
        claim: Claim[Page[StoredTokenView]],
    ) -> Page[StoredTokenView]:
        """List stored credentials, without the payer's sealed details unless they are asked for."""
        tenant = context.principal.tenant
        page = await self._storage.read(
            lambda uow: uow.stored_tokens.page(tenant, command.page, with_deleted=command.with_deleted)
        )
        if not command.with_details:
            return Page([StoredTokenView(token) for token in page.items], page.has_more)
        await self._vaulting.prepare(tenant)
        views = [StoredTokenView(token, self._vaulting.details_of_stored(token)) for token in page.items]
        return Page(views, page.has_more)

    async def update(
        self,
        command: UpdateStoredToken,
        context: Context[StoredTokenView],
        claim: Claim[StoredTokenView],
    ) -> StoredTokenView:
        """Change what may change of a stored credential; a new expiry seals the card anew.

        Raises:
            NotFound: `payment_token_not_found` or `customer_not_found`.
            InvalidRequest: `card_expiry_invalid`.
            Conflict: `payment_state_conflict` when somebody changed it at the same moment.
        """
        if command.source is not None:
            self._durability.require()
        tenant = context.principal.tenant
        await self._vaulting.prepare(tenant)
        resealed = await self._resealed(command, context)
        operation_id = OperationId(self._ids.new("op"))

        async def work(uow: UnitOfWork) -> tuple[StoredToken, list[Event]]:
            await claim.begin(uow)
            events: list[Event] = []
            if command.source is not None:
                events = await self._spend(uow, command.source, context, operation_id)
            token = await self._find(uow, command.token, context)
            if command.customer_id and await uow.customers.find(tenant, command.customer_id) is None:
                raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
            changed = _changed(token, command)
            if resealed is not None:
                new, sealed = resealed
                changed = replace(changed, summary=new.summary, fingerprint=new.fingerprint, sealed=sealed)
            if not await uow.stored_tokens.update(changed):
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            changed = replace(changed, version=changed.version + 1)
            events.append(self._event(EventType.STORED_TOKEN_UPDATED, changed, changed.version))
            await uow.events.append(events)
            await claim.finish(uow, StoredTokenView(changed, self._vaulting.details_of_stored(changed)))
            return changed, events

        token, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return StoredTokenView(token, self._vaulting.details_of_stored(token))

    async def _resealed(
        self, command: UpdateStoredToken, context: Context[StoredTokenView]
    ) -> tuple[StoredToken, SealedReusable] | None:
        """Seal again what is new: another instrument, or this one with something changed."""
        change = command.change or _new_expiry(command)
        if command.source is None and change is None:
            return None
        token, permit = await self._permitted(command.token, context, "update")
        instrument, details = self._vaulting.open_stored(permit, token)
        if command.source is not None:
            opened = await self._open(command.source, context)
            if opened is None:
                return None  # spending the token says why
            instrument, details = opened[0], replace(opened[1], token=details.token)
        if change is not None:
            instrument, details = change(instrument, details)
        if isinstance(instrument, Card):
            instrument = instrument.without_cvc()
        sealed = self._vaulting.seal_reusable(
            instrument,
            details,
            tenant=token.tenant,
            token_id=token.id,
            string=self._vaulting.string_of_stored(token),
        )
        summary = summary_of(instrument, bin_length=self._bin_length)
        fingerprint = self._vaulting.fingerprint(instrument, token.tenant)
        return replace(token, summary=summary, fingerprint=fingerprint), sealed

    async def delete(
        self,
        command: DeleteStoredToken,
        context: Context[StoredTokenView],
        claim: Claim[StoredTokenView],
    ) -> StoredTokenView:
        """Erase a stored credential.

        Raises:
            NotFound: `payment_token_not_found`.
        """
        facts = check_facts(command.facts)
        now = self._clock.now() + context.principal.clock_offset

        async def work(uow: UnitOfWork) -> tuple[StoredToken, Event]:
            token = await self._find(uow, command.token, context)
            token = replace(token, facts={**token.facts, **facts}, deleted_at=now)
            await uow.stored_tokens.delete(token)
            token = replace(token, state=StoredTokenState.DELETED, sealed=None, version=token.version + 1)
            event = self._event(EventType.STORED_TOKEN_DELETED, token, token.version)
            await uow.events.append((event,))
            return token, event

        token, event = await self._storage.write(work)
        self._telemetry.observe((event,))
        return StoredTokenView(token)

    # --- agreements ------------------------------------------------------------------------------

    async def create_agreement(
        self, command: CreateAgreement, context: Context[Agreement], claim: Claim[Agreement]
    ) -> Agreement:
        """Record a consent.

        Raises:
            NotFound: `customer_not_found`.
            InvalidRequest: `parameter_invalid` for a network transaction id that is too long.
        """
        _check_network_transaction_id(command.network_transaction_id)
        tenant = context.principal.tenant
        now = self._clock.now() + context.principal.clock_offset
        agreement = Agreement(
            id=AgreementId(self._ids.new("agr")),
            tenant=tenant,
            state=AgreementState.ACTIVE,
            reason=command.reason,
            consented_at=command.consented_at or now,
            created_at=now,
            customer_id=command.customer_id,
            network_transaction_id=command.network_transaction_id,
            reference=command.reference,
            description=command.description,
            metadata=command.metadata,
        )
        event = self._agreement_event(EventType.AGREEMENT_CREATED, agreement)

        async def work(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            if command.customer_id and await uow.customers.find(tenant, command.customer_id) is None:
                raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
            await uow.agreements.insert(agreement)
            await uow.events.append((event,))
            await claim.finish(uow, agreement)

        await self._storage.write(work)
        self._telemetry.observe((event,))
        return agreement

    async def get_agreement(
        self, command: GetAgreement, context: Context[Agreement], claim: Claim[Agreement]
    ) -> Agreement:
        """Show an agreement.

        Raises:
            NotFound: `agreement_not_found`.
        """
        return await self._storage.read(
            lambda uow: _agreement(uow, context.principal.tenant, command.agreement_id)
        )

    async def page_agreements(
        self,
        command: ListAgreements,
        context: Context[Page[Agreement]],
        claim: Claim[Page[Agreement]],
    ) -> Page[Agreement]:
        """List agreements."""
        tenant = context.principal.tenant
        return await self._storage.read(lambda uow: uow.agreements.page(tenant, command.page))

    async def end_agreement(
        self, command: EndAgreement, context: Context[Agreement], claim: Claim[Agreement]
    ) -> Agreement:
        """End an agreement; ending it again is harmless.

        Raises:
            NotFound: `agreement_not_found`.
        """

        async def work(uow: UnitOfWork) -> tuple[Agreement, Event | None]:
            await claim.begin(uow)
            agreement = await _agreement(uow, context.principal.tenant, command.agreement_id)
            event = None
            if agreement.state is AgreementState.ACTIVE:
                agreement = replace(agreement, state=AgreementState.ENDED)
                await uow.agreements.update(agreement)
                agreement = replace(agreement, version=agreement.version + 1)
                event = self._agreement_event(EventType.AGREEMENT_ENDED, agreement)
                await uow.events.append((event,))
            await claim.finish(uow, agreement)
            return agreement, event

        agreement, event = await self._storage.write(work)
        if event is not None:
            self._telemetry.observe((event,))
        return agreement

    # --- common ----------------------------------------------------------------------------------

    def _token_mac(self, string: TokenString, context: Context[Any]) -> bytes:
        return self._secrets.token_mac(string, TokenClass.SINGLE_USE, context.principal.tenant)

    async def _find(
        self,
        uow: UnitOfWork,
        token: str,
        context: Context[Any],
        *,
        with_deleted: bool = False,
    ) -> StoredToken:
        """Find a credential by id or by string; a deleted one only where it is asked for."""
        tenant = context.principal.tenant
        if any(has_shape(token, prefix) for prefix in STORED_ID_PREFIXES.values()):
            found = await uow.stored_tokens.find_by_id(tenant, StoredTokenId(token))
        else:
            string = TokenString(token)
            macs = [self._secrets.token_mac(string, class_, tenant) for class_ in _CLASSES.values()]
            found = await uow.stored_tokens.find(tenant, macs)
        if found is None or (found.state is StoredTokenState.DELETED and not with_deleted):
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND)
        return found

    async def _find_by_name(
        self, uow: UnitOfWork, name: str, context: Context[StoredTokenView]
    ) -> StoredToken:
        found = await uow.stored_tokens.find_by_name(context.principal.tenant, name)
        if found is None or found.state is StoredTokenState.DELETED:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND)
        return found

    def _event(self, type_: EventType, token: StoredToken, sequence: int) -> Event:
        data: dict[str, Value] = {"kind": token.kind.value, "dialect": token.dialect}
        return self._ids.event(
            type_, token.tenant, token.id, at=self._clock.now(), sequence=sequence, data=data
        )

    def _agreement_event(self, type_: EventType, agreement: Agreement) -> Event:
        return self._ids.event(
            type_,
            agreement.tenant,
            agreement.id,
            at=self._clock.now(),
            sequence=agreement.version,
            data={"reason": agreement.reason.value},
        )


async def _agreement(uow: UnitOfWork, tenant: Tenant, agreement_id: AgreementId) -> Agreement:
    agreement = await uow.agreements.find(tenant, agreement_id)
    if agreement is None:
        raise NotFound(ErrorCode.AGREEMENT_NOT_FOUND)
    return agreement


def _changed(token: StoredToken, command: UpdateStoredToken) -> StoredToken:
    customer_id: CustomerId | None = command.customer_id or token.customer_id
    return replace(
        token,
        label=token.label if command.label is None else command.label,
        metadata=token.metadata if command.metadata is None else command.metadata,
        customer_id=customer_id,
        version=token.version if command.version is None else command.version,
        facts=token.facts if command.facts is None else check_facts(command.facts),
    )


def _new_expiry(
    command: UpdateStoredToken,
) -> Callable[[PaymentInstrument, PayerDetails], tuple[PaymentInstrument, PayerDetails]] | None:
    if command.exp_month is None and command.exp_year is None:
        return None

    def change(card: PaymentInstrument, details: PayerDetails) -> tuple[PaymentInstrument, PayerDetails]:
        if not isinstance(card, Card):
            raise InvalidRequest(ErrorCode.CARD_EXPIRY_INVALID, param="card.exp_month")
        expiry = parse_expiry(
            command.exp_month if command.exp_month is not None else card.expiry.month,
            command.exp_year if command.exp_year is not None else card.expiry.year,
        )
        return replace(card, expiry=expiry), details

    return change


async def _refuse_twice(
    uow: UnitOfWork, tenant: Tenant, fingerprint: bytes, customer_id: CustomerId | None
) -> None:
    """Refuse an instrument that the customer has stored already; a copy under another name is none."""
    for token in await uow.stored_tokens.find_by_fingerprint(tenant, fingerprint, customer_id):
        if COPY_OF not in token.facts:
            raise Conflict(ErrorCode.INSTRUMENT_ALREADY_STORED, existing=(token.id,))


def _nothing_to_store(source: FromSingleUseToken | FromStoredToken | FromInstrument) -> NotFound:
    assert not isinstance(source, FromInstrument), "clear details are never nothing"
    return NotFound(ErrorCode.TOKEN_NOT_FOUND, param="single_use_token")


def _check_network_transaction_id(network_transaction_id: str | None) -> None:
    if network_transaction_id and len(network_transaction_id) > NETWORK_TRANSACTION_ID_LENGTH_MAX:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="network_transaction_id")
