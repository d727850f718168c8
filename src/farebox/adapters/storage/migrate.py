"""Forward-only migrations, and who may open what they made.

Each migration is one SQL file. The database records which were applied and the oldest schema version whose
programs may still open it, so that an older program refuses a newer database instead of guessing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from farebox.domain.errors import ConfigurationError, ErrorCode
from farebox.domain.frozen import frozen

Engine = Literal["sqlite", "postgres"]

OLDEST_COMPATIBLE = 1
"""The oldest schema version whose programs understand what this one writes."""

# Both engines read these two; `$1` and the like are bound by each in its own way.
CREATE_VERSION = (
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY,"
    " oldest_compatible INTEGER NOT NULL)"
)
READ_VERSION = "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(oldest_compatible), 0) FROM schema_version"
WRITE_VERSION = "INSERT INTO schema_version (version, oldest_compatible) VALUES ($1, $2)"


@frozen
class Migration:
    """One step: its number, its name and its SQL."""

    version: int
    name: str
    sql: str


def migrations(engine: Engine) -> list[Migration]:
    """Read an engine's migrations, in order."""
    folder = files("farebox.adapters.storage").joinpath("migrations", engine)
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(int(name[:4]), name[5:-4], folder.joinpath(name).read_text("utf-8")) for name in found]


def newest(engine: Engine) -> int:
    """Give the version this program brings a database to."""
    return migrations(engine)[-1].version


def pending(engine: Engine, version: int, oldest_compatible: int) -> list[Migration]:
    """Give what is still to be applied.

    Raises:
        ConfigurationError: the database is newer than this program may open.
    """
    steps = migrations(engine)
    if version > steps[-1].version and oldest_compatible > steps[-1].version:
        raise ConfigurationError(
            ErrorCode.CONFIGURATION_INVALID, detail="The database's schema is newer than this program."
        )
    return [step for step in steps if step.version > version]
