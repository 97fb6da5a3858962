"""What contradicts the lifespan of a subject: a fact certainly before its creation or after its end, a second creation,
facts without any creation.

A contradiction is certain: no possible dates of the facts avoid it. A missing fact is no contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from domain.agreement import ANNOUNCED
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span, day_text
from domain.errors import MOST_NAMED, Conflict
from domain.event_type import Creates
from domain.history import History
from domain.lifespan import (
    CREATING,
    ENDING,
    MAY_FOLLOW,
    MAY_PRECEDE,
    OF_COMMITMENTS,
    REINSTATING,
    Bounds,
    creation_days,
    merge_lifespans,
)
from domain.membership import FOREVER, STEP_TYPES, parties_of


def creation_conflicts(history: History, subject: str, creating: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts after facts that create a subject came or went: facts without a creation, a second creation."""
    if not history.lifespan(subject).exists:
        if rest := history.facts(subject, limit=MOST_NAMED):
            yield Conflict(f"facts about {subject} depend on its creation", positions_of(rest))
        elif creating and (referring := history.referring(subject, MOST_NAMED)):
            yield Conflict(f"other facts refer to {subject}", tuple(referring))
    elif any(fact.kind.creates is Creates.ONCE for fact in creating):
        yield from created_twice(history.facts(subject, CREATING, limit=MOST_NAMED))


def created_twice(creating: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield a conflict for a second event of a type that creates its subject once."""
    once = [fact for fact in creating if fact.kind.creates is Creates.ONCE]
    if len(once) > 1:
        yield Conflict(f"{once[0].subject} is already {once[0].type.partition('.')[2]}", _named(once))


def lifespan_conflicts(history: History, subject: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for facts outside the lifespan of a subject, after some facts about it came or went.

    Of merged parties only the changed facts are checked: facts from before the merger may contradict each other.
    """
    group = history.cluster(subject)
    bounds = bounds_of(history, group)
    is_early = bounds.created is not None and bounds.created_by < bounds.created.lo
    is_early |= bounds.announced is not None and bounds.earliest_commitment < bounds.known_from
    is_late = bounds.ended is not None and bounds.latest_start > bounds.ended.hi
    ends = [] if bounds.ended is None else [fact for member in group for fact in history.facts(member, ENDING)]
    reinstating: list[Fact] = []
    if bounds.ended is not None and bounds.latest_reinstatement > BEFORE:
        reinstating = [fact for member in group for fact in history.facts(member, REINSTATING)]
        yield from reinstated_before_end(reinstating, ends)
    if not is_early and not is_late and _may_be_one_end(ends):
        return
    creating = [fact for member in group for fact in history.facts(member, CREATING, limit=MOST_NAMED)]
    if len(group) > 1:
        current = [fact for fact in changed if history.is_current(fact)]
        yield from before_creation(current, creating)
        yield from after_end(current, ends, reinstating)
        ends = [fact for fact in current if fact.kind.ends]
    elif creating:
        day = bounds.known_from if bounds.created is None else bounds.created.lo
        yield from before_creation(history.facts_before(subject, day, MOST_NAMED), creating)
    for end in ends:
        day, until = end.effective.hi, _reinstated_from(end, reinstating)
        later = [fact for member in group for fact in history.facts_after(member, day, MOST_NAMED, until)]
        yield from after_end(sorted([*later, *ends], key=attrgetter("order")), [end], reinstating)


def _may_be_one_end(ends: Sequence[Fact]) -> bool:
    """Return whether several facts may date the same end."""
    return all(end.effective.lo <= other.effective.hi for end in ends for other in ends)


def before_creation(facts: Sequence[Fact], creating: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for facts that certainly lie before the creation of their subject.

    An announcement creates the subject only for commitments.
    """
    if any(fact.type == ANNOUNCED for fact in creating):
        planned = [fact for fact in facts if fact.type in OF_COMMITMENTS]
        yield from _before(planned, min(fact.span.lo for fact in creating), creating)
        facts = [fact for fact in facts if fact.type not in OF_COMMITMENTS]
    earliest = min((fact.span.lo for fact in creating if fact.type != ANNOUNCED), default=BEFORE)
    excepted = {"party.merged"}
    if not any(fact.type == "agreement.adopted" for fact in creating):
        excepted |= MAY_PRECEDE
    yield from _before([fact for fact in facts if not fact.creates and fact.type not in excepted], earliest, creating)


def _before(facts: Sequence[Fact], earliest: int, creating: Sequence[Fact]) -> Iterator[Conflict]:
    early = [fact for fact in facts if fact.span.hi < earliest]
    if early:
        yield Conflict(
            f"{early[0].type} falls before the creation of {early[0].subject}, no earlier than {day_text(earliest)}",
            (*_named(early), *_named(creating)),
        )


def after_end(facts: Sequence[Fact], ends: Sequence[Fact], reinstating: Sequence[Fact] = ()) -> Iterator[Conflict]:
    """Yield conflicts for facts that certainly lie after an end of their subject and before a later reinstatement."""
    for end in ends:
        latest, until = end.effective.hi, _reinstated_from(end, reinstating)
        late = [
            fact
            for fact in facts
            if fact.type not in ("party.merged", *MAY_FOLLOW)
            and (span := fact.effective if fact.kind.ends else fact.span).lo > latest
            and span.hi < until
        ]
        if late:
            yield Conflict(
                f"{late[0].type} falls after the end of {end.subject}, no later than {day_text(latest)}",
                (end.position, *_named(late)),
            )


def _reinstated_from(end: Fact, reinstating: Sequence[Fact]) -> int:
    """Return the earliest day on which a subject may be reinstated after an end."""
    return min([fact.span.lo for fact in reinstating if fact.span.hi >= end.effective.lo], default=FOREVER)


def succeeds_itself(history: History, subject: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield a conflict if a subject would be its own successor, after some facts about it came or went.

    Older versions did not refuse this.
    """
    ends = [fact for fact in changed if _successors(fact) and history.is_current(fact)]
    if any(fact.type == "party.merged" for fact in changed):
        ends = [fact for member in history.cluster(subject) for fact in history.facts(member, ENDING)]
    own = [fact for fact in ends if not set(history.cluster(subject)).isdisjoint(_successors(fact))]
    if own:
        yield Conflict(f"{subject} would be its own successor", _named(own))


def _successors(fact: Fact) -> tuple[str, ...]:
    """Return the successors that a fact names."""
    return getattr(fact.data, "successors", None) or ()


def reinstated_before_end(reinstating: Sequence[Fact], ends: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for reinstatements of a subject that certainly lie before its end."""
    whole = [fact for fact in reinstating if getattr(fact.data, "party", None) is None]
    for number, fact in enumerate(sorted(whole, key=attrgetter("order"))):
        later = [end for end in ends if end.effective.lo > fact.span.hi]
        if later and number >= len(ends) - len(later):
            what = fact.type.partition(".")[2]
            yield Conflict(f"{fact.subject} is {what} before it ended", (fact.position, *_named(later)))


def step_conflicts(history: History, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield a conflict for each changed step that lies before the creation or after the end of its party."""
    for fact in changed:
        if fact.type not in STEP_TYPES:
            continue
        for party in parties_of(fact):
            group = history.cluster(party)
            span = _existence_span(bounds_of(history, group))
            if span is None or (fact.span.hi >= span.lo and fact.span.lo <= span.hi):
                continue
            if history.is_current(fact):
                yield from outside_lifespan([fact], _lifespan_facts(history, group), party)


def steps_of_party_conflicts(history: History, party: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for steps of a party outside its lifespan, after facts about the party came or went."""
    if any(fact.creates or fact.kind.ends or fact.kind.reinstates or fact.type == "party.merged" for fact in changed):
        yield from cluster_step_conflicts(history, history.cluster(party))


def cluster_step_conflicts(history: History, group: Sequence[str]) -> Iterator[Conflict]:
    """Yield conflicts for steps of merged parties before their creation or after their dissolution."""
    bounds = bounds_of(history, group)
    span = _existence_span(bounds)
    if span is None:
        return
    gaps = [(span, FOREVER)]
    lifespan = [] if bounds.latest_reinstatement == BEFORE else _lifespan_facts(history, group)
    if reinstating := [fact for fact in lifespan if fact.kind.reinstates]:
        ends = [fact for fact in lifespan if fact.kind.ends]
        gaps = [(Span(span.lo, end.span.hi), _reinstated_from(end, reinstating)) for end in ends]
    for existence, until in gaps:
        if steps := history.steps_outside(group, existence, MOST_NAMED, until):
            yield from outside_lifespan(steps, lifespan or _lifespan_facts(history, group), group[0])


def outside_lifespan(steps: Sequence[Fact], lifespan: Sequence[Fact], party: str) -> Iterator[Conflict]:
    """Yield conflicts for steps of a party that certainly lie before its creation or after its dissolution.

    `lifespan` are the creations, dissolutions and re-establishments of the party and of those merged with it.
    """
    reinstating = [fact for fact in lifespan if fact.kind.reinstates]
    creating = [fact for fact in lifespan if fact.creates]
    created = min((creation_days(fact).lo for fact in creating), default=BEFORE)
    early = [step for step in steps if step.span.hi < created]
    if early:
        yield Conflict(
            f"{early[0].type} falls before the creation of {party}, no earlier than {day_text(created)}",
            (*_named(early), *_named(creating)),
        )
    for end in lifespan:
        if not end.kind.ends:
            continue
        until = _reinstated_from(end, reinstating)
        late = [step for step in steps if step.span.lo > end.span.hi and step.span.hi < until]
        if late:
            yield Conflict(
                f"{late[0].type} falls after the dissolution of {party}, no later than {day_text(end.span.hi)}",
                (*_named(late), end.position),
            )


def bounds_of(history: History, group: Sequence[str]) -> Bounds:
    """Return the bounds of a subject, or of merged parties."""
    return merge_lifespans([history.lifespan(member).bounds for member in group])


def positions_of(facts: Sequence[Fact]) -> tuple[int, ...]:
    """Return the positions of facts, ascending, as many as a conflict names."""
    return tuple(sorted(fact.position for fact in facts))[:MOST_NAMED]


def _existence_span(bounds: Bounds) -> Span | None:
    """Return the earliest possible creation and the latest possible end of a party; None if neither is known."""
    created = BEFORE if bounds.created is None else bounds.created.lo
    ended = AFTER if bounds.ended is None else bounds.ended.hi
    return None if created == BEFORE and ended == AFTER else Span(created, ended)


def _lifespan_facts(history: History, group: Sequence[str]) -> list[Fact]:
    """Return the facts that create, end and re-establish merged parties."""
    return [fact for member in group for fact in history.facts(member, (*CREATING, *ENDING, *REINSTATING))]


def _named(facts: Sequence[Fact]) -> tuple[int, ...]:
    return tuple(fact.position for fact in facts[:MOST_NAMED])
