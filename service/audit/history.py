"""The events that what comes later may depend on: those that speak of others, cite a document, register one or say what
became of its text, unite parties, or have lost their data. Noted in a file, as there may be any number of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Corrections, Event, erased_data
from domain.values import MAX_INTEGER
from service.audit.event_rows import Row

_SPEAKING = frozenset(name for name, kind in CATALOGUE.items() if kind.about_event)
_OTHERS = frozenset(("document.registered", "document.text-stored", "document.text-erased", "party.merged"))
_NOTED = _SPEAKING | _OTHERS
_CITING = b'"evidence"'
_SCHEMA = """
CREATE TABLE noted(
    position INTEGER PRIMARY KEY, type TEXT NOT NULL, subject TEXT NOT NULL, source TEXT, occurred TEXT, about INTEGER,
    redacted INTEGER, erased INTEGER NOT NULL, cites INTEGER NOT NULL, data BLOB NOT NULL);
"""
DOCUMENTS = "type >= 'document.' AND type < 'document/'"
"""The condition that an index goes by, to be repeated word for word: events of documents."""
_INDEXES = (
    "speaking ON noted(about) WHERE about IS NOT NULL",
    f"documents ON noted(subject) WHERE {DOCUMENTS}",
    "mergers ON noted(position) WHERE type = 'party.merged'",
)


class NotedEvents:
    """Events noted while the log goes by; asked once it has."""

    def __init__(self, folder: Path, *, evidence: bool = True) -> None:
        """Files go to the folder. What only cites documents is noted where `evidence` is wanted."""
        self._evidence = evidence
        self.db = sqlite3.connect(folder / "noted.sqlite", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(_SCHEMA)
        self.db.execute("BEGIN")

    def take(self, rows: Sequence[Row]) -> None:
        """Note what is to be noted of the next events, each of which fits by itself."""
        found = []
        for index in noted_of([row.type for row in rows], [row.data for row in rows], evidence=self._evidence):
            row = rows[index]
            data, redacted = row.data, _number(row.redacted)
            about = _number(row.about) if not data else speaks_of(data) if row.type in _SPEAKING else None
            cites = self._evidence and _CITING in data
            places = (row.position, row.type, row.subject, row.source)
            found.append((*places, row.occurred, about, redacted, not data, cites, data))
        if found:
            self.db.executemany("INSERT OR IGNORE INTO noted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", found)

    def end(self) -> None:
        """Every event has gone by."""
        for index in _INDEXES:
            self.db.execute(f"CREATE INDEX {index}")
        self.db.execute("COMMIT")

    def events(self, where: str, *values: object) -> Iterator[Event]:
        """The events noted that meet a condition, in order. `version`, names and times are not noted."""
        rows = self.db.execute(
            f"SELECT position, type, subject, occurred, about, erased, data FROM noted WHERE {where} ORDER BY position",
            values,
        )
        return map(_event_of, rows)

    def event(self, position: int) -> Event | None:
        """One of them."""
        return next(self.events("position = ?", position), None)

    def standing(self, root: Event) -> Corrections:
        """What stands of an event, by all that speak of it, directly or through others."""
        about: dict[int, list[Event]] = {}
        pending = [root.position]
        while pending:
            position = pending.pop()
            speaking = [event for event in self.events("about = ?", position) if event.position > position]
            about[position] = speaking
            pending += [event.position for event in speaking if event.position not in about]
        return Corrections(about)

    def close(self) -> None:
        """Closes the file."""
        self.db.close()


def noted_of(types: Iterable[Any], data: Iterable[bytes], *, evidence: bool) -> list[int]:
    """Which of some events are to be noted; those that only cite documents too where `evidence` is wanted."""
    return [
        index
        for index, (type_, kept) in enumerate(zip(types, data, strict=True))
        if not kept or type_ in _NOTED or (evidence and _CITING in kept)
    ]


def speaks_of(data: bytes) -> int | None:
    """The position of the event that an event with this data speaks of."""
    try:
        said = orjson.loads(data)
    except ValueError:
        return None
    return _number(said.get("event")) if isinstance(said, dict) else None


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= MAX_INTEGER else None


def _event_of(row: tuple[Any, ...]) -> Event:
    position, type_, subject, occurred, about, erased, data = row
    kept = erased_data(about) if erased else data
    return Event(position, 0, subject, type_, "", "", None, occurred, kept, "", "", bool(erased))
