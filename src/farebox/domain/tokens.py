"""Tokens: what stands in for an instrument, how long, and what ends it.

A *single-use token* lives minutes and is spent by exactly one operation. A *stored token* is kept: a
*payment token* is used when the customer comes back and confirms, a *recurrence token* by the merchant
alone. The life of a single-use token is the table `TRANSITIONS`; storage enforces the same table.

Source of the states: security design §4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import NewType

from farebox.domain.access import Tenant
from farebox.domain.cards import luhn_digit
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import (
    AgreementId,
    CustomerId,
    OperationId,
    PaymentId,
    SingleUseTokenId,
    StoredTokenId,
)
from farebox.domain.instruments import InstrumentKind, InstrumentSummary
from farebox.domain.operations import OperationKind
from farebox.domain.retry_limits import RetryLimit

TokenString = NewType("TokenString", str)
"""What the merchant holds: a bearer secret, shown once, stored as a keyed digest only."""


class TokenState(StrEnum):
    """Where a single-use token is in its life."""

    MINTED = "minted"
    RESERVED = "reserved"
    SPENT = "spent"
    EXPIRED = "expired"
    REVOKED = "revoked"


class TokenEvent(StrEnum):
    """What can happen to a single-use token."""

    VERIFY = "verify"
    RESERVE = "reserve"
    REVOKE = "revoke"
    EXPIRE = "expire"
    RELEASE = "release"
    """By the owner of the socket, certain that no byte was sent."""
    SOFT_DECLINE = "soft_decline"
    """By the owner, where the rules return a token that was declined softly."""
    SETTLE = "settle"
    """A final answer: approved, pending, declined or reversed."""


TRANSITIONS: Mapping[TokenState, Mapping[TokenEvent, TokenState]] = {
    TokenState.MINTED: {
        TokenEvent.VERIFY: TokenState.MINTED,
        TokenEvent.RESERVE: TokenState.RESERVED,
        TokenEvent.REVOKE: TokenState.REVOKED,
        TokenEvent.EXPIRE: TokenState.EXPIRED,
    },
    TokenState.RESERVED: {
        TokenEvent.RELEASE: TokenState.MINTED,
        TokenEvent.SOFT_DECLINE: TokenState.MINTED,
        TokenEvent.SETTLE: TokenState.SPENT,
        # Released or returned when its time is over.
        TokenEvent.EXPIRE: TokenState.EXPIRED,
    },
    TokenState.SPENT: {},
    TokenState.EXPIRED: {},
    TokenState.REVOKED: {},
}

TERMINAL = frozenset(state for state, moves in TRANSITIONS.items() if not moves)


class DeclinePolicy(StrEnum):
    """What a decline does to the token it was tried with."""

    SPENDS = "spends"
    SOFT_DECLINE_RETURNS = "soft_decline_returns"


@frozen
class TokenShape:
    """The form a dialect gives its token strings.

    The characters between prefix and suffix are drawn at random (SEC-16). `alphabet` must contain letters, so
    that no token can be taken for a card number, and `length` characters must hold 128 bits or more.
    """

    prefix: str
    alphabet: str
    length: int
    suffix: str = ""
    has_check_digit: bool = False
    """Ends with a Luhn digit over all of it, prefix included; for shapes of digits."""
    is_shown: bool = False
    """The protocol shows the string with every answer, so it is kept beside the digest and is no secret."""

    @property
    def may_collide(self) -> bool:
        """Tell whether a drawn string has to be looked up before it is given."""
        return self.length * (len(self.alphabet).bit_length() - 1) < _COLLISION_FREE_BITS


_COLLISION_FREE_BITS = 120

BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
NATIVE_SHAPES: Mapping[str, TokenShape] = {
    "single_use": TokenShape("tok_", BASE32, 52),
    "payment_token": TokenShape("pt_", BASE32, 52),
    "recurrence_token": TokenShape("rt_", BASE32, 52),
}


@cache
def _translation(alphabet: str) -> tuple[bytes, bytes]:
    """Map bytes to characters of an alphabet, and name the bytes that would make it unfair."""
    letters = alphabet.encode("ascii")
    fair = 256 - 256 % len(letters)
    return bytes(letters[byte % len(letters)] for byte in range(256)), bytes(range(fair, 256))


def draw(alphabet: str, length: int, random_bytes: Callable[[int], bytes]) -> str:
    """Draw `length` characters, each with the same probability.

    Args:
        alphabet: distinct ASCII characters, at most 256.
        length: how many to draw.
        random_bytes: the random source: gives as many bytes as it is asked for.
    """
    table, unfair = _translation(alphabet)
    drawn = b""
    while len(drawn) < length:
        drawn += random_bytes(length + length // 2).translate(table, unfair)
    return drawn[:length].decode("ascii")


def token_string(shape: TokenShape, random_bytes: Callable[[int], bytes]) -> TokenString:
    """Draw a token string in a dialect's shape (SEC-16)."""
    string = shape.prefix + draw(shape.alphabet, shape.length, random_bytes) + shape.suffix
    return TokenString(string + luhn_digit(string) if shape.has_check_digit else string)


@frozen
class TokenRules:
    """What a dialect's single-use tokens live by.

    `lifetimes_s` is the closed list a caller may choose from; empty means any from 60 s to
    `lifetime_max_s`. What is in neither `consumed_by` nor `looked_at_by` refuses such a token.
    """

    lifetime_s: int = 600
    lifetimes_s: frozenset[int] = frozenset()
    lifetime_max_s: int = 3600
    consumed_by: frozenset[OperationKind] = frozenset(
        {OperationKind.AUTHORIZATION, OperationKind.PURCHASE, OperationKind.CREDIT}
    )
    looked_at_by: frozenset[OperationKind] = frozenset({OperationKind.VERIFICATION})
    on_decline: DeclinePolicy = DeclinePolicy.SPENDS
    takes_expired_cards: bool = False
    """Leave it to the issuer to refuse them."""
    verifications_max: int = 5
    shape: TokenShape = field(default_factory=lambda: NATIVE_SHAPES["single_use"])
    stored_shapes: Mapping[str, TokenShape] = field(default_factory=lambda: NATIVE_SHAPES)
    shows_stored: bool = False
    """Stored tokens' strings are sealed beside their cards, because the protocol shows them again."""
    retry_limits: Mapping[str, RetryLimit] = field(default_factory=dict[str, RetryLimit])
    """By brand: how often a card may be declined without its customer before it is not tried any more."""
    shows_stored_again: bool = False
    """A stored credential's string is shown whenever it is read, so it is sealed beside the details."""

    shapes: Mapping[tuple[str, InstrumentKind], TokenShape] = field(
        default_factory=dict[tuple[str, InstrumentKind], TokenShape]
    )
    """Shapes of strings that differ by what they stand for; the first part is a key of `stored_shapes`."""
    merchant_may_use_payment_tokens: bool = False
    """One stored token serves the customer who comes back and the merchant alone, as the request says."""

    def shape_of(self, name: str, kind: InstrumentKind) -> TokenShape:
        """Give the shape of a token's string.

        Args:
            name: `single_use`, or a kind of stored token.
            kind: of the instrument it stands for.
        """
        default = self.shape if name == "single_use" else self.stored_shapes[name]
        return self.shapes.get((name, kind), default)

    def allows_lifetime(self, lifetime_s: int) -> bool:
        """Tell whether a caller may ask for this lifetime."""
        if self.lifetimes_s:
            return lifetime_s in self.lifetimes_s
        return 60 <= lifetime_s <= self.lifetime_max_s


@frozen
class SealedSingleUse:
    """The sealed parts of a single-use token, each openable and erasable apart from the others."""

    bucket_minute: int
    """Minutes since 1970 at whose end the bucket key is destroyed."""
    payload: bytes
    details: bytes
    cvc: bytes | None


@frozen
class SingleUseToken:
    """A single-use token as stored; `sealed` is gone once the state is terminal (I13)."""

    id: SingleUseTokenId
    tenant: Tenant
    token_mac: bytes
    state: TokenState
    summary: InstrumentSummary
    fingerprint: bytes
    created_at: datetime
    expires_at: datetime
    """By the merchant's clock, which in test mode may be ahead of the wall clock."""
    dialect: str
    sealed: SealedSingleUse | None
    operation_id: OperationId | None = None
    """The operation that reserved or spent it."""
    verifications: int = 0
    customer_id: CustomerId | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect that minted it wants back."""


class StoredTokenKind(StrEnum):
    """Who is present when a stored credential is used."""

    PAYMENT_TOKEN = "payment_token"
    RECURRENCE_TOKEN = "recurrence_token"


STORED_ID_PREFIXES: Mapping[StoredTokenKind, str] = {
    StoredTokenKind.PAYMENT_TOKEN: "pt",
    StoredTokenKind.RECURRENCE_TOKEN: "rt",
}
"""How the id of a stored token begins."""


class StoredTokenState(StrEnum):
    """A stored credential is usable or gone; a deleted one keeps no sealed parts."""

    ACTIVE = "active"
    DELETED = "deleted"


@frozen
class SealedReusable:
    """The sealed parts of a stored credential and its wrapped record key."""

    wrapped_key: bytes
    """Record key sealed under the tenant key; its header names the tenant key's id."""
    payload: bytes
    details: bytes
    string: bytes | None = None
    """The token's own string, where its dialect shows it again."""


@frozen
class StoredToken:
    """A reusable payment token or a recurrence token as stored."""

    id: StoredTokenId
    tenant: Tenant
    kind: StoredTokenKind
    token_mac: bytes
    state: StoredTokenState
    summary: InstrumentSummary
    fingerprint: bytes
    created_at: datetime
    dialect: str
    sealed: SealedReusable | None
    customer_id: CustomerId | None = None
    agreement_id: AgreementId | None = None
    network_transaction_id: str | None = None
    """Of the first transaction made with the credential; links later ones to it (SEC-14)."""
    label: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect that stored it wants back."""
    payment_id: PaymentId | None = None
    """The payment that stored it."""
    customer_reference: str | None = None
    """The merchant's own name of the customer, where the dialect keeps no customers."""
    deleted_at: datetime | None = None
    version: int = 1
    name: str | None = None
    """The merchant's own name for it, unique in the tenant, also after it is deleted."""
    shown_string: TokenString | None = None
    """Its string, where the protocol shows it with every answer (`TokenShape.is_shown`)."""
