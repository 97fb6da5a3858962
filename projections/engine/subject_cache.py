"""What the write half keeps in memory of subjects, so that events about one that was lately written about read nothing.

A subject's record is written when what waits is (`projections.engine.buffer`), once for however many events changed it.
Undoing a batch brings the records it touched back to what they were. It knows no rules and folds nothing.
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
from domain.membership import FOREVER, FirstConsent, InForcePossibilities
from domain.subject_state import InForcePeriod
from projections.engine import lifespans
from projections.engine.buffer import Buffer, Row

_MOST = 5_000
_MOST_CACHED = 1_000
_MOST_BYTES = 64 * 2**20
"""Of memory, about, that what is at hand may take: one subject may have thousands of rows by a single fact."""
_COLUMNS = "id, name, version, last, holds, lifespan, basis, force"
_INSERT = f"INSERT INTO subjects({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE subjects SET version = ?, last = ?, holds = ?, lifespan = ?, basis = ?, force = ? WHERE id = ?"
NOTHING_IN_FORCE = (InForcePeriod(BEFORE, FOREVER, None, InForcePossibilities(False, False, True), None),)

RowsKey = tuple[Any, ...]


class Basis(NamedTuple):
    """What a subject's ties depend on beside their own facts: when it came about, at the earliest, and ended; the first
    consent to be bound, as far as entries into force of the whole depend on it; the days on which it is past its
    `until`; what bears on all ties; by when it had come about.
    """

    creation: int
    end: tuple[int, int] | None
    consent: FirstConsent
    lapses: tuple[tuple[int, int], ...]
    provenance: tuple[tuple[Any, ...], ...]
    made: int | None


class CachedFact(NamedTuple):
    """A standing fact, the id of its row, the keys it is linked by, and whether it describes its subject itself."""

    fact: Fact
    row: int
    keys: frozenset[int]
    core: bool


@dataclass(slots=True)
class Weight:
    """Bytes of memory, about."""

    bytes: int = 0


@dataclass(slots=True)
class CachedSubject:
    """All that is known of a subject with few facts: what stands of it, by position, and its present rows, with their
    ids, by table and key. `total` is the weight of all that are at hand together.
    """

    total: Weight
    own: int = 0
    facts: dict[int, CachedFact] = field(default_factory=dict)
    """In the order of folding."""
    rows: dict[RowsKey, dict[Row, int]] = field(default_factory=dict)

    def believe(self, fact: Fact, row: int, keys: frozenset[int], *, core: bool) -> None:
        """One fact more stands."""
        last = next(reversed(self.facts.values()), None)
        self.facts[fact.position] = CachedFact(fact, row, keys, core)
        if last is not None and fact.order < last.fact.order:
            ordered = sorted(self.facts.items(), key=lambda each: each[1].fact.order)
            self.facts = dict(ordered)

    def copied(self) -> CachedSubject:
        """The same as it is now. Its rows by key are replaced, never altered."""
        return CachedSubject(self.total, self.own, dict(self.facts), dict(self.rows))

    def grow(self, size: int) -> None:
        """It takes so many bytes more."""
        self.own += size
        self.total.bytes += size

    def of(self, table: str) -> Iterator[Row]:
        """Every present row in a table."""
        for place, rows in self.rows.items():
            if place[0] == table:
                yield from rows


@dataclass(slots=True)
class Subject:
    """A subject that events are about. `holds` are bits (see `projections.engine.event_index`); `lifespan` sums up its
    facts (see `projections.engine.lifespans`); `basis` is what its memberships were folded with, `force` what was in
    force through them.
    """

    number: int
    name: str
    version: int
    last: int
    holds: int = 0
    lifespan: lifespans.LifespanSummary = lifespans.NOTHING
    basis: Basis | None = None
    force: Sequence[InForcePeriod] = NOTHING_IN_FORCE
    cached: CachedSubject | None = None
    context: Any = None
    """What `projections.projector` keeps of it."""
    is_written: bool = False
    is_changed: bool = True

    @property
    def row(self) -> Row:
        """Its columns after the name."""
        basis = None if self.basis is None else orjson.dumps(tuple(self.basis), default=tuple)
        force = None if self.force is NOTHING_IN_FORCE else orjson.dumps([_force_json(days) for days in self.force])
        return self.version, self.last, self.holds, lifespans.encode(self.lifespan), basis, force


_FIELDS = attrgetter(*(each.name for each in fields(Subject)))


class Subjects:
    """The records of subjects, on the write half's connection."""

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
        """The subject of a name; None if no event is about it."""
        found = self._by_name.get(name)
        if found is None and name not in self._absent:
            row = self._db.look(f"SELECT {_COLUMNS} FROM subjects WHERE name = ?", (name,))
            if row is None:
                self._absent[name] = None
            else:
                found = self._keep(_subject(row))
        return found

    def miss(self, name: str) -> None:
        """Look for no subject of a name that no event was about yet."""
        self._absent[name] = None

    def named(self, name: str) -> Subject:
        """The subject of a name where only what exists may be named. Raises LookupError."""
        found = self._by_name.get(name) or self.find(name)
        if found is None:
            raise LookupError(f"{name} is named before any event is about it")
        return found

    def get(self, number: int) -> Subject:
        """The subject of a number, which there is."""
        found = self._by_number.get(number)
        if found is None:
            found = self._keep(_subject(self._db.look(f"SELECT {_COLUMNS} FROM subjects WHERE id = ?", (number,))))
        return found

    def add(self, name: str, version: int, last: int) -> Subject:
        """A subject that an event is about for the first time."""
        subject = Subject(self._db.next_id("subjects"), name, version, last, cached=CachedSubject(self._weight))
        self._absent.pop(name, None)
        self._cached[subject.number] = subject
        self._changed[subject.number] = self._keep(subject)
        self._db.is_settled = False
        if self._before is not None:
            self._before[subject.number] = None
        return subject

    def save_for_undo(self, subject: Subject) -> None:
        """To be called, in each batch, before what is at hand of a subject changes, or its context."""
        if self._before is not None and subject.number not in self._before:
            self._before[subject.number] = before = Subject(*_FIELDS(subject))
            before.context = copy(subject.context)
            before.cached = None if subject.cached is None else subject.cached.copied()

    def mark_dirty(self, subject: Subject) -> Subject:
        """The same; to be called right before something of it is changed, with no question to the database between.
        Values that it holds are replaced, never altered.
        """
        self.save_for_undo(subject)
        subject.is_changed = True
        self._changed[subject.number] = subject
        self._db.is_settled = False
        return subject

    def cache(self, subject: Subject) -> None:
        """Keep at hand all that will be known of a subject, of which nothing is known yet."""
        subject.cached = CachedSubject(self._weight)
        self._cached[subject.number] = subject

    def discard(self, subject: Subject) -> None:
        """Forget a subject; what changed of its record is never written."""
        self.evict(subject)
        self._changed.pop(subject.number, None)
        self._by_number.pop(subject.number, None)
        self._by_name.pop(subject.name, None)

    def evict(self, subject: Subject) -> None:
        """Keep no longer at hand all that is known of it."""
        if subject.cached is not None:
            subject.cached.grow(-subject.cached.own)
            subject.cached = None
        self._cached.pop(subject.number, None)

    def evict_if_full(self) -> None:
        """Keep no more than is worth it. Whoever holds a record or changes one is done with it."""
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
        """What is changed from here on can be undone until `keep_batch`."""
        self._before = {}

    def keep_batch(self) -> None:
        """The batch becomes part of the transaction."""
        self._before = None

    def undo_batch(self) -> None:
        """Every record is what it was when the batch began, and what is at hand of it too."""
        assert self._before is not None
        for number, before in self._before.items():
            subject = self._by_number.pop(number)
            del self._by_name[subject.name]
            self.evict(subject)
            self._changed.pop(number, None)
            if before is None:
                self._absent[subject.name] = None
            else:
                self._keep(before)
                if before.cached is not None:
                    self._cached[number] = before
                    self._weight.bytes += before.cached.own
                if before.is_changed:
                    self._changed[number] = before
        self._before = None

    def forget(self) -> None:
        """Drop everything, after the transaction was undone or what waited was written."""
        for records in (self._by_number, self._by_name, self._cached, self._changed, self._absent):
            records.clear()
        self._weight.bytes = 0
        self._before = None

    def _keep(self, subject: Subject) -> Subject:
        self._by_number[subject.number] = self._by_name[subject.name] = subject
        return subject

    def _flush_dirty(self, earlier: bool) -> None:
        """Put the rows of changed records; `earlier`: as they were before the batch."""
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
    creation, end, consent, lapses, provenance, made = orjson.loads(stored)
    return Basis(
        creation,
        None if end is None else tuple(end),
        FirstConsent(*consent),
        tuple([(since, until) for since, until in lapses]),
        tuple([(*said, tuple(positions)) for *said, positions in provenance]),
        made,
    )


def _force_json(days: InForcePeriod) -> list[Any]:
    return [days.valid_from, days.valid_to, days.default_status, list(days.possible), days.position]


def _force(days: list[Any]) -> InForcePeriod:
    since, until, default_status, may, position = days
    return InForcePeriod(since, until, default_status, InForcePossibilities(*may), position)
