"""The cache of subjects of the write half: an event about a cached subject reads nothing from the file.

The record of a subject is written with the buffered rows (`projections.engine.buffer`), once for all events that
changed it. Undoing a batch restores the records that it changed. This module knows no rules and folds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from domain.corrections import Fact
from domain.edtf import BEFORE
from domain.lifespan import NO_FACTS, LifespanSummary
from domain.membership import FOREVER, FirstConsent, InForcePossibilities
from domain.subject_state import InForcePeriod
from projections.engine import lifespans
from projections.engine.buffer import Buffer, Row

_MOST = 5_000
_MOST_CACHED = 1_000
_MOST_BYTES = 64 * 2**20
"""Approximate memory of all cached subjects: one fact may give a subject thousands of rows."""
_COLUMNS = "id, name, version, last, holds, lifespan, basis, force"
_INSERT = f"INSERT INTO subjects({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE subjects SET version = ?, last = ?, holds = ?, lifespan = ?, basis = ?, force = ? WHERE id = ?"
NOTHING_IN_FORCE = (InForcePeriod(BEFORE, FOREVER, None, InForcePossibilities(False, False, True), None),)

RowsKey = tuple[Any, ...]


class Basis(NamedTuple):
    """The inputs of the memberships of a subject beside their own facts: if these change, memberships are folded again.

    `creation` is the first possible day of its creation, `end` the possible days of its end.
    `consent` is the first consent to be bound, as far as entries into force depend on it.
    `lapses` are the days on which it is past its `until`.
    `provenance` describes the agreement-wide facts.
    `created_by` is the last possible day of its creation, if something depends on it.
    `planned_from` is the first possible day of a commitment.
    """

    creation: int
    end: tuple[int, int] | None
    consent: FirstConsent
    lapses: tuple[tuple[int, int], ...]
    provenance: tuple[tuple[Any, ...], ...]
    created_by: int | None
    planned_from: int


class CachedFact(NamedTuple):
    """A current fact, the id of its row, its tags, and whether it describes its subject itself (`core`)."""

    fact: Fact
    row: int
    keys: frozenset[int]
    core: bool


@dataclass(slots=True)
class Weight:
    """An approximate number of bytes of memory."""

    bytes: int = 0


@dataclass(slots=True)
class CachedSubject:
    """All current facts and rows of a subject with few facts.

    `facts` are by position, in the order of folding; `rows` are by table and key, each with its id.
    `total` is the weight of all cached subjects, `own` the weight of this one.
    """

    total: Weight
    own: int = 0
    facts: dict[int, CachedFact] = field(default_factory=dict)
    rows: dict[RowsKey, dict[Row, int]] = field(default_factory=dict)

    def add(self, fact: Fact, row: int, keys: frozenset[int], *, core: bool) -> None:
        """Add a current fact."""
        last = next(reversed(self.facts.values()), None)
        self.facts[fact.position] = CachedFact(fact, row, keys, core)
        if last is not None and fact.order < last.fact.order:
            ordered = sorted(self.facts.items(), key=lambda each: each[1].fact.order)
            self.facts = dict(ordered)

    def copied(self) -> CachedSubject:
        """Return a copy for undoing. It is shallow: rows of a key are replaced, never changed."""
        return CachedSubject(self.total, self.own, dict(self.facts), dict(self.rows))

    def grow(self, size: int) -> None:
        """Add `size` bytes to the weight."""
        self.own += size
        self.total.bytes += size

    def of(self, table: str) -> Iterator[Row]:
        """Yield every current row of a table."""
        for place, rows in self.rows.items():
            if place[0] == table:
                yield from rows


@dataclass(slots=True)
class Subject:
    """The record of a subject that events are about.

    `last` is the position of the last of them.
    `holds` are bits for its lists that have items (see `projections.engine.event_index`).
    `lifespan` summarises its facts (see `domain.lifespan`).
    `basis` are the inputs with which its memberships were folded, `force` is the joint force of these memberships.
    `context` is the cache of `projections.projector`.
    `is_written` is True if the file has a row of it, `is_changed` if the record differs from that row.
    """

    number: int
    name: str
    version: int
    last: int
    holds: int = 0
    lifespan: LifespanSummary = NO_FACTS
    basis: Basis | None = None
    force: Sequence[InForcePeriod] = NOTHING_IN_FORCE
    cached: CachedSubject | None = None
    context: Any = None
    is_written: bool = False
    is_changed: bool = True

    @property
    def row(self) -> Row:
        """The columns after the name."""
        basis = None if self.basis is None else orjson.dumps(tuple(self.basis), default=tuple)
        force = None if self.force is NOTHING_IN_FORCE else orjson.dumps([_force_json(days) for days in self.force])
        return self.version, self.last, self.holds, lifespans.encode(self.lifespan), basis, force


_FIELDS = attrgetter(*(each.name for each in fields(Subject)))


class Subjects:
    """The records of subjects, on the connection of the write half."""

    def __init__(self, db: Buffer) -> None:
        self._db = db
        self._by_number: dict[int, Subject] = {}
        self._by_name: dict[str, Subject] = {}
        self._absent: dict[str, None] = {}
        self._cached: dict[int, Subject] = {}
        self._weight = Weight()
        self._changed: dict[int, Subject] = {}
        self._before: dict[int, Subject | None] | None = None
        db.flush_dirty = self._flush_dirty

    def find(self, name: str) -> Subject | None:
        """Return the subject with a name; None if no event is about it."""
        found = self._by_name.get(name)
        if found is None and name not in self._absent:
            row = self._db.look(f"SELECT {_COLUMNS} FROM subjects WHERE name = ?", (name,))
            if row is None:
                self._absent[name] = None
            else:
                found = self._remember(_subject(row))
        return found

    def miss(self, name: str) -> None:
        """Note that no event is about a name yet, so that `find` does not look it up."""
        self._absent[name] = None

    def named(self, name: str) -> Subject:
        """Return the subject with a name. Raise LookupError if no event is about it."""
        found = self._by_name.get(name) or self.find(name)
        if found is None:
            raise LookupError(f"{name} is named before any event is about it")
        return found

    def get(self, number: int) -> Subject:
        """Return the subject with a number, which must exist."""
        found = self._by_number.get(number)
        if found is None:
            found = self._remember(_subject(self._db.look(f"SELECT {_COLUMNS} FROM subjects WHERE id = ?", (number,))))
        return found

    def add(self, name: str, version: int, last: int) -> Subject:
        """Return a new subject, for its first event."""
        subject = Subject(self._db.next_id("subjects"), name, version, last, cached=CachedSubject(self._weight))
        self._absent.pop(name, None)
        self._cached[subject.number] = subject
        self._changed[subject.number] = self._remember(subject)
        self._db.is_flushed = False
        if self._before is not None:
            self._before[subject.number] = None
        return subject

    def save_for_undo(self, subject: Subject) -> None:
        """Save the record of a subject for `undo_batch`. Call it before its cache or its context changes."""
        if self._before is not None and subject.number not in self._before:
            self._before[subject.number] = before = Subject(*_FIELDS(subject))
            before.context = copy(subject.context)
            before.cached = None if subject.cached is None else subject.cached.copied()

    def mark_dirty(self, subject: Subject) -> Subject:
        """Save the record for `undo_batch` and mark it as changed. Return it.

        Call it immediately before a change, without a query of the database in between: that would write the record.
        Values in the record are replaced, never changed.
        """
        self.save_for_undo(subject)
        subject.is_changed = True
        self._changed[subject.number] = subject
        self._db.is_flushed = False
        return subject

    def cache(self, subject: Subject) -> None:
        """Cache a subject that has no facts yet."""
        subject.cached = CachedSubject(self._weight)
        self._cached[subject.number] = subject

    def discard(self, subject: Subject) -> None:
        """Drop a subject; changes of its record are never written."""
        self.evict(subject)
        self._changed.pop(subject.number, None)
        self._by_number.pop(subject.number, None)
        self._by_name.pop(subject.name, None)

    def evict(self, subject: Subject) -> None:
        """Drop the cached facts and rows of a subject."""
        if subject.cached is not None:
            subject.cached.grow(-subject.cached.own)
            subject.cached = None
        self._cached.pop(subject.number, None)

    def evict_if_full(self) -> None:
        """Evict the oldest subjects beyond the limits. No caller may hold a record from before."""
        while self._cached and (len(self._cached) > _MOST_CACHED or self._weight.bytes > _MOST_BYTES):
            oldest = next(iter(self._cached.values()))
            oldest.context = None
            self.evict(oldest)
        while len(self._by_number) > _MOST:  # a few at a time: to drop thousands would take milliseconds
            first = next(iter(self._by_number.values()))
            if first.is_changed:
                self._db.flush()
            self.discard(first)
        while len(self._absent) > _MOST:
            del self._absent[next(iter(self._absent))]

    def begin_batch(self) -> None:
        """Begin a batch: changes from here on can be undone until `release_batch`."""
        self._before = {}

    def release_batch(self) -> None:
        """End the batch: its changes become part of the transaction."""
        self._before = None

    def undo_batch(self) -> None:
        """Restore every record, and its cache, as it was when the batch began."""
        assert self._before is not None
        for number, before in self._before.items():
            subject = self._by_number.pop(number)
            del self._by_name[subject.name]
            self.evict(subject)
            self._changed.pop(number, None)
            if before is None:
                self._absent[subject.name] = None
            else:
                self._remember(before)
                if before.cached is not None:
                    self._cached[number] = before
                    self._weight.bytes += before.cached.own
                if before.is_changed:
                    self._changed[number] = before
        self._before = None

    def forget(self) -> None:
        """Drop everything, after the transaction was undone or the buffered rows were written."""
        for records in (self._by_number, self._by_name, self._cached, self._changed, self._absent):
            records.clear()
        self._weight.bytes = 0
        self._before = None

    def _remember(self, subject: Subject) -> Subject:
        self._by_number[subject.number] = self._by_name[subject.name] = subject
        return subject

    def _flush_dirty(self, earlier: bool) -> None:
        """Put the rows of changed records into the buffer; with `earlier` as they were before the batch."""
        before = self._before if earlier and self._before is not None else {}
        for number, subject in list(self._changed.items()):
            was = before.get(number, subject)
            if was is None or not was.is_changed:
                continue
            if was.is_written:
                self._db.amend(_UPDATE, (*was.row, number))
            else:
                self._db.put(_INSERT, (number, was.name, *was.row))
            was.is_changed, was.is_written = False, True
            subject.is_written = True
            if was is subject:
                del self._changed[number]


def _subject(row: Row) -> Subject:
    number, name, version, last, holds, lifespan, basis, force = row
    return Subject(
        number,
        name,
        version,
        last,
        holds,
        lifespans.decode(lifespan),
        None if basis is None else _basis(basis),
        NOTHING_IN_FORCE if force is None else tuple(_force(days) for days in orjson.loads(force)),
        is_written=True,
        is_changed=False,
    )


def _basis(stored: bytes) -> Basis:
    creation, end, consent, lapses, provenance, created_by, planned_from = orjson.loads(stored)
    return Basis(
        creation,
        None if end is None else tuple(end),
        FirstConsent(*consent),
        tuple([(since, until) for since, until in lapses]),
        tuple([(*fact, tuple(positions)) for *fact, positions in provenance]),
        created_by,
        planned_from,
    )


def _force_json(days: InForcePeriod) -> list[Any]:
    return [days.valid_from, days.valid_to, days.default_status, list(days.possible), days.position]


def _force(days: list[Any]) -> InForcePeriod:
    since, until, default_status, may, position = days
    return InForcePeriod(since, until, default_status, InForcePossibilities(*may), position)
