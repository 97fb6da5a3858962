"""The rules that refuse: certain contradictions, by dates in the world, whatever the order of recording.

Each rule examines a few facts and yields the contradictions among them, with positions. A missing fact is no
contradiction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span, day_text
from domain.event_type import Creates
from domain.membership import LEAVING_TYPES, Lifespan

MOST_NAMED = 100
"""Most positions that one contradiction names."""


MAY_PRECEDE = frozenset(("agreement.entered-into-force",))
"""Types that may be dated before the signature: an agreement may take effect earlier. Not before an adoption."""
MAY_FOLLOW = frozenset(("agreement.commitment-updated",))
"""Types that may be dated after the end of their subject: a commitment may be met once its agreement has ended."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Facts that cannot all be true, by `positions`."""

    detail: str
    positions: tuple[int, ...]


class Bounds(NamedTuple):
    """A summary of all facts of one subject for the rules.

    `made` is the earliest possible day of any creating event and the latest day by which one certainly happened;
    `ended` the same for the ends; `makers` counts the creating events; `latest_start` is the last earliest day over all
    other facts, `earliest_end` the first latest day; `earliest_force` is that of facts that may be dated before a
    signature.
    """

    made: Span | None
    ended: Span | None
    signed: Span | None
    adopted: Span | None
    makers: int = 0
    earliest_end: int = AFTER
    latest_start: int = BEFORE
    earliest_force: int = AFTER

    @property
    def made_by(self) -> int:
        """The first latest day of all facts that cannot precede the subject."""
        return self.earliest_end if self.adopted is None else min(self.earliest_end, self.earliest_force)


ALWAYS = Span(BEFORE, BEFORE)
"""The creation of a subject that has existed always."""


def creation_days(fact: Fact) -> Span:
    """Return the days on which a creating event may have created its subject.

    A party or document registered without a date has existed always.
    """
    return ALWAYS if fact.occurred is None and fact.kind.collection in ("parties", "documents") else fact.span


def lifespan_of(bounds: Bounds) -> Lifespan:
    """Return the lifespan of a subject, without possible days that contradict the rules."""
    if bounds.made is None:
        return Lifespan(ALWAYS)
    if bounds.adopted is not None and bounds.signed is not None:
        adopted, signed = order_creations(bounds.adopted, bounds.signed)
        creation = Span(min(adopted.lo, signed.lo), min(adopted.hi, signed.hi))
    else:
        creation = bounds.made
    creation = Span(creation.lo, max(creation.lo, min(creation.hi, bounds.made_by)))
    end = bounds.ended
    if end is not None:
        lo = max(end.lo, creation.lo)
        end = Span(min(max(lo, bounds.latest_start), end.hi), end.hi)
    is_signed = bounds.signed is not None and bounds.adopted is None
    return Lifespan(creation, end, has_single_creation=bounds.makers == 1, is_created_by_signature=is_signed)


def order_creations(adopted: Span, signed: Span) -> tuple[Span, Span]:
    """Bound an adoption by the first signature, if their dates leave the order open."""
    if adopted.lo <= signed.hi:
        return Span(adopted.lo, min(adopted.hi, signed.hi)), Span(max(signed.lo, adopted.lo), signed.hi)
    return adopted, signed


def before_creation(facts: Sequence[Fact], makers: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield facts that certainly lie before the creation of their subject."""
    earliest = min((maker.span.lo for maker in makers), default=BEFORE)
    apart = (
        {"party.merged"}
        if any(maker.type == "agreement.adopted" for maker in makers)
        else {"party.merged", *MAY_PRECEDE}
    )
    early = [fact for fact in facts if not fact.creates and fact.type not in apart and fact.span.hi < earliest]
    if early:
        yield Conflict(
            f"{early[0].type} falls before {early[0].subject} came about, no earlier than {day_text(earliest)}",
            (*_named(early), *_named(makers)),
        )


def after_end(facts: Sequence[Fact], ends: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield facts that certainly lie after the end of their subject."""
    for end in ends:
        latest = end.effective.hi
        late = [
            fact
            for fact in facts
            if fact.type not in ("party.merged", *MAY_FOLLOW)
            and (fact.effective if fact.kind.ends else fact.span).lo > latest
        ]
        if late:
            yield Conflict(
                f"{late[0].type} falls after {end.subject} ended, no later than {day_text(latest)}",
                (end.position, *_named(late)),
            )


def existence_of(bounds: Bounds) -> Span | None:
    """Return the earliest possible creation and the latest possible end of a party; None if neither is known."""
    begun = BEFORE if bounds.made is None else bounds.made.lo
    ended = AFTER if bounds.ended is None else bounds.ended.hi
    return None if begun == BEFORE and ended == AFTER else Span(begun, ended)


def outside_party(steps: Sequence[Fact], lifespan: Sequence[Fact], name: str) -> Iterator[Conflict]:
    """Yield steps of a party that certainly lie before its creation or after its dissolution.

    `life` are the creations and dissolutions of the party and of those merged with it.
    """
    makers = [fact for fact in lifespan if fact.creates]
    begun = min((creation_days(maker).lo for maker in makers), default=BEFORE)
    early = [step for step in steps if step.span.hi < begun]
    if early:
        yield Conflict(
            f"{early[0].type} falls before {name} came about, no earlier than {day_text(begun)}",
            (*_named(early), *_named(makers)),
        )
    for end in lifespan:
        late = [step for step in steps if end.kind.ends and step.span.lo > end.span.hi]
        if late:
            yield Conflict(
                f"{late[0].type} falls after {name} was dissolved, no later than {day_text(end.span.hi)}",
                (*_named(late), end.position),
            )


_ONCE_A_MEMBERSHIP = {
    "agreement.signed": "signs",
    "agreement.ratified": "ratifies",
    "agreement.acceded": "accedes",
    "platform.member-joined": "joins",
}


_CHANGE = "platform.member-changed"
_AROUND_CHANGE = frozenset(("platform.member-joined", "platform.member-left"))
"""The types on whose order it rests whether a party may change its category."""

_FEW_AGAIN = 16
"""Of more conflicting facts, the innocent ones are not sorted out: each would take a sweep over all."""


def is_repeated(own: Sequence[Fact]) -> bool:
    """Return whether a party repeats a step that needs a leaving between, or changes its category and joins or leaves:
    if not, `twice` finds nothing.
    """
    types = [fact.type for fact in own]
    once = [each for each in types if each in _ONCE_A_MEMBERSHIP]
    return len(set(once)) < len(once) or (_CHANGE in types and not _AROUND_CHANGE.isdisjoint(types))


def twice(own: Sequence[Fact], is_satisfiable: Callable[[Sequence[Fact]], bool]) -> Iterator[Conflict]:
    """Yield the steps of a party that contradict each other: it signs, ratifies, accedes or joins again without a
    possible leaving between, or changes its category while it is no member.

    `is_satisfiable` returns whether some facts of the party have a possible world.
    """
    leavings = [fact for fact in own if fact.type in LEAVING_TYPES]
    for kind, verb in _ONCE_A_MEMBERSHIP.items():
        again = [fact for fact in own if fact.type == kind]
        if len(again) < 2 or is_satisfiable([*again, *leavings]):
            continue
        tried = again if len(again) <= _FEW_AGAIN else ()
        needed = [fact for fact in tried if is_satisfiable([*(each for each in again if each is not fact), *leavings])]
        yield Conflict(f"a party {verb} a second time with no leaving between", _named(needed or again))
        return
    around = [fact for fact in own if fact.type in _AROUND_CHANGE]
    changes = [fact for fact in own if fact.type == _CHANGE]
    if around and changes and not is_satisfiable([*around, *changes]):
        yield Conflict("a party changes its category while it is no member", _named([*changes, *around]))


def too_early_phases(after: Mapping[str, frozenset[str]], happened: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield phases that start before the recorded completion of one they are contingent on; `after` is transitive."""
    for start in happened:
        if start.type != "lab.phase-started":
            continue
        phase = start.data.phase  # type: ignore[attr-defined]
        for done in happened:
            if done.type != "lab.phase-completed" or start.span.hi >= done.span.lo:
                continue
            needed = done.data.phase  # type: ignore[attr-defined]
            if needed in after.get(phase, ()):
                yield Conflict(
                    f"phase {phase} starts before {needed}, which it is contingent on, is completed",
                    (start.position, done.position),
                )


def all_after(direct: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Return every phase that each phase is contingent on, directly or through others."""
    reached: dict[str, frozenset[str]] = {}
    for phase in direct:
        pending, seen = list(direct[phase]), set[str]()
        while pending:
            other = pending.pop()
            if other not in seen:
                seen.add(other)
                pending += direct.get(other, ())
        reached[phase] = frozenset(seen)
    return reached


def created_twice(makers: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield a second event of a type that creates its subject once."""
    once = [maker for maker in makers if maker.kind.creates is Creates.ONCE]
    if len(once) > 1:
        yield Conflict(f"{once[0].subject} is already {once[0].type.partition('.')[2]}", _named(once))


def untitled(makers: Sequence[Fact]) -> bool:
    """Return whether the creating events of an agreement leave it without a title or a kind; an erased one may have had
    them.
    """
    return not any(
        not maker.data.model_fields_set
        or (getattr(maker.data, "title", None) is not None and getattr(maker.data, "kind", None) is not None)
        for maker in makers
    )


def _named(facts: Sequence[Fact]) -> tuple[int, ...]:
    return tuple(fact.position for fact in facts[:MOST_NAMED])


def merge_lifespans(all_bounds: Sequence[Bounds]) -> Bounds:
    """Return the bounds of merged subjects; a dated beginning precedes an undated one."""
    first = all_bounds[0]
    if len(all_bounds) == 1:
        return first
    made = [bounds.made for bounds in all_bounds if bounds.made is not None]
    dated = [span for span in made if span.lo != BEFORE] or made
    ended = [bounds.ended for bounds in all_bounds if bounds.ended is not None]
    return Bounds(
        Span(min(span.lo for span in dated), min(span.hi for span in dated)) if dated else None,
        Span(min(span.lo for span in ended), min(span.hi for span in ended)) if ended else None,
        first.signed,
        first.adopted,
        sum(bounds.makers for bounds in all_bounds),
        min(bounds.earliest_end for bounds in all_bounds),
        max(bounds.latest_start for bounds in all_bounds),
        min(bounds.earliest_force for bounds in all_bounds),
    )
