"""The composition root: settings in, wired application out; plain constructor calls.

This is the only module that pairs a port with its adapter.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import msgspec

from farebox import __version__
from farebox.adapters.crypto import Crypto, open_crypto, vault_problem
from farebox.adapters.crypto.kek import (
    KekProvider,
    key_file_problem,
    make_key_file,
    open_key_file,
    open_systemd_credential,
)
from farebox.adapters.crypto.ring import CACHE_TAG_FILE, ring_problem
from farebox.adapters.delivery import open_sender
from farebox.adapters.hardening import (
    Circumstances,
    Finding,
    findings,
    harden,
    observe_process,
    refusals,
    shares_volume,
)
from farebox.adapters.process_lock import only_server
from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.adapters.service_manager import notify
from farebox.adapters.storage import backup, open_storage
from farebox.adapters.storage.schema import SchemaStatus, migrate, status
from farebox.adapters.system import SystemClock, SystemRandomness
from farebox.adapters.telemetry import Metrics, ScrubbedHandler, configure_logging
from farebox.config.settings import Kek, Settings
from farebox.dialects.bamboo.declaration import BAMBOO
from farebox.dialects.dintero.declaration import DINTERO
from farebox.dialects.engine import Engine
from farebox.dialects.native.declaration import NATIVE
from farebox.dialects.payroc.declaration import PAYROC
from farebox.dialects.paysafe.declaration import PAYSAFE
from farebox.dialects.rate_limit import RateLimit
from farebox.domain.access import Mode, Tenant
from farebox.domain.errors import MESSAGES, ConfigurationError, ErrorCode, Unavailable
from farebox.domain.frozen import frozen
from farebox.domain.merchants import Merchant
from farebox.ports.delivery import Sender
from farebox.ports.storage import Storage, StorageHealth
from farebox.services.access import Access
from farebox.services.auditing import Auditing
from farebox.services.durability import CHECK_EVERY_S
from farebox.services.ids import Ids
from farebox.services.key_rotation import KeyRotation
from farebox.services.merchants import Merchants
from farebox.services.retention import Retention
from farebox.services.use_cases import UseCases, build_use_cases
from farebox.services.vaulting import Vaulting
from farebox.web.app import App, Mounts
from farebox.web.health import Readiness
from farebox.web.limits import Limits
from farebox.web.openapi import openapi
from farebox.web.pages import ErrorText, pages, render_page
from farebox.web.server import Listener, Tls, build_server, open_sockets
from farebox.worker.loops import Job, Worker

DIALECTS = (NATIVE, BAMBOO, PAYROC, PAYSAFE, DINTERO)
SANDBOX_FILE = "sandbox.sqlite3"
LOCK_FILE = "server.lock"
FIRST_MERCHANT = "First merchant"
_BATCHES_LOOK_S = 30

_log = logging.getLogger("farebox")


@frozen
class Services:
    """What the command line and the server work with."""

    settings: Settings
    storage: Storage
    crypto: Crypto
    clock: SystemClock
    ids: Ids
    metrics: Metrics
    use_cases: UseCases
    access: Access
    merchants: Merchants
    auditing: Auditing
    key_rotation: KeyRotation
    retention: Retention


def data_directory(settings: Settings) -> None:
    """Make the data directory, readable by its owner only."""
    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_kek(settings: Settings, *, create: bool = False) -> KekProvider:
    """Open the key-encryption key where the settings say it is.

    Raises:
        ConfigurationError: it is not there, or not safe there.
    """
    kek = settings.kek
    match kek.provider:
        case "file":
            if create:
                make_key_file(settings.kek_path)
            return open_key_file(settings.kek_path, data_dir=settings.data_path)
        case "systemd":
            return open_systemd_credential(kek.credential)
        case "pkcs11":
            # Its library is an extra that most installations do not have.
            from farebox.adapters.crypto.pkcs11_kek import open_pkcs11_kek

            return open_pkcs11_kek(
                module=kek.pkcs11_module,
                token_label=kek.pkcs11_token,
                key_label=kek.pkcs11_key,
                pin=kek.pkcs11_pin,
                create=create,
            )


async def rotate_kek(settings: Settings, target: Kek, progress: Callable[[int], None]) -> int:
    """Wrap every key under another key-encryption key, which is made if it is missing.

    Args:
        settings: with the key that wraps them now.
        target: where the new one is, with any provider.
        progress: told how many are wrapped.

    Returns:
        How many keys were wrapped; 0 when an earlier run had wrapped them all.
    """
    changed = msgspec.structs.replace(settings, kek=target)
    new = open_kek(changed, create=True)
    try:
        async with open_services(settings) as services:
            return await services.crypto.change_kek(new, progress)
    except Unavailable as refusal:
        if refusal.code is not ErrorCode.VAULT_SEALED:
            raise
    finally:
        new.close()
    # The old key opens nothing: if the new one does, an earlier run got here and was never heard.
    async with open_services(changed):
        return 0


async def init(settings: Settings) -> tuple[Merchant, dict[str, dict[str, str]]]:
    """Make data directory, key-encryption key, key ring, schema and one test-mode merchant.

    Returns:
        The merchant and its credentials by dialect, which nobody can show again.

    Raises:
        ConfigurationError: the data directory is in use already.
    """
    data_directory(settings)
    open_kek(settings, create=True).close()
    await bring_up_to_date(settings)
    async with open_services(settings) as services:
        if await services.merchants.all():
            raise ConfigurationError(
                ErrorCode.CONFIGURATION_INVALID,
                detail="There is a merchant already; add another one with 'farebox merchants create'.",
            )
        return await services.merchants.create(FIRST_MERCHANT, Mode.TEST)


async def bring_up_to_date(settings: Settings) -> None:
    """Apply the schema's pending migrations."""
    await migrate(settings.url, lambda step: _log.info("schema %s", step))


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open database, vault and acquirer, and wire the use cases over them.

    Raises:
        ConfigurationError: anything of these cannot be opened safely.
    """
    clock, randomness = SystemClock(), SystemRandomness()
    metrics = Metrics(version=__version__)
    async with AsyncExitStack() as opened:
        # The audit's chain needs a key that lies in the database it is written to.
        crypto: Crypto | None = None

        def chain_mac(previous: bytes, entry: bytes) -> bytes:
            assert crypto is not None, "nothing is audited before the keys are there"
            return crypto.secrets.audit_mac(previous, entry)

        storage = await open_storage(
            settings.url, chain_mac=chain_mac, wall_us=clock.wall_us, node=settings.node
        )
        opened.push_async_callback(storage.close)
        crypto = await open_crypto(
            kek=open_kek(settings),
            ring_dir=settings.ring_path,
            data_dir=settings.data_path,
            storage=storage,
            clock=clock,
            randomness=randomness,
        )
        opened.push_async_callback(crypto.close)
        processor = SandboxProcessor(
            settings.data_path / SANDBOX_FILE,
            clock=clock,
            timeout_s=settings.sandbox.timeout_s,
        )
        opened.push_async_callback(processor.close)
        sender = open_sender(settings.webhooks.allowed_networks, clock, version=__version__)
        opened.push_async_callback(sender.close)
        yield _wire(settings, storage, crypto, processor, sender, clock, randomness, metrics)


def _wire(
    settings: Settings,
    storage: Storage,
    crypto: Crypto,
    processor: SandboxProcessor,
    sender: Sender,
    clock: SystemClock,
    randomness: SystemRandomness,
    metrics: Metrics,
) -> Services:
    ids = Ids(clock, randomness)
    access = Access(
        storage=storage,
        secrets=crypto.secrets,
        clock=clock,
        ids=ids,
        randomness=randomness,
        live_mode_is_open=not settings.insecure_demo,
    )
    vaulting = Vaulting(crypto.vault, clock, metrics)
    use_cases = build_use_cases(
        storage=storage,
        vaulting=vaulting,
        secrets=crypto.secrets,
        processors={processor.name: processor},
        sandbox=processor,
        clock=clock,
        ids=ids,
        randomness=randomness,
        telemetry=metrics,
        access=access,
        sender=sender,
        callbacks={dialect.name: dialect.callbacks for dialect in DIALECTS},
        on_error=_declaration_failed,
        bin_length=settings.bin_length,
        keeps_cvc=settings.keep_cvc_after_verification,
    )
    return Services(
        settings=settings,
        storage=storage,
        crypto=crypto,
        clock=clock,
        ids=ids,
        metrics=metrics,
        use_cases=use_cases,
        access=access,
        merchants=Merchants(
            storage=storage,
            provisioning=crypto.keys,
            secrets=crypto.secrets,
            access=access,
            clock=clock,
            ids=ids,
            randomness=randomness,
        ),
        auditing=Auditing(storage, crypto.secrets, clock, node=settings.node),
        key_rotation=KeyRotation(storage=storage, vaulting=vaulting, tenant_keys=crypto.keys, clock=clock),
        retention=Retention(storage=storage, clock=clock, events_kept_days=settings.events_kept_days),
    )


def jobs(services: Services) -> tuple[Job, ...]:
    """List what runs in the background."""
    settings = services.settings
    found = [
        Job("expire", 5.0, services.use_cases.tokenization.expire_due),
        Job("recover", 1.0, services.use_cases.recovery.run_once),
        Job("bill", 5.0, services.use_cases.subscriptions.bill_due),
        Job("follow", 1.0, services.use_cases.checkout_payments.follow_payments),
        Job("expire_checkouts", 5.0, services.use_cases.checkout.expire_due),
        Job("fan out", 0.2, services.use_cases.webhooks.fan_out),
        Job("deliver", 0.2, services.use_cases.webhooks.deliver),
        Job("retain", 3600.0, services.retention.purge),
        Job("destroy keys", 3600.0, lambda: _destroy_keys(services)),
        Job("ring", 5.0, services.crypto.maintain),
        Job("keys", 2.0, services.crypto.keys.reload),
        Job("unpaid", 10.0, lambda: _expire_pending(services)),
        Job("gauges", 10.0, lambda: _gauges(services)),
    ]
    if not settings.insecure_demo:
        # What a demo starts in spite of need not stop it later.
        found.append(Job("durability", CHECK_EVERY_S, lambda: _look_at_durability(services)))
    if settings.sandbox.batch_every_s:
        found.append(_batches(services, settings.sandbox.batch_every_s))
    return tuple(found)


async def _destroy_keys(services: Services) -> int:
    """Destroy the tenant keys that have been unused for as long as backups are kept."""
    return await services.crypto.keys.destroy_unused(timedelta(days=services.settings.backups_kept_days))


async def _look_at_durability(services: Services) -> int:
    """Stop spending, loudly, while the database does not keep what it confirms."""
    health = await services.use_cases.durability.look()
    if not health.is_durable:
        _log.critical(
            "nothing is spent: the database is not durable", extra={"why": "; ".join(health.problems)}
        )
    return 0


async def _gauges(services: Services) -> int:
    """Refresh the gauges that are read from the database."""
    in_doubt = await services.storage.read(lambda uow: uow.operations.doubt_statistics())
    services.metrics.in_doubt(in_doubt, services.clock.now())
    waiting_since = await services.storage.read(lambda uow: uow.webhooks.oldest_undelivered())
    services.metrics.webhook_backlog(waiting_since, services.clock.now())
    services.metrics.key_ages(services.crypto.key_ages_s())
    return 0


async def _expire_pending(services: Services) -> int:
    """End what payers of test-mode merchants have not completed in time."""
    expired = 0
    for merchant in await services.merchants.all():
        if merchant.mode is Mode.TEST:
            now = services.clock.now() + merchant.clock_offset
            expired += await services.use_cases.sandbox.expire_pending(merchant.tenant, now)
    return expired


def _batches(services: Services, every_s: int) -> Job:
    """Close batches whenever a period of the wall clock ends: a start of the server is no end of one."""

    def period() -> int:
        return int(services.clock.now().timestamp() // every_s)

    last = period()

    async def close_due() -> int:
        nonlocal last
        if (current := period()) != last:
            last = current
            await _close_batches(services)
        return 0

    return Job("batches", min(every_s, _BATCHES_LOOK_S), close_due)


async def _close_batches(services: Services) -> None:
    """Close the sandbox acquirer's batch of every test-mode merchant."""
    for merchant in await services.merchants.all():
        if merchant.mode is Mode.TEST:
            await services.use_cases.sandbox.settle_batch(
                Tenant(merchant.id, merchant.mode), merchant.clock_offset
            )


def _limits(settings: Settings) -> Limits:
    return Limits(**msgspec.structs.asdict(settings.limits))


async def schema_status(url: str) -> SchemaStatus:
    """Look at a database's schema version."""
    return await status(url)


async def back_up(settings: Settings, destination: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the embedded database while it is in use.

    Raises:
        ConfigurationError: the database is PostgreSQL, or the destination exists.
    """
    await asyncio.to_thread(backup, settings.url, destination, progress)


def build_app(services: Services, readiness: Readiness, ports: Mapping[int, str]) -> App:
    """Put the dialects' engines on the web."""
    settings = services.settings
    rate_limit = RateLimit(
        per_s=settings.rate_limits.per_s,
        burst=settings.rate_limits.burst,
        monotonic=services.clock.monotonic,
    )
    engines = {
        dialect.name: Engine(
            dialect,
            application=services.use_cases.application,
            access=services.access,
            clock=services.clock,
            ids=services.ids,
            rate_limit=rate_limit,
            on_error=_report,
            render_page=render_page,
        )
        for dialect in DIALECTS
    }
    return App(
        engines,
        mounts=Mounts(ports=ports, hosts=dict(settings.dialect_hosts)),
        limits=_limits(settings),
        pages=pages(
            readiness=readiness,
            metrics=services.metrics.render,
            metrics_for=settings.metrics,
            description=openapi(NATIVE, version=__version__),
            errors=[
                ErrorText(code.value, wire.status, MESSAGES[code]) for code, wire in NATIVE.errors.items()
            ],
        ),
        on_request=lambda answered: services.metrics.request_answered(
            dialect=answered.dialect,
            method=answered.method,
            route=answered.route,
            status=answered.status,
            duration_s=answered.duration_s,
            request_id=answered.request_id,
        ),
    )


def _report(request_id: str, error: Exception) -> None:
    """Tell the operator of an error that is ours; the scrubber stands behind the logger."""
    _log.error("unexpected error", exc_info=error, extra={"request_id": request_id})


async def serve(settings: Settings, started: Callable[[Mapping[str | None, int]], None]) -> None:
    """Run the server until it is told to stop.

    Args:
        settings: where and how.
        started: told the ports by dialect (None is the main one) once they answer.

    Raises:
        ConfigurationError: a port, a certificate, the database or the keys cannot be had.
    """
    unknown = set(settings.dialect_ports) | set(settings.dialect_hosts.values())
    unknown -= {dialect.name for dialect in DIALECTS}
    if unknown:
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID, detail=f"There is no dialect {min(unknown)!r} in this version."
        )
    harden()
    handler = configure_logging(settings.log_level)
    _refuse_unsafe(settings, await examine(settings))
    listeners = [Listener(settings.port)]
    listeners += [Listener(port, name) for name, port in settings.dialect_ports.items()]
    data_directory(settings)
    with only_server(settings.data_path / LOCK_FILE):
        await _serve(settings, listeners, handler, started)


async def _serve(
    settings: Settings,
    listeners: Sequence[Listener],
    handler: ScrubbedHandler,
    started: Callable[[Mapping[str | None, int]], None],
) -> None:
    async with open_services(settings) as services:
        if settings.access_log:
            services.metrics.log_requests_to(handler)
        opened = open_sockets(settings.host, listeners)
        readiness = Readiness(
            {
                "storage": lambda: _storage_is_ready(services.storage),
                "vault": services.crypto.is_open,
            }
        )
        app = build_app(
            services,
            readiness,
            {listener.port: listener.dialect for listener, _ in opened if listener.dialect},
        )
        tls = Tls(settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None
        server = build_server(app, limits=_limits(settings), tls=tls)
        worker = Worker(jobs(services), services.clock, _job_failed)
        await services.auditing.start()
        if await services.crypto.notice_restore():
            await services.auditing.restored()
            _log.warning("the database was restored: single-use tokens of before are dead")
        worker.start()
        try:
            await server.run_until_stopped(
                [sock for _, sock in opened],
                lambda: _started({listener.dialect: listener.port for listener, _ in opened}, started),
                readiness.stop,
            )
        finally:
            notify("STOPPING=1")
            await worker.stop()
            await services.use_cases.webhooks.stop()
            await _note_the_end(services)


async def _note_the_end(services: Services) -> None:
    """Write down how far the database has come and that this node serves no more."""
    try:
        await services.crypto.maintain()
        await services.auditing.stop()
    except Exception as error:  # a database that is gone keeps nobody from stopping
        _job_failed("stop", error)


def _started(ports: Mapping[str | None, int], started: Callable[[Mapping[str | None, int]], None]) -> None:
    # What start-up made stays for good: leave it out of every later collection.
    gc.collect()
    gc.freeze()
    notify("READY=1")
    started(ports)


async def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at everything that `serve` refuses to start with; `doctor` prints it."""
    kek, ring = settings.kek, settings.ring_path
    kek_problem = None
    if kek.provider == "file":
        kek_problem = key_file_problem(settings.kek_path, data_dir=settings.data_path)
    schema_problem, vault_problem, health = await _examine_storage(settings)
    return findings(
        Circumstances(
            process=observe_process(),
            host=settings.host,
            has_tls=settings.tls_cert is not None and settings.tls_key is not None,
            keeps_cvc=settings.keep_cvc_after_verification,
            kek_problem=kek_problem,
            ring_problem=ring_problem(ring, data_dir=settings.data_path),
            ring_is_tagged=not ring.exists() or (ring / CACHE_TAG_FILE).exists(),
            ring_shares_volume=shares_volume(ring, settings.data_path),
            schema_problem=schema_problem,
            vault_problem=vault_problem,
            storage_problems=health.problems,
            storage_advice=health.advice,
        )
    )


async def _examine_storage(settings: Settings) -> tuple[str | None, str | None, StorageHealth]:
    """Give what is wrong with the schema, with the keys, and with the engine's promises of durability."""
    unknown = StorageHealth(ready=False)
    if settings.database_url is None and not settings.data_path.is_dir():
        return "There is no data directory; 'farebox init' makes one.", None, unknown

    def never_audited(previous: bytes, entry: bytes) -> bytes:
        raise AssertionError("an examination writes nothing")

    try:
        storage = await open_storage(
            settings.url, chain_mac=never_audited, wall_us=SystemClock().wall_us, node=settings.node
        )
    except ConfigurationError as problem:
        return problem.message, None, unknown
    try:
        return None, await _examine_vault(settings, storage), await storage.health()
    finally:
        await storage.close()


async def _examine_vault(settings: Settings, storage: Storage) -> str | None:
    """Give what is wrong with the keys; a key file that cannot be used is a finding of its own."""
    try:
        kek = open_kek(settings)
    except ConfigurationError as problem:
        return None if settings.kek.provider == "file" else problem.message
    try:
        return await vault_problem(
            kek=kek, storage=storage, clock=SystemClock(), randomness=SystemRandomness()
        )
    finally:
        kek.close()


async def diagnose(settings: Settings) -> tuple[list[dict[str, str]], bool]:
    """Examine as `serve` would; give every finding as plain fields, and whether one is a refusal."""
    harden()
    found = await examine(settings)
    return [asdict(finding) for finding in found], bool(refusals(found))


def _refuse_unsafe(settings: Settings, found: tuple[Finding, ...]) -> None:
    """Stop at what `doctor` refuses, or say what a demo starts in spite of.

    Raises:
        ConfigurationError: naming each refusal and what to do.
    """
    refused = refusals(found)
    if not refused:
        return
    if settings.insecure_demo:
        for finding in refused:
            _log.warning("started in spite of a refusal", extra={"check": finding.name, "why": finding.why})
        return
    reasons = "\n".join(f"  {finding.name}: {finding.why} {finding.remedy}" for finding in refused)
    raise ConfigurationError(ErrorCode.CONFIGURATION_INVALID, detail=f"Farebox does not start:\n{reasons}")


async def _storage_is_ready(storage: Storage) -> bool:
    return (await storage.health()).ready


def _declaration_failed(what: str, error: Exception, /) -> None:
    """Tell the operator that a dialect could not write or sign; it is our defect, and nobody else's wait."""
    _log.error("%s failed", what, exc_info=error)


def _job_failed(name: str, error: Exception) -> None:
    _log.error("job %s failed", name, exc_info=error)
