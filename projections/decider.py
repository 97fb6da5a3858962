"""Decisions: whether posted events may be recorded. What they name must exist, and nothing may contradict for certain.

The rules are in the domain; this module reads the facts that they need, by the keys of what changed. References are
checked event by event, before each is stored; contradictions once, at the end of a batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.claims import place_in
from domain.cloudevent import checked
from domain.conflicts import (
    Conflict,
    after_end,
    all_after,
    before_creation,
    created_twice,
    existence_of,
    outside_party,
    too_early_phases,
    untitled,
)
from domain.corrections import Event, Fact
from domain.errors import Contradiction, Flaw, Invalid
from domain.event_type import Creates, EventType
from domain.membership import STEP_TYPES, parties_of
from domain.payload import Data, Record, references_in
from domain.quotation import flaw_of
from domain.values import is_subject, pointer, pointer_tokens
from projections.documents import ALTERING, DocumentText, DocumentTexts, altered, citing, passages
from projections.engine.clusters import edges_of
from projections.engine.database import CURRENT
from projections.engine.event_index import TEXT
from projections.engine.lifespans import CREATING, ENDING
from projections.engine.subject_cache import Subject
from projections.fact_store import FactStore, item_tags, named_in, references
from projections.membership_conflicts import repeated_memberships, split_memberships
from projections.party_hierarchy import part_of_itself

_OPENING_TYPES = frozenset(("agreement.commitment-made", "lab.recruitment-opened", "agreement.declaration-made"))
"""The events that open a list item, which other events may then change."""
_MOST_NAMED = 100
_STEP_RANKS = ", ".join(str(CATALOGUE[name].rank) for name in sorted(STEP_TYPES))
_KEPT = ("evidence", "note")
_DEEPEST = 32
_CHARACTERS = 4096
"""Characters of a text that are searched in the time of a step (see `projections.engine.time_limit`)."""
_NOWHERE = "points to nothing that the event could say"


class Decider:
    """Decides about events on the facts of a store, on the connection of the write half."""

    def __init__(self, connection: sqlite3.Connection, store: FactStore) -> None:
        self._db = connection
        self._store = store
        self._texts = DocumentTexts(connection)

    # one event, before it is stored

    def check(self, event: Event, model: Data, *, has_gaps: bool = False) -> None:
        """Check that what an event names exists, and that its quotations are in the stored texts.

        Raise Invalid with every flaw; Contradiction for a merger in a circle, and for data or texts already erased or
        stored. `has_gaps`: see `Views.admit`.
        """
        find = self._store.subjects.find
        cited = [find(passage.document) for passage in model.evidence or ()]
        named = [*cited, *map(find, named_in(model))]
        flaws: list[Flaw] = []
        if not all(each is not None and each.lifespan.bounds.makers for each in named):
            flaws += self._missing(event.kind.data, event.plain, ("data",))
        if any(each is not None and each.holds & TEXT for each in cited):
            flaws += self._misquoted(event.plain, "/data")
        if event.kind.about_event:
            flaws += self._about(event, model, has_gaps=has_gaps)
        else:
            subject = find(event.subject)
            if subject is not None and subject.lifespan.bounds.makers:
                if not has_gaps:
                    flaws += self._unopened(event.type, model, subject.number)
            elif event.type != "document.text-erased":  # a text may outlast its document
                flaws += _unmade(event, model)
        if flaws:
            raise Invalid("the event does not fit what it refers to", flaws)
        match event.type:
            case "party.merged":
                self._check_merger(event, model)
            case "event.redacted":
                self._check_redaction(model)
            case "document.text-stored" | "document.text-erased":
                self._check_text(event, model)

    def _missing(self, shape: type[Record], data: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Flaw]:
        """Yield the references in data of a shape, at a path, to subjects without current facts."""
        for path, subject in references_in(shape, data, at):
            if (detail := self._absent(subject)) is not None:
                yield Flaw(pointer(*path), detail)

    def _absent(self, subject: str) -> str | None:
        """Return that a subject has no current fact, if it has none."""
        return (
            f"{subject} does not exist"
            if is_subject(subject) and not self._store.exists(self._store.find(subject))
            else None
        )

    def _misquoted(self, data: Mapping[str, Any], at: str) -> Iterator[Flaw]:
        """Yield the passages in the evidence of data, at a pointer, that are not in the stored text."""
        for index, passage in enumerate(data.get("evidence", ())):
            held = self._held(passage["document"])
            if held is not None:
                self._store.db.limit.check(held.characters // _CHARACTERS)
            if held is not None and (flaw := flaw_of(passage, self._texts.text(held))) is not None:
                yield Flaw(f"{at}/evidence/{index}{flaw.pointer}", flaw.detail)

    def _held(self, document: str) -> DocumentText | None:
        """Return the stored text of a document, if it is the registered one."""
        number = self._store.find(document)
        if number is None or not self._store.holds(number, TEXT):
            return None
        return self._texts.checked(number)

    def _about(self, event: Event, model: Any, *, has_gaps: bool) -> Iterator[Flaw]:
        target = self._store.event(model.event)
        if target is None:
            yield Flaw("/data/event", f"there is no event at position {model.event}")
            return
        if self._depth(target) >= _DEEPEST:
            yield Flaw("/data/event", f"events about events about events are taken {_DEEPEST} deep")
            return
        if not self._one(target.subject, event.subject):
            yield Flaw("/data/event", f"the event at position {target.position} is about {target.subject}")
            return
        if not target.kind.is_posted:  # nor is it redacted: a text is erased by deleting it
            yield Flaw("/data/event", f"the event at position {target.position} was recorded by the registry itself")
            return
        if (event.type, target.type) == ("event.retracted", "event.redacted"):
            yield Flaw("/data/event", "a redaction stays: what was erased does not come back")
            return
        if not has_gaps:
            yield from self._spoken(event.type, target, model, event.plain, "/data")

    def _spoken(self, name: str, target: Event, model: Any, said: Mapping[str, Any], at: str) -> Iterator[Flaw]:
        """Yield the flaws of what an event of a type says, at a pointer, about another event."""
        if name == "event.disputed":
            yield from self._undisputable(target, model, at)
        if name == "event.corrected" and model.data is not None:
            yield from self._uncorrectable(target, said["data"], f"{at}/data")

    def _uncorrectable(self, target: Event, given: Mapping[str, Any], at: str) -> Iterator[Flaw]:
        """Yield the flaws of data, at a pointer, that would replace the data of an event."""
        said = self._store.corrections(target).effective_event(target).data
        corrected: Any
        corrected, flaws = checked(target.kind, {**{name: said[name] for name in _KEPT if name in said}, **given})
        yield from (Flaw(at + flaw.pointer, flaw.detail) for flaw in flaws)
        if corrected is None:
            return
        yield from self._missing(target.kind.data, given, tuple(pointer_tokens(at)))
        yield from self._misquoted(given, at)
        number = self._store.find(target.subject)
        if not target.kind.about_event:
            for flaw in self._unopened(target.type, corrected, number) if number is not None else ():
                yield Flaw(at.removesuffix("/data") + flaw.pointer, flaw.detail)
        elif corrected.event != target.about:
            yield Flaw(f"{at}/event", "stays the same; to speak of another event, retract this one")
        elif (spoken := self._store.event(corrected.event)) is not None:
            yield from self._spoken(target.type, spoken, corrected, given, at)

    def _undisputable(self, target: Event, model: Any, at: str) -> Iterator[Flaw]:
        """Yield the claims about places that the event does not have, or with values that cannot be there."""
        data = self._store.corrections(target).effective_event(target).data
        for index, claim in enumerate(model.claims):
            if (flaw := self._unclaimable(target, data, claim.pointer, claim.value)) is not None:
                yield Flaw(f"{at}/claims/{index}{flaw.pointer}", flaw.detail)

    def _unclaimable(self, target: Event, data: Mapping[str, Any], at: str, value: Any) -> Flaw | None:
        """Return why a value cannot be at a pointer of an event; `data` is its current data."""
        if at == "/occurred":
            return None  # its value is a date, or the record would not be one
        tokens = pointer_tokens(at)[1:]
        if target.type == "event.corrected" and tokens[0] == "data" and len(tokens) > 1:
            corrected, given = self._spoken_of(target), data.get("data")
            if corrected is None or given is None:
                return Flaw("/pointer", _NOWHERE)
            return self._unclaimable(corrected, given, pointer("data", *tokens[1:]), value)
        place = place_in(target.kind.data, data, tokens)
        if place is None:
            return Flaw("/pointer", _NOWHERE)
        detail = place.flaw_of(value) or next(filter(None, map(self._absent, place.references_in(value))), None)
        if detail is None and value is not None and (spoken := self._spoken_of(target)) is not None:
            detail = self._unspeakable(target, spoken, data, tokens, value)
        return None if detail is None else Flaw("/value", detail)

    def _unspeakable(
        self, target: Event, spoken: Event, data: Mapping[str, Any], tokens: Sequence[str], value: Any
    ) -> str | None:
        """Return why a value cannot be in what an event says about another, as it does not fit that other one."""
        flaws: Iterable[Flaw | None] = ()
        match target.type, tokens:
            case "event.corrected", ["data"]:
                flaws = self._uncorrectable(spoken, value, "/data")
            case "event.disputed", ["claims", *rest]:
                claims = value if not rest else [value]
                if len(rest) == 2:
                    claims = [{**data["claims"][int(rest[0])], rest[1]: value}]
                said = self._store.corrections(spoken).effective_event(spoken).data
                flaws = (self._unclaimable(spoken, said, each["pointer"], each["value"]) for each in claims)
        return next((f"could not stand there: {flaw.detail}" for flaw in flaws if flaw is not None), None)

    def _spoken_of(self, event: Event) -> Event | None:
        """Return the event that another one is about."""
        return None if event.about is None else self._store.event(event.about)

    def _depth(self, event: Event) -> int:
        depth, spoken = 0, event
        while spoken.about is not None and depth < _DEEPEST:
            following = self._store.event(spoken.about)
            if following is None:
                break
            depth, spoken = depth + 1, following
        return depth

    def _one(self, subject: str, other: str) -> bool:
        if subject == other:
            return True
        numbers = [self._store.find(each) for each in (subject, other)]
        return None not in numbers and len({self._store.survivor(number) for number in numbers if number}) == 1

    def _unopened(self, name: str, data: Any, number: int) -> Iterator[Flaw]:
        store = self._store
        match name:
            case "agreement.commitment-updated":
                if not any(
                    fact.type in _OPENING_TYPES for fact in store.tagged_facts(f"commitment:{data.commitment}", number)
                ):
                    yield Flaw("/data/commitment", f"no commitment {data.commitment} was made")
            case "lab.recruitment-closed":
                if not any(fact.type in _OPENING_TYPES for fact in store.tagged_facts(f"call:{data.call}", number)):
                    yield Flaw("/data/call", f"no call {data.call} was opened")
            case "lab.phase-started" | "lab.phase-completed":
                if data.phase not in self._phases(store.tagged_facts("phases", number)):
                    yield Flaw("/data/phase", f"the lab was founded without a phase {data.phase}")
            case "agreement.declaration-withdrawn":
                if not self._is_declaration(data.event, number):
                    yield Flaw("/data/event", f"there is no declaration on this agreement at position {data.event}")
            case "agreement.declaration-made" if data.about is not None:
                if not self._is_declaration(data.about, number):
                    yield Flaw("/data/about", f"there is no declaration on this agreement at position {data.about}")

    def _is_declaration(self, position: int, number: int) -> bool:
        """Return whether the event at a position is a current declaration on an agreement."""
        return any(fact.position == position for fact in self._store.tagged_facts(f"declaration:{position}", number))

    def _check_merger(self, event: Event, model: Any) -> None:
        party, into = self._store.must_find(event.subject), self._store.must_find(model.into)
        if self._store.survivor(party) == self._store.survivor(into):
            group = self._store.cluster_of(party)
            rows = self._db.execute(f"SELECT event, loser FROM mergers WHERE system_to = {CURRENT}").fetchall()
            positions = [position for position, loser in rows if loser in group]
            raise Contradiction(f"{event.subject} and {model.into} are one already", positions=positions)

    def _check_redaction(self, model: Any) -> None:
        if (by := self._store.redacted_by(model.event)) is not None:
            raise Contradiction(f"the event at position {model.event} is redacted already", positions=[by])

    def _check_text(self, event: Event, model: Any) -> None:
        number = self._store.find(event.subject)
        held = None if number is None else self._texts.stored(number)
        if event.type == "document.text-erased":
            if held is None:
                raise Contradiction(f"no text of {event.subject} is held")
            if (held.sha256, held.characters) != (model.sha256, model.characters):
                raise Contradiction(f"the text of {event.subject} that is held is another", positions=[held.position])
            return
        registered = None if number is None else self._texts.registered_sha256(number)
        if model.sha256 != registered:
            expected = registered or "none"
            detail = f"the SHA-256 of this text is {model.sha256}; registered of {event.subject} is {expected}"
            raise Invalid(detail, [Flaw("", detail)])
        if held is not None:
            detail = f"a text of {event.subject} is held already, of SHA-256 {held.sha256}; another takes its deletion"
            raise Contradiction(detail, positions=[held.position])

    # a batch, at its end

    def decide(self, changed: Mapping[int, Sequence[Fact]], events: Sequence[Event]) -> None:
        """Raise Contradiction where the facts that came or went contradict the history.

        `changed` are these facts by subject; `events` are the posted events that changed them.
        """
        new = {event.position: f"/{index}" if len(events) > 1 else "" for index, event in enumerate(events)}
        for conflict in self._conflicts(changed, events, new):
            there = [position for position in conflict.positions if position not in new]
            posted = [new[position] for position in conflict.positions if position in new]
            flaws = [Flaw(at, conflict.detail) for at in posted or list(new.values())[:1]]
            raise Contradiction(conflict.detail, flaws, there)

    def _conflicts(
        self, changed: Mapping[int, Sequence[Fact]], events: Sequence[Event], new: Container[int]
    ) -> Iterator[Conflict]:
        for number, facts in changed.items():
            subject, first = self._store.subjects.get(number), facts[0]
            if subject.lifespan.facts == len(facts) == 1 and first.position in new and first.creates:
                # The subject has no other fact, and its references were checked before it was stored.
                yield from self._stepping(number, facts)
                continue
            yield from self._around(subject, facts, new)
        for event in events:
            if event.type in ALTERING:
                yield from self._recited(event)

    def _around(self, subject: Subject, facts: Sequence[Fact], new: Container[int]) -> Iterator[Conflict]:
        """Yield the conflicts around facts about a subject that came or went."""
        number, is_party = subject.number, subject.name.startswith("parties/")
        if (makers := [fact for fact in facts if fact.creates]) or not subject.lifespan.bounds.makers:
            yield from self._existence(subject, makers)
        again = [fact for fact in facts if fact.position not in new]
        if again:
            yield from self._revived(again)
        yield from self._lifetime(subject, facts)
        if not is_party:
            yield from repeated_memberships(self._store, number, facts, new)
        yield from self._openings(number, facts)
        yield from self._steps(number, facts) if is_party else self._stepping(number, facts)
        if is_party:
            yield from self._mergers([fact for fact in again if fact.type == "party.merged"])
            yield from part_of_itself(self._store, number)

    def _existence(self, subject: Subject, makers_changed: Sequence[Fact]) -> Iterator[Conflict]:
        store, number, name = self._store, subject.number, subject.name
        if not subject.lifespan.bounds.makers:
            if rest := store.any_of(number, _MOST_NAMED):
                yield Conflict(f"facts about {name} rest on what makes it", _positions(rest))
            elif not makers_changed:
                return
            elif named := (store.positions_naming(number, _MOST_NAMED) or citing(self._db, number, _MOST_NAMED)):
                yield Conflict(f"{name} is referred to by other facts", tuple(named))
            return
        if any(fact.kind.creates is Creates.ONCE for fact in makers_changed):
            yield from created_twice(store.creating_facts(number, _MOST_NAMED))
        if name.startswith("agreements/") and untitled([fact for fact in store.describing(number) if fact.creates]):
            makers = store.creating_facts(number, _MOST_NAMED)
            yield Conflict(f"{name} would be left without title and kind", _positions(makers))

    def _revived(self, facts: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield restored or changed facts that name subjects without current facts."""
        for fact in facts:
            if self._store.fact(fact.position) == fact:
                yield from self._dangling(fact.position, references(fact))

    def _recited(self, event: Event) -> Iterator[Conflict]:
        """Yield restored or changed passages that cite documents without current facts."""
        for spoken in altered(self._store, event):
            for by, passage in passages(self._store.corrections(spoken, also="evidence.added"), spoken):
                yield from self._dangling(by, [passage["document"]])

    def _dangling(self, position: int, subjects: Iterable[str]) -> Iterator[Conflict]:
        """Yield those of the subjects that the event at a position names which have no current fact."""
        store = self._store
        for subject in sorted(subjects):
            number = store.find(subject)
            if not store.exists(number):
                gone = self._db.execute(
                    "SELECT position FROM events WHERE subject = ? AND rank = ? AND about IS NOT NULL LIMIT ?",
                    (number, CATALOGUE["event.retracted"].rank, _MOST_NAMED),
                ).fetchall()
                detail = f"the event at {position} would speak of {subject}, which was retracted"
                yield Conflict(detail, (position, *(row[0] for row in gone)))

    def _mergers(self, facts: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield restored or changed mergers of parties that are merged without them, and conflicts of splits."""
        store = self._store
        if not facts:
            return
        involved = {store.must_find(name) for fact in facts for name in (fact.subject, fact.data.into)}  # type: ignore[attr-defined]
        for party in sorted(involved):
            yield from self._lifetime(store.subjects.get(party), ())
            yield from self._steps_of(store.cluster_of(party))
        yield from split_memberships(store, involved)
        edges = {
            fact.position: (store.must_find(fact.subject), store.must_find(fact.data.into), fact.position)  # type: ignore[attr-defined]
            for fact in store.mergers()
        }
        needed = {position for *_, position in edges_of(list(edges.values()))}
        for party, _, position in edges.values():
            if position not in needed:
                group = store.cluster_of(party)
                others = [other for loser, _, other in edges.values() if loser in group]
                yield Conflict(f"{store.name(party)} would be merged in a circle", (position, *others[:_MOST_NAMED]))

    def _lifetime(self, subject: Subject, facts: Sequence[Fact]) -> Iterator[Conflict]:
        store = self._store
        group = store.cluster_of(subject.number)
        bounds = store.bounds(group)
        early = bounds.made is not None and bounds.made_by < bounds.made.lo
        late = bounds.ended is not None and bounds.latest_start > bounds.ended.hi
        ends = [fact for member in group for fact in store.ending_facts(member)] if bounds.ended is not None else []
        if not early and not late and all(end.effective.lo <= other.effective.hi for end in ends for other in ends):
            return
        makers = [fact for member in group for fact in store.creating_facts(member, _MOST_NAMED)]
        if len(group) > 1:  # only changed facts: those of the others from before the merger do not contradict
            current = [fact for fact in facts if store.fact(fact.position) == fact]
            yield from before_creation(current, makers)
            yield from after_end(current, ends)
            ends = [fact for fact in current if fact.kind.ends]
        elif bounds.made is not None:
            yield from before_creation(store.ended_before(bounds.made.lo, subject.number, _MOST_NAMED), makers)
        for end in ends:
            day = end.effective.hi
            later = [fact for member in group for fact in store.begun_after(day, member, _MOST_NAMED)]
            yield from after_end(sorted([*later, *ends], key=attrgetter("order")), [end])

    def _stepping(self, number: int, facts: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield the steps, among facts of a subject that came or went, of parties outside their lifespan."""
        store = self._store
        for fact in facts:
            if fact.type not in STEP_TYPES:
                continue
            for name in parties_of(fact):
                group = store.cluster_of(store.must_find(name))
                lifespan = existence_of(store.bounds(group))
                if lifespan is None or (fact.span.hi >= lifespan.lo and fact.span.lo <= lifespan.hi):
                    continue
                if store.fact(fact.position, number) == fact:
                    yield from outside_party([fact], self._life(group), name)

    def _steps(self, number: int, facts: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield the steps of a party that are outside its lifespan, after these facts about it came or went."""
        if any(fact.creates or fact.kind.ends or fact.type == "party.merged" for fact in facts):
            yield from self._steps_of(self._store.cluster_of(number))

    def _steps_of(self, group: Sequence[int]) -> Iterator[Conflict]:
        """Yield the steps of merged parties outside their lifespan."""
        store = self._store
        lifespan = existence_of(store.bounds(group))
        if lifespan is None:
            return
        rows = self._db.execute(
            "SELECT DISTINCT f.position FROM json_each(?) j CROSS JOIN tags l ON l.key = j.value CROSS JOIN facts f"
            f" ON f.id = l.fact WHERE f.system_to = {CURRENT} AND l.rank IN ({_STEP_RANKS}) AND (f.hi < ? OR f.lo > ?)"
            " LIMIT ?",
            (orjson.dumps(group).decode(), lifespan.lo, lifespan.hi, _MOST_NAMED),
        ).fetchall()
        steps = [fact for (position,) in rows if (fact := store.fact(position)) is not None]
        if steps:
            yield from outside_party(sorted(steps, key=attrgetter("order")), self._life(group), store.name(group[0]))

    def _life(self, group: Sequence[int]) -> list[Fact]:
        """Return the facts that create and end merged parties."""
        return [fact for member in group for fact in self._store.of_types((*CREATING, *ENDING), member)]

    def _openings(self, number: int, facts: Sequence[Fact]) -> Iterator[Conflict]:
        store = self._store
        for slug in sorted({slug for fact in facts for slug in item_tags(fact) if not slug.startswith("about:")}):
            spoken = store.tagged_facts(slug, number)
            if slug == "phases":
                yield from self._phase_conflicts(spoken)
                continue
            openings = [fact for fact in spoken if fact.type in _OPENING_TYPES]
            rest = [fact for fact in spoken if fact.type not in _OPENING_TYPES]
            if rest and not openings:
                yield Conflict(f"facts rest on the opening of {slug.replace(':', ' ')}", _positions(rest))
            if len(openings) > 1:
                yield Conflict(f"{slug.replace(':', ' ')} is already there", _positions(openings))
        yield from self._objections(number, facts)

    def _objections(self, number: int, facts: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield objections to declarations that are not current, after these facts changed."""
        spoken_of = {fact.position for fact in facts} | {getattr(fact.data, "about", None) for fact in facts}
        for position in sorted(at for at in spoken_of if at is not None):
            objections = self._store.tagged_facts(f"about:{position}", number)
            if objections and not self._is_declaration(position, number):
                yield Conflict(f"facts rest on the declaration at position {position}", _positions(objections))

    def _phase_conflicts(self, spoken: Sequence[Fact]) -> Iterator[Conflict]:
        phases = self._phases(spoken)
        happened = [fact for fact in spoken if fact.type != "lab.founded"]
        if lost := [fact for fact in happened if fact.data.phase not in phases]:  # type: ignore[attr-defined]
            yield Conflict("facts rest on phases the lab would not have", _positions(lost))
        yield from too_early_phases(all_after(phases), happened)

    @staticmethod
    def _phases(spoken: Sequence[Fact]) -> dict[str, Sequence[str]]:
        return {
            phase.phase: phase.after or ()
            for fact in spoken
            if fact.type == "lab.founded"
            for phase in fact.data.phases or ()  # type: ignore[attr-defined]
        }


def _unmade(event: Event, model: Any) -> Iterator[Flaw]:
    kind: EventType = event.kind
    if kind.creates is Creates.NEVER:
        yield Flaw("/subject", f"{event.subject} does not exist; its first event is one that makes it")
    elif event.type == "agreement.signed":
        for name in ("title", "kind"):
            if getattr(model, name) is None:
                yield Flaw(f"/data/{name}", "is required in the first event of an agreement")


def _positions(facts: Iterable[Fact]) -> tuple[int, ...]:
    return tuple(sorted(fact.position for fact in facts))[:_MOST_NAMED]
