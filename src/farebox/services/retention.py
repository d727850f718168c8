"""Forgets what has been kept long enough (SEC-06), in bounded steps."""

from __future__ import annotations

from datetime import timedelta

from farebox.domain.idempotency import KEEP_DAYS
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock

_ROWS_AT_ONCE = 500


class Retention:
    """Purges remembered requests, events, counts of card shapes, ended sessions and freed references."""

    def __init__(self, *, storage: Storage, clock: Clock, events_kept_days: int) -> None:
        """Take the database and how long the operator keeps events."""
        self._storage = storage
        self._clock = clock
        self._events_kept_days = events_kept_days

    async def purge(self) -> int:
        """Delete at most 500 rows of each class; give how many in all."""
        now = self._clock.now()

        async def work(uow: UnitOfWork) -> int:
            requests = await uow.idempotency.purge(now - timedelta(days=KEEP_DAYS), _ROWS_AT_ONCE)
            events = await uow.events.purge(now - timedelta(days=self._events_kept_days), _ROWS_AT_ONCE)
            shapes = await uow.probing.purge(int(now.timestamp()) // 86400 - 1)
            sessions = await uow.sessions.purge(_ROWS_AT_ONCE)
            references = await uow.references.purge(_ROWS_AT_ONCE)
            webhooks = await uow.webhooks.purge(now - timedelta(days=self._events_kept_days), _ROWS_AT_ONCE)
            return webhooks + requests + events + shapes + sessions + references

        return await self._storage.write(work)
