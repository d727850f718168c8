"""A merchant of its own for every test, and programs that ask as Paysafe's do."""

from __future__ import annotations

from typing import Any

import pytest_asyncio
from tests.dialects.paysafe.talk import Shop, open_shop

from farebox.testing.asgi import Answer, ask


@pytest_asyncio.fixture(loop_scope="session")
async def shop(running: Any) -> Shop:
    async def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        native = path.startswith("/..native")
        path = path.removeprefix("/..native") if native else f"/paysafe{path}"
        return await ask(running.app, method, path, body=body, headers=headers)

    return await open_shop(running.services, send)
