"""The only use case that seals or opens instruments.

An opening needs a `Permit`, and a permit comes only from writing the audit entry (SEC-11). The entry
is committed with the transaction that granted it; only after that does the caller open.
"""

from __future__ import annotations

from datetime import datetime

from farebox.domain.access import Principal, Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.cards import Card, parse_cvc
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.frozen import frozen
from farebox.domain.ids import OperationId, RequestId, SingleUseTokenId, StoredTokenId
from farebox.domain.instruments import PayerDetails, PaymentInstrument
from farebox.domain.operations import Operation
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import SealedReusable, SealedSingleUse, SingleUseToken, StoredToken, TokenString
from farebox.ports.storage import UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.ports.vault import Vault


@frozen
class Permit:
    """Proof that an opening has its audit entry; made by `Vaulting.permit` only."""

    object_id: str
    purpose: str


class Vaulting:
    """Seals, opens and counts."""

    def __init__(self, vault: Vault, clock: Clock, telemetry: Telemetry) -> None:
        """Stand between the use cases and the vault."""
        self._vault = vault
        self._clock = clock
        self._telemetry = telemetry

    async def prepare(self, tenant: Tenant, real_expires_at: datetime | None = None) -> None:
        """Make sure that keys are loaded and the bucket of that expiry is durable."""
        await self._vault.prepare(tenant, real_expires_at=real_expires_at)

    def fingerprint(self, instrument: PaymentInstrument, tenant: Tenant) -> bytes:
        """Give the tenant's keyed digest of the number."""
        return self._vault.fingerprint(instrument, tenant=tenant)

    def seal_single_use(
        self,
        instrument: PaymentInstrument,
        details: PayerDetails,
        *,
        tenant: Tenant,
        token_id: SingleUseTokenId,
        string: TokenString,
        real_expires_at: datetime,
    ) -> SealedSingleUse:
        """Seal for one use; needs `prepare` with the same expiry before."""
        return self._vault.seal_single_use(
            instrument,
            details,
            tenant=tenant,
            token_id=token_id,
            token=string,
            real_expires_at=real_expires_at,
        )

    def seal_reusable(
        self,
        instrument: PaymentInstrument,
        details: PayerDetails,
        *,
        tenant: Tenant,
        token_id: StoredTokenId,
        string: TokenString | None = None,
    ) -> SealedReusable:
        """Seal for keeping; a CVC is dropped on the way (SEC-02)."""
        return self._vault.seal_reusable(instrument, details, tenant=tenant, token_id=token_id, string=string)

    def string_of_stored(self, token: StoredToken) -> TokenString | None:
        """Give a stored token's string where it was sealed; the caller has audited that it is shown."""
        if token.sealed is None:
            return None
        return self._vault.open_token_string(token.sealed, tenant=token.tenant, token_id=token.id)

    async def permit(
        self,
        uow: UnitOfWork,
        object_id: str,
        *,
        purpose: str,
        why: str,
        principal: Principal | None = None,
        tenant: Tenant | None = None,
        request_id: RequestId | None = None,
    ) -> Permit:
        """Write the audit entry of an opening and give leave for it, valid once committed."""
        owner = principal.tenant if principal else tenant
        await uow.audit.append(
            (
                AuditEntry(
                    action=AuditAction.INSTRUMENT_OPENED,
                    at=self._clock.now(),
                    merchant_id=owner.merchant_id if owner else None,
                    actor=principal.key_id if principal else "farebox",
                    object_id=object_id,
                    why=why,
                    request_id=request_id or "",
                ),
            )
        )
        return Permit(object_id, purpose)

    def open_single_use(
        self, permit: Permit, token: SingleUseToken, string: TokenString
    ) -> tuple[PaymentInstrument, PayerDetails]:
        """Open a reserved or verified token's instrument and the payer's details.

        Raises:
            NotFound: `token_not_found` when there is nothing left to open.
        """
        if token.sealed is None or permit.object_id != token.id:
            raise NotFound(ErrorCode.TOKEN_NOT_FOUND)
        self._telemetry.instrument_opened(permit.purpose)
        return self._vault.open_single_use(token.sealed, tenant=token.tenant, token_id=token.id, token=string)

    def details_of_single_use(self, token: SingleUseToken, string: TokenString) -> PayerDetails | None:
        """Show what a look may show; the number stays sealed, so this is no opening."""
        if token.sealed is None:
            return None
        return self._vault.open_single_use_details(
            token.sealed, tenant=token.tenant, token_id=token.id, token=string
        )

    def open_stored(
        self, permit: Permit, token: StoredToken, cvc: Sensitive | None = None
    ) -> tuple[PaymentInstrument, PayerDetails]:
        """Open a stored credential, with the CVC the customer typed this time.

        Raises:
            NotFound: `payment_token_not_found` when it was deleted.
        """
        if token.sealed is None or permit.object_id != token.id:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND)
        self._telemetry.instrument_opened(permit.purpose)
        fresh = parse_cvc(cvc, brand=token.summary.brand or "unknown") if cvc else None
        instrument = self._vault.open_reusable(
            token.sealed, tenant=token.tenant, token_id=token.id, cvc=fresh
        )
        return instrument, self.details_of_stored(token) or PayerDetails()

    def details_of_stored(self, token: StoredToken) -> PayerDetails | None:
        """Show the payer's details of a stored credential; no opening of the number."""
        if token.sealed is None:
            return None
        return self._vault.open_reusable_details(token.sealed, tenant=token.tenant, token_id=token.id)

    def rewrap(self, token: StoredToken) -> bytes | None:
        """Wrap a record key anew under the tenant's newest key; nothing for a deleted credential."""
        if token.sealed is None:
            return None
        return self._vault.rewrap(token.sealed.wrapped_key, tenant=token.tenant, token_id=token.id)

    def seal_envelope(
        self, instrument: PaymentInstrument, *, tenant: Tenant, operation_id: OperationId, day: int
    ) -> bytes:
        """Keep number and expiry for a processor that needs them to reverse."""
        if isinstance(instrument, Card):
            instrument = instrument.without_cvc()
        return self._vault.seal_envelope(instrument, tenant=tenant, operation_id=operation_id, day=day)

    def open_envelope(self, permit: Permit, operation: Operation) -> PaymentInstrument | None:
        """Open an operation's envelope for a reversal; nothing when it has none."""
        if operation.envelope is None or operation.envelope_day is None:
            return None
        self._telemetry.instrument_opened(permit.purpose)
        return self._vault.open_envelope(
            operation.envelope,
            tenant=operation.tenant,
            operation_id=operation.id,
            day=operation.envelope_day,
        )
