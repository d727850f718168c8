"""Reading a body within bounds (SEC-18)."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from farebox.dialects.dialect import WireResponse
from farebox.domain.errors import ErrorCode, FareboxError, InvalidRequest, LimitExceeded
from farebox.web.wire import BodyTimeout, Disconnected, leaves_body_unread, read_body, respond

MAX = 100
CHUNKED = {b"transfer-encoding": b"chunked"}


class Caller:
    """Sends what it is given, piece by piece; `None` is a piece that never comes."""

    def __init__(self, *pieces: bytes | None, leaves: bool = False) -> None:
        self.pieces = list(pieces)
        self.leaves = leaves
        self.asked = 0

    async def __call__(self) -> MutableMapping[str, Any]:
        self.asked += 1
        piece = self.pieces.pop(0) if self.pieces else None
        if piece is None:
            if self.leaves:
                return {"type": "http.disconnect"}
            await asyncio.Event().wait()
        more = bool(self.pieces) or self.leaves
        return {"type": "http.request", "body": piece, "more_body": more}


async def body_of(caller: Caller, headers: dict[bytes, bytes], *, timeout_s: float = 5.0) -> bytes:
    return await read_body(caller, headers, bytes_max=MAX, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "pieces", [[b""], [b"x" * MAX], [b"a", b"b"], [b"", b"", b"a"], [b"x" * 50, b"y" * 50, b""]]
)
async def test_a_body_is_read_whole(pieces: list[bytes]) -> None:
    """In however many pieces it comes, up to the limit."""
    body = b"".join(pieces)
    assert await body_of(Caller(*pieces), CHUNKED) == body
    assert await body_of(Caller(*pieces), {b"content-length": str(len(body)).encode()}) == body


async def test_a_request_without_a_body_waits_for_none() -> None:
    """A GET costs no await."""
    caller = Caller(None)
    assert await body_of(caller, {}) == b""
    assert caller.asked == 0


async def test_a_declared_length_is_judged_before_anything_is_read() -> None:
    """No byte is held of what is refused anyway."""
    caller = Caller(b"x")
    with pytest.raises(LimitExceeded) as caught:
        await body_of(caller, {b"content-length": str(MAX + 1).encode()})
    assert caught.value.code is ErrorCode.BODY_TOO_LARGE
    assert caller.asked == 0


@pytest.mark.parametrize("pieces", [[b"x" * (MAX + 1)], [b"x" * 60] * 50, [b"x"] * 200])
async def test_an_undeclared_body_is_read_no_further_than_the_limit(pieces: list[bytes]) -> None:
    """The first piece beyond the limit is the last one asked for."""
    caller = Caller(*pieces)
    with pytest.raises(LimitExceeded) as caught:
        await body_of(caller, CHUNKED)
    assert caught.value.code is ErrorCode.BODY_TOO_LARGE
    held = sum(map(len, pieces[: caller.asked]))
    assert held - len(pieces[caller.asked - 1]) <= MAX


@pytest.mark.parametrize("pieces", [[None], [b"a", None], [b"", b"", None]])
async def test_a_body_that_does_not_come_is_given_up(pieces: list[bytes | None]) -> None:
    """The first piece has its time as well as the last."""
    with pytest.raises(BodyTimeout) as caught:
        await body_of(Caller(*pieces), CHUNKED, timeout_s=0.01)
    assert caught.value.code is ErrorCode.BODY_MALFORMED


@pytest.mark.parametrize("pieces", [[], [b"a"]])
async def test_a_caller_who_leaves_is_not_answered(pieces: list[bytes]) -> None:
    """There is nobody to answer."""
    with pytest.raises(Disconnected):
        await body_of(Caller(*pieces, leaves=True), CHUNKED)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"identity, gzip", b""])
async def test_a_compressed_body_is_not_read(coding: bytes) -> None:
    """Nothing is decompressed."""
    caller = Caller(b"x")
    with pytest.raises(InvalidRequest) as caught:
        await body_of(caller, {b"content-encoding": coding, b"content-length": b"1"})
    assert caught.value.code is ErrorCode.MEDIA_TYPE_UNSUPPORTED
    assert caller.asked == 0


@pytest.mark.parametrize(
    ("error", "leaves"),
    [
        (LimitExceeded(ErrorCode.BODY_TOO_LARGE), True),
        (InvalidRequest(ErrorCode.MEDIA_TYPE_UNSUPPORTED), True),
        (BodyTimeout(), True),
        (InvalidRequest(ErrorCode.BODY_MALFORMED), False),
        (LimitExceeded(ErrorCode.URI_TOO_LONG), False),
        (LimitExceeded(ErrorCode.RATE_LIMITED), False),
    ],
)
def test_a_connection_closes_where_bytes_may_be_on_their_way(error: FareboxError, leaves: bool) -> None:
    """What was not read would be taken for the next request."""
    assert leaves_body_unread(error) is leaves


async def sent(response: WireResponse, *, has_body: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    messages: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    await respond(send, response, has_body=has_body)
    start, body = messages
    assert start["status"] == response.status
    return start["headers"], body["body"]


async def test_an_answer_says_how_long_it_is() -> None:
    """RFC 9110 §8.6: a HEAD has the length of its GET; a 204 has none."""
    assert await sent(WireResponse(200, [], b"abc", "", ""), has_body=True) == (
        [(b"content-length", b"3")],
        b"abc",
    )
    assert await sent(WireResponse(200, [], b"abc", "", ""), has_body=False) == (
        [(b"content-length", b"3")],
        b"",
    )
    assert await sent(WireResponse(204, [], b"", "", ""), has_body=True) == ([], b"")
