"""The closed taxonomy of refusals.

    FareboxError
    ├─ InvalidRequest       the caller fixes the request
    ├─ Unauthenticated      the caller fixes the credentials
    ├─ Forbidden            the caller uses other credentials
    ├─ NotFound             there is no such thing for this caller
    ├─ Conflict             the caller reconciles with what already happened
    ├─ LimitExceeded        the caller slows down or sends less
    ├─ Unavailable          nothing was sent; retry with the same idempotency key
    └─ ConfigurationError   at start-up only, for the operator

A decline is no error: it is an `Outcome` (see `operations.py`). An error never quotes input; its
message is the fixed text of its code. `code` is stable and has an anchor in
`docs/reference/errors.md`; removing one is a breaking change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from farebox.domain.frozen import frozen


class ErrorCode(StrEnum):
    """Everything Farebox refuses with; the value is what a program sees."""

    # InvalidRequest: the shape or the content of the request
    BODY_MALFORMED = "body_malformed"
    PARAMETER_INVALID = "parameter_invalid"
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_UNKNOWN = "parameter_unknown"
    AMOUNT_INVALID = "amount_invalid"
    AMOUNT_EXCEEDS_AUTHORIZED = "amount_exceeds_authorized"
    AMOUNT_EXCEEDS_CAPTURED = "amount_exceeds_captured"
    CURRENCY_UNSUPPORTED = "currency_unsupported"
    CARD_NUMBER_INVALID = "card_number_invalid"
    CARD_BRAND_UNSUPPORTED = "card_brand_unsupported"
    CARD_EXPIRY_INVALID = "card_expiry_invalid"
    CARD_EXPIRED = "card_expired"
    CARD_CVC_INVALID = "card_cvc_invalid"
    CVC_FORBIDDEN = "cvc_forbidden"
    TRACK_DATA_FORBIDDEN = "track_data_forbidden"
    BANK_ROUTING_INVALID = "bank_routing_invalid"
    BANK_ACCOUNT_INVALID = "bank_account_invalid"
    MANDATE_MISSING = "mandate_missing"
    LIFETIME_INVALID = "lifetime_invalid"
    METADATA_INVALID = "metadata_invalid"
    INSTRUMENT_UNSUPPORTED = "instrument_unsupported"
    OPERATION_UNSUPPORTED = "operation_unsupported"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    URL_REFUSED = "url_refused"
    NOT_ACCEPTABLE = "not_acceptable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    # Unauthenticated, Forbidden
    API_KEY_MISSING = "api_key_missing"
    API_KEY_INVALID = "api_key_invalid"
    SCOPE_MISSING = "scope_missing"
    ACCOUNT_FORBIDDEN = "account_forbidden"
    MODE_MISMATCH = "mode_mismatch"
    # NotFound
    ROUTE_NOT_FOUND = "route_not_found"
    TOKEN_NOT_FOUND = "token_not_found"
    PAYMENT_NOT_FOUND = "payment_not_found"
    OPERATION_NOT_FOUND = "operation_not_found"
    PAYMENT_TOKEN_NOT_FOUND = "payment_token_not_found"
    AGREEMENT_NOT_FOUND = "agreement_not_found"
    CUSTOMER_NOT_FOUND = "customer_not_found"
    EVENT_NOT_FOUND = "event_not_found"
    MERCHANT_NOT_FOUND = "merchant_not_found"
    DOCUMENT_NOT_FOUND = "document_not_found"
    CHECKOUT_SESSION_NOT_FOUND = "checkout_session_not_found"
    WEBHOOK_ENDPOINT_NOT_FOUND = "webhook_endpoint_not_found"
    WEBHOOK_DELIVERY_NOT_FOUND = "webhook_delivery_not_found"
    # Conflict
    TOKEN_ALREADY_CONSUMED = "token_already_consumed"
    TOKEN_IN_FLIGHT = "token_in_flight"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    TOKEN_CLASS_MISMATCH = "token_class_mismatch"
    VERIFICATIONS_EXHAUSTED = "verifications_exhausted"
    AGREEMENT_ENDED = "agreement_ended"
    PAYMENT_STATE_CONFLICT = "payment_state_conflict"
    REFERENCE_ALREADY_USED = "reference_already_used"
    NAME_ALREADY_USED = "name_already_used"
    DOCUMENT_STATE_CONFLICT = "document_state_conflict"
    INSTRUMENT_ALREADY_STORED = "instrument_already_stored"
    CHECKOUT_SESSION_CONFLICT = "checkout_session_conflict"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    # LimitExceeded
    RATE_LIMITED = "rate_limited"
    CARD_PROBING_REFUSED = "card_probing_refused"
    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    # Unavailable
    PROCESSOR_UNREACHABLE = "processor_unreachable"
    STORAGE_BUSY = "storage_busy"
    COMMIT_UNKNOWN = "commit_unknown"
    VAULT_SEALED = "vault_sealed"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL_ERROR = "internal_error"
    # ConfigurationError
    CONFIGURATION_INVALID = "configuration_invalid"


MESSAGES: Mapping[ErrorCode, str] = {
    ErrorCode.BODY_MALFORMED: "The body is not the JSON that this endpoint reads.",
    ErrorCode.PARAMETER_INVALID: "A parameter has a value or type that is not allowed.",
    ErrorCode.PARAMETER_MISSING: "A required parameter is missing.",
    ErrorCode.PARAMETER_UNKNOWN: "The request holds a parameter this endpoint does not know.",
    ErrorCode.AMOUNT_INVALID: "The amount is not a whole number of minor units in the allowed range.",
    ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED: "The amount is more than what is left to capture or void.",
    ErrorCode.AMOUNT_EXCEEDS_CAPTURED: "The amount is more than what is left to refund.",
    ErrorCode.CURRENCY_UNSUPPORTED: "The currency is not an ISO 4217 code that this account takes.",
    ErrorCode.CARD_NUMBER_INVALID: "The card number is not a valid number.",
    ErrorCode.CARD_BRAND_UNSUPPORTED: "The card's brand is not accepted.",
    ErrorCode.CARD_EXPIRY_INVALID: "The expiry is not a month and a year.",
    ErrorCode.CARD_EXPIRED: "The card's expiry is in the past.",
    ErrorCode.CARD_CVC_INVALID: "The security code does not have the form this brand uses.",
    ErrorCode.CVC_FORBIDDEN: "A merchant-initiated payment must not carry a security code.",
    ErrorCode.TRACK_DATA_FORBIDDEN: "Track data and PIN blocks are not accepted.",
    ErrorCode.BANK_ROUTING_INVALID: "The bank's routing identifier is not valid.",
    ErrorCode.BANK_ACCOUNT_INVALID: "The bank account's number is not valid.",
    ErrorCode.MANDATE_MISSING: "This kind of debit needs a mandate reference.",
    ErrorCode.LIFETIME_INVALID: "The lifetime is not one that this API allows.",
    ErrorCode.METADATA_INVALID: "Metadata is at most 50 keys of short strings and holds no card number.",
    ErrorCode.INSTRUMENT_UNSUPPORTED: "This account takes no payments with that kind of instrument.",
    ErrorCode.OPERATION_UNSUPPORTED: "The processor of this payment has no such operation.",
    ErrorCode.IDEMPOTENCY_KEY_INVALID: "The idempotency key is empty, too long or not printable ASCII.",
    ErrorCode.IDEMPOTENCY_KEY_MISSING: "This request needs an idempotency key.",
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: "This endpoint reads JSON.",
    ErrorCode.URL_REFUSED: "The URL is not one that may be called.",
    ErrorCode.NOT_ACCEPTABLE: "This endpoint answers in JSON, which the request does not accept.",
    ErrorCode.METHOD_NOT_ALLOWED: "This path exists, but not for this method.",
    ErrorCode.API_KEY_MISSING: "There is no API key in the request.",
    ErrorCode.API_KEY_INVALID: "The API key is not known or was revoked.",
    ErrorCode.SCOPE_MISSING: "The API key may not do this.",
    ErrorCode.ACCOUNT_FORBIDDEN: "The account belongs to somebody else.",
    ErrorCode.MODE_MISMATCH: "This can be done in test mode only.",
    ErrorCode.ROUTE_NOT_FOUND: "There is nothing at this path.",
    ErrorCode.TOKEN_NOT_FOUND: "There is no such token.",
    ErrorCode.PAYMENT_NOT_FOUND: "There is no such payment.",
    ErrorCode.OPERATION_NOT_FOUND: "There is no such operation.",
    ErrorCode.PAYMENT_TOKEN_NOT_FOUND: "There is no such payment token or recurrence token.",
    ErrorCode.AGREEMENT_NOT_FOUND: "There is no such agreement.",
    ErrorCode.CUSTOMER_NOT_FOUND: "There is no such customer.",
    ErrorCode.EVENT_NOT_FOUND: "There is no such event.",
    ErrorCode.MERCHANT_NOT_FOUND: "There is no such merchant.",
    ErrorCode.DOCUMENT_NOT_FOUND: "There is no such thing.",
    ErrorCode.CHECKOUT_SESSION_NOT_FOUND: "There is no such checkout session.",
    ErrorCode.WEBHOOK_ENDPOINT_NOT_FOUND: "There is no such webhook endpoint.",
    ErrorCode.WEBHOOK_DELIVERY_NOT_FOUND: "There is no such webhook delivery.",
    ErrorCode.TOKEN_ALREADY_CONSUMED: "The token has been spent.",
    ErrorCode.TOKEN_IN_FLIGHT: "The token is being spent by another request.",
    ErrorCode.TOKEN_EXPIRED: "The token has expired.",
    ErrorCode.TOKEN_REVOKED: "The token has been revoked.",
    ErrorCode.TOKEN_CLASS_MISMATCH: "This kind of token cannot be used for this.",
    ErrorCode.VERIFICATIONS_EXHAUSTED: "The token has been verified as often as is allowed.",
    ErrorCode.AGREEMENT_ENDED: "The agreement has ended.",
    ErrorCode.PAYMENT_STATE_CONFLICT: "The payment's state does not allow this.",
    ErrorCode.REFERENCE_ALREADY_USED: "The reference has been used for another payment.",
    ErrorCode.NAME_ALREADY_USED: "Something else has this name already.",
    ErrorCode.DOCUMENT_STATE_CONFLICT: "Its state does not allow this, or somebody changed it meanwhile.",
    ErrorCode.INSTRUMENT_ALREADY_STORED: "The customer has stored this card or account already.",
    ErrorCode.CHECKOUT_SESSION_CONFLICT: "The checkout session's state does not allow this.",
    ErrorCode.IDEMPOTENCY_KEY_REUSED: "The idempotency key was first used with another request.",
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: "The first request with this idempotency key is still running.",
    ErrorCode.RATE_LIMITED: "Too many requests.",
    ErrorCode.CARD_PROBING_REFUSED: "Too many different cards of one shape were sent today.",
    ErrorCode.BODY_TOO_LARGE: "The body is larger than this endpoint reads.",
    ErrorCode.URI_TOO_LONG: "The address is longer than this server reads.",
    ErrorCode.PROCESSOR_UNREACHABLE: "The processor could not be reached; nothing was sent.",
    ErrorCode.STORAGE_BUSY: "The database is busy; nothing was done.",
    ErrorCode.COMMIT_UNKNOWN: "The database did not confirm; ask again with the same idempotency key.",
    ErrorCode.VAULT_SEALED: "The vault is sealed.",
    ErrorCode.SHUTTING_DOWN: "The server is stopping.",
    ErrorCode.INTERNAL_ERROR: "Something went wrong on our side.",
    ErrorCode.CONFIGURATION_INVALID: "The configuration is not valid.",
}


@frozen
class Problem:
    """One thing that is wrong with a request: where, what kind, and what was expected there."""

    code: ErrorCode
    param: str
    detail: str | None = None


class FareboxError(Exception):
    """A refusal: what kind (`code`), about which field (`param`), and when to come back."""

    def __init__(
        self,
        code: ErrorCode,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        detail: str | None = None,
        problems: Sequence[Problem] = (),
        existing: Sequence[str] = (),
    ) -> None:
        """Build a refusal.

        Args:
            code: the stable code.
            param: path of the field at fault in the native API's words, like `card.number`.
            retry_after_s: seconds after which a retry makes sense.
            detail: a text of ours in place of the code's message; never made from input.
            problems: everything that is wrong, where all of it was looked for.
            existing: ids of the caller's own things that stand in the way.
        """
        super().__init__(code.value)
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.message = detail or MESSAGES[code]
        self.problems = tuple(problems)
        self.existing = tuple(existing)


class InvalidRequest(FareboxError):
    """The caller fixes the request."""


class Unauthenticated(FareboxError):
    """The caller shows credentials that are missing or unknown."""


class Forbidden(FareboxError):
    """The caller is known and may not do this."""


class NotFound(FareboxError):
    """There is no such thing for this caller; a stranger's thing is simply unknown."""


class Conflict(FareboxError):
    """What already happened stands against the request."""


class LimitExceeded(FareboxError):
    """The caller slows down or sends less."""


class Unavailable(FareboxError):
    """We are sure that nothing was sent; a retry with the same idempotency key is safe."""


class ConfigurationError(FareboxError):
    """The operator fixes the settings; raised at start-up only."""


CLASS_OF: Mapping[ErrorCode, type[FareboxError]] = {
    **dict.fromkeys(
        (
            ErrorCode.BODY_MALFORMED,
            ErrorCode.PARAMETER_INVALID,
            ErrorCode.PARAMETER_MISSING,
            ErrorCode.PARAMETER_UNKNOWN,
            ErrorCode.AMOUNT_INVALID,
            ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED,
            ErrorCode.AMOUNT_EXCEEDS_CAPTURED,
            ErrorCode.CURRENCY_UNSUPPORTED,
            ErrorCode.CARD_NUMBER_INVALID,
            ErrorCode.CARD_BRAND_UNSUPPORTED,
            ErrorCode.CARD_EXPIRY_INVALID,
            ErrorCode.CARD_EXPIRED,
            ErrorCode.CARD_CVC_INVALID,
            ErrorCode.CVC_FORBIDDEN,
            ErrorCode.TRACK_DATA_FORBIDDEN,
            ErrorCode.BANK_ROUTING_INVALID,
            ErrorCode.BANK_ACCOUNT_INVALID,
            ErrorCode.MANDATE_MISSING,
            ErrorCode.LIFETIME_INVALID,
            ErrorCode.METADATA_INVALID,
            ErrorCode.INSTRUMENT_UNSUPPORTED,
            ErrorCode.OPERATION_UNSUPPORTED,
            ErrorCode.IDEMPOTENCY_KEY_INVALID,
            ErrorCode.IDEMPOTENCY_KEY_MISSING,
            ErrorCode.MEDIA_TYPE_UNSUPPORTED,
            ErrorCode.URL_REFUSED,
            ErrorCode.NOT_ACCEPTABLE,
            ErrorCode.METHOD_NOT_ALLOWED,
        ),
        InvalidRequest,
    ),
    **dict.fromkeys(
        (
            ErrorCode.API_KEY_MISSING,
            ErrorCode.API_KEY_INVALID,
        ),
        Unauthenticated,
    ),
    **dict.fromkeys(
        (
            ErrorCode.SCOPE_MISSING,
            ErrorCode.ACCOUNT_FORBIDDEN,
            ErrorCode.MODE_MISMATCH,
        ),
        Forbidden,
    ),
    **dict.fromkeys(
        (
            ErrorCode.ROUTE_NOT_FOUND,
            ErrorCode.TOKEN_NOT_FOUND,
            ErrorCode.PAYMENT_NOT_FOUND,
            ErrorCode.OPERATION_NOT_FOUND,
            ErrorCode.PAYMENT_TOKEN_NOT_FOUND,
            ErrorCode.AGREEMENT_NOT_FOUND,
            ErrorCode.CUSTOMER_NOT_FOUND,
            ErrorCode.EVENT_NOT_FOUND,
            ErrorCode.MERCHANT_NOT_FOUND,
            ErrorCode.DOCUMENT_NOT_FOUND,
            ErrorCode.CHECKOUT_SESSION_NOT_FOUND,
            ErrorCode.WEBHOOK_ENDPOINT_NOT_FOUND,
            ErrorCode.WEBHOOK_DELIVERY_NOT_FOUND,
        ),
        NotFound,
    ),
    **dict.fromkeys(
        (
            ErrorCode.TOKEN_ALREADY_CONSUMED,
            ErrorCode.TOKEN_IN_FLIGHT,
            ErrorCode.TOKEN_EXPIRED,
            ErrorCode.TOKEN_REVOKED,
            ErrorCode.TOKEN_CLASS_MISMATCH,
            ErrorCode.VERIFICATIONS_EXHAUSTED,
            ErrorCode.AGREEMENT_ENDED,
            ErrorCode.PAYMENT_STATE_CONFLICT,
            ErrorCode.REFERENCE_ALREADY_USED,
            ErrorCode.NAME_ALREADY_USED,
            ErrorCode.DOCUMENT_STATE_CONFLICT,
            ErrorCode.INSTRUMENT_ALREADY_STORED,
            ErrorCode.CHECKOUT_SESSION_CONFLICT,
            ErrorCode.IDEMPOTENCY_KEY_REUSED,
            ErrorCode.IDEMPOTENCY_IN_PROGRESS,
        ),
        Conflict,
    ),
    **dict.fromkeys(
        (
            ErrorCode.RATE_LIMITED,
            ErrorCode.CARD_PROBING_REFUSED,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.URI_TOO_LONG,
        ),
        LimitExceeded,
    ),
    **dict.fromkeys(
        (
            ErrorCode.PROCESSOR_UNREACHABLE,
            ErrorCode.STORAGE_BUSY,
            ErrorCode.COMMIT_UNKNOWN,
            ErrorCode.VAULT_SEALED,
            ErrorCode.SHUTTING_DOWN,
            ErrorCode.INTERNAL_ERROR,
        ),
        Unavailable,
    ),
    **dict.fromkeys(
        (ErrorCode.CONFIGURATION_INVALID,),
        ConfigurationError,
    ),
}
"""What kind of refusal each code is, for dialects that answer a whole kind alike."""
