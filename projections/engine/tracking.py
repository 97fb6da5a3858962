"""Tracking: the position of the views, as a tracking record of the eventsourcing library in the file of the views.

The record is written in the transaction of the rows, so a reader sees an event's rows and its position together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore, SQLiteTrackingRecorder

_APPLICATION = "log"
"""The name of the application whose events the views fold."""


class ViewsTracking(SQLiteTrackingRecorder):
    """Reads and writes the position on a connection to the views, in its open transaction. It never commits."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(_ViewsDatastore(db))

    def create_table(self) -> None:
        """Create the table in a file that has none."""
        with self.datastore.transaction(commit=False) as c:
            self._create_table(c)

    def position(self) -> int:
        """Return the position of the last folded event, 0 if there is none."""
        return int(self.max_tracking_id(_APPLICATION) or 0)

    def advance(self, position: int) -> None:
        """Move to a position. Raise IntegrityError of the library unless it is after the present one."""
        self.insert_tracking(Tracking(_APPLICATION, position))


class _ViewsDatastore(SQLiteDatastore):
    """The connection of the views, as the library's recorders use one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__("")
        self._db = db

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """Yield a cursor of the transaction that the views have opened, and will commit whatever `commit` says."""
        del commit
        yield SQLiteCursor(self._db.cursor())
