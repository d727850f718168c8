"""What each refusal is on the native API: RFC 9457 problem details.

400 for a request that cannot be read, 422 for one that can and is refused for its content, 409 where what
already happened stands against it.
"""

from __future__ import annotations

from collections.abc import Mapping

from farebox.dialects.dialect import Refusal, WireError
from farebox.dialects.native.wire import ProblemOut
from farebox.domain.errors import ErrorCode

TYPE = "urn:farebox:error:"
"""Problem types are absolute names (RFC 9457 §3.1.1) for which no server of ours has to answer."""
DOCUMENTATION = "/docs#error-"
"""The page that every Farebox serves."""

_UNREADABLE = WireError(400, "Bad request")
_REFUSED = WireError(422, "Request refused")
_UNAUTHENTICATED = WireError(401, "Unauthenticated")
_FORBIDDEN = WireError(403, "Forbidden")
_NOT_FOUND = WireError(404, "Not found")
_CONFLICT = WireError(409, "Conflict")
_LIMITED = WireError(429, "Too many requests")
_UNAVAILABLE = WireError(503, "Unavailable")

ERRORS: Mapping[ErrorCode, WireError] = {
    ErrorCode.BODY_MALFORMED: _UNREADABLE,
    ErrorCode.PARAMETER_INVALID: _UNREADABLE,
    ErrorCode.PARAMETER_MISSING: _UNREADABLE,
    ErrorCode.PARAMETER_UNKNOWN: _UNREADABLE,
    ErrorCode.AMOUNT_INVALID: _REFUSED,
    ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED: _REFUSED,
    ErrorCode.AMOUNT_EXCEEDS_CAPTURED: _REFUSED,
    ErrorCode.CURRENCY_UNSUPPORTED: _REFUSED,
    ErrorCode.CARD_NUMBER_INVALID: _REFUSED,
    ErrorCode.CARD_BRAND_UNSUPPORTED: _REFUSED,
    ErrorCode.CARD_EXPIRY_INVALID: _REFUSED,
    ErrorCode.CARD_EXPIRED: _REFUSED,
    ErrorCode.CARD_CVC_INVALID: _REFUSED,
    ErrorCode.CVC_FORBIDDEN: _REFUSED,
    ErrorCode.TRACK_DATA_FORBIDDEN: _REFUSED,
    ErrorCode.BANK_ROUTING_INVALID: _REFUSED,
    ErrorCode.BANK_ACCOUNT_INVALID: _REFUSED,
    ErrorCode.MANDATE_MISSING: _REFUSED,
    ErrorCode.LIFETIME_INVALID: _REFUSED,
    ErrorCode.METADATA_INVALID: _REFUSED,
    ErrorCode.INSTRUMENT_UNSUPPORTED: _REFUSED,
    ErrorCode.OPERATION_UNSUPPORTED: _REFUSED,
    ErrorCode.IDEMPOTENCY_KEY_INVALID: _UNREADABLE,
    ErrorCode.IDEMPOTENCY_KEY_MISSING: _UNREADABLE,
    ErrorCode.URL_REFUSED: _REFUSED,
    ErrorCode.NOT_ACCEPTABLE: WireError(406, "Not acceptable"),
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: WireError(415, "Unsupported media type"),
    ErrorCode.METHOD_NOT_ALLOWED: WireError(405, "Method not allowed"),
    ErrorCode.API_KEY_MISSING: _UNAUTHENTICATED,
    ErrorCode.API_KEY_INVALID: _UNAUTHENTICATED,
    ErrorCode.SCOPE_MISSING: _FORBIDDEN,
    ErrorCode.ACCOUNT_FORBIDDEN: _FORBIDDEN,
    ErrorCode.MODE_MISMATCH: _FORBIDDEN,
    ErrorCode.ROUTE_NOT_FOUND: _NOT_FOUND,
    ErrorCode.TOKEN_NOT_FOUND: _NOT_FOUND,
    ErrorCode.PAYMENT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.OPERATION_NOT_FOUND: _NOT_FOUND,
    ErrorCode.PAYMENT_TOKEN_NOT_FOUND: _NOT_FOUND,
    ErrorCode.AGREEMENT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.CUSTOMER_NOT_FOUND: _NOT_FOUND,
    ErrorCode.EVENT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.MERCHANT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.DOCUMENT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.CHECKOUT_SESSION_NOT_FOUND: _NOT_FOUND,
    ErrorCode.WEBHOOK_ENDPOINT_NOT_FOUND: _NOT_FOUND,
    ErrorCode.WEBHOOK_DELIVERY_NOT_FOUND: _NOT_FOUND,
    ErrorCode.TOKEN_ALREADY_CONSUMED: _CONFLICT,
    ErrorCode.TOKEN_IN_FLIGHT: _CONFLICT,
    ErrorCode.TOKEN_EXPIRED: _CONFLICT,
    ErrorCode.TOKEN_REVOKED: _CONFLICT,
    ErrorCode.TOKEN_CLASS_MISMATCH: _CONFLICT,
    ErrorCode.VERIFICATIONS_EXHAUSTED: _CONFLICT,
    ErrorCode.AGREEMENT_ENDED: _CONFLICT,
    ErrorCode.PAYMENT_STATE_CONFLICT: _CONFLICT,
    ErrorCode.REFERENCE_ALREADY_USED: _CONFLICT,
    ErrorCode.NAME_ALREADY_USED: _CONFLICT,
    ErrorCode.DOCUMENT_STATE_CONFLICT: _CONFLICT,
    ErrorCode.INSTRUMENT_ALREADY_STORED: _CONFLICT,
    ErrorCode.CHECKOUT_SESSION_CONFLICT: _CONFLICT,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: _REFUSED,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: _CONFLICT,
    ErrorCode.RATE_LIMITED: _LIMITED,
    ErrorCode.CARD_PROBING_REFUSED: _LIMITED,
    ErrorCode.BODY_TOO_LARGE: WireError(413, "Body too large"),
    ErrorCode.URI_TOO_LONG: WireError(414, "Address too long"),
    ErrorCode.PROCESSOR_UNREACHABLE: _UNAVAILABLE,
    ErrorCode.STORAGE_BUSY: _UNAVAILABLE,
    ErrorCode.COMMIT_UNKNOWN: _UNAVAILABLE,
    ErrorCode.VAULT_SEALED: _UNAVAILABLE,
    ErrorCode.SHUTTING_DOWN: _UNAVAILABLE,
    ErrorCode.INTERNAL_ERROR: WireError(500, "Internal error"),
    ErrorCode.CONFIGURATION_INVALID: WireError(500, "Internal error"),
}


def write_error(refusal: Refusal) -> ProblemOut:
    """Write a refusal as problem details."""
    return ProblemOut(
        type=TYPE + refusal.code.value,
        title=refusal.wire.title,
        status=refusal.wire.status,
        detail=refusal.message,
        code=refusal.code.value,
        request_id=refusal.request_id,
        doc_url=DOCUMENTATION + refusal.code.value,
        param=refusal.param,
    )
