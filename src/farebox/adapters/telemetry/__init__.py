"""What the server tells its operator: logs through the scrubber, and metrics."""

from farebox.adapters.telemetry.logging import configure_logging
from farebox.adapters.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logging"]
