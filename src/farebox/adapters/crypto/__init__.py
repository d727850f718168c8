"""Keys, the vault over them, and digests: everything that is secret at rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from farebox.adapters.crypto.digests import Digests
from farebox.adapters.crypto.kek import KekProvider
from farebox.adapters.crypto.keyset import RING, KeyRow, Keyset
from farebox.adapters.crypto.ring import FileRing
from farebox.adapters.crypto.vault import LocalVault
from farebox.domain.errors import FareboxError
from farebox.domain.ids import EventId
from farebox.ports.storage import Storage
from farebox.ports.system import Clock, Randomness


class Crypto:
    """The open vault and what belongs to it."""

    def __init__(
        self,
        *,
        keys: Keyset,
        ring: FileRing,
        vault: LocalVault,
        secrets: Digests,
        kek: KekProvider,
        storage: Storage,
    ) -> None:
        """Hold together what `open_crypto` made."""
        self.keys = keys
        self.vault = vault
        self.secrets = secrets
        self._ring = ring
        self._kek = kek
        self._storage = storage

    async def maintain(self) -> int:
        """Keep the ring: destroy what is due, make what will be needed. A background job."""
        oldest = await self._storage.read(lambda uow: uow.operations.oldest_envelope_day())
        await self._ring.maintain(oldest)
        await self._ring.remember(await self._storage.read(lambda uow: uow.events.newest()))
        return 0

    async def notice_restore(self) -> bool:
        """Begin a new epoch if the database is older than the ring; tell whether it is.

        A backup gives spent tokens back as `minted`, so every single-use token minted before dies (security
        design §3.3). For a server alone, before it serves: `maintain` moves the ring's memory on.
        """
        witness = await self._ring.witness()
        if witness is None:
            return False
        if await self._storage.read(lambda uow: uow.events.exists(EventId(witness))):
            return False
        await self._ring.start_over()
        return True

    async def is_open(self) -> bool:
        """Tell whether instruments can be sealed now: the ring holds the minutes that come next."""
        return self._ring.is_ready()

    async def inventory(self) -> list[KeyRow]:
        """List every key (SEC-07)."""
        return [*await self.keys.inventory(), *self.keys.ring_rows(self._ring.ages())]

    def key_ages_s(self) -> dict[str, float]:
        """Give the age of the keys in use, by kind."""
        return self.keys.ages_s()

    async def change_kek(self, new: KekProvider, progress: Callable[[int], None]) -> int:
        """Wrap every key under another KEK."""
        return await self.keys.change_kek(new, progress)

    async def close(self) -> None:
        """End the KEK's session."""
        self._kek.close()


async def vault_problem(
    *, kek: KekProvider, storage: Storage, clock: Clock, randomness: Randomness
) -> str | None:
    """Say why the keys in a database cannot be used, or nothing (security design §4.9)."""
    try:
        await Keyset(kek=kek, storage=storage, clock=clock, randomness=randomness).verify()
    except FareboxError as problem:
        return problem.message
    return None


async def open_crypto(
    *,
    kek: KekProvider,
    ring_dir: Path,
    data_dir: Path,
    storage: Storage,
    clock: Clock,
    randomness: Randomness,
) -> Crypto:
    """Unwrap the keys and open the ring.

    Raises:
        Unavailable: `vault_sealed` when the KEK is not the one that wrapped the keys.
        ConfigurationError: a key row was changed, or the ring is where it must not be.
    """
    keys = Keyset(kek=kek, storage=storage, clock=clock, randomness=randomness)
    await keys.load()
    ring = FileRing(
        ring_dir,
        data_dir=data_dir,
        ring_key=keys.server_key(RING),
        clock=clock,
        randomness=randomness,
    )
    await ring.open()
    return Crypto(
        keys=keys,
        ring=ring,
        vault=LocalVault(keys, ring, randomness),
        secrets=Digests(keys, ring),
        kek=kek,
        storage=storage,
    )
