"""Processors: who authorizes and moves money.

A processor is sent each request at most once by the owner of the operation. Recovery only inquires and
reverses. An unrecognised answer is `InDoubt` (SEC-22); `Unavailable` is raised only when it is certain
that no byte of the request left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Protocol

from farebox.domain.access import Mode, Tenant
from farebox.domain.declines import DeclineReason
from farebox.domain.frozen import frozen
from farebox.domain.ids import OperationId
from farebox.domain.instruments import InstrumentKind, PayerDetails, PaymentInstrument
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, OperationKind, Outcome, Reason


@frozen
class Capabilities:
    """What a processor can do (security design §4.7)."""

    operations: frozenset[OperationKind]
    instruments: frozenset[InstrumentKind]
    inquiry: bool
    reversal: bool
    reversal_poisons: bool
    """A late original whose reversal was seen is declined (R5)."""
    needs_pan_for_reversal: bool
    idempotent_submit: bool
    currencies: frozenset[str] = frozenset()
    """Empty means all."""
    partial_capture: bool = True
    multiple_captures: bool = True
    partial_void: bool = True
    modes: frozenset[Mode] = frozenset(Mode)
    """The sandbox serves test mode only: its approvals must never be taken for money."""


@frozen
class ProcessorRequest:
    """One operation, ready to be sent.

    `instrument` is present when the operation opens a payment, or when the processor needs the number
    again. `target_reference` and `target_processor_id` name what a follow-up refers to.
    `attributes` are a dialect's own facts that a processor may look at (the sandbox: which dialect's
    table of test values applies); never card data.
    """

    operation_id: OperationId
    reference: str
    kind: OperationKind
    tenant: Tenant
    money: Money
    merchant_time: datetime
    """Now, by the merchant's clock."""
    instrument: PaymentInstrument | None = None
    payer: PayerDetails = field(default_factory=PayerDetails)
    initiator: Initiator = Initiator.CUSTOMER
    reason: Reason | None = None
    network_transaction_id: str | None = None
    """Of the credential's first transaction, on later ones."""
    stores_credential: bool = False
    target_reference: str | None = None
    target_processor_id: str | None = None
    target_kind: OperationKind | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


class NotFoundAtProcessor:
    """The processor does not know the reference: it never had it, or does not have it yet."""

    __slots__ = ()


NOT_FOUND = NotFoundAtProcessor()


class Processor(Protocol):
    """One connection to an acquirer or gateway."""

    name: str
    capabilities: Capabilities
    timeout_s: float
    """After this long without an answer `submit` gives `InDoubt`."""

    async def submit(self, request: ProcessorRequest) -> Outcome:
        """Send an operation, once.

        Raises:
            Unavailable: `processor_unreachable`, only when no byte was sent.
        """
        ...

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome | NotFoundAtProcessor:
        """Ask what became of an operation; `InDoubt` when even that cannot be learnt."""
        ...

    async def reverse(self, request: ProcessorRequest) -> bool:
        """Undo an operation in doubt by its reference; True when the processor acknowledged.

        Repeating it is harmless. The request is the original one; its instrument is present only if
        `needs_pan_for_reversal`.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@frozen
class Fault:
    """Scripted trouble for one of the next requests of a tenant.

    Attributes:
        trouble: `late`, `never`, `twice`, `garbled`, `drop_before_write`, `drop_after_write`, `decline`,
            `hold` or another name the sandbox documents.
        operation: only requests of this kind, or any.
        count: how many requests it hits before it is used up.
        delay_s: for `late`.
        parameters: what else the trouble needs, such as a decline's code.
    """

    trouble: str
    operation: OperationKind | None = None
    count: int = 1
    delay_s: float = 0.0
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])


class Sandbox(Protocol):
    """The hands on the sandbox acquirer; only in test mode."""

    async def add_fault(self, tenant: Tenant, fault: Fault) -> None:
        """Queue trouble for the tenant's next requests."""
        ...

    async def clear_faults(self, tenant: Tenant) -> None:
        """Forget the tenant's queued trouble."""
        ...

    async def close_batch(self, tenant: Tenant, now: datetime) -> tuple[str, ...]:
        """Settle the tenant's open captures, refunds and credits; give their references."""
        ...

    async def decide_pending(
        self, tenant: Tenant, reference: str, reason: DeclineReason | None, code: str | None = None
    ) -> bool:
        """Be the payer of a pending request: complete it, or not for a reason.

        Returns:
            False when it was not pending any more.
        """
        ...

    async def expire_pending(self, tenant: Tenant, now: datetime) -> tuple[str, ...]:
        """Decline what its payer has not completed by `now`, the merchant's; give the references."""
        ...

    async def ledger(self, tenant: Tenant) -> tuple[Mapping[str, str | int], ...]:
        """Give the acquirer's own books for the tenant, for tests to compare with ours."""
        ...
