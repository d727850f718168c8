"""One running Farebox: the real use cases, wired over a process of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farebox.domain.access import Mode
from farebox.domain.events import Event
from farebox.domain.ids import OperationId
from farebox.domain.webhooks import AttemptResult, OutboundRequest
from farebox.ports.delivery import Answered, Unanswered
from farebox.ports.processors import Processor, Sandbox
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage
from farebox.ports.system import Clock, Randomness
from farebox.ports.vault import Vault
from farebox.services.access import Access
from farebox.services.application import Application
from farebox.services.checkout import Checkout
from farebox.services.checkout_payments import CheckoutPayments
from farebox.services.ids import Ids
from farebox.services.recovery import Recovery
from farebox.services.tokenization import Tokenization
from farebox.services.use_cases import Parts, build_use_cases
from farebox.services.vaulting import Vaulting


class SilentTelemetry:
    """Implements `ports.telemetry.Telemetry` by keeping the alarms and nothing else."""

    def __init__(self) -> None:
        """Start without alarms."""
        self.alarms: list[tuple[OperationId, int]] = []

    def observe(self, events: Sequence[Event]) -> None:
        """Let it pass."""

    def instrument_opened(self, purpose: str) -> None:
        """Let it pass."""

    def token_conflict(self, dialect: str, mode: Mode) -> None:
        """Let it pass."""

    def replayed(self, dialect: str) -> None:
        """Let it pass."""

    def processor_answered(self, processor: str, operation: str, duration_s: float) -> None:
        """Let it pass."""

    def card_probing(self, distinct: int) -> None:
        """Let it pass."""

    def recovery_alarm(self, operation_id: OperationId, attempts: int) -> None:
        """Keep an alarm."""
        self.alarms.append((operation_id, attempts))

    def webhook_attempted(self, result: AttemptResult) -> None:
        """Let it pass."""


class DeafSender:
    """Implements `ports.delivery.Sender` where nobody listens."""

    def check(self, url: str, mode: Mode) -> None:
        """Let it pass."""

    async def send(
        self, request: OutboundRequest, signature: Sequence[tuple[str, str]], *, mode: Mode, timeout_s: float
    ) -> Answered | Unanswered:
        """Reach nobody."""
        return Unanswered(AttemptResult.UNREACHABLE)

    async def close(self) -> None:
        """Hold nothing."""


def _raise(what: str, error: Exception, /) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class Node:
    """The use cases of one process."""

    application: Application
    tokenization: Tokenization
    recovery: Recovery
    checkout: Checkout
    checkout_payments: CheckoutPayments
    access: Access
    telemetry: SilentTelemetry


def build_node(
    *,
    storage: Storage,
    vault: Vault,
    secrets: Secrets,
    processor: Processor,
    sandbox: Sandbox,
    clock: Clock,
    randomness: Randomness,
    parts: Parts,
) -> Node:
    """Wire the use cases as the composition root does."""
    telemetry, ids = SilentTelemetry(), Ids(clock, randomness)
    access = Access(storage=storage, secrets=secrets, clock=clock, ids=ids, randomness=randomness)
    use_cases = build_use_cases(
        storage=storage,
        vaulting=Vaulting(vault, clock, telemetry),
        secrets=secrets,
        processors={processor.name: processor},
        sandbox=sandbox,
        clock=clock,
        ids=ids,
        randomness=randomness,
        telemetry=telemetry,
        access=access,
        sender=DeafSender(),
        callbacks={},
        on_error=_raise,
        parts=parts,
    )
    return Node(
        use_cases.application,
        use_cases.tokenization,
        use_cases.recovery,
        use_cases.checkout,
        use_cases.checkout_payments,
        access,
        telemetry,
    )
