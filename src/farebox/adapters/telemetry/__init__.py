"""Logs with the scrubber, and metrics."""
