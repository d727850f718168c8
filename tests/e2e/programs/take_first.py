"""Farebox that forgets events before their deliveries are stored: a control of the webhook storm."""

from __future__ import annotations

import asyncio

from farebox.cli import main
from farebox.ports.storage import UnitOfWork
from farebox.services.webhooks import EVENTS_AT_ONCE, Webhooks

STORE_AFTER_S = 0.05


async def fan_out(self: Webhooks) -> int:
    events = await self._storage.write(lambda uow: uow.webhooks.take_events(EVENTS_AT_ONCE))

    async def work(uow: UnitOfWork) -> None:
        for event in events:
            await self.tell(uow, event)

    await asyncio.sleep(STORE_AFTER_S)
    await self._storage.write(work)
    return len(events)


Webhooks.fan_out = fan_out

if __name__ == "__main__":
    main()
