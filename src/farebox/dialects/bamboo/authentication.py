"""Where a Bamboo key stands: raw behind `Basic`, or in the query string.

Keys in query strings are secrets. Nothing here, in the engine or in the log keeps a query string.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import parse_qsl

from farebox.dialects.dialect import VisitorInPath, WireRequest
from farebox.domain.access import CredentialUse
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.frozen import frozen


@frozen
class RawKeyInBasic:
    """`Authorization: Basic <key>`, the key as it is; its base64, with or without a colon, is taken too.

    Keys end in `__`, which is no base64, so the three forms cannot be confused.
    """

    description: Mapping[str, str] = field(default_factory=lambda: {"type": "http", "scheme": "basic"})
    challenge: bytes = b'Basic realm="bamboo"'
    use: CredentialUse = CredentialUse.KEY

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the key."""
        scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return None
        given = given.strip()
        try:
            return b64decode(given, validate=True).decode("ascii").removesuffix(":") or None
        except ValueError:
            return given.decode("latin-1") or None


@frozen
class KeyInQuery:
    """The key is a query parameter, whose name's case does not matter."""

    name: str
    """Lower case."""
    challenge: bytes = b'Basic realm="bamboo"'
    use: CredentialUse = CredentialUse.KEY

    @property
    def description(self) -> Mapping[str, str]:
        """Name the parameter."""
        return {"type": "apiKey", "in": "query", "name": self.name}

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the parameter's value."""
        for name, value in parse_qsl(request.query.decode("latin-1")):
            if name.lower() == self.name:
                return value or None
        return None


@frozen
class ActionInPath(VisitorInPath):
    """The address `/CA_{guid}` of a page for a payer; every other word at the root is no address."""

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the session.

        Raises:
            NotFound: `route_not_found` for a path that names none.
        """
        session = path.get(self.parameter, "")
        if not session.startswith("CA_"):
            raise NotFound(ErrorCode.ROUTE_NOT_FOUND)
        return session
