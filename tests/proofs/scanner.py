"""Finds a secret of digits in anything, in the encodings in which programs spill such things."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path


def encodings(digits: str) -> dict[str, list[bytes]]:
    """Give, by name, the byte strings that a number of digits turns into."""
    raw = digits.encode()
    groups = [digits[at : at + 4] for at in range(0, len(digits), 4)]
    value = int(digits)
    even = digits if len(digits) % 2 == 0 else digits + "f"
    return {
        "plain": [raw],
        "spaced": [" ".join(groups).encode()],
        "dashed": ["-".join(groups).encode()],
        "reversed": [raw[::-1]],
        "utf-16": [digits.encode("utf-16-le"), digits.encode("utf-16-be")],
        "base64": [_base64_core(raw, shift, base64.b64encode) for shift in range(3)],
        "base64url": [_base64_core(raw, shift, base64.urlsafe_b64encode) for shift in range(3)],
        "hex": [raw.hex().encode(), raw.hex().upper().encode()],
        "percent": ["".join(f"%{byte:02X}" for byte in raw).encode()],
        "json escapes": ["".join(f"\\u{byte:04x}" for byte in raw).encode()],
        "character references": ["".join(f"&#{byte};" for byte in raw).encode()],
        "packed decimal": [bytes.fromhex(even)],
        "integer": [value.to_bytes(8, "big"), value.to_bytes(8, "little")],
        "spread": [b"\0".join(raw[at : at + 1] for at in range(len(raw)))],
    }


def _base64_core(raw: bytes, shift: int, encode) -> bytes:
    """Give the part of the encoding, at one of three alignments, that what stands around cannot change."""
    text = encode(b"\0" * shift + raw)
    first = (0, 2, 3)[shift]
    return text[first : (len(raw) + shift) * 8 // 6]


def scan(content: bytes, secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Give which secrets were found, and in which encoding."""
    return [
        (secret, name)
        for secret in secrets
        for name, forms in encodings(secret).items()
        if any(form in content for form in forms)
    ]


def files_below(*places: Path) -> list[Path]:
    return [
        path
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*"))
        if path.is_file()
    ]
