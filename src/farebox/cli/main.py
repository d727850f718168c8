"""The list of commands. A command's module is imported when it is run, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from farebox import __version__

_COMMANDS = {
    "init": ("init", "Make a data directory, its keys and a test-mode merchant."),
    "serve": ("serve", "Run the server."),
    "demo": ("demo", "Try Farebox: a server with everything made for it."),
    "doctor": ("doctor", "Check that this machine and these settings are safe."),
    "events": ("events", "List what happened on a running server, and have it told again."),
    "listen": ("listen", "Print what happens on a running server, and forward it."),
    "trigger": ("trigger", "Make something happen on a running server in test mode."),
    "keys": ("keys", "List and rotate the vault's keys."),
    "api-keys": ("api_keys", "Create, revoke and list API keys."),
    "merchants": ("merchants", "Create and list merchants."),
    "db": ("db", "Migrate, check and back up the database."),
    "audit": ("audit", "Verify the audit's hash chains."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and loads one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the order of a first use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in _COMMANDS:
            return None
        module: Any = import_module(f"farebox.cli.{_COMMANDS[cmd_name][0]}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 refused (the reason is printed), 2 wrong usage.",
)
@click.version_option(__version__, prog_name="farebox")
def main() -> None:
    """Farebox: a self-hosted payment-token vault and gateway.

    \b
    Example: farebox init --data-dir ./data && farebox serve --data-dir ./data
    """
