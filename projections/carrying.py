"""What is committed to a file of views is carried from its write-ahead log into the file itself by a thread of its own.
That is thousands of pages all over a large file, and waiting for the disk, which no commit should stand still for.

A log is begun anew only once all of it was carried over, and the thread never catches up with one that grows. So the
last pages are left to whoever commits: they are those of a commit or two. Nothing here knows what the pages hold.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

EVENTS = 50
"""So many more are committed before more is carried over: little at a time, as posts wait for the same disk."""
LONG = 8000
"""A log of so many pages is to be begun anew."""
PASSES = 4
"""How often the thread carries over at once what came meanwhile: each time it is less."""
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Carrying:
    """Of one file, on behalf of the one who writes it; for one thread at a time."""

    def __init__(self, path: Path, position: int) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=rw"  # which makes no file
        self._begun = position
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="carrying")
        self._carried: Future[bool] | None = None

    def committed(self, db: sqlite3.Connection, position: int) -> None:
        """To be told after each commit of the writing connection, outside of any transaction."""
        if self._carried is not None and self._carried.done():
            is_nearly_all, self._carried = self._carried.result(), None
            if is_nearly_all:
                with suppress(sqlite3.Error):  # it is committed, and carried over another time
                    db.execute(_PASSIVE)
        if self._carried is None and position - self._begun >= EVENTS:
            self._begun = position
            self._carried = self._pool.submit(self._carry)

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown()

    def _carry(self) -> bool:
        """Whether nearly all of a log that is long is carried over."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._uri, uri=True)) as db:
            for _ in range(PASSES):
                busy, length, carried = db.execute(_PASSIVE).fetchone()
                if busy or carried == length:
                    return not busy and length >= LONG
        return False
