"""The real application in process: real vault, real database, the sandbox acquirer, no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from farebox.bootstrap import Services, build_app, init, open_services
from farebox.config.load import load
from farebox.web.app import App
from farebox.web.health import Readiness


@dataclass(frozen=True, slots=True)
class Running:
    app: App
    services: Services


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One application for all cases; every case brings its own merchant."""
    place: Path = tmp_path_factory.mktemp("dialects")
    settings = load({"data_dir": str(place / "data"), "sandbox": {"timeout_s": 0.2}}, {})
    await init(settings)
    async with open_services(settings) as services:
        yield Running(build_app(services, Readiness({}), {}), services)
