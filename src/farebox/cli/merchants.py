"""`farebox merchants`."""

from __future__ import annotations

from farebox.cli.common import (
    click,
    data_dir_option,
    json_option,
    print_fields,
    print_json,
    print_table,
    run,
    settings_from,
)
from farebox.domain.access import Mode


@click.group()
def command() -> None:
    """Create and list merchants."""


@command.command()
@data_dir_option
@json_option
@click.option("--name", required=True, help="What you call the merchant.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default="test",
    show_default=True,
    help="Test data and live data never meet.",
)
@run
async def create(
    data_dir: str | None, database_url: str | None, config: str | None, name: str, mode: str, *, as_json: bool
) -> None:
    """Create a merchant with credentials for every dialect, shown only now.

    \b
    Example: farebox merchants create --data-dir ./data --name "Corner shop"
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        merchant, credentials = await services.merchants.create(name, Mode(mode))
    if as_json:
        print_json({"merchant": merchant.id, **credentials})
        return
    fields = {"merchant": merchant.id}
    for dialect, shown in credentials.items():
        fields |= {f"{dialect} {field}": value for field, value in shown.items()}
    print_fields(fields)


@command.command("list")
@data_dir_option
@json_option
@run
async def list_(data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool) -> None:
    """List merchants.

    \b
    Example: farebox merchants list --data-dir ./data
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        found = await services.merchants.all()
    rows = [(merchant.id, merchant.mode.value, merchant.name, merchant.created_at) for merchant in found]
    if as_json:
        print_json([dict(zip(("id", "mode", "name", "created_at"), row, strict=True)) for row in rows])
        return
    print_table(("id", "mode", "name", "created"), rows)
