"""Our own scripts and styles, served exactly as they are written, each under a name with its digest.

A page names an asset with its integrity (SRI), so what a browser runs is what lies in `static/`; the
digest in the name lets it be kept for ever.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha384
from importlib.resources import files

from farebox.domain.frozen import frozen

PREFIX = "/-/"
"""Reached at every mount, because a dialect's page may stand at any of them."""
ASSETS = ("checkout.css", "checkout.js", "dintero.js")
"""The inventory of what our pages load (SEC-10)."""
_TYPES = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8"}


@frozen
class Asset:
    """One file of `static/`."""

    path: str
    """Where it is served."""
    integrity: str
    """As in a tag's `integrity` attribute."""
    content_type: bytes
    content: bytes


@cache
def asset(name: str) -> Asset:
    """Give an asset by its file's name, like `checkout.css`; never made from input."""
    content = files("farebox.web").joinpath("static", name).read_bytes()
    digest = sha384(content).digest()
    stem, _, extension = name.rpartition(".")
    return Asset(
        path=f"{PREFIX}{stem}.{digest[:8].hex()}.{extension}",
        integrity=f"sha384-{b64encode(digest).decode()}",
        content_type=_TYPES[extension],
        content=content,
    )
