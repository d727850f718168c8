"""`farebox api-keys`."""

from __future__ import annotations

from farebox.cli.common import (
    click,
    data_dir_option,
    json_option,
    print_json,
    print_table,
    run,
    settings_from,
)
from farebox.domain.access import ApiKeyKind, Scope
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.ids import ApiKeyId, MerchantId


@click.group()
def command() -> None:
    """Create, revoke and list API keys."""


@command.command()
@data_dir_option
@json_option
@click.option("--merchant", required=True, help="The merchant's id.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ApiKeyKind]),
    default="secret",
    show_default=True,
    help="A publishable key only mints; a browser may hold it.",
)
@click.option(
    "--scope", multiple=True, type=click.Choice([scope.value for scope in Scope]), help="Narrow it."
)
@click.option("--label", default="", help="What the key is for.")
@run
async def create(
    data_dir: str | None,
    database_url: str | None,
    config: str | None,
    merchant: str,
    kind: str,
    scope: tuple[str, ...],
    label: str,
    *,
    as_json: bool,
) -> None:
    """Create a native API key, shown only now.

    \b
    Example: farebox api-keys create --data-dir ./data --merchant mer_… --label "web shop"
    """
    from farebox.bootstrap import open_services

    scopes = frozenset(Scope(one) for one in scope) or None
    async with open_services(settings_from(data_dir, database_url, config)) as services:
        found = {one.id: one for one in await services.merchants.all()}.get(MerchantId(merchant))
        if found is None:
            raise NotFound(ErrorCode.MERCHANT_NOT_FOUND)
        key, string = await services.access.create_key(found, ApiKeyKind(kind), label=label, scopes=scopes)
    if as_json:
        print_json({"id": key.id, "key": string})
        return
    click.echo(f"{key.id}  {string}")


@command.command()
@data_dir_option
@click.argument("key_id")
@run
async def revoke(data_dir: str | None, database_url: str | None, config: str | None, key_id: str) -> None:
    """Revoke a key by its id; servers refuse it within a second.

    \b
    Example: farebox api-keys revoke --data-dir ./data key_…
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        await services.access.revoke_key(ApiKeyId(key_id))
    click.echo(f"{key_id} is revoked.")


@command.command("list")
@data_dir_option
@json_option
@click.option("--merchant", help="Only this merchant's.")
@run
async def list_(
    data_dir: str | None, database_url: str | None, config: str | None, merchant: str | None, *, as_json: bool
) -> None:
    """List keys; their strings are not known any more.

    \b
    Example: farebox api-keys list --data-dir ./data
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        found = await services.access.keys(None if merchant is None else MerchantId(merchant))
    header = ("id", "merchant", "dialect", "kind", "label", "created_at", "revoked_at")
    rows = [
        (
            key.id,
            key.tenant.merchant_id,
            key.dialect,
            key.kind.value,
            key.label,
            key.created_at,
            key.revoked_at or "",
        )
        for key in found
    ]
    if as_json:
        print_json([dict(zip(header, row, strict=True)) for row in rows])
        return
    print_table(header, rows)
