"""The audit: who opened, changed or was refused what (SEC-11). Entries are hash-chained by storage."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from farebox.domain.frozen import frozen
from farebox.domain.ids import MerchantId


class AuditAction(StrEnum):
    """What is worth an entry."""

    INSTRUMENT_OPENED = "instrument_opened"
    TOKEN_SHOWN = "token_shown"
    """A stored token's string was shown again."""
    ACCESS_REFUSED = "access_refused"
    MERCHANT_CREATED = "merchant_created"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    KEY_CREATED = "key_created"
    KEY_ROTATED = "key_rotated"
    KEY_DESTROYED = "key_destroyed"
    SANDBOX_COMMAND = "sandbox_command"
    RESTORE_NOTICED = "restore_noticed"
    AUDIT_STARTED = "audit_started"
    AUDIT_STOPPED = "audit_stopped"


@frozen
class AuditEntry:
    """One entry: never card data, never a secret, only ids."""

    action: AuditAction
    at: datetime
    merchant_id: MerchantId | None
    actor: str
    """An API key id, `operator` (command line) or `farebox` (a background job)."""
    object_id: str
    why: str
    """For openings the operation kind; for refusals the scope; otherwise empty."""
    request_id: str = ""


@frozen
class ChainedEntry:
    """An audit entry in its place: chain, position, and the digest that seals everything before it."""

    chain: str
    position: int
    entry: AuditEntry
    mac: bytes


def canonical_bytes(chain: str, position: int, entry: AuditEntry) -> bytes:
    """Write an entry unambiguously for its digest: length-prefixed fields in fixed order."""
    fields = (
        chain,
        str(position),
        entry.action.value,
        entry.at.isoformat(),
        entry.merchant_id or "",
        entry.actor,
        entry.object_id,
        entry.why,
        entry.request_id,
    )
    return b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in fields)
