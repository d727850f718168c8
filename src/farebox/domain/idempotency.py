"""Same key, same answer: what is remembered of a request and what a repetition gets.

Source: security design §4.6; the distinction of refusals follows the IETF httpapi idempotency-key
draft (409 while running, 422 for another request under the same key).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.ids import OperationId

KEEP_DAYS = 30
WAIT_S = 2.0
"""How long a repetition waits for the first request before it is told to come back."""
KEY_LENGTH_MAX = 255


class IdempotencyState(StrEnum):
    """Whether the first request has its answer."""

    RUNNING = "running"
    FINISHED = "finished"


@frozen
class IdempotencyRecord:
    """One remembered request. `answer` is sealed under the idempotency key, which is not stored."""

    tenant: Tenant
    kind: str
    key_mac: bytes
    fingerprint: bytes
    state: IdempotencyState
    created_at: datetime
    operation_id: OperationId | None = None
    answer: bytes | None = None
    bucket_minute: int | None = None


class Verdict(StrEnum):
    """What to do with a repeated key."""

    REPLAY = "replay"
    WAIT = "wait"


def judge(record: IdempotencyRecord, fingerprint: bytes) -> Verdict:
    """Decide on a request whose key is already known.

    Raises:
        Conflict: `idempotency_key_reused` when the first request was another one.
    """
    if record.fingerprint != fingerprint:
        raise Conflict(ErrorCode.IDEMPOTENCY_KEY_REUSED)
    return Verdict.REPLAY if record.state is IdempotencyState.FINISHED else Verdict.WAIT


def check_key(key: str) -> str:
    """Refuse a key that is empty, too long or not printable ASCII.

    Raises:
        InvalidRequest: `idempotency_key_invalid`.
    """
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        raise InvalidRequest(ErrorCode.IDEMPOTENCY_KEY_INVALID)
    return key
