"""Runs any dialect: authenticate → decode → execute → encode.

Nothing here knows a protocol. An answer that an idempotency key stored is kept with its status, so a
repetition gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from farebox.dialects.codec import (
    canonical,
    check_text,
    decode,
    decode_query,
    encode,
    parse_json,
)
from farebox.dialects.dialect import (
    AnyRoute,
    Call,
    Dialect,
    NoBody,
    Refusal,
    WireRequest,
    WireResponse,
)
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.access import Principal
from farebox.domain.errors import (
    ErrorCode,
    FareboxError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from farebox.domain.ids import RequestId
from farebox.ports.system import Clock
from farebox.services.access import Access
from farebox.services.application import Application
from farebox.services.commands import Context, Executed, IdempotencyRequest
from farebox.services.ids import Ids

UNMATCHED = "(unmatched)"
_JSON = b"application/json"
_NO_BODY: Any = NoBody()
_COMMON_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class _MethodNotAllowed(InvalidRequest):
    """The path exists for other methods."""

    def __init__(self, allowed: str) -> None:
        super().__init__(ErrorCode.METHOD_NOT_ALLOWED)
        self.allowed = allowed


@dataclass(slots=True)
class _Node:
    """A segment of the route tree."""

    children: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    any_child: _Node | None = None
    routes: dict[str, tuple[AnyRoute, tuple[str, ...]]] = field(
        default_factory=dict[str, tuple[AnyRoute, tuple[str, ...]]]
    )


def _tree(routes: tuple[AnyRoute, ...]) -> _Node:
    root = _Node()
    for route in routes:
        node, names = root, list[str]()
        for segment in route.path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.any_child = node.any_child or _Node()
                node = node.any_child
            else:
                node = node.children.setdefault(segment, _Node())
        assert route.method not in node.routes, "two routes share a method and a path"
        node.routes[route.method] = (route, tuple(names))
    return root


class Engine:
    """Answers requests of one dialect."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        application: Application,
        access: Access,
        clock: Clock,
        ids: Ids,
        rate_limit: RateLimit,
        on_error: Callable[[str, Exception], None],
    ) -> None:
        """Take the declaration, the door, and who is told of errors that are ours (with the request id)."""
        self.dialect = dialect
        self._application = application
        self._access = access
        self._clock = clock
        self._ids = ids
        self._rate_limit = rate_limit
        self._on_error = on_error
        self._tree = _tree(dialect.routes)

    async def handle(self, request: WireRequest) -> WireResponse:
        """Answer a request; whatever happens, in the dialect's own shape."""
        request_id = RequestId(self._ids.new("req"))
        template = UNMATCHED
        try:
            route, path = self._match(request)
            template = route.path
            principal = await self._authenticate(request)
            status, body, is_replayed = await self._run(route, path, principal, request, request_id)
        except FareboxError as error:
            return self.refuse(error, request_id, template)
        except Exception as error:  # our defect: told to the operator, never to the caller
            self._on_error(request_id, error)
            return self.refuse(FareboxError(ErrorCode.INTERNAL_ERROR), request_id, template)
        headers = [*_COMMON_HEADERS, (self.dialect.request_id_header, request_id.encode())]
        if body:
            headers.append((b"content-type", _JSON))
        if is_replayed:
            headers.append((b"idempotent-replayed", b"true"))
        return WireResponse(status, headers, body, template, request_id)

    def refuse(self, error: FareboxError, request_id: RequestId, route: str = UNMATCHED) -> WireResponse:
        """Write a refusal in the dialect's shape."""
        wire = self.dialect.errors[error.code]
        refusal = Refusal(error.code, error.message, error.param, error.retry_after_s, request_id, wire)
        headers = [
            *_COMMON_HEADERS,
            (self.dialect.request_id_header, request_id.encode()),
            (b"content-type", self.dialect.error_media_type),
        ]
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        if isinstance(error, _MethodNotAllowed):
            headers.append((b"allow", error.allowed.encode()))
        if wire.status == 401:
            headers.append((b"www-authenticate", self.dialect.authentication.challenge))
        return WireResponse(
            wire.status, headers, encode(self.dialect.write_error(refusal)), route, request_id
        )

    def new_request_id(self) -> RequestId:
        """Name a request that is refused before it reaches `handle`."""
        return RequestId(self._ids.new("req"))

    def _match(self, request: WireRequest) -> tuple[AnyRoute, Mapping[str, str]]:
        """Find the route and the values of its path parameters.

        Raises:
            NotFound: `route_not_found`.
            InvalidRequest: `method_not_allowed`.
        """
        node, values = self._tree, list[str]()
        for segment in request.path.strip("/").split("/"):
            child = node.children.get(segment)
            if child is None:
                child = node.any_child
                values.append(segment)
            if child is None or not segment:
                raise NotFound(ErrorCode.ROUTE_NOT_FOUND)
            node = child
        found = node.routes.get(request.method)
        if found is None:
            if node.routes:
                raise _MethodNotAllowed(", ".join(sorted(node.routes)))
            raise NotFound(ErrorCode.ROUTE_NOT_FOUND)
        route, names = found
        return route, {name: _unquote(value) for name, value in zip(names, values, strict=True)}

    async def _authenticate(self, request: WireRequest) -> Principal:
        credential = self.dialect.authentication.credential(request)
        if credential is None:
            raise Unauthenticated(ErrorCode.API_KEY_MISSING)
        principal = await self._access.authenticate(credential, dialect=self.dialect.name)
        self._rate_limit.take(principal.key_id)
        return principal

    async def _run(
        self,
        route: AnyRoute,
        path: Mapping[str, str],
        principal: Principal,
        request: WireRequest,
        request_id: RequestId,
    ) -> tuple[int, bytes, bool]:
        """Give status, body and whether this is an answer given before."""
        plain, body = self._decode(route, request)
        call: Call[Any, Any] = Call(
            body=body,
            query=decode_query(request.query, route.query),
            path=path,
            principal=principal,
            now=self._clock.now() + principal.clock_offset,
            url=request.base_url + request.path,
        )
        command = route.read(call)

        def render(result: Any) -> bytes:
            answer = route.write(result, call)
            return b"" if answer is None else encode(answer)

        context: Context[Any] = Context(
            principal=principal,
            dialect=self.dialect.name,
            rules=self.dialect.tokens,
            request_id=request_id,
            render=lambda result: _pack(route.status, render(result)),
            idempotency=self._idempotency(route, path, request, plain),
        )
        done = await self._application.execute(command, context)
        if isinstance(done, Executed):
            if done.answer is None:
                return route.status, render(done.result), False
            return (*_unpack(done.answer), False)
        return (*_unpack(done.answer), True)

    def _decode(self, route: AnyRoute, request: WireRequest) -> tuple[Any, Any]:
        """Give the body as plain values, for the fingerprint, and as the route's struct."""
        if not request.body:
            return {}, _NO_BODY if route.body is NoBody else decode({}, route.body)
        if not _is_json(request.headers.get(b"content-type", b"")):
            raise InvalidRequest(ErrorCode.MEDIA_TYPE_UNSUPPORTED)
        plain = parse_json(request.body)
        return plain, decode(plain, route.body)

    def _idempotency(
        self, route: AnyRoute, path: Mapping[str, str], request: WireRequest, plain: Any
    ) -> IdempotencyRequest | None:
        if self.dialect.idempotency is None or not route.is_idempotent:
            return None
        key = self.dialect.idempotency.key(request)
        if key is None:
            return None
        kind = f"{self.dialect.name} {route.method} {route.path}"
        return IdempotencyRequest(key, kind, canonical([kind, dict(path), plain]))


def _unquote(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise NotFound(ErrorCode.ROUTE_NOT_FOUND) from None
    check_text(text)
    return text


def _is_json(content_type: bytes) -> bool:
    if content_type == _JSON:
        return True
    media_type = content_type.partition(b";")[0].strip().lower()
    return media_type == _JSON or (media_type.startswith(b"application/") and media_type.endswith(b"+json"))


def _pack(status: int, body: bytes) -> bytes:
    return b"%d\n" % status + body


def _unpack(answer: bytes) -> tuple[int, bytes]:
    status, _, body = answer.partition(b"\n")
    return int(status), body
