"""Stored credentials and the agreements behind them: kept, shown, changed, erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from farebox.domain.access import Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.cards import Card, parse_expiry
from farebox.domain.credentials_on_file import (
    NETWORK_TRANSACTION_ID_LENGTH_MAX,
    Agreement,
    AgreementState,
)
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType, Value
from farebox.domain.facts import check_facts
from farebox.domain.ids import AgreementId, CustomerId, OperationId, StoredTokenId, has_shape
from farebox.domain.instruments import PayerDetails, PaymentInstrument, summary_of
from farebox.domain.tokens import (
    STORED_ID_PREFIXES,
    SealedReusable,
    SingleUseToken,
    StoredToken,
    StoredTokenKind,
    StoredTokenState,
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
from farebox.services.tokenization import explain_refusal
from farebox.services.vaulting import Permit, Vaulting

_CLASSES: Mapping[StoredTokenKind, TokenClass] = {
    StoredTokenKind.PAYMENT_TOKEN: TokenClass.PAYMENT_TOKEN,
    StoredTokenKind.RECURRENCE_TOKEN: TokenClass.RECURRENCE_TOKEN,
}


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
        tenant = context.principal.tenant
        await self._vaulting.prepare(tenant)
        _check_network_transaction_id(command.network_transaction_id)
        opened = await self._open(command, context, claim)
        token_class = _CLASSES[command.kind]
        token_id = StoredTokenId(self._ids.new(STORED_ID_PREFIXES[command.kind]))
        string = self._ids.token(context.rules.stored_shapes[command.kind.value])
        sealed = fingerprint = None
        if opened is not None:
            instrument, details = opened
            if context.rules.shows_stored_again:
                details = replace(details, token=string)
            sealed = self._vaulting.seal_reusable(
                instrument,
                details,
                tenant=tenant,
                token_id=token_id,
                string=string if context.rules.shows_stored else None,
            )
            fingerprint = self._vaulting.fingerprint(instrument, tenant)
        operation_id = OperationId(self._ids.new("op"))

        async def work(uow: UnitOfWork) -> tuple[StoredTokenView, list[Event]]:
            await claim.begin(uow)
            events = await self._spend(uow, command, context, operation_id)
            if opened is None or sealed is None or fingerprint is None:
                raise NotFound(ErrorCode.TOKEN_NOT_FOUND, param="single_use_token")
            await self._check_links(uow, tenant, command)
            if command.is_unique and await uow.stored_tokens.find_by_fingerprint(
                tenant, fingerprint, command.customer_id
            ):
                raise Conflict(ErrorCode.INSTRUMENT_ALREADY_STORED)
            token = StoredToken(
                id=token_id,
                tenant=tenant,
                kind=command.kind,
                token_mac=self._secrets.token_mac(string, token_class, tenant),
                state=StoredTokenState.ACTIVE,
                summary=summary_of(opened[0], bin_length=self._bin_length),
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
            )
            await uow.stored_tokens.insert(token)
            events.append(self._event(EventType.STORED_TOKEN_CREATED, token, 1))
            await uow.events.append(events)
            view = StoredTokenView(token, opened[1], string)
            await claim.finish(uow, view)
            return view, events

        view, events = await self._storage.write(work)
        self._telemetry.observe(events)
        return view

    async def _open(
        self,
        command: StoreCredential,
        context: Context[StoredTokenView],
        claim: Claim[StoredTokenView],
    ) -> tuple[PaymentInstrument, PayerDetails] | None:
        """Open what is to be stored; nothing when the token holds nothing any more."""
        source = command.source
        if isinstance(source, FromInstrument):
            instrument = source.instrument
            card = isinstance(instrument, Card)
            return (instrument.without_cvc() if card else instrument), source.details
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

    async def _spend(
        self,
        uow: UnitOfWork,
        command: StoreCredential,
        context: Context[StoredTokenView],
        operation_id: OperationId,
    ) -> list[Event]:
        """Reserve and spend the token in one step; the conditional write refuses a second taker (R1)."""
        if isinstance(command.source, FromInstrument):
            return []
        tenant = context.principal.tenant
        mac = self._token_mac(command.source.token, context)
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
        tenant = context.principal.tenant
        await self._vaulting.prepare(tenant)
        resealed = await self._with_new_expiry(command, context)

        async def work(uow: UnitOfWork) -> tuple[StoredToken, Event]:
            await claim.begin(uow)
            token = await self._find(uow, command.token, context)
            if command.customer_id and await uow.customers.find(tenant, command.customer_id) is None:
                raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
            changed = _changed(token, command)
            if resealed is not None:
                changed = replace(changed, summary=resealed[0].summary, sealed=resealed[1])
            if not await uow.stored_tokens.update(changed):
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            changed = replace(changed, version=changed.version + 1)
            event = self._event(EventType.STORED_TOKEN_UPDATED, changed, changed.version)
            await uow.events.append((event,))
            await claim.finish(uow, StoredTokenView(changed, self._vaulting.details_of_stored(changed)))
            return changed, event

        token, event = await self._storage.write(work)
        self._telemetry.observe((event,))
        return StoredTokenView(token, self._vaulting.details_of_stored(token))

    async def _with_new_expiry(
        self, command: UpdateStoredToken, context: Context[StoredTokenView]
    ) -> tuple[StoredToken, SealedReusable] | None:
        """Open the card, give it the new expiry and seal it again."""
        if command.exp_month is None and command.exp_year is None:
            return None

        async def find(uow: UnitOfWork) -> tuple[StoredToken, Permit]:
            token = await self._find(uow, command.token, context)
            permit = await self._vaulting.permit(
                uow,
                token.id,
                purpose="store",
                why="update",
                principal=context.principal,
                request_id=context.request_id,
            )
            return token, permit

        token, permit = await self._storage.write(find)
        card, details = self._vaulting.open_stored(permit, token)
        if not isinstance(card, Card):
            raise InvalidRequest(ErrorCode.CARD_EXPIRY_INVALID, param="card.exp_month")
        expiry = parse_expiry(
            command.exp_month if command.exp_month is not None else card.expiry.month,
            command.exp_year if command.exp_year is not None else card.expiry.year,
        )
        renewed = replace(card, expiry=expiry)
        sealed = self._vaulting.seal_reusable(
            renewed,
            details,
            tenant=token.tenant,
            token_id=token.id,
            string=self._vaulting.string_of_stored(token),
        )
        return replace(token, summary=summary_of(renewed, bin_length=self._bin_length)), sealed

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

    def _token_mac(self, string: TokenString, context: Context[StoredTokenView]) -> bytes:
        return self._secrets.token_mac(string, TokenClass.SINGLE_USE, context.principal.tenant)

    async def _find(
        self,
        uow: UnitOfWork,
        token: str,
        context: Context[StoredTokenView],
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
        facts=token.facts if command.facts is None else check_facts(command.facts),
    )


def _check_network_transaction_id(network_transaction_id: str | None) -> None:
    if network_transaction_id and len(network_transaction_id) > NETWORK_TRANSACTION_ID_LENGTH_MAX:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="network_transaction_id")
