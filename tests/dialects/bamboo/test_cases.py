"""Requests and responses of every generation, field for field."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bamboo_cases import merchant, move_clock, send
from tests.dialects.cases import differences, fill, load_case, pick

from farebox.dialects.bamboo.declaration import BAMBOO

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_case(running: Any, path: Path) -> None:
    """The dialect does what the gateway's pages say, in every field."""
    kept = await merchant(running)
    for number, step in enumerate(load_case(path)["steps"]):
        if "ahead_s" in step:
            await move_clock(running, timedelta(seconds=step["ahead_s"]), kept)
            continue
        answer = await send(running, step["send"], kept)
        expect = fill(step["expect"], kept)
        found = differences(expect["status"], answer.status, "status")
        if "body" in expect:
            found += differences(expect["body"], answer.value)
        if "page" in expect:
            text = " ".join(answer.body.decode().split())
            found += [f"page: no {part!r}" for part in expect["page"] if part not in text]
        assert not found, f"step {number} of {path.stem}: " + "; ".join(found)
        kept |= {name: pick(answer.value, where) for name, where in step.get("keep", {}).items()}


def test_every_endpoint_has_a_case() -> None:
    """A route without a case is a route nobody has seen answer."""
    steps = [step["send"] for path in CASES for step in load_case(path)["steps"] if "send" in step]
    asked = [(step["method"], step["path"].partition("?")[0].lower()) for step in steps]
    for route in BAMBOO.routes:
        template = re.sub(r"\{[a-z_]+\}", "[^/]+", route.path).lower()
        assert any(route.method == method and re.fullmatch(template, path) for method, path in asked), (
            f"{route.method} {route.path}"
        )
