"""Walks the audit's hash chains and tells where one is broken (SEC-11)."""

from __future__ import annotations

from collections.abc import Callable

from farebox.domain.audit import canonical_bytes
from farebox.domain.frozen import frozen
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage

_AT_ONCE = 1000


@frozen
class ChainReport:
    """What the verifier found in one chain; `broken_at` is the first position that does not fit."""

    chain: str
    entries: int
    broken_at: int | None


class Auditing:
    """Verifies the audit."""

    def __init__(self, storage: Storage, secrets: Secrets) -> None:
        """Take the entries and the key they were chained with."""
        self._storage = storage
        self._secrets = secrets

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
