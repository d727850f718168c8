"""The keyset and where the key-encryption key comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.adapters.crypto.conftest import OTHER, TENANT, Place

from farebox.adapters.crypto.kek import (
    KekProvider,
    key_file_problem,
    make_key_file,
    open_key_file,
    open_systemd_credential,
)
from farebox.adapters.crypto.pkcs11_kek import open_pkcs11_kek
from farebox.domain.access import Mode
from farebox.domain.errors import ConfigurationError, Unavailable
from farebox.ports.keys import KeyRecord, KeyState

SOFTHSM = next(
    (
        path
        for path in (
            Path("/usr/lib/softhsm/libsofthsm2.so"),
            *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
        )
        if path.exists()
    ),
    None,
)


async def records(place: Place) -> list[KeyRecord]:
    return list(await place.storage.read(lambda uow: uow.keys.load_all()))


async def test_test_and_live_share_no_key(place: Place) -> None:
    """Every key that touches merchants' data belongs to one mode."""
    found = await records(place)
    shared = {record.kind for record in found if record.mode is None}
    assert shared == {"keyset", "api_key", "audit", "ring"}
    assert len({record.wrapped for record in found}) == len(found)


@pytest.mark.parametrize("column", ["kind", "merchant_id", "mode", "epoch", "state", "retires_at", "wrapped"])
async def test_a_key_row_that_was_changed_stops_the_start(place: Place, column: str) -> None:
    """SEC-08: substituting a key is substituting what it protects."""
    row = next(
        record
        for record in await records(place)
        if record.kind == "tenant" and record.merchant_id == "mer_1" and record.mode is Mode.TEST
    )
    changes = {
        "kind": "'answer'",
        "merchant_id": f"'{OTHER.merchant_id}'",
        "mode": "'live'",
        "epoch": "7",
        "state": "'opening'",
        "retires_at": "1",
        "wrapped": "(SELECT wrapped FROM vault_key WHERE kind = 'answer' LIMIT 1)",
    }
    writer = place.storage._writer
    writer.execute(f"UPDATE vault_key SET {column} = {changes[column]} WHERE key_id = ?", (row.key_id,))
    with pytest.raises((ConfigurationError, Unavailable)):
        await place.open()


async def test_another_kek_opens_nothing(place: Place) -> None:
    """A vault without its key-encryption key is sealed, and says so."""
    make_key_file(place.directory / "other.kek")
    other = open_key_file(place.directory / "other.kek", data_dir=place.directory / "data")
    with pytest.raises(Unavailable):
        await place.open(other)


async def test_a_vault_that_misses_a_key_in_use_does_not_open(place: Place) -> None:
    """§4.9: a credential whose key is not in the database is found at the start, not when it is used."""
    writer = place.storage._writer
    writer.execute(
        "INSERT INTO stored_token (id, merchant_id, mode, kind, token_mac, state, summary, fingerprint,"
        " created_at, dialect, key_id, metadata, version)"
        " SELECT 'pt_' || hex(key_id), 'mer_1', 'test', 'payment_token', key_id, 'active', '{}', x'00', 0,"
        " 'native', key_id, '{}', 1 FROM vault_key WHERE kind = 'tenant'"
    )
    await place.open()
    writer.execute("UPDATE stored_token SET key_id = x'ffffffffffffffff' WHERE rowid = 2")
    with pytest.raises(ConfigurationError, match="configuration_invalid") as refused:
        await place.open()
    assert "ffffffffffffffff" in refused.value.message


def store_credential_under(place: Place, key_id: bytes) -> None:
    """Store a credential of which only the key it names matters."""
    place.storage._writer.execute(
        "INSERT INTO stored_token (id, merchant_id, mode, kind, token_mac, state, summary, fingerprint,"
        " created_at, dialect, key_id, metadata, version) VALUES ('pt_1', 'mer_1', 'test', 'payment_token',"
        " x'01', 'active', '{}', x'00', 0, 'native', ?, '{}', 1)",
        (key_id,),
    )


async def test_an_unused_tenant_key_is_destroyed_after_two_looks(place: Place) -> None:
    """§3.4: no row names it, seen twice, one backup-retention apart; the newest and one in use never go."""
    keys, writer = place.crypto.keys, place.storage._writer
    kept = timedelta(days=35)
    first = keys.newest(TENANT)
    store_credential_under(place, first)
    second = await keys.rotate(TENANT)

    async def states() -> list[str]:
        found = {record.key_id: record for record in await records(place)}
        assert (found[first].state is KeyState.DESTROYED) is (found[first].wrapped == b"")
        return [found[key_id].state.value for key_id in (first, second)]

    assert await keys.destroy_unused(kept) == 0, "a credential names it"
    writer.execute("UPDATE stored_token SET key_id = ?", (second,))
    assert await keys.destroy_unused(kept) == 1
    assert await states() == ["opening", "active"]
    place.clock.instant += kept - timedelta(seconds=1)
    assert await keys.destroy_unused(kept) == 0, "a backup may still need it"
    place.clock.instant += timedelta(seconds=1)
    assert await keys.destroy_unused(kept) == 1
    assert await states() == ["destroyed", "active"]
    assert first not in keys.tenant(TENANT).sealing
    assert first not in keys._clear
    assert await keys.destroy_unused(kept) == 0
    assert (await place.open()).keys.newest(TENANT) == second
    rows = writer.execute("SELECT actor, object_id FROM audit WHERE action = 'key_destroyed'").fetchall()
    assert rows == [("farebox", first.hex())]


async def test_a_key_that_is_used_again_is_spared(place: Place) -> None:
    """A restored database names keys that were unused before."""
    keys = place.crypto.keys
    first = keys.newest(TENANT)
    await keys.rotate(TENANT)
    assert await keys.destroy_unused(timedelta(0)) == 1
    store_credential_under(place, first)
    assert await keys.destroy_unused(timedelta(0)) == 1
    found = {record.key_id: record.state for record in await records(place)}
    assert found[first] is KeyState.ACTIVE


async def test_the_kek_changes_in_one_step(place: Place) -> None:
    """§3.4: afterwards the new key opens everything and the old one nothing."""
    make_key_file(place.directory / "new.kek")
    new = open_key_file(place.directory / "new.kek", data_dir=place.directory / "data")
    before = {record.key_id: record.wrapped for record in await records(place)}
    done: list[int] = []
    count = await place.crypto.change_kek(new, done.append)
    after = {record.key_id: record.wrapped for record in await records(place)}
    assert done == list(range(1, count + 1))
    assert count == len(before)
    assert all(after[key_id] != wrapped for key_id, wrapped in before.items())
    await place.open(new)
    with pytest.raises(Unavailable):
        await place.open()


async def test_the_inventory_names_every_key(place: Place) -> None:
    """SEC-07: kind, algorithm, owner, state and cryptoperiod of each."""
    rows = await place.crypto.inventory()
    assert {row.kind for row in rows} >= {
        "keyset",
        "lookup",
        "audit",
        "ring",
        "fingerprint",
        "answer",
        "tenant",
        "kek",
        "bucket",
        "day",
    }
    assert all(row.strength_bits == 256 for row in rows)
    assert all(row.retires_at > row.created_at for row in rows if row.kind not in {"day", "bucket"})
    names = {row.key_id: row for row in rows}
    assert {names[row.wrapped_by].kind for row in rows if row.kind in {"bucket", "day"}} == {"ring"}
    kek = next(row for row in rows if row.kind == "kek")
    assert {row.wrapped_by for row in rows if row.kind in {"keyset", "ring", "tenant"}} == {kek.key_id}
    assert kek.rows == len(await records(place))
    assert sum(row.kind == "bucket" for row in rows) == len(list((place.directory / "ring").glob("bucket-*")))
    assert {row.rows for row in rows if row.kind == "tenant"} == {0}


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """§4.9: missing, readable by others, in the data directory, or no key at all: refused."""
    path, data = tmp_path / "kek", tmp_path / "data"
    data.mkdir()
    assert key_file_problem(path, data_dir=data) is not None
    make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o400
    assert key_file_problem(path, data_dir=data) is None
    assert open_key_file(path, data_dir=data).name.startswith("file:")
    first = path.read_bytes()
    make_key_file(path)
    assert path.read_bytes() == first
    path.chmod(0o440)
    with pytest.raises(ConfigurationError):
        open_key_file(path, data_dir=data)
    inside = data / "kek"
    make_key_file(inside)
    with pytest.raises(ConfigurationError):
        open_key_file(inside, data_dir=data)
    path.chmod(0o600)
    path.write_text("not a key")
    path.chmod(0o400)
    with pytest.raises(ConfigurationError):
        open_key_file(path, data_dir=data)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh SoftHSM 2 token; its library reads its configuration once a process."""
    if SOFTHSM is None or shutil.which("softhsm2-util") is None:
        if os.environ.get("CI"):
            pytest.fail("SoftHSM 2 is not installed")
        pytest.skip("SoftHSM 2 is not installed (apt-get install softhsm2)")
    directory = tmp_path_factory.mktemp("softhsm")
    (directory / "tokens").mkdir()
    config = directory / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(config))
        subprocess.run(
            [
                "softhsm2-util",
                "--init-token",
                "--free",
                "--label",
                "farebox",
                "--pin",
                "1234",
                "--so-pin",
                "5678",
            ],
            check=True,
            capture_output=True,
        )
        yield "farebox"


def providers(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> KekProvider:
    if kind == "pkcs11":
        label = request.getfixturevalue("token")
        return open_pkcs11_kek(
            module=str(SOFTHSM), token_label=label, key_label="farebox-kek", pin="1234", create=True
        )
    path = tmp_path / "credentials" / "farebox.kek"
    make_key_file(path)
    if kind == "systemd":
        request.getfixturevalue("monkeypatch").setenv("CREDENTIALS_DIRECTORY", str(path.parent))
        return open_systemd_credential(path.name)
    return open_key_file(path, data_dir=tmp_path / "data")


@pytest.mark.parametrize("kind", ["file", "systemd", "pkcs11"])
def test_every_provider_wraps_and_unwraps(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """One exercise for a file, a systemd credential and a hardware token (SoftHSM 2)."""
    kek = providers(kind, request, tmp_path)
    key = os.urandom(32)
    wrapped = kek.wrap(key)
    assert key not in wrapped
    assert kek.unwrap(wrapped) == key
    changed = bytearray(wrapped)
    changed[len(changed) // 2] ^= 1
    with pytest.raises(Unavailable):
        kek.unwrap(bytes(changed))
    kek.close()


def test_a_key_of_a_token_never_leaves_it(token: str) -> None:
    """§3.2: non-extractable, found again by its label, and not made unless asked for."""
    where = {"module": str(SOFTHSM), "token_label": token, "pin": "1234"}
    with pytest.raises(ConfigurationError):
        open_pkcs11_kek(**where, key_label="k", create=False)
    made = open_pkcs11_kek(**where, key_label="k", create=True)
    import pkcs11

    with pytest.raises(pkcs11.exceptions.PKCS11Error):
        made._key[pkcs11.Attribute.VALUE]
    wrapped = made.wrap(bytes(32))
    made.close()
    again = open_pkcs11_kek(**where, key_label="k", create=False)
    beside = open_pkcs11_kek(**where, key_label="k", create=False)
    assert again.unwrap(wrapped) == beside.unwrap(wrapped) == bytes(32)
    again.close()
    beside.close()
    with pytest.raises(ConfigurationError):
        open_pkcs11_kek(**{**where, "token_label": "another"}, key_label="k", create=False)


async def test_a_vault_on_a_hardware_token(place: Place, token: str, tmp_path: Path) -> None:
    """The whole keyset moves from a file to a token and opens again from there."""
    hsm = open_pkcs11_kek(
        module=str(SOFTHSM), token_label=token, key_label="farebox-kek", pin="1234", create=True
    )
    await place.crypto.change_kek(hsm, lambda done: None)
    again = await place.open(hsm)
    assert again.keys.newest(TENANT) == place.crypto.keys.newest(TENANT)
    assert replace(again.keys.tenant(TENANT), sealing={}) == replace(
        place.crypto.keys.tenant(TENANT), sealing={}
    )
