"""Requests and responses of the native API, field for field.

A case is a list of steps against a merchant of its own. `send` is the request (`body` as JSON, `raw` as
it stands), `expect` the whole answer: every field of the body, and the headers that matter. A string that
starts with `~` is a regular expression that must match the whole value (of a number, its digits); `keep`
names values for `{name}` in later steps. `run` lets a background job have its turn.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.cases import Kept, differences, fill, load_case, pick

from farebox.dialects.native.declaration import NATIVE
from farebox.domain.access import ApiKeyKind, Mode
from farebox.domain.errors import ErrorCode
from farebox.testing.asgi import Answer, ask

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


async def send(running: Any, step: dict[str, Any], kept: Kept) -> Answer:
    request = fill(step["send"], kept)
    headers = {"authorization": f"Bearer {kept['secret_key']}", **request.get("headers", {})}
    body = b""
    if "body" in request or "raw" in request:
        headers = {"content-type": "application/json", **headers}
        body = request["raw"].encode() if "raw" in request else json.dumps(request["body"]).encode()
    headers = {name: value for name, value in headers.items() if value is not None}
    return await ask(running.app, request["method"], request["path"], body=body, headers=headers)


async def run(running: Any, job: str) -> None:
    jobs = {
        "recovery": running.services.use_cases.recovery.run_once,
        "expiry": running.services.use_cases.tokenization.expire_due,
        "fan out": running.services.use_cases.webhooks.fan_out,
    }
    await jobs[job]()


async def merchant(running: Any, mode: str) -> Kept:
    """Make the case's own merchant, and a key of it that was revoked."""
    made, credentials = await running.services.merchants.create("Case", Mode(mode))
    access = running.services.access
    revoked, string = await access.create_key(made, ApiKeyKind.SECRET, label="revoked", scopes=None)
    await access.revoke_key(revoked.id)
    native = credentials["native"]
    return {
        "secret_key": native["secret_key"],
        "publishable_key": native["publishable_key"],
        "revoked_key": string,
    }


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_case(running: Any, path: Path) -> None:
    """The API does what its page says, in every field."""
    case = load_case(path)
    kept = await merchant(running, case.get("mode", "test"))
    for number, step in enumerate(case["steps"]):
        if "run" in step:
            await run(running, step["run"])
            continue
        answer = await send(running, step, kept)
        expect = fill(step["expect"], kept)
        found = differences(expect.get("body"), answer.value)
        found += differences(expect["status"], answer.status, "status")
        for name, value in expect.get("headers", {}).items():
            found += differences(value, answer.header(name), f"header {name}")
        assert not found, f"step {number} of {path.stem}: " + "; ".join(found)
        assert answer.header("request-id"), "every answer names its request"
        kept |= {name: pick(answer.value, where) for name, where in step.get("keep", {}).items()}


def sends() -> list[tuple[str, str]]:
    steps = [step for path in CASES for step in load_case(path)["steps"] if "send" in step]
    return [(step["send"]["method"], step["send"]["path"].partition("?")[0]) for step in steps]


def test_every_endpoint_has_a_case() -> None:
    """A route without a case is a route nobody has seen answer."""
    asked = sends()
    for route in NATIVE.api:
        template = re.sub(r"\{[a-z_]+\}", "[^/]+", route.path)
        assert any(route.method == method and re.fullmatch(template, path) for method, path in asked), (
            route.path
        )


# What no request can bring about on this application, and where it is tested instead.
ELSEWHERE = {
    "merchant_not_found": "command line",
    "configuration_invalid": "start-up",
    "internal_error": "engine",
    "rate_limited": "rate limit",
    "storage_busy": "storage",
    "commit_unknown": "storage",
    "vault_sealed": "vault",
    "shutting_down": "server",
    "card_probing_refused": "tokenization: live cards only",
    "idempotency_in_progress": "idempotency: two requests at once",
    "reference_already_used": "storage: references are derived, not given",
    "instrument_unsupported": "routing: the sandbox takes every instrument",
    "idempotency_key_missing": "for dialects that demand one",
    "not_acceptable": "for dialects that look at Accept",
    "account_forbidden": "for dialects that name the account in the path",
    "document_not_found": "for dialects that keep documents",
    "document_state_conflict": "for dialects that keep documents",
    "instrument_already_stored": "for dialects that store an instrument once",
    "name_already_used": "for dialects that keep documents",
    "card_brand_unsupported": "for dialects that list the brands they take",
}


def test_every_refusal_that_a_request_can_cause_has_a_case() -> None:
    """The list of what is missing is short, and says why."""
    cases = "".join(path.read_text(encoding="utf-8") for path in CASES)
    shown = {code.value for code in ErrorCode if f'"code": "{code.value}"' in cases}
    assert {code.value for code in ErrorCode} - shown == set(ELSEWHERE)


def test_the_comparison_notices_every_difference() -> None:
    """Negative control: a runner that accepts anything would accept anything."""
    whole = {"a": 1, "b": [{"c": "x"}], "d": None}
    assert not differences(whole, whole)
    for other in (
        {"a": 1, "b": [{"c": "x"}]},
        {**whole, "e": 1},
        {**whole, "a": "1"},
        {**whole, "a": True},
        {**whole, "b": []},
        {**whole, "b": [{"c": "y"}]},
        {**whole, "d": 0},
        {"b": [{"c": "x"}], "a": 1, "d": None},
    ):
        assert differences(whole, other), other
    assert not differences({"a": "~[0-9]+"}, {"a": 12})
    assert differences({"a": "~[0-9]+"}, {"a": "12x"})
