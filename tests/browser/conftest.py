"""A real server and a real Chromium, driven as a buyer would; every page state leaves a screenshot.

Screenshots go where `FAREBOX_SCREENSHOTS` says, or into the test's own temporary directory.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import apsw
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from farebox.testing.server import Server

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
VISA = "4242424242424242"
SHOP = "/livez"
"""Stands for the shop that buyers return to: a page of the same machine that always answers."""


def chromium() -> str | None:
    """Find the system's Chromium."""
    return shutil.which("chromium")


class Shop:
    """A merchant's server: makes sessions and asks what became of them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.origin = f"http://127.0.0.1:{server.port}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        key = self.server.credentials["native"]["secret_key"]
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        value = json.loads(answer.read() or b"null")
        connection.close()
        assert answer.status < 400, value  # HTTP's own bound
        return value

    def session(self, **changes: Any) -> Any:
        """Make a session with an order that has something to show."""
        body = {
            "amount_minor": 124900,
            "currency": "NOK",
            "return_url": self.origin + SHOP,
            "reference": "Order 2031-04",
            "terms_url": "https://shop.example/terms",
            "lines": [
                {"description": "Ceramic cup, hand made", "amount_minor": 91800, "quantity": "2"},
                {"description": "Coffee filter", "amount_minor": 28200},
                {"description": "Shipping", "amount_minor": 4900},
            ],
            **changes,
        }
        return self.ask("POST", "/v1/checkout_sessions", body)

    def get(self, session: Any) -> Any:
        return self.ask("GET", f"/v1/checkout_sessions/{session['id']}")

    def payments(self) -> list[Any]:
        return self.ask("GET", "/v1/payments?limit=100")["data"]

    def write(self, statement: str, *values: str) -> None:
        """Change something behind the server's back that the native API has no request for."""
        connection = apsw.Connection(str(self.server.data_dir / "farebox.sqlite3"))
        connection.set_busy_timeout(5000)
        connection.execute(statement, values)
        connection.close()

    def fault(self, **fault: Any) -> None:
        self.ask("POST", "/v1/sandbox/faults", fault)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One server for all browser tests."""
    server = Server(tmp_path_factory.mktemp("browser"))
    server.init()
    server.start()
    try:
        yield Shop(server)
    finally:
        server.kill()


def missing(what: str) -> NoReturn:
    """Skip for want of a part; under CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module's tests; without one they fail under CI and are skipped elsewhere.

    Not longer: while Playwright's synchronous door is open its event loop runs, and a test of another module
    that needs a loop of its own would find it running.
    """
    path = chromium()
    if path is None:
        missing("Chromium is not installed (apt-get install chromium).")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages, each a visitor of its own; fail on whatever a page's policy or script complains of."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(**how: Any) -> Page:
        context = browser.new_context(
            **{"locale": "en-GB", "viewport": {"width": 1100, "height": 900}, **how}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _complains(said) else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _complains(said: Any) -> bool:
    """A refused form answers with its status, which the console repeats; anything else is a defect."""
    return said.type in {"error", "warning"} and "Failed to load resource" not in said.text


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    wanted = os.environ.get("FAREBOX_SCREENSHOTS")
    place = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def inspect(screenshots: Path) -> Callable[[Page, str], None]:
    """Take a picture of a state, and let axe look at it: it finds nothing."""

    def look(page: Page, name: str) -> None:
        page.screenshot(path=screenshots / f"{name}.png", full_page=True)
        found = Axe().run(page).response["violations"]
        assert not found, [
            (one["id"], [node["target"] for node in one["nodes"]], one["nodes"][0]["failureSummary"])
            for one in found
        ]

    return look


def fill_card(page: Page, number: str = VISA, expiry: str = "1234", cvc: str = "123") -> None:
    """Type a card, key by key."""
    page.locator("#number").press_sequentially(number)
    page.locator("#expiry").press_sequentially(expiry)
    page.locator("#cvc").press_sequentially(cvc)
