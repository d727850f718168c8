"""What runs the cases of this folder and asks for its other tests.

A case is a list of steps against a merchant of its own. `send` is the request (`body` as JSON, `raw` as it
stands, `as` "native" for the native API), `expect` the whole answer; of a page, parts of its text. A string
that starts with `~` is a regular expression that must match the whole value (of a number, its digits); `keep`
names values for `{name}` in later steps, and `{#name}` is a number. `ahead_s` moves the merchant's clock.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from farebox.domain.access import Mode
from farebox.testing.asgi import Answer, ask

Kept = dict[str, str]


def load_case(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def fill(value: Any, kept: Kept) -> Any:
    """Put kept values where they are named; a text that is one name alone may become a number."""
    if isinstance(value, str):
        alone = re.fullmatch(r"\{#([a-z_0-9]+)\}", value)
        if alone:
            return int(kept[alone[1]])
        return re.sub(r"\{([a-z_0-9]+)\}", lambda match: kept.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [fill(item, kept) for item in value]
    if isinstance(value, dict):
        return {fill(key, kept): fill(item, kept) for key, item in value.items()}
    return value


def differences(expected: Any, found: Any, where: str = "body") -> list[str]:
    """Name every place where the two are not the same."""
    if isinstance(expected, str) and expected.startswith("~"):
        text = found if isinstance(found, str) else json.dumps(found)
        return [] if re.fullmatch(expected[1:], text) else [f"{where}: {found!r} does not match {expected}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{where}: fields {list(found)} instead of {list(expected)}"]
        return [line for key in expected for line in differences(expected[key], found[key], f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return [
            line for n, (one, other) in enumerate(pairs) for line in differences(one, other, f"{where}[{n}]")
        ]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{where}: {found!r} instead of {expected!r}"]


def pick(value: Any, path: str) -> str:
    for part in path.split("."):
        value = value[int(part)] if part.isdecimal() else value[part]
    return str(value)


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
