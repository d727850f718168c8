"""The secret that signs an account's callbacks: made, changed and read by administrators."""

from __future__ import annotations

from typing import Any

from farebox.dialects.dialect import Call, WireRefusal
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.callbacks import SIGNATURE
from farebox.dialects.dintero.errors import ERRORS
from farebox.dialects.dintero.names import instant
from farebox.domain.errors import ErrorCode
from farebox.services import commands
from farebox.services.commands import AccountSecretView

AnyCall = Call[wire.Ignored, wire.AnyQuery]


def read_creation(call: AnyCall) -> commands.RotateAccountSecret:
    """Read that a new secret is wanted; it takes the place of the old one at once."""
    return commands.RotateAccountSecret()


def read_signature(call: AnyCall) -> commands.Command[AccountSecretView]:
    """Read that the secret is to be shown."""

    def shown(view: AccountSecretView | None) -> commands.Command[AccountSecretView]:
        if view is None:
            raise WireRefusal(ERRORS[ErrorCode.DOCUMENT_NOT_FOUND])
        return commands.Give(view)

    return commands.Then(commands.GetAccountSecret(), shown)


def write_signature(view: AccountSecretView, call: Call[Any, Any]) -> wire.SignatureOut:
    """Show the secret."""
    return wire.SignatureOut(
        id=str(view.number),
        created_at=instant(view.created_at),
        created_by=call.principal.attribute("client_id"),
        signature=wire.SignatureOfOut(type=SIGNATURE, secret=view.secret),
    )
