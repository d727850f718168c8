"""A real server and callers who do not mean well (SEC-18, SEC-19), over real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PLANTED = "4242424242424242"
BODY_MAX = 65_536
HEAD_MAX = 16_384
HEADERS_MAX = 64
TARGET_MAX = 4_096
# Long enough for any machine: a server that has not answered by then never will.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    key: str
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def head(self, method: str, target: str, *headers: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: farebox.test", f"Authorization: Bearer {self.key}"]
        return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1")

    def ask(self, *pieces: bytes, method: str = "GET") -> tuple[list[Response], bool]:
        """Send, read until the server closes or has answered all; tell whether it closed."""
        with self.connect() as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read(sock, method=method)

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def read(sock: socket.socket, *, method: str = "GET", answers: int = 1) -> tuple[list[Response], bool]:
    data, found = b"", list[Response]()
    try:
        while len(found) < answers:
            piece = sock.recv(65_536)
            if not piece:
                return found, True
            data += piece
            while (parsed := parse(data, method=method)) is not None:
                response, data = parsed
                if response.status >= 200:
                    found.append(response)
        if found[-1].headers.get("connection") == "close":
            return found, sock.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return found, True
    return found, False


def parse(data: bytes, *, method: str) -> tuple[Response, bytes] | None:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers and headers.get("transfer-encoding") == "chunked":
        body, end, rest = rest.partition(b"0\r\n\r\n")
        return (Response(int(first.split()[1]), headers, body), rest) if end else None
    length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Response(int(first.split()[1]), headers, rest[:length]), rest[length:]


def farebox(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from farebox.cli import main; main()", *arguments]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, with its limits as they come, but for shorter waits."""
    place = tmp_path_factory.mktemp("hostile")
    data_dir = str(place / "data")
    made = subprocess.run(farebox("init", "--data-dir", data_dir, "--json"), check=True, capture_output=True)
    key = json.loads(made.stdout)["native"]["secret_key"]
    log = place / "log"
    environment = {
        **os.environ,
        "FAREBOX_LIMITS__HEAD_TIMEOUT_S": "1",
        "FAREBOX_LIMITS__BODY_TIMEOUT_S": "1",
        "FAREBOX_INSECURE_DEMO": "true",
    }
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            farebox("serve", "--data-dir", data_dir, "--port", "0"), stderr=stderr, env=environment
        )
    try:
        yield Server(process, port_of(process, log), key, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(600):
        if found := re.search(r"farebox at http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8")):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """After whatever happened the server answers, has logged no error and no number, and holds no memory."""
    before_kib = server.resident_kib()
    yield
    found, _ = server.ask(server.head("GET", "/livez"))
    assert [response.status for response in found] == [200]
    assert server.process.poll() is None
    log = server.log.read_text(encoding="utf-8")
    assert PLANTED not in log
    assert '"level": "error"' not in log
    assert '"level":"error"' not in log
    assert "Traceback" not in log
    assert server.resident_kib() - before_kib < 32_768


def refused(found: list[Response], *, closed: bool) -> None:
    """A clear 4xx, or nothing and a closed connection; never an echo."""
    assert found or closed
    for response in found:
        assert 400 <= response.status < 500, response
        assert PLANTED.encode() not in response.body
        assert PLANTED not in str(response.headers)


def post(server: Server, *headers: str, target: str = "/v1/single_use_tokens") -> bytes:
    return server.head("POST", target, "Content-Type: application/json", *headers)


MINT = json.dumps({"card": {"number": PLANTED, "exp_month": 12, "exp_year": 2034, "cvc": "123"}}).encode()


def test_a_caller_who_means_well_is_served(server: Server) -> None:
    """Control for everything below: the same bytes without the malice are a 201."""
    found, closed = server.ask(post(server, f"Content-Length: {len(MINT)}"), MINT)
    assert [response.status for response in found] == [201]
    assert not closed
    assert PLANTED.encode() not in found[0].body


@pytest.mark.parametrize("length", [BODY_MAX + 1, 10**9, 10**18])
def test_a_body_declared_too_large_is_refused_unread(server: Server, length: int) -> None:
    """SEC-18: the length is judged before a byte of the body is waited for."""
    found, closed = server.ask(post(server, f"Content-Length: {length}"))
    refused(found, closed=closed)
    assert (found[0].status, found[0].code) == (413, "body_too_large")
    assert closed


def test_a_chunked_body_too_large_is_refused_at_the_limit(server: Server) -> None:
    """SEC-18: what declares no length is counted as it comes."""
    chunk = b"%x\r\n" % 16_384 + PLANTED.encode() * 1024 + b"\r\n"
    found, closed = server.ask(post(server, "Transfer-Encoding: chunked"), *[chunk] * 6)
    refused(found, closed=closed)
    assert [(response.status, response.code) for response in found] in ([(413, "body_too_large")], [])
    assert closed


def test_an_endless_body_costs_no_memory(server: Server) -> None:
    """SEC-18: 64 MiB are sent; the fixture sees that they were not kept."""
    chunk = b"%x\r\n" % 65_536 + b"1" * 65_536 + b"\r\n"
    _, closed = server.ask(post(server, "Transfer-Encoding: chunked"), *[chunk] * 1024)
    assert closed


def test_a_body_at_the_limit_is_read(server: Server) -> None:
    """The limit itself is allowed; one byte more is not."""
    body = MINT + b" " * (BODY_MAX - len(MINT))
    found, _ = server.ask(post(server, f"Content-Length: {len(body)}"), body)
    assert found[0].status == 201


def test_a_slow_head_is_cut_off(server: Server) -> None:
    """SEC-18: who opens a connection and dawdles loses it."""
    for piece in (b"", b"GET /v1/payments HT", server.head("GET", "/livez")[:-2]):
        with server.connect() as sock:
            sock.sendall(piece)
            assert sock.recv(1) == b""


def test_a_head_that_drips_is_cut_off(server: Server) -> None:
    """SEC-18: the time counts to the end of the headers, not to the next byte."""
    with server.connect() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\n")
        for number in range(int(PATIENCE_S / 0.1)):
            try:
                sock.sendall(b"X-Drip-%d: 1\r\n" % number)
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(0.1)
    pytest.fail("the server read on")


def test_a_slow_head_on_a_used_connection_is_cut_off(server: Server) -> None:
    """SEC-18: a second request gets no more time than the first."""
    with server.connect() as sock:
        sock.sendall(server.head("GET", "/livez"))
        assert read(sock)[0][0].status == 200
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        assert sock.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"{", b'{"card": {"number": "' + PLANTED.encode()], ids=len)
@pytest.mark.parametrize("declared", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_slow_body_is_refused(server: Server, declared: str, sent: bytes) -> None:
    """SEC-18: the body has its time too, from its very first byte."""
    framed = sent if declared.startswith("Content") or not sent else b"%x\r\n" % len(sent) + sent + b"\r\n"
    found, closed = server.ask(post(server, declared), framed)
    refused(found, closed=closed)
    assert (found[0].status, found[0].code) == (400, "body_malformed")
    assert closed


def test_a_body_that_never_ends_is_given_up(server: Server) -> None:
    """A caller who leaves in the middle takes nothing with it."""
    with server.connect() as sock:
        sock.sendall(post(server, "Content-Length: 1000") + b"{")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([f"X-{number}: {PLANTED}" for number in range(HEADERS_MAX)], id="too-many"),
        pytest.param([f"X-{number}: {PLANTED}" for number in range(2000)], id="very-many"),
        pytest.param([f"X-Long: {PLANTED * 1024}"], id="one-long-value"),
        pytest.param([f"{'X' * HEAD_MAX}: 1"], id="one-long-name"),
        pytest.param([f"X-Long: {PLANTED * 65_536}"], id="one-megabyte"),
    ],
)
def test_headers_are_bounded(server: Server, headers: list[str]) -> None:
    """SEC-18: number and size of headers."""
    found, closed = server.ask(server.head("GET", "/v1/payments", *headers))
    refused(found, closed=closed)
    assert closed


def test_as_many_headers_as_allowed_are_read(server: Server) -> None:
    """The limit itself is allowed: host, key and 62 more."""
    headers = [f"X-{number}: 1" for number in range(HEADERS_MAX - 2)]
    found, _ = server.ask(server.head("GET", "/v1/payments", *headers))
    assert found[0].status == 200


def test_an_address_is_bounded(server: Server) -> None:
    """SEC-18: path and query."""
    found, closed = server.ask(server.head("GET", "/v1/payments?reference=" + PLANTED * (TARGET_MAX // 16)))
    refused(found, closed=closed)
    assert (found[0].status, found[0].code) == (414, "uri_too_long")
    found, closed = server.ask(server.head("GET", "/" + PLANTED * 1100))
    refused(found, closed=closed)
    found, closed = server.ask(server.head("GET", "/" + PLANTED * 65_536))
    refused(found, closed=closed)
    assert closed


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", PLANTED])
def test_a_compressed_body_is_refused(server: Server, coding: str) -> None:
    """SEC-18: nothing is decompressed, so nothing explodes."""
    found, closed = server.ask(
        post(server, f"Content-Encoding: {coding}", f"Content-Length: {len(MINT)}"), MINT
    )
    refused(found, closed=closed)
    assert (found[0].status, found[0].code) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        PLANTED,
        "",
    ],
)
def test_another_content_type_is_refused(server: Server, content_type: str) -> None:
    """A form that a browser may send across sites is not a request."""
    head = server.head(
        "POST", "/v1/single_use_tokens", f"Content-Type: {content_type}", f"Content-Length: {len(MINT)}"
    )
    found, closed = server.ask(head, MINT)
    refused(found, closed=closed)
    assert (found[0].status, found[0].code) == (415, "media_type_unsupported")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """RFC 9112 §9.3.2."""
    targets = ["/livez", "/v1/nothing", "/v1/payments", "/livez"]
    with server.connect() as sock:
        sock.sendall(b"".join(server.head("GET", target) for target in targets))
        found, closed = read(sock, answers=len(targets))
    assert [response.status for response in found] == [200, 404, 200, 200]
    assert not closed


def test_nothing_is_read_behind_a_refused_body(server: Server) -> None:
    """What follows a body that was not read is not a request, whatever it looks like."""
    behind = server.head("GET", "/livez")
    found, closed = server.ask(post(server, f"Content-Length: {BODY_MAX + 1}"), behind)
    refused(found, closed=closed)
    assert len(found) <= 1
    assert closed


def test_head_is_get_without_the_body(server: Server) -> None:
    """RFC 9110 §9.3.2."""
    for target in ("/livez", "/v1/payments", "/v1/nothing", "/openapi.json"):
        get, _ = server.ask(server.head("GET", target))
        head, _ = server.ask(server.head("HEAD", target), method="HEAD")
        assert head[0].status == get[0].status
        assert head[0].headers["content-length"] == get[0].headers["content-length"]
        assert head[0].body == b""


@pytest.mark.parametrize(
    "method", ["PUT", "TRACE", "OPTIONS", "DELETE", "PATCH", "PROPFIND", "QUERY", "get", PLANTED]
)
def test_a_method_that_is_none_of_ours_is_refused(server: Server, method: str) -> None:
    """405 where the path exists, and nothing worse for words that are no method."""
    found, closed = server.ask(server.head(method, "/v1/payments", "Content-Length: 0"))
    refused(found, closed=closed)
    if found and found[0].status == 405:
        assert found[0].headers["allow"] == "GET, POST"


def lines(*raw: str) -> bytes:
    return "\r\n".join([*raw, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, id="tls-hello"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http2-preface"),
        pytest.param(b"\0" * 1000, id="zeros"),
        pytest.param(b"\r\n" * 5000 + b"x", id="blank-lines"),
        pytest.param(PLANTED.encode() * 100 + b"\r\n\r\n", id="digits"),
        pytest.param(lines("GET /v1/payments HTTP/9.9", "Host: x"), id="unknown-version"),
        pytest.param(lines("GET /v1/payments HTTP/0.9", "Host: x"), id="old-version"),
        pytest.param(lines(f"GET /{PLANTED} {PLANTED} HTTP/1.1", "Host: x"), id="blank-in-target"),
        pytest.param(lines(f"CONNECT {PLANTED}:443 HTTP/1.1", "Host: x"), id="connect"),
        pytest.param(lines("GET http://[::1/ HTTP/1.1", "Host: x"), id="broken-absolute-form"),
        pytest.param(lines("GET * HTTP/1.1", "Host: x"), id="asterisk"),
        pytest.param(lines("GET / HTTP/1.1", "Host: x", f"Bad Name: {PLANTED}"), id="blank-in-name"),
        pytest.param(lines("GET / HTTP/1.1", "Host: x", f"No-Colon {PLANTED}"), id="no-colon"),
        pytest.param(lines("GET / HTTP/1.1", "Host: x", f"A: \0{PLANTED}"), id="nul-in-value"),
        pytest.param(lines("GET / HTTP/1.1", "Host: x", "A: b", f" {PLANTED}"), id="folded-header"),
        pytest.param(lines("GET /\xff\xfe HTTP/1.1", "Host: \xff"), id="bytes-beyond-ascii"),
        pytest.param(lines("GET /%zz%0d%0a HTTP/1.1", "Host: x"), id="bad-percent-encoding"),
        pytest.param(lines("GET /../../etc/passwd HTTP/1.1", "Host: x"), id="dot-segments"),
        pytest.param(lines("GET /v1/payments/..%2f..%2f HTTP/1.1", "Host: x"), id="encoded-dot-segments"),
        pytest.param(lines("POST / HTTP/1.1", "Host: x", "Content-Length: -1"), id="negative-length"),
        pytest.param(lines("POST / HTTP/1.1", "Host: x", "Content-Length: +1"), id="signed-length"),
        pytest.param(lines("POST / HTTP/1.1", "Host: x", "Content-Length: 1e3"), id="exponent-length"),
        pytest.param(lines("POST / HTTP/1.1", "Host: x", "Content-Length: 0x10"), id="hexadecimal-length"),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Content-Length: " + "9" * 100), id="length-of-100-digits"
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2") + b"ab",
            id="two-lengths",
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Content-Length: 4", "Transfer-Encoding: chunked")
            + b"0\r\n\r\n",
            id="length-and-chunked",
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
            id="gzip-chunked",
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: identity") + b"abc", id="identity-coding"
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
            id="bad-chunk-size",
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"f" * 30 + b"\r\n",
            id="huge-chunk-size",
        ),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"1;" + b"x" * 100_000,
            id="long-chunk-extension",
        ),
        pytest.param(
            lines("GET / HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"), id="websocket"
        ),
        pytest.param(lines("GET / HTTP/1.1", "Host: x", "Upgrade: h2c", "Connection: Upgrade"), id="h2c"),
        pytest.param(
            lines("POST / HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 9"), id="expect"
        ),
    ],
)
def test_what_is_not_http_is_refused(server: Server, raw: bytes) -> None:
    """A clear 4xx or a closed connection, for whatever is thrown at a port."""
    with server.connect() as sock:
        try:
            sock.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            return
        found, closed = read(sock)
    refused(found, closed=closed)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"card": {"number": ' + PLANTED.encode() + b"}}",
        b'{"card": "' + PLANTED.encode() + b'"}',
        b'{"' + PLANTED.encode() + b'": 1}',
        b'{"card": NaN, "x": "' + PLANTED.encode() + b'"}',
        b"9" * 60_000,
        b'"\\ud800' + PLANTED.encode() + b'"',
        b"\xff\xfe" + PLANTED.encode(),
        b"{" + b",".join(b'"k%d": 1' % number for number in range(5000)) + b"}",
        b'{"metadata": {' + b",".join(b'"k%d": "v"' % number for number in range(4000)) + b"}}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_hostile_body_is_refused_without_echo(server: Server, body: bytes) -> None:
    """SEC-18, SEC-19, all the way through the socket."""
    found, closed = server.ask(post(server, f"Content-Length: {len(body)}"), body)
    refused(found, closed=closed)
    assert found[0].headers["content-type"] == "application/problem+json"


def test_many_idle_connections_keep_nobody_out(server: Server) -> None:
    """Two hundred callers who say nothing, and one who speaks."""
    idle = [server.connect() for _ in range(200)]
    try:
        found, _ = server.ask(server.head("GET", "/v1/payments"))
        assert found[0].status == 200
    finally:
        for sock in idle:
            sock.close()
