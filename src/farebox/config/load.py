"""Settings from a TOML file, the environment and the command line; the later one wins.

`FAREBOX_LIMITS__BODY_BYTES=32768` sets `limits.body_bytes`; `FAREBOX_DATABASE_URL_FILE=/run/secrets/db`
reads the value from a file. A setting nobody knows is an error wherever it stands: a misspelt one would
otherwise be a setting that silently does nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from farebox.config.settings import SECRETS, Kek, Settings
from farebox.domain.errors import ConfigurationError, ErrorCode

PREFIX = "FAREBOX_"
CONFIG_VARIABLE = "FAREBOX_CONFIG"
FILE_NAME = "farebox.toml"
_PAIRS = frozenset({"dialect_ports", "dialect_hosts"})
_LISTS = frozenset({"webhooks__allowed_networks"})


def load(
    overrides: Mapping[str, Any], environment: Mapping[str, str], *, config_file: str | None = None
) -> Settings:
    """Put the settings together.

    Args:
        overrides: from the command line; what is None was not given.
        environment: the process's environment.
        config_file: a TOML file; otherwise `FAREBOX_CONFIG`, or `farebox.toml` in the data directory.

    Raises:
        ConfigurationError: `configuration_invalid`, naming the setting and never its value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    from_environment = _read_environment(environment)
    data_dir = given.get("data_dir", from_environment.get("data_dir"))
    values = _read_file(config_file or environment.get(CONFIG_VARIABLE), data_dir)
    _merge(values, from_environment)
    _merge(values, given)
    try:
        return _consistent(msgspec.convert(values, Settings, strict=False))
    except msgspec.ValidationError as error:
        message = _without_value(str(error))
    raise _refuse(f"Settings: {message}.")


def kek_of(path: str) -> Kek:
    """Read the key-encryption key that a configuration file names; the environment names the present one.

    Raises:
        ConfigurationError: `configuration_invalid`; the file names none.
    """
    kek = _read_file(path, None).get("kek")
    if kek is None:
        raise _refuse("The configuration file has no [kek] table.")
    return load({"data_dir": "", "kek": kek}, {}).kek


def _consistent(settings: Settings) -> Settings:
    """Refuse what would silently do less than was set.

    A certificate without its key would be served without either; a host name that no request can name
    would never lead to its dialect.
    """
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise _refuse("Settings: tls_cert and tls_key go together.")
    if any(host != host.lower() or ":" in host for host in settings.dialect_hosts):
        raise _refuse("Settings: dialect_hosts wants host names in lower case and without port.")
    return settings


def _refuse(detail: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.CONFIGURATION_INVALID, detail=detail)


def _without_value(message: str) -> str:
    """Keep what names a setting and its type; an invalid value may be a secret in the wrong place."""
    return re.sub(r"^Invalid enum value .*? - at", "Not one of the allowed words - at", message)


def _read_file(path: str | None, data_dir: str | None) -> dict[str, Any]:
    if path is None:
        implied = Path(data_dir).expanduser() / FILE_NAME if data_dir else None
        if implied is None or not implied.exists():
            return {}
        path = str(implied)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise _refuse("The configuration file cannot be read.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise _refuse("The configuration file is not TOML.") from None


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    given = {variable.upper() for variable in environment}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name.endswith("_file"):
            if variable.upper().removesuffix("_FILE") in given:
                raise _refuse(f"{variable} and the variable without _FILE are both set.")
            _set(values, name.removesuffix("_file").split("__"), _read_secret(variable, value))
        else:
            _set(values, name.split("__"), _parts(name, value, variable))
    return values


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise _refuse(f"The file that {variable} names cannot be read.") from None


def _parts(name: str, value: str, variable: str) -> Any:
    """Read a value that has parts as such."""
    if name in _PAIRS:
        return _pairs(value, variable)
    return [part.strip() for part in value.split(",") if part.strip()] if name in _LISTS else value


def _pairs(value: str, variable: str) -> dict[str, str]:
    """Read `name=value,name=value`."""
    pairs = [part.partition("=") for part in value.split(",") if part]
    if any(not middle for _, middle, _ in pairs):
        raise _refuse(f"{variable} is not of the form name=value,name=value.")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _set(values: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        below = values.setdefault(name, {})
        if not isinstance(below, dict):
            raise _refuse(f"Settings: {name} is a table of settings and a setting at once.")
        values = cast("dict[str, Any]", below)
    values[path[-1]] = value


def _merge(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for name, value in over.items():
        below = values.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        else:
            values[name] = value


def redacted(settings: Settings) -> dict[str, Any]:
    """Give the settings as they may be printed."""
    return _redact(msgspec.to_builtins(settings), "")


def _redact(values: dict[str, Any], path: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            shown[name] = _redact(cast("dict[str, Any]", value), f"{path}{name}.")
        else:
            shown[name] = "(set)" if path + name in SECRETS and value else value
    return shown
