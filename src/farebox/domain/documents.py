"""Documents: what a merchant keeps here beside payments and that no rule of money governs.

An address, a payment link, a session profile: each has a kind, may belong to a parent, may carry a name
of the merchant's own that is unique within its kind, and a state whose moves the use case decides.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from farebox.domain.access import Tenant
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import DocumentId


@frozen
class Document:
    """One thing a merchant keeps. `kind` is a word of ours, the same for every dialect."""

    id: DocumentId
    tenant: Tenant
    kind: str
    created_at: datetime
    updated_at: datetime
    state: str = ""
    parent_id: str | None = None
    name: str | None = None
    """Unique within tenant and kind, also after the document is deleted unless it gave the name up."""
    facts: Facts = field(default_factory=dict[str, object])
    deleted_at: datetime | None = None
    version: int = 1
