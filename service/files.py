"""The names of the files in a data directory, and how one of them is removed whole."""

from __future__ import annotations

from pathlib import Path

LOG = "log.sqlite"
VIEWS = "views.sqlite"
KEYS = "keys.sqlite"


def remove(path: Path) -> None:
    """Removes a database and what SQLite keeps beside it; that means nothing without the database, which goes first."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)
