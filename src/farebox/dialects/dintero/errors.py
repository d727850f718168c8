"""What each refusal is in this dialect: one envelope, an HTTP status, and a word for the code.

Programs read `error.message`; Magento prints every `errors[].description`, and WooCommerce reads `error`
without looking whether it is there. A business rule never answers 403: nopCommerce then fetches a token
and repeats, without end.

Source: Dintero's error guide; the codes beside `INVALID_REQUEST_PARAMETER` are ours to choose.
"""

from __future__ import annotations

from collections.abc import Mapping

from farebox.dialects.dialect import Refusal, WireError
from farebox.dialects.dintero.wire import ErrorOut, ErrorsOut, ProblemOut
from farebox.domain.errors import (
    CLASS_OF,
    MESSAGES,
    Conflict,
    ErrorCode,
    FareboxError,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Problem,
    Unauthenticated,
    Unavailable,
)

INVALID = WireError(400, "Request validation failed", "INVALID_REQUEST_PARAMETER")
CONFLICT = WireError(409, "Conflict", "CONFLICT")
FORBIDDEN = WireError(403, "Forbidden", "FORBIDDEN")
PRECONDITION = WireError(412, "Precondition failed", "PRECONDITION_FAILED")
_UNEXPECTED = WireError(500, "Unexpected error", "UNEXPECTED_ERROR")

_BY_CLASS: Mapping[type[FareboxError], WireError] = {
    InvalidRequest: INVALID,
    Unauthenticated: WireError(401, "Unauthorized", "UNAUTHORIZED"),
    Forbidden: FORBIDDEN,
    NotFound: WireError(404, "Not found", "NOT_FOUND"),
    # What already happened stands against the request: to this API a wrong state is a bad request.
    Conflict: INVALID,
    LimitExceeded: WireError(429, "Too many requests", "TOO_MANY_REQUESTS"),
    Unavailable: WireError(503, "Temporarily unavailable", "UNAVAILABLE"),
}
_BY_CODE: Mapping[ErrorCode, WireError] = {
    ErrorCode.METHOD_NOT_ALLOWED: WireError(405, "Method not allowed", "METHOD_NOT_ALLOWED"),
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: WireError(415, "Unsupported media type", "UNSUPPORTED_MEDIA_TYPE"),
    ErrorCode.BODY_TOO_LARGE: WireError(413, "Body too large", "BODY_TOO_LARGE"),
    ErrorCode.URI_TOO_LONG: WireError(414, "Address too long", "URI_TOO_LONG"),
    ErrorCode.DOCUMENT_STATE_CONFLICT: CONFLICT,
    ErrorCode.NAME_ALREADY_USED: CONFLICT,
    ErrorCode.INTERNAL_ERROR: _UNEXPECTED,
    ErrorCode.CONFIGURATION_INVALID: _UNEXPECTED,
}

ERRORS: Mapping[ErrorCode, WireError] = {
    code: _BY_CODE.get(code) or _BY_CLASS.get(CLASS_OF[code], _UNEXPECTED) for code in ErrorCode
}

NO_SESSION: Mapping[ErrorCode, WireError] = dict.fromkeys(
    (ErrorCode.API_KEY_INVALID, ErrorCode.API_KEY_MISSING), _BY_CLASS[NotFound]
)
"""To a buyer an address that opens nothing is a session that is not there."""

_PAY = "/sessions/pay"
_NAMES: Mapping[str, str] = {"amount_minor": "amount", "source": "session.customer.tokens"}
"""What this dialect calls a field that a rule of ours names in its own words."""


def write_error(refusal: Refusal) -> ErrorsOut:
    """Write a refusal; a refused merchant-initiated payment also says that it did not succeed."""
    problems = refusal.problems or ((Problem(refusal.code, refusal.param),) if refusal.param else ())
    error = ErrorOut(
        message=refusal.message,
        code=refusal.wire.code,
        errors=[_problem(one) for one in problems] or None,
    )
    request = refusal.request
    is_payment = request is not None and request.path.rstrip("/").endswith(_PAY)
    return ErrorsOut(error=error, success=False if is_payment else None)


def refusal_out(wire: WireError, message: str) -> ErrorsOut:
    """Write a refusal that a writer answers."""
    return ErrorsOut(error=ErrorOut(message=message, code=wire.code))


def _problem(problem: Problem) -> ProblemOut:
    where = _NAMES.get(problem.param or "", problem.param or "")
    message = problem.detail or MESSAGES[problem.code]
    missing = problem.code is ErrorCode.PARAMETER_MISSING
    return ProblemOut(
        code="OBJECT_MISSING_REQUIRED_PROPERTY" if missing else problem.code.value.upper(),
        path=[part for part in where.replace("[", ".").replace("]", "").split(".") if part],
        description=f"{where} is required" if missing else f"{where}: {message}" if where else message,
        message=f"Missing required property: {where.rpartition('.')[2]}" if missing else message,
    )
