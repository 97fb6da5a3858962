"""The hierarchy of parties that is certain: the rule that a party is never part of itself, through any chain."""

from __future__ import annotations

from collections.abc import Iterator

from domain.conflicts import Conflict
from domain.edtf import AFTER, BEFORE
from projections.fact_store import FactStore

_LONGEST_CHAIN = 10_000


def part_of_itself(store: FactStore, number: int) -> Iterator[Conflict]:
    """Yield the contradiction that a party would be part of itself, by a chain that is certain on some day."""
    start = store.survivor(number)
    pending: list[tuple[int, int, int, tuple[int, ...]]] = [(start, BEFORE, AFTER, ())]
    seen: set[tuple[int, int, int]] = set()
    while pending and len(seen) < _LONGEST_CHAIN:
        party, lo, hi, positions = pending.pop()
        for parent, since, until, by in _certain_parents(store, party):
            first, last = max(lo, since), min(hi, until)
            if first > last:
                continue
            if parent == start:
                yield Conflict(f"{store.name(start)} would be part of itself", (*positions, *by))
                return
            if (parent, first, last) not in seen:
                seen.add((parent, first, last))
                pending.append((parent, first, last, (*positions, *by)))


def _certain_parents(store: FactStore, party: int) -> list[tuple[int, int, int, tuple[int, ...]]]:
    """Return the certain parents of a party: (parent, first day, last day, positions)."""
    stating = [
        fact
        for member in store.cluster_of(party)
        for fact in store.describing(member)
        if fact.type == "party.reorganized" or (fact.creates and fact.data.part_of is not None)  # type: ignore[attr-defined]
    ]
    found = []
    for fact in stating:
        parent = store.find(fact.data.part_of) if fact.data.part_of else None  # type: ignore[attr-defined]
        if parent is None:
            continue
        lo, hi = (BEFORE, BEFORE) if fact.creates and not fact.is_dated else (fact.span.lo, fact.span.hi)
        later = [
            other.span.lo
            for other in stating
            if other is not fact and not other.creates and (other.span.hi, other.order) > (lo, fact.order)
        ]
        until = min(later, default=AFTER + 1) - 1
        if hi <= until:
            found.append((store.survivor(parent), hi, until, fact.positions))
    return found
