"""Strings for stored credentials, drawn where it can be seen whether one is taken."""

from __future__ import annotations

from dataclasses import replace

from farebox.domain.errors import ErrorCode, Unavailable
from farebox.domain.tokens import StoredToken, StoredTokenKind, TokenShape, TokenString
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import UnitOfWork
from farebox.services.ids import Ids

_DRAWS_MAX = 20
TOKEN_CLASSES = {
    StoredTokenKind.PAYMENT_TOKEN: TokenClass.PAYMENT_TOKEN,
    StoredTokenKind.RECURRENCE_TOKEN: TokenClass.RECURRENCE_TOKEN,
}


async def with_string(
    uow: UnitOfWork,
    token: StoredToken,
    shape: TokenShape,
    ids: Ids,
    secrets: Secrets,
    *,
    drawn: TokenString | None,
) -> tuple[StoredToken, TokenString]:
    """Put the digest of its string into a token that is about to be stored.

    Args:
        uow: the transaction that stores it.
        token: without a digest.
        shape: of the string.
        ids: draws strings.
        secrets: digests them.
        drawn: the string, where none of this shape can be taken; none draws one that no credential of the
            tenant has or had. The unique index stands behind either kind.

    Raises:
        Unavailable: `storage_busy` when every string that was drawn is taken.
    """
    for _ in range(_DRAWS_MAX):
        string = drawn or ids.token(shape)
        mac = secrets.token_mac(string, TOKEN_CLASSES[token.kind], token.tenant)
        if drawn is not None or await uow.stored_tokens.find(token.tenant, (mac,)) is None:
            return replace(token, token_mac=mac, shown_string=string if shape.is_shown else None), string
    raise Unavailable(ErrorCode.STORAGE_BUSY)
