"""I3: what was acknowledged survives a power cut, whatever the disk keeps of the rest."""

from __future__ import annotations

import asyncio
import hmac
import os
import random  # noqa: TID251  # seeded: a failing run repeats
import threading
import time
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from tests.conformance.things import TENANT, single_use_token
from tests.proofs.power_cut import PowerCutVfs

from farebox.adapters.storage.schema import migrate
from farebox.adapters.storage.sqlite import SqliteStorage
from farebox.domain.ids import OperationId
from farebox.domain.tokens import TokenState

IMAGES = 1000
CUT_EVERY = 3
"""About every third write or sync is a moment at which the power could have gone."""


class Watch:
    """Takes images while the storage works, and remembers what was acknowledged by then."""

    def __init__(self, directory: Path, *, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.directory = directory
        self.acknowledged: dict[bytes, TokenState] = {}
        self.images = 0
        self.lost: list[str] = []
        self.is_on = False
        self._lock = threading.Lock()
        self.vfs: PowerCutVfs | None = None

    def on_write(self) -> None:
        if not self.is_on or self.vfs is None or self.chance.randrange(CUT_EVERY):
            return
        with self._lock:
            # What is acknowledged is read first: an acknowledgement that comes during the cut is not claimed.
            acknowledged = dict(self.acknowledged)
            self.images += 1
            self._check(self.vfs.image(self.chance), acknowledged)

    def _check(self, image: dict[str, bytes], acknowledged: dict[bytes, TokenState]) -> None:
        place = self.directory / f"image-{self.images}"
        place.mkdir()
        for path, content in image.items():
            (place / Path(path).name).write_bytes(content)
        connection = apsw.Connection(str(place / "farebox.sqlite3"))
        try:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                self.lost.append("integrity")
            rows = connection.execute("SELECT token_mac, state FROM single_use_token").fetchall()
        except apsw.Error as error:
            self.lost.append(type(error).__name__)
            return
        finally:
            connection.close()
            for path in place.iterdir():
                path.unlink()
            place.rmdir()
        found = dict(rows)
        for mac, state in acknowledged.items():
            if mac not in found:
                self.lost.append("token")
            elif state is TokenState.RESERVED and found[mac] != "reserved":
                self.lost.append("reservation")


async def run(directory: Path, *, synchronous: str, images: int, seed: int) -> Watch:
    """Mint and reserve under load until so many images were taken."""
    path = directory / "farebox.sqlite3"
    watch = Watch(directory, seed=seed)
    await migrate(f"sqlite:///{path}", lambda step: None)
    name = f"power-cut-{os.getpid()}-{synchronous}-{seed}"
    watch.vfs = vfs = PowerCutVfs(name, watch.on_write)
    for existing in (path, path.with_name(path.name + "-wal")):
        if existing.exists():
            # What the migration left was synced by the real file system.
            from tests.proofs.power_cut import Disk

            vfs.disks[str(existing)] = Disk(bytearray(existing.read_bytes()))
    storage = SqliteStorage(
        path,
        chain_mac=lambda previous, entry: hmac.digest(b"k", previous + entry, "sha256"),
        wall_us=lambda: time.time_ns() // 1000,  # noqa: TID251
        vfs=name,
        synchronous=synchronous,
        # Small, so that checkpoints are cut too and not only commits.
        checkpoint_pages=40,
    )
    watch.is_on = True

    async def shop(number: int) -> None:
        serial = 0
        while watch.images < images:
            serial += 1
            mac = await mint()
            if serial % 2:
                await reserve(mac, OperationId(f"op_{number}_{serial}"))

    async def mint() -> bytes:
        token = single_use_token()
        await storage.write(lambda uow: uow.tokens.insert(token))
        watch.acknowledged[token.token_mac] = TokenState.MINTED
        return token.token_mac

    async def reserve(mac: bytes, operation_id: OperationId) -> None:
        got = await storage.write(lambda uow: uow.tokens.reserve(TENANT, mac, operation_id, timedelta(0)))
        assert got is not None
        watch.acknowledged[mac] = TokenState.RESERVED

    await asyncio.gather(*[shop(number) for number in range(6)])
    watch.is_on = False
    await storage.close()
    return watch


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_acknowledged_is_lost_in_a_power_cut(tmp_path: Path, seed: int) -> None:
    """A thousand cuts in four runs, in commits and in checkpoints: the database opens whole."""
    watch = await run(tmp_path, synchronous="FULL", images=IMAGES // 4, seed=seed)
    assert watch.images >= IMAGES // 4
    assert len(watch.acknowledged) > 50
    assert watch.lost == []


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
async def test_without_full_sync_acknowledged_tokens_are_lost(tmp_path: Path, synchronous: str) -> None:
    """The control: with less than `synchronous = FULL` the same cuts lose what was acknowledged."""
    watch = await run(tmp_path, synchronous=synchronous, images=100, seed=1)
    assert watch.lost
