"""The vault: seals instruments in three classes, and opens them only where they belong.

    single-use   HKDF(bucket key, associated data ‖ token string); the string is nowhere on the server
    operation    the day key; number and expiry for a processor that needs them to reverse
    reusable     a record key of its own, wrapped by the tenant key

Number, payer's details and CVC of a single-use token are sealed apart, so that each can be erased and
opened without the others.

Source: security design §3.2.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime

from farebox.adapters.crypto.instruments import (
    number_of,
    pack_cvc,
    pack_details,
    pack_instrument,
    unpack_cvc,
    unpack_details,
    unpack_instrument,
)
from farebox.adapters.crypto.keyset import Keyset
from farebox.adapters.crypto.ring import FileRing
from farebox.adapters.crypto.suite import (
    KEY_LENGTH,
    CannotOpen,
    SealingKey,
    associated_data,
    key_id_of,
    purpose_data,
    record_data,
    seal,
    unseal,
)
from farebox.domain.access import Tenant
from farebox.domain.cards import Card, Cvc
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.ids import OperationId, SingleUseTokenId, StoredTokenId
from farebox.domain.instruments import PayerDetails, PaymentInstrument
from farebox.domain.tokens import SealedReusable, SealedSingleUse, TokenString
from farebox.ports.system import Randomness

_SINGLE_USE, _STORED, _OPERATION = "single_use_token", "stored_token", "operation"
_PAYLOAD, _DETAILS, _CVC, _RECORD_KEY, _ENVELOPE = "payload", "details", "cvc", "record_key", "envelope"
_STRING = "string"


def bucket_minute_of(expires_at: datetime) -> int:
    """Give the minute, since 1970, at whose end what expires then is destroyed."""
    return int(expires_at.timestamp() // 60)


class LocalVault:
    """Implements `ports.vault.Vault` with the keyset and the ring of this node."""

    def __init__(self, keyset: Keyset, ring: FileRing, randomness: Randomness) -> None:
        """Take the keys."""
        self._keyset = keyset
        self._ring = ring
        self._randomness = randomness

    async def prepare(self, tenant: Tenant, *, real_expires_at: datetime | None = None) -> None:
        """Make sure that the keys for what follows are here and durable."""
        await self._keyset.refresh(tenant)
        if real_expires_at is not None:
            await self._ring.ensure(bucket_minute_of(real_expires_at))

    # --- single-use --------------------------------------------------------------------------------

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
        """Seal so that only this token string opens it, and only until its minute is over."""
        minute = bucket_minute_of(real_expires_at)
        key_id, record = _bucket_id(minute), record_data(tenant, _SINGLE_USE, token_id)
        key = self._single_use_key(minute, tenant, record, token)

        def part(purpose: str, clear: bytes) -> bytes:
            return seal(key, key_id, clear, record + purpose_data(purpose, key_id))

        cvc = instrument.cvc if isinstance(instrument, Card) else None
        return SealedSingleUse(
            bucket_minute=minute,
            payload=part(_PAYLOAD, pack_instrument(instrument)),
            details=part(_DETAILS, pack_details(details)),
            cvc=None if cvc is None else part(_CVC, pack_cvc(cvc)),
        )

    def open_single_use(
        self, sealed: SealedSingleUse, *, tenant: Tenant, token_id: SingleUseTokenId, token: TokenString
    ) -> tuple[PaymentInstrument, PayerDetails]:
        """Open the instrument, with its CVC if that is still there, and the payer's details."""
        open_part = self._opener(sealed, tenant, token_id, token)
        cvc = None if sealed.cvc is None else unpack_cvc(open_part(_CVC, sealed.cvc))
        instrument = unpack_instrument(open_part(_PAYLOAD, sealed.payload), cvc)
        return instrument, unpack_details(open_part(_DETAILS, sealed.details))

    def open_single_use_details(
        self, sealed: SealedSingleUse, *, tenant: Tenant, token_id: SingleUseTokenId, token: TokenString
    ) -> PayerDetails:
        """Open what a look may show."""
        return unpack_details(self._opener(sealed, tenant, token_id, token)(_DETAILS, sealed.details))

    def _opener(
        self, sealed: SealedSingleUse, tenant: Tenant, token_id: SingleUseTokenId, token: TokenString
    ) -> Callable[[str, bytes], bytes]:
        """Derive the token's key once, and give what opens its parts with it."""
        key_id, record = _bucket_id(sealed.bucket_minute), record_data(tenant, _SINGLE_USE, token_id)
        try:
            key = self._single_use_key(sealed.bucket_minute, tenant, record, token)
        except CannotOpen:
            raise NotFound(ErrorCode.TOKEN_NOT_FOUND) from None

        def open_part(purpose: str, part: bytes) -> bytes:
            try:
                return unseal(key, part, record + purpose_data(purpose, key_id))
            except CannotOpen:
                raise NotFound(ErrorCode.TOKEN_NOT_FOUND) from None

        return open_part

    def _single_use_key(self, minute: int, tenant: Tenant, record: bytes, token: TokenString) -> SealingKey:
        bucket = self._ring.bucket(minute, tenant.mode)
        place = record + purpose_data("key", _bucket_id(minute))
        return SealingKey(expand(bucket, place + token.encode()))

    # --- reusable ----------------------------------------------------------------------------------

    def seal_reusable(
        self,
        instrument: PaymentInstrument,
        details: PayerDetails,
        *,
        tenant: Tenant,
        token_id: StoredTokenId,
        string: TokenString | None = None,
    ) -> SealedReusable:
        """Seal for keeping, under a fresh record key; a CVC never gets here (SEC-02)."""
        keys = self._keyset.tenant(tenant)
        record_key = self._randomness.bytes(KEY_LENGTH)
        key, key_id = SealingKey(record_key), keys.newest
        return SealedReusable(
            wrapped_key=seal(
                keys.sealing[key_id],
                key_id,
                record_key,
                _place(tenant, _STORED, token_id, _RECORD_KEY, key_id),
            ),
            # The record key has no id of its own: its row is its name, so the parts survive a re-wrap.
            payload=seal(
                key, _RECORD_ID, pack_instrument(instrument), _place(tenant, _STORED, token_id, _PAYLOAD)
            ),
            details=seal(key, _RECORD_ID, pack_details(details), _place(tenant, _STORED, token_id, _DETAILS)),
            string=None
            if string is None
            else seal(key, _RECORD_ID, string.encode(), _place(tenant, _STORED, token_id, _STRING)),
        )

    def open_token_string(
        self, sealed: SealedReusable, *, tenant: Tenant, token_id: StoredTokenId
    ) -> TokenString | None:
        """Open a stored token's own string."""
        if sealed.string is None:
            return None
        try:
            key = SealingKey(self._record_key(sealed.wrapped_key, tenant, token_id))
            opened = unseal(key, sealed.string, _place(tenant, _STORED, token_id, _STRING))
        except CannotOpen:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND) from None
        return TokenString(opened.decode())

    def open_reusable(
        self,
        sealed: SealedReusable,
        *,
        tenant: Tenant,
        token_id: StoredTokenId,
        cvc: Cvc | None = None,
    ) -> PaymentInstrument:
        """Open a stored instrument and put the fresh CVC to it."""
        try:
            key = SealingKey(self._record_key(sealed.wrapped_key, tenant, token_id))
            packed = unseal(key, sealed.payload, _place(tenant, _STORED, token_id, _PAYLOAD))
        except CannotOpen:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND) from None
        return unpack_instrument(packed, cvc)

    def open_reusable_details(
        self, sealed: SealedReusable, *, tenant: Tenant, token_id: StoredTokenId
    ) -> PayerDetails:
        """Open the payer's details of a stored credential."""
        try:
            key = SealingKey(self._record_key(sealed.wrapped_key, tenant, token_id))
            return unpack_details(unseal(key, sealed.details, _place(tenant, _STORED, token_id, _DETAILS)))
        except CannotOpen:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND) from None

    def rewrap(self, wrapped_key: bytes, *, tenant: Tenant, token_id: StoredTokenId) -> bytes:
        """Wrap a record key under the newest tenant key."""
        keys = self._keyset.tenant(tenant)
        if key_id_of(wrapped_key) == keys.newest:
            return wrapped_key
        try:
            record_key = self._record_key(wrapped_key, tenant, token_id)
        except CannotOpen:
            raise NotFound(ErrorCode.PAYMENT_TOKEN_NOT_FOUND) from None
        place = _place(tenant, _STORED, token_id, _RECORD_KEY, keys.newest)
        return seal(keys.sealing[keys.newest], keys.newest, record_key, place)

    def _record_key(self, wrapped_key: bytes, tenant: Tenant, token_id: StoredTokenId) -> bytes:
        key_id = key_id_of(wrapped_key)
        key = self._keyset.tenant(tenant).sealing.get(key_id)
        if key is None:
            raise CannotOpen
        return unseal(key, wrapped_key, _place(tenant, _STORED, token_id, _RECORD_KEY, key_id))

    # --- operation ---------------------------------------------------------------------------------

    def seal_envelope(
        self, instrument: PaymentInstrument, *, tenant: Tenant, operation_id: OperationId, day: int
    ) -> bytes:
        """Seal number and expiry under the day's key."""
        key_id = _bucket_id(day)
        key = SealingKey(self._ring.day(day, tenant.mode))
        place = _place(tenant, _OPERATION, operation_id, _ENVELOPE, key_id)
        return seal(key, key_id, pack_instrument(instrument), place)

    def open_envelope(
        self, envelope: bytes, *, tenant: Tenant, operation_id: OperationId, day: int
    ) -> PaymentInstrument:
        """Open an envelope while its day's key is there."""
        place = _place(tenant, _OPERATION, operation_id, _ENVELOPE, _bucket_id(day))
        try:
            return unpack_instrument(unseal(SealingKey(self._ring.day(day, tenant.mode)), envelope, place))
        except CannotOpen:
            raise NotFound(ErrorCode.OPERATION_NOT_FOUND) from None

    def fingerprint(self, instrument: PaymentInstrument, *, tenant: Tenant) -> bytes:
        """Digest the whole number under the tenant's key, kind and all."""
        kind, number = number_of(instrument)
        key = self._keyset.tenant(tenant).fingerprint
        return hmac.digest(key, kind.encode() + b"\0" + number, "sha256")


_RECORD_ID = b"record\0\0"


def _bucket_id(number: int) -> bytes:
    """Name a ring key in headers: the minute or day it is for."""
    return number.to_bytes(8, "big")


def _place(tenant: Tenant, kind: str, record_id: str, purpose: str, key_id: bytes = _RECORD_ID) -> bytes:
    return associated_data(tenant, kind=kind, record_id=record_id, purpose=purpose, key_id=key_id)


def expand(key: bytes, info: bytes) -> bytes:
    """Derive 32 bytes from a uniformly random key.

    Source: RFC 5869 §2.3, one block; extraction is left out as §3.3 allows for such keys.
    """
    return hmac.digest(key, info + b"\x01", "sha256")
