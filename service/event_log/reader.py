"""Reader of the log: the eventsourcing library's application recorder on the tables of the log, without the right to
write.

It must never change the file, interpret stored bytes, or show an event that is not committed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

from eventsourcing.sqlite import SQLiteApplicationRecorder

from service.event_log import tables
from service.event_log.connections import LogDatastore
from service.event_log.events import ALL_SUBJECTS, LoggedEvent, SubjectRange
from service.event_log.subscription import LogSubscription


class LogReader(SQLiteApplicationRecorder):
    """Reads committed events through a connection of its own. Threads that share it wait for each other.

    Every method raises LogUnavailable if the store fails.
    """

    datastore: LogDatastore

    def __init__(self, path: Path) -> None:
        """Raise LogFormatError if `path` is no log, LogUnavailable if it cannot be opened. No file is created."""
        self._open(LogDatastore(path, read_only=True))

    def _open(self, datastore: LogDatastore) -> None:
        self._guard = datastore.guard
        super().__init__(datastore, "events")
        self.select_events_statement = tables.OF_SUBJECT
        self.select_max_notification_id_statement = tables.LAST_POSITION
        self.listeners: set[Event] = set()
        """Set after each commit of the `Log` that this reader belongs to."""

    @property
    def _db(self) -> sqlite3.Cursor:
        return self.datastore.db

    def head(self) -> int:
        """Return the position of the last event; 0 for an empty log."""
        with self._guard:
            return tables.head(self._db)

    def at(self, position: int) -> LoggedEvent | None:
        """Return the event at a position."""
        found = self.select_notifications(position, 1, position)
        return found[0] if found else None

    def find(self, source: str, event_id: str) -> LoggedEvent | None:
        """Return the event named by (`source`, `event_id`)."""
        with self._guard:
            rows = self._db.execute(tables.FIND, (source, event_id)).fetchall()
        return LoggedEvent(*rows[0]) if rows else None

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
        subject: str | None = None,
        source: str | None = None,
    ) -> list[LoggedEvent]:
        """Return the first `limit` events from `start` to `stop` that pass every given filter, ascending.

        `start` itself is left out unless `inclusive_of_start`. An event passes `topics` with any of them; an empty
        sequence is no filter.
        """
        after = 0 if start is None else start - inclusive_of_start
        rows = self._select(tables.LOGGED, after, stop, limit, (topics, subject, source))
        return [LoggedEvent(*row) for row in rows]

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        """Return an iterator over the events after `gt`, also over those that are recorded later.

        It must be stopped before this reader is closed.
        """
        return LogSubscription(self, gt, topics)

    def select_parts(
        self,
        after: int,
        until: int | None,
        limit: int,
        *,
        topics: Sequence[str] = (),
        subject: str | None = None,
        source: str | None = None,
    ) -> list[tuple[int, bytes, bytes | None, bytes | None]]:
        """Return position, entry, data and salt of events with after < position <= until, as stored.

        Data and salt are None once erased. A fast path for long reads, equal to `select_notifications` with the same
        filters: it takes a third of the time, and reading the whole log is mostly this.
        """
        return self._select("position, state, data, salt", after, until, limit, (topics, subject, source))

    def subjects(self, after: str | None = None, limit: int = 1000) -> list[str]:
        """Return some subjects of events, after one of them, in the order of their first events."""
        with self._guard:
            key = 0 if after is None else tables.key(self._db, "streams", after)
            rows = self._db.execute("SELECT name FROM streams WHERE id > ? ORDER BY id LIMIT ?", (key, limit))
            return [name for (name,) in rows]

    def by_subject(
        self,
        collections: Iterable[str],
        after: LoggedEvent | None = None,
        until: int | None = None,
        limit: int = 1000,
        *,
        subject_range: SubjectRange = ALL_SUBJECTS,
    ) -> list[LoggedEvent]:
        """Return some events with position <= until, after one of them, of subjects in these collections and in a
        range: subject by subject in the order of `subjects`, and the events of each in the order of the log.
        """
        first, version = (subject_range.after, tables.LARGEST) if after is None else (after.subject, after.version)
        with self._guard:
            stream = 0 if first is None else tables.key(self._db, "streams", first)
            final = (
                tables.LARGEST if subject_range.last is None else tables.key(self._db, "streams", subject_range.last)
            )
            head = self.head() if until is None else until
            values = (json.dumps([*collections]), stream, version, final, head, limit)
            rows = self._db.execute(tables.BY_SUBJECT, values).fetchall()
        return [LoggedEvent(*row) for row in rows]

    def subject_ranges(self, collections: Iterable[str], count: int) -> list[SubjectRange]:
        """Return at most this number of consecutive ranges that together contain every subject, each with about as many
        events of these collections.
        """
        names, counted = (json.dumps([*collections]),), 0
        bounds: list[str] = []
        with self._guard:
            share = sum(events for _, events in self._db.execute(tables.EVENT_COUNTS, names)) / count
            for subject, events in self._db.execute(tables.EVENT_COUNTS, names):
                counted += events
                if len(bounds) < count - 1 and counted >= share * (len(bounds) + 1):
                    bounds.append(subject)
        return [SubjectRange(*pair) for pair in pairwise((None, *bounds, None))]

    def entries(self, after: int, until: int) -> list[bytes]:
        """Return the log entries of the events with after < position <= until, in order, without reading their data."""
        with self._guard:
            rows = self._db.execute(
                "SELECT state FROM events WHERE position > ? AND position <= ? ORDER BY position", (after, until)
            ).fetchall()
        return [row[0] for row in rows]

    def text(self, position: int) -> str | None:
        """Return the document text stored by the event at a position; None once erased."""
        with self._guard:
            rows = self._db.execute("SELECT text FROM texts WHERE position = ?", (position,)).fetchall()
        return rows[0][0].decode() if rows else None

    def erasures(self) -> int:
        """Return the number of erasures in the log."""
        return int(self.meta("erasures") or 0)

    def origin(self) -> str:
        """Return the name of the log, which it gets before it is served."""
        origin = self.meta("origin")
        assert origin is not None
        return origin

    def meta(self, name: str) -> str | None:
        """Return the value that `Log.set_meta` stored under `name`."""
        with self._guard:
            rows = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the connection."""
        self.datastore.close()

    def _select(
        self,
        columns: str,
        after: int,
        until: int | None,
        limit: int,
        filters: tuple[Sequence[str], str | None, str | None],
    ) -> list[Any]:
        topics, subject, source = filters
        stream = origin = None
        with self._guard:
            if subject is not None and (stream := tables.key(self._db, "streams", subject)) is None:
                return []
            if source is not None and (origin := tables.key(self._db, "sources", source)) is None:
                return []
            topics = tuple(dict.fromkeys(topics))
            return tables.select(self._db, columns, after, until, limit, topics=topics, stream=stream, source=origin)
