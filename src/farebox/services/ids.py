"""Fresh ids, token strings and events, out of the clock and the random source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from farebox.domain.access import Tenant
from farebox.domain.events import Event, EventType, Value
from farebox.domain.ids import ID_ENTROPY, EventId, new_id
from farebox.domain.tokens import TokenShape, TokenString, token_string
from farebox.ports.system import Clock, Randomness


class Ids:
    """Makes what must be new and unpredictable."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        """Take the node's clock and the operating system's random source."""
        self._clock = clock
        self._randomness = randomness
        self._last_us = 0

    def new(self, prefix: str) -> str:
        """Make an id with this prefix: `pay`, `op`, `tok`; no two share a microsecond.

        Protocols with short ids show an id's time alone (`domain.ids.Numbering`).
        """
        self._last_us = max(self._clock.wall_us(), self._last_us + 1)
        return new_id(prefix, unix_us=self._last_us, entropy=self._randomness.bytes(ID_ENTROPY))

    def uuid(self) -> UUID:
        """Draw a random UUID (RFC 9562 §5.4)."""
        return UUID(bytes=self._randomness.bytes(16), version=4)

    def token(self, shape: TokenShape) -> TokenString:
        """Draw a token string in a dialect's shape (SEC-16)."""
        return token_string(shape, self._randomness.bytes)

    def event(
        self,
        type_: EventType,
        tenant: Tenant,
        object_id: str,
        *,
        at: datetime,
        sequence: int,
        data: Mapping[str, Value],
    ) -> Event:
        """Make the event that tells of one transition."""
        return Event(
            id=EventId(self.new("evt")),
            tenant=tenant,
            type=type_,
            object_id=object_id,
            sequence=sequence,
            created_at=at,
            data=data,
        )
