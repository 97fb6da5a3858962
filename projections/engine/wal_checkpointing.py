"""What is committed to a file of views is carried from its write-ahead log into the file itself by a thread of its own.
That is thousands of pages all over a large file, and waiting for the disk, which no commit should stand still for.

All of the log is carried over where that is done before the next commit, which then writes it from its start. Where it
never is, as the disk is slow, whoever commits carries over what has grown too long. Nothing here knows what the pages
hold.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

EVENTS = 50
"""So many more are committed before more is carried over: little at a time, as posts wait for the same disk."""


class WalCheckpointing:
    """Of one file, on behalf of the one who writes it; for one thread at a time."""

    def __init__(self, path: Path, position: int) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=rw"  # which makes no file
        self._begun = position
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="carrying")
        self._carried: Future[None] | None = None

    def committed(self, position: int) -> None:
        """To be told after each commit."""
        is_idle = self._carried is None or self._carried.done()
        if is_idle and position - self._begun >= EVENTS:
            self._begun = position
            self._carried = self._pool.submit(self._carry)

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown()

    def _carry(self) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._uri, uri=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
