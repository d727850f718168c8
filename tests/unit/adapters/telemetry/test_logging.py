from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from farebox.adapters.telemetry import configure_logging
from farebox.adapters.telemetry.logging import ScrubbedHandler

CARD = "4242424242424242"


@pytest.fixture
def sink() -> Iterator[io.BytesIO]:
    """Give what is logged, and leave the process's logging as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, sys.unraisablehook
    hook = threading.excepthook
    stream = io.BytesIO()
    configure_logging("info", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], sys.excepthook, sys.unraisablehook = before[0], before[2], before[3]
    root.setLevel(before[1])
    threading.excepthook = hook


def lines(sink: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_record_is_one_line_of_json(sink: io.BytesIO) -> None:
    """Logs are read by programs: level, logger, time, text and what was added."""
    logging.getLogger("farebox").warning("two\nlines", extra={"request_id": "req_1"})
    (line,) = lines(sink)
    assert line["event"] == "two\nlines"
    assert line["level"] == "warning"
    assert line["logger"] == "farebox"
    assert line["request_id"] == "req_1"
    assert line["timestamp"].endswith("Z")


def test_below_the_level_nothing_is_written(sink: io.BytesIO) -> None:
    """`log_level` is the least level that is logged."""
    logging.getLogger("farebox").debug("quiet")
    assert not sink.getvalue()


@pytest.mark.parametrize("name", ["farebox", "uvicorn.error", "asyncio", "some.library"])
def test_every_logger_is_scrubbed(sink: io.BytesIO, name: str) -> None:
    """Section 3.6: text, arguments and extras of any library pass the net."""
    logging.getLogger(name).error("card %s", CARD, extra={"note": f"4242-4242-4242-4242 {CARD}"})
    assert len(lines(sink)) == 1
    assert b"4242" not in sink.getvalue()


def refuse(code: str) -> None:
    raise ValueError(f"bad {CARD}" if code else "bad")


def test_an_exception_is_scrubbed_and_shows_no_locals(sink: io.BytesIO) -> None:
    """Section 3.6: a traceback has code, and neither the message's number nor a local's value."""
    try:
        refuse("".join(reversed("737")))
    except ValueError:
        logging.getLogger("farebox").exception("unexpected error")
    (line,) = lines(sink)
    assert "ValueError: bad [scrubbed]" in line["exception"]
    assert "in refuse" in line["exception"]
    assert "code = " not in line["exception"]


def test_a_value_that_cannot_be_encoded_is_named_by_its_type(sink: io.BytesIO) -> None:
    """An object's repr may say what it must not; its type does not."""

    class Leaky:
        def __repr__(self) -> str:
            return "the-secret"

    logging.getLogger("farebox").info("with", extra={"thing": Leaky()})
    (line,) = lines(sink)
    assert line["thing"] == "<Leaky>"


def test_a_record_that_cannot_be_formatted_ends_nothing(sink: io.BytesIO) -> None:
    """A broken log call neither raises nor prints its arguments."""
    root = logging.getLogger()
    # pytest's own handlers raise on purpose.
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, ScrubbedHandler)]
    logging.getLogger("farebox").info("%d", "the-secret")
    (line,) = lines(sink)
    assert line["event"] == "unformattable log record"
    assert b"the-secret" not in sink.getvalue()


def test_a_closed_sink_ends_nothing(sink: io.BytesIO) -> None:
    """A payment is made even if nobody reads the log any more."""
    sink.close()
    logging.getLogger("farebox").info("nobody reads this")


async def test_what_a_task_dropped_is_scrubbed(sink: io.BytesIO) -> None:
    """Section 3.6: the event loop reports exceptions nobody asked for, with their message."""
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "dropped", "exception": ValueError(f"bad {CARD}")})
    (line,) = lines(sink)
    assert "[scrubbed]" in line["exception"]
    assert CARD.encode() not in sink.getvalue()


PROGRAM = """
import sys, threading, warnings
from farebox.adapters.telemetry import configure_logging
if sys.argv[1] == "configured":
    configure_logging("info")
card = "4242" * 4
def fail(): raise ValueError("bad " + card)
warnings.warn("bad " + card)
class Falling:
    def __del__(self): fail()
Falling()
thread = threading.Thread(target=fail, name=card)
thread.start(); thread.join()
fail()
"""


def run(step: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, step], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_a_crash_prints_no_card_number() -> None:
    """Section 3.6: the interpreter's own reports of warnings, threads, finalizers and the end pass the net.

    The same program without it prints the number each time, so the look is real.
    """
    assert run("as it comes").count("bad " + CARD) == 4
    written = run("configured")
    assert CARD not in written
    reports = [json.loads(line) for line in written.splitlines()]
    assert [report["logger"] for report in reports] == ["py.warnings", *["farebox"] * 3]
    assert {report["event"] for report in reports[1:]} == {"unhandled", "unhandled in a thread", "unraisable"}
