"""The engine, on a dialect of three routes: match, authenticate, decode, execute, write, refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from farebox.adapters.storage.connection import to_us
from farebox.dialects.dialect import (
    BearerKey,
    Call,
    Dialect,
    InHeader,
    NoBody,
    NoQuery,
    PageView,
    Refusal,
    Route,
    WireError,
    WireRequest,
    WireResponse,
)
from farebox.dialects.engine import UNMATCHED, Engine
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, CredentialUse, Mode, Principal, Tenant
from farebox.domain.errors import ErrorCode, FareboxError, LimitExceeded, Unauthenticated, Unavailable
from farebox.domain.ids import ApiKeyId, MerchantId
from farebox.domain.tokens import TokenRules
from farebox.services.commands import Context, Executed, Replayed
from farebox.services.ids import Ids

PLANTED = "4242424242424242"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Order(msgspec.Struct, forbid_unknown_fields=True):
    size: int
    note: str = ""


class Made(msgspec.Struct):
    said: str


class Problem(msgspec.Struct):
    code: str
    message: str
    param: str | None


def say(call: Call[Any, Any]) -> Any:
    """The command of these tests: everything that a reader gets to see."""
    return {"path": dict(call.path), "body": call.body, "url": call.url, "now": call.now}


def write(result: Any, call: Call[Any, Any]) -> Made:
    return Made(str(result))


def nothing(result: Any, call: Call[Any, Any]) -> None:
    return None


def write_error(refusal: Refusal) -> Problem:
    return Problem(refusal.code.value, refusal.message, refusal.param)


def draw(page: PageView) -> tuple[list[tuple[bytes, bytes]], bytes]:
    return [(b"content-type", b"text/html")], f"{page.template}: {page.values}".encode()


STATUS = {
    ErrorCode.API_KEY_MISSING: 401,
    ErrorCode.API_KEY_INVALID: 401,
    ErrorCode.ROUTE_NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.INTERNAL_ERROR: 500,
}
TOY = Dialect(
    name="toy",
    title="Toy",
    routes=(
        Route("POST", "/orders", Order, NoQuery, say, write, summary="", status=201, is_idempotent=True),
        Route("GET", "/orders/{order_id}", NoBody, NoQuery, say, write, summary=""),
        Route("GET", "/orders/all", NoBody, NoQuery, say, write, summary=""),
        Route("DELETE", "/orders/{order_id}", NoBody, NoQuery, say, nothing, summary="", status=204),
        Route("POST", "/orders/{order_id}/lines/{line_id}", Order, NoQuery, say, write, summary=""),
    ),
    authentication=BearerKey(),
    tokens=TokenRules(),
    errors={code: WireError(STATUS.get(code, 400), "") for code in ErrorCode},
    write_error=write_error,
    idempotency=InHeader(b"idempotency-key"),
    error_media_type=b"application/x-problem",
)
PRINCIPAL = Principal(
    Tenant(MerchantId("mer_1"), Mode.TEST),
    ApiKeyId("key_1"),
    ApiKeyKind.SECRET,
    SCOPES_OF_KIND[ApiKeyKind.SECRET],
    "toy",
)


class Clock:
    def now(self) -> datetime:
        return NOW

    def wall_us(self) -> int:
        return to_us(NOW)

    def monotonic(self) -> float:
        return 0.0


class Randomness:
    def bytes(self, count: int) -> bytes:
        return bytes(count)


class Access:
    async def authenticate(self, credential: str, *, dialect: str, use: CredentialUse) -> Principal:
        if credential != "good":
            raise Unauthenticated(ErrorCode.API_KEY_INVALID)
        return PRINCIPAL


def executed(command: Any, _: Context[Any]) -> Executed[Any]:
    return Executed(command, None)


class Door:
    """Stands in for the application: executes by rendering, or does what a test tells it to."""

    def __init__(self, act: Callable[[Any, Context[Any]], Any] | None = None) -> None:
        self.contexts: list[Context[Any]] = []
        self._act = act or executed

    async def execute(self, command: Any, context: Context[Any]) -> Any:
        self.contexts.append(context)
        return self._act(command, context)


def engine(
    act: Callable[[Any, Context[Any]], Any] | None = None, *, burst: int = 1000
) -> tuple[Engine, Door, list[Exception]]:
    door, told = Door(act), list[Exception]()
    made = Engine(
        TOY,
        application=door,  # type: ignore[arg-type]
        access=Access(),  # type: ignore[arg-type]
        clock=Clock(),  # type: ignore[arg-type]
        ids=Ids(Clock(), Randomness()),  # type: ignore[arg-type]
        rate_limit=RateLimit(per_s=1.0, burst=burst, monotonic=lambda: 0.0),
        on_error=lambda _, error: told.append(error),
        render_page=draw,
    )
    return made, door, told


def request(method: str, path: str, body: bytes = b"", *, query: bytes = b"", **headers: str) -> WireRequest:
    given = {"authorization": "Bearer good", "content_type": "application/json", **headers}
    raw = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in given.items() if value}
    return WireRequest(method, path, query, raw, body, "https://pay.example")


def value(response: WireResponse) -> dict[str, Any]:
    return json.loads(response.body)


async def ask(
    method: str, path: str, body: bytes = b"", *, query: bytes = b"", **headers: str
) -> WireResponse:
    return await engine()[0].handle(request(method, path, body, query=query, **headers))


async def test_a_request_is_read_executed_and_written() -> None:
    """The whole way once: the reader sees path, body, address and the merchant's clock."""
    made, door, _ = engine()
    response = await made.handle(request("POST", "/orders/o%2F1/lines/2", b'{"size": 3}'))
    assert response.status == 200
    said = value(response)["said"]
    assert "{'order_id': 'o/1', 'line_id': '2'}" in said
    assert "Order(size=3, note='')" in said
    assert "https://pay.example/orders/o%2F1/lines/2" in said
    assert (response.route, door.contexts[0].request_id) == (
        "/orders/{order_id}/lines/{line_id}",
        response.request_id,
    )
    headers = dict(response.headers)
    assert headers[b"request-id"] == response.request_id.encode()
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-type"] == b"application/json"


async def test_a_fixed_segment_goes_before_a_parameter() -> None:
    """`/orders/all` is not an order called `all`."""
    assert (await ask("GET", "/orders/all")).route == "/orders/all"
    assert (await ask("GET", "/orders/7")).route == "/orders/{order_id}"


@pytest.mark.parametrize(
    "path", ["/", "", "//", "/order", "/orders//x", "/orders//lines/1", "/orders/1/lines", "/orders/%ff"]
)
async def test_a_path_that_is_none_is_not_found(path: str) -> None:
    """Nothing but the path is looked at: not who asks, nor what for."""
    response = await ask("GET", path, b"\xff", authorization="")
    assert (response.status, value(response)["code"]) == (404, "route_not_found")


async def test_a_path_of_another_method_says_which() -> None:
    """RFC 9110 §15.5.6: a 405 has an Allow."""
    response = await ask("PATCH", "/orders/1")
    assert response.status == 405
    assert dict(response.headers)[b"allow"] == b"DELETE, GET"


@pytest.mark.parametrize("authorization", ["", "good", "Basic good", "Bearer", "Bearer  ", "Bearergood"])
async def test_without_a_key_nothing_is_read(authorization: str) -> None:
    """RFC 9110 §11.6.1: a 401 has a challenge; the body may be anything."""
    response = await ask("POST", "/orders", b"\xff", authorization=authorization)
    assert (response.status, value(response)["code"]) == (401, "api_key_missing")
    assert dict(response.headers)[b"www-authenticate"] == b"Bearer"


async def test_a_wrong_key_is_refused_before_the_body_is_read() -> None:
    """A stranger learns nothing about what a body should be."""
    response = await ask("POST", "/orders", b"\xff", authorization="Bearer bad")
    assert (response.status, value(response)["code"]) == (401, "api_key_invalid")


async def test_a_key_in_a_hurry_is_told_when_to_come_back() -> None:
    """RFC 9110 §10.2.3."""
    made, door, _ = engine(burst=1)
    assert (await made.handle(request("GET", "/orders/1"))).status == 200
    response = await made.handle(request("GET", "/orders/1"))
    assert value(response)["code"] == "rate_limited"
    assert dict(response.headers)[b"retry-after"] == b"1"
    assert len(door.contexts) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b'{"size": 1}', "text/plain", "media_type_unsupported"),
        (b'{"size": 1}', "", "media_type_unsupported"),
        (b'{"size": 1}', "application/json; charset=utf-8", None),
        (b'{"size": 1}', "APPLICATION/JSON", None),
        (b'{"size": 1}', "application/merge-patch+json", None),
        (b'{"size": 1}', "text/x+json", "media_type_unsupported"),
        (b'{"size":', "application/json", "body_malformed"),
        (b'{"size": "#"}', "application/json", "parameter_invalid"),
        (b'{"size": 1, "#": 2}', "application/json", "parameter_unknown"),
        (b"", "application/json", "parameter_missing"),
        (b"", "", "parameter_missing"),
    ],
)
async def test_a_body_is_json_that_fits(body: bytes, content_type: str, code: str | None) -> None:
    """SEC-18, SEC-19, in the dialect's own shape."""
    made, door, told = engine()
    response = await made.handle(
        request("POST", "/orders", body.replace(b"#", PLANTED.encode()), content_type=content_type)
    )
    assert not told
    if code is None:
        assert response.status == 201
        return
    assert value(response)["code"] == code
    assert dict(response.headers)[b"content-type"] == b"application/x-problem"
    assert PLANTED.encode() not in response.body
    assert not door.contexts


async def test_an_endpoint_without_a_body_takes_none_but_an_empty_object() -> None:
    """Some clients always send one; a field in it is a mistake."""
    assert (await ask("DELETE", "/orders/1", b"{}")).status == 204
    assert (await ask("DELETE", "/orders/1")).body == b""
    assert value(await ask("DELETE", "/orders/1", b'{"size": 1}'))["code"] == "parameter_unknown"
    assert value(await ask("GET", "/orders/1", query=b"limit=1"))["code"] == "parameter_unknown"


@pytest.mark.parametrize(
    "error", [KeyError(PLANTED), RuntimeError(PLANTED), RecursionError(PLANTED), OSError(PLANTED)]
)
async def test_our_own_defect_is_told_to_the_operator_only(error: Exception) -> None:
    """SEC-19: the caller learns the request id and nothing else."""

    def fail(command: Any, context: Context[Any]) -> Any:
        raise error

    made, _, told = engine(fail)
    response = await made.handle(request("GET", "/orders/1"))
    assert (response.status, value(response)["code"]) == (500, "internal_error")
    assert PLANTED.encode() not in response.body
    assert told == [error]


@pytest.mark.parametrize(
    "error",
    [
        LimitExceeded(ErrorCode.RATE_LIMITED, retry_after_s=7),
        Unavailable(ErrorCode.STORAGE_BUSY, retry_after_s=7),
    ],
)
async def test_a_refusal_of_a_use_case_keeps_its_retry_after(error: FareboxError) -> None:
    """A refusal is no defect: nobody is woken for it."""

    def refuse(command: Any, context: Context[Any]) -> Any:
        raise error

    made, _, told = engine(refuse)
    response = await made.handle(request("GET", "/orders/1"))
    assert value(response)["code"] == error.code.value
    assert dict(response.headers)[b"retry-after"] == b"7"
    assert not told


async def test_a_first_answer_is_repeated_byte_for_byte() -> None:
    """R4: what was stored, with its status, and marked as a repetition."""
    stored: list[bytes] = []

    def first(command: Any, context: Context[Any]) -> Any:
        answer = context.render("a result")
        stored.append(answer)
        return Executed("a result", answer)

    made, _, _ = engine(first)
    one = await made.handle(request("POST", "/orders", b'{"size": 1}', idempotency_key="k"))
    again, _, _ = engine(lambda *_: Replayed(stored[0]))
    two = await again.handle(request("POST", "/orders", b'{"size": 1}', idempotency_key="k"))
    assert (one.status, one.body) == (two.status, two.body) == (201, b'{"said":"a result"}')
    assert b"idempotent-replayed" not in dict(one.headers)
    assert dict(two.headers)[b"idempotent-replayed"] == b"true"


async def context_of(method: str, path: str, body: bytes, **headers: str) -> Context[Any]:
    made, door, _ = engine()
    await made.handle(request(method, path, body, **headers))
    return door.contexts[0]


async def test_an_idempotency_key_stands_for_route_path_and_content() -> None:
    """R4: the fingerprint is of what is asked, not of how it is written, and never of another route."""

    async def canonical(path: str, body: bytes) -> bytes | None:
        context = await context_of("POST", path, body, idempotency_key="k")
        return context.idempotency.canonical if context.idempotency else None

    one = await canonical("/orders", b'{"size": 1, "note": "x"}')
    assert one is not None
    assert one == await canonical("/orders", b' { "note":"\\u0078","size":1}')
    assert one != await canonical("/orders", b'{"size": 2, "note": "x"}')
    # Not a route that takes a key: the header means nothing there.
    assert await canonical("/orders/1/lines/1", b'{"size": 1}') is None
    assert (await context_of("POST", "/orders", b'{"size": 1}')).idempotency is None
    empty = await context_of("POST", "/orders", b'{"size": 1}', idempotency_key=" ")
    assert empty.idempotency is not None


def test_two_routes_never_share_a_method_and_a_path() -> None:
    """A declaration that could answer one request in two ways does not start."""
    twice = replace(TOY, routes=(TOY.routes[1], TOY.routes[1]))
    with pytest.raises(AssertionError, match="two routes"):
        Engine(
            twice,
            application=None,  # type: ignore[arg-type]
            access=None,  # type: ignore[arg-type]
            clock=None,  # type: ignore[arg-type]
            ids=None,  # type: ignore[arg-type]
            rate_limit=None,  # type: ignore[arg-type]
            on_error=print,
            render_page=draw,
        )


async def test_a_request_refused_before_it_is_matched_has_no_route() -> None:
    """What the log names is a template, never what was asked."""
    response = await ask("GET", f"/{PLANTED}")
    assert response.route == UNMATCHED
    assert PLANTED.encode() not in response.body
