"""The names of the files in a data directory, how one of them is removed whole, and how a small one is written whole or
not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LOG = "log.sqlite"
VIEWS = "views.sqlite"
KEYS = "keys.sqlite"
SIGNING_KEY = "log.key"
CHECKPOINT = "checkpoint"

VIEWS_NEXT = "views.next.sqlite"
"""Views that `registry rebuild` is folding."""
VIEWS_READY = "views.ready.sqlite"
"""Views that it folded, for a server to take over."""
VIEWS_ERASED = "views.erased.sqlite"
"""Views that a server has folded anew, without what was erased."""


def remove(path: Path) -> None:
    """Removes a database and what SQLite keeps beside it; that means nothing without the database, which goes first."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


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
