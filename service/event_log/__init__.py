"""The log: every recorded event, in order, in one SQLite file. Only this package knows the eventsourcing library and
the database of the log.

It must never change, renumber or skip an event, never interpret stored bytes, and never let `commit` return before the
events are on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from eventsourcing.persistence import PersistenceError

from service.event_log import tables
from service.event_log.errors import (
    DuplicateEvent,
    HeadMoved,
    LogError,
    LogFormatError,
    LogUnavailable,
    VersionConflict,
)
from service.event_log.recorder import LogDatastore, LogRecorder

__all__ = [
    "ALL",
    "DuplicateEvent",
    "HeadMoved",
    "Log",
    "LogError",
    "LogFormatError",
    "LogReader",
    "LogUnavailable",
    "LoggedEvent",
    "Stretch",
    "VersionConflict",
]

_REMEMBERED = 50_000  # subjects, and sources, whose keys are kept at hand: some 10 MB


class LoggedEvent(NamedTuple):
    """One stored event. `entry` is the hashed log entry; `data` and `salt` are empty once erased, here or in the log
    that the event was imported from.

    `redacted` is the position of the event that erased them, `about` the position of the event it is about, if any.
    """

    position: int
    version: int
    subject: str
    type: str
    source: str
    id: str
    entry: bytes
    data: bytes
    salt: bytes
    redacted: int | None = None
    about: int | None = None


class Stretch(NamedTuple):
    """A range of subjects in the order of their first events: after one subject, up to another. None is unbounded."""

    after: str | None = None
    last: str | None = None


ALL = Stretch()


class LogReader:
    """Reads committed events through a connection of its own that cannot write. One thread at a time.

    Every method raises LogUnavailable if the store fails.
    """

    def __init__(self, path: Path) -> None:
        """Raises LogFormatError where `path` is no log, LogUnavailable where nothing can be opened; makes no file."""
        self._connect(LogDatastore(path, read_only=True))

    def _connect(self, datastore: LogDatastore) -> None:
        self._datastore = datastore
        try:
            self._db = datastore.pool.get_connection().cursor().sqlite_cursor
        except PersistenceError as error:
            raise LogUnavailable(f"{datastore.path} cannot be opened: {error}") from error

    def head(self) -> int:
        """Return the position of the last event; 0 for an empty log."""
        with _failures:
            return tables.head(self._db)

    def at(self, position: int) -> LoggedEvent | None:
        found = self.read(position - 1, position, 1)
        return found[0] if found else None

    def find(self, source: str, id: str) -> LoggedEvent | None:  # noqa: A002 - the attribute's own name
        """Return the event named by (`source`, `id`)."""
        with _failures:
            rows = self._db.execute(tables.FIND, (source, id)).fetchall()
        return LoggedEvent._make(rows[0]) if rows else None

    def read(
        self,
        after: int = 0,
        until: int | None = None,
        limit: int = 1000,
        *,
        type: str | Sequence[str] | None = None,  # noqa: A002 - the attribute's own name
        subject: str | None = None,
        source: str | None = None,
    ) -> list[LoggedEvent]:
        """Return the first `limit` events with after < position <= until that pass every given filter, ascending.

        An event passes `types` with any of them; an empty sequence is no filter.
        """
        rows = self._select(tables.LOGGED, after, until, limit, (type, subject, source))
        return list(map(LoggedEvent._make, rows))

    def pieces(
        self,
        after: int,
        until: int | None,
        limit: int,
        *,
        type: Sequence[str] | None = None,  # noqa: A002 - the attribute's own name
        subject: str | None = None,
        source: str | None = None,
    ) -> list[tuple[int, bytes, bytes | None, bytes | None]]:
        """Return position, entry, data and salt of the same events, as stored.

        Data and salt are None once erased. For long reads: it takes a third of the time of `read`.
        """
        return self._select("position, state, data, salt", after, until, limit, (type, subject, source))

    def subjects(self, after: str | None = None, limit: int = 1000) -> list[str]:
        """Return some subjects of events, after one of them, in the order of their first events."""
        with _failures:
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
        stretch: Stretch = ALL,
    ) -> list[LoggedEvent]:
        """Return some events with position <= until, after one of them, of subjects in these collections and in a
        range: subject by subject in the order of `subjects`, and the events of each in the order of the log.
        """
        begun, version = (stretch.after, tables.LARGEST) if after is None else (after.subject, after.version)
        with _failures:
            stream = 0 if begun is None else tables.key(self._db, "streams", begun)
            final = tables.LARGEST if stretch.last is None else tables.key(self._db, "streams", stretch.last)
            head = self.head() if until is None else until
            values = (json.dumps([*collections]), stream, version, final, head, limit)
            rows = self._db.execute(tables.BY_SUBJECT, values).fetchall()
        return [LoggedEvent(*row) for row in rows]

    def stretches(self, collections: Iterable[str], count: int) -> list[Stretch]:
        """Return at most this number of consecutive ranges that together contain every subject, each with about as many
        events of these collections.
        """
        names, told = (json.dumps([*collections]),), 0
        bounds: list[str] = []
        with _failures:
            share = sum(events for _, events in self._db.execute(tables.ROLLUPS, names)) / count
            for subject, events in self._db.execute(tables.ROLLUPS, names):
                told += events
                if len(bounds) < count - 1 and told >= share * (len(bounds) + 1):
                    bounds.append(subject)
        return [Stretch(*pair) for pair in pairwise((None, *bounds, None))]

    def _select(
        self,
        columns: str,
        after: int,
        until: int | None,
        limit: int,
        wanted: tuple[str | Sequence[str] | None, str | None, str | None],
    ) -> list[Any]:
        types, subject, source = wanted
        topics = (types,) if isinstance(types, str) else tuple(dict.fromkeys(types or ()))
        stream = origin = None
        with _failures:
            if subject is not None and (stream := tables.key(self._db, "streams", subject)) is None:
                return []
            if source is not None and (origin := tables.key(self._db, "sources", source)) is None:
                return []
            return tables.select(self._db, columns, after, until, limit, topics=topics, stream=stream, source=origin)

    def entries(self, after: int, until: int) -> list[bytes]:
        """Return the log entries of the events with after < position <= until, in order, without reading their data."""
        with _failures:
            rows = self._db.execute(
                "SELECT state FROM events WHERE position > ? AND position <= ? ORDER BY position", (after, until)
            ).fetchall()
        return [row[0] for row in rows]

    def text(self, position: int) -> str | None:
        """Return the document text stored by the event at a position; None once erased."""
        with _failures:
            rows = self._db.execute("SELECT text FROM texts WHERE position = ?", (position,)).fetchall()
        return rows[0][0].decode() if rows else None

    def erasures(self) -> int:
        """Return the number of erasures in the log."""
        return int(self.meta("erasures") or 0)

    def meta(self, name: str) -> str | None:
        """Return the value that `Log.set_meta` stored under `name`."""
        with _failures:
            rows = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        self._datastore.close()


class Log(LogReader):
    """One log in one file, created if it is missing. One thread at a time, not always the same one.

    It reads its own appends before they are committed. Other processes may append to the same file; the second of two
    writers gets HeadMoved. Opening after a crash needs no repair: SQLite keeps exactly the committed transactions.
    """

    def __init__(self, path: Path) -> None:
        """Raises LogFormatError where `path` is another file, LogUnavailable where nothing can be opened or made."""
        self._connect(LogDatastore(path))
        self.recorder = LogRecorder(self._datastore)
        """The same log for the library's machinery. What that inserts moves the head, as another process would."""
        try:
            self.recorder.create_table()
        except PersistenceError as error:
            self.close()
            raise LogUnavailable(f"{path} cannot be made a log: {error}") from error
        self._streams: dict[str, tuple[int, int]] = {}  # subject: key, last version
        self._sources: dict[str, int] = {}
        self._begun = self._spoiled = False  # of the transaction
        self._head = super().head()

    def head(self) -> int:
        """The last position this object knows of, its own uncommitted appends included. From any thread; no I/O."""
        return self._head

    def begin(self) -> None:
        """Open the transaction, unless one is open. Other writers then wait, and reads cost less.

        Raise HeadMoved or LogUnavailable; then only `rollback` may follow.
        """
        self._refuse_if_failed()
        if self._begun:
            return
        self._spoiled = True
        with _failures:
            self._db.execute("BEGIN IMMEDIATE")
            self._begun = True
            head = tables.head(self._db)
            if head != self._head:
                raise HeadMoved(head)
        self._spoiled = False

    def append(self, events: Sequence[LoggedEvent]) -> None:
        """Put `events` after the head, in the open transaction or a new one.

        Raise HeadMoved, VersionConflict, DuplicateEvent, LogUnavailable, or ValueError if their positions have a gap.
        Then nothing of the transaction can be committed: only `rollback` may follow.
        """
        if not events:
            return
        self.begin()
        self._spoiled = True
        with _failures:
            if events[0].position != self._head + 1:
                raise HeadMoved(self._head)
            try:
                self._db.executemany(tables.INSERT, self._rows(events))
                if erased := [(e.position, 0, e.about) for e in events if not e.data]:
                    self._db.executemany(tables.ERASED, erased)
            except sqlite3.IntegrityError:
                for e in events:
                    if (first := self.find(e.source, e.id)) is not None and first.position != e.position:
                        raise DuplicateEvent(e.source, e.id) from None
                raise
        self._head = events[-1].position
        self._spoiled = False

    def commit(self) -> None:
        """Commit every append; on return they are on disk and survive a power cut. Without an append it does nothing.

        Raise LogUnavailable on failure; then `rollback` must follow, and finds out whether they were committed after
        all.
        """
        self._refuse_if_failed()
        if not self._begun:
            return
        self._spoiled = True
        with _failures:
            self._db.execute("COMMIT")
        self._begun = self._spoiled = False
        self.recorder.wake()

    def erase(self, position: int, by: int, about: int | None) -> None:
        """Erase data and salt of an event, for the redaction at position `by`; in the open transaction, as `append`.

        `about` is the position of the event it is about, if any. `scrub` must follow the commit.
        """
        self._refuse_if_failed()
        with _failures:
            self._db.execute(tables.ERASE, (position,))
            self._db.execute(tables.ERASED, (position, by, about))
        self._count_erasure()

    def put_text(self, position: int, text: str) -> None:
        """Store the text of a document with the event at a position; in the open transaction, as `append`."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("INSERT INTO texts VALUES (?, ?)", (position, text.encode()))

    def drop_texts(self, subject: str) -> None:
        """Erase every stored text of a document; in the open transaction. `scrub` must follow the commit."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute(tables.DROP_TEXTS, (tables.key(self._db, "streams", subject),))
        self._count_erasure()

    def scrub(self) -> bool:
        """Remove data erased in committed transactions from the files; return False if a reader prevents it.

        The database is overwritten at the erasure; a copy stays in the write-ahead log, which this empties.
        """
        with _failures:
            ((busy, _, _),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy

    def rollback(self) -> None:
        """Discard uncommitted appends and read from the file where the log ends.

        Raise LogUnavailable if that fails too; it may be repeated.
        """
        self._spoiled = True
        with _failures:
            if self._db.connection.in_transaction:  # a full disk or an I/O error may have ended it already
                self._db.execute("ROLLBACK")
            # Keys made in the transaction are gone with it, and versions may be another writer's by now.
            self._streams.clear()
            self._sources.clear()
            # Not the head as remembered: a commit that failed may have been kept.
            self._head = tables.head(self._db)
        self._begun = self._spoiled = False

    def reader(self) -> LogReader:
        """Return a reader of the same log for another thread. The caller closes it."""
        return LogReader(self._datastore.path)

    def set_meta(self, name: str, value: str) -> None:
        """Store `value` under `name`, replacing any other: durable immediately, or with the open transaction."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def drop_meta(self, name: str) -> None:
        """Delete the value under `name`: durable immediately, or with the open transaction."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))

    def close(self) -> None:
        """Close the log, discarding uncommitted appends."""
        super().close()

    def _refuse_if_failed(self) -> None:
        # Else a part of what was appended could be committed: an append may have stopped half way, and SQLite may have
        # rolled back by itself on an I/O error, even on one in reading.
        if self._spoiled or (self._begun and not self._db.connection.in_transaction):
            raise LogError("the transaction has failed: roll it back first")

    def _count_erasure(self) -> None:
        self.set_meta("erasures", str(self.erasures() + 1))

    def _rows(self, events: Sequence[LoggedEvent]) -> list[tuple[object, ...]]:
        streams, sources = self._streams, self._sources
        for cache in (streams, sources):
            if len(cache) > _REMEMBERED:
                cache.clear()
        rows: list[tuple[object, ...]] = []
        for position, e in enumerate(events, self._head + 1):
            if e.position != position:
                raise ValueError(f"position {e.position} where {position} comes next")
            stream, last = streams.get(e.subject) or self._stream(e.subject, e.version)
            if e.version != last + 1:
                raise VersionConflict(e.subject, e.version)
            streams[e.subject] = stream, e.version
            source = sources.get(e.source) or self._source(e.source)
            rows.append((position, stream, e.version, e.type, e.entry, source, e.id, e.salt or None, e.data or None))
        return rows

    def _stream(self, subject: str, version: int) -> tuple[int, int]:
        if version == 1:  # most likely new, so it is not looked up first: the unique name tells if it is not
            with suppress(sqlite3.IntegrityError):
                return tables.make_key(self._db, "streams", subject), 0
        rows = self._db.execute(tables.LAST_VERSION, (subject,)).fetchall()
        return rows[0] if rows else (0, 0)

    def _source(self, name: str) -> int:
        key = tables.key(self._db, "sources", name) or tables.make_key(self._db, "sources", name)
        self._sources[name] = key
        return key


class _Failures:
    """Turns SQLite's errors into LogUnavailable. It is a class because a generator costs as much as a query."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise LogUnavailable(str(error)) from error


_failures = _Failures()
