"""An acquirer that answers only when it is told what, so that a test decides every interleaving."""

from __future__ import annotations

from farebox.domain.access import Tenant
from farebox.domain.ids import OperationId
from farebox.domain.instruments import InstrumentKind
from farebox.domain.operations import OperationKind, Outcome
from farebox.ports.processors import NOT_FOUND, Capabilities, NotFoundAtProcessor, ProcessorRequest
from farebox.testing.scheduler import Scheduler, Task


class ParkedProcessor:
    """Implements `ports.processors.Processor`: requests wait for `answer`."""

    name = "sandbox"
    timeout_s = 10.0
    capabilities = Capabilities(
        operations=frozenset(OperationKind),
        instruments=frozenset(InstrumentKind),
        inquiry=True,
        reversal=True,
        reversal_poisons=True,
        needs_pan_for_reversal=False,
        idempotent_submit=True,
    )

    def __init__(self, scheduler: Scheduler) -> None:
        """Start with nobody waiting."""
        self.parked: dict[OperationId, Task[Outcome]] = {}
        self.received: list[ProcessorRequest] = []
        self.known: dict[str, Outcome] = {}
        """What an inquiry finds, by reference."""
        self._scheduler = scheduler

    def answer(self, operation_id: OperationId, outcome: Outcome) -> None:
        """Let a parked request have its answer, and run what follows from it."""
        self._scheduler.keep(self.parked.pop(operation_id), outcome)
        self._scheduler.run()

    async def submit(self, request: ProcessorRequest) -> Outcome:
        """Wait for the answer."""
        self.received.append(request)
        promise = self._scheduler.promise()
        self.parked[request.operation_id] = promise
        return await self._scheduler.wait_for(promise)

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome | NotFoundAtProcessor:
        """Tell what the test says is known."""
        return self.known.get(reference, NOT_FOUND)

    async def reverse(self, request: ProcessorRequest) -> bool:
        """Acknowledge."""
        self.known.pop(request.reference, None)
        return True

    async def close(self) -> None:
        """Have nothing to close."""
