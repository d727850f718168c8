"""`farebox serve`."""

from __future__ import annotations

from collections.abc import Mapping

from farebox.cli.common import click, data_dir_option, end, run, settings_from
from farebox.domain.errors import ConfigurationError, ErrorCode


def _dialect_ports(pairs: tuple[str, ...]) -> dict[str, int] | None:
    ports: dict[str, int] = {}
    for pair in pairs:
        name, _, port = pair.partition("=")
        if not name or not port.isdecimal():
            raise ConfigurationError(
                ErrorCode.CONFIGURATION_INVALID, detail="--dialect-port wants NAME=PORT, like bamboo=8081."
            )
        ports[name] = int(port)
    return ports or None


@click.command()
@data_dir_option
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Main port (8080); 0 takes a free one.")
@click.option(
    "--dialect-port", multiple=True, metavar="NAME=PORT", help="A port with one dialect at its root."
)
@click.option("--tls-cert", type=click.Path(), help="PEM file of the certificate chain.")
@click.option("--tls-key", type=click.Path(), help="PEM file of its private key.")
@click.option(
    "--insecure-demo", is_flag=True, default=None, help="Start in spite of what doctor refuses; no live mode."
)
@run
async def command(
    data_dir: str | None,
    database_url: str | None,
    config: str | None,
    host: str | None,
    port: int | None,
    dialect_port: tuple[str, ...],
    tls_cert: str | None,
    tls_key: str | None,
    *,
    insecure_demo: bool | None,
) -> None:
    """Run the server in the foreground until SIGINT or SIGTERM; requests in flight are finished.

    \b
    Example: farebox serve --data-dir ./data --port 8080
    """
    from farebox.bootstrap import serve

    settings = settings_from(
        data_dir,
        database_url,
        config,
        host=host,
        port=port,
        dialect_ports=_dialect_ports(dialect_port),
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_demo=insecure_demo,
    )

    def started(ports: Mapping[str | None, int]) -> None:
        scheme = "https" if settings.tls_cert else "http"
        for dialect, number in ports.items():
            click.echo(f"{dialect or 'farebox'} at {scheme}://{settings.host}:{number}", err=True)

    await serve(settings, started)
    end()
