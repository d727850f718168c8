"""Whatever is sent wherever, the answer is one of Paysafe's own: never a 500 that is our defect."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from tests.dialects.paysafe.talk import Shop

from farebox.dialects.paysafe.declaration import PAYSAFE
from farebox.testing.clock import SeededRandomness

pytestmark = pytest.mark.asyncio(loop_scope="session")
IDS = (
    "00000000-0000-7000-8000-000000000000",
    "x",
    "%00",
    "%ff",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "..",
)
SCALARS: tuple[Any, ...] = (
    None, True, 0, -1, 10**18, 1.5, "", "x", "09", "x" * 300, "4530910000012345", "\u202e", [], {}, [{}],
    {"a": {"b": []}}, "2031-01-01T00:00:00Z", "Y", "US", "USD", "SCx", "Cx", "e30=", "W10=",
)  # fmt: skip


def shape(type_: Any, dice: SeededRandomness, depth: int = 0) -> Any:
    """Make something that nearly fits: the members of the struct, each right, wrong or absent."""
    structs = [
        one
        for one in getattr(type_, "__args__", (type_,))
        if isinstance(one, type) and issubclass(one, msgspec.Struct)
    ]
    if not structs or depth > 3 or dice.chance(0.1):
        return dice.choose(SCALARS)
    fields = msgspec.structs.fields(structs[0])
    return {one.encode_name: shape(one.type, dice, depth + 1) for one in fields if dice.chance(0.7)}


@pytest.mark.parametrize("seed", range(4))
async def test_no_request_is_our_defect(shop: Shop, seed: int) -> None:
    """Every endpoint, with bodies that nearly fit, ids of nothing and odd queries."""
    dice = SeededRandomness(seed)
    for route in PAYSAFE.routes:
        for _ in range(6):
            path = re.sub(
                r"\{[a-z]+\}",
                lambda match: {"{account}": shop.account}.get(match[0]) or dice.choose(IDS),
                route.path,
            )
            query = dice.choose(("", "?limit=x", f"?merchantRefNum=a&offset={10**30}", "?fields=,,cards&%ff"))
            body = None if route.method in {"GET", "DELETE"} else shape(route.body, dice)
            answer = await shop.ask(route.method, path + query, body)
            assert answer.status != 500 or answer.value["error"]["code"] == "1007", (
                route.path,
                body,
                answer.body,
            )
            if answer.status >= 400:
                assert answer.value["error"]["code"].isdigit()
                assert b"4530910000012345" not in answer.body
