"""Farebox that records a delivery before it is sent: a control of the webhook storm."""

from __future__ import annotations

import asyncio

from farebox.cli import main
from farebox.domain.webhooks import AttemptResult, Delivery, DeliveryAttempt, DeliveryState
from farebox.services.webhooks import Webhooks

SEND_AFTER_S = 0.05
_attempt = Webhooks._attempt


async def attempt(self: Webhooks, delivery: Delivery) -> None:
    hopeful = DeliveryAttempt(0, self._clock.now(), 0, AttemptResult.DELIVERED, 200)
    await self._storage.write(
        lambda uow: uow.webhooks.record_attempt(
            delivery, hopeful, state=DeliveryState.DELIVERED, next_attempt_at=None
        )
    )
    await asyncio.sleep(SEND_AFTER_S)
    await _attempt(self, delivery)


Webhooks._attempt = attempt

if __name__ == "__main__":
    main()
