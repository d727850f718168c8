"""Sealing and opening of instruments. Only `services.vaulting` calls this port.

Three classes of sealed instrument (security design §3.2):

- *single-use*: number, expiry, holder and CVC, under the bucket key of the token's expiry minute and
  bound to the token string; gone when the bucket key is destroyed.
- *operation*: number and expiry for processors that need them again, under the day key.
- *reusable*: number, expiry and holder, never a CVC, under a record key wrapped by the tenant key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from farebox.domain.access import Tenant
from farebox.domain.cards import Cvc
from farebox.domain.ids import OperationId, SingleUseTokenId, StoredTokenId
from farebox.domain.instruments import PayerDetails, PaymentInstrument
from farebox.domain.tokens import SealedReusable, SealedSingleUse, TokenString


class Vault(Protocol):
    """Seals, opens and forgets instruments.

    Every method may raise `Unavailable` (`vault_sealed`) when the key-encryption key is missing. An
    `open_…` that cannot open (key destroyed, ciphertext moved or changed) raises `NotFound`
    (`token_not_found`): what cannot be opened is not there.
    """

    async def prepare(self, tenant: Tenant, *, real_expires_at: datetime | None = None) -> None:
        """Make sure the tenant's keys are loaded and the bucket of that expiry is durable.

        Await it before `seal_…`; almost always returns at once. `real_expires_at` is by the wall
        clock, not by a merchant's test clock.
        """
        ...

    def seal_single_use(
        self,
        instrument: PaymentInstrument,
        details: PayerDetails,
        *,
        tenant: Tenant,
        token_id: SingleUseTokenId,
        token: TokenString,
        real_expires_at: datetime,
    ) -> SealedSingleUse:
        """Seal an instrument (and its CVC, apart) so that only this token string opens it."""
        ...

    def open_single_use(
        self, sealed: SealedSingleUse, *, tenant: Tenant, token_id: SingleUseTokenId, token: TokenString
    ) -> tuple[PaymentInstrument, PayerDetails]:
        """Open a single-use payload; the card carries its CVC if `sealed.cvc` is there."""
        ...

    def open_single_use_details(
        self, sealed: SealedSingleUse, *, tenant: Tenant, token_id: SingleUseTokenId, token: TokenString
    ) -> PayerDetails:
        """Open what a look may show; never touches the number."""
        ...

    def seal_reusable(
        self,
        instrument: PaymentInstrument,
        details: PayerDetails,
        *,
        tenant: Tenant,
        token_id: StoredTokenId,
        string: TokenString | None = None,
    ) -> SealedReusable:
        """Seal an instrument for keeping; a CVC in it is dropped, never sealed.

        `string` is sealed beside it, apart, for a dialect that shows it again.
        """
        ...

    def open_token_string(
        self, sealed: SealedReusable, *, tenant: Tenant, token_id: StoredTokenId
    ) -> TokenString | None:
        """Open a stored token's string; nothing where it was not sealed. Never touches the number."""
        ...

    def open_reusable(
        self,
        sealed: SealedReusable,
        *,
        tenant: Tenant,
        token_id: StoredTokenId,
        cvc: Cvc | None = None,
    ) -> PaymentInstrument:
        """Open a stored instrument; `cvc` is the fresh one the customer typed for this use."""
        ...

    def open_reusable_details(
        self, sealed: SealedReusable, *, tenant: Tenant, token_id: StoredTokenId
    ) -> PayerDetails:
        """Open the payer's details of a stored credential."""
        ...

    def rewrap(self, wrapped_key: bytes, *, tenant: Tenant, token_id: StoredTokenId) -> bytes:
        """Wrap a record key under the tenant's newest key; the same bytes if it already is."""
        ...

    def seal_envelope(
        self, instrument: PaymentInstrument, *, tenant: Tenant, operation_id: OperationId, day: int
    ) -> bytes:
        """Seal number and expiry for a later reversal, under the key of `day` (days since 1970)."""
        ...

    def open_envelope(
        self, envelope: bytes, *, tenant: Tenant, operation_id: OperationId, day: int
    ) -> PaymentInstrument:
        """Open an operation's envelope."""
        ...

    def fingerprint(self, instrument: PaymentInstrument, *, tenant: Tenant) -> bytes:
        """Give the tenant's keyed digest of the whole number (SEC-05); equal numbers, equal digests."""
        ...
