"""`farebox init`."""

from __future__ import annotations

from farebox.cli.common import (
    click,
    data_dir_option,
    json_option,
    print_fields,
    print_json,
    run,
    settings_from,
)


@click.command()
@data_dir_option
@json_option
@run
async def command(
    data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool
) -> None:
    """Make a data directory, its keys and a test-mode merchant with credentials for every dialect.

    The credentials are shown here and never again. The key-encryption key is made beside the data
    directory (`<data-dir>.kek`), never in it; back it up apart from the data.

    \b
    Example: farebox init --data-dir ./data --json
    """
    from farebox.bootstrap import init

    settings = settings_from(data_dir, database_url, config)
    merchant, credentials = await init(settings)
    if as_json:
        print_json({"merchant": merchant.id, **credentials})
        return
    click.echo(f"Merchant {merchant.id} in {merchant.mode.value} mode. Its credentials, shown only now:\n")
    print_fields(
        {
            f"{dialect} {name}": value
            for dialect, fields in credentials.items()
            for name, value in fields.items()
        }
    )
    click.echo(
        f"\nData {settings.data_path}\nKey  {settings.kek_path}\nRing {settings.ring_path} (never back it up)"
    )
    click.echo(f"\nStart: farebox serve --data-dir {settings.data_dir}")
