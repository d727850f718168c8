"""What Paysafe calls things: brands, results, states and decline codes, as tables.

Source: Paysafe's public API documentation and the enumerations of its published SDKs.
"""

from __future__ import annotations

from collections.abc import Mapping

from farebox.domain.checks import AvsResult, CvcResult
from farebox.domain.declines import DeclineReason
from farebox.domain.instruments import InstrumentKind, InstrumentSummary
from farebox.domain.operations import OperationState

BRANDS: Mapping[str, str] = {
    "visa": "VI",
    "mastercard": "MC",
    "amex": "AM",
    "diners": "DC",
    "discover": "DI",
    "jcb": "JC",
    "maestro": "MD",
}
"""Brands of ours; a card of any other brand is not taken."""

_PARTICULAR: Mapping[tuple[str, str], str] = {
    ("420672", "3775"): "VD",
    ("491748", "0008"): "VE",
    ("491748", "7107"): "VE",
    ("557356", "2200"): "MD",
}
"""Documented test cards whose type their range does not tell, by BIN and last four."""

_DEBIT = frozenset({"VD", "VE", "MD"})

AVS: Mapping[AvsResult, str] = {
    AvsResult.MATCH: "MATCH",
    AvsResult.ADDRESS_MATCH: "MATCH_ADDRESS_ONLY",
    AvsResult.POSTAL_CODE_MATCH: "MATCH_ZIP_ONLY",
    AvsResult.NO_MATCH: "NO_MATCH",
    AvsResult.NOT_PROVIDED: "NOT_PROCESSED",
    AvsResult.NOT_PROCESSED: "NOT_PROCESSED",
    AvsResult.NOT_SUPPORTED: "NOT_PROCESSED",
    AvsResult.UNAVAILABLE: "UNKNOWN",
    AvsResult.UNKNOWN: "UNKNOWN",
}
CVV: Mapping[CvcResult, str] = {
    CvcResult.MATCH: "MATCH",
    CvcResult.NO_MATCH: "NO_MATCH",
    CvcResult.NOT_PROVIDED: "NOT_PROCESSED",
    CvcResult.NOT_PROCESSED: "NOT_PROCESSED",
    CvcResult.NOT_SUPPORTED: "NOT_PROCESSED",
    CvcResult.UNAVAILABLE: "UNKNOWN",
    CvcResult.UNKNOWN: "UNKNOWN",
}

UNFINISHED: Mapping[OperationState, str] = {
    OperationState.SUBMITTED: "RECEIVED",
    OperationState.IN_DOUBT: "RECEIVED",
    OperationState.PENDING: "PENDING",
    OperationState.DECLINED: "FAILED",
    OperationState.FAILED: "FAILED",
    OperationState.REVERSED: "FAILED",
}
"""The status of what is not approved; an approved one's depends on its kind."""

SCHEMES: Mapping[InstrumentKind, str] = {
    InstrumentKind.ACH: "ach",
    InstrumentKind.PAD: "eft",
    InstrumentKind.BACS: "bacs",
    InstrumentKind.SEPA: "sepa",
}
CURRENCIES: Mapping[str, str] = {"ach": "USD", "eft": "CAD", "bacs": "GBP", "sepa": "EUR"}

DECLINES: Mapping[DeclineReason, str] = {
    DeclineReason.DO_NOT_HONOR: "3009",
    DeclineReason.REFER_TO_ISSUER: "3015",
    DeclineReason.INSUFFICIENT_FUNDS: "3022",
    DeclineReason.LIMIT_EXCEEDED: "3023",
    DeclineReason.FREQUENCY_EXCEEDED: "3023",
    DeclineReason.RESTRICTED_CARD: "3011",
    DeclineReason.NOT_PERMITTED: "3024",
    DeclineReason.EXPIRED_CARD: "3012",
    DeclineReason.INCORRECT_NUMBER: "3017",
    DeclineReason.INCORRECT_CVC: "3019",
    DeclineReason.INCORRECT_EXPIRY: "3012",
    DeclineReason.INCORRECT_ADDRESS: "3007",
    DeclineReason.INCORRECT_PIN: "3037",
    DeclineReason.PIN_REQUIRED: "3037",
    DeclineReason.PIN_TRIES_EXCEEDED: "3035",
    DeclineReason.CLOSED_ACCOUNT: "3013",
    DeclineReason.NO_ACCOUNT: "3013",
    DeclineReason.LOST_CARD: "3016",
    DeclineReason.STOLEN_CARD: "3016",
    DeclineReason.PICKUP_CARD: "3016",
    DeclineReason.SUSPECTED_FRAUD: "3054",
    DeclineReason.SECURITY_VIOLATION: "3042",
    DeclineReason.AUTHENTICATION_REQUIRED: "3060",
    DeclineReason.AUTHENTICATION_FAILED: "3039",
    DeclineReason.STOP_PAYMENT: "3057",
    DeclineReason.STOP_RECURRING: "3057",
    DeclineReason.LIFECYCLE: "3013",
    DeclineReason.INVALID_TRANSACTION: "3037",
    DeclineReason.INVALID_AMOUNT: "3037",
    DeclineReason.DUPLICATE_TRANSACTION: "3044",
    DeclineReason.CURRENCY_NOT_SUPPORTED: "3040",
    DeclineReason.CARD_NOT_SUPPORTED: "3040",
    DeclineReason.AMOUNT_EXCEEDED: "3027",
    DeclineReason.TRANSACTION_NOT_FOUND: "3021",
    DeclineReason.ALREADY_SETTLED: "3415",
    DeclineReason.ALREADY_REVERSED: "3029",
    DeclineReason.INVALID_MERCHANT: "3030",
    DeclineReason.RISK_RULE: "4002",
    DeclineReason.VELOCITY_EXCEEDED: "3023",
    DeclineReason.REVIEW_NEEDED: "3057",
    DeclineReason.MANDATE_INVALID: "5021",
    DeclineReason.DEBIT_NOT_AUTHORIZED: "5021",
    DeclineReason.NOT_PAID_IN_TIME: "3041",
    DeclineReason.CANCELLED_BY_PAYER: "3038",
    DeclineReason.ISSUER_UNAVAILABLE: "3018",
    DeclineReason.PROCESSOR_ERROR: "3028",
    DeclineReason.OTHER: "3014",
}
"""Where the acquirer gave no code of Paysafe's own. Total: a test walks every reason."""

CANCELLED = "CANCELLED"
"""The processor's code of what its merchant cancelled before it was final."""


def card_type(summary: InstrumentSummary) -> str | None:
    """Give the two letters of a card, or nothing for a brand that Paysafe does not take."""
    particular = _PARTICULAR.get((summary.bin or "", summary.last_four))
    return particular or BRANDS.get(summary.brand or "")


def card_category(summary: InstrumentSummary) -> str:
    """Tell credit from debit, as far as the type tells."""
    type_ = card_type(summary)
    return "UNKNOWN" if type_ is None else "DEBIT" if type_ in _DEBIT else "CREDIT"
