"""Keyed digests of bearer secrets, and the sealing of answers that hold one."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from farebox.domain.access import CredentialUse, Tenant
from farebox.domain.tokens import TokenString


class TokenClass(StrEnum):
    """The class is part of a token's digest, so one string can never pass for another kind."""

    SINGLE_USE = "single_use"
    PAYMENT_TOKEN = "payment_token"
    RECURRENCE_TOKEN = "recurrence_token"


class Secrets(Protocol):
    """Digests under keys the database never sees (security design §3.5)."""

    def token_mac(self, token: TokenString, token_class: TokenClass, tenant: Tenant) -> bytes:
        """Digest a token string; another tenant's token gives another digest."""
        ...

    def api_key_mac(self, key: str) -> bytes:
        """Digest an API key, of any dialect."""
        ...

    def session_mac(self, string: str, use: CredentialUse) -> bytes:
        """Digest the string of a bearer session; one use's string means nothing as another's."""
        ...

    def idempotency_mac(self, key: str, kind: str, tenant: Tenant) -> bytes:
        """Digest an idempotency key within its kind of request."""
        ...

    def request_mac(self, canonical_request: bytes, tenant: Tenant) -> bytes:
        """Digest a canonical request, secrets included, to recognise it when it is repeated."""
        ...

    def audit_mac(self, previous: bytes, entry: bytes) -> bytes:
        """Digest an audit entry together with its predecessor's digest."""
        ...

    def seal_answer(
        self, answer: bytes, *, tenant: Tenant, idempotency_key: str, bucket_minute: int | None
    ) -> bytes:
        """Seal a stored answer under the idempotency key, and under a bucket if it holds a mint."""
        ...

    def open_answer(
        self, sealed: bytes, *, tenant: Tenant, idempotency_key: str, bucket_minute: int | None
    ) -> bytes | None:
        """Open a stored answer; nothing when its bucket is destroyed."""
        ...

    def seal_signing_secret(self, secret: str, *, tenant: Tenant, owner: str) -> bytes:
        """Seal what signs webhooks; only this owner's row opens it."""
        ...

    def open_signing_secret(self, sealed: bytes, *, tenant: Tenant, owner: str) -> str:
        """Open a signing secret.

        Raises:
            NotFound: `webhook_endpoint_not_found` when it is not this owner's.
        """
        ...
