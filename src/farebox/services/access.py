"""Who is asking: API keys looked up by digest, issued once, revoked within a second."""

from __future__ import annotations

from datetime import timedelta

from farebox.domain.access import (
    SCOPES_OF_KIND,
    AccessSession,
    ApiKeyKind,
    CredentialUse,
    Mode,
    Principal,
    Scope,
    Tenant,
    api_key_string,
)
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.errors import ErrorCode, Forbidden, NotFound, Unauthenticated
from farebox.domain.ids import ApiKeyId, MerchantId, base32
from farebox.domain.merchants import ApiKey, Merchant
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.services.commands import AccessTokenView, Context, IssueAccessToken
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids

_REMEMBER_S = 0.9
"""A revoked key is refused everywhere within a second."""
_REMEMBERED_MAX = 10_000
ACCESS_TOKEN_LIFETIME_S_MAX = 3600
"""Source: security design, SEC-20."""


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
        self._remembered: dict[tuple[CredentialUse, str], tuple[float, Principal]] = {}
        """Credentials that were looked up just now, in the clear as the requests in memory are."""
        self._forget_at = 0.0

    async def authenticate(
        self, credential: str, *, dialect: str, use: CredentialUse = CredentialUse.KEY
    ) -> Principal:
        """Find who presents this credential.

        Args:
            credential: the string as it came.
            dialect: the protocol it came by; a credential of another one is unknown.
            use: how it was presented; a key shown as an access token is unknown.

        Raises:
            Unauthenticated: `api_key_invalid`, whatever is wrong with it.
            Forbidden: `mode_mismatch` for a live key where live mode is closed.
        """
        now = self._clock.monotonic()
        known = self._remembered.get((use, credential))
        if known is None or known[0] < now:
            if use is CredentialUse.KEY:
                principal = await self._look_up(self._secrets.api_key_mac(credential))
            else:
                principal = await self._look_up_session(self._secrets.session_mac(credential, use))
            self._forget_outdated(now)
            known = (now + _REMEMBER_S, principal)
            self._remembered[use, credential] = known
        if known[1].dialect != dialect:
            raise Unauthenticated(ErrorCode.API_KEY_INVALID)
        return known[1]

    def forget(self, tenant: Tenant) -> None:
        """Ask the database again for this tenant's keys: its clock or its keys have changed."""
        self._remembered = {
            presented: known for presented, known in self._remembered.items() if known[1].tenant != tenant
        }

    def _forget_outdated(self, now: float) -> None:
        """Keep no credential in the clear for much longer than it is believed, nor too many of them."""
        if now < self._forget_at and len(self._remembered) < _REMEMBERED_MAX:
            return
        self._forget_at = now + _REMEMBER_S
        outdated = [presented for presented, known in self._remembered.items() if known[0] < now]
        for presented in outdated:
            del self._remembered[presented]
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()

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
        self._refuse_closed_mode(merchant)
        return Principal(
            tenant=key.tenant,
            key_id=key.id,
            kind=key.kind,
            scopes=key.scopes,
            dialect=key.dialect,
            attributes=tuple(key.attributes.items()),
            clock_offset=merchant.clock_offset,
        )

    async def _look_up_session(self, mac: bytes) -> Principal:
        found = await self._storage.read(lambda uow: uow.sessions.find(mac))
        if found is None or found[0].expires_at <= self._clock.now():
            raise Unauthenticated(ErrorCode.API_KEY_INVALID)
        session, merchant = found
        self._refuse_closed_mode(merchant)
        is_visitor = session.use is CredentialUse.VISITOR
        return Principal(
            tenant=session.tenant,
            key_id=session.key_id or ApiKeyId(f"visitor_{mac[:8].hex()}"),
            kind=ApiKeyKind.PUBLISHABLE if is_visitor else ApiKeyKind.SECRET,
            scopes=session.scopes,
            dialect=session.dialect,
            attributes=tuple(session.attributes.items()),
            clock_offset=merchant.clock_offset,
        )

    def _refuse_closed_mode(self, merchant: Merchant) -> None:
        if merchant.mode is Mode.LIVE and not self._live_mode_is_open:
            raise Forbidden(ErrorCode.MODE_MISMATCH)

    async def issue(
        self, command: IssueAccessToken, context: Context[AccessTokenView], claim: Claim[AccessTokenView]
    ) -> AccessTokenView:
        """Give a bearer string for the caller's key; several may live at once (SEC-20)."""
        principal = context.principal
        lifetime_s = min(command.lifetime_s, ACCESS_TOKEN_LIFETIME_S_MAX)
        string = base32(int.from_bytes(self._randomness.bytes(32), "big"), 52)
        now = self._clock.now()
        session = AccessSession(
            mac=self._secrets.session_mac(string, CredentialUse.ACCESS_TOKEN),
            tenant=principal.tenant,
            key_id=principal.key_id,
            use=CredentialUse.ACCESS_TOKEN,
            dialect=context.dialect,
            scopes=principal.scopes,
            created_at=now,
            expires_at=now + timedelta(seconds=lifetime_s),
            attributes={**dict(principal.attributes), **command.attributes},
        )
        await self._storage.write(lambda uow: uow.sessions.insert(session))
        return AccessTokenView(string, lifetime_s, principal.scopes)

    def _entry(self, action: AuditAction, key: ApiKey) -> AuditEntry:
        return AuditEntry(
            action=action,
            at=self._clock.now(),
            merchant_id=key.tenant.merchant_id,
            actor="operator",
            object_id=key.id,
            why=key.dialect,
        )
