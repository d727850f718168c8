"""A merchant of its own for every test."""

from __future__ import annotations

from typing import Any

import pytest_asyncio
from tests.dialects.payroc.client import Payroc, merchant


@pytest_asyncio.fixture(loop_scope="session")
async def payroc(running: Any) -> Payroc:
    return await merchant(running)
