"""Values that must never be shown: card numbers, account numbers, security codes.

A `Sensitive` can be compared, passed on and forgotten. It cannot be printed, formatted, logged,
pickled or encoded by accident. The only way in is `farebox.domain.reveal.reveal`, whose importers
are a short list that the import rules check.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn, final

_SHOWN = "Sensitive(…)"


@final
class Sensitive:
    """Hold one secret string and refuse every ordinary way of turning it into text."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Take the clear value in; nothing but `reveal` gives it back."""
        self._value = value

    def __repr__(self) -> str:
        """Show that there is a secret, never what or how long it is."""
        return _SHOWN

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        """Ignore the format: a padded secret would still be one."""
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        """Compare in constant time with another `Sensitive`; never equal to a plain string."""
        if not isinstance(other, Sensitive):
            return NotImplemented
        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> NoReturn:
        """Refuse: a hash would make the secret a dictionary key, and dictionaries get printed."""
        raise TypeError("a Sensitive cannot be hashed")

    def __reduce__(self) -> NoReturn:
        """Refuse pickling and copying through it."""
        raise TypeError("a Sensitive cannot be pickled")

    def __bool__(self) -> bool:
        """Tell whether there is a value at all."""
        return bool(self._value)
