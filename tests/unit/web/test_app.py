"""Which dialect a request is for, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from farebox.dialects.dialect import WireRequest, WireResponse
from farebox.domain.errors import FareboxError
from farebox.testing.asgi import Answer, ask
from farebox.web.app import Answered, App, Mounts
from farebox.web.limits import Limits
from farebox.web.wire import Scope

LIMITS = Limits(
    body_bytes=100,
    target_bytes=50,
    head_bytes=1000,
    headers=10,
    head_timeout_s=1.0,
    body_timeout_s=1.0,
    keep_alive_s=1,
    shutdown_s=1,
)


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


class Echo:
    """Stands in for an engine: answers with what it was handed."""

    def __init__(self, name: str) -> None:
        self.dialect = Named(name)
        self.asked: list[WireRequest] = []

    def new_request_id(self) -> str:
        return "req_1"

    def refuse(self, error: FareboxError, request_id: str, route: str) -> WireResponse:
        return WireResponse(400, [], error.code.value.encode(), route, request_id)

    async def handle(self, request: WireRequest) -> WireResponse:
        self.asked.append(request)
        text = f"{self.dialect.name} {request.method} {request.path} {request.base_url}"
        return WireResponse(200, [], text.encode(), "/route", "req_1")


async def page(scope: Scope) -> WireResponse:
    return WireResponse(200, [], b"a page", "/livez", "")


def app(
    *, ports: Mapping[int, str] | None = None, hosts: Mapping[str, str] | None = None
) -> tuple[App, list[Answered], dict[str, Echo]]:
    told: list[Answered] = []
    engines = {"native": Echo("native"), "other": Echo("other")}
    made = App(
        engines,  # type: ignore[arg-type]
        mounts=Mounts(ports or {}, hosts or {}),
        limits=LIMITS,
        pages={"/livez": page},
        on_request=told.append,
    )
    return made, told, engines


async def text(target: str, **options: Any) -> str:
    mounts = {name: options.pop(name) for name in ("ports", "hosts") if name in options}
    return (await ask(app(**mounts)[0], "GET", target, **options)).body.decode()


async def test_the_native_api_is_at_the_root_and_under_its_name() -> None:
    """Other dialects have their name in front of their paths."""
    assert await text("/v1/payments") == "native GET /v1/payments http://farebox.test"
    assert await text("/native/v1/payments") == "native GET /v1/payments http://farebox.test/native"
    assert await text("/other/v1/x") == "other GET /v1/x http://farebox.test/other"
    assert await text("/other") == "other GET / http://farebox.test/other"
    assert await text("/others/v1") == "native GET /others/v1 http://farebox.test"


async def test_a_dialect_has_a_port_of_its_own() -> None:
    """At whose root it stands, and where no page and no other dialect is."""
    ports = {8081: "other"}
    assert (
        await text("/v1/x", ports=ports, server=("127.0.0.1", 8081)) == "other GET /v1/x http://farebox.test"
    )
    assert (
        await text("/livez", ports=ports, server=("127.0.0.1", 8081))
        == "other GET /livez http://farebox.test"
    )
    assert (await text("/v1/x", ports=ports, server=("127.0.0.1", 8080))).startswith("native")


@pytest.mark.parametrize("host", ["pay.example", "PAY.example", "pay.example:8443"])
async def test_a_dialect_has_a_host_name_of_its_own(host: str) -> None:
    """Whatever its case, with or without a port."""
    hosts = {"pay.example": "other"}
    assert (await text("/v1/x", hosts=hosts, headers={"host": host})).startswith("other GET /v1/x")
    assert (await text("/v1/x", hosts=hosts, headers={"host": "example"})).startswith("native")


async def test_pages_are_on_the_main_listener() -> None:
    """Exactly at their path."""
    assert await text("/livez") == "a page"
    assert (await text("/livez/")).startswith("native")


async def test_a_request_is_told_without_what_was_asked() -> None:
    """SEC-13: template, status and time; no path, no query, no address."""
    made, told, _ = app()
    await ask(made, "GET", "/v1/4242424242424242?a=4242424242424242")
    await ask(made, "GET", "/livez")
    assert [(one.dialect, one.method, one.route, one.status, one.request_id) for one in told] == [
        ("native", "GET", "/route", 200, "req_1"),
        ("pages", "GET", "/livez", 200, ""),
    ]
    assert "4242424242424242" not in repr(told)


async def test_head_is_answered_as_get_without_a_body() -> None:
    """RFC 9110 §9.3.2."""
    made, _, engines = app()
    answer = await ask(made, "HEAD", "/v1/x")
    assert engines["native"].asked[0].method == "GET"
    assert (answer.body, int(answer.header("content-length") or 0) > 0) == (b"", True)


async def refused(method: str, target: str, **options: Any) -> Answer:
    made, told, engines = app()
    answer = await ask(made, method, target, **options)
    assert not engines["native"].asked
    assert (answer.status, told[0].route) == (400, "(unmatched)")
    return answer


async def test_limits_come_before_the_engine() -> None:
    """SEC-18: what is too long is never looked at."""
    long = await refused("GET", "/v1/x?" + "a" * 50)
    assert (long.body, long.header("connection")) == (b"uri_too_long", None)
    for body in (b"x" * 101, [b"x" * 60, b"x" * 60]):
        large = await refused("POST", "/v1/x", body=body)
        assert (large.body, large.header("connection")) == (b"body_too_large", "close")


async def test_what_is_not_http_is_not_answered() -> None:
    """There is no lifespan and no websocket here."""
    made, told, _ = app()

    async def never(*_: Any) -> Any:
        raise AssertionError

    await made({"type": "websocket"}, never, never)
    assert not told
