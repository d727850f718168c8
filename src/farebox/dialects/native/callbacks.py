"""What the native API tells merchants' servers: Standard Webhooks with the whole object in the body.

Source: Standard Webhooks specification (standardwebhooks.com), *Webhook metadata* and *Signature scheme*.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

from farebox.dialects.codec import encode
from farebox.dialects.native.notices import event_out, notice_out
from farebox.domain.webhooks import BODY_BYTES_MAX, OutboundRequest, WebhookEndpoint
from farebox.services.callbacks import Callbacks, Signing
from farebox.services.commands import Notice

EVENT = "event"
"""The one kind of endpoint that the native API has."""
_PREFIX = "whsec_"


def write(notice: Notice, endpoint: WebhookEndpoint) -> OutboundRequest:
    """Write an event with its object; one whose body grew too long goes without, to be asked for."""
    body = encode(notice_out(notice))
    if len(body) > BODY_BYTES_MAX:
        body = encode(event_out(notice, None))
    return OutboundRequest(endpoint.url, body, headers={"Content-Type": "application/json"})


def sign(signing: Signing) -> Sequence[tuple[str, str]]:
    """Sign id, time and body under every secret that is valid."""
    return signature(signing.event_id, signing.at, signing.request.body, signing.secrets)


def signature(event_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Write the three headers of Standard Webhooks."""
    timestamp = str(int(at.timestamp()))
    message = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + b64encode(hmac.digest(key_of(secret), message, "sha256")).decode() for secret in secrets
    ]
    return (
        ("webhook-id", event_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", " ".join(signatures)),
    )


def key_of(secret: str) -> bytes:
    """Read the key out of a secret, whose padding may be missing."""
    return b64decode(secret.removeprefix(_PREFIX) + "==")


CALLBACKS: Mapping[str, Callbacks] = {EVENT: Callbacks(write, sign)}
