"""The line between a process and the acquirer: slow, lossy at its ends, and it remembers what was sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from farebox.domain.access import Tenant
from farebox.domain.cards import Card
from farebox.domain.ids import OperationId
from farebox.domain.operations import InDoubt, Outcome
from farebox.ports.processors import NotFoundAtProcessor, Processor, ProcessorRequest
from farebox.testing.clock import pause
from farebox.testing.scheduler import OutOfPatience, Scheduler
from farebox.testing.weather import Sky


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that went onto the wire."""

    operation_id: OperationId
    reference: str
    at: datetime
    has_cvc: bool


class Wire:
    """Every request that any process ever sent to the acquirer."""

    def __init__(self) -> None:
        """Start silent."""
        self.sent: list[Sent] = []
        self.reversals: list[str] = []
        self._times: dict[OperationId, int] = {}

    def note(self, request: ProcessorRequest, at: datetime) -> int:
        """Note a request; give how often this operation has been sent now."""
        instrument = request.instrument
        has_cvc = isinstance(instrument, Card) and instrument.cvc is not None
        self.sent.append(Sent(request.operation_id, request.reference, at, has_cvc))
        times = self._times.get(request.operation_id, 0) + 1
        self._times[request.operation_id] = times
        return times

    def repeated(self) -> list[OperationId]:
        """Give the operations that were sent more than once."""
        return [operation_id for operation_id, times in self._times.items() if times > 1]


class SimulatedLine:
    """Implements `ports.processors.Processor`: the real one at the other end of a line.

    What is on the line belongs to no process any more: the sender may die, the request still arrives. An
    operation that is sent twice arrives as two: nobody here relies on an acquirer that recognises
    repetitions.
    """

    def __init__(self, scheduler: Scheduler, sky: Sky, wire: Wire, acquirer: Processor) -> None:
        """Connect a process to the acquirer."""
        self.name = acquirer.name
        self.capabilities = acquirer.capabilities
        self.timeout_s = acquirer.timeout_s
        self._scheduler = scheduler
        self._sky = sky
        self._wire = wire
        self._acquirer = acquirer

    async def submit(self, request: ProcessorRequest) -> Outcome:
        """Send, and wait for the answer as long as anybody would."""
        dice, weather = self._sky.dice, self._sky.weather
        if dice.chance(weather.stalled_write):
            await pause(dice.between(1, weather.pause_max_s))
        times = self._wire.note(request, self._scheduler.clock.now())
        if times > 1:
            request = replace(request, reference=f"{request.reference}~{times}")
        travelling = self._scheduler.spawn(self._deliver(request))
        try:
            outcome = await self._scheduler.wait_for(travelling, self.timeout_s)
        except OutOfPatience:
            outcome = InDoubt("timeout")
        await self._sky.point()
        return outcome

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome | NotFoundAtProcessor:
        """Ask."""
        await self._sky.point()
        answer = await self._acquirer.inquire(reference, tenant)
        await self._sky.point()
        return answer

    async def reverse(self, request: ProcessorRequest) -> bool:
        """Undo."""
        await self._sky.point()
        self._wire.reversals.append(request.reference)
        acknowledged = await self._acquirer.reverse(request)
        await self._sky.point()
        return acknowledged

    async def close(self) -> None:
        """Leave the acquirer to the others."""

    async def _deliver(self, request: ProcessorRequest) -> Outcome:
        dice, weather = self._sky.dice, self._sky.weather
        late = dice.chance(weather.late_request)
        await pause(dice.between(0, 2 * self.timeout_s + 60 if late else weather.latency_max_s))
        return await self._acquirer.submit(request)
