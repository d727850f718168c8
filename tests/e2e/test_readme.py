"""The README's own lines, run as a stranger would paste them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from farebox.testing.server import Server

ROOT = Path(__file__).parents[2]


def _blocks() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_readme_tokenizes_and_pays(new_server: Callable[[], Server]) -> None:
    """Mint and pay with the README's curl lines; pasted once more, the token is spent."""
    server = new_server()
    server.start()
    lines = "\n".join(block for block in _blocks() if "curl" in block)
    assert lines.count("curl") == 2
    script = lines.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}")
    pay = script[script.rindex("curl") :]
    done = subprocess.run(
        ["bash", "-euc", f"{script}\necho\n{pay}"],
        env={**os.environ, "SECRET_KEY": server.credentials["native"]["secret_key"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    paid, again = (json.loads(line) for line in done.stdout.split("\n") if line)
    assert (paid["status"], paid["captured_minor"]) == ("captured", 1999)
    assert again["code"] == "token_already_consumed"


def test_every_command_of_the_readme_exists() -> None:
    """`make` targets and `farebox` commands that the README names are there."""
    text = "\n".join(_blocks())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile
    for command in re.findall(r"^farebox (\w+)", text, re.MULTILINE):
        assert (
            subprocess.run(
                [sys.executable, "-m", "farebox", command, "--help"], capture_output=True, check=False
            ).returncode
            == 0
        )


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """A page the README names is in the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / link).exists(), link
