"""What every command shares: finding the settings, running a coroutine, saying what went wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from farebox.config.load import load
from farebox.config.settings import Settings
from farebox.domain.errors import FareboxError

P = ParamSpec("P")
T = TypeVar("T")


def data_dir_option(function: Callable[P, T]) -> Callable[P, T]:
    """Add the options by which a command finds its settings."""
    config = click.option("--config", type=click.Path(), help="TOML file with settings.")
    database = click.option("--database-url", help="postgresql://… instead of the embedded database.")
    directory = click.option("--data-dir", type=click.Path(), help="Data directory (or FAREBOX_DATA_DIR).")
    return directory(database(config(function)))


def json_option(function: Callable[P, T]) -> Callable[P, T]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def settings_from(
    data_dir: str | None, database_url: str | None, config: str | None, **overrides: Any
) -> Settings:
    """Put the settings together from the command line and the environment."""
    given = {"data_dir": data_dir, "database_url": database_url, **overrides}
    return load(given, os.environ, config_file=config)


def run(main: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an asynchronous command one that click can call; a refusal becomes a message and exit code 1."""

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        # Loaded here: `--help` runs no loop.
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(main(*args, **kwargs))
        except FareboxError as error:
            raise click.ClickException(error.message) from None

    return command


def _instant(value: object) -> str:
    """Write an instant as the API does: RFC 3339 in UTC."""
    assert isinstance(value, datetime)
    return value.isoformat().replace("+00:00", "Z")


def end() -> None:
    """Ignore signals from here to the exit, which they would turn from a clean one into a killed one."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, default=_instant))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns."""
    table = [tuple(header), *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, aligned."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}  {value}")


def progress(noun: str) -> Callable[[int], None]:
    """Give a function that shows how many are done, on standard error and only on a terminal."""

    def show(done: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} {noun}", nl=False, err=True)

    return show
