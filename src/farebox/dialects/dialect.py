"""The vocabulary in which a wire protocol is declared.

A dialect is data: routes, how callers authenticate, where an idempotency key stands, what a refusal
looks like, what its tokens live by. `engine.Engine` runs any of them; a route's reader and writer are
pure functions between wire structs and commands, and nothing else in Farebox knows the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from farebox.domain.access import Principal
from farebox.domain.errors import ErrorCode
from farebox.domain.frozen import frozen
from farebox.domain.ids import RequestId
from farebox.domain.tokens import TokenRules
from farebox.services.commands import Command

BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")
ResultT = TypeVar("ResultT")

Headers = Mapping[bytes, bytes]
"""By lower-case name; of a repeated header the last one."""


@frozen
class WireRequest:
    """A request as it came over the wire, its mount prefix removed and its body read whole."""

    method: str
    path: str
    """Percent-encoded as received, without the query."""
    query: bytes
    headers: Headers
    body: bytes
    base_url: str = ""
    """Scheme, authority and mount prefix under which the caller reached the dialect."""


@dataclass(slots=True)
class WireResponse:
    """What goes back; `route` is the template, the only form of the path that may be logged."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    route: str
    request_id: str


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint without a body; an empty object is accepted, because some clients always send one."""


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint without query parameters."""


@frozen
class Call(Generic[BodyT, QueryT]):
    """A decoded request as readers and writers see it."""

    body: BodyT
    query: QueryT
    path: Mapping[str, str]
    principal: Principal
    now: datetime
    """By the merchant's clock."""
    url: str
    """The absolute URL without its query, for links in lists."""


@frozen
class Route(Generic[BodyT, QueryT, ResultT]):
    """One endpoint: what it reads, which command that means, what it answers.

    The reader's command and the writer's result are tied by `ResultT`, so a wrong pair does not type-check.
    """

    method: str
    path: str
    """Template; `{name}` is one path segment."""
    body: type[BodyT]
    query: type[QueryT]
    read: Callable[[Call[BodyT, QueryT]], Command[ResultT]]
    write: Callable[[ResultT, Call[BodyT, QueryT]], msgspec.Struct | None]
    """None answers without a body."""
    summary: str
    status: int = 200
    is_idempotent: bool = False
    """Takes an idempotency key."""
    source: str = ""
    """Where the endpoint is documented."""


AnyRoute = Route[Any, Any, Any]


class Authentication(Protocol):
    """Where in a request the credential stands."""

    @property
    def description(self) -> Mapping[str, str]:
        """Give its OpenAPI security scheme."""
        ...

    @property
    def challenge(self) -> bytes:
        """Give the `WWW-Authenticate` of a 401 (RFC 9110 §11.6.1)."""
        ...

    def credential(self, request: WireRequest) -> str | None:
        """Give the string that `services.access.Access` digests, or nothing."""
        ...


@frozen
class BearerKey:
    """`Authorization: Bearer <key>` (RFC 6750 §2.1)."""

    description: Mapping[str, str] = field(
        default_factory=lambda: {"type": "http", "scheme": "bearer", "bearerFormat": "API key"}
    )
    challenge: bytes = b"Bearer"

    def credential(self, request: WireRequest) -> str | None:
        """Give what follows the scheme, whose case does not matter."""
        scheme, _, key = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        return key.strip().decode("latin-1") or None


class Idempotency(Protocol):
    """Where in a request the idempotency key stands."""

    def key(self, request: WireRequest) -> str | None:
        """Give the key, or nothing."""
        ...


@frozen
class InHeader:
    """The key is a header's value."""

    name: bytes
    """Lower case."""

    def key(self, request: WireRequest) -> str | None:
        """Give the header's value; an empty one is still a key, which the door refuses."""
        value = request.headers.get(self.name)
        return None if value is None else value.decode("latin-1")


@frozen
class WireError:
    """What one error code is in a dialect."""

    status: int
    title: str


@frozen
class Refusal:
    """An error on its way out, in domain words."""

    code: ErrorCode
    message: str
    param: str | None
    retry_after_s: int | None
    request_id: RequestId
    wire: WireError


@frozen
class Dialect:
    """A wire protocol."""

    name: str
    title: str
    routes: tuple[AnyRoute, ...]
    authentication: Authentication
    tokens: TokenRules
    errors: Mapping[ErrorCode, WireError]
    """Total over `ErrorCode`; a test proves it."""
    write_error: Callable[[Refusal], msgspec.Struct]
    idempotency: Idempotency | None = None
    error_media_type: bytes = b"application/json"
    request_id_header: bytes = b"request-id"
    """Lower case, as every header name in ASGI."""
