"""How Hypothesis runs here."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a test never judges by the clock, and the first call of a function may load its tables.
settings.register_profile("farebox", deadline=None, print_blob=True)
settings.load_profile("farebox")
