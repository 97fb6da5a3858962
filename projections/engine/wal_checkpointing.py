"""WAL checkpointing: a thread copies committed pages from the write-ahead log of the views into their file.

These are thousands of pages all over a large file, and no commit should wait for that disk work. Where a checkpoint
ends before the next commit, that commit writes the log from its start. Where the disk is too slow for it, a commit does
the checkpoint once the log is too long.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

EVENTS = 50
"""Events committed between two checkpoints: few, as posts wait for the same disk."""


class WalCheckpointing:
    """The checkpoints of one file, for its writer; used by one thread at a time."""

    def __init__(self, path: Path, position: int) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=rw"  # a missing file is not created
        self._position = position
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpointing")
        self._running: Future[None] | None = None

    def committed(self, position: int) -> None:
        """Start a checkpoint if it is due. Call this after each commit."""
        is_idle = self._running is None or self._running.done()
        if is_idle and position - self._position >= EVENTS:
            self._position = position
            self._running = self._pool.submit(self._checkpoint)

    def close(self) -> None:
        """Wait for the running checkpoint."""
        self._pool.shutdown()

    def _checkpoint(self) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._uri, uri=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
