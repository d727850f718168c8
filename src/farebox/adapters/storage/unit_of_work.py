"""One transaction's view of every aggregate, over either engine's connection."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString

from farebox.adapters.storage.audit import Audit, ChainMac
from farebox.adapters.storage.checkout_sessions import CheckoutSessions
from farebox.adapters.storage.connection import Connection, from_us
from farebox.adapters.storage.customers import Agreements, Customers
from farebox.adapters.storage.documents import Documents, References
from farebox.adapters.storage.events import Events
from farebox.adapters.storage.idempotency import Idempotency
from farebox.adapters.storage.keys import Keys, Probing
from farebox.adapters.storage.merchants import Merchants
from farebox.adapters.storage.moments import Moments
from farebox.adapters.storage.operations import Operations
from farebox.adapters.storage.payments import Payments
from farebox.adapters.storage.sessions import Sessions
from farebox.adapters.storage.stored_tokens import StoredTokens
from farebox.adapters.storage.subscriptions import Subscriptions
from farebox.adapters.storage.tokens import SingleUseTokens
from farebox.adapters.storage.webhooks import Webhooks
from farebox.ports import storage as port
from farebox.ports.keys import KeyRepository

NOW: LiteralString = "SELECT farebox_now()"


class SqlUnitOfWork:
    """Implements `ports.storage.UnitOfWork`; made once per connection and used for each transaction on it."""

    def __init__(self, connection: Connection, chain_mac: ChainMac) -> None:
        """Bind every repository to the connection."""
        self._connection = connection
        self.tokens: port.SingleUseTokens = SingleUseTokens(connection)
        self.stored_tokens: port.StoredTokens = StoredTokens(connection)
        self.payments: port.Payments = Payments(connection)
        self.operations: port.Operations = Operations(connection)
        self.idempotency: port.Idempotency = Idempotency(connection)
        self.events: port.Events = Events(connection)
        self._audit = Audit(connection, chain_mac)
        self.audit: port.Audit = self._audit
        self.customers: port.Customers = Customers(connection)
        self.agreements: port.Agreements = Agreements(connection)
        self.merchants: port.Merchants = Merchants(connection)
        self.keys: KeyRepository = Keys(connection)
        self.probing: port.Probing = Probing(connection)
        self.documents: port.Documents = Documents(connection)
        self.references: port.References = References(connection)
        self.sessions: port.Sessions = Sessions(connection)
        self.moments: port.Moments = Moments(connection)
        self.subscriptions: port.Subscriptions = Subscriptions(connection)
        self.checkout_sessions: port.CheckoutSessions = CheckoutSessions(connection)
        self.webhooks: port.Webhooks = Webhooks(connection)

    def begin(self) -> None:
        """Begin a transaction: what was remembered of the last one may be wrong by now."""
        self._audit.begin()

    async def now(self) -> datetime:
        """Give the instant by the database's clock."""
        row = await self._connection.fetch_one(NOW)
        assert row is not None, "a SELECT without FROM gives a row"
        return from_us(row[0])
