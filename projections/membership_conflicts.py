"""Whether ties contradict: a party that joins, signs or consents a second time with no leaving that may lie between."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial

from domain.conflicts import Conflict, is_repeated, lifespan_of, twice
from domain.corrections import Fact
from domain.membership import MEMBERSHIP_TYPES, Lifespan, evaluate_memberships, parties_of
from domain.subject_state import is_agreement_wide
from projections.engine.time_limit import Limit
from projections.fact_store import FactStore

_HOLDERS = ("agreements/", "labs/", "platforms/")
Consistent = Callable[[Sequence[Fact]], bool]


def holds_twice(known: FactStore, number: int, facts: Sequence[Fact], new: Container[int]) -> Iterator[Conflict]:
    """Contradictions among the ties to a subject that these facts about it changed; those of `new` were posted now.

    What two parties both did before they were found to be one is no contradiction, what either does after is.
    """
    parties = {
        known.survivor(known.must_find(name))
        for fact in facts
        if fact.type in MEMBERSHIP_TYPES
        for name in parties_of(fact)
    }
    if not parties:
        return
    earlier = {
        fact.position: fact for fact in reversed(facts) if fact.type in MEMBERSHIP_TYPES and fact.position not in new
    }
    for party, own, strictly, leniently in _ties(known, number, parties):
        group = {known.name(member) for member in known.cluster_of(party)}
        before = [fact for fact in own if fact.position not in new and fact.position not in earlier]
        before += [fact for fact in earlier.values() if fact not in own and not group.isdisjoint(parties_of(fact))]
        for is_consistent in (strictly, leniently) if len(group) > 1 else (strictly,):
            if not is_consistent(own) and is_consistent(before):
                yield from twice(own, is_consistent)


def parted(known: FactStore, parties: Iterable[int]) -> Iterator[Conflict]:
    """Contradictions among the ties of parties that are no longer one, which being one had kept apart."""
    members = {member for party in parties for member in known.cluster_of(party)}
    containers = {container for member in members for container in known.containers(member)}
    for container in sorted(containers):
        if known.name(container).startswith(_HOLDERS):
            for _, own, _, leniently in _ties(known, container, {known.survivor(member) for member in members}):
                if not leniently(own):
                    yield from twice(own, leniently)


def _ties(
    known: FactStore, number: int, parties: Iterable[int]
) -> Iterator[tuple[int, list[Fact], Consistent, Consistent]]:
    """Each party that did something again, its facts, and whether some of them go together: strictly, leniently."""
    for party in sorted(parties):
        group = known.cluster_of(party)
        own = known.membership_facts(group, number)
        if not is_repeated(own):
            continue
        lifespan = lifespan_of(known.lived(number).bounds)
        whole = [fact for fact in known.describing(number) if is_agreement_wide(fact)]
        names = [known.name(member) for member in group]
        goes_together = partial(_goes_together, known.db.limit, whole, lifespan)
        yield party, own, partial(goes_together, ()), partial(goes_together, names)


def _goes_together(
    limit: Limit, whole: Sequence[Fact], lifespan: Lifespan, names: Sequence[str], some: Sequence[Fact]
) -> bool:
    limit.check(2 * len(some))  # where nothing goes together, more than a step is taken for each
    return evaluate_memberships(some, whole, lifespan, names=names).consistent
