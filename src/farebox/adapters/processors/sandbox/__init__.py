"""The sandbox acquirer: a deterministic processor with books of its own."""

from farebox.adapters.processors.sandbox.processor import SandboxProcessor

__all__ = ["SandboxProcessor"]
