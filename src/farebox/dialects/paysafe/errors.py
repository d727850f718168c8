"""Paysafe's codes: what each refusal of ours is, the documented ones, and the shapes of their bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from farebox.dialects.dialect import Answer, Refusal, WireError, WireRefusal
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
from farebox.domain.ids import uuid_of

_DOCUMENTATION = {
    "cardpayments": "https://developer.paysafe.com/en/rest-api/cards/test-and-go-live/card-errors/",
    "customervault": "https://developer.paysafe.com/en/rest-api/vault/test-and-go-live/vault-errors/",
    "directdebit": (
        "https://developer.paysafe.com/en/rest-api/direct-debit/test-and-go-live/direct-debit-errors/"
    ),
}

CODES: Mapping[str, WireError] = {
    error.code: error
    for error in (
        WireError(500, "An internal error occurred.", "1000"),
        WireError(502, "The processor could not be reached.", "1001"),
        WireError(500, "The clearing house did not answer in time.", "1007"),
        WireError(429, "Too many requests were made.", "1200"),
        WireError(400, "The transaction was not found.", "2004"),
        WireError(400, "The mandate reference does not exist.", "2011"),
        WireError(400, "The mandate is not active yet.", "2012"),
        WireError(400, "The mandate's status does not allow this.", "2013"),
        WireError(400, "The mandate reference is in use for this bank account.", "2014"),
        WireError(400, "The payment token belongs to another scheme.", "2017"),
        WireError(400, "The bank account is marked as invalid.", "2019"),
        WireError(400, "The card number or brand is invalid, or they do not match.", "3002"),
        WireError(400, "The zip is required.", "3004"),
        WireError(400, "The CVV value is incorrect.", "3005"),
        WireError(400, "The card has expired.", "3006"),
        WireError(402, "The address verification failed.", "3007"),
        WireError(400, "The account does not take this type of card.", "3008"),
        WireError(402, "The issuer declined.", "3009"),
        WireError(402, "Declined: the card is restricted.", "3011"),
        WireError(402, "Declined: the expiry date is invalid.", "3012"),
        WireError(402, "Declined: there is a problem with the card account.", "3013"),
        WireError(402, "Declined: the issuer's answer is not known.", "3014"),
        WireError(402, "The issuer asks for a telephone call.", "3015"),
        WireError(402, "The issuer asks to keep the card.", "3016"),
        WireError(402, "Declined: the card number is invalid.", "3017"),
        WireError(402, "The issuer asks to try again.", "3018"),
        WireError(402, "The CVV check failed.", "3019"),
        WireError(402, "The issuer asks to try again.", "3020"),
        WireError(404, "The transaction referred to was not found.", "3021"),
        WireError(402, "Declined: there are insufficient funds.", "3022"),
        WireError(402, "Declined: the issuer's activity rules were exceeded.", "3023"),
        WireError(402, "Declined: the transaction is not permitted on this card.", "3024"),
        WireError(400, "The gateway reports invalid data.", "3025"),
        WireError(400, "The gateway reports an invalid account type.", "3026"),
        WireError(402, "The gateway reports that a limit is exceeded.", "3027"),
        WireError(502, "The gateway reports a system error.", "3028"),
        WireError(402, "The gateway rejected the transaction.", "3029"),
        WireError(402, "The gateway reports that the transaction is not authorized.", "3030"),
        WireError(400, "The authorization is not held.", "3031"),
        WireError(402, "The card is in a negative list.", "3032"),
        WireError(402, "Too many attempts with the PIN.", "3035"),
        WireError(402, "The issuer is invalid.", "3036"),
        WireError(402, "The request is invalid.", "3037"),
        WireError(402, "The customer cancelled.", "3038"),
        WireError(402, "The authentication value is invalid.", "3039"),
        WireError(402, "This type of request is not permitted on this card.", "3040"),
        WireError(402, "The request timed out.", "3041"),
        WireError(402, "A cryptographic error occurred.", "3042"),
        WireError(402, "The request is a duplicate.", "3044"),
        WireError(402, "Suspected fraud.", "3054"),
        WireError(402, "The cardholder must call the issuer; do not retry.", "3057"),
        WireError(402, "Strong customer authentication is required.", "3060"),
        WireError(400, "The exemption is not allowed with a stored credential.", "3066"),
        WireError(400, "An exemption must be the only member of the authentication.", "3067"),
        WireError(400, "The authorization's id is malformed.", "3200"),
        WireError(404, "The authorization was not found.", "3201"),
        WireError(402, "There are too many settlements for this authorization.", "3202"),
        WireError(402, "The authorization is fully settled or cancelled.", "3203"),
        WireError(402, "The amount exceeds what is left of the authorization.", "3204"),
        WireError(402, "The gateway rejected the settlement.", "3206"),
        WireError(402, "The amount exceeds what is left of the settlement.", "3402"),
        WireError(402, "The settlement is fully refunded.", "3404"),
        WireError(402, "The settlement has not been batched yet; there is nothing to refund.", "3406"),
        WireError(400, "The settlement was not found.", "3407"),
        WireError(400, "The settlement's id is malformed.", "3408"),
        WireError(400, "The refund was not found.", "3414"),
        WireError(402, "The transaction is no longer pending and cannot be cancelled.", "3415"),
        WireError(402, "Another request for the same transaction is running.", "3417"),
        WireError(402, "This type of transaction cannot be refunded.", "3419"),
        WireError(400, "The authorization was not found.", "3500"),
        WireError(402, "The amount exceeds what is left of the authorization.", "3501"),
        WireError(402, "The authorization is settled already.", "3502"),
        WireError(500, "The authorization could not be voided.", "3505"),
        WireError(402, "The card or e-mail address is in the negative database.", "4001"),
        WireError(402, "Declined by risk management.", "4002"),
        WireError(400, "The currency is invalid or not supported by the account.", "5001"),
        WireError(400, "The amount is invalid.", "5003"),
        WireError(400, "The account type is invalid.", "5004"),
        WireError(400, "The type of operation is invalid.", "5005"),
        WireError(400, "The country code is invalid.", "5010"),
        WireError(400, "The merchant account was not found.", "5016"),
        WireError(400, "The merchant account is disabled.", "5017"),
        WireError(402, "The transaction was declined.", "5021"),
        WireError(400, "The request cannot be read.", "5023"),
        WireError(409, "The merchantRefNum has been used in a previous request.", "5031"),
        WireError(401, "The account is not configured for this operation.", "5040"),
        WireError(400, "The merchantRefNum is missing, invalid or too long.", "5042"),
        WireError(400, "One or more fields are missing or malformed.", "5068"),
        WireError(404, "The id in the address is not known.", "5269"),
        WireError(403, "The credentials do not have permission to access the requested data.", "5270"),
        WireError(406, "The Accept header names no supported type.", "5271"),
        WireError(406, "The Content-Type is not supported.", "5272"),
        WireError(404, "There is nothing at this address.", "5273"),
        WireError(401, "The credentials are invalid.", "5279"),
        WireError(401, "The credentials are missing.", "5280"),
        WireError(405, "The method is not supported at this address.", "5281"),
        WireError(400, "The profile has no active card.", "5501"),
        WireError(400, "The payment token is invalid, or what it stands for is not active.", "5502"),
        WireError(409, "Card number already in use", "7503"),
        WireError(409, "The merchantCustomerId is used already", "7505"),
        WireError(409, "Bank account already in use", "7506"),
        WireError(409, "The mandate reference is in use already.", "7507"),
        WireError(400, "The card number or brand is invalid.", "7508"),
        WireError(409, "The bank details cannot be changed because there are mandates.", "7509"),
        WireError(400, "The bank details are invalid.", "7510"),
        WireError(404, "The address was not found.", "7511"),
        WireError(400, "Apple Pay is not configured.", "7512"),
        WireError(400, "The Apple Pay token is invalid.", "7513"),
        WireError(404, "The payment token has expired.", "7514"),
        WireError(409, "The profile has as many cards as are allowed.", "7515"),
        WireError(400, "At least one search parameter is needed.", "7516"),
        WireError(400, "A date must have the form YYYY-MM-DDTHH:MI:SSZ.", "7517"),
        WireError(400, "The limit is too large.", "7519"),
        WireError(409, "The profile has as many bank accounts as are allowed.", "7520"),
        WireError(409, "The merchantCustomerId belongs to several profiles.", "7521"),
    )
}

_BY_CLASS: Mapping[type[FareboxError], str] = {
    InvalidRequest: "5068",
    Unauthenticated: "5279",
    Forbidden: "5270",
    NotFound: "5269",
    Conflict: "5068",
    LimitExceeded: "1200",
    Unavailable: "1000",
}
_CODES: Mapping[ErrorCode, str] = {
    ErrorCode.BODY_MALFORMED: "5023",
    ErrorCode.AMOUNT_INVALID: "5003",
    ErrorCode.CURRENCY_UNSUPPORTED: "5001",
    ErrorCode.CARD_BRAND_UNSUPPORTED: "3002",
    ErrorCode.INSTRUMENT_UNSUPPORTED: "5040",
    ErrorCode.OPERATION_UNSUPPORTED: "5040",
    ErrorCode.MANDATE_MISSING: "2011",
    ErrorCode.NOT_ACCEPTABLE: "5271",
    ErrorCode.MEDIA_TYPE_UNSUPPORTED: "5272",
    ErrorCode.METHOD_NOT_ALLOWED: "5281",
    ErrorCode.API_KEY_MISSING: "5280",
    ErrorCode.ROUTE_NOT_FOUND: "5273",
    ErrorCode.MERCHANT_NOT_FOUND: "5016",
    ErrorCode.TOKEN_NOT_FOUND: "5502",
    ErrorCode.PAYMENT_TOKEN_NOT_FOUND: "5502",
    ErrorCode.TOKEN_ALREADY_CONSUMED: "5502",
    ErrorCode.TOKEN_IN_FLIGHT: "5502",
    ErrorCode.TOKEN_EXPIRED: "5502",
    ErrorCode.TOKEN_REVOKED: "5502",
    ErrorCode.TOKEN_CLASS_MISMATCH: "5502",
    ErrorCode.VERIFICATIONS_EXHAUSTED: "5502",
    ErrorCode.AGREEMENT_ENDED: "5502",
    ErrorCode.REFERENCE_ALREADY_USED: "5031",
    ErrorCode.NAME_ALREADY_USED: "7505",
    ErrorCode.INSTRUMENT_ALREADY_STORED: "7503",
    ErrorCode.PAYMENT_STATE_CONFLICT: "3417",
    ErrorCode.DOCUMENT_STATE_CONFLICT: "3417",
    ErrorCode.PROCESSOR_UNREACHABLE: "1001",
}


def _wire(code: ErrorCode) -> WireError:
    if code is ErrorCode.BODY_TOO_LARGE:
        return WireError(413, MESSAGES[code], "5023")
    if code is ErrorCode.URI_TOO_LONG:
        return WireError(414, MESSAGES[code], "5273")
    return CODES[_CODES.get(code) or _BY_CLASS.get(CLASS_OF[code], "1000")]


ERRORS: Mapping[ErrorCode, WireError] = {code: _wire(code) for code in ErrorCode}


def at(codes: Mapping[ErrorCode, str]) -> Mapping[ErrorCode, WireError]:
    """Name what refusals are at one endpoint."""
    return {code: CODES[wire] for code, wire in codes.items()}


def refusal(code: str, field: str | None = None, text: str | None = None) -> WireRefusal:
    """Build a refusal with one of Paysafe's codes, and the field at fault."""
    problems = [Problem(ErrorCode.PARAMETER_INVALID, field, text)] if field else []
    return WireRefusal(CODES[code], param=field, problems=problems)


_FIELDS: Mapping[str, str] = {
    "card.number": "card.cardNum",
    "card.exp_month": "card.cardExpiry.month",
    "card.exp_year": "card.cardExpiry.year",
    "card.cvc": "card.cvv",
    "card.holder_name": "card.holderName",
    "amount_minor": "amount",
    "bank_account.routing_number": "routingNumber",
    "bank_account.account_number": "accountNumber",
    "bank_account.account_type": "accountType",
    "bank_account.institution_number": "institutionId",
    "bank_account.transit_number": "transitNumber",
    "bank_account.sort_code": "sortCode",
    "bank_account.iban": "iban",
    "bank_account.bic": "bic",
    "bank_account.mandate_reference": "mandateReference",
    "bank_account.holder_name": "accountHolderName",
}
"""Fields in our words and in Paysafe's."""
_TEXTS: Mapping[ErrorCode, str] = {
    ErrorCode.PARAMETER_MISSING: "may not be null",
    ErrorCode.CARD_NUMBER_INVALID: "Luhn checksum failed",
    ErrorCode.CARD_EXPIRED: "must not be in the past",
    ErrorCode.TRACK_DATA_FORBIDDEN: "track data is not accepted",
}
_BOUND = re.compile(r"`[a-z| ]+`(?: of length)? ([<>]=?) (\d+)")


def _text(problem: Problem) -> str:
    """Say what is wrong in the words of Paysafe's own validator."""
    known = _TEXTS.get(problem.code)
    if known is not None:
        return known
    bound = _BOUND.search(problem.detail or "")
    if bound is None:
        return problem.detail or "is invalid"
    sign, limit = bound.groups()
    if "length" in bound.group(0):
        return f"size must be between {'0 and ' + limit if sign == '<=' else limit + ' and more'}"
    return f"must be {'less' if '<' in sign else 'greater'} than or equal to {limit}"


def _field_errors(refusal: Refusal) -> list[dict[str, str]]:
    problems = [problem for problem in refusal.problems if problem.param]
    if refusal.code is ErrorCode.METADATA_INVALID:
        # It names a place in our books, which is none in the request.
        return []
    if not problems and refusal.param and refusal.wire.code in {"5068", "5003", "7508", "7510"}:
        problems = [Problem(refusal.code, refusal.param, None)]
    return [
        {"field": _FIELDS.get(problem.param, problem.param), "error": _text(problem)} for problem in problems
    ]


def error_object(wire: WireError, api: str, message: str | None = None) -> dict[str, Any]:
    """Write the `error` member."""
    found: dict[str, Any] = {"code": wire.code, "message": message or wire.title}
    if api in _DOCUMENTATION:
        found["links"] = [{"rel": "errorinfo", "href": f"{_DOCUMENTATION[api]}#ErrorCode{wire.code}"}]
    return found


def error_headers(wire: WireError, api: str) -> tuple[tuple[bytes, bytes], ...]:
    """Give the header that names an error's code."""
    name = b"x-application-error" if api == "threedsecure" else b"x-application-status-code"
    return ((name, wire.code.encode()),)


def write_error(refusal: Refusal) -> Answer:
    """Write a refusal in the shape of the API that was asked."""
    segments = [one for one in refusal.request.path.split("/") if one] if refusal.request else []
    api = segments[0] if segments else ""
    wire = refusal.wire
    is_whole = refusal.code is ErrorCode.PARAMETER_INVALID and not refusal.param
    if is_whole and wire.code == "5068" and not any(one.param for one in refusal.problems):
        wire = CODES["5023"]
    body: dict[str, Any] = {"error": error_object(wire, api)}
    error = body["error"]
    if refusal.existing:
        error["message"] = f"{wire.title} - {uuid_of(refusal.existing[0])}"
        body["links"] = _existing(refusal, wire)
    if wire.code == "5269" and segments:
        error["message"] = f"{wire.title}: {segments[-1]}"
    if wire.code == "5023" or refusal.code is ErrorCode.METADATA_INVALID:
        error["details"] = [refusal.message]
    if wire.code == "5270" and "accounts" in segments[:-1]:
        account = segments[segments.index("accounts") + 1]
        error["details"] = [f"access to {{stpAccount:{account}}} denied"]
    if fields := _field_errors(refusal):
        error["fieldErrors"] = fields
    if segments[:2] == ["threedsecure", "v1"]:
        body["status"] = "FAILED"
    return Answer(body, status=wire.status, headers=error_headers(wire, api))


def _existing(refusal: Refusal, wire: WireError) -> list[dict[str, str]]:
    kind = "cards" if wire.code == "7503" else "bankaccounts" if wire.code == "7506" else "profiles"
    base = refusal.request.base_url if refusal.request else ""
    return [
        {"rel": "existing_entity", "href": f"{base}/customervault/v1/{kind}/{uuid_of(one)}"}
        for one in refusal.existing
    ]
