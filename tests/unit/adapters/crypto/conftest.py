"""A vault over a real database, a ring on disk, and a clock that a test may move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from farebox.adapters.crypto import Crypto, open_crypto
from farebox.adapters.crypto.kek import KekProvider, make_key_file, open_key_file
from farebox.adapters.storage import open_storage
from farebox.adapters.storage.connection import to_us
from farebox.adapters.storage.schema import migrate
from farebox.adapters.system import SystemRandomness
from farebox.domain.access import Mode, Tenant
from farebox.domain.ids import MerchantId
from farebox.ports.storage import Storage

TENANT = Tenant(MerchantId("mer_1"), Mode.TEST)
OTHER = Tenant(MerchantId("mer_2"), Mode.TEST)
LIVE = Tenant(MerchantId("mer_1"), Mode.LIVE)


class MovingClock:
    """Implements `ports.system.Clock`; stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def wall_us(self) -> int:
        return to_us(self.instant)

    def monotonic(self) -> float:
        return self.instant.timestamp()

    async def sleep(self, delay_s: float) -> None:
        self.instant += timedelta(seconds=delay_s)
        await asyncio.sleep(0)


@dataclass
class Place:
    """Everything a vault stands on."""

    directory: Path
    clock: MovingClock
    storage: Storage
    crypto: Crypto

    async def open(self, kek: KekProvider | None = None, storage: Storage | None = None) -> Crypto:
        """Open the vault once more, as a restarted process would."""
        return await open_crypto(
            kek=kek or open_key_file(self.directory / "kek", data_dir=self.directory / "data"),
            ring_dir=self.directory / "ring",
            data_dir=self.directory / "data",
            storage=storage or self.storage,
            clock=self.clock,
            randomness=SystemRandomness(),
        )


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    url = f"sqlite:///{data / 'farebox.sqlite3'}"
    await migrate(url, lambda step: None)
    make_key_file(tmp_path / "kek")
    clock = MovingClock()
    storage = await open_storage(url, chain_mac=lambda a, b: b, wall_us=lambda: 0)
    place = Place(tmp_path, clock, storage, None)  # pyright: ignore[reportArgumentType]
    place.crypto = await place.open()
    for tenant in (TENANT, OTHER, LIVE):
        await place.crypto.keys.provision(tenant)
    yield place
    await storage.close()
