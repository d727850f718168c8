"""Who asks: access tokens for clients, keys for administrators, and accounts named in paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from farebox.dialects.dialect import (
    BEARER_TOKEN,
    AnyRoute,
    Call,
    EitherOf,
    KeyInHeader,
    NoQuery,
    WireRefusal,
)
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.errors import FORBIDDEN
from farebox.dialects.dintero.reading import invalid
from farebox.dialects.dintero.transactions import account_of
from farebox.services import commands
from farebox.services.commands import Command

LIFETIME_S = 3600
"""An hour is the most that an access token lives here (SEC-20); the Python client needs more than 600 s."""
ADMIN = EitherOf((BEARER_TOKEN, KeyInHeader(b"x-api-key")))
ALIAS = "/v1/accounts/{account_id}/payments"
"""The account-scoped base: the same resources under another name."""


def read_token(call: Call[wire.TokenIn, NoQuery]) -> commands.IssueAccessToken:
    """Read which account a token is wanted for.

    Of the audience only the path's end counts: clients write this server's address, mounted wherever it is,
    Dintero's, or either with the account in front of an `@`.

    Raises:
        WireRefusal: another grant, or another account than the client's.
    """
    if call.body.grant_type != "client_credentials":
        raise invalid("grant_type", "must be client_credentials")
    account_id = account_of(call)
    try:
        path = urlsplit(call.body.audience).path
    except ValueError:
        raise invalid("audience", "must be a URL") from None
    names_it = path.rstrip("/").endswith(f"/v1/accounts/{account_id}")
    if call.path["account_id"] != account_id or not names_it:
        raise WireRefusal(FORBIDDEN)
    return commands.IssueAccessToken(LIFETIME_S)


def write_token(view: commands.AccessTokenView, call: Call[Any, Any]) -> wire.AccessTokenOut:
    """Show a token; `Bearer` is written as programs put it into their header."""
    return wire.AccessTokenOut(access_token=view.string, token_type="Bearer", expires_in=view.lifetime_s)


def under_account(route: AnyRoute) -> AnyRoute:
    """Give a route its account-scoped name; an account that is not the caller's is refused."""
    path = ALIAS + route.path.removeprefix("/v1")
    return replace(route, path=path, read=of_account(route.read))


def of_account(
    read: Callable[[Call[Any, Any]], Command[Any]],
) -> Callable[[Call[Any, Any]], Command[Any]]:
    """Check the account in the path before anything else is read.

    Raises:
        WireRefusal: it is another account.
    """

    def checked(call: Call[Any, Any]) -> Command[Any]:
        if call.path["account_id"] != account_of(call):
            raise WireRefusal(FORBIDDEN)
        return read(call)

    return checked
