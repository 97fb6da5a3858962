"""A temporary SQLite file of the events that later checks need: those about other events, citations, documents and
their texts, mergers of parties, and events without data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Corrections, Event, erased_data
from domain.values import MAX_INTEGER
from service.audit.event_rows import Row

_ABOUT_EVENTS = frozenset(name for name, kind in CATALOGUE.items() if kind.about_event)
_OTHERS = frozenset(("document.registered", "document.text-stored", "document.text-erased", "party.merged"))
_NOTED = _ABOUT_EVENTS | _OTHERS
_CITING = b'"evidence"'
_SCHEMA = """
CREATE TABLE noted(
    position INTEGER PRIMARY KEY, type TEXT NOT NULL, subject TEXT NOT NULL, source TEXT, occurred TEXT, about INTEGER,
    redacted INTEGER, erased INTEGER NOT NULL, cites INTEGER NOT NULL, data BLOB NOT NULL);
"""
DOCUMENTS = "type >= 'document.' AND type < 'document/'"
"""The condition of an index: events of documents. A query must repeat it word for word to use the index."""
_INDEXES = (
    "speaking ON noted(about) WHERE about IS NOT NULL",
    f"documents ON noted(subject) WHERE {DOCUMENTS}",
    "mergers ON noted(position) WHERE type = 'party.merged'",
)


class NotedEvents:
    """Events that are noted during the pass over the log, and read after it."""

    def __init__(self, folder: Path, *, evidence: bool = True) -> None:
        """Create the file in the folder. Events that only cite documents are noted if `evidence` is True."""
        self._evidence = evidence
        self.db = sqlite3.connect(folder / "noted.sqlite", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(_SCHEMA)
        self.db.execute("BEGIN")

    def add(self, rows: Sequence[Row]) -> None:
        """Note the next events that later checks need (see `noted_of`). Each of them must pass by itself."""
        found = []
        for row in rows:
            data, redacted = row.data, _number(row.redacted)
            about = _number(row.about) if not data else about_of(data) if row.type in _ABOUT_EVENTS else None
            cites = self._evidence and _CITING in data
            places = (row.position, row.type, row.subject, row.source)
            found.append((*places, row.occurred, about, redacted, not data, cites, data))
        if found:
            self.db.executemany("INSERT OR IGNORE INTO noted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", found)

    def end(self) -> None:
        """End the pass: create the indexes."""
        for index in _INDEXES:
            self.db.execute(f"CREATE INDEX {index}")
        self.db.execute("COMMIT")

    def events(self, where: str, *values: object) -> Iterator[Event]:
        """Yield the noted events that meet an SQL condition, in order. Versions, names and times are not noted."""
        rows = self.db.execute(
            f"SELECT position, type, subject, occurred, about, erased, data FROM noted WHERE {where} ORDER BY position",
            values,
        )
        return map(_event_of, rows)

    def event(self, position: int) -> Event | None:
        """Return the noted event at a position, or None."""
        return next(self.events("position = ?", position), None)

    def corrections(self, root: Event) -> Corrections:
        """Return the corrections of an event: all events about it, directly or through others."""
        about: dict[int, list[Event]] = {}
        pending = [root.position]
        while pending:
            position = pending.pop()
            speaking = [event for event in self.events("about = ?", position) if event.position > position]
            about[position] = speaking
            pending += [event.position for event in speaking if event.position not in about]
        return Corrections(about)

    def close(self) -> None:
        """Close the file."""
        self.db.close()


def noted_of(rows: Sequence[Row], *, evidence: bool) -> list[Row]:
    """Return the events that later checks need, with those that only cite documents if `evidence` is True."""
    return [row for row in rows if not row.data or row.type in _NOTED or (evidence and _CITING in row.data)]


def about_of(data: bytes) -> int | None:
    """Return the position of the event that an event with this data is about, or None."""
    try:
        fields = orjson.loads(data)
    except ValueError:
        return None
    return _number(fields.get("event")) if isinstance(fields, dict) else None


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= MAX_INTEGER else None


def _event_of(row: tuple[Any, ...]) -> Event:
    position, type_, subject, occurred, about, erased, data = row
    left = erased_data(about) if erased else data
    return Event(position, 0, subject, type_, "", "", None, occurred, left, "", "", bool(erased))
