"""Runs any dialect: authenticate → decode → execute → encode.

Nothing here knows a protocol. An answer that an idempotency key stored is kept with its status, so a
repetition gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from farebox.dialects.codec import (
    canonical,
    check_text,
    decode,
    decode_all,
    decode_query,
    encode,
    parse_json,
    read_form,
    with_known_names,
    with_texts,
    without_nulls,
)
from farebox.dialects.dialect import (
    FORM,
    JSON,
    Answer,
    AnyRoute,
    Call,
    Cors,
    Dialect,
    EitherOf,
    NoBody,
    PageView,
    Refusal,
    WireError,
    WireRefusal,
    WireRequest,
    WireResponse,
)
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.access import NOBODY, CredentialUse, Principal
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
_NO_BODY: Any = NoBody()
_NOTHING: Mapping[str, str] = {}
_NO_MEMBERS: Any = {}
RenderPage = Callable[[PageView], tuple[Sequence[tuple[bytes, bytes]], bytes]]
"""Gives a page's headers, its content type among them, and its bytes."""
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


def _tree(routes: tuple[AnyRoute, ...], *, ignores_case: bool) -> _Node:
    root = _Node()
    for route in routes:
        node, names = root, list[str]()
        for segment in _segments(route.path, collapses=False):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.any_child = node.any_child or _Node()
                node = node.any_child
            else:
                literal = segment.lower() if ignores_case else segment
                node = node.children.setdefault(literal, _Node())
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
        render_page: RenderPage,
    ) -> None:
        """Take the declaration, the door, who is told of errors that are ours, and who draws pages."""
        self.dialect = dialect
        self._application = application
        self._access = access
        self._clock = clock
        self._ids = ids
        self._rate_limit = rate_limit
        self._on_error = on_error
        self._render_page = render_page
        self._tree = _tree(dialect.routes, ignores_case=dialect.ignores_path_case)
        self._known = {(route.method, route.path): route for route in dialect.routes if "{" not in route.path}

    async def handle(self, request: WireRequest) -> WireResponse:
        """Answer a request; whatever happens, in the dialect's own shape."""
        request_id = RequestId(self._ids.new("req"))
        dialect, template, route = self.dialect, UNMATCHED, None
        try:
            if dialect.cors is not None and _is_preflight(request):
                return self._allow(dialect.cors, request, request_id)
            route, path = self._match(request)
            template = route.path
            principal = await self._authenticate(route, path, request)
            written, is_replayed = await self._run(route, path, principal, request, request_id)
        except FareboxError as error:
            return self.refuse(error, request_id, template, route, request)
        except Exception as error:  # our defect: told to the operator, never to the caller
            self._on_error(request_id, error)
            failure = FareboxError(ErrorCode.INTERNAL_ERROR)
            return self.refuse(failure, request_id, template, route, request)
        headers = self._headers(request, request_id)
        headers += written.headers
        if is_replayed:
            headers.append((b"idempotent-replayed", b"true"))
        return WireResponse(written.status, headers, written.body, template, request_id)

    def refuse(
        self,
        error: FareboxError,
        request_id: RequestId,
        template: str = UNMATCHED,
        route: AnyRoute | None = None,
        request: WireRequest | None = None,
    ) -> WireResponse:
        """Write a refusal in the dialect's shape."""
        wire = self._wire_error(error, route)
        refusal = Refusal(
            error.code,
            error.message,
            error.param,
            error.retry_after_s,
            request_id,
            wire,
            error.problems,
            request,
            self._clock.now(),
            error.existing,
        )
        own = route.write_error if route is not None else None
        answer = (own or self.dialect.write_error)(refusal)
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        written = _write(answer, wire.status, self.dialect.error_media_type, self._render_page)
        headers = [*self._headers(request, request_id), *written.headers]
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        if isinstance(error, _MethodNotAllowed):
            headers.append((b"allow", error.allowed.encode()))
        if written.status == 401:
            authentication = route.authentication if route else None
            headers.append((b"www-authenticate", (authentication or self.dialect.authentication).challenge))
        return WireResponse(written.status, headers, written.body, template, request_id)

    def _wire_error(self, error: FareboxError, route: AnyRoute | None) -> WireError:
        if isinstance(error, WireRefusal):
            return error.wire
        at_route = route.errors.get(error.code) if route is not None else None
        return at_route or self.dialect.errors[error.code]

    def new_request_id(self) -> RequestId:
        """Name a request that is refused before it reaches `handle`."""
        return RequestId(self._ids.new("req"))

    def _headers(self, request: WireRequest | None, request_id: RequestId) -> list[tuple[bytes, bytes]]:
        """Give the headers that every answer has."""
        dialect = self.dialect
        headers = [*_COMMON_HEADERS, (dialect.request_id_header, request_id.encode())]
        if dialect.write_headers is not None:
            own = dialect.write_headers(request, request_id)
            replaced = {name for name, _ in own}
            headers = [header for header in headers if header[0] not in replaced]
            headers += own
        if dialect.cors is not None:
            headers.append((b"access-control-allow-origin", b"*"))
        return headers

    def _allow(self, cors: Cors, request: WireRequest, request_id: RequestId) -> WireResponse:
        """Answer a browser that asks whether it may (Fetch standard, CORS preflight)."""
        headers = [
            *self._headers(request, request_id),
            (b"access-control-allow-methods", cors.methods),
            (b"access-control-allow-headers", cors.headers),
            (b"access-control-max-age", b"600"),
        ]
        return WireResponse(204, headers, b"", UNMATCHED, request_id)

    def _match(self, request: WireRequest) -> tuple[AnyRoute, Mapping[str, str]]:
        """Find the route and the values of its path parameters.

        Raises:
            NotFound: `route_not_found`.
            InvalidRequest: `method_not_allowed`.
        """
        known = self._known.get((request.method, request.path))
        if known is not None:
            return known, _NOTHING
        node, values = self._tree, list[str]()
        dialect = self.dialect
        for segment in _segments(request.path, collapses=dialect.collapses_slashes):
            child = node.children.get(segment.lower() if dialect.ignores_path_case else segment)
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

    async def _authenticate(
        self, route: AnyRoute, path: Mapping[str, str], request: WireRequest
    ) -> Principal:
        authentication = route.authentication or self.dialect.authentication
        if isinstance(authentication, EitherOf):
            authentication = authentication.place(request, path)
        if authentication.use is CredentialUse.NOBODY:
            return NOBODY
        credential = authentication.credential(request, path)
        if credential is None:
            raise Unauthenticated(ErrorCode.API_KEY_MISSING)
        principal = await self._access.authenticate(
            credential, dialect=self.dialect.name, use=authentication.use
        )
        self._rate_limit.take(principal.key_id)
        return principal

    async def _run(
        self,
        route: AnyRoute,
        path: Mapping[str, str],
        principal: Principal,
        request: WireRequest,
        request_id: RequestId,
    ) -> tuple[_Written, bool]:
        """Give what is answered and whether this is an answer given before."""
        plain = self._parse(route, request)
        idempotency = self._idempotency(route, path, request, plain)
        context: Context[Any] = Context(
            principal=principal,
            dialect=self.dialect.name,
            rules=self.dialect.tokens,
            request_id=request_id,
            render=_pack_nothing,
            idempotency=idempotency,
        )
        try:
            return await self._execute(route, path, request, plain, context)
        except FareboxError as error:
            if (
                idempotency is None
                or self._wire_error(error, route).status not in self.dialect.bound_by_refusals
            ):
                raise
            response = self.refuse(error, request_id, route.path, route, request)
            refused = _Written(response.status, _stored_headers(response), response.body)
            answer = await self._application.refuse(context, _pack(refused))
            return _unpack(answer), answer != _pack(refused)

    async def _execute(
        self,
        route: AnyRoute,
        path: Mapping[str, str],
        request: WireRequest,
        plain: Any,
        context: Context[Any],
    ) -> tuple[_Written, bool]:
        principal = context.principal
        body = self._decoded(plain, route)
        call: Call[Any, Any] = Call(
            body=body,
            query=decode_query(request.query, route.query, self.dialect.reading),
            path=path,
            principal=principal,
            now=self._clock.now() + principal.clock_offset,
            url=request.base_url + request.path,
            base_url=request.base_url,
            headers=request.headers,
            raw_query=request.query,
        )
        command = route.read(call)

        def render(result: Any) -> _Written:
            answer = route.write(result, call)
            if not isinstance(answer, Answer):
                answer = Answer(answer)
            return _write(answer, route.status, JSON, self._render_page)

        def packed(result: Any) -> bytes:
            return _pack(render(result))

        context = replace(context, render=packed)
        done = await self._application.execute(command, context)
        if isinstance(done, Executed):
            if done.answer is None:
                return render(done.result), False
            return _unpack(done.answer), False
        return _unpack(done.answer), True

    def _parse(self, route: AnyRoute, request: WireRequest) -> Any:
        """Give the body as plain values; `_NO_MEMBERS` where there is none."""
        reading = self.dialect.reading
        if reading.checks_accept and not _accepts_json(request.headers.get(b"accept", b"")):
            raise InvalidRequest(ErrorCode.NOT_ACCEPTABLE)
        body = b"" if request.method in reading.bodiless_methods else request.body
        if not body or body.strip() in reading.empty_bodies:
            return _NO_MEMBERS
        media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if not _reads(media_type, reading.media_types | route.media_types):
            raise InvalidRequest(ErrorCode.MEDIA_TYPE_UNSUPPORTED)
        plain = read_form(body) if media_type == FORM else parse_json(body)
        if reading.nulls_are_absent:
            plain = without_nulls(plain)
        if reading.ignores_case:
            plain = with_known_names(plain, route.body)
        if reading.coerces:
            plain = with_texts(plain, route.body)
        return plain

    def _decoded(self, plain: Any, route: AnyRoute) -> Any:
        """Give the body as the route's struct."""
        if plain is _NO_MEMBERS and route.body is NoBody:
            return _NO_BODY
        reading = self.dialect.reading
        is_strict = not reading.coerces and FORM not in route.media_types
        if reading.names_every_problem:
            return decode_all(plain, route.body, strict=is_strict)
        return decode(plain, route.body, strict=is_strict)

    def _idempotency(
        self, route: AnyRoute, path: Mapping[str, str], request: WireRequest, plain: Any
    ) -> IdempotencyRequest | None:
        idempotency = self.dialect.idempotency
        if idempotency is None or not route.is_idempotent:
            return None
        key = idempotency.key(request, plain)
        if key is None:
            return None
        kind = idempotency.kind(self.dialect.name, route)
        repeated = canonical(idempotency.repeated(route, path, plain))
        return IdempotencyRequest(key, kind, repeated, comes_first=self.dialect.repetitions_come_first)


def _segments(path: str, *, collapses: bool) -> list[str]:
    segments = path.strip("/").split("/")
    return [segment for segment in segments if segment] or [""] if collapses else segments


def _unquote(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise NotFound(ErrorCode.ROUTE_NOT_FOUND) from None
    check_text(text)
    return text


def _is_preflight(request: WireRequest) -> bool:
    return request.method == "OPTIONS" and b"access-control-request-method" in request.headers


def _reads(media_type: bytes, known: frozenset[bytes]) -> bool:
    if media_type in known:
        return True
    is_json = media_type.startswith(b"application/") and media_type.endswith(b"+json")
    return is_json and JSON in known


def _accepts_json(accept: bytes) -> bool:
    """Tell whether an `Accept` header admits JSON; quality zero is looked at by nobody."""
    ranges = [one.partition(b";")[0].strip().lower() for one in accept.split(b",")]
    return not accept.strip() or any(
        one in {b"*/*", b"application/*", JSON} or one.endswith(b"+json") for one in ranges
    )


class _Written(NamedTuple):
    """An answer as bytes, and as it is stored for repetitions."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def _write(answer: Answer, status: int, media_type: bytes, render_page: RenderPage) -> _Written:
    status = status if answer.status is None else answer.status
    if answer.page is not None:
        headers, body = render_page(answer.page)
        return _Written(status, [*headers, *answer.headers], body)
    if answer.body is None:
        return _Written(status, list(answer.headers), b"")
    body = answer.body if isinstance(answer.body, bytes) else encode(answer.body)
    return _Written(status, [(b"content-type", answer.media_type or media_type), *answer.headers], body)


def _pack_nothing(result: Any) -> bytes:
    raise AssertionError("the writer is known before anything is rendered")


def _stored_headers(response: WireResponse) -> list[tuple[bytes, bytes]]:
    """Give the headers that belong to a stored refusal; the others are made anew with every answer."""
    return [header for header in response.headers if header[0] == b"content-type"]


def _pack(written: _Written) -> bytes:
    return msgspec.msgpack.encode(written)


_unpack = msgspec.msgpack.Decoder(_Written).decode
