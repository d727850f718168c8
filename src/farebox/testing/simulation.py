"""One seeded run: shoppers in a rough world, then rest, then the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from farebox.adapters.storage.connection import to_us
from farebox.testing.invariants import Evidence, violations
from farebox.testing.shoppers import Shoppers
from farebox.testing.world import TENANTS, Rules, World


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed."""

    seed: int
    broken: tuple[str, ...]
    unexpected: tuple[Exception, ...]
    """What was raised and is no refusal."""
    crashes: int
    sent: int
    reversals: int
    late: int
    """How many requests were written after their `send_by`, by an owner that stood still."""
    states: tuple[tuple[str, int], ...]
    """How many operations ended in which state."""
    trace: tuple[tuple[object, ...], ...]
    """Every event in order, to compare two runs of one seed."""


def run(seed: int, rules: Rules | None = None, *, clients: int = 4, actions: int = 8) -> Run:
    """Play one seed to its end and judge it."""
    world = World(seed, rules)
    try:
        shoppers = Shoppers(world, clients=clients, actions=actions)
        world.play(shoppers.story())
        books = [
            entry for tenant in TENANTS for entry in world.scheduler.complete(world.acquirer.ledger(tenant))
        ]
        evidence = Evidence(
            database=world.database,
            books=books,
            wire=world.wire,
            told=shoppers.told,
        )
        return Run(
            seed=seed,
            broken=tuple(violations(evidence)),
            unexpected=tuple(world.scheduler.unexpected),
            crashes=world.crashes,
            sent=len(world.wire.sent),
            reversals=len(world.wire.reversals),
            late=len(_late(world)),
            states=tuple(
                world.database.rows("SELECT state, COUNT(*) FROM operation GROUP BY state ORDER BY state")
            ),
            trace=tuple(world.database.rows("SELECT * FROM event ORDER BY created_at, id")),
        )
    finally:
        world.close()


def _late(world: World) -> list[str]:
    send_by = dict(world.database.rows("SELECT id, send_by FROM operation"))
    return [
        request.operation_id
        for request in world.wire.sent
        if to_us(request.at) > send_by.get(request.operation_id, 0)
    ]


def first_violation(seeds: Iterable[int], rules: Rules, *, of: str = "") -> Run | None:
    """Search seeds for one that breaks an invariant; `of` is how its sentence begins."""
    for seed in seeds:
        found = run(seed, rules)
        if any(broken.startswith(of) for broken in found.broken):
            return found
    return None
