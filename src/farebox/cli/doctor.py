"""`farebox doctor`."""

from __future__ import annotations

from typing import cast

from farebox.cli.common import click, data_dir_option, json_option, print_json, run, settings_from
from farebox.config.load import redacted


@click.command()
@data_dir_option
@json_option
@run
async def command(
    data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool
) -> None:
    """Check that this machine and these settings are safe; exit code 1 if a server would refuse to start.

    Prints the settings too, secrets left out.

    \b
    Example: farebox doctor --data-dir ./data
    """
    from farebox.bootstrap import diagnose

    settings = settings_from(data_dir, database_url, config)
    found, refused = await diagnose(settings)
    if as_json:
        print_json({"findings": found, "settings": redacted(settings)})
    else:
        for finding in found:
            click.echo(f"{finding['verdict']:8} {finding['name']}")
            if finding["why"]:
                click.echo(f"         {finding['why']}\n         {finding['remedy']}")
        click.echo("\nSettings")
        _print_settings(redacted(settings))
    if refused:
        raise click.exceptions.Exit(1)


def _print_settings(values: dict[str, object], path: str = "") -> None:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            _print_settings(cast("dict[str, object]", value), f"{path}{name}.")
        else:
            click.echo(f"  {path}{name} = {value!r}")
