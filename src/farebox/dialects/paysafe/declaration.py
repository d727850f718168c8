"""Paysafe's classic REST APIs, declared.

One mount serves all of them: the first segment of the path names the API. A trailing slash, a bare `?`,
doubled slashes and bodies on GET and DELETE are read as if they were not there, because SDKs send them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farebox.dialects.dialect import (
    ANYONE,
    FORM,
    JSON,
    AnyRoute,
    BasicPair,
    Call,
    Cors,
    Dialect,
    NoBody,
    NoQuery,
    Reading,
    Route,
    WireError,
    WireRequest,
)
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import ERRORS, at, write_error
from farebox.dialects.paysafe.mapping import (
    bank_accounts,
    cards,
    direct_debit,
    profiles,
    single_use,
    threeds,
    vault,
)
from farebox.dialects.paysafe.mapping.common import Answer, on_account, read_search, write_list
from farebox.domain.errors import ErrorCode
from farebox.domain.ids import RequestId, uuid_of
from farebox.domain.instruments import InstrumentKind
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import TokenRules, TokenShape
from farebox.services import commands

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 22
"""Paysafe's own tokens have 14 characters behind their letter, ours 22, to hold 128 bits; both are opaque."""
_BANKS = (InstrumentKind.ACH, InstrumentKind.PAD, InstrumentKind.BACS, InstrumentKind.SEPA)


def _shape(prefix: str) -> TokenShape:
    return TokenShape(prefix, _LETTERS, _LENGTH)


TOKENS = TokenRules(
    lifetime_s=900,
    lifetimes_s=frozenset({900}),
    shape=_shape("SC"),
    stored_shapes={"payment_token": _shape("C"), "recurrence_token": _shape("C"), "mandate": _shape("M")},
    shapes={
        **{("single_use", kind): _shape("SA") for kind in _BANKS},
        **{("payment_token", kind): _shape("D") for kind in _BANKS},
    },
    shows_stored_again=True,
    merchant_may_use_payment_tokens=True,
)

_VAULT_ERRORS = at(
    {
        ErrorCode.TOKEN_EXPIRED: "7514",
        ErrorCode.CARD_BRAND_UNSUPPORTED: "7508",
        ErrorCode.PAYMENT_TOKEN_NOT_FOUND: "5269",
    }
)
_BANK_ERRORS = {
    **_VAULT_ERRORS,
    **at(
        {
            ErrorCode.INSTRUMENT_ALREADY_STORED: "7506",
            ErrorCode.REFERENCE_ALREADY_USED: "7507",
            ErrorCode.BANK_ACCOUNT_INVALID: "7510",
            ErrorCode.BANK_ROUTING_INVALID: "7510",
        }
    ),
}
_CARDS = "/cardpayments/v1/accounts/{account}"
_VAULT = "/customervault/v1"
_PROFILE = _VAULT + "/profiles/{profile}"
_DEBITS = "/directdebit/v1/accounts/{account}"
_THREEDS = "/threedsecure/v1/accounts/{account}"
_THREEDS_2 = "/threedsecure/v2/accounts/{account}"
Errors = Mapping[ErrorCode, WireError]
_NO_ERRORS: Errors = {}


def _route(
    method: str,
    path: str,
    body: type[Any],
    read: Callable[[Any], commands.Command[Any]],
    write: Callable[[Any, Any], Answer],
    summary: str,
    *,
    query: type[Any] = NoQuery,
    status: int = 200,
    errors: Errors = _NO_ERRORS,
) -> AnyRoute:
    """Declare an endpoint; one below an account acts for that account only."""
    if "{account}" in path:
        read = on_account(read)
    return Route(method, path, body, query, read, write, summary=summary, status=status, errors=errors)


def _monitor(api: str) -> AnyRoute:
    def read(call: Call[NoBody, NoQuery]) -> commands.Give[str]:
        return commands.Give("READY")

    def write(status: str, call: Call[NoBody, NoQuery]) -> Answer:
        return Answer({"status": status})

    return Route(
        "GET",
        f"/{api}/monitor",
        NoBody,
        NoQuery,
        read,
        write,
        summary=f"Tell whether {api} is up",
        authentication=ANYONE,
    )


# --- Card Payments ---------------------------------------------------------------------------------


def _search(collection: str, families: tuple[str, ...], key: str, write: Any, base: str = _CARDS) -> AnyRoute:
    return _route(
        "GET",
        f"{base}/{collection}",
        NoBody,
        lambda call: read_search(call, families),
        write_list(key, write),
        f"Find {collection} by merchantRefNum",
        query=wire.Search,
    )


def _credits(collection: str, families: tuple[str, ...]) -> tuple[AnyRoute, ...]:
    path = f"{_CARDS}/{collection}"
    body = cards.credit_body(collection)
    return (
        _route(
            "POST",
            path,
            wire.CreditIn,
            cards.read_credit(families[0]),
            cards.write_credit(collection),
            "Credit",
        ),
        _route(
            "GET", path + "/{id}", NoBody, cards.read_credit_lookup, cards.write_shown(body), "Show a credit"
        ),
        _route(
            "PUT",
            path + "/{id}",
            wire.StatusIn,
            cards.read_credit_change,
            cards.write_cancelled(collection),
            "Cancel a credit",
            errors=at({ErrorCode.PAYMENT_STATE_CONFLICT: "3415"}),
        ),
        _search(collection, families, collection, body),
    )


_CARD_ROUTES = (
    _route(
        "POST", _CARDS + "/auths", wire.AuthIn, cards.read_auth, cards.write_auth, "Authorize, or purchase"
    ),
    _route(
        "GET", _CARDS + "/auths/{id}", NoBody, cards.read_auth_lookup, cards.write_auth_lookup, "Show an auth"
    ),
    _route(
        "PUT",
        _CARDS + "/auths/{id}",
        wire.StatusIn,
        cards.read_auth_change,
        cards.write_auth_lookup,
        "Approve or cancel a held authorization",
    ),
    _search("auths", cards.AUTHS, "auths", cards.auth_body),
    _route(
        "POST",
        _CARDS + "/auths/{id}/voidauths",
        wire.FollowUpIn,
        cards.read_void,
        cards.write_follow_up(cards.void_body),
        "Void an authorization, whole or in part",
        errors=at(
            {
                ErrorCode.PAYMENT_NOT_FOUND: "3500",
                ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED: "3501",
                ErrorCode.PAYMENT_STATE_CONFLICT: "3501",
            }
        ),
    ),
    _route(
        "GET",
        _CARDS + "/voidauths/{id}",
        NoBody,
        cards.read_void_lookup,
        cards.write_shown(cards.void_body),
        "Show a void",
    ),
    _search("voidauths", cards.VOIDS, "voidAuths", cards.void_body),
    _route(
        "POST",
        _CARDS + "/auths/{id}/settlements",
        wire.FollowUpIn,
        cards.read_settlement,
        cards.write_follow_up(cards.settlement_body),
        "Settle an authorization, whole or in part",
        errors=at(
            {
                ErrorCode.PAYMENT_NOT_FOUND: "3201",
                ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED: "3204",
                ErrorCode.PAYMENT_STATE_CONFLICT: "3203",
            }
        ),
    ),
    _route(
        "GET",
        _CARDS + "/settlements/{id}",
        NoBody,
        cards.read_settlement_lookup,
        cards.write_shown(cards.settlement_body),
        "Show a settlement",
    ),
    _search("settlements", cards.SETTLEMENTS, "settlements", cards.settlement_body),
    _route(
        "PUT",
        _CARDS + "/settlements/{id}",
        wire.StatusIn,
        cards.read_settlement_change,
        cards.write_cancelled("settlements"),
        "Cancel a settlement before its batch",
        errors=at({ErrorCode.PAYMENT_STATE_CONFLICT: "3415", ErrorCode.AMOUNT_EXCEEDS_CAPTURED: "3415"}),
    ),
    _route(
        "POST",
        _CARDS + "/settlements/{id}/refunds",
        wire.FollowUpIn,
        cards.read_refund,
        cards.write_follow_up(cards.refund_body),
        "Refund a settlement, whole or in part",
        errors=at({ErrorCode.AMOUNT_EXCEEDS_CAPTURED: "3402", ErrorCode.PAYMENT_STATE_CONFLICT: "3404"}),
    ),
    _route(
        "GET",
        _CARDS + "/refunds/{id}",
        NoBody,
        cards.read_refund_lookup,
        cards.write_shown(cards.refund_body),
        "Show a refund",
    ),
    _search("refunds", cards.REFUNDS, "refunds", cards.refund_body),
    _route(
        "PUT",
        _CARDS + "/refunds/{id}",
        wire.StatusIn,
        cards.read_refund_change,
        cards.write_cancelled("refunds"),
        "Cancel a refund before its batch",
        errors=at({ErrorCode.PAYMENT_STATE_CONFLICT: "3415"}),
    ),
    _route(
        "POST",
        _CARDS + "/verifications",
        wire.VerificationIn,
        cards.read_verification,
        cards.write_verification,
        "Verify a card without spending its token",
    ),
    _route(
        "GET",
        _CARDS + "/verifications/{id}",
        NoBody,
        cards.read_verification_lookup,
        cards.write_verification_lookup,
        "Show a verification",
    ),
    _search("verifications", cards.VERIFICATIONS, "verifications", cards.verification_body),
    *_credits("standalonecredits", cards.STANDALONE),
    *_credits("originalcredits", cards.ORIGINAL),
)


# --- Customer Vault --------------------------------------------------------------------------------


def _bank_accounts(scheme: str) -> tuple[AnyRoute, ...]:
    path = f"{_PROFILE}/{scheme}bankaccounts"
    return (
        _route(
            "POST",
            path,
            wire.BankAccount,
            bank_accounts.read_account_in(scheme),
            bank_accounts.write_account_created,
            f"Add an {scheme.upper()} bank account",
            status=201,
            errors=_BANK_ERRORS,
        ),
        _route(
            "GET",
            path + "/{id}",
            NoBody,
            bank_accounts.read_held_account(scheme),
            bank_accounts.write_account,
            "Show a bank account",
            errors=_BANK_ERRORS,
        ),
        _route(
            "PUT",
            path + "/{id}",
            wire.BankAccount,
            bank_accounts.read_account_update(scheme),
            bank_accounts.write_account,
            "Change a bank account",
            errors=_BANK_ERRORS,
        ),
        _route(
            "DELETE",
            path + "/{id}",
            NoBody,
            bank_accounts.read_account_deletion(scheme),
            vault.write_deleted,
            "Delete a bank account",
            errors=_BANK_ERRORS,
        ),
    )


def _mandates(scheme: str) -> AnyRoute:
    return _route(
        "POST",
        f"{_PROFILE}/{scheme}bankaccounts/{{id}}/mandates",
        wire.Mandate,
        bank_accounts.read_mandate_in(scheme),
        bank_accounts.write_mandate_created,
        "Add a mandate",
        status=201,
        errors=_BANK_ERRORS,
    )


def _wallet(path: str, body: type[Any], read: Any, key: str) -> AnyRoute:
    return _route(
        "POST",
        f"{_VAULT}/{path}",
        body,
        read,
        single_use.write_wallet_token(key),
        "Make a single-use token of a wallet's",
        errors=_VAULT_ERRORS,
    )


_VAULT_ROUTES = (
    _route(
        "POST",
        _VAULT + "/profiles",
        wire.ProfileIn,
        profiles.read_profile_in,
        profiles.write_profile_created,
        "Make a profile, alone or with a card or a bank account",
        status=201,
        errors=_VAULT_ERRORS,
    ),
    _route(
        "GET",
        _VAULT + "/profiles",
        NoBody,
        profiles.read_profile_search,
        profiles.write_profile,
        "Find a profile by merchantCustomerId",
        query=wire.ProfileQuery,
        errors=at({ErrorCode.NAME_ALREADY_USED: "7521"}),
    ),
    _route(
        "GET",
        _PROFILE,
        NoBody,
        profiles.read_profile,
        profiles.write_profile,
        "Show a profile",
        query=wire.ProfileQuery,
    ),
    _route(
        "PUT",
        _PROFILE,
        wire.Profile,
        profiles.read_profile_update,
        profiles.write_profile_updated,
        "Put a profile in a profile's place",
    ),
    _route(
        "DELETE",
        _PROFILE,
        NoBody,
        profiles.read_profile_deletion,
        vault.write_deleted,
        "Delete a profile with everything that belongs to it",
    ),
    _route(
        "POST",
        _PROFILE + "/addresses",
        wire.VaultAddress,
        vault.read_address_in,
        vault.write_address_created,
        "Add an address",
        status=201,
    ),
    _route(
        "GET",
        _PROFILE + "/addresses/{id}",
        NoBody,
        vault.read_address,
        vault.write_address,
        "Show an address",
    ),
    _route(
        "PUT",
        _PROFILE + "/addresses/{id}",
        wire.VaultAddress,
        vault.read_address_update,
        vault.write_address,
        "Put an address in an address's place",
    ),
    _route(
        "DELETE",
        _PROFILE + "/addresses/{id}",
        NoBody,
        vault.read_address_deletion,
        vault.write_deleted,
        "Delete an address",
    ),
    _route(
        "POST",
        _PROFILE + "/cards",
        wire.VaultCard,
        vault.read_card_in,
        vault.write_card_created,
        "Add a card",
        status=201,
        errors=_VAULT_ERRORS,
    ),
    _route(
        "GET",
        _PROFILE + "/cards/{id}",
        NoBody,
        vault.read_held_card,
        vault.write_card,
        "Show a card",
        errors=_VAULT_ERRORS,
    ),
    _route(
        "PUT",
        _PROFILE + "/cards/{id}",
        wire.VaultCard,
        vault.read_card_update,
        vault.write_card,
        "Change a card, or put a single-use token's in its place",
        errors=_VAULT_ERRORS,
    ),
    _route(
        "DELETE",
        _PROFILE + "/cards/{id}",
        NoBody,
        vault.read_card_deletion,
        vault.write_deleted,
        "Delete a card",
        errors=_VAULT_ERRORS,
    ),
    *_bank_accounts("ach"),
    *_bank_accounts("eft"),
    *_bank_accounts("bacs"),
    *_bank_accounts("sepa"),
    _mandates("bacs"),
    _mandates("sepa"),
    _route(
        "GET",
        _PROFILE + "/mandates/{id}",
        NoBody,
        bank_accounts.read_mandate,
        bank_accounts.write_mandate,
        "Show a mandate",
        errors=_BANK_ERRORS,
    ),
    _route(
        "PUT",
        _PROFILE + "/mandates/{id}",
        wire.StatusIn,
        bank_accounts.read_mandate_update,
        bank_accounts.write_mandate,
        "Cancel a mandate",
        errors=_BANK_ERRORS,
    ),
    _route(
        "DELETE",
        _PROFILE + "/mandates/{id}",
        NoBody,
        bank_accounts.read_mandate_deletion,
        vault.write_deleted,
        "Delete a mandate",
        errors=_BANK_ERRORS,
    ),
    _route(
        "POST",
        _VAULT + "/singleusetokens",
        wire.SingleUseIn,
        single_use.read_card_token,
        single_use.write_card_token,
        "Make a single-use token for a card",
        errors=_VAULT_ERRORS,
    ),
    _route(
        "POST",
        _VAULT + "/singleusetokens/search",
        wire.TokenIn,
        single_use.read_search,
        single_use.write_search,
        "Look at a single-use token without spending it",
        errors=_VAULT_ERRORS,
    ),
    *(
        _route(
            "POST",
            f"{_VAULT}/{scheme}singleusetokens",
            wire.BankSingleUseIn,
            single_use.read_bank_token,
            single_use.write_bank_token,
            f"Make a single-use token for an {scheme.upper()} bank account",
            errors=_BANK_ERRORS,
        )
        for scheme in ("ach", "eft")
    ),
    _route(
        "POST",
        _PROFILE + "/singleuseprofiles",
        wire.Nothing,
        single_use.read_profile_copy,
        single_use.write_profile_copy,
        "Give a browser a profile whose cards pay once",
        errors=_VAULT_ERRORS,
    ),
    _wallet("applepaysingleusetokens", wire.ApplePayIn, single_use.read_apple_token, "applePayPaymentToken"),
    _wallet(
        "googlepaysingleusetokens", wire.GooglePayIn, single_use.read_google_token, "googlePayPaymentToken"
    ),
    _wallet(
        "paywithgooglesingleusetokens",
        wire.GooglePayIn,
        single_use.read_google_token,
        "googlePayPaymentToken",
    ),
)


# --- Direct Debit ----------------------------------------------------------------------------------


def _debits(
    kind: OperationKind, collection: str, key: str, families: tuple[str, ...]
) -> tuple[AnyRoute, ...]:
    path = f"{_DEBITS}/{collection}"
    change = direct_debit.read_debit_change(kind)
    return (
        _route(
            "POST",
            path,
            wire.DebitIn,
            direct_debit.read_debit(kind),
            direct_debit.write_debit,
            f"Make one of {collection}",
        ),
        _route(
            "GET",
            path + "/{id}",
            NoBody,
            direct_debit.read_debit_lookup(kind),
            direct_debit.write_debit_lookup,
            f"Show one of {collection}",
        ),
        _route(
            "PUT",
            path + "/{id}",
            wire.StatusIn,
            change,
            direct_debit.write_debit_cancelled,
            f"Cancel one of {collection} before its batch",
        ),
        _search(collection, families, key, direct_debit.debit_body, _DEBITS),
    )


_DEBIT_ROUTES = (
    *_debits(OperationKind.PURCHASE, "purchases", "purchases", direct_debit.PURCHASES),
    *_debits(OperationKind.CREDIT, "standalonecredits", "standaloneCredits", direct_debit.CREDITS),
    # One page of the documentation leaves the account out.
    _route(
        "PUT",
        "/directdebit/v1/standalonecredits/{id}",
        wire.StatusIn,
        direct_debit.read_debit_change(OperationKind.CREDIT),
        direct_debit.write_debit_cancelled,
        "Cancel a standalone credit before its batch",
    ),
)


# --- 3-D Secure ------------------------------------------------------------------------------------


def _acs(version: int) -> AnyRoute:
    return Route(
        "POST",
        f"/threedsecure/v{version}/acs",
        wire.AcsIn,
        NoQuery,
        threeds.read_acs,
        threeds.write_acs,
        summary="The issuer's page of the sandbox",
        authentication=ANYONE,
        media_types=frozenset({FORM}),
    )


_THREEDS_ERRORS = at({ErrorCode.DOCUMENT_STATE_CONFLICT: "5068"})
_THREEDS_ROUTES = (
    _route(
        "POST",
        _THREEDS + "/enrollmentchecks",
        wire.EnrollmentIn,
        threeds.read_enrollment,
        threeds.write_enrollment,
        "Look whether a card takes part",
    ),
    _route(
        "GET",
        _THREEDS + "/enrollmentchecks/{id}",
        NoBody,
        threeds.read_enrollment_lookup,
        threeds.write_enrollment,
        "Show an enrolment check",
    ),
    _route(
        "POST",
        _THREEDS + "/enrollmentchecks/{id}/authentications",
        wire.AuthenticateIn,
        threeds.read_authentication,
        threeds.write_authentication,
        "Bring the issuer's answer",
    ),
    _route(
        "GET",
        _THREEDS + "/authentications/{id}",
        NoBody,
        threeds.read_authentication_lookup,
        threeds.write_authentication_lookup,
        "Show an authentication",
        query=wire.AuthenticationQuery,
    ),
    _route(
        "POST",
        "/threedsecure/v2/jwt",
        wire.JwtIn,
        threeds.read_jwt,
        threeds.write_jwt,
        "Begin an authentication in a browser or an app",
    ),
    _route(
        "POST",
        "/threedsecure/v2/log",
        wire.LogIn,
        threeds.read_log,
        threeds.write_log,
        "Note what a client says",
    ),
    _route(
        "POST",
        _THREEDS_2 + "/authentications",
        wire.ThreeDSIn,
        threeds.read_authentication_2,
        threeds.write_authentication_2,
        "Authenticate",
    ),
    _route(
        "GET",
        _THREEDS_2 + "/authentications/{id}",
        NoBody,
        threeds.read_authentication_2_lookup,
        threeds.write_authentication_2,
        "Show an authentication",
    ),
    _route(
        "POST",
        _THREEDS_2 + "/authentications/{id}/finalize",
        wire.FinalizeIn,
        threeds.read_finalize,
        threeds.write_finalized,
        "Bring the issuer's answer",
        errors=_THREEDS_ERRORS,
    ),
    _acs(1),
    _acs(2),
)


_CORRELATION = b"x-internal-correlation-id"
_WORD = re.compile(rb"[A-Za-z0-9_.:-]{1,100}")


def _headers(request: WireRequest | None, request_id: RequestId) -> Sequence[tuple[bytes, bytes]]:
    """Give the headers that every answer of Paysafe's has."""
    found = [
        (b"cache-control", b"max-age=0, no-cache, no-store"),
        (b"pragma", b"no-cache"),
        (b"x-applicationuid", f"GUID={uuid_of(request_id)}".encode()),
    ]
    correlation = request.headers.get(_CORRELATION) if request else None
    if correlation is not None and _WORD.fullmatch(correlation):
        found.append((_CORRELATION, correlation))
    return found


PAYSAFE = Dialect(
    name="paysafe",
    title="Paysafe Card Payments, Customer Vault, Direct Debit and 3-D Secure",
    authentication=BasicPair("authSecurity"),
    tokens=TOKENS,
    errors=ERRORS,
    write_error=write_error,
    write_headers=_headers,
    reading=Reading(
        media_types=frozenset({JSON}),
        coerces=True,
        nulls_are_absent=True,
        bodiless_methods=frozenset({"GET", "DELETE"}),
        names_every_problem=True,
        ignores_unknown_parameters=True,
        checks_accept=True,
    ),
    collapses_slashes=True,
    cors=Cors(b"GET, POST, PUT, DELETE", b"authorization, content-type, x-internal-correlation-id"),
    routes=(
        *(_monitor(api) for api in ("cardpayments", "customervault", "directdebit", "threedsecure")),
        _monitor("accountmanagement"),
        *_CARD_ROUTES,
        *_VAULT_ROUTES,
        *_DEBIT_ROUTES,
        *_THREEDS_ROUTES,
    ),
)
