"""What runs the cases of this folder and asks for its other tests.

A case is a list of steps against a merchant of its own. `send` is the request (`body` as JSON, `raw` as it
stands, `as` "native" for the native API), `expect` the whole answer; of a page, parts of its text. A string
that starts with `~` is a regular expression that must match the whole value (of a number, its digits); `keep`
names values for `{name}` in later steps, and `{#name}` is a number. `ahead_s` moves the merchant's clock.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tests.dialects.cases import Kept, fill

from farebox.domain.access import Mode
from farebox.testing.asgi import Answer, ask


async def send(running: Any, request: dict[str, Any], kept: Kept) -> Answer:
    request = fill(request, kept)
    is_native = request.get("as") == "native"
    key = f"Bearer {kept['secret_key']}" if is_native else f"Basic {kept['private_key']}"
    headers = {"authorization": key, **request.get("headers", {})}
    body = b""
    if "body" in request or "raw" in request:
        headers = {"content-type": "application/json", **headers}
        body = request["raw"].encode() if "raw" in request else json.dumps(request["body"]).encode()
    headers = {name: value for name, value in headers.items() if value is not None}
    path = request["path"] if is_native else f"/bamboo{request['path']}"
    return await ask(running.app, request["method"], path, body=body, headers=headers)


async def merchant(running: Any, mode: Mode = Mode.TEST) -> Kept:
    """Make a merchant of one's own; give its credentials."""
    _, credentials = await running.services.merchants.create("Case", mode)
    return {**credentials["native"], **credentials["bamboo"]}


async def move_clock(running: Any, forward: timedelta, kept: Kept) -> None:
    request = {
        "as": "native",
        "method": "POST",
        "path": "/v1/sandbox/clock",
        "body": {"forward_s": int(forward.total_seconds())},
    }
    answer = await send(running, request, kept)
    assert answer.status == 200, answer.body
