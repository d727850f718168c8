"""A world of processes, one database and one acquirer, all of it decided by a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from farebox.adapters.crypto.keyset import Keyset
from farebox.adapters.crypto.vault import LocalVault
from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.domain.access import Mode, Tenant
from farebox.domain.errors import FareboxError
from farebox.domain.ids import MerchantAccountId, MerchantId
from farebox.domain.merchants import Merchant, MerchantAccount
from farebox.ports.processors import Processor
from farebox.ports.storage import UnitOfWork
from farebox.services.use_cases import Parts
from farebox.testing.clock import START, SeededRandomness, VirtualClock
from farebox.testing.crypto import MemoryRing, new_keyset, open_vault
from farebox.testing.network import SimulatedLine, Wire
from farebox.testing.node import Node, build_node
from farebox.testing.scheduler import Process, Scheduler
from farebox.testing.storage import Database, SimulatedStorage
from farebox.testing.weather import CALM, ROUGH, Sky, Weather

TIMEOUT_S = 10.0
TENANTS = tuple(Tenant(MerchantId(f"mer_{name}"), Mode.TEST) for name in ("first", "second", "third"))
OFFSETS = {TENANTS[2]: timedelta(hours=1)}
"""The third merchant's test clock is ahead."""
TROUBLES = (
    "late",
    "never",
    "twice",
    "garbled",
    "drop_before_write",
    "lost_request",
    "drop_after_write",
    "decline",
    "hold",
    "inquiry_fails",
    "reversal_fails",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run is about: how rough it is, and which rule is taken out of it."""

    weather: Weather = ROUGH
    parts: Parts = field(default_factory=Parts)
    reversal_poisons: bool = True
    processes: int = 2
    troubles: tuple[str, ...] = TROUBLES
    """What the acquirer is told to do wrong."""
    prepare: Callable[[Database], None] | None = None
    """Changes the database before the run, to take one of its guards out."""


class World:
    """What is there, and the background that every process runs."""

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        """Make a world in which nothing has happened yet."""
        self.rules = rules or Rules()
        self.clock, self.dice = VirtualClock(), SeededRandomness(seed)
        self.scheduler = Scheduler(self.clock, self.dice)
        keyset, image = _template()
        ring = MemoryRing(self.clock, self.dice)
        self.vault: LocalVault
        self.vault, self.secrets = open_vault(keyset, ring, self.dice)
        self.database = Database(self.clock.wall_us, self.secrets.audit_mac, image)
        if self.rules.prepare is not None:
            self.rules.prepare(self.database)
        self.acquirer = SandboxProcessor(
            None, clock=self.clock, timeout_s=TIMEOUT_S, reversal_poisons=self.rules.reversal_poisons
        )
        self.wire = Wire()
        self.processes: list[tuple[Process, Node]] = []
        self.crashes = 0
        self.open = True
        for number in range(self.rules.processes):
            self.scheduler.spawn(self._supervise(number))

    def start(self, name: str, weather: Weather, processor: Processor | None = None) -> tuple[Process, Node]:
        """Start a process, connected to the acquirer by a line or straight to another processor."""
        process = Process(name)
        sky = Sky(self.scheduler, weather, process)
        node = build_node(
            storage=SimulatedStorage(self.database, sky),
            vault=self.vault,
            secrets=self.secrets,
            processor=processor or SimulatedLine(self.scheduler, sky, self.wire, self.acquirer),
            sandbox=self.acquirer,
            clock=self.clock,
            randomness=self.dice,
            parts=self.rules.parts,
        )
        return process, node

    def running(self) -> tuple[Process, Node] | None:
        """Give one of the processes that are alive, or none."""
        alive = [(process, node) for process, node in self.processes if process.alive]
        return self.dice.choose(alive) if alive else None

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Run a story to its end and everything it left behind to rest."""

        async def told() -> None:
            try:
                await story
            finally:
                self.open = False

        self.scheduler.complete(told())
        self.scheduler.complete(self._rest())

    def close(self) -> None:
        """Let go of the databases."""
        self.database.close()
        # Nothing the simulation does makes a task of asyncio, so there is nothing to wait for.
        asyncio.run(self.acquirer.close())

    # --- inside ------------------------------------------------------------------------------------

    async def _supervise(self, number: int) -> None:
        """Keep one process running: start it, and start it again some time after it died."""
        generation = 0
        while self.open:
            generation += 1
            process, node = self.start(f"{number}.{generation}", self.rules.weather)
            self.processes.append((process, node))
            self.scheduler.spawn(self._background(node), process)
            while self.open and process.alive:
                await self.clock.sleep(1)
            if not process.alive:
                self.crashes += 1
                await self.clock.sleep(self.dice.between(0, 20))

    async def _background(self, node: Node) -> None:
        while self.open:
            await self.clock.sleep(self.dice.between(0.5, 4))
            try:
                await node.recovery.run_once()
                if self.dice.chance(0.1):
                    await node.tokenization.expire_due()
            except FareboxError:
                continue

    async def _rest(self) -> None:
        """Run recovery in good weather until nothing is left to do, while batches close."""
        _, node = self.start("rest", CALM)
        for tenant in TENANTS:
            await self.acquirer.clear_faults(tenant)
        for _ in range(100):
            for tenant in TENANTS:
                await self.acquirer.close_batch(tenant, self.clock.now())
            while await node.recovery.run_once():
                pass
            if not self.database.rows("SELECT 1 FROM operation WHERE next_attempt_at IS NOT NULL LIMIT 1"):
                break
            await self.clock.sleep(600)
        await self.clock.sleep(4000)
        await node.tokenization.expire_due()


@cache
def _template() -> tuple[Keyset, bytes]:
    """Make, once, the keys of a server with three merchants and the database that holds them."""
    clock, dice = VirtualClock(), SeededRandomness(0)
    scheduler = Scheduler(clock, dice)
    database = Database(clock.wall_us, lambda previous, entry: previous + entry)
    storage = SimulatedStorage(database, Sky(scheduler, CALM, Process("template")))
    keyset = new_keyset(storage, clock, dice)

    async def make() -> None:
        await keyset.load()
        for tenant in TENANTS:
            await keyset.provision(tenant)
            await storage.write(lambda uow, owner=tenant: _insert_merchant(uow, owner))

    scheduler.complete(make())
    image = database.image()
    database.close()
    return keyset, image


async def _insert_merchant(uow: UnitOfWork, tenant: Tenant) -> None:
    await uow.merchants.insert(Merchant(tenant.merchant_id, tenant.mode, "A shop", START))
    await uow.merchants.insert_account(
        MerchantAccount(MerchantAccountId(f"acc_{tenant.merchant_id}"), tenant, "sandbox", START)
    )
    if tenant in OFFSETS:
        await uow.merchants.advance_clock(tenant, OFFSETS[tenant])
