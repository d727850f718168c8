"""Suite fbx1 against the published vectors, and what its ciphertexts refuse."""

from __future__ import annotations

from hashlib import shake_128

import pytest

from farebox.adapters.crypto.suite import CannotOpen, SealingKey, associated_data, seal, unseal
from farebox.domain.access import Mode, Tenant
from farebox.domain.ids import MerchantId

TENANT = Tenant(MerchantId("mer_1"), Mode.TEST)
NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"


@pytest.mark.parametrize(
    ("key", "aad", "ciphertext"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_the_published_vectors(key: bytes, aad: bytes, ciphertext: str) -> None:
    """XAES-256-GCM (C2SP, v1.0.0), both cases: the CMAC subkey's high bit is 0 in one and 1 in the other."""
    sealing = SealingKey(key)
    assert sealing.encrypt(NONCE, b"XAES-256-GCM", aad).hex() == ciphertext
    assert sealing.decrypt(NONCE, bytes.fromhex(ciphertext), aad) == b"XAES-256-GCM"


class _Stream:
    """An endless stream of SHAKE128 output."""

    def __init__(self, length: int) -> None:
        self._bytes = shake_128(b"").digest(length)
        self._at = 0

    def read(self, count: int) -> bytes:
        self._at += count
        assert self._at <= len(self._bytes)
        return self._bytes[self._at - count : self._at]


def test_the_accumulated_vector() -> None:
    """Ten thousand random keys, nonces, plaintexts and associated data, digested (C2SP, v1.0.0)."""
    rounds = 10_000
    stream, digest = _Stream(rounds * (32 + 24 + 2 + 2 * 255)), shake_128()
    for _ in range(rounds):
        key, nonce = stream.read(32), stream.read(24)
        plaintext = stream.read(stream.read(1)[0])
        aad = stream.read(stream.read(1)[0])
        sealing = SealingKey(key)
        ciphertext = sealing.encrypt(nonce, plaintext, aad)
        assert sealing.decrypt(nonce, ciphertext, aad) == plaintext
        digest.update(ciphertext)
    assert digest.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


def test_a_nonce_is_drawn_anew_for_every_message() -> None:
    """The suite does not survive a repeated nonce."""
    key = SealingKey(bytes(32))
    assert len({seal(key, bytes(8), b"x", b"")[9:33] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_a_changed_byte_does_not_open(at: int) -> None:
    """SEC-08: header, nonce, body and tag are all authenticated; the key id by the associated data."""
    key, key_id = SealingKey(bytes(32)), b"key-id-8"
    place = associated_data(TENANT, kind="k", record_id="r", purpose="p", key_id=key_id)
    sealed = bytearray(seal(key, key_id, b"0123456789abcdef", place))
    sealed[at % len(sealed)] ^= 1
    changed_id = bytes(sealed[1:9])
    place = associated_data(TENANT, kind="k", record_id="r", purpose="p", key_id=changed_id)
    with pytest.raises(CannotOpen):
        unseal(key, bytes(sealed), place)


def test_parts_of_a_place_cannot_run_into_each_other() -> None:
    """The associated data is length-prefixed."""
    one = associated_data(TENANT, kind="ab", record_id="c", purpose="p", key_id=bytes(8))
    other = associated_data(TENANT, kind="a", record_id="bc", purpose="p", key_id=bytes(8))
    assert one != other
