"""The guides' own lines, run as a stranger would paste them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from farebox.testing.server import Server

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def test_the_checkout_guide_sells_something(new_server: Callable[[], Server]) -> None:
    """A session is made, its form posted, and the API says that it is paid and has kept the card."""
    server = new_server()
    server.start()
    text = (GUIDES / "checkout.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    script = script.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}")
    done = subprocess.run(
        ["bash", "-euc", script],
        env={**os.environ, "KEY": server.credentials["native"]["secret_key"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    location, session = done.stdout.split("\n", 1)
    paid = json.loads(session)
    expected = f"https://shop.example/thanks?checkout_session={paid['id']}&status=completed"
    assert location == expected
    assert paid["status"] == "completed"
    assert paid["payment_token"].startswith("pt_")
