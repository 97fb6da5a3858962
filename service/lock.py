"""One server a data directory: whoever serves it, or writes to it without a server, holds the lock on it. The system
lets go of it when the process ends, however it ends, so nothing is ever left behind to be cleaned up."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InUse(Exception):
    """Another process holds the directory."""


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Holds the directory, which exists, until the end of the block. Raises InUse at once if another process does."""
    with (data / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{data} is held by a server or by another command") from None
        yield
