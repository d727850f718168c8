"""Settings: where they come from, which wins, and what a mistake says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from farebox.config.load import load, redacted
from farebox.config.settings import SECRETS, Settings
from farebox.domain.errors import ConfigurationError, ErrorCode

SECRET = "hunter2-4242424242424242"
DIR = {"data_dir": "/srv/farebox"}


def refused(
    overrides: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    file: Path | None = None,
) -> str:
    """Give the message of a refusal, having made sure that it quotes no value."""
    with pytest.raises(ConfigurationError) as caught:
        load(
            DIR if overrides is None else overrides,
            environment or {},
            config_file=None if file is None else str(file),
        )
    error = caught.value
    assert error.code is ErrorCode.CONFIGURATION_INVALID
    assert SECRET not in error.message
    assert SECRET not in repr(error.__cause__)
    assert error.__suppress_context__ or SECRET not in repr(error.__context__)
    return error.message


def test_defaults_are_enough_with_a_data_directory() -> None:
    """One setting has no default."""
    settings = load(DIR, {})
    assert settings.url == "sqlite:////srv/farebox/farebox.sqlite3"
    assert str(settings.kek_path) == "/srv/farebox.kek"
    assert str(settings.ring_path) == "/srv/farebox.ring"
    assert "data_dir" in refused({}, {})


def test_the_later_source_wins(tmp_path: Path) -> None:
    """File, then environment, then command line; tables are merged field by field."""
    file = tmp_path / "farebox.toml"
    file.write_text('port = 1\nhost = "10.0.0.1"\nnode = "file"\n[limits]\nheaders = 10\nbody_bytes = 11\n')
    environment = {"FAREBOX_PORT": "2", "FAREBOX_HOST": "10.0.0.2", "FAREBOX_LIMITS__HEADERS": "20"}
    settings = load({**DIR, "port": 3, "host": None}, environment, config_file=str(file))
    assert (settings.port, settings.host, settings.node) == (3, "10.0.0.2", "file")
    assert (settings.limits.headers, settings.limits.body_bytes) == (20, 11)


@pytest.mark.parametrize("half", ["tls_cert", "tls_key"])
def test_half_of_tls_is_no_tls(half: str) -> None:
    """A certificate without its key would leave a plaintext listener that calls itself https (SEC-09)."""
    assert "go together" in refused({**DIR, half: "/srv/file.pem"})
    assert load({**DIR, "tls_cert": "/srv/a.pem", "tls_key": "/srv/b.pem"}, {}).tls_key == "/srv/b.pem"


@pytest.mark.parametrize("host", ["API.example", "api.example:8080"])
def test_a_host_name_that_matches_nothing_is_refused(host: str) -> None:
    """Requests are matched in lower case and without port, so it would silently do nothing."""
    assert "dialect_hosts" in refused({**DIR, "dialect_hosts": {host: "native"}})
    assert load({**DIR, "dialect_hosts": {"api.example": "native"}}, {}).dialect_hosts


@pytest.mark.parametrize("order", [1, -1])
def test_a_value_and_a_file_for_one_setting_are_refused(tmp_path: Path, order: int) -> None:
    """Which one won would depend on the order of the environment."""
    (tmp_path / "secret").write_text("postgresql://db/other")
    both = [
        ("FAREBOX_DATABASE_URL", "postgresql://db/one"),
        ("FAREBOX_DATABASE_URL_FILE", str(tmp_path / "secret")),
    ]
    assert "both set" in refused(DIR, dict(both[::order]))


def test_the_file_is_found(tmp_path: Path) -> None:
    """By option, by variable, or as `farebox.toml` in the data directory, in this order."""
    (tmp_path / "farebox.toml").write_text('node = "implied"\n')
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    named.write_text('node = "named"\n')
    given.write_text('node = "given"\n')
    directory = {"data_dir": str(tmp_path)}
    variable = {"FAREBOX_CONFIG": str(named)}
    assert load(directory, {}).node == "implied"
    assert load({}, {"FAREBOX_DATA_DIR": str(tmp_path)}).node == "implied"
    assert load(directory, variable).node == "named"
    assert load(directory, variable, config_file=str(given)).node == "given"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("FAREBOX_PROT", "prot"),
        ("FAREBOX_LIMITS__BODY_BITES", "body_bites"),
        ("FAREBOX_KEK__PASSWORD", "password"),
        ("FAREBOX_PASSWORD_FILE", "password"),
    ],
)
def test_an_unknown_variable_is_named_and_not_quoted(name: str, says: str, tmp_path: Path) -> None:
    """A misspelt setting that silently did nothing would be the worst of all."""
    value = SECRET
    if name.endswith("_FILE"):
        (tmp_path / "secret").write_text(SECRET)
        value = str(tmp_path / "secret")
    message = refused(environment={name: value})
    assert f"unknown field `{says}`" in message


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path) -> None:
    """Wherever it stands."""
    file = tmp_path / "farebox.toml"
    file.write_text(f'[limits]\nbody_bites = "{SECRET}"\n')
    assert "unknown field `body_bites` - at `$.limits`" in refused(file=file)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("FAREBOX_PORT", "Expected `int`"),
        ("FAREBOX_METRICS", "$.metrics"),
        ("FAREBOX_KEK__PROVIDER", "$.kek.provider"),
        ("FAREBOX_LIMITS__BODY_TIMEOUT_S", "$.limits.body_timeout_s"),
        ("FAREBOX_ACCESS_LOG", "$.access_log"),
        ("FAREBOX_BIN_LENGTH", "$.bin_length"),
        ("FAREBOX_DIALECT_PORTS", "FAREBOX_DIALECT_PORTS"),
        ("FAREBOX_LIMITS", "$.limits"),
        ("FAREBOX_HOST__NAME", "$.host"),
    ],
)
def test_a_bad_value_is_never_quoted(name: str, says: str) -> None:
    """A secret in the wrong place stays one."""
    assert says in refused(environment={name: SECRET})


@pytest.mark.parametrize(
    ("name", "value"), [("FAREBOX_PORT", "65536"), ("FAREBOX_PORT", "-1"), ("FAREBOX_LIMITS__HEADERS", "0")]
)
def test_a_value_out_of_range_is_refused(name: str, value: str) -> None:
    """The bounds are those of the settings' own types."""
    assert "Expected" in refused(environment={name: value})


def test_a_setting_and_its_table_do_not_mix() -> None:
    """`FAREBOX_KEK` is a table; text in its place is refused whichever variable comes first."""
    for environment in (
        {"FAREBOX_KEK": SECRET, "FAREBOX_KEK__PATH": "/k"},
        {"FAREBOX_KEK__PATH": "/k", "FAREBOX_KEK": SECRET},
    ):
        refused(environment=environment)


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """`…_FILE`, without the newline at its end, and with nothing shown when it cannot be read."""
    file = tmp_path / "url"
    file.write_text(f"postgresql://farebox:{SECRET}@db/farebox\n")
    settings = load(DIR, {"FAREBOX_DATABASE_URL_FILE": str(file)})
    assert settings.database_url == f"postgresql://farebox:{SECRET}@db/farebox"
    nested = load(DIR, {"FAREBOX_KEK__PKCS11_PIN_FILE": str(file)})
    assert nested.kek.pkcs11_pin == settings.database_url
    message = refused(environment={"FAREBOX_DATABASE_URL_FILE": str(tmp_path / SECRET)})
    assert "FAREBOX_DATABASE_URL_FILE" in message
    file.write_bytes(b"\xff")
    assert "cannot be read" in refused(environment={"FAREBOX_DATABASE_URL_FILE": str(file)})


def test_pairs_are_read() -> None:
    """`name=value,name=value`, the only shape of a table that fits a variable."""
    settings = load(DIR, {"FAREBOX_DIALECT_PORTS": "native=8081, other=8082,", "FAREBOX_DIALECT_HOSTS": ""})
    assert settings.dialect_ports == {"native": 8081, "other": 8082}
    assert settings.dialect_hosts == {}
    assert "name=value" in refused(environment={"FAREBOX_DIALECT_PORTS": "native"})


@pytest.mark.parametrize(
    ("text", "says"),
    [(b"port = ", "not TOML"), (b"\xff\xfe", "not TOML"), (b'port = "x"', "Expected `int`")],
)
def test_a_broken_file_says_so(tmp_path: Path, text: bytes, says: str) -> None:
    """Without the line that is wrong: it may be the one with the password."""
    file = tmp_path / "farebox.toml"
    file.write_bytes(text + f"\n# {SECRET}\n".encode())
    assert says in refused(file=file)
    assert "cannot be read" in refused(file=tmp_path / "missing.toml")


def test_settings_are_shown_without_their_secrets() -> None:
    """What `doctor` prints may be pasted into an issue."""
    settings = load({**DIR, "database_url": f"postgresql://{SECRET}@db/x", "kek": {"pkcs11_pin": SECRET}}, {})
    shown = redacted(settings)
    assert SECRET not in repr(shown)
    assert shown["database_url"] == "(set)"
    assert shown["kek"]["pkcs11_pin"] == "(set)"
    assert shown["data_dir"] == "/srv/farebox"
    assert redacted(load(DIR, {}))["database_url"] is None


def test_the_list_of_secrets_names_settings() -> None:
    """A renamed setting would otherwise be shown."""
    shown = msgspec.to_builtins(load(DIR, {}))
    for path in SECRETS:
        value: Any = shown
        for name in path.split("."):
            assert name in value
            value = value[name]


def test_every_setting_says_what_it_is() -> None:
    """The reference page is made of these descriptions."""

    def check(struct: type[msgspec.Struct]) -> None:
        for field in msgspec.inspect.type_info(struct).fields:  # type: ignore[attr-defined]
            described = isinstance(field.type, msgspec.inspect.Metadata) and (
                field.type.extra_json_schema or {}
            ).get("description")
            if isinstance(field.type, msgspec.inspect.StructType):
                check(field.type.cls)
            else:
                assert described, f"{struct.__name__}.{field.name}"

    check(Settings)
