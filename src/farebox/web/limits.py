"""How much one request may be (SEC-18)."""

from __future__ import annotations

from farebox.domain.frozen import frozen


@frozen
class Limits:
    """Bounds checked before anything is parsed; sizes in bytes, times in seconds."""

    body_bytes: int
    target_bytes: int
    """Path and query."""
    head_bytes: int
    """Request line and headers."""
    headers: int
    head_timeout_s: float
    """From the connection, or the first byte of a request, to the end of its headers."""
    body_timeout_s: float
    """From the end of the headers to the last byte of the body."""
    keep_alive_s: int
    shutdown_s: int
    """How long a stopping server waits for requests in flight."""
