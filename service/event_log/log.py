"""The log: the eventsourcing library's application recorder that keeps every event, in order, in one SQLite file.

It must never change, renumber or skip an event, and never let `insert_events` return before the events are on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteCursor

from service.event_log import tables
from service.event_log.connections import LogDatastore
from service.event_log.errors import DuplicateEvent, HeadMoved, LogUnavailable, VersionConflict
from service.event_log.events import Effect, EraseData, EraseTexts, LoggedEvent, StoreText
from service.event_log.reader import LogReader

_CACHED = 50_000  # subjects, and sources, whose keys are cached: some 10 MB


class Log(LogReader):
    """One log in one file, created if it is missing. Threads that share it wait for each other.

    Other processes may append to the same file; the second of two writers gets HeadMoved. Opening after a crash needs
    no repair: SQLite keeps exactly the committed transactions.
    """

    def __init__(self, path: Path) -> None:
        """Raise LogFormatError if `path` is another file, LogUnavailable if it cannot be opened or created."""
        self._open(LogDatastore(path, read_only=False))
        self._streams: dict[str, tuple[int, int]] = {}  # subject: key, last version
        self._sources: dict[str, int] = {}
        self._head = 0
        self._has_failed = False
        """Whether `recover` must come first."""
        try:
            self.create_table()
            self.recover()
        except LogUnavailable as error:
            self.close()
            raise LogUnavailable(f"{path} cannot be made a log: {error}") from error

    def head(self) -> int:
        """Return the position of the last event that this object has recorded or seen. From any thread; no I/O."""
        return self._head

    def construct_create_table_statements(self) -> list[str]:
        """Return the statements that make an empty file a log, or bring a log of an earlier format to the present one.

        There are none for a log of the present format.
        """
        with self._guard:
            ((application, version),) = self._db.execute(
                "SELECT * FROM pragma_application_id, pragma_user_version"
            ).fetchall()
        return list(tables.UPGRADES.get(version, ()) if application == tables.APPLICATION else tables.SCHEMA)

    def create_table(self) -> None:
        """Execute these statements in one transaction; without any, the file is not written to."""
        if self.create_table_statements:
            super().create_table()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record a group of events in one transaction, and return their positions. On return they are on disk and
        survive a power cut.

        `effects`, a sequence of Effect, is applied after the events, in order; `scrub` must follow an erasure. Events
        that are LoggedEvents have their positions, which must follow the head.

        Raise HeadMoved, VersionConflict, DuplicateEvent, or ValueError if the positions have a gap; then nothing is
        recorded. Raise LogUnavailable on failure; then the group may be recorded nevertheless, and `recover` finds out.
        """
        with self._guard:
            if self._has_failed:
                self.recover()
            self._has_failed = True
            positions = super().insert_events(stored_events, **kwargs)
            if positions:
                self._head = positions[-1]
            self._has_failed = False
        for listener in tuple(self.listeners):
            listener.set()
        return positions

    def recover(self) -> None:
        """Discard the remains of a failed group, and read from the file where the log ends.

        Raise LogUnavailable if that fails too; it may be repeated.
        """
        self._has_failed = True
        with self._guard:
            self.datastore.roll_back()
            # Keys made in the transaction are gone with it, and versions may be another writer's by now.
            self._streams.clear()
            self._sources.clear()
            # Not the remembered head: a commit that failed may have been kept.
            self._head = tables.head(self._db)
        self._has_failed = False

    def scrub(self) -> bool:
        """Remove erased data from the files; return False if a reader prevents it.

        The database is overwritten at the erasure; a copy stays in the write-ahead log, which this empties.
        """
        with self._guard:
            ((busy, _, _),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy

    def reader(self) -> LogReader:
        """Return a reader of the same log with a connection of its own. The caller closes it."""
        reader = LogReader(self.datastore.path)
        reader.listeners = self.listeners
        return reader

    def set_meta(self, name: str, value: str) -> None:
        """Store `value` under `name`, replacing any other; it is on disk on return."""
        with self.datastore.transaction(commit=True) as c:
            c.execute(tables.SET_META, (name, value))

    def drop_meta(self, name: str) -> None:
        """Delete the value under `name`, on disk on return."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("DELETE FROM meta WHERE name = ?", (name,))

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], *, effects: Sequence[Effect] = (), **_: Any
    ) -> Sequence[int]:
        db = c.sqlite_cursor
        head = tables.head(db)
        if head != self._head:  # of another writer: versions in the cache may be out of date
            self._streams.clear()
        if stored_events and isinstance(stored_events[0], LoggedEvent) and stored_events[0].id != head + 1:
            raise HeadMoved(head)
        rows, erased = self._rows(db, stored_events, head)
        try:
            db.executemany(tables.INSERT, rows)
        except sqlite3.IntegrityError:
            for position, event in enumerate(stored_events, head + 1):
                if isinstance(event, LoggedEvent):
                    first = self.find(event.source, event.event_id)
                    if first is not None and first.id != position:
                        raise DuplicateEvent(event.source, event.event_id) from None
            raise
        if erased:
            db.executemany(tables.ERASED, erased)
        self._apply(db, effects)
        return list(range(head + 1, head + 1 + len(rows)))

    def _rows(
        self, db: sqlite3.Cursor, events: Sequence[StoredEvent], head: int
    ) -> tuple[list[tuple[object, ...]], list[tuple[int, int, int | None]]]:
        """Return the rows of events after a position, and the rows of `erased` for those without data."""
        streams, sources = self._streams, self._sources
        for cache in (streams, sources):
            if len(cache) > _CACHED:
                cache.clear()
        rows: list[tuple[object, ...]] = []
        erased: list[tuple[int, int, int | None]] = []
        for position, event in enumerate(events, head + 1):
            logged = event if isinstance(event, LoggedEvent) else None
            if logged is not None and logged.id != position:
                raise ValueError(f"position {logged.id} where {position} comes next")
            subject, version = str(event.originator_id), event.originator_version
            stream, last = streams.get(subject) or self._stream(db, subject, version)
            if version != last + 1:
                raise VersionConflict(subject, version)
            streams[subject] = stream, version
            row = position, stream, version, event.topic, event.state
            if logged is None:
                rows.append((*row, None, None, None, None))
                continue
            source = sources.get(logged.source) or self._source(db, logged.source)
            rows.append((*row, source, logged.event_id, logged.salt or None, logged.data or None))
            if not logged.data:
                erased.append((position, 0, logged.about))
        return rows, erased

    def _stream(self, db: sqlite3.Cursor, subject: str, version: int) -> tuple[int, int]:
        """Return the key of a subject, and the version of its last event."""
        if version in (0, 1):  # probably a new subject; aggregates of the library may begin with version 0
            with suppress(sqlite3.IntegrityError):  # the name is unique, so an existing subject fails here
                return tables.make_key(db, "streams", subject), version - 1
        rows = db.execute(tables.LAST_VERSION, (subject,)).fetchall()
        return rows[0] if rows else (0, 0)

    def _source(self, db: sqlite3.Cursor, name: str) -> int:
        key = tables.key(db, "sources", name) or tables.make_key(db, "sources", name)
        self._sources[name] = key
        return key

    def _apply(self, db: sqlite3.Cursor, effects: Sequence[Effect]) -> None:
        """Apply the effects in order, and count the erasures."""
        erasures = 0
        for effect in effects:
            match effect:
                case EraseData():
                    db.execute(tables.ERASE, (effect.position,))
                    db.execute(tables.ERASED, effect)
                case StoreText():
                    db.execute("INSERT INTO texts VALUES (?, ?)", (effect.position, effect.text.encode()))
                case EraseTexts():
                    db.execute(tables.DROP_TEXTS, (tables.key(db, "streams", effect.subject),))
            erasures += not isinstance(effect, StoreText)
        if erasures:
            db.execute(tables.SET_META, ("erasures", str(self.erasures() + erasures)))
