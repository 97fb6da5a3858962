"""The fact store of the write half: events, the facts that they state after corrections, and mergers.

Decisions are taken on it, and views are folded from it. It stores every version of a fact with its transaction time. It
decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Event, Fact
from domain.edtf import BEFORE, Span
from domain.lifespan import (
    CREATING,
    ENDING,
    NOT_CREATING,
    NOT_ENDING,
    REINSTATING,
    Bounds,
    lifespan_of,
    merge_lifespans,
    summarise,
    with_fact,
    without_fact,
)
from domain.list_items import item_tags
from domain.membership import MEMBERSHIP_TYPES, PartyLifespan, is_member
from domain.payload import subjects_in
from domain.subject_state import describes
from projections.engine.buffer import Buffer
from projections.engine.database import CURRENT
from projections.engine.event_index import KINDS, REMARKS, EventIndex, Interned
from projections.engine.remaining_facts import OF_RANK, STARTED, Remaining, ranks_of
from projections.engine.subject_cache import Subjects

_OF_FACT = (
    "SELECT f.position, f.rank, f.lo, f.hi, f.stated, f.meaning, e.source, e.id, e.occurred, e.data, e.subject"
    " FROM facts f JOIN events e ON e.position = f.position WHERE f.id = ?"
)
_PUT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_FACT = (
    "INSERT INTO facts(id, position, subject, rank, system_from, system_to, lo, hi, at, stated, core, label, meaning)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_TAG = "INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?)"
_PUT_STRING = "INSERT INTO strings(id, text) VALUES (?, ?)"
_END_FACT = "UPDATE facts SET system_to = ? WHERE id = ?"
_CACHED_FACTS = 1_000
_FEW_FACTS = 64
_DECODED = 16
"""The memory that decoded data takes, about, as a multiple of its JSON."""
_MEMBERSHIP_RANKS = ", ".join(str(CATALOGUE[name].rank) for name in sorted(MEMBERSHIP_TYPES))
_NOTHING = (b"", b"{}")
"""Erased data, of an event and of a correction; events without any data have the same."""


class Strings(Interned):
    """Interned texts, also those that are not written yet."""

    connection: Buffer
    new: list[str] | None = None
    """The texts that got a number since the batch began."""

    def number(self, text: str) -> int:
        """Return the number of a text, a new one if it has none."""
        found = self.by_text.get(text) or self.find(text)
        if found is None:
            found = self.connection.next_id("strings")
            self.connection.put(_PUT_STRING, (found, text))
            self._remember(text, found)
            self.by_id[found] = text
            if self.new is not None:
                self.new.append(text)
        return found

    def undo_batch(self) -> None:
        """Drop the texts that got a number since the batch began."""
        for text in self.new or ():
            self.by_id.pop(self.by_text.pop(text, 0), None)
        self.new = None

    def forget(self) -> None:
        """Drop the cache, once everything is written."""
        self.connection.flush()
        super().forget()

    def _written(self, statement: str, value: str) -> Any:
        return self.connection.look(statement, (value,))


class FactStore(EventIndex):
    """Events and facts, for reading and writing, on the connection of the write half.

    It caches facts by the id of their row, which never changes; the records of subjects; and, of subjects that are new
    and have few facts, everything.
    """

    db: Buffer
    words: Strings

    def __init__(self, connection: Buffer) -> None:
        super().__init__(connection)
        self.words = Strings(connection, {}, {})
        self.subjects = Subjects(connection)
        self._facts_by_row: dict[int, Fact] = {}
        self._new_rows: list[int] | None = None
        """The rows of facts that the batch added."""
        self._merged_before: frozenset[int] | None = None
        self._merges = False
        """Whether the batch may have changed mergers."""

    def evict_if_full(self) -> None:
        """Evict subjects from a full cache. Call this between events."""
        self.subjects.evict_if_full()

    def begin_batch(self) -> None:
        """Begin a batch: what is stored from here on can be undone until `release_batch`."""
        self.evict_if_full()
        self.subjects.begin_batch()
        self.db.begin_batch()
        self.words.new, self._new_rows, self._merges = [], [], False
        self._merged_before = self._merged

    def release_batch(self) -> None:
        """Make the batch part of the transaction."""
        self.db.release_batch()
        self.subjects.release_batch()
        self.words.new = self._new_rows = None

    def undo_batch(self) -> None:
        """Undo everything since `begin_batch`; what was cached before stays cached."""
        self.db.undo_batch()
        self.subjects.undo_batch()
        self.words.undo_batch()
        for row in self._new_rows or ():
            self._facts_by_row.pop(row, None)
        self._new_rows = None
        if self._merges:
            self._merged = self._merged_before

    def forget(self) -> None:
        """Drop caches, after the transaction was undone."""
        self.db.forget()
        self.subjects.forget()
        self._forget_derived()

    def _forget_derived(self) -> None:
        self.words.by_text.clear()
        self.words.by_id.clear()
        self.words.new = self._new_rows = None
        self._facts_by_row.clear()
        self.forget_mergers()

    def forget_mergers(self) -> None:
        """Drop the cache of mergers; if the batch is undone, the one from before it is current again."""
        self._merges = True
        super().forget_mergers()

    def find(self, subject: str) -> int | None:
        """Return the number of a subject; None if no event is about it."""
        found = self.subjects.find(subject)
        return None if found is None else found.number

    def name(self, number: int) -> str:
        """Return the subject of a number."""
        return self.subjects.get(number).name

    def version(self, subject: str) -> int:
        """Return the version of the last event about a subject, 0 if there is none."""
        found = self.subjects.find(subject)
        return 0 if found is None else found.version

    def exists(self, number: int | None) -> bool:
        """Return whether a current fact creates the subject."""
        return number is not None and self.subjects.get(number).lifespan.exists

    def start(self, numbers: Iterable[int]) -> None:
        """Cache all facts of some subjects from here on, until `discard`; they must have none yet."""
        for number in numbers:
            self.subjects.cache(self.subjects.get(number))

    def discard(self, numbers: Iterable[int]) -> None:
        """Drop subjects for good; events and facts that are not written yet never will be."""
        for number in numbers:
            self.subjects.discard(self.subjects.get(number))
        self.db.discard((_PUT_EVENT, _PUT_FACT, _PUT_TAG))

    # events

    def put_event(self, event: Event) -> int:
        """Store an event; return the number of its subject."""
        kind, subject = event.kind, self.subjects.find(event.subject)
        if subject is None:
            subject = self.subjects.add(event.subject, event.version, event.position)
        else:
            self.subjects.mark_dirty(subject)
            subject.version, subject.last = event.version, event.position
            if kind.about_event:
                subject.holds |= REMARKS
        if subject.cached is not None:
            subject.cached.grow(_DECODED * len(event.data))
        self.db.put(
            _PUT_EVENT,
            (
                event.position,
                subject.number,
                event.version,
                kind.rank,
                event.recorded,
                event.about if kind.about_event else None,
                self.words.number(event.source),
                event.id,
                event.time,
                event.occurred,
                self.words.number(event.actor),
                b"" if event.erased else event.data,
            ),
        )
        return subject.number

    def holds(self, number: int, bit: int) -> bool:
        """Return whether a subject has or had something (see `now_holds`)."""
        return self.subjects.get(number).holds & bit != 0

    def now_holds(self, number: int, bit: int) -> None:
        """Record for good that a subject has something, by its bit (see `projections.engine.event_index`)."""
        subject = self.subjects.get(number)
        if not subject.holds & bit:
            self.subjects.mark_dirty(subject).holds |= bit

    def _weigh(self, count: int) -> None:
        """Raise TooLong where decoding `count` events takes too long."""
        self.db.limit.check(count)

    def mergers(self) -> list[Fact]:
        """Return the current mergers of parties, in the order of the log."""
        rows = self.db.execute("SELECT DISTINCT event FROM mergers ORDER BY event").fetchall()
        return [fact for (position,) in rows if (fact := self.fact(position)) is not None]

    # facts

    def put_fact(self, fact: Fact, number: int, since: int, *, altered: bool) -> int:
        """Make a fact current from a position on; return the id of its row."""
        meaning = None
        if altered:
            data = orjson.loads(fact.data.model_dump_json(exclude_unset=True, by_alias=True))
            meaning = orjson.dumps([fact.occurred, list(fact.positions), data])
        span, core, row = fact.span, describes(fact), self.db.next_id("facts")
        at, hi = span.sort_key
        label = f"{fact.source} {fact.id}"
        when = span.lo, hi, at, fact.latest
        self.db.put(
            _PUT_FACT, (row, fact.position, number, fact.kind.rank, since, CURRENT, *when, core, label, meaning)
        )
        keys = self._keys(fact)
        if keys:
            self.db.put_all(_PUT_TAG, [(key, number, fact.kind.rank, row, at, hi) for key in sorted(keys)])
        subject = self.subjects.get(number)
        lifespan = with_fact(subject.lifespan, fact, lambda position: self.fact(position, number))
        self.subjects.mark_dirty(subject).lifespan = lifespan
        self._cache(row, fact)
        if self._new_rows is not None:
            self._new_rows.append(row)
        if (cached := subject.cached) is not None:
            cached.add(fact, row, keys, core=core)
            if len(cached.facts) > _FEW_FACTS:
                self.subjects.evict(subject)
        return row

    def cache_fact(self, fact: Fact, number: int) -> None:
        """Cache a fact of a subject that was started; it is never written."""
        subject = self.subjects.get(number)
        assert subject.cached is not None
        subject.lifespan = with_fact(subject.lifespan, fact, lambda position: self.fact(position, number))
        subject.cached.add(fact, 0, self._keys(fact), core=describes(fact))

    def end_fact(self, fact: Fact, number: int, since: int) -> None:
        """End a fact from a position on."""
        position = fact.position
        sql = f"SELECT id FROM facts WHERE position = ? AND system_to = {CURRENT}"
        found = self.db.execute(sql, (position,)).fetchone()
        self.db.amend(_END_FACT, (since, found[0]))
        subject = self.subjects.get(number)
        self.subjects.save_for_undo(subject)
        if subject.cached is not None:
            del subject.cached.facts[position]
        if subject.cached is not None:
            lifespan = summarise(self.facts(number))
        else:
            rest = Remaining(self.db, subject, lambda types: self.of_types(types, number), self.fact)
            lifespan = without_fact(subject.lifespan, fact, rest)
        self.subjects.mark_dirty(subject).lifespan = lifespan

    def fact(self, position: int, number: int | None = None) -> Fact | None:
        """Return the current fact of the event at a position; None if it is retracted or states no fact.

        `number` is that of its subject, where the caller has it.
        """
        if number is not None and (cached := self.subjects.get(number).cached) is not None:
            current = cached.facts.get(position)
            return None if current is None else current.fact
        facts = self._facts(f"f.position = ? AND f.system_to = {CURRENT}", (position,), "facts_of_event")
        return next(iter(facts), None)

    def facts(self, number: int) -> list[Fact]:
        """Return every current fact about a subject, in the order of folding."""
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values()]
        return self._facts(f"f.subject = ? AND f.system_to = {CURRENT}", (number,), "facts_of_subject")

    def describing(self, number: int) -> list[Fact]:
        """Return the facts that describe the subject itself, in the order of folding."""
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values() if each.core]
        return self._facts(f"f.subject = ? AND f.system_to = {CURRENT} AND f.core", (number,), "facts_core")

    def of_types(self, types: Collection[str], number: int, most: int = -1) -> list[Fact]:
        """Return the facts of some types about a subject, in the order of folding; at most `most` of each type."""
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values() if each.fact.type in types]
        where = f"f.id IN (SELECT id FROM facts {OF_RANK} LIMIT ?)"
        ranks = ranks_of(types, self.name(number))
        return _in_order([fact for rank in ranks for fact in self._facts(where, (number, rank, most))])

    def creating_facts(self, number: int, most: int = -1) -> list[Fact]:
        """Return the facts that create the subject, in the order of folding; at most `most` of each type."""
        return self.of_types(CREATING, number, most)

    def ending_facts(self, number: int) -> list[Fact]:
        """Return the facts that end the subject, in the order of folding."""
        return self.of_types(ENDING, number)

    def any_of(self, number: int, most: int) -> list[Fact]:
        """Return at most `most` facts about a subject, in the order of folding."""
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values()][:most]
        where = (
            "f.id IN (SELECT id FROM facts INDEXED BY facts_of_subject"
            f" WHERE subject = ? AND system_to = {CURRENT} LIMIT ?)"
        )
        return self._facts(where, (number, most))

    def ended_before(self, day: int, number: int, most: int) -> list[Fact]:
        """Return facts about a subject that are certainly before a day, in the order of folding, but none that create
        or merge the subject; at most `most` of each type."""
        if (cached := self.subjects.get(number).cached) is not None:
            facts = [each.fact for each in cached.facts.values()]
            return [fact for fact in facts if fact.type in NOT_CREATING and fact.span.hi < day]
        where = f"f.id IN (SELECT id FROM facts {OF_RANK} AND hi < ? LIMIT ?)"
        ranks = ranks_of(NOT_CREATING, self.name(number))
        return _in_order([fact for rank in ranks for fact in self._facts(where, (number, rank, day, most))])

    def begun_after(self, day: int, until: int, number: int, most: int) -> list[Fact]:
        """Return at most `most` facts about a subject that are certainly after a day and before `until`, in the order
        of folding, but none that end or merge the subject or may follow its end."""
        if (cached := self.subjects.get(number).cached) is not None:
            facts = [each.fact for each in cached.facts.values()]
            return [fact for fact in facts if fact.type in NOT_ENDING and fact.span.lo > day and fact.span.hi < until]
        where = f"f.id IN (SELECT id FROM facts {STARTED} AND lo > ? AND hi < ? LIMIT ?)"
        return self._facts(where, (number, day, until, most))

    def begun_before(self, day: int, number: int) -> list[Fact]:
        """Return the facts about a subject that may lie before a day, in the order of folding."""
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values() if each.fact.span.lo < day]
        return self._facts(f"f.subject = ? AND f.system_to = {CURRENT} AND f.lo < ?", (number, day), "facts_of_subject")

    def membership_facts(self, group: Collection[int], number: int) -> list[Fact]:
        """Return the facts about the memberships of these parties in a subject, or those merged with it, in the order
        of folding.
        """
        members = self.same_as(number)
        found = [fact for member in members for fact in self._membership_facts(group, member)]
        return found if len(members) == 1 else _in_order(found)

    def same_as(self, number: int) -> Sequence[int]:
        """Return a subject and those merged with it; only parties are ever merged."""
        return self.cluster_of(number) if self.name(number).startswith("parties/") else (number,)

    def _membership_facts(self, group: Collection[int], number: int) -> list[Fact]:
        if (cached := self.subjects.get(number).cached) is not None:
            current = [each for each in cached.facts.values() if each.fact.type in MEMBERSHIP_TYPES]
            found = [each.fact for each in current if not each.keys.isdisjoint(group)]
        else:
            ranks = ", ".join(map(str, ranks_of(MEMBERSHIP_TYPES, self.name(number))))
            found = self._tagged(group, number, f" AND rank IN ({ranks})")
        return self.of_members(found, group)

    def of_members(self, facts: Iterable[Fact], group: Iterable[int]) -> list[Fact]:
        """Return those of some facts, which name these parties, that are about their memberships."""
        names = {self.name(member) for member in group}
        return [fact for fact in facts if is_member(fact, names)]

    def tagged_facts(self, tag: str, number: int) -> list[Fact]:
        """Return the facts about a subject with a tag (see `domain.list_items.item_tags`), in the order of folding."""
        word = self.words.find(tag)
        if word is None:
            return []
        if (cached := self.subjects.get(number).cached) is not None:
            return [each.fact for each in cached.facts.values() if -word in each.keys]
        return self._tagged((-word,), number)

    def _tagged(self, keys: Iterable[int], number: int, where: str = "") -> list[Fact]:
        where = f"f.system_to = {CURRENT} AND f.id IN (SELECT fact FROM tags WHERE key = ? AND subject = ?{where})"
        found = {fact.position: fact for key in keys for fact in self._facts(where, (key, number))}
        return _in_order(found.values())

    def positions_naming(self, number: int, limit: int) -> list[int]:
        """Return the positions of at most `limit` current facts about other subjects that name this one, ascending."""
        rows = self.db.execute(
            "SELECT f.position FROM tags l CROSS JOIN facts f ON f.id = l.fact"
            f" WHERE l.key = ? AND l.subject <> ? AND f.system_to = {CURRENT} LIMIT ?",
            (number, number, limit),
        )
        return sorted(row[0] for row in rows)

    def containers(self, number: int) -> list[int]:
        """Return the subjects in which a party has or had a membership by their facts, past or current."""
        rows = self.db.execute(
            f"SELECT DISTINCT subject FROM tags WHERE key = ? AND rank IN ({_MEMBERSHIP_RANKS})", (number,)
        )
        return [row[0] for row in rows]

    def _facts(self, where: str, values: Sequence[Any], index: str = "") -> list[Fact]:
        """Return facts in the order of folding; `index` is prescribed, as SQLite would take a larger one."""
        facts, by = [], f"INDEXED BY {index}" if index else ""
        for (row,) in self.db.execute(f"SELECT f.id FROM facts f {by} WHERE {where}", values).fetchall():
            fact = self._facts_by_row.get(row)
            if fact is None:
                self.db.limit.check()
                fact = self._fact(self.db.execute(_OF_FACT, (row,)).fetchone())
                self._cache(row, fact)
            facts.append(fact)
        return _in_order(facts)

    def _keys(self, fact: Fact) -> frozenset[int]:
        """Return the tags by which a fact is found among those of its subject, as numbers."""
        keys = [self.subjects.named(subject).number for subject in subjects_in(fact.data)]
        keys += [-self.words.number(tag) for tag in item_tags(fact)]
        return frozenset(keys)

    def _cache(self, row: int, fact: Fact) -> None:
        if len(self._facts_by_row) >= _CACHED_FACTS:
            self._facts_by_row.clear()
        self._facts_by_row[row] = fact

    def _fact(self, row: Sequence[Any]) -> Fact:
        position, rank, lo, hi, latest, meaning, source, id_, occurred, data, subject = row
        positions: tuple[int, ...] = (position,)
        if meaning is not None:
            occurred, listed, plain = orjson.loads(meaning)
            positions, data = tuple(listed), orjson.dumps(plain)
        kind = KINDS[rank]
        return Fact(
            position,
            self.name(subject),
            kind.name,
            self.words.text(source),
            id_,
            occurred,
            Span(lo, hi),
            latest,
            kind.nothing if data in _NOTHING else kind.data.model_validate_json(data),
            positions,
        )

    def bounds(self, group: Sequence[int]) -> Bounds:
        """Return the bounds of a subject, or of a cluster of merged parties."""
        return merge_lifespans([self.subjects.get(member).lifespan.bounds for member in group])

    def party_lifespan(self, group: Sequence[int]) -> PartyLifespan | None:
        """Return the lifespan of a cluster of merged parties; None if neither its beginning nor its end is known."""
        bounds = self.bounds(group)
        if bounds.ended is None and (bounds.created is None or bounds.created.lo == BEFORE):
            return None
        dissolved: list[Fact] = []
        reestablished: list[Fact] = []
        if bounds.ended is not None:
            dissolved = [fact for member in group for fact in self.ending_facts(member)]
            if bounds.latest_reinstatement > BEFORE:
                reestablished = [fact for member in group for fact in self.of_types(REINSTATING, member)]
        return PartyLifespan(lifespan_of(bounds), dissolved, reestablished)


def _in_order(facts: Iterable[Fact]) -> list[Fact]:
    listed = list(facts)
    return listed if len(listed) < 2 else sorted(listed, key=attrgetter("order"))
