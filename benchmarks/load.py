"""The load generator: a process of its own, HTTP/1.1 keep-alive, requests rendered before the clock starts.

    python -m benchmarks.generate PLAN RESULT

PLAN and RESULT are pickle files that `__main__` writes and reads; nobody else does. The generator parses no
more of an answer than its length, its status and, where asked, one id in it.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop


@dataclass(frozen=True)
class Plan:
    """What to send: raw requests, over how many connections, and how fast."""

    port: int
    connections: int
    requests: Sequence[bytes]
    rate_per_s: float | None = None
    """Requests a second, sent when their time has come; none sends the next when the last is answered."""
    collect: bytes | None = None
    """Gather what stands in answers between these bytes and the next quotation mark."""


@dataclass
class Result:
    """What came back; latencies in seconds, in order of completion."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    elapsed_s: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._since = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports behave as one without being one.
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since: float) -> None:
        assert self.transport is not None
        self._since = since
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            self._buffer = buffer
            return
        at = buffer.find(b"content-length: ") + 16
        length = int(buffer[at : buffer.index(b"\r\n", at)])
        if len(buffer) < head_end + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        self._run.answered(self, self._since, buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost()


class Run:
    """One plan being carried out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = Result()
        self._next = 0
        self._open = 0
        self._idle: list[Connection] = []
        self._late: list[float] = []
        self._done = asyncio.get_running_loop().create_future()

    async def go(self) -> Result:
        loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self.plan.port
            )
            self._idle.append(connection)
        started = time.perf_counter()
        if self.plan.rate_per_s is None:
            for connection in self._idle:
                self._send_next(connection, time.perf_counter())
        else:
            await self._pace(self.plan.rate_per_s)
        await self._done
        self.result.elapsed_s = time.perf_counter() - started
        return self.result

    async def _pace(self, rate_per_s: float) -> None:
        """Send by the clock: a request that has to wait for a connection waits on the record."""
        started = time.perf_counter()
        for number in range(len(self.plan.requests)):
            due = started + number / rate_per_s
            while (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._send_next(self._idle.pop(), due)
            else:
                self._late.append(due)

    def _send_next(self, connection: Connection, since: float) -> None:
        if self._next >= len(self.plan.requests):
            return
        request = self.plan.requests[self._next]
        self._next += 1
        self._open += 1
        connection.send(request, since)

    def answered(self, connection: Connection, since: float, answer: bytes) -> None:
        now = time.perf_counter()
        result = self.result
        result.latencies_s.append(now - since)
        status = int(answer[9:12])
        result.statuses[status] = result.statuses.get(status, 0) + 1
        if self.plan.collect is not None:
            at = answer.find(self.plan.collect)
            if at >= 0:
                at += len(self.plan.collect)
                result.collected.append(answer[at : answer.index(b'"', at)].decode())
        self._open -= 1
        if self.plan.rate_per_s is None:
            self._send_next(connection, now)
        elif self._late:
            self._send_next(connection, self._late.pop(0))
        else:
            self._idle.append(connection)
        if self._open == 0 and self._next >= len(self.plan.requests) and not self._done.done():
            self._done.set_result(None)

    def lost(self) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server closed a connection"))


async def carry_out(plan: Plan) -> Result:
    """Carry a plan out, within two minutes."""
    return await asyncio.wait_for(Run(plan).go(), timeout=120)


def main() -> None:
    """Read the plan, carry it out, write the result."""
    plan_path, result_path = map(Path, sys.argv[1:])
    plan: Plan = pickle.loads(plan_path.read_bytes())  # noqa: S301  # our own file
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(carry_out(plan))
    result_path.write_bytes(pickle.dumps(result))
