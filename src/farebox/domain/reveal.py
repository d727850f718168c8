"""The one door to the clear value of a `Sensitive`.

Who may import this module is listed in `pyproject.toml` (import contract "Card data is revealed in
listed places only"). Widening that list is a design change.
"""

from __future__ import annotations

from farebox.domain.sensitive import Sensitive


def reveal(secret: Sensitive) -> str:
    """Give the clear value; the caller keeps it in a local and drops it at once."""
    return secret._value  # pyright: ignore[reportPrivateUsage]  # this is the door
