"""Facts that the server and the pages share: card brands, currencies, texts.

The lowest layer: it imports nothing of Farebox, and everything may read it.
"""

from __future__ import annotations

from importlib.resources import files


def read_text(name: str) -> str:
    """Give the content of a packaged data file.

    Args:
        name: file name inside this package, like `card_brands.toml`; never made from input.
    """
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
