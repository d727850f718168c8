"""What a declaration can say beyond the native API's needs, each on a dialect of a few routes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.unit.dialects.test_engine import PRINCIPAL, TOY, Clock, Door, Made, Problem, Randomness, draw

from farebox.dialects.dialect import (
    ANYONE,
    BEARER_TOKEN,
    FORM,
    JSON,
    Answer,
    BasicPair,
    Call,
    Cors,
    Dialect,
    KeyInHeader,
    NoBody,
    NoQuery,
    PageView,
    Reading,
    Refusal,
    Route,
    VisitorInPath,
    WireError,
    WireRefusal,
    WireRequest,
    WireResponse,
    redirect,
)
from farebox.dialects.engine import Engine
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.access import NOBODY, CredentialUse, Principal
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.sensitive import Sensitive
from farebox.services.ids import Ids


class Line(msgspec.Struct, rename="camel"):
    unit_price: int
    note: str | None = None


class Order(msgspec.Struct, rename="pascal"):
    size: int
    secret: Sensitive | None = None
    lines: list[Line] = []
    is_gift: bool = False


class Find(msgspec.Struct):
    status: list[str] = []
    limit: int = 10


class Access:
    def __init__(self) -> None:
        self.asked: list[tuple[str, CredentialUse]] = []

    async def authenticate(self, credential: str, *, dialect: str, use: CredentialUse) -> Principal:
        self.asked.append((credential, use))
        return PRINCIPAL


def read(call: Call[Any, Any]) -> Any:
    return call


def show(call: Any, _: Call[Any, Any]) -> Made:
    return Made(repr((call.body, call.query)))


def refuse_all(call: Call[Any, Any]) -> Any:
    raise WireRefusal(WireError(402, "Declined by us", "3009"), param="card")


def lose(call: Call[Any, Any]) -> Any:
    raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)


def write_error(refusal: Refusal) -> Answer:
    body = {
        "code": refusal.wire.code or refusal.code.value,
        "message": refusal.message,
        "problems": [[problem.code.value, problem.param] for problem in refusal.problems],
    }
    return Answer(body, headers=((b"x-code", refusal.wire.code.encode() or b"none"),))


LENIENT = Reading(
    coerces=True,
    ignores_case=True,
    nulls_are_absent=True,
    empty_bodies=frozenset({b"[]"}),
    bodiless_methods=frozenset({"GET", "DELETE"}),
    names_every_problem=True,
    ignores_unknown_parameters=True,
    repeats_parameters=True,
    checks_accept=True,
)
AWAY = "https://shop.example/x"
API_KEY = KeyInHeader(b"x-api-key")
ROUTES = (
    Route("POST", "/orders", Order, NoQuery, read, show, summary=""),
    Route("GET", "/orders", NoBody, Find, read, show, summary=""),
    Route("POST", "/empty", NoBody, NoQuery, read, show, summary=""),
    Route("POST", "/refused", NoBody, NoQuery, refuse_all, show, summary=""),
    Route("GET", "/lost", NoBody, NoQuery, lose, show, summary=""),
    Route(
        "GET",
        "/lost/here",
        NoBody,
        NoQuery,
        lose,
        show,
        summary="",
        errors={ErrorCode.PAYMENT_NOT_FOUND: WireError(404, "No such settlement", "3407")},
    ),
    Route(
        "POST",
        "/made",
        NoBody,
        NoQuery,
        read,
        lambda *_: Answer(Made("x"), status=202, headers=((b"location", b"/made/1"),)),
        summary="",
        is_idempotent=True,
    ),
    Route(
        "GET", "/elsewhere", NoBody, NoQuery, read, lambda *_: redirect("https://shop.example/x"), summary=""
    ),
    Route(
        "GET",
        "/page/{sid}",
        NoBody,
        NoQuery,
        read,
        lambda *_: Answer(page=PageView("challenge", {"a": 1})),
        summary="",
        authentication=VisitorInPath("sid"),
    ),
    Route("GET", "/monitor", NoBody, NoQuery, read, show, summary="", authentication=ANYONE),
    Route("GET", "/token", NoBody, NoQuery, read, show, summary="", authentication=BEARER_TOKEN),
    Route(
        "POST", "/login", NoBody, NoQuery, read, show, summary="", authentication=KeyInHeader(b"x-api-key")
    ),
    Route("POST", "/form", Order, NoQuery, read, show, summary="", media_types=frozenset({FORM})),
    Route("GET", "/", NoBody, NoQuery, read, show, summary=""),
)
DIALECT = replace(
    TOY,
    routes=ROUTES,
    authentication=BasicPair("here"),
    write_error=write_error,
    reading=LENIENT,
    ignores_path_case=True,
    collapses_slashes=True,
    cors=Cors(b"GET, POST", b"authorization"),
    write_headers=lambda request, request_id: ((b"cache-control", b"max-age=0"), (b"x-uid", b"1")),
)
PAIR = base64.b64encode(b"id:secret").decode()


def build(dialect: Dialect) -> tuple[Engine, Access, Door]:
    access, door = Access(), Door()
    made = Engine(
        dialect,
        application=door,  # type: ignore[arg-type]
        access=access,  # type: ignore[arg-type]
        clock=Clock(),  # type: ignore[arg-type]
        ids=Ids(Clock(), Randomness()),  # type: ignore[arg-type]
        rate_limit=RateLimit(per_s=100.0, burst=1000, monotonic=lambda: 0.0),
        on_error=lambda _, error: pytest.fail(repr(error)),
        render_page=draw,
    )
    return made, access, door


async def ask(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    query: bytes = b"",
    headers: Mapping[str, str] | None = None,
    dialect: Dialect = DIALECT,
) -> WireResponse:
    given = {"authorization": f"Basic {PAIR}", "content-type": "application/json", **(headers or {})}
    raw = {name.encode(): value.encode() for name, value in given.items()}
    return await build(dialect)[0].handle(WireRequest(method, path, query, raw, body, "https://pay.example"))


def said(response: WireResponse) -> Any:
    return json.loads(response.body)


# --- reading ---------------------------------------------------------------------------------------


async def test_lenient_bodies_are_read_as_they_are_meant() -> None:
    """Texts for numbers, numbers for texts and secrets, names in any case, nulls, unknown members."""
    lines = b'"lines": [{"UnitPrice": "5", "note": null, "x": 1}]'
    body = b'{"SIZE": "12", "secret": 123, %s, "isGIFT": "true"}' % lines
    response = await ask("POST", "/orders", body)
    assert response.status == 200
    shown = said(response)["said"]
    assert "Order(size=12, secret=" in shown
    assert "123" not in shown.partition("secret=")[2].partition(",")[0]
    assert "lines=[Line(unit_price=5, note=None)], is_gift=True" in shown


async def test_a_strict_dialect_refuses_the_same_body() -> None:
    """Negative control: it is the declaration that makes the difference."""
    strict = replace(DIALECT, reading=replace(LENIENT, coerces=False))
    assert (await ask("POST", "/orders", b'{"Size": "12"}', dialect=strict)).status == 400


async def test_every_problem_of_a_body_is_named() -> None:
    """Each by its path, at every depth; one struct's good members do not hide another's bad ones."""
    body = b'{"lines": [{"unitPrice": 1}, {"note": 5, "unitPrice": "x"}], "isGift": "perhaps"}'
    response = await ask("POST", "/orders", body)
    assert response.status == 400
    assert said(response)["problems"] == [
        ["parameter_missing", "Size"],
        ["parameter_invalid", "Lines[1].unitPrice"],
        ["parameter_invalid", "Lines[1].note"],
        ["parameter_invalid", "IsGift"],
    ]


async def test_what_stands_for_no_body_is_none() -> None:
    """`[]` where a client has nothing to say, and bodies of methods that have none."""
    assert (await ask("POST", "/empty", b" [] ")).status == 200
    assert (await ask("GET", "/orders", b'{"id": "x"}')).status == 200
    assert (await ask("POST", "/orders", b"[]")).status == 400


async def test_queries_may_repeat_and_hold_more() -> None:
    """A repeated parameter is a list, one alone too where a list is wanted; unknown ones are let by."""
    response = await ask("GET", "/orders", query=b"status=a&status=b&limit=5&x=y")
    assert "Find(status=['a', 'b'], limit=5)" in said(response)["said"]
    response = await ask("GET", "/orders", query=b"STATUS=a")
    assert "Find(status=['a'], limit=10)" in said(response)["said"]
    assert (await ask("GET", "/orders", query=b"")).status == 200


async def test_forms_are_read_where_the_route_says_so() -> None:
    """A browser's form becomes an object of texts; elsewhere it is a media type nobody reads."""
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    response = await ask("POST", "/form", b"Size=3&IsGift=1", headers=form)
    assert "Order(size=3" in said(response)["said"]
    assert (await ask("POST", "/orders", b"Size=3", headers=form)).status == 400


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/problem+json", 200),
        ("text/html, application/*;q=0.1", 200),
        ("text/html", 400),
    ],
)
async def test_what_accepts_no_json_is_refused(accept: str, status: int) -> None:
    """Where the protocol negotiates at all."""
    response = await ask("POST", "/empty", headers={"accept": accept})
    assert response.status == status
    if status != 200:
        assert said(response)["code"] == "not_acceptable"


@pytest.mark.parametrize("path", ["/orders", "/orders/", "//orders", "/ORDERS", "/Orders//"])
async def test_paths_are_read_as_loosely_as_declared(path: str) -> None:
    """Case, trailing and doubled slashes; a strict dialect takes only the first two forms."""
    assert (await ask("POST", path, b'{"Size": 1}')).status == 200
    strict = replace(DIALECT, ignores_path_case=False, collapses_slashes=False)
    accepted = (await ask("POST", path, b'{"Size": 1}', dialect=strict)).status == 200
    assert accepted == (path in {"/orders", "/orders/", "//orders"})


async def test_the_root_can_be_a_route() -> None:
    """Some gateways serve a page there."""
    assert (await ask("GET", "/")).status == 200


# --- who asks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "asked"),
    [
        ("POST", "/empty", {}, ("id:secret", CredentialUse.KEY)),
        ("POST", "/empty", {"authorization": "Basic %%%"}, ("%%%", CredentialUse.KEY)),
        ("GET", "/token", {"authorization": "Bearer abc"}, ("abc", CredentialUse.ACCESS_TOKEN)),
        ("POST", "/login", {"x-api-key": "key"}, ("key", CredentialUse.KEY)),
        ("GET", "/page/cs_1", {}, ("cs_1", CredentialUse.VISITOR)),
    ],
)
async def test_credentials_stand_where_the_route_says(
    method: str, path: str, headers: dict[str, str], asked: tuple[str, CredentialUse]
) -> None:
    """And are taken for what they are presented as, so that a key shown as a token is unknown."""
    made, access, _ = build(DIALECT)
    given = {"authorization": f"Basic {PAIR}", **headers}
    raw = {name.encode(): value.encode() for name, value in given.items()}
    assert (await made.handle(WireRequest(method, path, b"", raw, b"", ""))).status == 200
    assert access.asked == [asked]


async def test_nobody_is_asked_where_everybody_may() -> None:
    """No look-up, and a principal that owns nothing."""
    made, access, door = build(DIALECT)
    assert (await made.handle(WireRequest("GET", "/monitor", b"", {}, b"", ""))).status == 200
    assert access.asked == []
    assert door.contexts[0].principal == NOBODY
    assert not NOBODY.scopes


@pytest.mark.parametrize(
    ("path", "challenge"), [("/orders", b'Basic realm="here"'), ("/token", b"Bearer"), ("/login", b"ApiKey")]
)
async def test_a_missing_credential_is_challenged_as_the_route_wants_it(path: str, challenge: bytes) -> None:
    """RFC 9110 §11.6.1: a 401 says which scheme."""
    errors = {code: WireError(401 if code is ErrorCode.API_KEY_MISSING else 400, "") for code in ErrorCode}
    made, _, _ = build(replace(DIALECT, errors=errors))
    method = "POST" if path == "/login" else "GET"
    response = await made.handle(WireRequest(method, path, b"", {}, b"", ""))
    assert response.status == 401
    assert dict(response.headers)[b"www-authenticate"] == challenge


# --- answers ---------------------------------------------------------------------------------------


async def test_an_answer_says_status_and_headers_and_repeats_them() -> None:
    """A repetition under an idempotency key gets the same headers as well."""
    made, _, door = build(DIALECT)
    raw = {b"authorization": f"Basic {PAIR}".encode(), b"idempotency-key": b"k"}
    response = await made.handle(WireRequest("POST", "/made", b"", raw, b"", ""))
    headers = dict(response.headers)
    assert (response.status, headers[b"location"]) == (202, b"/made/1")
    assert headers[b"content-type"] == JSON
    stored = door.contexts[0].render("x")
    assert b"/made/1" in stored


async def test_answers_can_be_pages_and_redirects() -> None:
    """A page is drawn by the web; a redirect has no body."""
    page = await ask("GET", "/page/cs_1")
    assert page.body == b"challenge: {'a': 1}"
    assert dict(page.headers)[b"content-type"] == b"text/html"
    away = await ask("GET", "/elsewhere")
    assert (away.status, away.body) == (302, b"")
    assert dict(away.headers)[b"location"] == AWAY.encode()


async def test_a_dialect_has_headers_of_its_own() -> None:
    """On answers and refusals; in place of ours where it names the same one."""
    for path in ("/monitor", "/nowhere"):
        headers = (await ask("GET", path)).headers
        assert [value for name, value in headers if name == b"cache-control"] == [b"max-age=0"]
        assert (b"x-uid", b"1") in headers
        assert (b"access-control-allow-origin", b"*") in headers


async def test_a_browser_may_ask_whether_it_may() -> None:
    """A preflight is answered without a credential; a plain OPTIONS is no route."""
    asking = {"authorization": "", "origin": "https://shop.example", "access-control-request-method": "POST"}
    response = await ask("OPTIONS", "/orders", headers=asking)
    assert response.status == 204
    assert dict(response.headers)[b"access-control-allow-methods"] == b"GET, POST"
    assert said(await ask("OPTIONS", "/orders"))["code"] == "method_not_allowed"


# --- refusals --------------------------------------------------------------------------------------


async def test_a_refusal_of_the_dialects_own_keeps_its_status_and_code() -> None:
    """Codes that no domain rule knows stay in the dialect."""
    response = await ask("POST", "/refused")
    assert response.status == 402
    assert said(response)["code"] == "3009"
    assert dict(response.headers)[b"x-code"] == b"3009"


async def test_a_route_may_call_a_code_differently() -> None:
    """The same refusal of the same use case, where a gateway has a code for each operation."""
    assert said(await ask("GET", "/lost"))["code"] == "payment_not_found"
    response = await ask("GET", "/lost/here")
    assert (response.status, said(response)["code"]) == (404, "3407")


def test_the_toy_is_what_it_was() -> None:
    """The native reading stays strict: every leniency is switched on by name."""
    assert Dialect.__dataclass_fields__["reading"].default == Reading()
    strict = Reading()
    assert not any(getattr(strict, name) for name in Reading.__slots__ if name != "media_types")
    assert strict.media_types == {JSON}
    assert issubclass(Problem, msgspec.Struct)
