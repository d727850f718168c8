"""Who is asking: API keys looked up by digest, issued once, revoked within a second."""

from __future__ import annotations

from dataclasses import replace

from farebox.domain.access import (
    SCOPES_OF_KIND,
    ApiKeyKind,
    Mode,
    Principal,
    Scope,
    Tenant,
    api_key_string,
)
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.errors import ErrorCode, Forbidden, NotFound, Unauthenticated
from farebox.domain.ids import ApiKeyId, MerchantId
from farebox.domain.merchants import ApiKey, Merchant
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.services.ids import Ids

_REMEMBER_S = 0.9
"""A revoked key is refused everywhere within a second."""
_REMEMBERED_MAX = 10_000


class Access:
    """Authenticates callers and manages API keys."""

    def __init__(
        self,
        *,
        storage: Storage,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        live_mode_is_open: bool = True,
    ) -> None:
        """Take what it works with; a server that started insecurely does not open live mode."""
        self._live_mode_is_open = live_mode_is_open
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._remembered: dict[bytes, tuple[float, Principal]] = {}

    async def authenticate(self, credential: str, *, dialect: str) -> Principal:
        """Find who presents this credential.

        Raises:
            Unauthenticated: `api_key_invalid`, whatever is wrong with it.
            Forbidden: `mode_mismatch` for a live key where live mode is closed.
        """
        mac = self._secrets.api_key_mac(credential)
        now = self._clock.monotonic()
        known = self._remembered.get(mac)
        if known is None or known[0] < now:
            principal = await self._look_up(mac)
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            known = (now + _REMEMBER_S, principal)
            self._remembered[mac] = known
        if known[1].dialect != dialect:
            raise Unauthenticated(ErrorCode.API_KEY_INVALID)
        return known[1]

    def forget(self, tenant: Tenant) -> None:
        """Ask the database again for this tenant's keys: its clock or its keys have changed."""
        self._remembered = {
            mac: known for mac, known in self._remembered.items() if known[1].tenant != tenant
        }

    async def create_key(
        self,
        merchant: Merchant,
        kind: ApiKeyKind,
        *,
        label: str = "",
        scopes: frozenset[Scope] | None = None,
    ) -> tuple[ApiKey, str]:
        """Issue a native key; its string is given here and never again.

        Raises:
            Forbidden: `scope_missing` when a publishable key is to do more than mint: it stands in pages
                that everybody can read (SEC-13).
        """
        if kind is ApiKeyKind.PUBLISHABLE and scopes is not None and not scopes <= SCOPES_OF_KIND[kind]:
            raise Forbidden(ErrorCode.SCOPE_MISSING, detail="A publishable key can only mint.")
        string = api_key_string(kind, merchant.mode, self._randomness.bytes(32))
        key = self.key_record(merchant.tenant, kind, "native", string, scopes=scopes, label=label)

        async def work(uow: UnitOfWork) -> None:
            await uow.merchants.insert_key(key)
            await uow.audit.append((self._entry(AuditAction.API_KEY_CREATED, key),))

        await self._storage.write(work)
        return key, string

    def key_record(
        self,
        tenant: Tenant,
        kind: ApiKeyKind,
        dialect: str,
        string: str,
        *,
        scopes: frozenset[Scope] | None = None,
        attributes: dict[str, str] | None = None,
        label: str = "",
    ) -> ApiKey:
        """Make the record of a credential out of its string."""
        return ApiKey(
            id=ApiKeyId(self._ids.new("key")),
            tenant=tenant,
            kind=kind,
            dialect=dialect,
            key_mac=self._secrets.api_key_mac(string),
            scopes=SCOPES_OF_KIND[kind] if scopes is None else scopes,
            created_at=self._clock.now(),
            label=label,
            attributes=attributes or {},
        )

    async def keys(self, merchant_id: MerchantId | None = None) -> list[ApiKey]:
        """List keys, of one merchant or of all; never their strings."""
        return list(await self._storage.read(lambda uow: uow.merchants.keys(merchant_id)))

    async def revoke_key(self, key_id: ApiKeyId) -> None:
        """Revoke a key.

        Raises:
            NotFound: `api_key_invalid` when there is no such key that is not revoked yet.
        """

        async def work(uow: UnitOfWork) -> None:
            if not await uow.merchants.revoke_key(key_id):
                raise NotFound(ErrorCode.API_KEY_INVALID)
            entry = AuditEntry(
                action=AuditAction.API_KEY_REVOKED,
                at=self._clock.now(),
                merchant_id=None,
                actor="operator",
                object_id=key_id,
                why="",
            )
            await uow.audit.append((entry,))

        await self._storage.write(work)

    async def _look_up(self, mac: bytes) -> Principal:
        found = await self._storage.read(lambda uow: uow.merchants.find_key(mac))
        if found is None:
            raise Unauthenticated(ErrorCode.API_KEY_INVALID)
        key, merchant = found
        if merchant.mode is Mode.LIVE and not self._live_mode_is_open:
            raise Forbidden(ErrorCode.MODE_MISMATCH)
        principal = Principal(
            tenant=key.tenant,
            key_id=key.id,
            kind=key.kind,
            scopes=key.scopes,
            dialect=key.dialect,
            attributes=tuple(key.attributes.items()),
        )
        if merchant.mode is Mode.TEST:
            return replace(principal, clock_offset=merchant.clock_offset)
        return principal

    def _entry(self, action: AuditAction, key: ApiKey) -> AuditEntry:
        return AuditEntry(
            action=action,
            at=self._clock.now(),
            merchant_id=key.tenant.merchant_id,
            actor="operator",
            object_id=key.id,
            why=key.dialect,
        )
