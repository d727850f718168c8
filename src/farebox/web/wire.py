"""Between ASGI messages and the engine's requests and responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from farebox.dialects.dialect import WireResponse
from farebox.domain.errors import ErrorCode, FareboxError, InvalidRequest, LimitExceeded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The caller went away before its request was whole."""


class BodyTimeout(LimitExceeded):
    """The body came too slowly."""

    def __init__(self) -> None:
        """Answer as a body that is not JSON: it never became one."""
        super().__init__(ErrorCode.BODY_MALFORMED, detail="The body took too long to arrive.")


async def read_body(
    receive: Receive,
    headers: dict[bytes, bytes],
    arrived: bytes | None = None,
    *,
    bytes_max: int,
    timeout_s: float,
) -> bytes:
    """Read a whole body within bounds.

    Args:
        receive: the ASGI channel.
        headers: the request's, by lower-case name.
        arrived: the body if it came with the head, as small ones do.
        bytes_max: the most that is read.
        timeout_s: for all of it.

    Raises:
        LimitExceeded: `body_too_large`, before more than `bytes_max` is held; `body_malformed` when it is
            too slow.
        InvalidRequest: `media_type_unsupported` for a compressed body.
        Disconnected: the caller went away.
    """
    declared = headers.get(b"content-length")
    if declared is not None and int(declared) > bytes_max:
        raise LimitExceeded(ErrorCode.BODY_TOO_LARGE)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise InvalidRequest(ErrorCode.MEDIA_TYPE_UNSUPPORTED, detail="Compressed bodies are not read.")
    if arrived is not None:
        if len(arrived) > bytes_max:
            raise LimitExceeded(ErrorCode.BODY_TOO_LARGE)
        return arrived
    if declared is None and b"transfer-encoding" not in headers:
        return b""
    try:
        # The first piece may be as late as any other.
        async with asyncio.timeout(timeout_s):
            return await _read_pieces(receive, bytes_max)
    except TimeoutError:
        raise BodyTimeout from None


async def _read_pieces(receive: Receive, bytes_max: int) -> bytes:
    message = await _next(receive)
    body: bytes | bytearray = message.get("body", b"")
    if message.get("more_body", False):
        body = bytearray(body)
        while message.get("more_body", False) and len(body) <= bytes_max:
            message = await _next(receive)
            body += message.get("body", b"")
    if len(body) > bytes_max:
        raise LimitExceeded(ErrorCode.BODY_TOO_LARGE)
    return bytes(body)


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


async def respond(send: Send, response: WireResponse, *, has_body: bool = True) -> None:
    """Send a response; `has_body` false keeps its length and leaves out its bytes (HEAD)."""
    headers = response.headers
    if response.status != 204:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body if has_body else b""})


def leaves_body_unread(error: FareboxError) -> bool:
    """Tell whether bytes of the refused request may still be on their way, so the connection must go."""
    return isinstance(error, BodyTimeout) or error.code in {
        ErrorCode.BODY_TOO_LARGE,
        ErrorCode.MEDIA_TYPE_UNSUPPORTED,
    }
