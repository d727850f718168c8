"""What each refusal and each decline is in Bamboo's words: a code, a status, and a text in three languages.

Generation one and two answer an envelope, generation three a flat object, direct tokenization an empty token
with the error inside, payment links a list of errors. Which shape it is follows from the path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from farebox.dialects.bamboo import wire, wire_v3
from farebox.dialects.dialect import Answer, Headers, Refusal, WireError, WireRefusal, WireRequest
from farebox.domain.declines import Decline, DeclineReason
from farebox.domain.errors import CLASS_OF, ErrorCode, FareboxError
from farebox.domain.errors import Conflict as ConflictError
from farebox.domain.errors import NotFound as NotFoundError

LANGUAGES = ("en", "es", "pt")
"""The order of the columns in `data/texts.toml`; the first is the fallback."""
UNKNOWN = "ERR999"


@cache
def texts() -> Mapping[str, tuple[str, str, str]]:
    """Give every code's text in each language."""
    path = files("farebox.dialects.bamboo").joinpath("data/texts.toml")
    groups: Mapping[str, Mapping[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        f"{group}{number}": (row[0], row[1], row[2])
        for group, rows in groups.items()
        for number, row in rows.items()
    }


def text_of(code: str, language: str) -> str:
    """Give a code's text; an unlisted code has the text of the unknown error."""
    row = texts().get(code) or texts()[UNKNOWN]
    return row[LANGUAGES.index(language)]


def language_of(headers: Headers) -> str:
    """Read the `lang` header; what is not one of ours is English."""
    asked = headers.get(b"lang", b"").strip().lower()[:2].decode("ascii", "replace")
    return asked if asked in LANGUAGES else LANGUAGES[0]


def refusal(code: str, *, status: int = 400) -> WireRefusal:
    """Make a refusal of this dialect's own."""
    return WireRefusal(WireError(status, text_of(code, "en"), code))


# --- refusals --------------------------------------------------------------------------------------


def _wire(code: str, status: int = 400) -> WireError:
    return WireError(status, text_of(code, "en"), code)


_OF_CLASS: Mapping[type[FareboxError], WireError] = {
    one: _wire(code, status)
    for one, code, status in (
        (CLASS_OF[ErrorCode.PARAMETER_INVALID], "TR016", 400),
        (CLASS_OF[ErrorCode.API_KEY_INVALID], UNKNOWN, 401),
        (CLASS_OF[ErrorCode.SCOPE_MISSING], UNKNOWN, 403),
        (NotFoundError, UNKNOWN, 404),
        (ConflictError, "TR002", 400),
        (CLASS_OF[ErrorCode.RATE_LIMITED], UNKNOWN, 429),
        (CLASS_OF[ErrorCode.STORAGE_BUSY], "TR996", 503),
        (CLASS_OF[ErrorCode.CONFIGURATION_INVALID], "TR996", 500),
    )
}

ERRORS: Mapping[ErrorCode, WireError] = {
    **{code: _OF_CLASS[CLASS_OF[code]] for code in ErrorCode},
    ErrorCode.BODY_MALFORMED: _wire(UNKNOWN),
    ErrorCode.AMOUNT_INVALID: _wire("PR003"),
    ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED: _wire("TR008"),
    ErrorCode.AMOUNT_EXCEEDS_CAPTURED: _wire("PR003"),
    ErrorCode.CURRENCY_UNSUPPORTED: _wire("PR004"),
    ErrorCode.CARD_NUMBER_INVALID: _wire("TK001"),
    ErrorCode.TRACK_DATA_FORBIDDEN: _wire("TK001"),
    ErrorCode.CARD_CVC_INVALID: _wire("TK002"),
    ErrorCode.CVC_FORBIDDEN: _wire("TK002"),
    ErrorCode.CARD_EXPIRY_INVALID: _wire("TK003"),
    ErrorCode.CARD_EXPIRED: _wire("TK003"),
    ErrorCode.CARD_BRAND_UNSUPPORTED: _wire("TK015"),
    ErrorCode.INSTRUMENT_UNSUPPORTED: _wire("TK014"),
    ErrorCode.OPERATION_UNSUPPORTED: _wire("TR017"),
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: _wire(UNKNOWN),
    ErrorCode.METHOD_NOT_ALLOWED: _wire(UNKNOWN, 405),
    ErrorCode.TOKEN_NOT_FOUND: _wire("PR001"),
    ErrorCode.PAYMENT_TOKEN_NOT_FOUND: _wire("PR001"),
    ErrorCode.TOKEN_ALREADY_CONSUMED: _wire("PR001"),
    ErrorCode.TOKEN_IN_FLIGHT: _wire("PR001"),
    ErrorCode.TOKEN_EXPIRED: _wire("PR001"),
    ErrorCode.TOKEN_REVOKED: _wire("PR001"),
    ErrorCode.TOKEN_CLASS_MISMATCH: _wire("PR001"),
    ErrorCode.AGREEMENT_ENDED: _wire("PR001"),
    ErrorCode.PAYMENT_NOT_FOUND: _wire("PR008", 404),
    ErrorCode.OPERATION_NOT_FOUND: _wire("PR008", 404),
    ErrorCode.CUSTOMER_NOT_FOUND: _wire("CS003", 404),
    ErrorCode.PAYMENT_STATE_CONFLICT: _wire("PR009"),
    ErrorCode.INSTRUMENT_ALREADY_STORED: _wire("CS009"),
    # "Not finished within the configured time": the first request with this UniqueID is still running.
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: _wire("TR999", 408),
    ErrorCode.BODY_TOO_LARGE: _wire(UNKNOWN, 413),
    ErrorCode.URI_TOO_LONG: _wire(UNKNOWN, 414),
    ErrorCode.PROCESSOR_UNREACHABLE: _wire("TR001", 503),
    ErrorCode.COMMIT_UNKNOWN: _wire("TR999", 503),
    ErrorCode.INTERNAL_ERROR: _wire("TR996", 500),
}

TOKEN_ERRORS: Mapping[ErrorCode, WireError] = {
    ErrorCode.CUSTOMER_NOT_FOUND: _wire("TK011"),
    ErrorCode.CARD_PROBING_REFUSED: _wire("TK016", 429),
    ErrorCode.METADATA_INVALID: _wire("TK013"),
    ErrorCode.PARAMETER_INVALID: _wire("TK013"),
    ErrorCode.PARAMETER_MISSING: _wire("TK013"),
    ErrorCode.INTERNAL_ERROR: _wire("TK999", 500),
}
"""Where direct tokenization has a code of its own."""

PROFILE_ERRORS: Mapping[ErrorCode, WireError] = {
    ErrorCode.PAYMENT_TOKEN_NOT_FOUND: _wire("CS010"),
    ErrorCode.CARD_EXPIRY_INVALID: _wire("TK003"),
}

_OF_FIELD: Mapping[str, str] = {
    "amount": "PR003",
    "tip": "PR003",
    "order": "PR002",
    "currency": "PR004",
    "installments": "PR013",
    "targetcountryiso": "PR034",
    "trxtoken": "PR001",
    "taxableamount": "PR010",
    "paymentmediaid": "TK007",
    "paymentmethod": "TK019",
    "from": "PR018",
    "to": "PR018",
    "paymentprofileid": "CS011",
    "pan": "TK001",
    "cvv": "TK002",
    "expiration": "TK003",
    "cryptogram": "TK022",
    "token": "PR001",
    "addresstype": "CS002",
    "documenttypeid": "CS008",
    "docnumber": "CS007",
}
"""The code of a field that has a wrong type."""
_OF_EMAIL = {"/api/token": "TK005", "/v3/": "TR040"}


def code_of(refused: Refusal) -> str:
    """Name a refusal; a field of the wrong type has its own code."""
    if refused.code in {ErrorCode.PARAMETER_INVALID, ErrorCode.PARAMETER_MISSING} and refused.param:
        field = refused.param.rpartition(".")[2].lower()
        if field == "email":
            path = refused.request.path.lower() if refused.request else ""
            found = (code for start, code in _OF_EMAIL.items() if path.startswith(start))
            return next(found, "CS001")
        return _OF_FIELD.get(field, refused.wire.code)
    return refused.wire.code


_CONFLICTS = frozenset({"PR009", "TR002", "TR999"})
"""What generation three answers with 409; everything else that is refused is 400."""


def write_error(refused: Refusal) -> msgspec.Struct | Answer:
    """Write a refusal in the shape of the generation that was asked."""
    request, code = refused.request, code_of(refused)
    message = text_of(code, language_of(request.headers) if request else LANGUAGES[0])
    created = refused.now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] if refused.now else ""
    path = request.path.lower() if request else ""
    if path.startswith("/v3/"):
        is_conflict = code in _CONFLICTS and refused.wire.status in {400, 408}
        status = 409 if is_conflict else refused.wire.status
        return Answer(wire_v3.ErrorOut(error_code=code, error_description=message), status=status)
    if path.startswith("/api/v1/"):
        errors = (wire_v3.LinkError(code=code, message=message),)
        return wire_v3.LinkRefusal(is_success=False, errors=errors)
    error = wire.ErrorOut(error_code=code, created=created, message=message)
    if path.startswith("/api/token"):
        return wire.TokenOut(error=error)
    return wire.Envelope(response=_half_filled(request, code), errors=(error,))


def _half_filled(request: WireRequest | None, code: str) -> msgspec.Struct | None:
    """Give the half-empty customer that a create without e-mail answers (recorded by the PHP SDK)."""
    if request is None or code != "CS001" or request.path.lower().rstrip("/") != "/v1/api/customer":
        return None
    try:
        sent = msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    text = {name: sent[name] for name in _ECHOED if isinstance(sent.get(name), str)}
    return wire.CustomerOut(
        customer_id=0,
        created=None,
        commerce_customer_id=None,
        owner="Commerce",
        email=text.get("Email"),
        enabled=True,
        shipping_address=None,
        billing_address=None,
        additional_data=None,
        payment_profiles=None,
        capture_url=None,
        unique_id=None,
        url=None,
        first_name=text.get("FirstName"),
        last_name=text.get("LastName"),
        doc_number=text.get("DocNumber"),
        document_type_id=None,
        phone_number=text.get("PhoneNumber"),
    )


_ECHOED = ("Email", "FirstName", "LastName", "DocNumber", "PhoneNumber")


# --- declines --------------------------------------------------------------------------------------

_DECLINES: Mapping[DeclineReason, str] = {
    DeclineReason.DO_NOT_HONOR: "TR013",
    DeclineReason.REFER_TO_ISSUER: "TR020",
    DeclineReason.INSUFFICIENT_FUNDS: "TR026",
    DeclineReason.LIMIT_EXCEEDED: "TR012",
    DeclineReason.FREQUENCY_EXCEEDED: "TR024",
    DeclineReason.RESTRICTED_CARD: "TR023",
    DeclineReason.NOT_PERMITTED: "TR023",
    DeclineReason.EXPIRED_CARD: "TR021",
    DeclineReason.INCORRECT_NUMBER: "TR007",
    DeclineReason.INCORRECT_CVC: "TR022",
    DeclineReason.INCORRECT_EXPIRY: "TR021",
    DeclineReason.INCORRECT_ADDRESS: "TR025",
    DeclineReason.INCORRECT_PIN: "TR007",
    DeclineReason.PIN_REQUIRED: "TR027",
    DeclineReason.PIN_TRIES_EXCEEDED: "TR011",
    DeclineReason.CLOSED_ACCOUNT: "TR031",
    DeclineReason.NO_ACCOUNT: "TR031",
    DeclineReason.LOST_CARD: "TR011",
    DeclineReason.STOLEN_CARD: "TR011",
    DeclineReason.PICKUP_CARD: "TR011",
    DeclineReason.SUSPECTED_FRAUD: "TR014",
    DeclineReason.SECURITY_VIOLATION: "TR014",
    DeclineReason.AUTHENTICATION_REQUIRED: "TR075",
    DeclineReason.AUTHENTICATION_FAILED: "TR076",
    DeclineReason.STOP_PAYMENT: "TR032",
    DeclineReason.STOP_RECURRING: "TR032",
    DeclineReason.LIFECYCLE: "TR031",
    DeclineReason.INVALID_TRANSACTION: "TR017",
    DeclineReason.INVALID_AMOUNT: "TR039",
    DeclineReason.DUPLICATE_TRANSACTION: "TR006",
    DeclineReason.CURRENCY_NOT_SUPPORTED: "PR004",
    DeclineReason.CARD_NOT_SUPPORTED: "TR007",
    DeclineReason.AMOUNT_EXCEEDED: "PR003",
    DeclineReason.TRANSACTION_NOT_FOUND: "TR002",
    DeclineReason.ALREADY_SETTLED: "TR002",
    DeclineReason.ALREADY_REVERSED: "TR002",
    DeclineReason.INVALID_MERCHANT: "TR003",
    DeclineReason.RISK_RULE: "TR301",
    DeclineReason.VELOCITY_EXCEEDED: "TR030",
    DeclineReason.REVIEW_NEEDED: "TR015",
    DeclineReason.MANDATE_INVALID: "TR016",
    DeclineReason.DEBIT_NOT_AUTHORIZED: "TR013",
    DeclineReason.NOT_PAID_IN_TIME: "TR100",
    DeclineReason.CANCELLED_BY_PAYER: "TR100",
    DeclineReason.ISSUER_UNAVAILABLE: "TR005",
    DeclineReason.PROCESSOR_ERROR: "TR019",
    DeclineReason.OTHER: "TR100",
}
CANCELLED = frozenset({DeclineReason.NOT_PAID_IN_TIME, DeclineReason.CANCELLED_BY_PAYER})
"""What ends a pending purchase as cancelled, not as rejected."""


def decline_code(decline: Decline) -> str:
    """Name a decline: the acquirer's own code where it is one of ours, else by its reason."""
    if decline.processor_code in texts():
        return decline.processor_code or ""
    return _DECLINES.get(decline.reason, "TR100")
