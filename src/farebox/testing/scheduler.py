"""Runs coroutines one step at a time, in an order and at a pace drawn from a seed; kills processes.

There is no event loop and no thread, so nothing but the seed decides what happens next. A *process* is a
set of tasks that die together: a crash drops them where they are, between two awaits, and none of their code
runs any more. What travels on a network belongs to no process and survives.
"""

from __future__ import annotations

import heapq
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any, Generic, TypeVar, cast

from farebox.domain.errors import FareboxError
from farebox.testing.clock import SeededRandomness, VirtualClock

T = TypeVar("T")

STEPS_MAX = 200_000
"""More than any run needs: a run that comes here is caught in a loop."""


class ProcessDied(Exception):
    """Who waited for a task of a process that crashed hears only that the line is dead."""


class OutOfPatience(Exception):
    """A wait took longer than the waiter wanted."""


@dataclass(eq=False, slots=True)
class Process:
    """A program that is running, until it crashes."""

    name: str
    alive: bool = True
    tasks: list[Task[Any]] = field(default_factory=list["Task[Any]"])


@dataclass(eq=False, slots=True)
class Task(Generic[T]):
    """A coroutine on its way."""

    coroutine: Coroutine[Any, Any, T]
    process: Process | None
    done: bool = False
    result: T | None = None
    error: BaseException | None = None
    wakeups: int = 0
    """Makes the entries of the queue stale that were made for an earlier wait."""
    waiting: list[tuple[Task[Any], int]] = field(default_factory=list["tuple[Task[Any], int]"])
    """Who waits for it, and by which wakeup they can be told that they still do."""


@dataclass(frozen=True, slots=True)
class _Join:
    task: Task[Any]
    patience_s: float | None


async def _nothing() -> None:
    """Be the work of a promise."""


@coroutine
def _join(task: Task[Any], patience_s: float | None) -> Generator[_Join, None, None]:
    yield _Join(task, patience_s)


class Scheduler:
    """Steps tasks; who is due at the same instant goes in an order that the seed draws."""

    def __init__(self, clock: VirtualClock, dice: SeededRandomness) -> None:
        """Take the clock that it moves, and the seed."""
        self.clock = clock
        self.dice = dice
        self.current: Task[Any] | None = None
        self.unexpected: list[Exception] = []
        """What was raised and is no refusal: a bug, whether or not anybody waited for it."""
        self._queue: list[tuple[int, int, int, int, Task[Any]]] = []
        self._entries = 0

    def spawn(self, work: Coroutine[Any, Any, T], process: Process | None = None) -> Task[T]:
        """Start a task; one of a dead process never begins."""
        task = Task(work, process)
        if process is not None:
            if not process.alive:
                work.close()
                self._finish(task, error=ProcessDied())
                return task
            process.tasks.append(task)
        self._schedule(task, 0)
        return task

    def promise(self) -> Task[Any]:
        """Give something to wait for that nobody works on; `keep` ends the wait."""
        work = _nothing()
        work.close()
        return Task(work, None)

    def keep(self, promise: Task[Any], result: object) -> None:
        """Give whoever waits for a promise its result."""
        self._finish(promise, result=result)

    def fail(self, promise: Task[Any], error: Exception) -> None:
        """Break a promise."""
        self._finish(promise, error=error)

    async def wait_for(self, task: Task[T], patience_s: float | None = None) -> T:
        """Wait for a task's result.

        Raises:
            ProcessDied: its process crashed.
            OutOfPatience: it took longer; the task goes on.
        """
        if not task.done:
            await _join(task, patience_s)
        if not task.done:
            raise OutOfPatience
        if task.error is not None:
            raise task.error
        return cast("T", task.result)

    def crash(self, process: Process) -> None:
        """End a process here and now; its coroutines are dropped where they stand."""
        process.alive = False
        for task in process.tasks:
            if not task.done:
                self._finish(task, error=ProcessDied())
                if task is not self.current:
                    task.coroutine.close()
        process.tasks.clear()

    def run(self) -> None:
        """Run until nobody has anything to do.

        Raises:
            AssertionError: there is no end to it.
        """
        for _ in range(STEPS_MAX):
            if not self._queue:
                return
            due_us, _, _, wakeup, task = heapq.heappop(self._queue)
            if task.done or wakeup != task.wakeups:
                continue
            self.clock.elapsed_us = max(self.clock.elapsed_us, due_us)
            self._step(task)
        raise AssertionError("the run does not come to rest")

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a task, and all others, until nobody has anything to do; give its result."""
        task = self.spawn(work)
        self.run()
        if task.error is not None:
            raise task.error
        assert task.done, "a task that nobody will ever wake"
        return cast("T", task.result)

    # --- inside ------------------------------------------------------------------------------------

    def _step(self, task: Task[Any]) -> None:
        self.current = task
        try:
            asked = task.coroutine.send(None)
        except StopIteration as finished:
            self._finish(task, result=finished.value)
        except Exception as error:  # it belongs to whoever waits for the task
            if not isinstance(error, FareboxError | ProcessDied | OutOfPatience):
                self.unexpected.append(error)
            self._finish(task, error=error)
        else:
            self._suspend(task, asked)
        finally:
            self.current = None

    def _suspend(self, task: Task[Any], asked: float | _Join) -> None:
        if task.done:
            # Its own process crashed under it during this step.
            task.coroutine.close()
        elif isinstance(asked, _Join):
            task.wakeups += 1
            if asked.task.done:
                self._schedule(task, 0)
                return
            asked.task.waiting.append((task, task.wakeups))
            if asked.patience_s is not None:
                self._push(task, asked.patience_s)
        else:
            self._schedule(task, asked)

    def _finish(self, task: Task[Any], *, result: object = None, error: BaseException | None = None) -> None:
        if task.done:
            return
        task.done, task.result, task.error = True, result, error
        for waiter, wakeup in task.waiting:
            if not waiter.done and waiter.wakeups == wakeup:
                self._schedule(waiter, 0)
        task.waiting.clear()

    def _schedule(self, task: Task[Any], delay_s: float) -> None:
        task.wakeups += 1
        self._push(task, delay_s)

    def _push(self, task: Task[Any], delay_s: float) -> None:
        self._entries += 1
        due_us = self.clock.elapsed_us + int(delay_s * 1_000_000)
        order = self.dice.below(1 << 30)
        heapq.heappush(self._queue, (due_us, order, self._entries, task.wakeups, task))
