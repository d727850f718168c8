"""What an operator reads, and who may."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest

from farebox.dialects.dialect import WireResponse
from farebox.dialects.native.declaration import NATIVE
from farebox.web.health import Readiness
from farebox.web.openapi import openapi
from farebox.web.pages import ErrorText, pages


async def get(
    path: str, *, metrics_for: Any = "loopback", client: str = "127.0.0.1", query: bytes = b""
) -> WireResponse:
    found = pages(
        readiness=Readiness({}),
        metrics=lambda: (b"text/plain", b"farebox_info 1"),
        metrics_for=metrics_for,
        description=openapi(NATIVE, version="1"),
        errors=[ErrorText("token_expired", 409, "The token has expired.")],
    )
    return await found[path]({"client": (client, 1), "query_string": query})


@pytest.mark.parametrize(
    ("metrics_for", "client", "status"),
    [
        ("loopback", "127.0.0.1", 200),
        ("loopback", "127.8.8.8", 200),
        ("loopback", "::1", 200),
        ("loopback", "192.0.2.1", 404),
        ("everyone", "192.0.2.1", 200),
        ("off", "127.0.0.1", 404),
    ],
)
async def test_metrics_are_for_whom_the_operator_says(metrics_for: str, client: str, status: int) -> None:
    """`metrics` in the settings; elsewhere there is simply nothing at this path."""
    response = await get("/metrics", metrics_for=metrics_for, client=client)
    assert response.status == status
    assert (b"farebox_info" in response.body) is (status == 200)


async def test_readiness_names_its_checks_when_asked() -> None:
    """`?verbose`; otherwise yes or no."""
    assert json.loads((await get("/readyz")).body) == {"status": "ready"}
    assert json.loads((await get("/readyz", query=b"verbose")).body)["checks"] == {"running": True}


async def test_the_api_page_runs_nothing() -> None:
    """SEC-14: no script, no frame, no foreign origin; the page is markup and one style sheet."""
    response = await get("/docs")
    headers = dict(response.headers)
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'; style-src 'self'")
    text = unescape(response.body.decode())
    assert "<script" not in text
    assert "onclick" not in text
    assert "https://" not in text
    assert 'id="error-token_expired"' in text
    for route in NATIVE.api:
        assert route.path in text
        assert route.summary in text


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/style.css"]
)
async def test_every_page_says_what_it_is_and_is_not_kept(path: str) -> None:
    """No sniffing, no caching."""
    headers = dict((await get(path)).headers)
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-type"]
