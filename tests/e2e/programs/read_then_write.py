"""Farebox with its conditional write taken out: the control of the race.

A token is read first and written afterwards, without a condition, as a program would do it that trusts what
it has just seen. Everything else is the real server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from farebox.adapters.storage import unit_of_work
from farebox.adapters.storage.sqlite import SqliteStorage
from farebox.adapters.storage.tokens import SingleUseTokens
from farebox.cli import main
from farebox.domain.access import Tenant
from farebox.domain.ids import OperationId
from farebox.domain.tokens import SingleUseToken, TokenState

RESERVE_BLINDLY = "UPDATE single_use_token SET state = 'reserved', operation_id = $1 WHERE id = $2"


class ReadThenWrite(SingleUseTokens):
    committed: SingleUseTokens | None = None
    """Tokens as other transactions have committed them; none where this connection sees just that."""

    async def reserve(
        self, tenant: Tenant, token_mac: bytes, operation_id: OperationId, clock_offset: timedelta
    ) -> SingleUseToken | None:
        seen = await (self.committed or self).find(tenant, token_mac)
        if seen is None or seen.state is not TokenState.MINTED:
            return None
        if seen.expires_at <= datetime.now(UTC) + clock_offset:  # noqa: TID251  # it is careless with time, too
            return None
        await self._connection.execute(RESERVE_BLINDLY, (operation_id, seen.id))
        return replace(seen, state=TokenState.RESERVED, operation_id=operation_id)


def open_carelessly(self: SqliteStorage, *arguments: Any, **options: Any) -> None:
    # One connection writes, so a read inside its transaction would see every write before it.
    open_carefully(self, *arguments, **options)
    tokens = self._writing.tokens
    assert isinstance(tokens, ReadThenWrite)
    tokens.committed = SingleUseTokens(self._reading._connection)


open_carefully = SqliteStorage.__init__
SqliteStorage.__init__ = open_carelessly
unit_of_work.SingleUseTokens = ReadThenWrite

if __name__ == "__main__":
    main()
