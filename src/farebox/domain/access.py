"""Who is asking and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from farebox.domain.frozen import frozen
from farebox.domain.ids import ApiKeyId, MerchantId, base32


class Mode(StrEnum):
    """Test data and live data never meet; the mode is part of every key and every digest."""

    TEST = "test"
    LIVE = "live"


@frozen
class Tenant:
    """Whose data it is: the owner named in every query, digest and sealing."""

    merchant_id: MerchantId
    mode: Mode


class Scope(StrEnum):
    """What an API key may do; a command names the one it needs."""

    TOKENS_MINT = "tokens:mint"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    TOKENS_SHOW = "tokens:show"
    """See the strings of stored tokens again, where their dialect keeps them."""
    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    SANDBOX_WRITE = "sandbox:write"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    CHECKOUT_READ = "checkout:read"
    CHECKOUT_WRITE = "checkout:write"
    CHECKOUT_PAY = "checkout:pay"
    """What a buyer's page may do with its own session; no key has it."""
    FINGERPRINTS_READ = "fingerprints:read"


class ApiKeyKind(StrEnum):
    """What a key is for; its kind decides its scopes unless the operator narrows them."""

    SECRET = "secret"
    PUBLISHABLE = "publishable"


SCOPES_OF_KIND = {
    # Equality of fingerprints is an oracle, so even a secret key gets that scope only when asked for.
    ApiKeyKind.SECRET: frozenset(Scope) - {Scope.FINGERPRINTS_READ, Scope.CHECKOUT_PAY},
    ApiKeyKind.PUBLISHABLE: frozenset({Scope.TOKENS_MINT}),
}


class CredentialUse(StrEnum):
    """How a credential is presented; one presented as another kind is unknown."""

    KEY = "key"
    """An API key, or the `id:secret` of a dialect."""
    ACCESS_TOKEN = "access_token"
    """A bearer string that was given for a key and ends by itself (RFC 6749)."""
    VISITOR = "visitor"
    """The address of a page that somebody was sent to; it opens that page's object and nothing else."""
    NOBODY = "nobody"
    """No credential: for what everybody may ask."""


@frozen
class AccessSession:
    """A bearer session as stored: its digest, what it may do and until when (SEC-20)."""

    mac: bytes
    tenant: Tenant
    key_id: ApiKeyId
    """The key it was given for; empty for a visitor."""
    use: CredentialUse
    dialect: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime
    """By the wall clock."""
    attributes: Mapping[str, str]


@frozen
class Principal:
    """An authenticated caller.

    `clock_offset` is how far a test-mode merchant's clock has been moved forward; zero in live mode.
    `dialect` and `attributes` say which protocol the credential belongs to and what that protocol
    calls the merchant (account number, terminal id, profile), for the dialect's own use.
    """

    tenant: Tenant
    key_id: ApiKeyId
    kind: ApiKeyKind
    scopes: frozenset[Scope]
    dialect: str
    attributes: tuple[tuple[str, str], ...] = ()
    clock_offset: timedelta = timedelta(0)

    def attribute(self, name: str) -> str:
        """Give an attribute; empty when the credential has none of this name."""
        return dict(self.attributes).get(name, "")


NOBODY = Principal(
    Tenant(MerchantId(""), Mode.TEST), ApiKeyId(""), ApiKeyKind.PUBLISHABLE, frozenset(), dialect=""
)
"""Who asks without a credential; owns nothing and may do nothing that needs a scope."""


_CHECKSUM_LENGTH = 8


def api_key_string(kind: ApiKeyKind, mode: Mode, entropy: bytes) -> str:
    """Write a native API key: prefix, 256 random bits, and a checksum for secret scanners.

    Args:
        kind: secret (`fbx_sk_…`) or publishable (`fbx_pk_…`).
        mode: `test` or `live`, readable in the key.
        entropy: 32 random bytes.
    """
    letter = "s" if kind is ApiKeyKind.SECRET else "p"
    body = f"fbx_{letter}k_{mode.value}_{base32(int.from_bytes(entropy, 'big'), 52)}"
    return body + base32(crc32(body.encode()), _CHECKSUM_LENGTH)


def api_key_looks_right(key: str) -> bool:
    """Tell whether a native key's checksum fits, without asking the database."""
    body, checksum = key[:-_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    return key.startswith("fbx_") and base32(crc32(body.encode()), _CHECKSUM_LENGTH) == checksum
