"""Who sells: merchants, their credentials and their accounts at processors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from farebox.domain.access import ApiKeyKind, Mode, Scope, Tenant
from farebox.domain.frozen import frozen
from farebox.domain.ids import ApiKeyId, MerchantAccountId, MerchantId


@frozen
class Merchant:
    """A tenant. In test mode its clock may be ahead of the wall clock by `clock_offset`."""

    id: MerchantId
    mode: Mode
    name: str
    created_at: datetime
    clock_offset: timedelta = timedelta(0)

    @property
    def tenant(self) -> Tenant:
        """Name the merchant as an owner of data."""
        return Tenant(self.id, self.mode)


@frozen
class MerchantAccount:
    """A merchant's agreement with an acquirer: which processor takes which currencies.

    `names` is what dialects call it: Paysafe account id, Payroc terminal id, Dintero profile.
    """

    id: MerchantAccountId
    tenant: Tenant
    processor: str
    created_at: datetime
    currencies: frozenset[str] = frozenset()
    """Empty means every currency the processor takes."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])


@frozen
class ApiKey:
    """A credential as stored: a digest, what it may do, and for which protocol it was issued."""

    id: ApiKeyId
    tenant: Tenant
    kind: ApiKeyKind
    dialect: str
    key_mac: bytes
    scopes: frozenset[Scope]
    created_at: datetime
    label: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Public facts that go with the credential in its dialect (account id, client id)."""
    revoked_at: datetime | None = None
