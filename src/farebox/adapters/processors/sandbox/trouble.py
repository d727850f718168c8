"""Scripted trouble, queued by tenant and used up in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from farebox.domain.access import Tenant
from farebox.domain.declines import DeclineReason
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.operations import OperationKind
from farebox.ports.processors import Fault

TROUBLES: Mapping[str, str] = {
    "late": "Answers after `delay_s`; in doubt if that is longer than the timeout.",
    "delayed": "The request itself arrives after `delay_s`, perhaps when it has been reversed already.",
    "never": "Processes it and never answers.",
    "twice": "Receives it twice.",
    "garbled": "Processes it and answers something nobody can read.",
    "drop_before_write": "Cannot be reached; nothing was sent.",
    "lost_request": "The request is lost on its way; nobody knows.",
    "drop_after_write": "Processes it, and the connection is cut before the answer.",
    "decline": "Declines, with `reason` and `code` from `parameters`.",
    "hold": "Takes it and owes the result until the batch is closed.",
    "review": "Takes it and holds it until somebody approves or cancels it.",
    "inquiry_fails": "The next inquiry gets no answer.",
    "reversal_fails": "The next reversal is not acknowledged.",
}
_RECOVERY_ONLY = frozenset({"inquiry_fails", "reversal_fails"})
QUEUED_MAX = 100


class Faults:
    """The queues."""

    def __init__(self) -> None:
        """Start without trouble."""
        self._queues: dict[Tenant, list[Fault]] = {}

    def add(self, tenant: Tenant, fault: Fault) -> None:
        """Queue trouble.

        Raises:
            InvalidRequest: `parameter_invalid` for a trouble, or a decline's reason, that there is none of.
        """
        if fault.trouble not in TROUBLES:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="trouble")
        reason = fault.parameters.get("reason")
        if reason is not None and reason not in set(DeclineReason):
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="parameters.reason")
        queue = self._queues.setdefault(tenant, [])
        if len(queue) >= QUEUED_MAX:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, detail="Too much trouble is queued already.")
        queue.append(fault)

    def clear(self, tenant: Tenant) -> None:
        """Forget a tenant's trouble."""
        self._queues.pop(tenant, None)

    def take(self, tenant: Tenant, kind: OperationKind) -> Fault | None:
        """Use up the next trouble that hits a request of this kind."""
        return self._take(
            tenant,
            lambda fault: fault.trouble not in _RECOVERY_ONLY and fault.operation in {None, kind},
        )

    def take_named(self, tenant: Tenant, trouble: str) -> Fault | None:
        """Use up the next trouble of this name."""
        return self._take(tenant, lambda fault: fault.trouble == trouble)

    def _take(self, tenant: Tenant, hits: Callable[[Fault], bool]) -> Fault | None:
        queue = self._queues.get(tenant)
        if not queue:
            return None
        for position, fault in enumerate(queue):
            if hits(fault):
                if fault.count > 1:
                    queue[position] = replace(fault, count=fault.count - 1)
                else:
                    del queue[position]
                return fault
        return None
