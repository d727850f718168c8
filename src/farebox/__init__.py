"""Farebox: a self-hosted payment-token vault and gateway."""

__version__ = "0.1.0"
