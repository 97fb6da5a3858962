"""The log behind the interfaces of the eventsourcing library, on the same tables, tested with the library's own cases:
connections, which `Log` uses too, recorders and subscriptions.

A recorder here must never leave a gap between positions, nor commit before the events are on disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any, Literal
from uuid import UUID

from eventsourcing.persistence import InterfaceError, Notification, StoredEvent, Subscription
from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteAggregateRecorder,
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from service.data_directory import FILE_MODE, read_only_uri
from service.event_log import tables
from service.event_log.errors import LogFormatError

_POLL_SECONDS = 0.25


class LogConnectionPool(SQLiteConnectionPool):
    """Connections to one log; a commit of any of them is on disk when it returns."""

    def __init__(self, path: Path, *, read_only: bool, pool_size: int) -> None:
        super().__init__(db_name=_reader_uri(path) if read_only else path.absolute().as_uri(), pool_size=pool_size)
        self.path = path
        self.read_only = read_only

    def _create_connection(self) -> SQLiteConnection:
        try:
            if not self.read_only:
                with suppress(FileExistsError):
                    self.path.touch(mode=FILE_MODE, exist_ok=False)  # SQLite gives its companions the same mode
            db = sqlite3.connect(
                self.db_name,
                uri=True,
                timeout=SQLITE3_DEFAULT_LOCK_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=128,  # the library's pool keeps one
            )
            try:
                tables.check_format(db, self.path, may_be_new=not self.read_only)
                self._set_up(db)
            except BaseException:
                db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise LogFormatError(f"{self.path} is not a log of the registry") from None
            raise InterfaceError(error) from error
        return SQLiteConnection(sqlite_conn=db, max_age=None)

    def _set_up(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")  # where fsync leaves it in the drive's cache (macOS)
        if self.read_only:
            db.execute("PRAGMA query_only = ON")
        else:
            db.execute("PRAGMA page_size = 8192")  # of a new file: so before WAL, which writes its first page
            _turn_to_wal(db)
            db.execute("PRAGMA wal_autocheckpoint = 2000")
            db.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten, not only forgotten


def _reader_uri(path: Path) -> str:
    """Return the URI by which SQLite opens a log for reading.

    mode=rw creates no file. It is not mode=ro, because a reader may have to recover the WAL after a crash; in a
    read-only directory it cannot, and needs none of the files that SQLite would create there.
    """
    return f"{path.absolute().as_uri()}?mode=rw" if os.access(path.parent, os.W_OK) else read_only_uri(path)


def _turn_to_wal(db: sqlite3.Connection) -> None:
    # Of several that make the file at once all but one are told that it is locked, without the usual wait.
    deadline = monotonic() + SQLITE3_DEFAULT_LOCK_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)


class LogDatastore(SQLiteDatastore):
    """The library's connections to one log. Using it raises LogFormatError if `path` is another kind of file."""

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        pool_size: int = 5,
        originator_id_type: Literal["uuid", "text"] = "text",
    ) -> None:
        super().__init__("", originator_id_type=originator_id_type)
        self.path = path
        self.pool = LogConnectionPool(path, read_only=read_only, pool_size=pool_size)


class LogAggregateRecorder(SQLiteAggregateRecorder):
    """The log as streams, behind the library's interface for aggregates: positions are assigned but not returned."""

    def __init__(self, datastore: LogDatastore) -> None:
        super().__init__(datastore, "events")

    def construct_create_table_statements(self) -> list[str]:
        return list(tables.SCHEMA)

    def create_table(self) -> None:
        """Turn an empty file into a log, and a log of an earlier format into one of today's. No other file is written
        to.
        """
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT * FROM pragma_application_id, pragma_user_version")
            application, version = c.fetchone()
        if application != tables.APPLICATION:
            super().create_table()
        elif version in tables.UPGRADES:
            with self.datastore.transaction(commit=True) as c:
                for statement in tables.UPGRADES[version]:
                    c.execute(statement)

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self._insert(c, stored_events)
        return None

    def _insert(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent]) -> Sequence[int]:
        names = list(dict.fromkeys(_name(s.originator_id) for s in stored_events))
        # A write comes first: it takes the lock that keeps the head where it is then read.
        c.executemany("INSERT OR IGNORE INTO streams (name) VALUES (?)", [(name,) for name in names])
        streams = {name: tables.key(c.sqlite_cursor, "streams", name) for name in names}
        head = tables.head(c.sqlite_cursor)
        positions = list(range(head + 1, head + 1 + len(stored_events)))
        rows = [
            (position, streams[_name(s.originator_id)], s.originator_version, s.topic, s.state, None, None, None, None)
            for position, s in zip(positions, stored_events, strict=True)
        ]
        c.executemany(tables.INSERT, rows)
        return positions

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        sql = "SELECT version, topic, state FROM events WHERE stream = (SELECT id FROM streams WHERE name = ?)"
        values: list[int | str] = [_name(originator_id)]
        for condition, value in ((" AND version > ?", gt), (" AND version <= ?", lte)):
            if value is not None:
                sql += condition
                values.append(value)
        sql += f" ORDER BY version {'DESC' if desc else 'ASC'} LIMIT ?"
        values.append(-1 if limit is None else limit)
        with self.datastore.transaction(commit=False) as c:
            c.execute(sql, values)
            return [StoredEvent(originator_id, *row) for row in c.fetchall()]


class LogRecorder(LogAggregateRecorder, SQLiteApplicationRecorder):
    """The log as one sequence: the id of a notification is the position of its event."""

    def __init__(self, datastore: LogDatastore) -> None:
        super().__init__(datastore)
        self.select_max_notification_id_statement = "SELECT max(position) FROM events"
        self.listeners: set[Event] = set()

    def wake(self) -> None:
        """Tell subscriptions about a commit."""
        for listener in tuple(self.listeners):
            listener.set()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        positions = super().insert_events(stored_events, **kwargs)
        self.wake()
        return positions

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        return self._insert(c, stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - inclusive_of_start
        with self.datastore.transaction(commit=False) as c:
            rows = tables.select(c.sqlite_cursor, tables.NOTIFIED, after, stop, limit, topics=topics)
        return [Notification(self.convert_originator_id(name), *rest) for name, *rest in rows]

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        return LogSubscription(self, gt, topics)


class LogSubscription(Subscription[LogRecorder]):
    """Yields notifications after `gt`, in order, for ever: immediately for appends of this process, soon for those of
    others.
    """

    def __init__(self, recorder: LogRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder, gt, topics)
        self._found: Iterator[Notification] = iter(())
        self._woken = Event()
        recorder.listeners.add(self._woken)

    def stop(self) -> None:
        super().stop()
        self._recorder.listeners.discard(self._woken)
        self._woken.set()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            notification = next(self._found, None)
            if notification is not None:
                self._last_notification_id = notification.id
                return notification
            self._woken.clear()  # before looking: what is committed after the look sets it again
            found = self._recorder.select_notifications(
                self._last_notification_id, 500, topics=self._topics, inclusive_of_start=False
            )
            self._found = iter(found)
            if not found and not self._has_been_stopped:
                self._woken.wait(_POLL_SECONDS)
        raise StopIteration


def _name(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id
