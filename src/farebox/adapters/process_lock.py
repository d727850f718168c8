"""One server a data directory: a second would not hear of the first one's keys and commits."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from farebox.domain.errors import ConfigurationError, ErrorCode


@contextmanager
def only_server(path: Path) -> Generator[None]:
    """Hold a lock that the kernel lets go when the process ends, however it ends.

    Args:
        path: the lock's file, in the data directory.

    Raises:
        ConfigurationError: another server holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                ErrorCode.CONFIGURATION_INVALID, detail="Another server runs on this data directory."
            ) from None
        yield
    finally:
        os.close(descriptor)
