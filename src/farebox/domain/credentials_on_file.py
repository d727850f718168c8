"""Stored credentials and the agreement that allows their use without the customer (SEC-14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.ids import AgreementId, CustomerId
from farebox.domain.operations import Initiator, Reason
from farebox.domain.tokens import StoredToken, StoredTokenKind

NETWORK_TRANSACTION_ID_LENGTH_MAX = 64


class AgreementState(StrEnum):
    """An agreement holds until it is ended."""

    ACTIVE = "active"
    ENDED = "ended"


@frozen
class Agreement:
    """What the customer consented to, and the network's id of the transaction it was given with."""

    id: AgreementId
    tenant: Tenant
    state: AgreementState
    reason: Reason
    consented_at: datetime
    created_at: datetime
    customer_id: CustomerId | None = None
    network_transaction_id: str | None = None
    """Opaque, at most 64 characters; set by the first approved transaction or at import."""
    reference: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 1


def check_use(
    token: StoredToken, agreement: Agreement | None, *, initiator: Initiator, has_cvc: bool
) -> None:
    """Tell whether a stored credential may be used this way.

    The customer may use either kind with a fresh CVC. The merchant alone may use only a recurrence
    token, under an agreement that holds, and never with a CVC.

    Raises:
        InvalidRequest: `cvc_forbidden`.
        Conflict: `token_class_mismatch` or `agreement_ended`.
    """
    if initiator is Initiator.CUSTOMER:
        return
    if has_cvc:
        raise InvalidRequest(ErrorCode.CVC_FORBIDDEN, param="source.cvc")
    if token.kind is not StoredTokenKind.RECURRENCE_TOKEN or agreement is None:
        raise Conflict(ErrorCode.TOKEN_CLASS_MISMATCH, param="source")
    if agreement.state is AgreementState.ENDED:
        raise Conflict(ErrorCode.AGREEMENT_ENDED, param="source")
