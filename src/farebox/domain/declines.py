"""Why somebody said no, and what a merchant may do next.

Source of the advice: the retry rules that Visa (decline categories 1 to 4) and Mastercard (merchant advice
codes) publish for merchants, simplified to what all brands agree on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from farebox.domain.frozen import frozen


class DeclineReason(StrEnum):
    """Why an operation was declined, whoever said so."""

    # The issuer, about the account
    DO_NOT_HONOR = "do_not_honor"
    REFER_TO_ISSUER = "refer_to_issuer"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    FREQUENCY_EXCEEDED = "frequency_exceeded"
    RESTRICTED_CARD = "restricted_card"
    NOT_PERMITTED = "not_permitted"
    EXPIRED_CARD = "expired_card"
    INCORRECT_NUMBER = "incorrect_number"
    INCORRECT_CVC = "incorrect_cvc"
    INCORRECT_EXPIRY = "incorrect_expiry"
    INCORRECT_ADDRESS = "incorrect_address"
    INCORRECT_PIN = "incorrect_pin"
    PIN_REQUIRED = "pin_required"
    PIN_TRIES_EXCEEDED = "pin_tries_exceeded"
    CLOSED_ACCOUNT = "closed_account"
    NO_ACCOUNT = "no_account"
    LOST_CARD = "lost_card"
    STOLEN_CARD = "stolen_card"
    PICKUP_CARD = "pickup_card"
    SUSPECTED_FRAUD = "suspected_fraud"
    SECURITY_VIOLATION = "security_violation"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_FAILED = "authentication_failed"
    STOP_PAYMENT = "stop_payment"
    STOP_RECURRING = "stop_recurring"
    LIFECYCLE = "lifecycle"
    """The account was replaced, closed or upgraded; a newer credential may exist."""
    # The request
    INVALID_TRANSACTION = "invalid_transaction"
    INVALID_AMOUNT = "invalid_amount"
    DUPLICATE_TRANSACTION = "duplicate_transaction"
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"
    CARD_NOT_SUPPORTED = "card_not_supported"
    AMOUNT_EXCEEDED = "amount_exceeded"
    """A follow-up asks for more than is left."""
    TRANSACTION_NOT_FOUND = "transaction_not_found"
    ALREADY_SETTLED = "already_settled"
    ALREADY_REVERSED = "already_reversed"
    # The merchant's side
    INVALID_MERCHANT = "invalid_merchant"
    RISK_RULE = "risk_rule"
    """The merchant's own rule, or its processor's risk scoring, refused."""
    VELOCITY_EXCEEDED = "velocity_exceeded"
    """Too many attempts with this card at this merchant or processor."""
    REVIEW_NEEDED = "review_needed"
    # Bank debits
    MANDATE_INVALID = "mandate_invalid"
    DEBIT_NOT_AUTHORIZED = "debit_not_authorized"
    # Methods that the payer completes elsewhere
    NOT_PAID_IN_TIME = "not_paid_in_time"
    CANCELLED_BY_PAYER = "cancelled_by_payer"
    # Systems
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    PROCESSOR_ERROR = "processor_error"
    OTHER = "other"
    """A code that we do not know; the raw one is kept beside it (SEC-22)."""


class Advice(StrEnum):
    """What a merchant may do after a decline."""

    DO_NOT_RETRY = "do_not_retry"
    RETRY_LATER = "retry_later"
    TRY_ANOTHER_INSTRUMENT = "try_another_instrument"
    CORRECT_AND_RETRY = "correct_and_retry"
    AUTHENTICATE = "authenticate"
    CONTACT_ISSUER = "contact_issuer"


ADVICE: Mapping[DeclineReason, Advice] = {
    DeclineReason.DO_NOT_HONOR: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.REFER_TO_ISSUER: Advice.CONTACT_ISSUER,
    DeclineReason.INSUFFICIENT_FUNDS: Advice.RETRY_LATER,
    DeclineReason.LIMIT_EXCEEDED: Advice.RETRY_LATER,
    DeclineReason.FREQUENCY_EXCEEDED: Advice.RETRY_LATER,
    DeclineReason.RESTRICTED_CARD: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.NOT_PERMITTED: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.EXPIRED_CARD: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.INCORRECT_NUMBER: Advice.CORRECT_AND_RETRY,
    DeclineReason.INCORRECT_CVC: Advice.CORRECT_AND_RETRY,
    DeclineReason.INCORRECT_EXPIRY: Advice.CORRECT_AND_RETRY,
    DeclineReason.INCORRECT_ADDRESS: Advice.CORRECT_AND_RETRY,
    DeclineReason.INCORRECT_PIN: Advice.CORRECT_AND_RETRY,
    DeclineReason.PIN_REQUIRED: Advice.AUTHENTICATE,
    DeclineReason.PIN_TRIES_EXCEEDED: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.CLOSED_ACCOUNT: Advice.DO_NOT_RETRY,
    DeclineReason.NO_ACCOUNT: Advice.DO_NOT_RETRY,
    DeclineReason.LOST_CARD: Advice.DO_NOT_RETRY,
    DeclineReason.STOLEN_CARD: Advice.DO_NOT_RETRY,
    DeclineReason.PICKUP_CARD: Advice.DO_NOT_RETRY,
    DeclineReason.SUSPECTED_FRAUD: Advice.DO_NOT_RETRY,
    DeclineReason.SECURITY_VIOLATION: Advice.DO_NOT_RETRY,
    DeclineReason.AUTHENTICATION_REQUIRED: Advice.AUTHENTICATE,
    DeclineReason.AUTHENTICATION_FAILED: Advice.AUTHENTICATE,
    DeclineReason.STOP_PAYMENT: Advice.DO_NOT_RETRY,
    DeclineReason.STOP_RECURRING: Advice.DO_NOT_RETRY,
    DeclineReason.LIFECYCLE: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.INVALID_TRANSACTION: Advice.DO_NOT_RETRY,
    DeclineReason.INVALID_AMOUNT: Advice.CORRECT_AND_RETRY,
    DeclineReason.DUPLICATE_TRANSACTION: Advice.DO_NOT_RETRY,
    DeclineReason.CURRENCY_NOT_SUPPORTED: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.CARD_NOT_SUPPORTED: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.AMOUNT_EXCEEDED: Advice.CORRECT_AND_RETRY,
    DeclineReason.TRANSACTION_NOT_FOUND: Advice.DO_NOT_RETRY,
    DeclineReason.ALREADY_SETTLED: Advice.DO_NOT_RETRY,
    DeclineReason.ALREADY_REVERSED: Advice.DO_NOT_RETRY,
    DeclineReason.INVALID_MERCHANT: Advice.DO_NOT_RETRY,
    DeclineReason.RISK_RULE: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.VELOCITY_EXCEEDED: Advice.RETRY_LATER,
    DeclineReason.REVIEW_NEEDED: Advice.RETRY_LATER,
    DeclineReason.MANDATE_INVALID: Advice.CORRECT_AND_RETRY,
    DeclineReason.DEBIT_NOT_AUTHORIZED: Advice.DO_NOT_RETRY,
    DeclineReason.NOT_PAID_IN_TIME: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.CANCELLED_BY_PAYER: Advice.TRY_ANOTHER_INSTRUMENT,
    DeclineReason.ISSUER_UNAVAILABLE: Advice.RETRY_LATER,
    DeclineReason.PROCESSOR_ERROR: Advice.RETRY_LATER,
    DeclineReason.OTHER: Advice.TRY_ANOTHER_INSTRUMENT,
}
"""Total: a test walks every reason."""

_SOFT_ADVICE = frozenset({Advice.RETRY_LATER, Advice.CORRECT_AND_RETRY, Advice.AUTHENTICATE})


def is_soft(reason: DeclineReason) -> bool:
    """Tell whether the same instrument may succeed later or after a correction.

    Only a soft decline may give a single-use token back, where a dialect's rules say so.
    """
    return ADVICE[reason] in _SOFT_ADVICE


@frozen
class Decline:
    """A refusal as we keep it."""

    reason: DeclineReason
    advice: Advice
    processor_code: str | None = None
    """The processor's own code, as it came."""
    message: str | None = None
    """The processor's own words, if they are fit to show; never ours."""


def decline_for(
    reason: DeclineReason, processor_code: str | None = None, message: str | None = None
) -> Decline:
    """Build a decline with the advice that goes with its reason."""
    return Decline(reason, ADVICE[reason], processor_code, message)


ISO8583_RESPONSE_CODES: Mapping[str, DeclineReason] = {
    "01": DeclineReason.REFER_TO_ISSUER,
    "02": DeclineReason.REFER_TO_ISSUER,
    "03": DeclineReason.INVALID_MERCHANT,
    "04": DeclineReason.PICKUP_CARD,
    "05": DeclineReason.DO_NOT_HONOR,
    "06": DeclineReason.PROCESSOR_ERROR,
    "07": DeclineReason.PICKUP_CARD,
    "12": DeclineReason.INVALID_TRANSACTION,
    "13": DeclineReason.INVALID_AMOUNT,
    "14": DeclineReason.INCORRECT_NUMBER,
    "15": DeclineReason.NO_ACCOUNT,
    "19": DeclineReason.ISSUER_UNAVAILABLE,
    "20": DeclineReason.PROCESSOR_ERROR,
    "21": DeclineReason.INVALID_TRANSACTION,
    "25": DeclineReason.TRANSACTION_NOT_FOUND,
    "30": DeclineReason.PROCESSOR_ERROR,
    "31": DeclineReason.CARD_NOT_SUPPORTED,
    "33": DeclineReason.EXPIRED_CARD,
    "34": DeclineReason.SUSPECTED_FRAUD,
    "36": DeclineReason.RESTRICTED_CARD,
    "38": DeclineReason.PIN_TRIES_EXCEEDED,
    "39": DeclineReason.NO_ACCOUNT,
    "40": DeclineReason.INVALID_TRANSACTION,
    "41": DeclineReason.LOST_CARD,
    "43": DeclineReason.STOLEN_CARD,
    "46": DeclineReason.CLOSED_ACCOUNT,
    "51": DeclineReason.INSUFFICIENT_FUNDS,
    "52": DeclineReason.NO_ACCOUNT,
    "53": DeclineReason.NO_ACCOUNT,
    "54": DeclineReason.EXPIRED_CARD,
    "55": DeclineReason.INCORRECT_PIN,
    "56": DeclineReason.NO_ACCOUNT,
    "57": DeclineReason.NOT_PERMITTED,
    "58": DeclineReason.NOT_PERMITTED,
    "59": DeclineReason.SUSPECTED_FRAUD,
    "61": DeclineReason.LIMIT_EXCEEDED,
    "62": DeclineReason.RESTRICTED_CARD,
    "63": DeclineReason.SECURITY_VIOLATION,
    "65": DeclineReason.FREQUENCY_EXCEEDED,
    "68": DeclineReason.ISSUER_UNAVAILABLE,
    "70": DeclineReason.REFER_TO_ISSUER,
    "75": DeclineReason.PIN_TRIES_EXCEEDED,
    "76": DeclineReason.NO_ACCOUNT,
    "77": DeclineReason.NO_ACCOUNT,
    "78": DeclineReason.NO_ACCOUNT,
    "79": DeclineReason.LIFECYCLE,
    "82": DeclineReason.INCORRECT_CVC,
    "83": DeclineReason.SUSPECTED_FRAUD,
    "84": DeclineReason.INVALID_TRANSACTION,
    "86": DeclineReason.INCORRECT_PIN,
    "91": DeclineReason.ISSUER_UNAVAILABLE,
    "92": DeclineReason.ISSUER_UNAVAILABLE,
    "93": DeclineReason.RESTRICTED_CARD,
    "94": DeclineReason.DUPLICATE_TRANSACTION,
    "96": DeclineReason.PROCESSOR_ERROR,
    "1A": DeclineReason.AUTHENTICATION_REQUIRED,
    "N7": DeclineReason.INCORRECT_CVC,
    "R0": DeclineReason.STOP_PAYMENT,
    "R1": DeclineReason.STOP_RECURRING,
    "R3": DeclineReason.STOP_RECURRING,
}
"""Response codes that decline. Approvals (00, 08, 10, 11, 85) are not here, nor is what is unlisted.

Source: ISO 8583:1987, data element 39, in the reading of Visa and Mastercard as acquirers publish it
(myPOS, "Response codes"; Lemonway, "Verifone error codes"); 1A, N7, R0, R1, R3, 46, 79, 82 and 83 are the
networks' own additions. ISO 8583:2003 numbers them otherwise.
"""


def decline_for_iso8583(code: str) -> Decline:
    """Translate a two-character response code; an unlisted one is `other` with the code kept (SEC-22)."""
    return decline_for(ISO8583_RESPONSE_CODES.get(code, DeclineReason.OTHER), code)
