"""The sandbox acquirer behind the port every processor stands behind.

Deterministic: the same request gets the same answer, ids included. It checks follow-ups against its own
books, never against ours; a reversal whose original has not come poisons the reference (R5); and it has
trouble on command, because trouble is what an acquirer is best at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from farebox.adapters.processors.sandbox.ledger import Entry, Ledger
from farebox.adapters.processors.sandbox.outcomes import Decision, Refused, decide
from farebox.adapters.processors.sandbox.trouble import Faults
from farebox.domain.access import Mode, Tenant
from farebox.domain.cards import Card
from farebox.domain.checks import AvsResult, Checks, CvcResult
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import ErrorCode, Unavailable
from farebox.domain.ids import base32
from farebox.domain.instruments import AlternativeMethod, InstrumentKind, PaymentInstrument
from farebox.domain.operations import (
    Approved,
    Declined,
    InDoubt,
    OperationKind,
    Outcome,
    Pending,
)
from farebox.domain.reveal import reveal
from farebox.ports.processors import (
    NOT_FOUND,
    Capabilities,
    Fault,
    NotFoundAtProcessor,
    ProcessorRequest,
)
from farebox.ports.system import Clock

_decode_later = msgspec.json.Decoder(dict[str, str | Refused]).decode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLLOW_UPS = frozenset({OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND})


class SandboxProcessor:
    """Implements `ports.processors.Processor` and `Sandbox`."""

    name = "sandbox"

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Clock,
        timeout_s: float = 10.0,
        needs_pan_for_reversal: bool = False,
        reversal_poisons: bool = True,
    ) -> None:
        """Open the books.

        Args:
            path: the books' file, or none for books in memory.
            clock: whose `sleep` lateness is measured with.
            timeout_s: how long a caller waits for an answer.
            needs_pan_for_reversal: be an acquirer that wants the number again.
            reversal_poisons: false is an acquirer that breaks R5, for tests that show why it matters.
        """
        self.timeout_s = timeout_s
        self.capabilities = Capabilities(
            operations=frozenset(OperationKind),
            instruments=frozenset(InstrumentKind),
            inquiry=True,
            reversal=True,
            reversal_poisons=reversal_poisons,
            needs_pan_for_reversal=needs_pan_for_reversal,
            idempotent_submit=True,
            modes=frozenset({Mode.TEST}),
        )
        self._clock = clock
        self._ledger = Ledger(path)
        self._faults = Faults()
        self._late: set[asyncio.Task[None]] = set()

    # --- Processor ---------------------------------------------------------------------------------

    async def submit(self, request: ProcessorRequest) -> Outcome:
        """Decide on a request, unless scripted trouble comes between."""
        fault = self._faults.take(request.tenant, request.kind)
        match fault.trouble if fault else "":
            case "drop_before_write":
                raise Unavailable(ErrorCode.PROCESSOR_UNREACHABLE)
            case "lost_request":
                return InDoubt("disconnected")
            case "delayed":
                return await self._arrive_late(request, fault.delay_s if fault else 0)
            case "decline":
                outcome = self._process(request, _scripted_decline(fault))
            case "hold":
                outcome = self._process(request, Decision("pending", Checks()))
            case "twice":
                self._process(request)
                outcome = self._process(request)
            case _ if request.kind in _FOLLOW_UPS:
                outcome = self._process(request)
                fault = fault or self._promised_trouble(request)
            case _:
                decision = decide(request)
                outcome = self._process(request, decision)
                if decision.trouble is not None:
                    fault = fault or Fault(decision.trouble, delay_s=decision.delay_s or 0.0)
        return await self._answer(outcome, fault)

    async def inquire(self, reference: str, tenant: Tenant) -> Outcome | NotFoundAtProcessor:
        """Tell what became of a request."""
        if self._faults.take_named(tenant, "inquiry_fails"):
            return InDoubt("disconnected")
        entry = self._ledger.find(reference)
        if entry is None or (entry.merchant_id, entry.mode) != (tenant.merchant_id, tenant.mode.value):
            return NOT_FOUND
        await self._ledger.committed()
        return _outcome(entry)

    async def reverse(self, request: ProcessorRequest) -> bool:
        """Undo by reference; an original that comes later is declined."""
        if self._faults.take_named(request.tenant, "reversal_fails"):
            return False
        if self._ledger.find(request.reference) is None:
            if self.capabilities.reversal_poisons:
                self._ledger.poison(request.reference, request.tenant)
        else:
            self._ledger.reverse(request.reference)
        await self._ledger.committed()
        return True

    async def close(self) -> None:
        """Let late requests arrive no more, and close the books."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        self._ledger.close()

    # --- Sandbox -----------------------------------------------------------------------------------

    async def add_fault(self, tenant: Tenant, fault: Fault) -> None:
        """Queue trouble."""
        self._faults.add(tenant, fault)

    async def clear_faults(self, tenant: Tenant) -> None:
        """Forget queued trouble."""
        self._faults.clear(tenant)

    async def close_batch(self, tenant: Tenant, now: datetime) -> tuple[str, ...]:
        """Settle what is open."""
        return self._ledger.close_batch(tenant)

    async def decide_pending(
        self, tenant: Tenant, reference: str, reason: DeclineReason | None, code: str | None = None
    ) -> bool:
        """Be the payer of a pending request: complete it, or not for a reason."""
        decided = self._ledger.decide(reference, tenant, reason.value if reason else None, code)
        await self._ledger.committed()
        return decided

    async def expire_pending(self, tenant: Tenant, now: datetime) -> tuple[str, ...]:
        """Decline what was not completed in time."""
        expired = self._ledger.expire(tenant, _microseconds(now), DeclineReason.NOT_PAID_IN_TIME.value)
        await self._ledger.committed()
        return expired

    async def ledger(self, tenant: Tenant) -> tuple[Mapping[str, str | int], ...]:
        """Give the books."""
        return tuple(
            {
                name: value
                for name, value in asdict(entry).items()
                if name != "fingerprint" and value is not None
            }
            for entry in self._ledger.entries(tenant)
        )

    # --- inside ------------------------------------------------------------------------------------

    def _promised_trouble(self, request: ProcessorRequest) -> Fault | None:
        """Give the trouble that the opening operation's card brings to this kind of follow-up."""
        promised = self._promised(request)
        return Fault(promised) if isinstance(promised, str) else None

    def _promised(self, request: ProcessorRequest) -> str | Refused | None:
        """Give what the opening operation's card has in store for this kind of follow-up."""
        target = self._ledger.find(request.target_reference or "")
        opening = self._ledger.find(target.root) if target else None
        if opening is None or opening.later is None:
            return None
        return _decode_later(opening.later).get(request.kind.value)

    async def _answer(self, outcome: Outcome, fault: Fault | None) -> Outcome:
        """Let the answer travel back, as well as the fault lets it."""
        await self._ledger.committed()
        trouble = fault.trouble if fault else None
        if fault is not None and trouble == "late":
            if fault.delay_s >= self.timeout_s:
                trouble = "never"
            else:
                await self._clock.sleep(fault.delay_s)
        if trouble == "never":
            await self._clock.sleep(self.timeout_s)
            return InDoubt("timeout")
        if trouble == "garbled":
            return InDoubt("unreadable")
        return InDoubt("disconnected") if trouble == "drop_after_write" else outcome

    async def _arrive_late(self, request: ProcessorRequest, delay_s: float) -> Outcome:
        """Let the request itself be late: it may arrive after its caller has given up and reversed it."""
        if delay_s < self.timeout_s:
            await self._clock.sleep(delay_s)
            return await self._answer(self._process(request), None)

        async def arrive() -> None:
            await self._clock.sleep(delay_s)
            self._process(request)

        task = asyncio.ensure_future(arrive())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await self._clock.sleep(self.timeout_s)
        return InDoubt("timeout")

    def _process(self, request: ProcessorRequest, decision: Decision | None = None) -> Outcome:
        """Decide once; a repeated reference gets the first decision."""
        entry = self._entry(request, decision or self._judge(request))
        if self._ledger.add(entry):
            return _outcome(entry)
        first = self._ledger.find(request.reference)
        if first is not None:
            self._ledger.received_again(request.reference)
            return _outcome(first)
        entry = self._entry(request, _declined(DeclineReason.ALREADY_REVERSED))
        self._ledger.add(entry, unless_poisoned=False)
        return _outcome(entry)

    def _judge(self, request: ProcessorRequest) -> Decision:
        promised = self._promised(request)
        if isinstance(promised, Refused):
            return Decision("declined", Checks(), reason=promised.reason, code=promised.code)
        match request.kind:
            case OperationKind.CAPTURE:
                return self._judge_capture(request)
            case OperationKind.REFUND:
                return self._judge_refund(request)
            case OperationKind.VOID:
                return self._judge_void(request)
            case _:
                return decide(request)

    def _judge_capture(self, request: ProcessorRequest) -> Decision:
        target = self._target(request)
        if target is None:
            return _declined(DeclineReason.TRANSACTION_NOT_FOUND)
        sums = self._ledger.sums(target.root)
        if request.money.amount_minor > sums.authorized - sums.captured - sums.voided:
            return _declined(DeclineReason.AMOUNT_EXCEEDED)
        return Decision("approved", Checks())

    def _judge_refund(self, request: ProcessorRequest) -> Decision:
        target = self._target(request)
        if target is None:
            return _declined(DeclineReason.TRANSACTION_NOT_FOUND)
        sums = self._ledger.sums(target.root)
        if request.money.amount_minor > sums.captured - sums.refunded:
            return _declined(DeclineReason.AMOUNT_EXCEEDED)
        if request.attributes.get("payout"):
            # By bank transfer to somebody who paid in cash: it is done when the bank has done it.
            return Decision("pending", Checks())
        return Decision("approved", Checks())

    def _judge_void(self, request: ProcessorRequest) -> Decision:
        target = self._target(request)
        if target is None:
            return _declined(DeclineReason.TRANSACTION_NOT_FOUND)
        if target.kind == OperationKind.AUTHORIZATION.value:
            sums = self._ledger.sums(target.root)
            left = sums.authorized - sums.captured - sums.voided
        elif target.batch is not None:
            return _declined(DeclineReason.ALREADY_SETTLED)
        else:
            left = target.approved_minor - self._ledger.voided_of(target.reference)
        if request.money.amount_minor > left:
            return _declined(DeclineReason.AMOUNT_EXCEEDED)
        return Decision("approved", Checks())

    def _target(self, request: ProcessorRequest) -> Entry | None:
        """Find what a follow-up names, if it was approved and is this tenant's."""
        entry = self._ledger.find(request.target_reference or "")
        if entry is None or entry.state != "approved":
            return None
        tenant = request.tenant
        return entry if (entry.merchant_id, entry.mode) == (tenant.merchant_id, tenant.mode.value) else None

    def _entry(self, request: ProcessorRequest, decision: Decision) -> Entry:
        amount_minor = request.money.amount_minor
        approved_minor = {"approved": amount_minor, "partial": amount_minor // 2}.get(decision.outcome, 0)
        target = self._ledger.find(request.target_reference) if request.target_reference else None
        instrument = request.instrument
        number = reveal(instrument.pan.number) if isinstance(instrument, Card) else None
        return Entry(
            reference=request.reference,
            merchant_id=request.tenant.merchant_id,
            mode=request.tenant.mode.value,
            kind=request.kind.value,
            root=target.root if target else request.reference,
            target=request.target_reference,
            target_kind=request.target_kind.value if request.target_kind else None,
            amount_minor=amount_minor,
            approved_minor=approved_minor,
            currency=request.money.currency,
            state="approved" if decision.outcome == "partial" else decision.outcome,
            settles=decision.settles if decision.outcome == "pending" else None,
            reason=decision.reason.value if decision.reason else None,
            code=decision.code,
            message=decision.message,
            avs=decision.checks.avs.value,
            cvc=decision.checks.cvc.value,
            fingerprint=self._ledger.fingerprint(number.encode()) if number else None,
            later=msgspec.json.encode(decision.later).decode() if decision.later else None,
            expires_at=_expiry_of(instrument),
        )


def _expiry_of(instrument: PaymentInstrument | None) -> int | None:
    """Give the microsecond after which the payer no longer can complete."""
    if not isinstance(instrument, AlternativeMethod) or instrument.expires_at is None:
        return None
    return _microseconds(instrument.expires_at)


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _declined(reason: DeclineReason) -> Decision:
    return Decision("declined", Checks(), reason=reason)


def _scripted_decline(fault: Fault | None) -> Decision:
    parameters: Mapping[str, str] = fault.parameters if fault else {}
    reason = DeclineReason(parameters.get("reason", DeclineReason.DO_NOT_HONOR.value))
    return Decision("declined", Checks(), reason=reason, code=parameters.get("code"))


def _outcome(entry: Entry) -> Outcome:
    """Read an entry as the answer it stands for; ids follow from the reference."""
    digest = sha256(entry.reference.encode()).digest()
    processor_id = f"sbx_{base32(int.from_bytes(digest[:10], 'big'), 16)}"
    checks = Checks(AvsResult(entry.avs), CvcResult(entry.cvc))
    network_transaction_id = None
    if entry.kind not in {kind.value for kind in _FOLLOW_UPS}:
        network_transaction_id = f"ntx{base32(int.from_bytes(digest[10:20], 'big'), 16)}"
    match entry.state:
        case "approved":
            return Approved(
                processor_id=processor_id,
                approved_minor=entry.approved_minor,
                authorization_code=base32(int.from_bytes(digest[20:24], "big"), 6).upper(),
                checks=checks,
                network_transaction_id=network_transaction_id,
            )
        case "pending":
            return Pending(processor_id)
        case "reversed":
            return Declined(decline_for(DeclineReason.ALREADY_REVERSED), processor_id, checks)
        case _:
            reason = DeclineReason(entry.reason) if entry.reason else DeclineReason.OTHER
            return Declined(decline_for(reason, entry.code, entry.message), processor_id, checks)
