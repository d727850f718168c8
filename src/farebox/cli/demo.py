"""`farebox demo`: the real server, with everything made for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from farebox.cli.common import click, end, run, settings_from
from farebox.config.settings import Settings

CREDENTIALS_FILE = "demo-credentials.json"
DIALECT_PORTS = {"bamboo": 1, "paysafe": 2, "payroc": 3, "dintero": 4}
"""How far above the main port each gateway is at the root of a port of its own: many published clients take
no path in their base URL."""


def _credentials(settings: Settings) -> dict[str, dict[str, str]] | None:
    path = settings.data_path / CREDENTIALS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _keep(settings: Settings, credentials: Mapping[str, Mapping[str, str]]) -> None:
    """Write the demo's own credentials down; nothing but a demo may do that."""
    path = settings.data_path / CREDENTIALS_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(credentials, file)


def curl_lines(base_url: str, secret_key: str) -> str:
    """Write shell lines for mint, look, purchase and refund, each using what the one before it printed."""
    return f"""\
# 1. Mint a single-use token (a published test card)
TOKEN=$(curl -s {base_url}/v1/single_use_tokens \\
  -H 'Authorization: Bearer {secret_key}' -H 'Content-Type: application/json' \\
  -d '{{"card": {{"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}}}' \\
  | tee /dev/stderr | sed -n 's/.*"token":"\\([^"]*\\)".*/\\1/p')

# 2. Look at it; it stays unspent
curl -s {base_url}/v1/single_use_tokens/$TOKEN -H 'Authorization: Bearer {secret_key}'

# 3. Pay with it, exactly once
PAYMENT=$(curl -s {base_url}/v1/payments \\
  -H 'Authorization: Bearer {secret_key}' -H 'Content-Type: application/json' \\
  -H "Idempotency-Key: order-$TOKEN" \\
  -d '{{"amount_minor": 1999, "currency": "USD", "source": {{"single_use_token": "'$TOKEN'"}}}}' \\
  | tee /dev/stderr | sed -n 's/.*"id":"\\(pay_[^"]*\\)".*/\\1/p')

# 4. Refund a part of it
curl -s {base_url}/v1/payments/$PAYMENT/refunds \\
  -H 'Authorization: Bearer {secret_key}' -H 'Content-Type: application/json' \\
  -d '{{"amount_minor": 500}}'
"""


@click.command()
@click.option(
    "--data-dir", type=click.Path(), default=".farebox/demo", show_default=True, help="Made if it is missing."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=int, default=8080, show_default=True, help="Main port; gateways get the next four."
)
@run
async def command(data_dir: str, host: str, port: int) -> None:
    """Start the real server on the embedded database, with test credentials and curl lines to paste.

    The data directory is made on the first run and found again on the next. The demo writes its
    credentials into it so that it can show them again; `farebox init` never does.

    \b
    Example: farebox demo --port 8080
    """
    from farebox.bootstrap import DIALECTS, bring_up_to_date, init, serve

    Path(data_dir).parent.mkdir(parents=True, exist_ok=True)
    spoken = {dialect.name for dialect in DIALECTS}
    # With any free main port, any free ports for the dialects as well.
    ports = {name: port and port + above for name, above in DIALECT_PORTS.items() if name in spoken}
    settings = settings_from(
        data_dir, None, None, host=host, port=port, dialect_ports=ports, insecure_demo=True
    )
    credentials = _credentials(settings)
    if credentials is None:
        _, credentials = await init(settings)
        _keep(settings, credentials)
    else:
        await bring_up_to_date(settings)
    native = credentials["native"]

    def started(ports: Mapping[str | None, int]) -> None:
        base_url = f"http://{host}:{ports[None]}"
        click.echo(f"Farebox is at {base_url}  (API page: {base_url}/docs)")
        for dialect, number in ports.items():
            if dialect is not None:
                click.echo(f"{dialect} is at http://{host}:{number}")
        click.echo("\nTest-mode credentials")
        for dialect in ("native", *(name for name in ports if name is not None)):
            for name, value in credentials[dialect].items():
                click.echo(f"  {dialect:8} {name:22} {value}")
        click.echo()
        click.echo(curl_lines(base_url, native["secret_key"]))
        click.echo("Ctrl-C stops it; starting again finds the same data.")

    await serve(settings, started)
    end()
