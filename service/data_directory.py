"""Data directory: names and modes of its files, removal of a database, and durable replacement of a small file.

Only the owner of the directory may read its files.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

LOG = "log.sqlite"
VIEWS = "views.sqlite"
KEYS = "keys.sqlite"
SIGNING_KEY = "log.key"
CHECKPOINT = "checkpoint"
LOCK = "lock"
REBUILD_LOCK = "rebuild.lock"

VIEWS_NEXT = "views.next.sqlite"
"""Views that `registry rebuild` is building."""
VIEWS_READY = "views.ready.sqlite"
"""Views that it has built, for a server to take over."""
VIEWS_ERASED = "views.erased.sqlite"
"""Views that a server has rebuilt without erased data."""

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_DATABASES = (LOG, VIEWS, KEYS, VIEWS_NEXT, VIEWS_READY, VIEWS_ERASED)


def database_files(path: Path) -> list[Path]:
    """Return the paths of a database and of the files SQLite has beside it; the database comes first."""
    return [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]


def make_directory(data: Path) -> None:
    """Create a data directory that only its owner can enter, unless it exists. Raises OSError."""
    data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def restrict_modes(data: Path) -> None:
    """Remove access of others to the files, which earlier versions of the registry or other tools may have given.

    A directory with the sticky bit is shared and keeps its mode. The signing key keeps its mode too: a key that others
    can read is refused. Raises OSError, for example if another user owns a file.
    """
    if not data.stat().st_mode & stat.S_ISVTX:
        _restrict(data, DIRECTORY_MODE)
    for name in _DATABASES:
        for path in database_files(data / name):
            _restrict(path, FILE_MODE)
    for name in (CHECKPOINT, LOCK, REBUILD_LOCK):
        _restrict(data / name, FILE_MODE)


def _restrict(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            path.chmod(mode)


def wal_of(path: Path) -> Path:
    """Return the path of a database's write-ahead log. It exists while the database is in use, and after a crash."""
    return path.with_name(f"{path.name}-wal")


def read_only_uri(path: Path) -> str:
    """Return the URI with which SQLite opens a database and changes neither it nor the files beside it.

    A database without a write-ahead log is opened as one that nobody writes to. The reader must look for that log again
    at the end, and discard what it has read if the log is there.
    """
    mode = "mode=ro" if wal_of(path).exists() else "mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?{mode}"


def remove(path: Path) -> None:
    """Remove a database and the files beside it. The database goes first: without it the others mean nothing."""
    for each in database_files(path):
        each.unlink(missing_ok=True)


def remove_unused_views(data: Path) -> None:
    """Remove views that were built, completely or partly, and not taken over. They may hold data erased since."""
    for name in (VIEWS_NEXT, VIEWS_READY, VIEWS_ERASED):
        remove(data / name)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Replace a file durably: a crash leaves the old content or the new, and after the return the new.

    The file has this mode from the start. One process at a time. Raises OSError; then either content may be there.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # left by a crash
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError:
        with suppress(OSError):  # the disk may be full
            fresh.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # otherwise a power cut may bring the old content back
    finally:
        os.close(directory)
