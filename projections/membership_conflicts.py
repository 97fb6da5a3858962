"""Conflicts of memberships: a party joins, signs or consents a second time, and no leaving may lie between."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial

from domain.conflicts import Conflict, is_repeated, lifespan_of, twice
from domain.corrections import Fact
from domain.membership import MEMBERSHIP_TYPES, Lifespan, evaluate_memberships, parties_of
from domain.subject_state import is_agreement_wide
from projections.engine.time_limit import Limit
from projections.fact_store import FactStore

_CONTAINERS = ("agreements/", "labs/", "platforms/")
Consistent = Callable[[Sequence[Fact]], bool]


def repeated_memberships(
    store: FactStore, number: int, facts: Sequence[Fact], new: Container[int]
) -> Iterator[Conflict]:
    """Yield conflicts among the memberships in a subject that these facts changed; the positions `new` were posted now.

    Facts of two parties from before their merger do not contradict each other; facts of either after it may.
    """
    parties = {
        store.survivor(store.must_find(name))
        for fact in facts
        if fact.type in MEMBERSHIP_TYPES
        for name in parties_of(fact)
    }
    if not parties:
        return
    earlier = {
        fact.position: fact for fact in reversed(facts) if fact.type in MEMBERSHIP_TYPES and fact.position not in new
    }
    for party, own, strictly, leniently in _repeated(store, number, parties):
        group = {store.name(member) for member in store.cluster_of(party)}
        before = [fact for fact in own if fact.position not in new and fact.position not in earlier]
        before += [fact for fact in earlier.values() if fact not in own and not group.isdisjoint(parties_of(fact))]
        for is_satisfiable in (strictly, leniently) if len(group) > 1 else (strictly,):
            if not is_satisfiable(own) and is_satisfiable(before):
                yield from twice(own, is_satisfiable)


def split_memberships(store: FactStore, parties: Iterable[int]) -> Iterator[Conflict]:
    """Yield conflicts among the memberships of parties that were split, which the merger had hidden."""
    members = {member for party in parties for member in store.cluster_of(party)}
    containers = {container for member in members for container in store.containers(member)}
    for container in sorted(containers):
        if store.name(container).startswith(_CONTAINERS):
            for _, own, _, leniently in _repeated(store, container, {store.survivor(member) for member in members}):
                if not leniently(own):
                    yield from twice(own, leniently)


def _repeated(
    store: FactStore, number: int, parties: Iterable[int]
) -> Iterator[tuple[int, list[Fact], Consistent, Consistent]]:
    """Yield each party with a repeated step, its facts, and two tests of satisfiability: strict, lenient."""
    for party in sorted(parties):
        group = store.cluster_of(party)
        own = store.membership_facts(group, number)
        if not is_repeated(own):
            continue
        lifespan = lifespan_of(store.lifespan_summary(number).bounds)
        whole = [fact for fact in store.describing(number) if is_agreement_wide(fact)]
        names = [store.name(member) for member in group]
        is_satisfiable = partial(_is_satisfiable, store.db.limit, whole, lifespan)
        yield party, own, partial(is_satisfiable, ()), partial(is_satisfiable, names)


def _is_satisfiable(
    limit: Limit, whole: Sequence[Fact], lifespan: Lifespan, names: Sequence[str], some: Sequence[Fact]
) -> bool:
    limit.check(2 * len(some))  # facts that contradict take more than one step each
    return evaluate_memberships(some, whole, lifespan, names=names).is_satisfiable
