"""A merchant's customer: whom stored credentials belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from farebox.domain.access import Tenant
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import CustomerId


@frozen
class Customer:
    """Name, addresses of contact and the merchant's own reference; all but the id may be missing."""

    id: CustomerId
    tenant: Tenant
    created_at: datetime
    reference: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect that wrote it wants back."""
    deleted_at: datetime | None = None
    version: int = 1
