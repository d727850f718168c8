"""`farebox audit`."""

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


@click.group()
def command() -> None:
    """Verify the audit's hash chains."""


@command.command()
@data_dir_option
@json_option
@run
async def verify(
    data_dir: str | None, database_url: str | None, config: str | None, *, as_json: bool
) -> None:
    """Recompute every chain from its first entry; exit code 1 if one is broken.

    \b
    Example: farebox audit verify --data-dir ./data
    """
    from farebox.bootstrap import open_services

    async with open_services(settings_from(data_dir, database_url, config)) as services:
        reports = await services.auditing.verify(progress("entries"))
    header = ("chain", "entries", "broken_at")
    rows = [(report.chain, report.entries, report.broken_at) for report in reports]
    if as_json:
        print_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        print_table(header, [(chain, count, at or "intact") for chain, count, at in rows])
    if any(report.broken_at is not None for report in reports):
        raise click.exceptions.Exit(1)
