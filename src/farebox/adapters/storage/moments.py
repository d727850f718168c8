"""Ids of which only prefix and moment are known, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

from farebox.adapters.storage.connection import Connection
from farebox.domain.access import Tenant
from farebox.domain.ids import IdRange


def _between(table: LiteralString) -> LiteralString:
    return (
        f"SELECT id FROM {table} WHERE merchant_id = $1 AND mode = $2 AND id >= $3 AND id <= $4"
        " ORDER BY id LIMIT 2"
    )


BETWEEN: Mapping[str, LiteralString] = {
    "pay": _between("payment"),
    "ver": _between("payment"),
    "crd": _between("payment"),
    "op": _between("operation"),
    "doc": _between("document"),
    "sub": _between("subscription"),
}
"""By prefix."""


class Moments:
    """Implements `ports.storage.Moments`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def ids(self, tenant: Tenant, ids: IdRange) -> Sequence[str]:
        """Give the ids within a range, at most two."""
        sql = BETWEEN[ids.first.partition("_")[0]]
        rows = await self._connection.fetch_all(
            sql, (tenant.merchant_id, tenant.mode.value, ids.first, ids.last)
        )
        return [row[0] for row in rows]
