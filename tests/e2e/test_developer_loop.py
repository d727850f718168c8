"""What somebody does who writes a receiver: trigger, listen, list, resend."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from farebox.cli.trigger import names
from farebox.testing.server import Server, ServerFailed

NewServer = Callable[..., Server]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "webhooks.md"
SETTINGS = {"WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
def place(new_server: NewServer, tmp_path: Path) -> Iterator[tuple[Server, tuple[str, ...]]]:
    """A running server, and the options that find it."""
    server = new_server(None, **SETTINGS)
    key = tmp_path / "key"
    key.write_text(server.credentials["native"]["secret_key"], encoding="utf-8")
    server.start()
    yield server, ("--url", f"http://127.0.0.1:{server.port}", "--api-key-file", str(key))
    server.stop()


# The operation or object event by which each trigger's name comes true.
BRINGS = {
    "payment.captured": ("operation.approved", "captured"),
    "payment.authorized": ("operation.approved", "authorized"),
    "payment.partially_captured": ("operation.approved", "partially_captured"),
    "payment.declined": ("operation.declined", "declined"),
    "payment.refunded": ("operation.approved", "refunded"),
    "payment.voided": ("operation.approved", "voided"),
    "payment_token.created": ("payment_token.created", None),
    "payment_token.deleted": ("payment_token.deleted", None),
    "single_use_token.revoked": ("single_use_token.revoked", None),
    "customer.created": ("customer.created", None),
    "customer.deleted": ("customer.deleted", None),
}


def test_every_trigger_brings_about_what_it_is_called(place: tuple[Server, tuple[str, ...]]) -> None:
    """Each fixture replays real requests, and the newest event says that it worked."""
    server, found = place
    listed = json.loads(server.run("trigger", "--json", *found))
    assert set(listed) == set(names()) == set(BRINGS)
    for name, (type_, status) in BRINGS.items():
        assert json.loads(server.run("trigger", name, "--json", *found)), name
        newest = json.loads(server.run("events", "list", "--limit", "2", "--json", *found))["data"]
        said = {(event["type"], event["data"].get("payment_status")) for event in newest}
        assert (type_, status) in said, name


async def test_listening_forwards_what_a_webhook_would_say(
    place: tuple[Server, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver verifies each event with the printed secret; so it does with a real endpoint's resend."""
    server, found = place
    heard: list[tuple[bytes, dict[str, str]]] = []

    async def receive(request: web.Request) -> web.Response:
        heard.append((await request.read(), dict(request.headers)))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        listening = server.popen("listen", "--forward-to", url, "--print-secret", "--count", "1", *found)
        secret = await asyncio.to_thread(listening.stderr.readline)
        assert await asyncio.to_thread(listening.stderr.readline) == b"Listening.\n"
        await asyncio.to_thread(server.run, "trigger", "customer.created", *found)
        out, _ = await asyncio.to_thread(listening.communicate, timeout=30)
        assert b"customer.created" in out
        assert b"202" in out
        event = Webhook(secret.decode().strip()).verify(*heard.pop())
        assert event["snapshot"]["name"] == "Ada Lovelace"

        made = json.loads(await asyncio.to_thread(curl, server, "/v1/webhook_endpoints", {"url": url}))
        shown = await asyncio.to_thread(server.run, "events", "resend", event["id"], "--json", *found)
        assert json.loads(shown)["data"][0]["endpoint"] == made["id"]
        for _ in range(100):
            if heard:
                break
            await asyncio.sleep(0.1)
        assert Webhook(made["secret"]).verify(*heard.pop()) == event
    finally:
        await runner.cleanup()


async def test_the_receiver_of_the_guide_receives(place: tuple[Server, tuple[str, ...]]) -> None:
    """The guide's program verifies what `listen` forwards, and refuses what anybody else sends."""
    server, found = place
    text = GUIDE.read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    listening = server.popen("listen", "--forward-to", url, "--print-secret", "--count", "1", *found)
    secret = (await asyncio.to_thread(listening.stderr.readline)).decode().strip()
    receiver = start(program, WEBHOOK_SECRET=secret, PORT=str(port))
    try:
        await asyncio.to_thread(listening.stderr.readline)
        await asyncio.to_thread(server.run, "trigger", "customer.created", *found)
        out, _ = await asyncio.to_thread(listening.communicate, timeout=30)
        assert b"204" in out
        assert (await asyncio.to_thread(receiver.stdout.readline)).startswith(b"customer.created cus_")
        forged = await asyncio.to_thread(post, url)
        assert forged == 400
    finally:
        receiver.kill()
        receiver.communicate()


def start(program: str, **environment: str) -> subprocess.Popen[bytes]:
    """Run a program of the guide's."""
    return subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **environment}, stdout=subprocess.PIPE
    )


def post(url: str) -> int:
    """Send what nobody signed."""
    with pytest.raises(HTTPError) as refusal:
        urlopen(url, data=b"{}", timeout=10)  # noqa: S310  # a server of this test
    with refusal.value:
        return refusal.value.code


def curl(server: Server, path: str, body: object) -> bytes:
    """Ask as a person does."""
    key = server.credentials["native"]["secret_key"]
    return subprocess.run(
        [
            *("curl", "-s", f"http://127.0.0.1:{server.port}{path}"),
            *("-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"),
            *("-d", json.dumps(body)),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout


def test_a_refusal_is_a_message(place: tuple[Server, tuple[str, ...]], tmp_path: Path) -> None:
    """No traceback and no key in it: an unknown trigger, an unknown event, a missing key, nobody there."""
    server, found = place
    nobody = ("--url", "http://127.0.0.1:9", *found[2:])
    for arguments, text in (
        (("trigger", "payment.exploded", *found), "no such trigger"),
        (("events", "resend", "evt_1", *found), "event_not_found"),
        (("events", "list", *found[:2]), "FAREBOX_API_KEY"),
        (("events", "list", *nobody), "no answer"),
        (("events", "list", *found[:2], "--api-key-file", str(tmp_path / "none")), "cannot be read"),
        (("listen", "--forward-to", "ftp://127.0.0.1/", *found), "http://"),
    ):
        with pytest.raises(ServerFailed, match=text) as refusal:
            server.run(*arguments)
        assert "Traceback" not in str(refusal.value)
