"""The vocabulary in which a wire protocol is declared.

A dialect is data: routes, how callers authenticate, where an idempotency key stands, what a refusal
looks like, what its tokens live by. `engine.Engine` runs any of them; a route's reader and writer are
pure functions between wire structs and commands, and nothing else in Farebox knows the protocol.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import parse_qs, quote

import msgspec

from farebox.domain.access import CredentialUse, Principal
from farebox.domain.errors import ErrorCode, InvalidRequest, Problem
from farebox.domain.frozen import frozen
from farebox.domain.ids import RequestId
from farebox.domain.tokens import TokenRules
from farebox.services.callbacks import Callbacks
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


@frozen
class PageView:
    """A page of ours for a person: the name of a template, and the values it shows."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])


@frozen
class Answer:
    """What a writer answers where a body under the route's status does not say it all.

    Without `status` it is the route's. `page` is rendered in place of a body.
    """

    body: Any = None
    """A `msgspec.Struct`, or a plain value where the protocol answers a list or a text."""
    status: int | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Beside those of every answer; names in lower case."""
    page: PageView | None = None
    media_type: bytes | None = None


def redirect(location: str, status: int = 302) -> Answer:
    """Send a browser elsewhere."""
    return Answer(status=status, headers=((b"location", location.encode("ascii", "replace")),))


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
    base_url: str = ""
    """Scheme, authority and mount prefix, for links to other things."""
    headers: Headers = field(default_factory=dict[bytes, bytes])
    raw_query: bytes = b""
    """As it came, for links that repeat it."""


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
    write: Callable[[ResultT, Call[BodyT, QueryT]], msgspec.Struct | Answer | None]
    """None answers without a body."""
    summary: str
    status: int = 200
    is_idempotent: bool = False
    """Takes an idempotency key."""
    source: str = ""
    """Where the endpoint is documented."""
    authentication: Authentication | None = None
    """Where this endpoint's credential stands, when not where the dialect's does."""
    errors: Mapping[ErrorCode, WireError] = field(default_factory=dict[ErrorCode, "WireError"], hash=False)
    """What a code is at this endpoint, where it differs from the dialect's table."""
    media_types: frozenset[bytes] = frozenset()
    """What this endpoint reads beside the dialect's; `FORM` becomes an object of texts."""
    write_error: Callable[[Refusal], Answer] | None = None
    """How this endpoint refuses, when not as the dialect does: a page refuses in words for a person."""
    is_page: bool = False
    """For people, and so no part of the API's description."""


AnyRoute = Route[Any, Any, Any]


class Authentication(Protocol):
    """Where in a request the credential stands, and how it is to be taken."""

    @property
    def description(self) -> Mapping[str, str]:
        """Give its OpenAPI security scheme."""
        ...

    @property
    def challenge(self) -> bytes:
        """Give the `WWW-Authenticate` of a 401 (RFC 9110 §11.6.1)."""
        ...

    @property
    def use(self) -> CredentialUse:
        """Say how the credential is presented."""
        ...

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the string that `services.access.Access` digests, or nothing."""
        ...


@frozen
class BearerKey:
    """`Authorization: Bearer <key or token>` (RFC 6750 §2.1)."""

    description: Mapping[str, str] = field(
        default_factory=lambda: {"type": "http", "scheme": "bearer", "bearerFormat": "API key"}
    )
    challenge: bytes = b"Bearer"
    use: CredentialUse = CredentialUse.KEY

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give what follows the scheme, whose case does not matter."""
        scheme, _, key = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        return key.strip().decode("latin-1") or None


BEARER_TOKEN = BearerKey(use=CredentialUse.ACCESS_TOKEN)
"""A bearer string that was given for a key."""


@frozen
class BasicPair:
    """`Authorization: Basic base64(id:secret)`, taken as `id:secret` (RFC 7617)."""

    realm: str
    description: Mapping[str, str] = field(default_factory=lambda: {"type": "http", "scheme": "basic"})
    use: CredentialUse = CredentialUse.KEY

    @property
    def challenge(self) -> bytes:
        """Name the realm."""
        return f'Basic realm="{self.realm}"'.encode()

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the pair; what is no base64 is a credential that nobody has."""
        scheme, _, encoded = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            return b64decode(encoded.strip(), validate=True).decode("utf-8")
        except ValueError:
            return encoded.decode("latin-1") or None


@frozen
class KeyInHeader:
    """The credential is a header's whole value."""

    name: bytes
    """Lower case."""
    challenge: bytes = b"ApiKey"
    use: CredentialUse = CredentialUse.KEY

    @property
    def description(self) -> Mapping[str, str]:
        """Name the header."""
        return {"type": "apiKey", "in": "header", "name": self.name.decode()}

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the header's value."""
        return request.headers.get(self.name, b"").decode("latin-1").strip() or None


@frozen
class EitherOf:
    """Several places where a credential may stand: the first one that holds one counts."""

    places: tuple[Authentication, ...]

    @property
    def description(self) -> Mapping[str, str]:
        """Describe the usual place."""
        return self.places[0].description

    @property
    def challenge(self) -> bytes:
        """Ask for the usual one."""
        return self.places[0].challenge

    @property
    def use(self) -> CredentialUse:
        """Say how the usual one is presented."""
        return self.places[0].use

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give what stands in the first place that holds something."""
        return self.place(request, path).credential(request, path)

    def place(self, request: WireRequest, path: Mapping[str, str]) -> Authentication:
        """Give the place that holds a credential, or the usual one."""
        held = (place for place in self.places if place.credential(request, path) is not None)
        return next(held, self.places[0])


@frozen
class VisitorInPath:
    """The address of a page is its visitor's credential: a segment of the path names the session."""

    parameter: str
    description: Mapping[str, str] = field(default_factory=lambda: {"type": "apiKey", "in": "path"})
    challenge: bytes = b"Bearer"
    use: CredentialUse = CredentialUse.VISITOR

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the path's parameter."""
        return path.get(self.parameter)


@frozen
class VisitorInQuery:
    """The address of a page is its visitor's credential: a query parameter names the session."""

    parameter: str
    challenge: bytes = b"Bearer"
    use: CredentialUse = CredentialUse.VISITOR

    @property
    def description(self) -> Mapping[str, str]:
        """Name the parameter."""
        return {"type": "apiKey", "in": "query", "name": self.parameter}

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the parameter's first value."""
        found = parse_qs(request.query.decode("latin-1")).get(self.parameter)
        return found[0] if found else None


@frozen
class Anyone:
    """No credential is asked for; the caller is `domain.access.NOBODY`."""

    description: Mapping[str, str] = field(default_factory=dict[str, str])
    challenge: bytes = b""
    use: CredentialUse = CredentialUse.NOBODY

    def credential(self, request: WireRequest, path: Mapping[str, str]) -> str | None:
        """Give the empty credential of nobody."""
        return ""


ANYONE = Anyone()


class Idempotency(Protocol):
    """Where in a request the idempotency key stands, and what else must be the same in a repetition."""

    def key(self, request: WireRequest, body: Any) -> str | None:
        """Give the key, or nothing.

        Raises:
            InvalidRequest: `idempotency_key_missing` or `idempotency_key_invalid`, by the protocol.
        """
        ...

    def kind(self, dialect: str, route: AnyRoute) -> str:
        """Name the kind of request within which a key is unique."""
        ...

    def repeated(self, route: AnyRoute, path: Mapping[str, str], body: Any) -> Any:
        """Give, as plain values, what must be the same in a repetition."""
        ...


@frozen
class InHeader:
    """The key is a header's value, unique within its endpoint; path and body must be the same."""

    name: bytes
    """Lower case."""

    def key(self, request: WireRequest, body: Any) -> str | None:
        """Give the header's value; an empty one is still a key, which the door refuses."""
        value = request.headers.get(self.name)
        return None if value is None else value.decode("latin-1")

    def kind(self, dialect: str, route: AnyRoute) -> str:
        """Name the endpoint."""
        return f"{dialect} {route.method} {route.path}"

    def repeated(self, route: AnyRoute, path: Mapping[str, str], body: Any) -> Any:
        """Give endpoint, path and body."""
        return [f"{route.method} {route.path}", dict(path), body]


@frozen
class InBody:
    """The key is a member of the body, unique among all requests of one kind; the rest may differ."""

    name: str
    """As the route's struct names it."""
    kind_name: str

    def key(self, request: WireRequest, body: Any) -> str | None:
        """Give the member as printable ASCII; an empty one is none."""
        value: object = None
        if isinstance(body, Mapping):
            value = cast("Mapping[str, object]", body).get(self.name)
        return self.key_of(value)

    def key_of(self, value: object) -> str | None:
        """Give the key that a value of the member stands for, for those who look a payment up by it."""
        if not isinstance(value, str | int | float) or value == "":
            return None
        return quote(str(value), safe=" ")[:255]

    def kind(self, dialect: str, route: AnyRoute) -> str:
        """Name the kind, the same for every route."""
        return self.kind_name

    def repeated(self, route: AnyRoute, path: Mapping[str, str], body: Any) -> Any:
        """Demand nothing but the key."""
        return None


FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"


@frozen
class Reading:
    """How strictly a dialect reads; the defaults are the strict ones."""

    media_types: frozenset[bytes] = frozenset({JSON})
    coerces: bool = False
    """Numbers and truth values may come as texts, and texts as numbers."""
    ignores_case: bool = False
    """Of field names in bodies and queries."""
    nulls_are_absent: bool = False
    empty_bodies: frozenset[bytes] = frozenset()
    """What is read as no body at all, beside no bytes."""
    bodiless_methods: frozenset[str] = frozenset()
    """Methods whose body is not looked at."""
    names_every_problem: bool = False
    """Look for everything that is wrong with a body instead of stopping at the first thing."""
    ignores_unknown_parameters: bool = False
    """Of the query; whether a body may hold unknown fields is for each struct to say."""
    repeats_parameters: bool = False
    """A query parameter given several times is a list."""
    checks_accept: bool = False
    """Refuse with `not_acceptable` what does not accept JSON."""


STRICT = Reading()


@frozen
class Cors:
    """What browsers of other origins may ask (Fetch standard): every origin, without cookies."""

    methods: bytes
    headers: bytes


@frozen
class WireError:
    """What one error code is in a dialect."""

    status: int
    title: str
    code: str = ""
    """The dialect's own code, where it has codes."""


class WireRefusal(InvalidRequest):
    """A refusal that only one dialect knows, raised by its readers and writers."""

    def __init__(
        self, wire: WireError, *, param: str | None = None, problems: Sequence[Problem] = ()
    ) -> None:
        """Take what it is on the wire; its message is the wire error's title."""
        super().__init__(ErrorCode.PARAMETER_INVALID, param=param, detail=wire.title, problems=problems)
        self.wire = wire


@frozen
class Refusal:
    """An error on its way out, in domain words."""

    code: ErrorCode
    message: str
    param: str | None
    retry_after_s: int | None
    request_id: RequestId
    wire: WireError
    problems: tuple[Problem, ...] = ()
    request: WireRequest | None = None
    """Nothing when it was refused before it was read."""
    now: datetime | None = None
    existing: tuple[str, ...] = ()
    """Ids of the caller's own things that stand in the way."""


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
    write_error: Callable[[Refusal], msgspec.Struct | Answer]
    reading: Reading = STRICT
    ignores_path_case: bool = False
    collapses_slashes: bool = False
    cors: Cors | None = None
    write_headers: Callable[[WireRequest | None, RequestId], Sequence[tuple[bytes, bytes]]] | None = None
    """Headers of every answer, beside the request id."""
    idempotency: Idempotency | None = None
    repetitions_come_first: bool = False
    """Answer a known idempotency key before a reader's chain looks at anything."""
    bound_by_refusals: frozenset[int] = frozenset()
    """Statuses of refusals that bind an idempotency key to the request that was refused."""
    callbacks: Mapping[str, Callbacks] = field(default_factory=dict[str, Callbacks])
    """What it tells merchants' servers, by kind of endpoint."""
    error_media_type: bytes = b"application/json"
    request_id_header: bytes = b"request-id"
    """Lower case, as every header name in ASGI."""

    @property
    def api(self) -> tuple[AnyRoute, ...]:
        """Give the routes that programs ask, without the pages for people."""
        return tuple(route for route in self.routes if not route.is_page)
