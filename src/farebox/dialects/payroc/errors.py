"""What each refusal is on the Payroc API: RFC 7807 problem details with its own members.

400 for everything that is wrong with a request and for most that is refused for its content, 409 where
what already happened stands against it. Declines are no errors.

Source: Payroc API reference, Errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from farebox.dialects.dialect import Refusal, WireError, WireRequest
from farebox.dialects.payroc.wire.common import ErrorItem, Link, ProblemOut
from farebox.domain.errors import (
    CLASS_OF,
    MESSAGES,
    Conflict,
    ErrorCode,
    Forbidden,
    NotFound,
    Unauthenticated,
)

TYPE = "https://docs.payroc.com/api/errors#"

BAD_REQUEST = WireError(400, "Bad request", "bad-request")
KEY_MISSING = WireError(400, "Idempotency key missing", "idempotency-key-missing")
CAPABILITIES_MISSING = WireError(400, "Capabilities missing", "capabilities-missing")
CARD_TYPE_NOT_SUPPORTED = WireError(400, "Card type is not supported", "card-type-not-supported")
NOT_AUTHORIZED = WireError(401, "Not authorized", "not-authorized")
FORBIDDEN = WireError(403, "Forbidden", "forbidden")
NOT_FOUND = WireError(404, "Not found", "not-found")
NOT_ALLOWED = WireError(405, "Method not allowed", "method-not-allowed")
NOT_ACCEPTABLE = WireError(406, "Not acceptable", "not-acceptable")
KEY_IN_USE = WireError(409, "Idempotency key in use", "idempotency-key-in-use")
ALREADY_EXISTS = WireError(409, "Resource already exists", "resource-already-exists")
CANNOT_BE_MODIFIED = WireError(409, "Cannot be modified", "cannot-be-modified")
TOO_LARGE = WireError(413, "Payload too large", "payload-too-large")
UNSUPPORTED_MEDIA_TYPE = WireError(415, "Unsupported media type", "unsupported-media-type")
TOO_MANY = WireError(429, "Too many requests", "too-many-requests")
API_ERROR = WireError(500, "Api error", "api-error")
UNAVAILABLE = WireError(503, "Api error", "api-error")

_OWN: Mapping[ErrorCode, WireError] = {
    ErrorCode.IDEMPOTENCY_KEY_MISSING: KEY_MISSING,
    ErrorCode.OPERATION_UNSUPPORTED: CAPABILITIES_MISSING,
    ErrorCode.CARD_BRAND_UNSUPPORTED: CARD_TYPE_NOT_SUPPORTED,
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.NOT_ACCEPTABLE: NOT_ACCEPTABLE,
    ErrorCode.METHOD_NOT_ALLOWED: NOT_ALLOWED,
    # A single-use token that cannot be used is something wrong with the request.
    ErrorCode.TOKEN_NOT_FOUND: BAD_REQUEST,
    ErrorCode.TOKEN_ALREADY_CONSUMED: BAD_REQUEST,
    ErrorCode.TOKEN_EXPIRED: BAD_REQUEST,
    ErrorCode.TOKEN_REVOKED: BAD_REQUEST,
    ErrorCode.TOKEN_CLASS_MISMATCH: BAD_REQUEST,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: KEY_IN_USE,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: KEY_IN_USE,
    ErrorCode.NAME_ALREADY_USED: ALREADY_EXISTS,
    ErrorCode.REFERENCE_ALREADY_USED: ALREADY_EXISTS,
    ErrorCode.RATE_LIMITED: TOO_MANY,
    ErrorCode.CARD_PROBING_REFUSED: TOO_MANY,
    ErrorCode.BODY_TOO_LARGE: TOO_LARGE,
    ErrorCode.URI_TOO_LONG: BAD_REQUEST,
    ErrorCode.INTERNAL_ERROR: API_ERROR,
    ErrorCode.CONFIGURATION_INVALID: API_ERROR,
    ErrorCode.PROCESSOR_UNREACHABLE: UNAVAILABLE,
    ErrorCode.STORAGE_BUSY: UNAVAILABLE,
    ErrorCode.COMMIT_UNKNOWN: UNAVAILABLE,
    ErrorCode.VAULT_SEALED: UNAVAILABLE,
    ErrorCode.SHUTTING_DOWN: UNAVAILABLE,
}
_OF_CLASS: Mapping[type[Exception], WireError] = {
    Unauthenticated: NOT_AUTHORIZED,
    Forbidden: FORBIDDEN,
    NotFound: NOT_FOUND,
    Conflict: CANNOT_BE_MODIFIED,
}
ERRORS: Mapping[ErrorCode, WireError] = {
    code: _OWN.get(code) or _OF_CLASS.get(CLASS_OF[code], BAD_REQUEST) for code in ErrorCode
}

_DETAILS = {
    ErrorCode.PARAMETER_MISSING: "Required field not populated",
    ErrorCode.IDEMPOTENCY_KEY_MISSING: "Required field not populated",
    ErrorCode.IDEMPOTENCY_KEY_INVALID: "Invalid format",
    ErrorCode.BODY_MALFORMED: "Invalid format",
}
_PARAMETERS = {"amount_minor": "amount"}
_TOKENS = frozenset({"source", "source.single_use_token", "single_use_token", "token"})
"""Places that the use cases name in the native API's words."""
_TOKEN_PLACES = {"update-account": "token", "secure-tokens": "source.token", "balance": "card.token"}
"""Where a token stands, by the last segment of the path; elsewhere it is a payment's method."""
_RESOURCES = {
    "single-use-tokens": "Single-use token",
    "secure-tokens": "Secure token",
    "payments": "Payment",
    "refunds": "Refund",
    "bank-transfer-payments": "Bank transfer payment",
    "bank-transfer-refunds": "Bank transfer refund",
    "payment-plans": "Payment plan",
    "subscriptions": "Subscription",
    "payment-links": "Payment link",
    "sharing-events": "Sharing event",
    "event-subscriptions": "Event subscription",
    "processing-terminals": "Processing terminal",
}
_NAMES = ("paymentPlanId", "subscriptionId", "secureTokenId")
_ABSENT_PATHS = frozenset(
    "attachments owners pricing-intents merchant-platforms processing-accounts contacts terminal-orders "
    "funding-recipients funding-accounts funding-instructions funding-balance funding-activity batches "
    "transactions authorizations disputes ach-deposits ach-deposit-fees devices payment-instructions "
    "refund-instructions signature-instructions signatures".split()
)


def write_error(refusal: Refusal) -> ProblemOut:
    """Write a refusal as problem details."""
    wire, request = refusal.wire, refusal.request
    return ProblemOut(
        type=TYPE + wire.code,
        title=wire.title,
        status=wire.status,
        detail=_detail(refusal),
        instance=_instance(request) if wire.status in {400, 403, 409} else None,
        resource=_resource(request) if wire.status in {403, 404} else None,
        errors=_items(refusal) if wire.status in {400, 409, 500, 503} else None,
        link=_existing(request) if wire.code == ALREADY_EXISTS.code else None,
    )


def _detail(refusal: Refusal) -> str:
    if len(refusal.problems) > 1:
        return "Some values failed validation."
    if refusal.code is ErrorCode.ROUTE_NOT_FOUND and refusal.request is not None:
        segments = set(refusal.request.path.strip("/").split("/"))
        if segments & _ABSENT_PATHS:
            return "This server does not offer this family of endpoints."
    return refusal.message


def _instance(request: WireRequest | None) -> str | None:
    if request is None:
        return None
    query = b"?" + request.query if request.query else b""
    return request.base_url + request.path + query.decode("latin-1")


def _resource(request: WireRequest | None) -> str | None:
    """Name what the path is about: the last segment that names a collection."""
    if request is None:
        return None
    named = [_RESOURCES[part] for part in request.path.split("/") if part in _RESOURCES]
    return named[-1] if named else None


def _items(refusal: Refusal) -> list[ErrorItem]:
    if refusal.wire.status >= 500:
        return [ErrorItem(message=refusal.message)]
    if refusal.problems:
        return [_item(refusal, problem.code, problem.param, problem.detail) for problem in refusal.problems]
    return [_item(refusal, refusal.code, refusal.param, refusal.message)]


def _item(refusal: Refusal, code: ErrorCode, param: str | None, detail: str | None) -> ErrorItem:
    parameter = _parameter(refusal.request, param)
    said = detail or MESSAGES[code]
    return ErrorItem(
        parameter=parameter,
        detail=_DETAILS.get(code, "Invalid value") if refusal.wire.status == 400 else None,
        message=f"'{parameter}': {said}" if parameter else said,
    )


def _parameter(request: WireRequest | None, param: str | None) -> str | None:
    if param in _TOKENS:
        end = request.path.rpartition("/")[2] if request is not None else ""
        return _TOKEN_PLACES.get(end, "paymentMethod.token")
    return _PARAMETERS.get(param or "", param) or None


def _existing(request: WireRequest | None) -> Link | None:
    """Point to what has the name already."""
    if request is None:
        return None
    try:
        body: Any = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        return None
    if not isinstance(body, dict):
        return None
    members = cast("dict[str, Any]", body)
    named = next((members[name] for name in _NAMES if name in members), None)
    if not isinstance(named, str):
        return None
    return Link(rel="self", method="GET", href=f"{request.base_url}{request.path}/{named}")
