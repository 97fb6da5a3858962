"""Single-view replay: one view of a whole log as of one position, folded subject by subject.

The code that folds all views folds this one, too. The facts of a subject are discarded once its rows are folded, and of
most subjects only these rows are written. Mergers, and all events that may change others, are read before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from domain.corrections import Event, Fact, uncorrected_fact
from domain.lifespan import NO_FACTS, summarise
from domain.party import merger_edges
from projections.engine.bitemporal import MEMBERSHIPS
from projections.engine.clusters import add_edge
from projections.engine.database import complete_canonical_rows, connect, create
from projections.engine.specification import Scope
from projections.fact_store import FactStore
from projections.projector import Projector

CHANGING = frozenset(("event.corrected", "event.retracted", "event.disputed"))
"""Events about events that may change which facts are current."""
_MERGER = "party.merged"
_PARTY_LIFESPAN = ("party.registered", "party.dissolved")
"""The events that begin and end the lifespan of a party, on which its memberships depend."""
_FEW = 64
"""Most facts of one subject that stay in memory; of a larger subject they are written."""
_CHUNK = 500
"""Facts of a larger subject that are folded together."""
_COMMITTED = 2_000
"""Subjects between two commits."""
_PUT_SUBJECT = "INSERT INTO subjects(id, name, version, last, holds) VALUES (?, ?, 0, 0, 0)"


class SubjectEvents(Protocol):
    """A log up to a position."""

    def subjects(self) -> Iterable[str]:
        """Return every subject, in the order of their first events."""

    def of_types(self, types: Collection[str]) -> Iterable[Event]:
        """Return the events of some types, in order."""

    def of_collections(self, collections: Collection[str]) -> Iterable[Event]:
        """Return the events of some collections, subject by subject, in the order of `subjects`."""

    def of_subject(self, subject: str) -> Iterable[Event]:
        """Return the events of one subject, in order."""


class SingleViewReplay:
    """One view in a file of its own, which only serves the canonical rows of that view."""

    def __init__(self, path: Path, scope: Scope) -> None:
        """Create the file at `path`, where there must be none."""
        self._db = connect(path, building=True)
        create(self._db, (), building=True)
        self._store = FactStore(self._db)
        self._scope = scope
        self._passing = (MEMBERSHIPS.insert,) if MEMBERSHIPS.name in scope.passing else ()
        self._stored = set[int]()
        """The parties of which all facts are stored before any is folded."""
        self._projector = Projector(self._db, self._store, scope)

    def fold(self, log: SubjectEvents, until: int) -> None:
        """Fold the log up to a position, which is where `log` ends."""
        self._db.execute("BEGIN")
        self._db.executemany(_PUT_SUBJECT, enumerate(log.subjects(), 1))
        changed = self._put_remarks(log.of_types(CHANGING), until)
        self._put_mergers(log.of_types((_MERGER,)), changed)
        if MEMBERSHIPS.name in self._scope.rows:
            self._start_parties(log, changed)
        subjects = groupby(log.of_collections(self._scope.folded), attrgetter("subject"))
        for count, (subject, events) in enumerate(subjects, 1):
            self._store.evict_if_full()
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

    def _put_remarks(self, events: Iterable[Event], until: int) -> bytearray:
        """Store the events that may change others; return by position whether an event may be changed."""
        changed = bytearray(until + 1)
        for event in events:
            self._store.evict_if_full()
            self._store.put_event(event)
            if event.about is not None and event.about <= until:
                changed[event.about] = True
        return changed

    def _put_mergers(self, events: Iterable[Event], changed: bytearray) -> None:
        store = self._store
        current = [fact for event in events if (fact := self._fact(event, changed)) is not None]
        mergers = [
            (store.must_find(fact.subject), store.must_find(fact.data.into), fact.position)  # type: ignore[attr-defined]
            for fact in current
        ]
        for edge in merger_edges(mergers):
            add_edge(self._db, edge, edge[-1])
        store.forget_mergers()

    def _start_parties(self, log: SubjectEvents, changed: bytearray) -> None:
        """Store the lifespans of parties, as memberships depend on them."""
        store, dissolved = self._store, set[int]()
        for event in log.of_types(_PARTY_LIFESPAN):
            store.evict_if_full()
            number = store.must_find(event.subject)
            if event.kind.ends:
                dissolved.add(number)
            elif event.occurred is not None or changed[event.position]:
                fact = self._fact(event, changed)
                if fact is not None:
                    store.subjects.mark_dirty(store.subjects.get(number)).lifespan = summarise([fact])
        self._stored = {member for each in dissolved for member in store.cluster_of(each)}
        for number in self._stored:
            store.subjects.mark_dirty(store.subjects.get(number)).lifespan = NO_FACTS
            for event in log.of_subject(store.name(number)):
                store.evict_if_full()
                if (fact := self._fact(event, changed)) is not None:
                    store.put_event(event)
                    store.put_fact(fact, number, event.position, altered=changed[event.position] > 0)
        self._db.flush()

    def _fold(self, subject: str, events: Iterator[Event], log: SubjectEvents, changed: bytearray, until: int) -> None:
        store = self._store
        number = store.must_find(subject)
        members = store.cluster_of(number)
        if members[0] != number:
            return
        if number in self._stored:
            self._fold_stored(number, members, until)
            return
        if len(members) > 1:
            events = merge(*(log.of_subject(store.name(each)) for each in members), key=attrgetter("position"))
        for member in members:
            store.subjects.get(member).lifespan = NO_FACTS  # what was stored of it is found again with its facts
        store.start(members)
        current = ((event, fact) for event in events if (fact := self._fact(event, changed)) is not None)
        first = list(islice(current, _FEW + 1))
        if len(first) <= _FEW:
            for _, fact in first:
                store.cache_fact(fact, store.must_find(fact.subject))
            if first:
                self._projector.fold(number, [fact for _, fact in first], until)
                self._db.discard(self._passing)
        else:
            self._fold_many(number, chain(first, current), changed, until)
        store.discard(members)

    def _fold_stored(self, number: int, members: Collection[int], until: int) -> None:
        """Fold a subject of which all facts are stored."""
        facts = [fact for member in members for fact in self._store.facts(member)]
        for start in range(0, len(facts), _CHUNK):
            self._store.evict_if_full()
            self._projector.fold(number, facts[start : start + _CHUNK], until)
        self._store.discard(members)

    def _fold_many(
        self, number: int, facts_by_event: Iterable[tuple[Event, Fact]], changed: bytearray, until: int
    ) -> None:
        """Fold the facts of a subject with too many facts for memory."""
        facts: list[Fact] = []
        for event, fact in facts_by_event:
            self._store.evict_if_full()
            own = self._store.put_event(event)
            self._store.put_fact(fact, own, event.position, altered=changed[event.position] > 0)
            facts.append(fact)
            if len(facts) == _CHUNK:
                self._projector.fold(number, facts, until)
                facts = []
        if facts:
            self._projector.fold(number, facts, until)

    def _fact(self, event: Event, changed: bytearray) -> Fact | None:
        """Return the fact of an event after corrections; None where it states none."""
        kind = event.kind
        if kind.collection is None or not kind.is_posted:
            return None
        if changed[event.position]:
            return self._store.corrections(event, also="event.disputed").fact(event)
        return uncorrected_fact(event, event.model)
