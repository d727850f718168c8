"""The command line: help with an example, exit codes, machine output, and no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import click
import pytest
from click.testing import CliRunner, Result

from farebox import __version__
from farebox.cli.main import _COMMANDS, main

SECRET = "hunter2-4242424242424242"


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command there is, by its words."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, f"{name} is listed and missing"
            yield from commands(below, (*path, name))


ALL = dict(commands(main))
LEAVES = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests are not ours."""
    for name in os.environ:
        if name.startswith("FAREBOX_"):
            monkeypatch.delenv(name)


def invoke(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(main, list(arguments), env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_a_command_does(path: tuple[str, ...]) -> None:
    """Both spellings, exit code 0, a sentence and every option described."""
    for option in ("--help", "-h"):
        result = invoke(*path, option)
        assert result.exit_code == 0
        assert result.output.startswith("Usage: ")
    command = ALL[path]
    assert (command.help or "").partition("\n")[0].rstrip().endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts[0]}"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_has_an_example_that_is_one(path: tuple[str, ...]) -> None:
    """The example is of this command, and its options are ones that it has."""
    text = invoke(*path, "--help").output
    example = next(line.strip() for line in text.splitlines() if line.strip().startswith("Example: "))
    words = shlex.split(example.removeprefix("Example: ").partition("&&")[0])
    assert tuple(words[: len(path) + 1]) == ("farebox", *path)
    known = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_list_of_commands_is_the_commands() -> None:
    """Help lists without loading; this is what keeps the list true."""
    output = invoke("--help").output
    for name, (_, about) in _COMMANDS.items():
        assert name in output
        assert about.split()[0] in output
        assert (name,) in ALL


def test_help_loads_no_server() -> None:
    """`farebox --help` answers at once because nothing heavy is imported for it."""
    heavy = ["uvicorn", "cryptography", "apsw", "farebox.bootstrap", "stdnum", "prometheus_client"]
    program = (
        "import sys\nfrom farebox.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version() -> None:
    """One line for a bug report."""
    assert invoke("--version").output == f"farebox, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["serve", "--port", "many"],
        ["keys", "nothing"],
        ["api-keys", "create"],
        ["init", "--data"],
        ["db", "backup"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """As every other program."""
    assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["init"],
        ["serve", "--data-dir", "{missing}"],
        ["doctor"],
        ["merchants", "list", "--data-dir", "{missing}"],
        ["api-keys", "list", "--data-dir", "{missing}"],
        ["audit", "verify", "--data-dir", "{missing}"],
        ["keys", "inventory", "--data-dir", "{missing}"],
        ["serve", "--data-dir", "{missing}", "--dialect-port", "nonsense"],
        ["serve", "--data-dir", "{missing}", "--dialect-port", "nonsense=8081"],
        ["db", "status", "--data-dir", "{missing}", "--config", "{missing}/farebox.toml"],
    ],
    ids=" ".join,
)
def test_a_refusal_exits_with_1_and_a_reason(tmp_path: Path, arguments: list[str]) -> None:
    """A sentence of ours, never a traceback."""
    given = [argument.replace("{missing}", str(tmp_path / "missing")) for argument in arguments]
    result = invoke(*given)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ") or "Error: " in result.output
    assert "Traceback" not in result.output


def test_a_bad_setting_is_named_and_not_quoted(tmp_path: Path) -> None:
    """Wherever the secret was put by mistake."""
    result = invoke("init", "--data-dir", str(tmp_path / "d"), environment={"FAREBOX_PORT": SECRET})
    assert result.exit_code == 1
    assert "$.port" in result.output
    assert SECRET not in result.output


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data directory as `init` makes it, and what it printed."""
    data = tmp_path_factory.mktemp("cli") / "data"
    result = CliRunner().invoke(main, ["init", "--data-dir", str(data), "--json"])
    assert result.exit_code == 0, result.output
    return data, json.loads(result.stdout)


def test_init_makes_everything_and_shows_the_credentials_once(installed: tuple[Path, dict[str, Any]]) -> None:
    """Key and ring lie beside the data, readable by their owner only, and no file holds a credential."""
    data, shown = installed
    assert shown["native"]["secret_key"].startswith("fbx_sk_test_")
    assert shown["native"]["publishable_key"].startswith("fbx_pk_test_")
    kek, ring = data.with_name("data.kek"), data.with_name("data.ring")
    assert kek.stat().st_mode & 0o777 in {0o600, 0o400}
    assert data.stat().st_mode & 0o777 == 0o700
    assert ring.is_dir()
    for file in data.parent.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for key in shown["native"].values():
                assert str(key).encode() not in content, file
    again = invoke("init", "--data-dir", str(data))
    assert again.exit_code == 1
    assert "merchants create" in again.output


def test_commands_work_on_what_init_made(installed: tuple[Path, dict[str, Any]]) -> None:
    """Every reading command, as a table for people and as JSON for programs."""
    data, shown = installed
    for path in (
        ("merchants", "list"),
        ("api-keys", "list"),
        ("keys", "inventory"),
        ("audit", "verify"),
        ("db", "status"),
    ):
        people = invoke(*path, "--data-dir", str(data))
        programs = invoke(*path, "--data-dir", str(data), "--json")
        assert (people.exit_code, programs.exit_code) == (0, 0), path
        assert people.output.strip()
        assert json.loads(programs.stdout)
    merchants = json.loads(invoke("merchants", "list", "--data-dir", str(data), "--json").stdout)
    assert [merchant["id"] for merchant in merchants] == [shown["merchant"]]


def test_a_key_is_made_and_revoked(installed: tuple[Path, dict[str, Any]]) -> None:
    """By id; the string is shown once and listed never."""
    data, shown = installed
    at = ("--data-dir", str(data))
    made = json.loads(
        invoke("api-keys", "create", *at, "--json", "--merchant", shown["merchant"], "--label", "shop").stdout
    )
    listed = invoke("api-keys", "list", *at).output
    assert made["id"] in listed
    assert made["key"] not in listed
    assert invoke("api-keys", "revoke", *at, made["id"]).exit_code == 0
    rows = json.loads(invoke("api-keys", "list", *at, "--json").stdout)
    assert [bool(row["revoked_at"]) for row in rows if row["id"] == made["id"]] == [True]
    assert invoke("api-keys", "revoke", *at, "key_unknown").exit_code == 1
    assert invoke("api-keys", "create", *at, "--merchant", "mer_unknown").exit_code == 1


@pytest.mark.parametrize("scope", ["payments:write", "fingerprints:read", "tokens:read"])
def test_a_publishable_key_never_does_more_than_mint(
    installed: tuple[Path, dict[str, Any]], scope: str
) -> None:
    """It stands in pages that everybody can read (SEC-13, security design §3.5); a secret key may have it."""
    data, shown = installed
    create = (
        "api-keys",
        "create",
        "--data-dir",
        str(data),
        "--merchant",
        shown["merchant"],
        "--scope",
        scope,
    )
    refused = invoke(*create, "--kind", "publishable", "--scope", "tokens:mint")
    assert (refused.exit_code, refused.output) == (1, "Error: A publishable key can only mint.\n")
    assert invoke(*create, "--kind", "secret").exit_code == 0


def test_a_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """Also in a directory that was there before and that others may enter, as /srv often is."""
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    assert invoke("init", "--data-dir", str(data)).exit_code == 0
    assert {file.name: file.stat().st_mode & 0o077 for file in data.iterdir()} == {
        "farebox.sqlite3": 0,
        "sandbox.sqlite3": 0,
    }


def test_doctor_tries_the_keys(tmp_path: Path) -> None:
    """Section 4.9, unknown key in use: another vault's key file looks like any, and opens nothing."""
    data, other = tmp_path / "data", tmp_path / "other"
    for directory in (data, other):
        assert invoke("init", "--data-dir", str(directory)).exit_code == 0

    def vault(environment: dict[str, str]) -> str:
        result = invoke("doctor", "--data-dir", str(data), "--json", environment=environment)
        found = json.loads(result.stdout)["findings"]
        return next(finding["verdict"] for finding in found if finding["name"] == "vault")

    assert vault({}) == "ok"
    assert vault({"FAREBOX_KEK__PATH": f"{other}.kek"}) == "refused"
    assert vault({"FAREBOX_KEK__PROVIDER": "systemd"}) == "refused"


def test_the_key_encryption_key_changes_and_the_change_can_be_repeated(tmp_path: Path) -> None:
    """An operator who never saw the first run end runs it again; the change is in the audit (SEC-11)."""
    data, new, config = tmp_path / "data", tmp_path / "new.kek", tmp_path / "new.toml"
    at = ("--data-dir", str(data))
    assert invoke("init", *at).exit_code == 0
    for says in ("keys are wrapped", "All keys are under it already"):
        done = invoke("keys", "rotate", *at, "--kek", str(new))
        assert done.exit_code == 0
        assert says in done.output
    assert invoke("keys", "inventory", *at).exit_code == 1, "the old key opens nothing"
    moved = {"FAREBOX_KEK__PATH": str(new)}
    assert invoke("keys", "inventory", *at, environment=moved).exit_code == 0
    # Back again, the key named by a configuration file, in spite of what the environment says.
    config.write_text(f'[kek]\npath = "{data}.kek"\n')
    assert invoke("keys", "rotate", *at, "--kek-config", str(config), environment=moved).exit_code == 0
    assert invoke("audit", "verify", *at).exit_code == 0
    rows = apsw.Connection(str(data / "farebox.sqlite3")).execute("SELECT action, why FROM audit").fetchall()
    assert rows.count(("key_rotated", "key-encryption key")) == 2
    assert {why for action, why in rows if action == "key_created"} == {"fingerprint", "answer", "tenant"}
    config.write_text("port = 1\n")
    assert invoke("keys", "rotate", *at, "--kek-config", str(config)).exit_code == 1


def test_a_backup_is_made_once(installed: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """An existing file is never overwritten."""
    data, _ = installed
    copy = tmp_path / "copy.sqlite3"
    assert invoke("db", "backup", "--data-dir", str(data), str(copy)).exit_code == 0
    assert copy.read_bytes().startswith(b"SQLite format 3\0")
    assert invoke("db", "backup", "--data-dir", str(data), str(copy)).exit_code == 1
