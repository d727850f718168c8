"""Suite `fbx1`: XAES-256-GCM with the key's id in header and associated data.

    ciphertext = suite(1) ‖ key_id(8) ‖ nonce(24) ‖ body ‖ tag(16)

A 192-bit nonce is drawn at random for every message; it is never an argument of a public function, for
the suite does not survive a repeated one. Nothing here tries a second key.

Source: C2SP XAES-256-GCM (v1.0.0); NIST SP 800-108r1 §4.1 with CMAC; security design §3.1.
"""

from __future__ import annotations

from functools import lru_cache
from os import urandom
from typing import NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from farebox.domain.access import Tenant

SUITE = b"\x01"
KEY_LENGTH = 32
KEY_ID_LENGTH = 8
NONCE_LENGTH = 24
_HEADER_LENGTH = 1 + KEY_ID_LENGTH
_BODY_AT = _HEADER_LENGTH + NONCE_LENGTH

KeyId = NewType("KeyId", bytes)


class CannotOpen(Exception):
    """The ciphertext was made by another key, for another place, or was changed; nobody learns which."""


class SealingKey:
    """A 256-bit key, made ready to derive the keys of many messages."""

    __slots__ = ("_cmac",)

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes."""
        assert len(key) == KEY_LENGTH
        self._cmac = CMAC(AES(key))

    def _message_key(self, nonce: bytes) -> AESGCM:
        """Derive a message's key from the first half of its nonce. Source: C2SP XAES-256-GCM."""
        first, second = self._cmac.copy(), self._cmac.copy()
        first.update(b"\x00\x01X\x00" + nonce[:12])
        second.update(b"\x00\x02X\x00" + nonce[:12])
        return AESGCM(first.finalize() + second.finalize())

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt under a given nonce; `seal` is the only caller outside the vectors' tests."""
        return self._message_key(nonce).encrypt(nonce[12:], plaintext, aad)

    def decrypt(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        """Decrypt.

        Raises:
            InvalidTag: nothing more is known.
        """
        return self._message_key(nonce).decrypt(nonce[12:], ciphertext, aad)


def seal(key: SealingKey, key_id: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Seal under a fresh random nonce.

    Args:
        key: the key.
        key_id: 8 bytes that name it, here and in `aad`.
        plaintext: what to seal.
        aad: made by `associated_data`.
    """
    nonce = urandom(NONCE_LENGTH)
    return SUITE + key_id + nonce + key.encrypt(nonce, plaintext, aad)


def unseal(key: SealingKey, ciphertext: bytes, aad: bytes) -> bytes:
    """Open what `seal` made.

    Raises:
        CannotOpen: by this key, for this place, it does not open.
    """
    if ciphertext[:1] != SUITE:
        raise CannotOpen
    try:
        return key.decrypt(ciphertext[_HEADER_LENGTH:_BODY_AT], ciphertext[_BODY_AT:], aad)
    except (InvalidTag, ValueError):
        raise CannotOpen from None


def key_id_of(ciphertext: bytes) -> KeyId:
    """Read which key a ciphertext names; unauthenticated until it opens."""
    return KeyId(ciphertext[1:_HEADER_LENGTH])


def associated_data(
    tenant: Tenant | None, *, kind: str, record_id: str, purpose: str, key_id: bytes
) -> bytes:
    """Say where a ciphertext belongs; in any other place it does not open (SEC-08).

    Args:
        tenant: whose it is; none for what belongs to the server.
        kind: the kind of record: `single_use_token`, `stored_token`, `operation`, `key`.
        record_id: the row's id.
        purpose: which of the row's sealed parts.
        key_id: the key's id.
    """
    return record_data(tenant, kind, record_id) + purpose_data(purpose, key_id)


def record_data(tenant: Tenant | None, kind: str, record_id: str) -> bytes:
    """Write the part of the associated data that all sealed parts of a row share."""
    record = record_id.encode()
    return b"".join((_owner(tenant, kind), len(record).to_bytes(2, "big"), record))


@lru_cache(maxsize=4096)
def purpose_data(purpose: str, key_id: bytes) -> bytes:
    """Write the part of the associated data that is the same in every row."""
    return b"".join([len(part).to_bytes(2, "big") + part for part in (purpose.encode(), key_id)])


@lru_cache(maxsize=4096)
def _owner(tenant: Tenant | None, kind: str) -> bytes:
    """Write the part that is the same for every row of a kind and a tenant."""
    mode, merchant = (tenant.mode.value, tenant.merchant_id) if tenant else ("", "")
    parts = (b"farebox", SUITE, mode.encode(), merchant.encode(), kind.encode())
    return b"".join([len(part).to_bytes(2, "big") + part for part in parts])
