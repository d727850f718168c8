"""Keyed digests of bearer secrets, and the sealing of stored answers.

Every message is length-prefixed and begins with its purpose, so no digest can be taken for another kind.

Source: security design §3.2, §3.5 and §4.6.
"""

from __future__ import annotations

import hmac
from functools import cached_property, lru_cache

from farebox.adapters.crypto.keyset import API_KEY, AUDIT, LOOKUP, Keyset
from farebox.adapters.crypto.ring import FileRing
from farebox.adapters.crypto.suite import CannotOpen, SealingKey, associated_data, seal, unseal
from farebox.adapters.crypto.vault import expand
from farebox.domain.access import CredentialUse, Mode, Tenant
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.tokens import TokenString
from farebox.ports.secrets import TokenClass


def _message(*parts: bytes) -> bytes:
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


@lru_cache(maxsize=4096)
def _token_message(token_class: TokenClass, tenant: Tenant) -> bytes:
    return _message(b"token", token_class.value.encode(), tenant.merchant_id.encode())


class Digests:
    """Implements `ports.secrets.Secrets`."""

    def __init__(self, keyset: Keyset, ring: FileRing) -> None:
        """Take the keys."""
        self._keyset = keyset
        self._ring = ring

    @cached_property
    def _lookup(self) -> dict[Mode, bytes]:
        return {mode: self._keyset.server_key(LOOKUP, mode) for mode in Mode}

    @cached_property
    def _api_key(self) -> bytes:
        return self._keyset.server_key(API_KEY)

    @cached_property
    def _audit(self) -> bytes:
        return self._keyset.server_key(AUDIT)

    def token_mac(self, token: TokenString, token_class: TokenClass, tenant: Tenant) -> bytes:
        """Digest a token string with its class and owner."""
        message = _token_message(token_class, tenant) + _message(token.encode("utf-8", "replace"))
        return hmac.digest(self._lookup[tenant.mode], message, "sha256")

    def api_key_mac(self, key: str) -> bytes:
        """Digest an API key."""
        return hmac.digest(self._api_key, key.encode("utf-8", "replace"), "sha256")

    def session_mac(self, string: str, use: CredentialUse) -> bytes:
        """Digest a bearer session's string with its use."""
        message = _message(b"session", use.value.encode(), string.encode("utf-8", "replace"))
        return hmac.digest(self._api_key, message, "sha256")

    def idempotency_mac(self, key: str, kind: str, tenant: Tenant) -> bytes:
        """Digest an idempotency key within its kind of request."""
        message = _message(b"idempotency", tenant.merchant_id.encode(), kind.encode(), key.encode())
        return hmac.digest(self._lookup[tenant.mode], message, "sha256")

    def request_mac(self, canonical_request: bytes, tenant: Tenant) -> bytes:
        """Digest a canonical request with its owner."""
        message = _message(b"request", tenant.merchant_id.encode(), canonical_request)
        return hmac.digest(self._lookup[tenant.mode], message, "sha256")

    def audit_mac(self, previous: bytes, entry: bytes) -> bytes:
        """Digest an entry together with its predecessor's digest."""
        return hmac.digest(self._audit, _message(previous, entry), "sha256")

    def seal_answer(
        self, answer: bytes, *, tenant: Tenant, idempotency_key: str, bucket_minute: int | None
    ) -> bytes:
        """Seal under the idempotency key and, for a mint, the token's bucket."""
        key, key_id, place = self._answer_key(tenant, idempotency_key, bucket_minute)
        return seal(key, key_id, answer, place)

    def open_answer(
        self, sealed: bytes, *, tenant: Tenant, idempotency_key: str, bucket_minute: int | None
    ) -> bytes | None:
        """Open a stored answer; nothing when its bucket is destroyed."""
        try:
            key, _, place = self._answer_key(tenant, idempotency_key, bucket_minute)
            return unseal(key, sealed, place)
        except CannotOpen:
            return None

    def _answer_key(
        self, tenant: Tenant, idempotency_key: str, bucket_minute: int | None
    ) -> tuple[SealingKey, bytes, bytes]:
        keys = self._keyset.tenant(tenant)
        base = keys.answer
        if bucket_minute is not None:
            base = expand(self._ring.bucket(bucket_minute, tenant.mode), b"answer" + base)
        place = associated_data(tenant, kind="answer", record_id="", purpose="answer", key_id=keys.answer_id)
        return SealingKey(expand(base, place + idempotency_key.encode())), keys.answer_id, place

    def seal_signing_secret(self, secret: str, *, tenant: Tenant, owner: str) -> bytes:
        """Seal under a key of the tenant's that is for this owner's secrets alone."""
        key, key_id, place = self._signing_key(tenant, owner)
        return seal(key, key_id, secret.encode(), place)

    def open_signing_secret(self, sealed: bytes, *, tenant: Tenant, owner: str) -> str:
        """Open a signing secret where it belongs."""
        key, _, place = self._signing_key(tenant, owner)
        try:
            return unseal(key, sealed, place).decode()
        except CannotOpen:
            raise NotFound(ErrorCode.WEBHOOK_ENDPOINT_NOT_FOUND) from None

    def _signing_key(self, tenant: Tenant, owner: str) -> tuple[SealingKey, bytes, bytes]:
        """Derive from the tenant's answer key, which is wrapped, listed and never rotated away."""
        keys = self._keyset.tenant(tenant)
        place = associated_data(
            tenant, kind="signing_secret", record_id=owner, purpose="secret", key_id=keys.answer_id
        )
        return SealingKey(expand(keys.answer, b"signing secret" + place)), keys.answer_id, place
