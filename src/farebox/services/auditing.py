"""Says when the audit of a server begins and ends, and walks its hash chains (SEC-11)."""

from __future__ import annotations

from collections.abc import Callable

from farebox.domain.audit import AuditAction, AuditEntry, canonical_bytes
from farebox.domain.frozen import frozen
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage
from farebox.ports.system import Clock

_AT_ONCE = 1000


@frozen
class ChainReport:
    """What the verifier found in one chain; `broken_at` is the first position that does not fit."""

    chain: str
    entries: int
    broken_at: int | None


class Auditing:
    """Opens, closes and verifies the audit."""

    def __init__(self, storage: Storage, secrets: Secrets, clock: Clock, *, node: str) -> None:
        """Take the entries, the key they were chained with, and the node that writes them."""
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._node = node

    async def start(self) -> None:
        """Note that this node serves from now on: a start without an end before it was a crash."""
        await self._note(AuditAction.AUDIT_STARTED)

    async def stop(self) -> None:
        """Note that this node serves no more."""
        await self._note(AuditAction.AUDIT_STOPPED)

    async def restored(self) -> None:
        """Note that the database was found to be older than the ring, and that old tokens died of it."""
        await self._note(AuditAction.RESTORE_NOTICED)

    async def _note(self, action: AuditAction) -> None:
        entry = AuditEntry(
            action=action,
            at=self._clock.now(),
            merchant_id=None,
            actor="farebox",
            object_id=self._node,
            why="",
        )
        await self._storage.write(lambda uow: uow.audit.append((entry,)))

    async def verify(self, progress: Callable[[int], None]) -> list[ChainReport]:
        """Recompute every chain from its first entry."""
        chains = await self._storage.read(lambda uow: uow.audit.chains())
        return [await self._verify_chain(chain, progress) for chain in chains]

    async def _verify_chain(self, chain: str, progress: Callable[[int], None]) -> ChainReport:
        position, mac = 0, b""
        while True:
            after = position
            entries = await self._storage.read(
                lambda uow, after=after: uow.audit.walk(chain, after, _AT_ONCE)
            )
            for chained in entries:
                expected = self._secrets.audit_mac(
                    mac, canonical_bytes(chain, chained.position, chained.entry)
                )
                if chained.position != position + 1 or chained.mac != expected:
                    return ChainReport(chain, position, position + 1)
                position, mac = chained.position, chained.mac
            progress(len(entries))
            if len(entries) < _AT_ONCE:
                return ChainReport(chain, position, None)
