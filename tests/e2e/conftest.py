"""Servers of their own for every test, on either engine."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from farebox.testing.server import PROGRAM, Server

NewServer = Callable[..., Server]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def full_scale() -> bool:
    """Whether the proofs run at the size that is claimed, which takes many minutes."""
    return os.environ.get("FAREBOX_PROOF_SCALE") == "full"


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """An empty PostgreSQL database."""
    name = f"farebox_{next(_numbers)}"

    async def create() -> None:
        connection: Any = await asyncpg.connect(postgres)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """An empty database: none for the embedded one, else a URL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[NewServer]:
    """Makes servers, each with a data directory of its own, and ends what still runs of them."""
    made: list[Server] = []

    def make(
        database_url: str | None = None, *, program: tuple[str, ...] = PROGRAM, **settings: str
    ) -> Server:
        directory = tmp_path / f"server-{len(made)}"
        directory.mkdir()
        server = Server(directory, database_url=database_url, settings=settings, program=program)
        made.append(server)
        server.init()
        return server

    yield make
    for server in made:
        server.kill()
