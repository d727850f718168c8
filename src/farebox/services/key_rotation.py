"""Re-seal stored credentials under a newer tenant key: a job that can be stopped and started again.

A row whose wrap already names the newest key is never selected, so the rows themselves are the job's
memory: starting again continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from farebox.domain.access import Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.ids import StoredTokenId
from farebox.ports.keys import TenantKeys
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.services.vaulting import Vaulting

BATCH_ROWS = 500
SERVERS_LEARN_WITHIN_S = 5.0
"""Running servers read the keys at least this often (the `keys` job of bootstrap, with room to spare)."""


class KeyRotation:
    """Rotates tenant keys."""

    def __init__(
        self, *, storage: Storage, vaulting: Vaulting, tenant_keys: TenantKeys, clock: Clock
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._vaulting = vaulting
        self._tenant_keys = tenant_keys
        self._clock = clock

    async def rotate(self, tenants: Sequence[Tenant], progress: Callable[[Tenant, int], None]) -> None:
        """Make new tenant keys and re-wrap every record key under them.

        Args:
            tenants: whose keys.
            progress: told how many of a tenant's rows are done, after each batch of 500.
        """
        for tenant in tenants:
            await self._tenant_keys.rotate(tenant)
            await self._storage.write(lambda uow, tenant=tenant: self._audit(uow, tenant))
        # Nothing may be wrapped under a key that a running server has not read yet.
        await self._clock.sleep(SERVERS_LEARN_WITHIN_S)
        for tenant in tenants:
            await self.rewrap(tenant, lambda done, tenant=tenant: progress(tenant, done))

    async def rewrap(self, tenant: Tenant, progress: Callable[[int], None]) -> int:
        """Re-wrap what is not yet under the newest key; give how many rows were changed."""
        await self._vaulting.prepare(tenant)
        newest = self._tenant_keys.newest(tenant)
        done, after = 0, None
        while True:
            position = after
            rows, after = await self._storage.write(
                lambda uow, position=position: self._batch(uow, tenant, newest, position)
            )
            done += rows
            progress(done)
            if after is None:
                return done

    async def _batch(
        self, uow: UnitOfWork, tenant: Tenant, newest: bytes, after: StoredTokenId | None
    ) -> tuple[int, StoredTokenId | None]:
        """Re-wrap up to 500 rows by compare-and-set on the old wrap."""
        tokens = await uow.stored_tokens.due_for_rewrap(tenant, newest, after, BATCH_ROWS)
        changed = 0
        for token in tokens:
            new_wrap = self._vaulting.rewrap(token)
            if token.sealed is None or new_wrap is None:
                continue
            changed += await uow.stored_tokens.swap_wrap(tenant, token.id, token.sealed.wrapped_key, new_wrap)
        return changed, tokens[-1].id if len(tokens) == BATCH_ROWS else None

    async def _audit(self, uow: UnitOfWork, tenant: Tenant) -> None:
        entry = AuditEntry(
            action=AuditAction.KEY_ROTATED,
            at=self._clock.now(),
            merchant_id=tenant.merchant_id,
            actor="operator",
            object_id="tenant key",
            why="rotation",
        )
        await uow.audit.append((entry,))
