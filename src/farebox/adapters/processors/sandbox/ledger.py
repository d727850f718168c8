"""The acquirer's own books, in a database of their own.

They are what an independent third party would say happened: Farebox's tests compare its database with
them, and nothing but the sandbox writes them. A number is kept only as a digest under a key that is made
with the file.

Every decision is committed before it is answered, together with others of the same turn of the event loop.
`synchronous` is OFF: the acquirer stands for another machine, so a kill of our process must not touch its
memory, and the kernel holds what was written; a power cut of both is not something a sandbox promises to
remember.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, LiteralString, cast

import apsw

from farebox.domain.access import Tenant
from farebox.domain.frozen import frozen
from farebox.domain.operations import OperationKind

_SCHEMA: LiteralString = """
CREATE TABLE IF NOT EXISTS entry (
  reference TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL,
  root TEXT NOT NULL,
  target TEXT,
  target_kind TEXT,
  amount_minor INTEGER NOT NULL,
  approved_minor INTEGER NOT NULL,
  currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('approved', 'declined', 'pending', 'reversed')),
  settles TEXT,
  reason TEXT,
  code TEXT,
  message TEXT,
  avs TEXT NOT NULL,
  cvc TEXT NOT NULL,
  fingerprint BLOB,
  later TEXT,
  expires_at INTEGER,
  batch INTEGER,
  received INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_of_root ON entry (root);
CREATE INDEX IF NOT EXISTS entry_unsettled ON entry (merchant_id, mode) WHERE batch IS NULL;
CREATE TABLE IF NOT EXISTS poison (
  reference TEXT NOT NULL PRIMARY KEY, merchant_id TEXT NOT NULL, mode TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS book (
  one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL, batch INTEGER NOT NULL
) STRICT;
"""
_COLUMNS: LiteralString = (
    "reference, merchant_id, mode, kind, root, target, target_kind, amount_minor, approved_minor, currency,"
    " state, settles, reason, code, message, avs, cvc, fingerprint, later, expires_at, batch, received"
)
_INSERT: LiteralString = (
    f"INSERT INTO entry ({_COLUMNS})"
    " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM poison WHERE reference = ?)"
    " ON CONFLICT (reference) DO NOTHING"
)
_SETTLING = "('capture', 'purchase', 'refund', 'credit')"


@frozen
class Entry:
    """One request the acquirer decided on."""

    reference: str
    merchant_id: str
    mode: str
    kind: str
    root: str
    """Reference of the operation that opened the payment."""
    target: str | None
    target_kind: str | None
    amount_minor: int
    approved_minor: int
    currency: str
    state: str
    settles: str | None
    reason: str | None
    code: str | None
    message: str | None
    avs: str
    cvc: str
    fingerprint: bytes | None
    later: str | None = None
    """Trouble that comes with follow-ups, as JSON by kind of operation."""
    expires_at: int | None = None
    """Of a pending one that the payer completes: microseconds since 1970, by the merchant's clock."""
    batch: int | None = None
    received: int = 1


_values = attrgetter(*(one.name for one in fields(Entry)))


@frozen
class Sums:
    """What became of one payment, by the acquirer's books; minor units."""

    authorized: int
    captured: int
    voided: int
    refunded: int


class Ledger:
    """The books."""

    def __init__(self, path: Path | None) -> None:
        """Open the file, or books in memory that end with the process."""
        self._connection: Any = apsw.Connection(str(path) if path else ":memory:")
        self._connection.set_busy_timeout(5000)
        if path is not None:
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA wal_autocheckpoint = 10000")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._in_memory = path is None
        """Books in memory are as durable as they will ever be with every statement."""
        self._is_writing = False
        self._waiting: list[asyncio.Future[None]] = []
        self._run = self._connection.cursor().execute
        self._connection.execute(_SCHEMA)
        self._add_columns()
        self._connection.execute(
            "INSERT INTO book (one, key, batch) VALUES (1, ?, 1) ON CONFLICT (one) DO NOTHING",
            (os.urandom(32),),
        )
        self._key: bytes = self._rows("SELECT key FROM book")[0][0]

    def _add_columns(self) -> None:
        """Bring books of an earlier version up to date."""
        columns = {name for _, name, *_ in self._rows("PRAGMA table_info(entry)")}
        if "expires_at" not in columns:
            self._connection.execute("ALTER TABLE entry ADD COLUMN expires_at INTEGER")
        self._connection.execute(
            "CREATE INDEX IF NOT EXISTS entry_expiry ON entry (merchant_id, mode, expires_at)"
            " WHERE state = 'pending' AND expires_at IS NOT NULL"
        )

    def fingerprint(self, number: bytes) -> bytes:
        """Digest a number under the books' key."""
        return hmac.digest(self._key, number, "sha256")

    def find(self, reference: str) -> Entry | None:
        """Find a request that was decided."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM entry WHERE reference = ?", (reference,))
        return Entry(*rows[0]) if rows else None

    def add(self, entry: Entry, *, unless_poisoned: bool = True) -> bool:
        """Write a decision down, unless there is one for its reference or a reversal came before it.

        It is durable against the end of our process once `committed` returns.
        """
        if not self._in_memory and not self._is_writing:
            self._run("BEGIN IMMEDIATE")
            self._is_writing = True
            asyncio.get_running_loop().call_soon(self._commit)
        self._run(_INSERT, (*_values(entry), entry.reference if unless_poisoned else None))
        return self._connection.changes() == 1

    async def committed(self) -> None:
        """Wait until what was written is durable against the end of our process."""
        if self._is_writing:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _commit(self) -> None:
        """Commit what this turn of the event loop decided, and let it be answered."""
        if not self._is_writing:
            return
        waiting, self._waiting, self._is_writing = self._waiting, [], False
        self._run("COMMIT")
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def received_again(self, reference: str) -> None:
        """Count a repetition of a request that was decided."""
        self._rows("UPDATE entry SET received = received + 1 WHERE reference = ?", (reference,))

    def poison(self, reference: str, tenant: Tenant) -> None:
        """Remember a reversal whose original has not come."""
        self._rows(
            "INSERT INTO poison (reference, merchant_id, mode) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (reference, tenant.merchant_id, tenant.mode.value),
        )

    def reverse(self, reference: str) -> None:
        """Undo an approved or pending entry; the others have nothing to undo."""
        self._rows(
            "UPDATE entry SET state = 'reversed' WHERE reference = ? AND state IN ('approved', 'pending')",
            (reference,),
        )

    def sums(self, root: str) -> Sums:
        """Add up a payment."""
        rows = self._rows(
            "SELECT kind, target_kind, SUM(approved_minor) FROM entry"
            " WHERE root = ? AND state = 'approved' GROUP BY kind, target_kind",
            (root,),
        )
        found = {(kind, target_kind): total for kind, target_kind, total in rows}

        def voids(*kinds: OperationKind) -> int:
            return sum(found.get((OperationKind.VOID.value, kind.value), 0) for kind in kinds)

        def all_of(*kinds: OperationKind) -> int:
            return sum(total for (kind, _), total in found.items() if kind in {one.value for one in kinds})

        taken_back = voids(OperationKind.CAPTURE, OperationKind.PURCHASE, OperationKind.CREDIT)
        return Sums(
            authorized=all_of(OperationKind.AUTHORIZATION),
            captured=all_of(OperationKind.CAPTURE, OperationKind.PURCHASE, OperationKind.CREDIT) - taken_back,
            voided=voids(OperationKind.AUTHORIZATION),
            refunded=all_of(OperationKind.REFUND) - voids(OperationKind.REFUND),
        )

    def voided_of(self, target: str) -> int:
        """Add up what voids took from one operation."""
        rows = self._rows(
            "SELECT COALESCE(SUM(approved_minor), 0) FROM entry"
            " WHERE root = (SELECT root FROM entry WHERE reference = ?1)"
            " AND target = ?1 AND kind = 'void' AND state = 'approved'",
            (target,),
        )
        return cast("int", rows[0][0])

    def close_batch(self, tenant: Tenant) -> tuple[str, ...]:
        """Settle a tenant's open entries: pending ones get their result, approved ones their batch."""
        owner = (tenant.merchant_id, tenant.mode.value)
        self._commit()
        with self._connection:
            number = self._rows("UPDATE book SET batch = batch + 1 RETURNING batch - 1")[0][0]
            self._rows(
                "UPDATE entry SET state = settles, approved_minor ="
                " CASE settles WHEN 'approved' THEN amount_minor ELSE 0 END"
                " WHERE merchant_id = ? AND mode = ? AND batch IS NULL AND state = 'pending'"
                " AND settles IS NOT NULL",
                owner,
            )
            rows = self._rows(
                "UPDATE entry SET batch = ? WHERE merchant_id = ? AND mode = ? AND batch IS NULL"
                f" AND state = 'approved' AND kind IN {_SETTLING} RETURNING reference",
                (number, *owner),
            )
        return tuple(reference for (reference,) in rows)

    def decide(self, reference: str, tenant: Tenant, reason: str | None, code: str | None) -> bool:
        """Let a payer decide on a pending entry: no reason approves; False when it was not pending."""
        state = "approved" if reason is None else "declined"
        rows = self._rows(
            "UPDATE entry SET state = ?1, reason = ?2, code = ?3,"
            " approved_minor = CASE ?1 WHEN 'approved' THEN amount_minor ELSE 0 END"
            " WHERE reference = ?4 AND merchant_id = ?5 AND mode = ?6 AND state = 'pending' RETURNING 1",
            (state, reason, code, reference, tenant.merchant_id, tenant.mode.value),
        )
        return bool(rows)

    def expire(self, tenant: Tenant, now_us: int, reason: str) -> tuple[str, ...]:
        """Decline what its payer has not completed in time; give the references."""
        rows = self._rows(
            "UPDATE entry SET state = 'declined', reason = ?, approved_minor = 0"
            " WHERE merchant_id = ? AND mode = ? AND state = 'pending' AND expires_at <= ?"
            " RETURNING reference",
            (reason, tenant.merchant_id, tenant.mode.value, now_us),
        )
        return tuple(reference for (reference,) in rows)

    def entries(self, tenant: Tenant) -> list[Entry]:
        """Give a tenant's entries."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM entry WHERE merchant_id = ? AND mode = ? ORDER BY reference",
            (tenant.merchant_id, tenant.mode.value),
        )
        return [Entry(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._commit()
        self._connection.close()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._run(sql, values).fetchall()
