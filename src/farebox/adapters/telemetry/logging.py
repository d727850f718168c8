"""Structured logs: one JSON object a line, scrubbed, on standard error.

Everything that can print goes through here: our loggers, those of libraries, warnings, unhandled
exceptions of tasks, threads and the interpreter. Tracebacks hold code and never values of locals.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from types import TracebackType
from typing import IO, Any

import structlog

from farebox.adapters.telemetry.scrubber import scrub


class ScrubbedHandler(logging.Handler):
    """Writes a record as one scrubbed line of JSON."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to a binary stream."""
        super().__init__()
        self._stream = stream
        self._waiting: list[bytes] = []
        self._formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_COMMON,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=_type_name, ensure_ascii=True),
            ],
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be formatted is named by its logger and nothing else."""
        try:
            line = self._formatter.format(record)
        except Exception:  # a log line must not end a request, nor print what it could not format
            line = f'{{"level":"error","event":"unformattable log record","logger":"{record.name}"}}'
        self.flush()
        self._write(line.encode("ascii", "backslashreplace"))

    def write_soon(self, line: bytes) -> None:
        """Write a line that is formatted already, together with others of this turn of the event loop."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            self._write(b"\n".join(lines))

    def _write(self, lines: bytes) -> None:
        try:
            self._stream.write(scrub(lines) + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads our log any more; the payment that was logged is still made.
            return


def _type_name(value: Any) -> str:
    return f"<{type(value).__name__}>"


_COMMON: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(level: str, stream: IO[bytes] | None = None) -> ScrubbedHandler:
    """Send everything that can print through the scrubber.

    Args:
        level: the least level: `debug`, `info`, `warning` or `error`.
        stream: where to; standard error if left out.
    """
    handler = ScrubbedHandler(stream or sys.stderr.buffer)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn warns of every malformed request: noise from outside, counted by the metrics anyway.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _unhandled
    sys.unraisablehook = _unraisable
    threading.excepthook = _unhandled_in_thread
    return handler


def _unhandled(type_: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logging.getLogger("farebox").critical("unhandled", exc_info=(type_, error, traceback))


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    error = unraisable.exc_value
    logging.getLogger("farebox").error("unraisable", exc_info=error or None)


def _unhandled_in_thread(failed: threading.ExceptHookArgs) -> None:
    logging.getLogger("farebox").critical("unhandled in a thread", exc_info=failed.exc_value)
