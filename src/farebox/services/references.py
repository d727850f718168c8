"""Merchants' references that may be used once in a scope for a time."""

from __future__ import annotations

from datetime import datetime

from farebox.domain.access import Tenant
from farebox.domain.errors import Conflict, ErrorCode
from farebox.ports.storage import UnitOfWork
from farebox.services.commands import UniqueReference


async def take_reference(
    uow: UnitOfWork, tenant: Tenant, unique: UniqueReference | None, now: datetime
) -> None:
    """Take a reference in the transaction that uses it; it stays taken whatever becomes of the request.

    Args:
        uow: the transaction.
        tenant: whose reference it is.
        unique: the reference and its scope; nothing checks nothing.
        now: by the merchant's clock.

    Raises:
        Conflict: `reference_already_used`.
    """
    if unique is None:
        return
    taken = await uow.references.take(
        tenant, unique.scope, unique.reference, now=now, until=now + unique.kept
    )
    if not taken:
        raise Conflict(ErrorCode.REFERENCE_ALREADY_USED, param="reference")
