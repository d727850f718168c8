"""Keys in query strings are secrets: they open what they should and are in no log, metric or answer."""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any

import pytest
from bamboo_cases import merchant, send

pytestmark = pytest.mark.asyncio(loop_scope="session")
MINT = {"Email": "a@b.test", "Pan": "4507990000004905", "CVV": "123", "Expiration": "08/30", "Titular": "A"}


async def test_a_key_in_a_query_is_nowhere_but_there(running: Any, caplog: pytest.LogCaptureFixture) -> None:
    """`commerceKey` of a good, a bad and a refused request: not in an answer, a header, a log or a metric."""
    kept = await merchant(running)
    key = kept["private_key"]
    caplog.set_level(logging.DEBUG)
    requests = [
        ("POST", "/api/Token?commerceKey={private_key}", MINT),
        ("POST", "/api/Token?COMMERCEKEY={private_key}", {**MINT, "Pan": "1"}),
        ("POST", "/api/Token?x=1&commercekey={private_key}", {"Email": 1}),
        ("GET", "/v1/api/purchase?commerceKey={private_key}&key={public_key}&From=1", None),
        ("GET", "/v1/api/nothing?commerceKey={private_key}&key={public_key}", None),
        ("GET", "/v1/Capture/?key={public_key}&session_id=UI_1", None),
    ]
    for method, path, body in requests:
        request = {"method": method, "path": path}
        if body is not None:
            request["body"] = body
        answer = await send(running, request, kept)
        shown = answer.body.decode() + repr(answer.headers)
        assert key not in shown
        assert kept["public_key"] not in shown
    _, metrics = running.services.metrics.render()
    for record in (caplog.text, metrics.decode()):
        assert key not in record
        assert kept["public_key"] not in record


@pytest.mark.parametrize("form", ["raw", "with colon", "alone"])
async def test_a_key_is_taken_in_three_forms(running: Any, form: str) -> None:
    """Raw behind `Basic`, as RFC 7617's user without password, and its base64 alone."""
    kept = await merchant(running)
    key = kept["private_key"]
    given = {
        "raw": key,
        "with colon": b64encode(f"{key}:".encode()).decode(),
        "alone": b64encode(key.encode()).decode(),
    }[form]
    for scheme in ("Basic", "basic"):
        headers = {"authorization": f"{scheme} {given}"}
        answer = await send(running, {"method": "GET", "path": "/v1/api/purchase", "headers": headers}, kept)
        assert (answer.status, answer.value) == (200, {"Response": [], "Errors": []})


@pytest.mark.parametrize("authorization", ["Bearer {private_key}", "Basic", "Basic ", "Basic {private_key}x"])
async def test_nothing_else_is_a_key(running: Any, authorization: str) -> None:
    """Another scheme, no key, or a key of nobody: 401 with a filled `Errors`."""
    kept = await merchant(running)
    request = {"method": "GET", "path": "/v1/api/purchase", "headers": {"authorization": authorization}}
    answer = await send(running, request, kept)
    assert answer.status == 401
    assert answer.value["Errors"][0]["ErrorCode"] == "ERR999"


async def test_a_public_key_tokenizes_nothing_and_buys_nothing(running: Any) -> None:
    """Direct tokenization wants the private key; the public one stands in pages."""
    kept = await merchant(running)
    headers = {"authorization": "Basic {public_key}"}
    answer = await send(running, {"method": "GET", "path": "/v1/api/purchase", "headers": headers}, kept)
    assert answer.status == 403
    request = {"method": "POST", "path": "/api/Token?commerceKey={public_key}", "body": MINT}
    answer = await send(running, request, kept)
    assert (answer.status, answer.value["TokenId"]) == (403, None)
