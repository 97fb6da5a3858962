"""Locks between processes: one server per data directory, and one rebuild at a time.

The system releases a lock when its process ends, however it ends, so nothing needs to be cleaned up.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.data_directory import FILE_MODE, LOCK, REBUILD_LOCK


class InUse(Exception):
    """Another process holds the directory."""


@contextmanager
def directory_lock(data: Path) -> Iterator[None]:
    """Hold the directory, which exists, until the end of the block.

    Raises InUse immediately if another process holds it.
    """
    with _locked(data / LOCK, f"{data} is held by a server or by another command"):
        yield


@contextmanager
def rebuild_lock(data: Path) -> Iterator[None]:
    """Hold the right to rebuild the views of a directory until the end of the block.

    Raises InUse immediately if another process rebuilds them.
    """
    with _locked(data / REBUILD_LOCK, f"the views in {data} are being rebuilt by another process: wait for its end"):
        yield


@contextmanager
def _locked(path: Path, refusal: str) -> Iterator[None]:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE), "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(refusal) from None
        yield
