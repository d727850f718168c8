"""Background jobs: each is run again and again, and never two runs of one job at a time.

A job that fails is reported and tried again at its next turn: a database that was busy for a moment must
not end the expiry of tokens for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from farebox.domain.frozen import frozen
from farebox.ports.system import Clock


@frozen
class Job:
    """One thing to do every `interval_s` seconds.

    `run` gives how much it did; a job that did something is run again at once, so that a backlog is
    worked off in bounded steps.
    """

    name: str
    interval_s: float
    run: Callable[[], Awaitable[int]]


class Worker:
    """Runs jobs until it is stopped."""

    def __init__(self, jobs: Sequence[Job], clock: Clock, on_error: Callable[[str, Exception], None]) -> None:
        """Take the jobs, and who is told when one fails."""
        self._jobs = jobs
        self._clock = clock
        self._on_error = on_error
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start a task per job on the running loop."""
        self._tasks = [asyncio.create_task(self._loop(job), name=f"job:{job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """Let running jobs finish their step, then end."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _loop(self, job: Job) -> None:
        while not self._stopping.is_set():
            done = 0
            try:
                done = await job.run()
            except Exception as error:  # whatever it was, the next turn may go well
                self._on_error(job.name, error)
            await self._pause(0 if done else job.interval_s)

    async def _pause(self, delay_s: float) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        pause = asyncio.ensure_future(self._clock.sleep(delay_s))
        await asyncio.wait({stopping, pause}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, pause):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
