"""What programs ask for and Farebox has none of: settlements, whose lists are empty; and a picture."""

from __future__ import annotations

from typing import Any

from farebox.dialects.dialect import Answer, Call
from farebox.dialects.dintero import wire
from farebox.services import commands

AnyCall = Call[wire.Ignored, wire.AnyQuery]
_PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 24" role="img" aria-label="Card payment">'
    b'<rect x="1" y="1" width="34" height="22" rx="3" fill="none" stroke="currentColor" stroke-width="2"/>'
    b'<path d="M1 8h34" stroke="currentColor" stroke-width="4"/></svg>'
)
"""A card; programs show whatever picture the address gives."""


def read_nothing(call: AnyCall) -> commands.Command[None]:
    """Read nothing: whoever may ask gets the same."""
    return commands.Give(None)


def write_no_items(nothing: None, call: Call[Any, Any]) -> Answer:
    """Show an empty list of settlements or reports."""
    return Answer({"items": []})


def write_picture(nothing: None, call: Call[Any, Any]) -> Answer:
    """Show the picture."""
    return Answer(_PICTURE, media_type=b"image/svg+xml")
