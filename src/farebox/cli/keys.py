"""`farebox keys`."""

from __future__ import annotations

from farebox.cli.common import (
    click,
    data_dir_option,
    json_option,
    print_json,
    print_table,
    progress,
    run,
    settings_from,
)
from farebox.config.load import kek_of
from farebox.config.settings import Kek
from farebox.domain.access import Tenant


@click.group()
def command() -> None:
    """List and rotate the vault's keys."""


@command.command()
@data_dir_option
@json_option
@run
async def inventory(
    data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool
) -> None:
    """List every key: what it is, whose, how strong, how old, what wraps it and how many rows name it.

    \b
    Example: farebox keys inventory --data-dir ./data --json
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        rows = await services.crypto.inventory()
    if as_json:
        print_json([row.as_dict() for row in rows])
        return
    header = ("key", "kind", "algorithm", "bits", "merchant", "mode", "epoch", "state", "created", "retires")
    print_table((*header, "wrapped by", "rows"), [tuple(row.as_dict().values()) for row in rows])


@command.command()
@data_dir_option
@click.option(
    "--kek", "new_kek", type=click.Path(), help="Re-wrap everything under the key file at this path."
)
@click.option(
    "--kek-config",
    type=click.Path(),
    help="Re-wrap everything under the key that the [kek] table of this TOML file names.",
)
@click.option("--resume", is_flag=True, help="Finish an interrupted rotation; make no new keys.")
@run
async def rotate(
    data_dir: str | None,
    database_url: str | None,
    config: str | None,
    new_kek: str | None,
    kek_config: str | None,
    *,
    resume: bool,
) -> None:
    """Give every merchant a new tenant key and re-wrap the stored instruments under it.

    With --kek, change the key-encryption key instead: a new one is made at the path if there is none,
    and every key is wrapped under it. With --kek-config the new one may be of any provider, as in the
    configuration. Stop the servers first, and start them with the new key. Interrupted, it has changed
    nothing, and can be repeated.

    \b
    Example: farebox keys rotate --data-dir ./data
    """
    from farebox.bootstrap import open_services, rotate_kek

    settings = settings_from(data_dir, database_url, config)
    if new_kek is not None or kek_config is not None:
        target = Kek(path=new_kek) if kek_config is None else kek_of(kek_config)
        count = await rotate_kek(settings, target, progress("keys"))
        done = f"{count} keys are wrapped under the new key" if count else "All keys are under it already"
        click.echo(f"\n{done}; set kek to it.", err=True)
        return

    def show(tenant: Tenant, done: int) -> None:
        click.echo(f"{tenant.merchant_id}: {done} credentials re-wrapped.", err=True)

    async with open_services(settings) as services:
        tenants = [merchant.tenant for merchant in await services.merchants.all()]
        if not resume:
            await services.key_rotation.rotate(tenants, show)
            return
        for tenant in tenants:
            show(tenant, await services.key_rotation.rewrap(tenant, progress("credentials")))
