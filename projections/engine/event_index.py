"""The index of events: events by position, and the numbers of subjects and strings. Both halves of the views use it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Corrections, Event, erased_data
from domain.event_type import EventType
from projections.engine.clusters import cluster_of, survivor
from projections.engine.database import CURRENT

KINDS: Mapping[int, EventType] = {kind.rank: kind for kind in CATALOGUE.values()}
"""The event types by rank."""
REMARKS = 1 << 30
"""The bit of `holds` of a subject with events about its events. Each list with items has a bit of its own."""
TEXT = 1 << 29
"""The bit of `holds` of a document whose text is, or was, stored."""
_CACHED = 20_000
_REDACTED = CATALOGUE["event.redacted"].rank
DISPUTED = CATALOGUE["event.disputed"].rank
_ALTERING = tuple(CATALOGUE[name].rank for name in ("event.corrected", "event.retracted"))


def type_of(rank: Any) -> Any:
    """Return the name of the event type of a stored rank; a rank that no type has is returned as it is."""
    return KINDS[rank].name if isinstance(rank, int) and rank in KINDS else rank


@dataclass(slots=True)
class Interned:
    """The table of strings, each stored once, by number. Its bounded cache ends when a transaction is undone."""

    connection: sqlite3.Connection
    by_text: dict[str, int]
    by_id: dict[int, str]

    def number(self, text: str) -> int:
        """Return the number of a string; store the string if it has none."""
        found = self.find(text)
        if found is None:
            found = self.connection.execute("INSERT INTO strings(text) VALUES (?)", (text,)).lastrowid
            assert found is not None
            self._remember(text, found)
        return found

    def find(self, text: str) -> int | None:
        """Return the number of a string; None if it is not stored."""
        found = self.by_text.get(text)
        if found is None:
            row = self._written("SELECT id FROM strings WHERE text = ?", text)
            if row is None:
                return None
            found = row[0]
            self._remember(text, row[0])
        return found

    def _remember(self, text: str, number: int) -> None:
        if len(self.by_text) >= _CACHED:
            self.forget()
        self.by_text[text] = number

    def _written(self, statement: str, value: str) -> Any:
        return self.connection.execute(statement, (value,)).fetchone()

    def text(self, number: int) -> str:
        """Return the string of a number."""
        found = self.by_id.get(number)
        if found is None:
            if len(self.by_id) >= _CACHED:
                self.forget()
            (found,) = self.connection.execute("SELECT text FROM strings WHERE id = ?", (number,)).fetchone()
            self.by_id[number] = found
        return found

    def forget(self) -> None:
        """Drop the cache."""
        self.by_text.clear()
        self.by_id.clear()


class EventIndex:
    """Subjects by number, and events as recorded."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.db = connection
        self.words = Interned(connection, {}, {})
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._merged: frozenset[int] | None = None

    def forget(self) -> None:
        """Drop the caches, after a transaction was undone."""
        self.words.forget()
        self._ids.clear()
        self._names.clear()
        self.forget_mergers()

    def find(self, subject: str) -> int | None:
        """Return the number of a subject; None if no event is about it."""
        found = self._ids.get(subject)
        if found is None:
            row = self.db.execute("SELECT id FROM subjects WHERE name = ?", (subject,)).fetchone()
            if row is None:
                return None
            found = row[0]
            self.remember(subject, row[0])
        return found

    def remember(self, subject: str, number: int) -> None:
        """Cache the number of a subject."""
        if len(self._ids) >= _CACHED or len(self._names) >= _CACHED:
            self._ids.clear()
            self._names.clear()
        self._ids[subject] = number
        self._names[number] = subject

    def must_find(self, subject: str) -> int:
        """Return the number of a subject. Raise LookupError if no event is about it."""
        found = self.find(subject)
        if found is None:
            raise LookupError(f"{subject} is named before any event is about it")
        return found

    def name(self, number: int) -> str:
        """Return the subject name of a number."""
        found = self._names.get(number)
        if found is None:
            if len(self._names) >= _CACHED:
                self._names.clear()
            (found,) = self.db.execute("SELECT name FROM subjects WHERE id = ?", (number,)).fetchone()
            self._names[number] = found
        return found

    def survivor(self, number: int, as_of: int = CURRENT - 1) -> int:
        """Return the survivor of a party as of a position; the party itself if it was not merged."""
        if self._merged is None:
            self._merged = self._ever_merged()
        return survivor(self.db, number, as_of) if number in self._merged else number

    def cluster_of(self, number: int, as_of: int = CURRENT - 1) -> list[int]:
        """Return every party of the cluster of a party as of a position, the survivor first."""
        if self._merged is None:
            self._merged = self._ever_merged()
        return cluster_of(self.db, number, as_of) if number in self._merged else [number]

    def forget_mergers(self) -> None:
        """Drop the cached set of parties that were ever merged. Call it when mergers may have changed."""
        self._merged = None

    def _ever_merged(self) -> frozenset[int]:
        rows = self.db.execute("SELECT loser, survivor FROM mergers").fetchall()
        return frozenset(number for row in rows for number in row)

    def event(self, position: int) -> Event | None:
        """Return the event at a position; None if there is none."""
        row = self.db.execute("SELECT * FROM events WHERE position = ?", (position,)).fetchone()
        return self.decoded(row) if row else None

    def events(self, positions: Iterable[int]) -> dict[int, Event]:
        """Return the events at some positions, by position."""
        rows = self.db.execute(
            "SELECT e.* FROM json_each(?) j CROSS JOIN events e ON e.position = j.value",
            (orjson.dumps(list(positions)).decode(),),
        ).fetchall()
        return {row[0]: self.decoded(row) for row in rows}

    def redacted_by(self, position: int) -> int | None:
        """Return the position of the redaction of the event at a position; None if there is none."""
        row = self.db.execute(
            "SELECT position FROM events WHERE about = ? AND rank = ? LIMIT 1", (position, _REDACTED)
        ).fetchone()
        return row[0] if row else None

    def corrections(self, root: Event, as_of: int = CURRENT, also: str | None = None) -> Corrections:
        """Return the corrections and retractions of an event, directly or through others, up to a position.

        `also` is one more type of events about events to read; there may be many of them.
        """
        ranks = _ALTERING if also is None else (*_ALTERING, CATALOGUE[also].rank)
        about: dict[int, list[Event]] = {}
        pending = [root.position]
        while pending:
            position = pending.pop()
            rows = self.db.execute(
                f"SELECT * FROM events WHERE about = ? AND rank IN ({', '.join(map(str, ranks))}) AND position <= ?"
                " ORDER BY position",
                (position, as_of),
            ).fetchall()
            if rows:
                self._weigh(len(rows))
                about[position] = [self.decoded(row) for row in rows]
                pending += [row[0] for row in rows]
        return Corrections(about)

    def _weigh(self, count: int) -> None:
        """Check the time limit before `count` events are decoded. The read half has no limit here."""

    def decoded(self, row: Sequence[Any]) -> Event:
        """Return the event of a row of `events`; the data of an erased event is stored as an empty string."""
        position, subject, version, rank, recorded, about, source, id_, time, occurred, actor, data = row
        return Event(
            position,
            version,
            self.name(subject),
            KINDS[rank].name,
            self.words.text(source),
            id_,
            time,
            occurred,
            data or erased_data(about),
            recorded,
            self.words.text(actor),
            not data,
        )
