"""The log: every event ever recorded, in order, in one SQLite file. This package alone knows the eventsourcing library
and the log's database. It must never change, renumber or skip an event, never look into the bytes it keeps, and never
let `commit` return before they are on disk."""

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
    """One event as it is kept. `entry` is what was hashed; `data` and `salt` are empty once erased, here or in the log
    that the event comes from.

    `redacted` is the position of the event that had them erased, `about` that of the event it spoke of, if any.
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
    """Subjects in the order of their first events: those after one of them, up to another. None is no bound."""

    after: str | None = None
    last: str | None = None


ALL = Stretch()


class LogReader:
    """Reads what was committed, through a connection of its own that cannot write. One thread at a time.

    Every method raises LogUnavailable where the store fails.
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
        """The position of the last event; 0 where there is none."""
        with _failures:
            return tables.head(self._db)

    def at(self, position: int) -> LoggedEvent | None:
        found = self.read(position - 1, position, 1)
        return found[0] if found else None

    def find(self, source: str, id: str) -> LoggedEvent | None:  # noqa: A002 - the attribute's own name
        """The event that (`source`, `id`) names."""
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
        """The first `limit` events with after < position <= until that pass every filter given, ascending.

        Of several types any will do; an empty sequence of them is no filter.
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
        """Of the same events only what they are answered from, as it is stored: position, entry, data and salt.

        Data and salt are None once erased. For reading much: it takes a third of the time.
        """
        return self._select("position, state, data, salt", after, until, limit, (type, subject, source))

    def subjects(self, after: str | None = None, limit: int = 1000) -> list[str]:
        """Some subjects that events are about, after one of them, in the order of their first events."""
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
        """Some events with position <= until, after one of them, of subjects in these collections and in a stretch:
        subject by subject in the order of `subjects`, and of each in the order of the log.
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
        """So many stretches at most, one after the other, which together hold every subject, and each about as many
        events of these collections."""
        names, told = (json.dumps([*collections]),), 0
        bounds: list[str] = []
        with _failures:
            share = sum(events for _, events in self._db.execute(tables.COUNTED, names)) / count
            for subject, events in self._db.execute(tables.COUNTED, names):
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
        """The log entries of the events with after < position <= until, in order; nothing of their data is read."""
        with _failures:
            rows = self._db.execute(
                "SELECT state FROM events WHERE position > ? AND position <= ? ORDER BY position", (after, until)
            ).fetchall()
        return [row[0] for row in rows]

    def text(self, position: int) -> str | None:
        """The text of a document that the event at a position says is stored; None where it was erased."""
        with _failures:
            rows = self._db.execute("SELECT text FROM texts WHERE position = ?", (position,)).fetchall()
        return rows[0][0].decode() if rows else None

    def erasures(self) -> int:
        """How many times something was erased from the log."""
        return int(self.meta("erasures") or 0)

    def meta(self, name: str) -> str | None:
        """What `Log.set_meta` keeps under `name`."""
        with _failures:
            rows = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        self._datastore.close()


class Log(LogReader):
    """One log in one file, made where it is missing. One thread at a time, not always the same one.

    What it reads includes its own appends before they are committed. Other processes may append to the same file;
    who comes second hears HeadMoved. Opening after a crash needs no repair: SQLite keeps exactly what was committed.
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
        """Opens the transaction, unless one is open: whoever else would append waits, and what is read costs less.

        Raises HeadMoved, LogUnavailable; then only `rollback` may follow.
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
        """Puts `events` after the head, within the open transaction or a new one.

        Raises HeadMoved, VersionConflict, DuplicateEvent, LogUnavailable, and ValueError if their positions have a
        gap. Then nothing of the whole transaction can be kept: only `rollback` may follow.
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
        """Every append is on disk once this returns, and survives a power cut. With no append it does nothing.

        Raises LogUnavailable if that failed; then `rollback` must follow, and finds out whether they were kept
        after all.
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
        """Erases data and salt of an event, because of the one at `by`; within the open transaction, as `append`.

        `about` is the position of the event that it spoke of, if any. `scrub` must follow the commit.
        """
        self._refuse_if_failed()
        with _failures:
            self._db.execute(tables.ERASE, (position,))
            self._db.execute(tables.ERASED, (position, by, about))
        self._count_erasure()

    def put_text(self, position: int, text: str) -> None:
        """Keeps the text of a document with the event at a position; within the open transaction, as `append`."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("INSERT INTO texts VALUES (?, ?)", (position, text.encode()))

    def drop_texts(self, subject: str) -> None:
        """Erases every text kept of a document; within the open transaction. `scrub` must follow the commit."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute(tables.DROP_TEXTS, (tables.key(self._db, "streams", subject),))
        self._count_erasure()

    def scrub(self) -> bool:
        """Removes from the files what was erased in committed transactions; False if a reader is in the way.

        The database itself is overwritten at once; what is left is in the write-ahead log, which this empties.
        """
        with _failures:
            ((busy, _, _),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy

    def rollback(self) -> None:
        """Takes back what was not committed and learns from the file where the log ends.

        Raises LogUnavailable where not even that works; it may be tried again.
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
        """A reader of the same log for another thread. Whoever asked for it closes it."""
        return LogReader(self._datastore.path)

    def set_meta(self, name: str, value: str) -> None:
        """Keeps `value` under `name`, in place of another: durable at once, or with the open transaction."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def drop_meta(self, name: str) -> None:
        """Forget what is kept under `name`: durable at once, or with the open transaction."""
        self._refuse_if_failed()
        with _failures:
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))

    def close(self) -> None:
        """What was not committed is gone."""
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
    """Within it SQLite's errors become LogUnavailable. A class, as a generator costs as much as a query."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise LogUnavailable(str(error)) from error


_failures = _Failures()
