"""A history in memory: a fake of the port `domain.history`, which folds all events again after each one, and posts that
are decided on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from operator import attrgetter

import pytest

from domain.corrections import ALTERING, Corrections, Event, Fact
from domain.decide import decide
from domain.edtf import Span
from domain.errors import Refused
from domain.history import StoredText
from domain.lifespan import NOT_CREATING, NOT_ENDING, LifespanSummary, summarise
from domain.list_items import item_tags
from domain.membership import MEMBERSHIP_TYPES, STEP_TYPES, is_member
from domain.party import merger_edges
from domain.payload import Data, subjects_in
from domain.subject_state import describes
from tests.recorded_views import Document, events_of, text_event


class FakeHistory:
    """A `domain.history.OpenHistory` without a limit of time. `texts` are the stored texts, by document."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.texts: dict[str, tuple[StoredText, str]] = {}
        self._facts: dict[int, Fact] = {}
        self._containers: set[tuple[str, str]] = set()

    def copied(self) -> FakeHistory:
        """Return a history that can be changed apart from this one."""
        other = FakeHistory()
        other.events, other.texts = [*self.events], {**self.texts}
        other._facts, other._containers = self._facts, self._containers
        return other

    def append(self, event: Event, data: Data) -> Mapping[str, Sequence[Fact]]:
        self.events.append(event)
        if event.type == "document.text-erased":
            self.texts.pop(event.subject, None)
        before, self._facts = self._facts, self._folded()
        changed: dict[str, list[Fact]] = {}
        for facts, others in ((before, self._facts), (self._facts, before)):
            for position in sorted(facts):
                if facts[position] != others.get(position):
                    changed.setdefault(facts[position].subject, []).append(facts[position])
        steps = [fact for fact in self._facts.values() if fact.type in MEMBERSHIP_TYPES]
        self._containers = self._containers | {
            (fact.subject, name) for fact in steps for name in subjects_in(fact.data)
        }
        return changed

    def _folded(self) -> dict[int, Fact]:
        about = {
            event.position: [each for each in self.events if each.about == event.position] for event in self.events
        }
        stating = [event for event in self.events if not event.kind.about_event and event.kind.is_posted]
        facts = [fact for event in stating if (fact := Corrections(about).fact(event)) is not None]
        return {fact.position: fact for fact in sorted(facts, key=attrgetter("order"))}

    def event(self, position: int) -> Event | None:
        return self.events[position - 1] if 0 < position <= len(self.events) else None

    def corrections(self, event: Event, also: str | None = None) -> Corrections:
        about: dict[int, list[Event]] = {}
        for other in self.events:
            if other.type in (*ALTERING, also) and other.about is not None:
                about.setdefault(other.about, []).append(other)
        return Corrections(about)

    def redaction(self, position: int) -> int | None:
        found = [each.position for each in self.events if each.type == "event.redacted" and each.about == position]
        return found[0] if found else None

    def retractions(self, subject: str, limit: int) -> Sequence[int]:
        own = [event for event in self.events if event.subject == subject and event.type == "event.retracted"]
        return [event.position for event in own][:limit]

    def lifespan(self, subject: str) -> LifespanSummary:
        return summarise(self.facts(subject))

    def cluster(self, party: str) -> Sequence[str]:
        mergers = [(fact.subject, fact.data.into, fact.position) for fact in self.mergers()]  # type: ignore[attr-defined]
        survivors = {merged: survivor for merged, survivor, _ in merger_edges(mergers)}
        while party in survivors:
            party = survivors[party]
        group = [party]
        for member in group:
            group += [merged for merged, survivor in survivors.items() if survivor == member]
        return group

    def mergers(self) -> Sequence[Fact]:
        return sorted(
            (fact for fact in self._facts.values() if fact.type == "party.merged"), key=attrgetter("position")
        )

    def containers(self, party: str) -> Collection[str]:
        return {subject for subject, name in self._containers if name == party}

    def is_current(self, fact: Fact) -> bool:
        return self._facts.get(fact.position) == fact

    def facts(self, subject: str, types: Collection[str] | None = None, *, limit: int | None = None) -> Sequence[Fact]:
        own = [fact for fact in self._facts.values() if fact.subject == subject]
        return [fact for fact in own if types is None or fact.type in types][:limit]

    def facts_before(self, subject: str, day: int, limit: int) -> Sequence[Fact]:
        return [fact for fact in self.facts(subject, NOT_CREATING) if fact.span.hi < day][:limit]

    def facts_after(self, subject: str, day: int, limit: int, until: int) -> Sequence[Fact]:
        return [fact for fact in self.facts(subject, NOT_ENDING) if fact.span.lo > day and fact.span.hi < until][:limit]

    def state_facts(self, subject: str) -> Sequence[Fact]:
        return [fact for fact in self.facts(subject) if describes(fact)]

    def item_facts(self, subject: str, tag: str) -> Sequence[Fact]:
        return [fact for fact in self.facts(subject) if tag in item_tags(fact)]

    def membership_facts(self, subject: str, parties: Collection[str]) -> Sequence[Fact]:
        group = self.cluster(subject)
        steps = [fact for fact in self._facts.values() if fact.type in MEMBERSHIP_TYPES and fact.subject in group]
        return [step for step in steps if _is_step(step, parties)]

    def steps_outside(self, parties: Collection[str], span: Span, limit: int, until: int) -> Sequence[Fact]:
        steps = [fact for fact in self._facts.values() if fact.type in STEP_TYPES and _is_step(fact, parties)]
        outside = [step for step in steps if step.span.hi < span.lo or step.span.lo > span.hi]
        return [step for step in outside if step.span.hi < until][:limit]

    def referring(self, subject: str, limit: int) -> Sequence[int]:
        naming = [
            fact for fact in self._facts.values() if fact.subject != subject and subject in subjects_in(fact.data)
        ]
        if naming:
            return sorted(fact.position for fact in naming)[:limit]
        passages = [
            cited
            for event in self.events
            for cited in self.corrections(event, "evidence.added").supporting_passages(event)
        ]
        return sorted({position for position, passage in passages if passage["document"] == subject})[:limit]

    def stored_text(self, document: str) -> StoredText | None:
        return self.texts[document][0] if document in self.texts else None

    def text(self, document: str) -> str:
        return self.texts[document][1]

    def check_time(self, steps: int) -> None:
        pass


def _is_step(fact: Fact, parties: Collection[str]) -> bool:
    return not subjects_in(fact.data).isdisjoint(parties) and is_member(fact, parties)


class Posts:
    """Given some events, when others are posted, then they are accepted or refused; without a database."""

    def __init__(self) -> None:
        self.history = FakeHistory()
        self._made = 0

    @property
    def head(self) -> int:
        """The position of the last event."""
        return len(self.history.events)

    def record(self, *documents: Document) -> int:
        """Post documents one by one; return the last position."""
        for document in documents:
            self.batch(document)
        return self.head

    def batch(self, *documents: Document) -> list[int]:
        """Post documents as one batch; return their positions. Raise Refused."""
        events = events_of(documents, self.head, self._version, self._made)
        self._made += len(documents)
        self._decide(events)
        return [event.position for event in events]

    def refused(self, *documents: Document) -> Refused:
        """Return the refusal of documents posted as one batch."""
        with pytest.raises(Refused) as refusal:
            self.batch(*documents)
        return refusal.value

    def store_text(self, slug: str, text: str) -> int:
        """Store the text of a document, as the registry does; return the position. Raise Refused."""
        subject, position = f"documents/{slug}", self._text_event("document.text-stored", slug, text)
        self.history.texts[subject] = StoredText(position, sha256(text.encode()).hexdigest(), len(text)), text
        return position

    def erase_text(self, slug: str, text: str) -> int:
        """Erase the text of a document, as the registry does; return the position. Raise Refused."""
        return self._text_event("document.text-erased", slug, text)

    def _text_event(self, kind: str, slug: str, text: str) -> int:
        subject = f"documents/{slug}"
        self._decide([text_event(kind, subject, text, position=self.head + 1, version=self._version(subject) + 1)])
        return self.head

    def _decide(self, events: Sequence[Event]) -> None:
        trial = self.history.copied()
        decide(trial, events)
        self.history = trial

    def _version(self, subject: str) -> int:
        return sum(event.subject == subject for event in self.history.events)
