"""The command line: `farebox …`. Each command is a few lines over a service."""

from farebox.cli.main import main

__all__ = ["main"]
