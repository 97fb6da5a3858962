"""The files of a data directory: their names and modes, how a database is removed, and how a small file is replaced.
Nobody but the owner of the directory may read any of them."""

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
"""Views that `registry rebuild` is folding."""
VIEWS_READY = "views.ready.sqlite"
"""Views that it folded, for a server to take over."""
VIEWS_ERASED = "views.erased.sqlite"
"""Views that a server has folded anew, without what was erased."""

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_DATABASES = (LOG, VIEWS, KEYS, VIEWS_NEXT, VIEWS_READY, VIEWS_ERASED)


def with_companions(path: Path) -> list[Path]:
    """A database and the files that SQLite keeps beside it; the database comes first."""
    return [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]


def make_directory(data: Path) -> None:
    """Make a data directory that only its owner can enter, where there is none. Raises OSError."""
    data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def tighten(data: Path) -> None:
    """Take from everybody but the owner what earlier versions of the registry, or other tools, left open.

    A directory with the sticky bit, which many share, stays open, and so does the signing key: one that others could
    read is refused. Raises OSError, as where another user owns a file.
    """
    if not data.stat().st_mode & stat.S_ISVTX:
        _tighten(data, DIRECTORY_MODE)
    for name in _DATABASES:
        for path in with_companions(data / name):
            _tighten(path, FILE_MODE)
    for name in (CHECKPOINT, LOCK, REBUILD_LOCK):
        _tighten(data / name, FILE_MODE)


def _tighten(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            path.chmod(mode)


def wal_of(path: Path) -> Path:
    """Where SQLite keeps what was written last to a database that is in use, or was when its process died."""
    return path.with_name(f"{path.name}-wal")


def read_only_uri(path: Path) -> str:
    """How SQLite is told of a file so that it changes nothing, not even what it keeps beside the file.

    A file without a write-ahead log is taken for one that nobody writes to: whoever reads it looks for that file again
    at the end, and throws away what was read if it has come.
    """
    how = "mode=ro" if wal_of(path).exists() else "mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?{how}"


def remove(path: Path) -> None:
    """Removes a database and what SQLite keeps beside it; that means nothing without the database, which goes first."""
    for each in with_companions(path):
        each.unlink(missing_ok=True)


def drop_unused(data: Path) -> None:
    """Removes views that were built, or half built, and not taken over: something in them was erased since."""
    for name in (VIEWS_NEXT, VIEWS_READY, VIEWS_ERASED):
        remove(data / name)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Writes a file: after a crash at any moment there is the old content or the new, and the new once this returns.

    Nobody but the owner can ever read more than `mode` allows. One process at a time. Raises OSError; then either of
    the two may be there.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a crash half way
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError:
        with suppress(OSError):  # a full disk wants it gone
            fresh.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # or the name may still lead to the old content after a power cut
    finally:
        os.close(directory)
