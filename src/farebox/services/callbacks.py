"""How a dialect tells what happened: the vocabulary in which it declares its callbacks.

A dialect gives one `Callbacks` for each kind of endpoint it has: a pure function that writes the request for
a notice, one that signs it, and the terms of delivery. Everything else (which endpoints, when, how often,
what may be called) is `services.webhooks`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from farebox.domain.events import Event
from farebox.domain.frozen import frozen
from farebox.domain.webhooks import OutboundRequest, Terms, WebhookEndpoint, wants_type
from farebox.services.commands import Notice


@frozen
class Signing:
    """What a signature may cover."""

    request: OutboundRequest
    event_id: str
    delivery_id: str
    at: datetime
    """The time of the attempt."""
    secrets: Sequence[str]
    """Newest first; of the endpoint, or of the merchant in this dialect when the endpoint has none."""
    endpoint: WebhookEndpoint


def random_secret(entropy: bytes) -> str:
    """Write a Standard Webhooks secret.

    Source: Standard Webhooks specification, *Signature scheme*.
    """
    return "whsec_" + b64encode(entropy).decode()


@frozen
class Callbacks:
    """One kind of callback of a dialect."""

    write: Callable[[Notice, WebhookEndpoint], OutboundRequest | None]
    """Pure. Nothing when this endpoint does not hear of this notice."""
    sign: Callable[[Signing], Sequence[tuple[str, str]]]
    """Pure; gives headers. Without a secret it signs nothing or refuses by an empty list."""
    terms: Terms = Terms()  # frozen
    wants: Callable[[Event, WebhookEndpoint], bool] = wants_type
    """A cheap look before anything is read or written; pings come to the endpoint itself only."""
    new_secret: Callable[[bytes], str] = random_secret
    """Writes a secret out of 32 random bytes where the caller brings none."""


CallbackTable = Mapping[str, Mapping[str, Callbacks]]
"""By dialect, then by kind."""
