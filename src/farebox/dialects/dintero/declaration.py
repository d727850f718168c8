"""Dintero's API, declared."""

from __future__ import annotations

from datetime import timedelta

from farebox.dialects.dialect import (
    ANYONE,
    BEARER_TOKEN,
    JSON,
    AnyRoute,
    BasicPair,
    Cors,
    Dialect,
    NoQuery,
    Reading,
    Route,
    WireError,
)
from farebox.dialects.dintero import (
    access,
    card_tokens,
    charges,
    elsewhere,
    lists,
    lookups,
    pages,
    profiles,
    session_views,
    sessions,
    signatures,
    transactions,
    wire,
)
from farebox.dialects.dintero.callbacks import CALLBACKS
from farebox.dialects.dintero.errors import ERRORS, NO_SESSION, write_error
from farebox.domain.errors import ErrorCode
from farebox.domain.retry_limits import RetryLimit
from farebox.domain.tokens import TokenRules, TokenShape

_REFERENCE = "Dintero API reference"
_HEX = "0123456789abcdef"
_STRING = TokenShape("", _HEX, 64)
_SESSION = "/v1/sessions/{session_id}"
_TRANSACTION = "/v1/transactions/{transaction_id}"
_CARD_TOKEN = "/v1/card-tokens/{token_id}"
_PROFILE = "/v1/admin/session/profiles"

_SESSIONS: tuple[AnyRoute, ...] = (
    Route(
        "POST",
        "/v1/sessions-profile",
        wire.SessionIn,
        wire.CreateQuery,
        sessions.read_from_profile,
        session_views.write_created,
        summary="Create a session from a profile",
    ),
    Route(
        "POST",
        "/v1/sessions",
        wire.SessionIn,
        wire.CreateQuery,
        sessions.read_from_configuration,
        session_views.write_created,
        summary="Create a session with a configuration",
    ),
    Route(
        "GET",
        "/v1/sessions",
        wire.Ignored,
        wire.SessionsQuery,
        session_views.read_sessions,
        session_views.write_sessions,
        summary="List sessions",
    ),
    Route(
        "POST",
        "/v1/sessions/payment-token",
        wire.TokenSessionIn,
        wire.CreateQuery,
        sessions.read_token_session,
        session_views.write_created,
        summary="Create a session that only stores a card",
    ),
    Route(
        "POST",
        "/v1/sessions/pay",
        wire.ChargeIn,
        wire.IncludesQuery,
        charges.read_charge,
        charges.write_charge,
        summary="Charge a stored card without its holder",
    ),
    Route(
        "GET",
        _SESSION,
        wire.Ignored,
        wire.IncludesQuery,
        session_views.read_session,
        session_views.write_session,
        summary="Show a session",
    ),
    Route(
        "PUT",
        _SESSION,
        wire.SessionUpdateIn,
        wire.UpdateQuery,
        sessions.read_update,
        session_views.write_session,
        summary="Change a session's order",
    ),
    Route(
        "POST",
        _SESSION + "/cancel",
        wire.Ignored,
        wire.IncludesQuery,
        sessions.read_cancellation,
        session_views.write_session,
        summary="Cancel a session",
    ),
)

_TRANSACTIONS: tuple[AnyRoute, ...] = (
    Route(
        "GET",
        "/v1/transactions",
        wire.Ignored,
        wire.TransactionsQuery,
        lists.read_list,
        lists.write_list,
        summary="List transactions",
    ),
    Route(
        "GET",
        _TRANSACTION,
        wire.Ignored,
        wire.IncludesQuery,
        lookups.read_transaction,
        lookups.write_transaction,
        summary="Show a transaction",
    ),
    Route(
        "PUT",
        _TRANSACTION,
        wire.TransactionUpdateIn,
        wire.IncludesQuery,
        transactions.read_update,
        transactions.write_updated,
        summary="Give a transaction its second reference",
    ),
    Route(
        "POST",
        _TRANSACTION + "/capture",
        wire.CaptureIn,
        wire.IncludesQuery,
        transactions.read_capture,
        transactions.write_moved,
        summary="Capture a transaction, whole or in part",
    ),
    Route(
        "POST",
        _TRANSACTION + "/refund",
        wire.RefundIn,
        wire.IncludesQuery,
        transactions.read_refund,
        transactions.write_moved,
        summary="Refund what was captured, whole or in part",
    ),
    Route(
        "POST",
        _TRANSACTION + "/void",
        wire.Ignored,
        wire.IncludesQuery,
        transactions.read_void,
        transactions.write_moved,
        summary="Void an authorization, or what is left of it",
    ),
    Route(
        "POST",
        _TRANSACTION + "/authorization",
        wire.AuthorizationIn,
        wire.IncludesQuery,
        transactions.read_authorization,
        transactions.write_moved,
        summary="Change an authorization",
    ),
)

_CARD_TOKENS: tuple[AnyRoute, ...] = (
    Route(
        "GET",
        "/v1/card-tokens",
        wire.Ignored,
        wire.CardTokensQuery,
        card_tokens.read_card_tokens,
        card_tokens.write_card_tokens,
        summary="List stored cards",
    ),
    Route(
        "GET",
        _CARD_TOKEN,
        wire.Ignored,
        wire.IncludesQuery,
        card_tokens.read_card_token,
        card_tokens.write_card_token,
        summary="Show a stored card",
    ),
    Route(
        "DELETE",
        _CARD_TOKEN,
        wire.CardTokenDeletionIn,
        wire.IncludesQuery,
        card_tokens.read_deletion,
        card_tokens.write_deletion,
        summary="Erase a stored card",
    ),
)

_ADMIN: tuple[AnyRoute, ...] = (
    Route(
        "GET",
        _PROFILE,
        wire.Ignored,
        wire.PageQuery,
        profiles.read_list,
        profiles.write_list,
        summary="List profiles",
        authentication=access.ADMIN,
    ),
    Route(
        "POST",
        _PROFILE,
        wire.ProfileIn,
        wire.PageQuery,
        profiles.read_creation,
        profiles.write_document,
        summary="Create a profile",
        authentication=access.ADMIN,
    ),
    Route(
        "GET",
        _PROFILE + "/{profile_id}",
        wire.Ignored,
        wire.PageQuery,
        profiles.read_profile,
        profiles.write_profile,
        summary="Show a profile",
        authentication=access.ADMIN,
    ),
    Route(
        "PUT",
        _PROFILE + "/{profile_id}",
        wire.ProfileIn,
        wire.PageQuery,
        profiles.read_replacement,
        profiles.write_document,
        summary="Replace a profile",
        authentication=access.ADMIN,
    ),
    Route(
        "DELETE",
        _PROFILE + "/{profile_id}",
        wire.Ignored,
        wire.PageQuery,
        profiles.read_deletion,
        profiles.write_profile,
        summary="Delete a profile",
        authentication=access.ADMIN,
    ),
)

_SIGNATURE: tuple[AnyRoute, ...] = (
    Route(
        "POST",
        "/v1/admin/signature",
        wire.Ignored,
        wire.AnyQuery,
        signatures.read_creation,
        signatures.write_signature,
        summary="Make the secret that signs callbacks, or change it",
        authentication=access.ADMIN,
    ),
    Route(
        "GET",
        "/v1/admin/signature",
        wire.Ignored,
        wire.AnyQuery,
        signatures.read_signature,
        signatures.write_signature,
        summary="Show the secret that signs callbacks",
        authentication=access.ADMIN,
    ),
)

_VIEW = "/v1/view/{session_id}"
_PAGES: tuple[AnyRoute, ...] = (
    *pages.PAGE.routes(),
    Route(
        "GET",
        "/embedResult",
        wire.Ignored,
        wire.OutcomeQuery,
        pages.read_outcome,
        pages.write_outcome,
        summary="Show in a frame how a session ended",
        authentication=ANYONE,
        is_page=True,
    ),
    Route(
        "GET",
        _VIEW,
        wire.Ignored,
        wire.AnyQuery,
        pages.read_address,
        pages.write_address,
        summary="Lead a buyer to the page",
        authentication=ANYONE,
    ),
    Route(
        "GET",
        _VIEW + "/session",
        wire.Ignored,
        wire.AnyQuery,
        pages.read_view,
        pages.write_view,
        summary="Show a session to its page",
        authentication=pages.VISITOR,
        errors=NO_SESSION,
    ),
    Route(
        "POST",
        _VIEW + "/session/lock",
        wire.Ignored,
        wire.AnyQuery,
        pages.read_lock,
        pages.write_lock,
        summary="Lock an Express session while its order changes",
        authentication=pages.VISITOR,
        errors=NO_SESSION,
    ),
    Route(
        "POST",
        _VIEW + "/session/abandon",
        wire.Ignored,
        wire.AnyQuery,
        pages.read_abandon,
        pages.write_abandon,
        summary="Leave the page",
        authentication=pages.VISITOR,
        errors=NO_SESSION,
    ),
)

_ACCESS: tuple[AnyRoute, ...] = (
    Route(
        "POST",
        "/v1/accounts/{account_id}/auth/token",
        wire.TokenIn,
        NoQuery,
        access.read_token,
        access.write_token,
        summary="Get an access token",
        authentication=BasicPair("dintero"),
        errors={ErrorCode.API_KEY_INVALID: WireError(403, "Forbidden", "FORBIDDEN")},
    ),
)

_ACCOUNT = "/v1/accounts/{account_id}"
_SETTLEMENTS = tuple(
    Route(
        "GET",
        path,
        wire.Ignored,
        wire.AnyQuery,
        access.of_account(elsewhere.read_nothing),
        elsewhere.write_no_items,
        summary=summary,
    )
    for path, summary in (
        (_ACCOUNT + "/settlements", "List settlements, of which there are none"),
        (_ACCOUNT + "/settlements/reports/configuration", "List report settings, of which there are none"),
    )
)
_LOOK = "/variant/{variant}/color/{color}/width/{width}/{template}"
_PICTURES: tuple[AnyRoute, ...] = tuple(
    Route(
        "GET",
        "/v1/branding/" + path,
        wire.Ignored,
        wire.AnyQuery,
        elsewhere.read_nothing,
        elsewhere.write_picture,
        summary="Show a picture of what can be paid with",
        authentication=ANYONE,
        is_page=True,
    )
    for path in (
        "logos/{logos}" + _LOOK,
        "profiles/{profile_id}" + _LOOK,
        "accounts/{account_id}/profiles/{profile_id}" + _LOOK,
        "accounts/{account_id}/profiles/{profile_id}" + _LOOK.replace("/color/", "/colors/color/"),
    )
)

_RESOURCES = (*_SESSIONS, *_TRANSACTIONS, *_CARD_TOKENS)

DINTERO = Dialect(
    name="dintero",
    title="Dintero",
    authentication=BEARER_TOKEN,
    tokens=TokenRules(
        stored_shapes={"payment_token": _STRING, "recurrence_token": _STRING},
        shows_stored=True,
        retry_limits={
            "mastercard": RetryLimit(10, timedelta(days=1)),
            "visa": RetryLimit(15, timedelta(days=30)),
        },
    ),
    errors=ERRORS,
    write_error=write_error,
    callbacks=CALLBACKS,
    reading=Reading(
        media_types=frozenset({JSON, b"", b"text/plain"}),
        coerces=True,
        nulls_are_absent=True,
        empty_bodies=frozenset({b"null", b"[]", b"{}", b'""'}),
        bodiless_methods=frozenset({"GET"}),
        names_every_problem=True,
        ignores_unknown_parameters=True,
        repeats_parameters=True,
    ),
    collapses_slashes=True,
    cors=Cors(
        methods=b"GET,HEAD,PUT,PATCH,POST,DELETE",
        headers=b"Origin,Content-Type,Accept,Authorization,total-count,page-count",
    ),
    routes=(
        *_ACCESS,
        *_RESOURCES,
        *map(access.under_account, _RESOURCES),
        *_ADMIN,
        *_SIGNATURE,
        *_PAGES,
        *_SETTLEMENTS,
        *_PICTURES,
    ),
)
