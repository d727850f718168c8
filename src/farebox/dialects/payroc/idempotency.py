"""Payroc's idempotency keys: one UUID v4 for one request, wherever it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farebox.dialects.dialect import AnyRoute, WireRequest
from farebox.domain.errors import ErrorCode, InvalidRequest

_UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HEADER = b"idempotency-key"


@dataclass(frozen=True, slots=True)
class UuidInHeader:
    """A key is unique among all of a merchant's requests, so another address is another request too."""

    def key(self, request: WireRequest, body: Any) -> str | None:
        """Give the key in lower case.

        Raises:
            InvalidRequest: `idempotency_key_missing`, or `idempotency_key_invalid` for what is no UUID v4.
        """
        key = request.headers.get(_HEADER, b"").decode("latin-1").strip().lower()
        if not key:
            raise InvalidRequest(ErrorCode.IDEMPOTENCY_KEY_MISSING, param="Idempotency-Key")
        if not _UUID_4.fullmatch(key):
            raise InvalidRequest(ErrorCode.IDEMPOTENCY_KEY_INVALID, param="Idempotency-Key")
        return key

    def kind(self, dialect: str, route: AnyRoute) -> str:
        """Name what all keys are unique among."""
        return dialect

    def repeated(self, route: AnyRoute, path: Mapping[str, str], body: Any) -> Any:
        """Give address and body."""
        return [f"{route.method} {route.path}", dict(path), body]
