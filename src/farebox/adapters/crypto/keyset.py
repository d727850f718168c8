"""The keys that lie wrapped in the database: made, loaded, checked, listed, rotated.

    KEK
     ├─ keyset     authenticates every row of this table
     ├─ api_key, lookup (one per mode), audit
     ├─ ring       wraps the bucket and day keys outside the database
     └─ fingerprint, answer, tenant (several, by epoch): of each tenant

A row that was changed, or moved to another tenant, mode or kind, has a wrong MAC and stops the start:
substituting a key is substituting what it protects (SEC-08).

Source: security design §3.2 and §3.4.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from farebox.adapters.crypto.kek import KekProvider, refuse
from farebox.adapters.crypto.ring import BUCKET, RingKey
from farebox.adapters.crypto.suite import KEY_ID_LENGTH, KEY_LENGTH, SealingKey
from farebox.domain.access import Mode, Tenant
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.errors import ErrorCode, NotFound, Unavailable
from farebox.domain.frozen import frozen
from farebox.domain.ids import MerchantId
from farebox.ports.keys import KeyRecord, KeyState
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness

KEYSET, API_KEY, LOOKUP, AUDIT, RING = "keyset", "api_key", "lookup", "audit", "ring"
FINGERPRINT, ANSWER, TENANT = "fingerprint", "answer", "tenant"

_SEALING, _DIGESTING, _DERIVING = "XAES-256-GCM", "HMAC-SHA-256", "HKDF-SHA-256"
_STRENGTH_BITS = 8 * KEY_LENGTH
_YEAR, _TENANT_PERIOD = timedelta(days=365), timedelta(days=90)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One line of the inventory (SEC-07); `rows` counts the rows of the database that name the key."""

    key_id: str
    kind: str
    algorithm: str
    strength_bits: int
    merchant: str | None
    mode: str | None
    epoch: int
    state: str
    created_at: datetime | None
    retires_at: datetime | None
    wrapped_by: str | None
    rows: int | None

    def as_dict(self) -> dict[str, object]:
        """Give the fields in order."""
        return {name: getattr(self, name) for name in self.__slots__}


@frozen
class TenantKeySet:
    """One tenant's keys, unwrapped."""

    fingerprint: bytes
    answer: bytes
    answer_id: bytes
    newest: bytes
    """Id of the tenant key that seals."""
    sealing: dict[bytes, SealingKey]
    """Every tenant key by its id."""


class Keyset:
    """Every key of the server, unwrapped in memory.

    Implements `ports.keys.KeyProvisioning` and `TenantKeys`.
    """

    def __init__(self, *, kek: KekProvider, storage: Storage, clock: Clock, randomness: Randomness) -> None:
        """Take the KEK and where the rows are; call `load` before anything else."""
        self._kek = kek
        self._storage = storage
        self._clock = clock
        self._randomness = randomness
        self._records: tuple[KeyRecord, ...] = ()
        self._clear: dict[bytes, bytes] = {}
        self._tenants: dict[Tenant, TenantKeySet] = {}
        self._mac_key = b""

    async def load(self) -> None:
        """Unwrap every key; make the server's own if there are none yet.

        Raises:
            Unavailable: `vault_sealed` when the KEK is another one.
            ConfigurationError: a row was changed, or names an algorithm that we do not know.
        """
        if not await self.verify():
            await self._storage.write(self._make_server_keys)
            await self._read()

    async def verify(self) -> int:
        """Read, unwrap and authenticate every key, and miss none that is needed; give how many there are.

        Raises:
            Unavailable: as `load`.
            ConfigurationError: as `load`; or stored credentials name a key that is not here.
        """
        count = await self._read()
        for key_id in await self._storage.read(lambda uow: uow.keys.in_use()):
            if key_id not in self._clear:
                raise refuse(f"Stored credentials name vault key {key_id.hex()}, which is not here.")
        return count

    async def provision(self, tenant: Tenant) -> None:
        """Make a new tenant's keys; durable when it returns."""
        records = [
            self._record(FINGERPRINT, _DIGESTING, _YEAR, tenant),
            self._record(ANSWER, _SEALING, _YEAR, tenant),
            self._record(TENANT, _SEALING, _TENANT_PERIOD, tenant, epoch=1),
        ]
        await self._insert(records)

    async def rotate(self, tenant: Tenant) -> bytes:
        """Make a newer tenant key; give its id."""
        epochs = [
            record.epoch for record in self._records if record.kind == TENANT and _tenant_of(record) == tenant
        ]
        if not epochs:
            raise NotFound(ErrorCode.MERCHANT_NOT_FOUND)
        record = self._record(TENANT, _SEALING, _TENANT_PERIOD, tenant, epoch=max(epochs) + 1)
        await self._insert([record])
        return record.key_id

    def newest(self, tenant: Tenant) -> bytes:
        """Give the id of the tenant key that seals now."""
        return self.tenant(tenant).newest

    def tenant(self, tenant: Tenant) -> TenantKeySet:
        """Give a tenant's keys.

        Raises:
            Unavailable: `vault_sealed` when they are not loaded: `refresh` has to be awaited before.
        """
        found = self._tenants.get(tenant)
        if found is None:
            raise Unavailable(ErrorCode.VAULT_SEALED)
        return found

    async def refresh(self, tenant: Tenant) -> None:
        """Load a tenant's keys that another process made; returns at once when they are here."""
        if tenant not in self._tenants:
            await self._read()

    async def reload(self) -> int:
        """Read the keys again: another process may have made newer ones. A background job."""
        await self._read()
        return 0

    def server_key(self, kind: str, mode: Mode | None = None) -> bytes:
        """Give one of the server's own keys."""
        for record in self._records:
            if record.kind == kind and record.mode == mode and record.merchant_id is None:
                return self._clear[record.key_id]
        raise Unavailable(ErrorCode.VAULT_SEALED)

    async def inventory(self) -> list[KeyRow]:
        """List the key-encryption key and every key it wraps."""
        await self._read()
        usage = {
            record.key_id: await self._usage(record) for record in self._records if record.kind == TENANT
        }
        return [
            self._kek_row(),
            *(self._row(record, usage.get(record.key_id)) for record in self._records),
        ]

    def ring_rows(self, keys: Sequence[RingKey]) -> list[KeyRow]:
        """List the ring's keys, each of which is one for test and one for live mode."""
        wrapped_by = next(record.key_id for record in self._records if record.kind == RING).hex()
        return [
            KeyRow(
                key_id=str(key.number),
                kind=key.kind,
                algorithm=_DERIVING if key.kind == BUCKET else _SEALING,
                strength_bits=_STRENGTH_BITS,
                merchant=None,
                mode=None,
                epoch=1,
                state=KeyState.ACTIVE.value,
                created_at=key.created_at,
                retires_at=key.ends_at,
                wrapped_by=wrapped_by,
                rows=None,
            )
            for key in keys
        ]

    def _kek_row(self) -> KeyRow:
        created_at = self._kek.created_at
        return KeyRow(
            key_id=self._kek.name,
            kind="kek",
            algorithm=self._kek.algorithm,
            strength_bits=_STRENGTH_BITS,
            merchant=None,
            mode=None,
            epoch=1,
            state=KeyState.ACTIVE.value,
            created_at=created_at,
            retires_at=created_at + _YEAR if created_at else None,
            wrapped_by=None,
            rows=sum(record.wrapped_by == self._kek.name for record in self._records),
        )

    def _row(self, record: KeyRecord, rows: int | None) -> KeyRow:
        return KeyRow(
            key_id=record.key_id.hex(),
            kind=record.kind,
            algorithm=record.algorithm,
            strength_bits=_STRENGTH_BITS,
            merchant=record.merchant_id,
            mode=record.mode.value if record.mode else None,
            epoch=record.epoch,
            state=record.state.value,
            created_at=record.created_at,
            retires_at=record.retires_at,
            wrapped_by=record.wrapped_by,
            rows=rows,
        )

    def ages_s(self) -> dict[str, float]:
        """Give the age of the oldest sealing key of each kind, in seconds."""
        now = self._clock.now()
        ages: dict[str, float] = {}
        for record in self._records:
            if record.state is KeyState.ACTIVE:
                age_s = (now - record.created_at).total_seconds()
                ages[record.kind] = max(ages.get(record.kind, 0.0), age_s)
        return ages

    async def change_kek(self, new: KekProvider, progress: Callable[[int], None]) -> int:
        """Wrap every key under another KEK, all in one transaction; give how many.

        An interrupted change has changed nothing. `progress` is told how many are wrapped, each of which
        may be a call to a token.
        """
        replacements: list[tuple[KeyRecord, KeyRecord]] = []
        for record in self._records:
            if record.state is not KeyState.DESTROYED:
                wrapped = new.wrap(self._clear[record.key_id])
                fresh = self._sign(replace(record, wrapped_by=new.name, wrapped=wrapped))
                replacements.append((record, fresh))
                progress(len(replacements))
        entry = self._audit_entry(AuditAction.KEY_ROTATED, new.name, why="key-encryption key")

        async def work(uow: UnitOfWork) -> None:
            for old, fresh in replacements:
                if not await uow.keys.compare_and_set(old, fresh):
                    raise Unavailable(ErrorCode.STORAGE_BUSY)
            await uow.audit.append((entry,))

        await self._storage.write(work)
        self._kek = new
        await self._read()
        return len(replacements)

    async def destroy_unused(self, kept: timedelta) -> int:
        """Destroy tenant keys that no row names, seen twice, at least `kept` apart; give how many changed.

        A backup that may still be put back can hold credentials under a key that is unused today, so a key
        lives as long as those backups. When it was first found unused is the end of its cryptoperiod.
        """
        await self._read()
        now = self._clock.now()
        changed = 0
        for record in self._records:
            fresh = self._closer_to_its_end(record, await self._usage(record), now, kept)
            if fresh is not None:
                changed += await self._storage.write(
                    lambda uow, old=record, fresh=fresh: self._replace(uow, old, fresh)
                )
        await self._read()
        return changed

    # --- inside ------------------------------------------------------------------------------------

    def _closer_to_its_end(
        self, record: KeyRecord, usage: int, now: datetime, kept: timedelta
    ) -> KeyRecord | None:
        """Give the key's next state; nothing for one that stays as it is."""
        owner = _tenant_of(record)
        if record.kind != TENANT or owner is None or record.key_id == self.newest(owner):
            return None
        match record.state:
            case KeyState.ACTIVE if usage == 0:
                return self._sign(replace(record, state=KeyState.OPENING, retires_at=now))
            case KeyState.OPENING if usage > 0:
                return self._sign(replace(record, state=KeyState.ACTIVE))
            case KeyState.OPENING if now - record.retires_at >= kept:
                return self._sign(replace(record, state=KeyState.DESTROYED, wrapped=b""))
            case _:
                return None

    async def _replace(self, uow: UnitOfWork, old: KeyRecord, fresh: KeyRecord) -> bool:
        replaced = await uow.keys.compare_and_set(old, fresh)
        if replaced and fresh.state is KeyState.DESTROYED:
            entry = self._audit_entry(
                AuditAction.KEY_DESTROYED, old.key_id.hex(), why=old.kind, merchant_id=old.merchant_id
            )
            await uow.audit.append((replace(entry, actor="farebox"),))
        return replaced

    async def _usage(self, record: KeyRecord) -> int:
        return await self._storage.read(lambda uow: uow.keys.usage(record.key_id))

    async def _make_server_keys(self, uow: UnitOfWork) -> None:
        self._mac_key = self._randomness.bytes(KEY_LENGTH)
        records = [
            self._record(KEYSET, _DIGESTING, _YEAR, clear=self._mac_key),
            self._record(API_KEY, _DIGESTING, _YEAR),
            self._record(AUDIT, _DIGESTING, _YEAR),
            self._record(RING, _SEALING, _YEAR),
            self._record(LOOKUP, _DIGESTING, _YEAR, mode=Mode.TEST),
            self._record(LOOKUP, _DIGESTING, _YEAR, mode=Mode.LIVE),
        ]
        for record in records:
            await uow.keys.insert(record)

    def _record(
        self,
        kind: str,
        algorithm: str,
        period: timedelta,
        tenant: Tenant | None = None,
        *,
        mode: Mode | None = None,
        epoch: int = 1,
        clear: bytes | None = None,
    ) -> KeyRecord:
        now = self._clock.now()
        record = KeyRecord(
            key_id=self._randomness.bytes(KEY_ID_LENGTH),
            kind=kind,
            algorithm=algorithm,
            merchant_id=tenant.merchant_id if tenant else None,
            mode=tenant.mode if tenant else mode,
            epoch=epoch,
            state=KeyState.ACTIVE,
            created_at=now,
            retires_at=now + period,
            wrapped_by=self._kek.name,
            wrapped=self._kek.wrap(clear or self._randomness.bytes(KEY_LENGTH)),
            mac=b"",
        )
        return self._sign(record)

    async def _insert(self, records: Sequence[KeyRecord]) -> None:
        entries = [
            self._audit_entry(
                AuditAction.KEY_CREATED, record.key_id.hex(), why=record.kind, merchant_id=record.merchant_id
            )
            for record in records
        ]

        async def work(uow: UnitOfWork) -> None:
            for record in records:
                await uow.keys.insert(record)
            await uow.audit.append(entries)

        await self._storage.write(work)
        await self._read()

    def _audit_entry(
        self, action: AuditAction, object_id: str, *, why: str, merchant_id: MerchantId | None = None
    ) -> AuditEntry:
        return AuditEntry(
            action=action,
            at=self._clock.now(),
            merchant_id=merchant_id,
            actor="operator",
            object_id=object_id,
            why=why,
        )

    async def _read(self) -> int:
        """Load what is new; give how many rows there are."""
        records = tuple(await self._storage.read(lambda uow: uow.keys.load_all()))
        for record in records:
            if record.state is KeyState.DESTROYED:
                self._clear.pop(record.key_id, None)
            elif record.key_id not in self._clear:
                if record.wrapped_by != self._kek.name:
                    raise Unavailable(ErrorCode.VAULT_SEALED)
                self._clear[record.key_id] = self._kek.unwrap(record.wrapped)
            if record.kind == KEYSET:
                self._mac_key = self._clear[record.key_id]
        for record in records:
            if not hmac.compare_digest(record.mac, self._sign(record).mac):
                raise refuse(f"Vault key {record.key_id.hex()} was changed in the database.")
            if record.algorithm not in {_SEALING, _DIGESTING}:
                raise refuse(f"Vault key {record.key_id.hex()} names an unknown algorithm.")
        self._records = records
        self._tenants = self._sort_tenants(records)
        return len(records)

    def _sort_tenants(self, records: Sequence[KeyRecord]) -> dict[Tenant, TenantKeySet]:
        by_tenant: dict[Tenant, list[KeyRecord]] = {}
        for record in records:
            tenant = _tenant_of(record)
            if tenant is not None and record.state is not KeyState.DESTROYED:
                by_tenant.setdefault(tenant, []).append(record)
        return {tenant: self._tenant_keys(owned) for tenant, owned in by_tenant.items()}

    def _tenant_keys(self, records: Sequence[KeyRecord]) -> TenantKeySet:
        first = {record.kind: record for record in records}
        sealing = [record for record in records if record.kind == TENANT]
        return TenantKeySet(
            fingerprint=self._clear[first[FINGERPRINT].key_id],
            answer=self._clear[first[ANSWER].key_id],
            answer_id=first[ANSWER].key_id,
            newest=max(sealing, key=lambda record: record.epoch).key_id,
            sealing={record.key_id: SealingKey(self._clear[record.key_id]) for record in sealing},
        )

    def _sign(self, record: KeyRecord) -> KeyRecord:
        fields = (
            record.key_id,
            record.kind.encode(),
            record.algorithm.encode(),
            (record.merchant_id or "").encode(),
            (record.mode.value if record.mode else "").encode(),
            str(record.epoch).encode(),
            record.state.value.encode(),
            record.created_at.isoformat().encode(),
            record.retires_at.isoformat().encode(),
            record.wrapped_by.encode(),
            record.wrapped,
        )
        message = b"".join([len(field).to_bytes(4, "big") + field for field in fields])
        return replace(record, mac=hmac.digest(self._mac_key, message, "sha256"))


def _tenant_of(record: KeyRecord) -> Tenant | None:
    if record.merchant_id is None or record.mode is None:
        return None
    return Tenant(record.merchant_id, record.mode)
