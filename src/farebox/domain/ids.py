"""Prefixed, time-ordered identifiers: `pay_` and 26 characters of base32 UUIDv7.

An id names a thing and is never a secret (SEC-17). Its first characters grow with time, so rows
inserted together lie together in an index.

Source: RFC 9562 §5.7 (UUIDv7); Crockford base32, lower case, without i, l, o and u.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType
from uuid import UUID

from farebox.domain.frozen import frozen

MerchantId = NewType("MerchantId", str)
MerchantAccountId = NewType("MerchantAccountId", str)
ApiKeyId = NewType("ApiKeyId", str)
SingleUseTokenId = NewType("SingleUseTokenId", str)
StoredTokenId = NewType("StoredTokenId", str)
"""Names a stored credential: `pt_…` (reusable payment token) or `rt_…` (recurrence token)."""
AgreementId = NewType("AgreementId", str)
CustomerId = NewType("CustomerId", str)
PaymentId = NewType("PaymentId", str)
OperationId = NewType("OperationId", str)
EventId = NewType("EventId", str)
DocumentId = NewType("DocumentId", str)
CheckoutSessionId = NewType("CheckoutSessionId", str)
WebhookEndpointId = NewType("WebhookEndpointId", str)
DeliveryId = NewType("DeliveryId", str)
RequestId = NewType("RequestId", str)
SubscriptionId = NewType("SubscriptionId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
ID_ENTROPY = 13
"""Random bytes that `new_id` takes."""

_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
# 32 letters divide 256 evenly, so every letter is as likely as any other.
_LETTERS = _ALPHABET.encode("ascii") * 8


def base32(value: int, length: int) -> str:
    """Write `value` in `length` (an even number of) base32 characters, most significant first."""
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in range((length - 2) * 5, -1, -10)])


@lru_cache(maxsize=4)
def _milliseconds(unix_ms: int) -> str:
    """Write the first ten characters: two zero bits and the time, the same for all ids of a millisecond."""
    return base32(unix_ms & 0xFFFFFFFFFFFF, 10)


def new_id(prefix: str, *, unix_us: int, entropy: bytes) -> str:
    """Make an id out of the time and random bytes.

    Args:
        prefix: what the id names, without the underscore: `tok`, `pay`, `op`.
        unix_us: microseconds since 1970; those within the millisecond put its ids in their order
            (RFC 9562 §6.2, method 3).
        entropy: 13 random bytes; 62 bits of them are used.
    """
    unix_ms, micros = divmod(unix_us, 1000)
    fraction = (micros << 12) // 1000
    # Four characters hold what is not random but for two bits: version, fraction and variant.
    version = _PAIRS[0x7 << 6 | fraction >> 6]
    variant = _PAIRS[(fraction & 63) << 4 | 0b10 << 2 | entropy[12] & 3]
    random = entropy[:12].translate(_LETTERS).decode()
    return f"{prefix}_{_milliseconds(unix_ms)}{version}{variant}{random}"


SHORT_LENGTH = 10
_SHORT_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHORT_EPOCH_MS = 1_577_836_800_000
"""2020-01-01, so that ten characters last until 2048."""
_RANDOM_BITS = (1 << 62) - 1


@frozen
class IdRange:
    """All ids of one prefix and one moment: nearly always one, because the moment is a microsecond."""

    first: str
    last: str


def short_id(text: str) -> str:
    """Write the moment in an id as ten characters A-Z and 0-9, for protocols that have no room for more.

    The moment is a millisecond and its 4096th part. What was made later sorts later.
    """
    value = 0
    for character in text.rpartition("_")[2]:
        value = value << 5 | _ALPHABET.index(character)
    moment = ((value >> 80) - _SHORT_EPOCH_MS) << 12 | (value >> 64 & 0xFFF)
    digits: list[str] = []
    for _ in range(SHORT_LENGTH):
        moment, digit = divmod(moment, 36)
        digits.append(_SHORT_ALPHABET[digit])
    return "".join(reversed(digits))


def range_of_short_id(text: str, prefix: str) -> IdRange | None:
    """Give the ids that a short id may stand for; nothing when it is none."""
    if len(text) != SHORT_LENGTH or any(character not in _SHORT_ALPHABET for character in text):
        return None
    unix_ms, fraction = divmod(int(text, 36), 4096)
    low = (unix_ms + _SHORT_EPOCH_MS) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    return IdRange(f"{prefix}_{base32(low, _LENGTH)}", f"{prefix}_{base32(low | _RANDOM_BITS, _LENGTH)}")


def has_shape(text: str, prefix: str) -> bool:
    """Tell whether `text` looks like an id with this prefix; says nothing about its existence."""
    head = f"{prefix}_"
    return (
        text.startswith(head)
        and len(text) == len(head) + _LENGTH
        and all(character in _ALPHABET for character in text[len(head) :])
    )


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_LENGTH = 22
_UUID_BITS = 128


def uuid_number(id_: str) -> int:
    """Give the UUID of an id as a number; the prefix is not part of it."""
    value = 0
    for character in id_.rpartition("_")[2]:
        value = value << 5 | _ALPHABET.index(character)
    return value


def id_of_uuid(prefix: str, uuid: int) -> str:
    """Write a UUID as an id of ours."""
    return f"{prefix}_{base32(uuid, _LENGTH)}"


def base58(uuid: int) -> str:
    """Write a UUID in 22 characters that sort as the number does."""
    digits: list[str] = []
    for _ in range(_BASE58_LENGTH):
        uuid, digit = divmod(uuid, len(_BASE58))
        digits.append(_BASE58[digit])
    return "".join(reversed(digits))


def parse_base58(text: str) -> int | None:
    """Read what `base58` wrote; nothing for any other text."""
    if len(text) != _BASE58_LENGTH or any(character not in _BASE58 for character in text):
        return None
    value = 0
    for character in text:
        value = value * len(_BASE58) + _BASE58.index(character)
    return value if value < 1 << _UUID_BITS else None


def uuid_of(identifier: str) -> str:
    """Write an id of ours as the UUID it is, in lower case with hyphens."""
    return str(UUID(int=_value_of(identifier)))


def id_of(prefix: str, uuid: str) -> str | None:
    """Read what `uuid_of` wrote; nothing for what is no UUID."""
    try:
        return f"{prefix}_{base32(UUID(uuid).int, _LENGTH)}"
    except ValueError:
        return None


def _value_of(identifier: str) -> int:
    value = 0
    for character in identifier[-_LENGTH:]:
        value = value << 5 | _VALUES[character]
    return value


_VARIANT_SHIFT = 62
_SPARE_BITS = 62
"""Random bits behind the variant; the 16 bits of version and sub-millisecond fraction lie above it."""


@frozen
class Numbering:
    """Numbers in place of ids, for protocols whose ids are integers or short texts.

    A number is an id's milliseconds, its sub-millisecond fraction (12 bits) and then the first
    `random_bits` of what is random: it grows with time as the id does, and the ids that have it lie
    together in one range. Two things share a number only if they were made in the same 0.25 µs and drew
    the same bits, which one process never lets happen (`services.ids.Ids`).

    Without random bits a number has 53 bits, which every JSON reader keeps exactly, until September
    2039; with 10 of them it has 63.
    """

    random_bits: int = 0

    def number_of(self, identifier: str) -> int:
        """Give the number of an id of ours."""
        uuid = _value_of(identifier)
        number = (uuid >> 80) << 12 | (uuid >> 64 & 0xFFF)
        spare = uuid & (1 << _SPARE_BITS) - 1
        return number << self.random_bits | spare >> (_SPARE_BITS - self.random_bits)

    def range_of(self, prefix: str, number: int) -> tuple[str, str] | None:
        """Give the lowest and the highest id that have a number; nothing if none can have it."""
        free_bits = _SPARE_BITS - self.random_bits
        stamp, random = number >> self.random_bits, number & (1 << self.random_bits) - 1
        if number < 0 or stamp >> 60:
            return None
        uuid = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
        uuid |= 0b10 << _VARIANT_SHIFT | random << free_bits
        last = uuid | (1 << free_bits) - 1
        return f"{prefix}_{base32(uuid, _LENGTH)}", f"{prefix}_{base32(last, _LENGTH)}"


_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
