"""The documents that are made from the code are those of this code."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from farebox.dialects.native.declaration import NATIVE
from farebox.dialects.native.errors import DOCUMENTATION
from farebox.domain.cards import contains_pan
from farebox.domain.errors import ErrorCode

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """`tools/docs.py`, which is installed nowhere."""
    spec = importlib.util.spec_from_file_location("tools_docs", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_document_is_stale(docs: ModuleType) -> None:
    """`make docs` mends it."""
    assert docs.stale() == []


def test_a_stale_document_is_noticed(docs: ModuleType, tmp_path: Path) -> None:
    """Negative control: a changed line, a changed part and a missing file."""
    for name in docs.documents():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert docs.stale(tmp_path) == []
    errors, native = tmp_path / "docs/reference/errors.md", tmp_path / "docs/dialects/native.md"
    errors.write_text(errors.read_text(encoding="utf-8").replace("409:", "400:", 1), encoding="utf-8")
    native.write_text(native.read_text(encoding="utf-8").replace("`PayIn`", "`Pay`", 1), encoding="utf-8")
    (tmp_path / "openapi/native.json").unlink()
    assert set(docs.stale(tmp_path)) == {
        "docs/reference/errors.md",
        "docs/dialects/native.md",
        "openapi/native.json",
    }


def test_every_code_has_one_anchor() -> None:
    """`doc_url` leads to the server's own page; the committed one has the same codes."""
    assert DOCUMENTATION == "/docs#error-"
    text = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == sorted(code.value for code in ErrorCode)


def test_the_native_page_keeps_its_words() -> None:
    """What is written by hand around the generated parts is there, and names every endpoint once."""
    text = (ROOT / "docs/dialects/native.md").read_text(encoding="utf-8")
    assert "## Conventions" in text
    for route in NATIVE.api:
        assert text.count(f"| `{route.method} {route.path}` |") == 1


def test_the_curl_lines_send_published_numbers_only() -> None:
    """SEC-15: no real card number in the repository, not even in a document."""
    published = set(re.findall(r"\d{13,19}", (ROOT / "docs/dialects/native.md").read_text(encoding="utf-8")))
    table = (ROOT / "src/farebox/adapters/processors/sandbox/tables/native.toml").read_text(encoding="utf-8")
    assert {number for number in published if contains_pan(number)} <= set(re.findall(r"\d{13,19}", table))
