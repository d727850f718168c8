"""What the server tells its operator: logs through the scrubber, and metrics."""

from farebox.adapters.telemetry.logging import ScrubbedHandler, configure_logging
from farebox.adapters.telemetry.metrics import Metrics

__all__ = ["Metrics", "ScrubbedHandler", "configure_logging"]
