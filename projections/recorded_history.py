"""The recorded history as the rules read it: the port `domain.history` over the fact store and the document texts.

The only module here that knows how decisions are taken. It translates between names of subjects and their numbers, and
reads facts and events, never rows of views.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Corrections, Event, Fact
from domain.edtf import Span
from domain.history import StoredText
from domain.lifespan import NO_FACTS, LifespanSummary
from domain.membership import STEP_TYPES, is_member
from domain.payload import Data
from projections.documents import DocumentTexts, citing
from projections.engine.database import CURRENT
from projections.engine.event_index import TEXT
from projections.fact_store import FactStore

_STEP_RANKS = ", ".join(str(CATALOGUE[name].rank) for name in sorted(STEP_TYPES))
_RETRACTED = CATALOGUE["event.retracted"].rank

Append = Callable[[Event, Data], Mapping[int, Sequence[Fact]]]
"""Appends an event; returns the facts that came or went because of it, by the number of their subject."""


class RecordedHistory:
    """A `domain.history.OpenHistory`, on the connection of the write half."""

    def __init__(self, store: FactStore, texts: DocumentTexts, append: Append) -> None:
        self._store = store
        self._db = store.db
        self._texts = texts
        self._append = append

    def append(self, event: Event, data: Data) -> Mapping[str, Sequence[Fact]]:
        """Append an event; return the facts that came or went because of it, by subject."""
        return {self._store.name(number): facts for number, facts in self._append(event, data).items()}

    def event(self, position: int) -> Event | None:
        """Return the event at a position."""
        return self._store.event(position)

    def corrections(self, event: Event, also: str | None = None) -> Corrections:
        """Return the corrections of an event, with its events of one more type."""
        return self._store.corrections(event, also=also)

    def redaction(self, position: int) -> int | None:
        """Return the position of the redaction of an event."""
        return self._store.redacted_by(position)

    def retractions(self, subject: str, limit: int) -> Sequence[int]:
        """Return the positions of at most `limit` retractions of facts about a subject."""
        rows = self._db.execute(
            "SELECT position FROM events WHERE subject = ? AND rank = ? AND about IS NOT NULL LIMIT ?",
            (self._store.find(subject), _RETRACTED, limit),
        )
        return [row[0] for row in rows]

    def lifespan(self, subject: str) -> LifespanSummary:
        """Return the summary of all facts about one subject."""
        found = self._store.subjects.find(subject)
        return NO_FACTS if found is None else found.lifespan

    def cluster(self, party: str) -> Sequence[str]:
        """Return all parties that are merged with a party, the survivor first."""
        number = self._store.find(party)
        group = () if number is None else self._store.cluster_of(number)
        return [self._store.name(member) for member in group] if len(group) > 1 else (party,)

    def mergers(self) -> Sequence[Fact]:
        """Return all mergers of parties."""
        return self._store.mergers()

    def containers(self, party: str) -> Collection[str]:
        """Return the subjects in which a party has or had a membership."""
        number = self._store.find(party)
        return [] if number is None else [self._store.name(each) for each in self._store.containers(number)]

    def is_current(self, fact: Fact) -> bool:
        """Return whether a fact is current as it is."""
        return self._store.fact(fact.position, self._store.find(fact.subject)) == fact

    def facts(self, subject: str, types: Collection[str] | None = None, *, limit: int | None = None) -> Sequence[Fact]:
        """Return the facts about a subject, or those of some types; at most `limit` of each type, or in all."""
        number = self._store.find(subject)
        if number is None:
            return []
        if types is not None:
            return self._store.of_types(types, number, -1 if limit is None else limit)
        return self._store.facts(number) if limit is None else self._store.any_of(number, limit)

    def facts_before(self, subject: str, day: int, limit: int) -> Sequence[Fact]:
        """Return facts of `lifespan.NOT_CREATING` that certainly lie before a day."""
        number = self._store.find(subject)
        return [] if number is None else self._store.ended_before(day, number, limit)

    def facts_after(self, subject: str, day: int, limit: int, until: int) -> Sequence[Fact]:
        """Return facts of `lifespan.NOT_ENDING` that certainly lie after a day and before `until`."""
        number = self._store.find(subject)
        return [] if number is None else self._store.begun_after(day, until, number, limit)

    def state_facts(self, subject: str) -> Sequence[Fact]:
        """Return the facts that change an attribute or the status of a subject itself."""
        number = self._store.find(subject)
        return [] if number is None else self._store.describing(number)

    def item_facts(self, subject: str, tag: str) -> Sequence[Fact]:
        """Return the facts about a list item."""
        number = self._store.find(subject)
        return [] if number is None else self._store.tagged_facts(tag, number)

    def membership_facts(self, subject: str, parties: Collection[str]) -> Sequence[Fact]:
        """Return the facts about the membership of any of these parties in a subject, or in those merged with it."""
        number = self._store.find(subject)
        return [] if number is None else self._store.membership_facts(self._numbers(parties), number)

    def steps_outside(self, parties: Collection[str], span: Span, limit: int, until: int) -> Sequence[Fact]:
        """Return steps of these parties that certainly lie outside a span and before `until`."""
        rows = self._db.execute(
            "SELECT DISTINCT f.position FROM json_each(?) j CROSS JOIN tags l ON l.key = j.value CROSS JOIN facts f"
            f" ON f.id = l.fact WHERE f.system_to = {CURRENT} AND l.rank IN ({_STEP_RANKS}) AND (f.hi < ? OR f.lo > ?)"
            " AND f.hi < ? LIMIT ?",
            (orjson.dumps(self._numbers(parties)).decode(), span.lo, span.hi, until, limit),
        ).fetchall()
        facts = [fact for (position,) in rows if (fact := self._store.fact(position)) is not None]
        return sorted((fact for fact in facts if is_member(fact, parties)), key=attrgetter("order"))

    def referring(self, subject: str, limit: int) -> Sequence[int]:
        """Return the positions of facts about other subjects that name a subject, or of events that cite it."""
        number = self._store.find(subject)
        if number is None:
            return []
        return self._store.positions_naming(number, limit) or citing(self._db, number, limit)

    def stored_text(self, document: str) -> StoredText | None:
        """Return the stored text of a document."""
        number = self._store.find(document)
        if number is None or not self._store.holds(number, TEXT):
            return None
        text = self._texts.stored(number)
        return None if text is None else StoredText(text.position, text.sha256, text.characters)

    def text(self, document: str) -> str:
        """Return the characters of the stored text of a document. Raise LookupError without one."""
        text = self._texts.stored(self._store.must_find(document))
        if text is None:
            raise LookupError(f"no text of {document} is stored")
        return self._texts.text(text)

    def check_time(self, steps: int) -> None:
        """Raise TooLong if a decision may not take this many more steps."""
        self._db.limit.check(steps)

    def _numbers(self, subjects: Collection[str]) -> list[int]:
        return [number for subject in subjects if (number := self._store.find(subject)) is not None]
