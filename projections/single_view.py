"""One list of a whole log, folded one subject after the other, as of one position: for whoever asks for that list and
no other. It is folded by the code that folds all views.

What is known of a subject is forgotten once its rows are folded, and of most subjects only those are ever written.
Before the first of them comes who is one with whom, and every event that may change what another says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from domain.corrections import Event, Fact, stated
from projections.engine.bitemporal import MEMBERSHIPS
from projections.engine.clusters import add_edge, edges_of
from projections.engine.database import complete_canonical_rows, connect, create
from projections.engine.lifespans import NOTHING, recounted
from projections.engine.specification import Scope
from projections.fact_store import FactStore
from projections.projector import Projector

CHANGING = frozenset(("event.corrected", "event.retracted", "event.disputed"))
"""Events about events that may change which facts are current."""
_MERGER = "party.merged"
_PARTY_LIFESPAN = ("party.registered", "party.dissolved")
"""The events that begin and end the lifespan of a party, on which its memberships depend."""
_FEW = 64
"""Facts of one subject that are kept in memory; where there are more, they are written."""
_AT_ONCE = 500
"""Of those, how many are folded at once."""
_COMMITTED = 2_000
"""Subjects between two commits."""
_PUT_SUBJECT = "INSERT INTO subjects(id, name, version, last, holds) VALUES (?, ?, 0, 0, 0)"


class SubjectEvents(Protocol):
    """A log up to a position."""

    def subjects(self) -> Iterable[str]:
        """Every subject, in the order of their first events."""

    def of_types(self, types: Collection[str]) -> Iterable[Event]:
        """The events of some types, in order."""

    def of_collections(self, collections: Collection[str]) -> Iterable[Event]:
        """The events of some collections, subject by subject, in the order of `subjects`."""

    def of_subject(self, subject: str) -> Iterable[Event]:
        """The events of one subject, in order."""


class SingleViewReplay:
    """One list in a file of its own, that is only ever asked for the lines of that list."""

    def __init__(self, path: Path, scope: Scope) -> None:
        """`path` is where there is no file yet."""
        self._db = connect(path, building=True)
        create(self._db, (), building=True)
        self._known = FactStore(self._db)
        self._scope = scope
        self._passing = (MEMBERSHIPS.insert,) if MEMBERSHIPS.name in scope.passing else ()
        self._projector = Projector(self._db, self._known, scope)

    def fold(self, log: SubjectEvents, until: int) -> None:
        """Fold the log up to a position, which is where `log` ends."""
        self._db.execute("BEGIN")
        self._db.executemany(_PUT_SUBJECT, enumerate(log.subjects(), 1))
        changed = self._hear(log.of_types(CHANGING), until)
        self._unite(log.of_types((_MERGER,)), changed)
        if MEMBERSHIPS.name in self._scope.rows:
            self._start_parties(log, changed)
        lives = groupby(log.of_collections(self._scope.folded), attrgetter("subject"))
        for count, (subject, events) in enumerate(lives, 1):
            self._known.evict_if_full()
            self._fold(subject, events, log, changed, until)
            if count % _COMMITTED == 0:
                self._db.flush()
                self._db.execute("COMMIT")
                self._db.execute("BEGIN")
        self._db.flush()
        self._db.execute("COMMIT")
        complete_canonical_rows(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _hear(self, events: Iterable[Event], until: int) -> bytearray:
        """Keep the events that may change others; by position, whether an event is one that they may change."""
        changed = bytearray(until + 1)
        for event in events:
            self._known.evict_if_full()
            self._known.put_event(event)
            if event.about is not None and event.about <= until:
                changed[event.about] = True
        return changed

    def _unite(self, events: Iterable[Event], changed: bytearray) -> None:
        known = self._known
        standing = [fact for event in events if (fact := self._fact(event, changed)) is not None]
        mergers = [
            (known.must_find(fact.subject), known.must_find(fact.data.into), fact.position)  # type: ignore[attr-defined]
            for fact in standing
        ]
        for edge in edges_of(mergers):
            add_edge(self._db, edge, edge[-1])
        known.forget_mergers()

    def _start_parties(self, log: SubjectEvents, changed: bytearray) -> None:
        """Know when parties came about and ended: memberships depend on it."""
        known, dissolved = self._known, set[int]()
        for event in log.of_types(_PARTY_LIFESPAN):
            known.evict_if_full()
            number = known.must_find(event.subject)
            if event.kind.ends:
                dissolved.add(number)
            elif event.occurred is not None or changed[event.position]:
                fact = self._fact(event, changed)
                if fact is not None:
                    known.subjects.mark_dirty(known.subjects.get(number)).lifespan = recounted([fact])
        for number in {member for each in dissolved for member in known.cluster_of(each)}:
            known.subjects.mark_dirty(known.subjects.get(number)).lifespan = NOTHING
            for event in log.of_subject(known.name(number)):
                known.evict_if_full()
                if (fact := self._fact(event, changed)) is not None:
                    known.put_event(event)
                    known.put_fact(fact, number, event.position, altered=changed[event.position] > 0)
        self._db.flush()

    def _fold(self, subject: str, events: Iterator[Event], log: SubjectEvents, changed: bytearray, until: int) -> None:
        known = self._known
        number = known.must_find(subject)
        members = known.cluster_of(number)
        if members[0] != number:
            return
        if len(members) > 1:
            events = merge(*(log.of_subject(known.name(each)) for each in members), key=attrgetter("position"))
        known.start(members)
        standing = ((event, fact) for event in events if (fact := self._fact(event, changed)) is not None)
        first = list(islice(standing, _FEW + 1))
        if len(first) <= _FEW:
            for _, fact in first:
                known.cache_fact(fact, known.must_find(fact.subject))
            if first:
                self._projector.fold(number, [fact for _, fact in first], until)
                self._db.discard(self._passing)
        else:
            self._fold_many(number, chain(first, standing), changed, until)
        known.discard(members)

    def _fold_many(self, number: int, standing: Iterable[tuple[Event, Fact]], changed: bytearray, until: int) -> None:
        """Fold more facts than are to be in memory at once."""
        facts: list[Fact] = []
        for event, fact in standing:
            self._known.evict_if_full()
            own = self._known.put_event(event)
            self._known.put_fact(fact, own, event.position, altered=changed[event.position] > 0)
            facts.append(fact)
            if len(facts) == _AT_ONCE:
                self._projector.fold(number, facts, until)
                facts = []
        if facts:
            self._projector.fold(number, facts, until)

    def _fact(self, event: Event, changed: bytearray) -> Fact | None:
        """What stands of an event, if it says anything about the world."""
        kind = event.kind
        if kind.collection is None or not kind.is_posted:
            return None
        if changed[event.position]:
            return self._known.standing(event, also="event.disputed").fact(event)
        return stated(event, event.model)
