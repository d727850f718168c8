"""Liveness and readiness."""

from __future__ import annotations

import json

import pytest

from farebox.web.health import Readiness


async def holds() -> bool:
    return True


async def fails() -> bool:
    return False


async def breaks() -> bool:
    raise ConnectionError("postgresql://user:password@db")


async def test_a_node_is_ready_when_every_check_holds() -> None:
    """And says so with a 200."""
    status, body = await Readiness({"storage": holds, "vault": holds}).report(verbose=False)
    assert (status, json.loads(body)) == (200, {"status": "ready"})


@pytest.mark.parametrize("check", [fails, breaks])
async def test_one_check_that_does_not_hold_is_enough(check: object) -> None:
    """A check that cannot be made does not hold, and why is nobody's business."""
    readiness = Readiness({"storage": check, "vault": holds})  # type: ignore[dict-item]
    status, body = await readiness.report(verbose=True)
    assert (status, json.loads(body)) == (
        503,
        {"status": "not_ready", "checks": {"running": True, "storage": False, "vault": True}},
    )
    assert b"password" not in body


async def test_a_stopping_node_is_not_ready() -> None:
    """The balancer sends nobody more while requests in flight are finished."""
    readiness = Readiness({"storage": holds})
    readiness.stop()
    status, body = await readiness.report(verbose=False)
    assert (status, json.loads(body)) == (503, {"status": "not_ready"})
