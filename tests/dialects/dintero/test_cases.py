"""Requests and responses of the Dintero dialect, field for field.

Cases are as those of the native API, with two more kinds of step: `buyer` pays a session as its page does,
and `clock` moves the merchant's clock forward. A program of the merchant is logged in before the first step.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.cases import Kept, differences, fill, load_case, pick
from tests.dialects.dintero.shop import Shop, buyer_pays, open_shop

from farebox.dialects.dintero.declaration import DINTERO
from farebox.dialects.dintero.errors import ERRORS
from farebox.domain.access import CredentialUse
from farebox.domain.errors import ErrorCode
from farebox.domain.ids import RequestId
from farebox.services.commands import Context, MoveClock
from farebox.testing.asgi import Answer

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


async def send(shop: Shop, step: dict[str, Any], kept: Kept) -> Answer:
    request = fill(step["send"], kept)
    raw = request["raw"].encode() if "raw" in request else None
    headers = {name.replace("-", "_"): value for name, value in request.get("headers", {}).items()}
    return await shop.ask(request["method"], request["path"], request.get("body"), raw=raw, **headers)


async def move_clock(shop: Shop, forward_s: int) -> None:
    """Let time go by for this merchant; access tokens end by the real one."""
    services = shop.running.services
    principal = await services.access.authenticate(
        shop.token, dialect="dintero", use=CredentialUse.ACCESS_TOKEN
    )
    context = Context(
        principal=principal,
        dialect="dintero",
        rules=DINTERO.tokens,
        request_id=RequestId(services.ids.new("req")),
        render=lambda view: b"",
    )
    await services.use_cases.application.execute(MoveClock(timedelta(seconds=forward_s)), context)


async def act(shop: Shop, step: dict[str, Any], kept: Kept) -> None:
    """Take a step that is no request."""
    if "buyer" in step:
        buyer = fill(step["buyer"], kept)
        await buyer_pays(shop.running, buyer["session"], buyer.get("card"), saves=buyer.get("saves", False))
    elif "clock" in step:
        await move_clock(shop, step["clock"])


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_case(running: Any, path: Path) -> None:
    """The dialect answers what its documentation says, in every field."""
    shop = await open_shop(running)
    kept = {
        "account": shop.account,
        "client_id": shop.client_id,
        "basic": shop.basic,
        "api_key": shop.api_key,
    }
    for number, step in enumerate(load_case(path)["steps"]):
        if "send" not in step:
            await act(shop, step, kept)
            continue
        answer = await send(shop, step, kept)
        expect = fill(step["expect"], kept)
        found = differences(expect.get("body"), answer.value)
        found += differences(expect["status"], answer.status, "status")
        for name, value in expect.get("headers", {}).items():
            found += differences(value, answer.header(name), f"header {name}")
        assert not found, f"step {number} of {path.stem}: " + "; ".join(found)
        assert answer.header("request-id"), "every answer names its request"
        assert answer.header("access-control-allow-origin") == "*"
        kept |= {name: pick(answer.value, where) for name, where in step.get("keep", {}).items()}


def test_every_endpoint_has_a_case() -> None:
    """A route without a case is a route nobody has seen answer; an account-scoped name is the same route."""
    steps = [step for path in CASES for step in load_case(path)["steps"] if "send" in step]
    asked = [(step["send"]["method"], step["send"]["path"].partition("?")[0]) for step in steps]
    for route in DINTERO.routes:
        if route.is_page or route.path.startswith("/v1/accounts/{account_id}/payments"):
            continue
        template = re.sub(r"\{[a-z_]+\}", "[^/]+", route.path)
        assert any(route.method == method and re.fullmatch(template, path) for method, path in asked), (
            route.method,
            route.path,
        )


@pytest.mark.asyncio(loop_scope="session")
async def test_pictures_are_for_everybody(running: Any) -> None:
    """Plugins put the address into their pages, in four forms."""
    shop = await open_shop(running)
    look = "variant/colors/color/cecece/width/420"
    for place in (
        f"logos/visa_mastercard/{look}/logos.svg",
        f"profiles/default/{look}/dintero_top_frame.svg",
        f"accounts/{shop.account}/profiles/default/{look}/logos.svg",
        f"accounts/{shop.account}/profiles/default/variant/mono/colors/color/000/width/9/logos.svg",
    ):
        answer = await shop.ask("GET", f"/v1/branding/{place}", authorization=None)
        assert (answer.status, answer.header("content-type")) == (200, "image/svg+xml")
        assert answer.body.startswith(b"<svg ")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_result_in_the_frame(running: Any) -> None:
    """The web SDK's last address in the frame says how it ended, in the language it names."""
    shop = await open_shop(running)
    for query, words in (
        ("sid=x&transaction_id=y", b"Payment complete"),
        ("error=cancelled", b"Payment cancelled"),
        ("error=failed", b"Payment not completed"),
    ):
        answer = await shop.ask("GET", f"/embedResult/?{query}", authorization=None)
        assert answer.status == 200
        assert words in answer.body
        assert "frame-ancestors *" in (answer.header("content-security-policy") or "")


def test_every_refusal_has_a_shape() -> None:
    """The table is total, and a business rule is never a 403, which one shop repeats without end."""
    assert set(ERRORS) == set(ErrorCode)
    forbidden = {code for code, wire in ERRORS.items() if wire.status == 403}
    assert forbidden == {ErrorCode.SCOPE_MISSING, ErrorCode.ACCOUNT_FORBIDDEN, ErrorCode.MODE_MISMATCH}
