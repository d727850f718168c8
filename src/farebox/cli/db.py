"""`farebox db`."""

from __future__ import annotations

from pathlib import Path

from farebox.cli.common import (
    click,
    data_dir_option,
    json_option,
    print_fields,
    print_json,
    run,
    settings_from,
)


@click.group()
def command() -> None:
    """Migrate, check and back up the database."""


@command.command()
@data_dir_option
@run
async def migrate(data_dir: str | None, database_url: str | None, config: str | None) -> None:
    """Bring the schema up to this program.

    \b
    Example: farebox db migrate --data-dir ./data
    """
    from farebox.bootstrap import data_directory
    from farebox.bootstrap import migrate as apply

    settings = settings_from(data_dir, database_url, config)
    data_directory(settings)
    steps = await apply(settings.url, lambda step: click.echo(f"applied {step}", err=True))
    click.echo(f"{steps} migrations applied.")


@command.command()
@data_dir_option
@json_option
@run
async def status(
    data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool
) -> None:
    """Show the schema's version and what is pending.

    \b
    Example: farebox db status --data-dir ./data
    """
    from farebox.bootstrap import schema_status

    found = await schema_status(settings_from(data_dir, database_url, config).url)
    fields = {"version": found.version, "wanted": found.wanted, "pending": list(found.pending)}
    if as_json:
        print_json(fields)
    else:
        print_fields(fields)


@command.command()
@data_dir_option
@click.argument("destination", type=click.Path())
@run
async def backup(
    data_dir: str | None, database_url: str | None, config: str | None, destination: str
) -> None:
    """Copy the embedded database while it is in use. Keys and ring are not part of it.

    For PostgreSQL use pg_dump or a base backup; see docs/operations/running.md.

    \b
    Example: farebox db backup --data-dir ./data farebox-2026-11-24.sqlite3
    """
    from farebox.bootstrap import back_up

    def show(done: int, total: int) -> None:
        click.echo(f"\r{done} of {total} pages", nl=False, err=True)

    await back_up(settings_from(data_dir, database_url, config), Path(destination), show)
    click.echo(f"\n{destination} is written.", err=True)
