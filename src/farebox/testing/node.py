"""One running Farebox: the real use cases, wired over a process of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farebox.domain.access import Mode, Tenant
from farebox.domain.events import Event
from farebox.domain.ids import OperationId
from farebox.ports.processors import Processor, Sandbox
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage
from farebox.ports.system import Clock, Randomness
from farebox.ports.vault import Vault
from farebox.services import commands
from farebox.services.application import Application
from farebox.services.credentials import Credentials
from farebox.services.customers import Customers
from farebox.services.follow_ups import FollowUps
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger
from farebox.services.purchases import Purchases
from farebox.services.recovery import Recovery
from farebox.services.reporting import Reporting
from farebox.services.routing import Routing
from farebox.services.sandbox import SandboxCommands
from farebox.services.submission import Submission
from farebox.services.tokenization import Tokenization
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

    def recovery_alarm(self, operation_id: OperationId, attempts: int) -> None:
        """Keep an alarm."""
        self.alarms.append((operation_id, attempts))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node is made of; a test that takes a rule out puts a class of its own in its place."""

    purchases: Callable[..., Purchases] = Purchases
    recovery: Callable[..., Recovery] = Recovery
    ledger: Callable[[Clock, Ids], Ledger] = Ledger
    submission: Callable[..., Submission] = Submission
    application: Callable[..., Application] = Application


@dataclass(frozen=True, slots=True)
class Node:
    """The use cases of one process."""

    application: Application
    tokenization: Tokenization
    recovery: Recovery
    telemetry: SilentTelemetry


def _nobody_remembers(tenant: Tenant) -> None:
    """Need no telling: a principal of the simulation is made anew for every request."""


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
    """Wire the use cases; the same constructor calls as the composition root's."""
    telemetry, ids = SilentTelemetry(), Ids(clock, randomness)
    vaulting = Vaulting(vault, clock, telemetry)
    ledger, submission = parts.ledger(clock, ids), parts.submission(clock, telemetry)
    routing = Routing({processor.name: processor}, storage, clock)
    tokenization = Tokenization(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        bin_length=6,
    )
    purchases = parts.purchases(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
        submission=submission,
        bin_length=6,
    )
    follow_ups = FollowUps(
        storage=storage,
        vaulting=vaulting,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
        submission=submission,
    )
    credentials = Credentials(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        bin_length=6,
    )
    customers = Customers(storage=storage, clock=clock, ids=ids, telemetry=telemetry)
    recovery = parts.recovery(
        storage=storage,
        vaulting=vaulting,
        clock=clock,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
    )
    sandbox_commands = SandboxCommands(
        storage=storage,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        sandbox=sandbox,
        recovery=recovery,
        clock_moved=_nobody_remembers,
    )
    application = parts.application(
        {
            commands.MintSingleUseToken: tokenization.mint,
            commands.LookAtSingleUseToken: tokenization.look,
            commands.RevokeSingleUseToken: tokenization.revoke,
            commands.Pay: purchases.pay,
            commands.FollowUp: follow_ups.follow_up,
            commands.GetPayment: Reporting(storage).payment,
            commands.StoreCredential: credentials.store,
            commands.GetStoredToken: credentials.get,
            commands.DeleteStoredToken: credentials.delete,
            commands.CreateAgreement: credentials.create_agreement,
            commands.EndAgreement: credentials.end_agreement,
            commands.CreateCustomer: customers.create,
            commands.DeleteCustomer: customers.delete,
            commands.CloseBatch: sandbox_commands.close_batch,
        },
        storage=storage,
        secrets=secrets,
        clock=clock,
        telemetry=telemetry,
    )
    return Node(application, tokenization, recovery, telemetry)
