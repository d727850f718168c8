"""Reads cases and compares answers with them, for every dialect whose cases are lists of steps.

A string that starts with `~` is a regular expression that must match the whole value (of a number, its
digits); `{name}` is a kept value, and a text that is `{#name}` alone is one as a number.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

Kept = dict[str, str]


def load_case(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def fill(value: Any, kept: Kept) -> Any:
    """Put kept values where they are named; a text that is one name alone may become a number."""
    if isinstance(value, str):
        alone = re.fullmatch(r"\{#([a-z_0-9]+)\}", value)
        if alone:
            return int(kept[alone[1]])
        return re.sub(r"\{([a-z_0-9]+)\}", lambda match: kept.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [fill(item, kept) for item in value]
    if isinstance(value, dict):
        return {fill(key, kept): fill(item, kept) for key, item in value.items()}
    return value


def differences(expected: Any, found: Any, where: str = "body") -> list[str]:
    """Name every place where the two are not the same."""
    if isinstance(expected, str) and expected.startswith("~"):
        text = found if isinstance(found, str) else json.dumps(found)
        return [] if re.fullmatch(expected[1:], text) else [f"{where}: {found!r} does not match {expected}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{where}: fields {list(found)} instead of {list(expected)}"]
        return [line for key in expected for line in differences(expected[key], found[key], f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return [
            line for n, (one, other) in enumerate(pairs) for line in differences(one, other, f"{where}[{n}]")
        ]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{where}: {found!r} instead of {expected!r}"]


def pick(value: Any, path: str) -> str:
    for part in path.split("."):
        value = value[int(part)] if part.isdecimal() else value[part]
    return str(value)
