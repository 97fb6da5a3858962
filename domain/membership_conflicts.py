"""What contradicts a membership: a party signs, ratifies, accedes, joins or becomes an owner a second time, with no
leaving that may lie between; it changes its category while it is no member; a notice is revoked after it took effect; a
party is reinstated before it left.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial

from domain.corrections import Fact
from domain.edtf import BEFORE
from domain.errors import MOST_NAMED, Conflict
from domain.history import History
from domain.lifespan import ENDING, REINSTATING, lifespan_of
from domain.lifespan_conflicts import bounds_of
from domain.membership import (
    LEAVING_TYPES,
    MEMBERSHIP_TYPES,
    OWNER_TYPES,
    REVOKED,
    Lifespan,
    PartyLifespan,
    evaluate_memberships,
    parties_of,
)
from domain.subject_state import is_agreement_wide

IsSatisfiable = Callable[[Sequence[Fact]], bool]
"""Returns whether some facts of one membership have a possible world."""

_ONCE = {
    "agreement.signed": "signs",
    "agreement.ratified": "ratifies",
    "agreement.acceded": "accedes",
    "platform.member-joined": "joins",
    "party.owner-added": "becomes an owner",
}
"""The steps that need a leaving before they are taken again."""
_CHANGE = "platform.member-changed"
_AROUND_CHANGE = frozenset(("platform.member-joined", "platform.member-left"))
"""The types on whose order it depends whether a party may change its category."""
_UNDOING = frozenset((REVOKED, *REINSTATING))
"""The types that undo a leaving."""
_FEW_AGAIN = 16
"""Of more conflicting facts, those that cause the conflict are not singled out: each costs one evaluation of all."""


def membership_conflicts(
    history: History, container: str, changed: Sequence[Fact], new: Container[int]
) -> Iterator[Conflict]:
    """Yield conflicts among the memberships in a subject, after some facts about it came or went; `new` are the
    positions of the batch.

    Steps of two parties from before their merger do not contradict each other; a later step of either may.
    """
    changing = [fact for fact in changed if fact.type in MEMBERSHIP_TYPES]
    parties = {history.cluster(party)[0] for fact in changing for party in parties_of(fact)}
    if not parties:
        return
    earlier = {fact.position: fact for fact in reversed(changing) if fact.position not in new}
    for party, own, strictly, leniently in _contradicting(history, container, parties):
        group = history.cluster(party)
        before = [fact for fact in own if fact.position not in new and fact.position not in earlier]
        before += [fact for fact in earlier.values() if fact not in own and not set(group).isdisjoint(parties_of(fact))]
        is_merged = len(group) > 1 or len(history.cluster(container)) > 1
        for is_satisfiable in (strictly, leniently) if is_merged else (strictly,):
            if not is_satisfiable(own) and is_satisfiable(before):
                yield from contradicting_steps(own, is_satisfiable)


def split_conflicts(history: History, parties: Iterable[str]) -> Iterator[Conflict]:
    """Yield conflicts among the memberships of parties that are no longer merged, which the merger had prevented."""
    members = {member for party in parties for member in history.cluster(party)}
    survivors = {history.cluster(member)[0] for member in members}
    containers = {history.cluster(container)[0] for member in members for container in history.containers(member)}
    for container in sorted(containers):
        yield from _lenient_conflicts(history, container, survivors)
    for survivor in sorted(survivors):
        facts = [fact for member in history.cluster(survivor) for fact in history.facts(member, OWNER_TYPES)]
        owners = {history.cluster(owner)[0] for fact in facts for owner in parties_of(fact)}
        yield from _lenient_conflicts(history, survivor, owners)


def _lenient_conflicts(history: History, container: str, parties: Iterable[str]) -> Iterator[Conflict]:
    for _, own, _, leniently in _contradicting(history, container, parties):
        if not leniently(own):
            yield from contradicting_steps(own, leniently)


def may_contradict(own: Sequence[Fact]) -> bool:
    """Return whether a party repeats a step that needs a leaving between, or changes its category and joins or leaves,
    or undoes a leaving: if not, `contradicting_steps` yields nothing.
    """
    types = [fact.type for fact in own]
    if not _UNDOING.isdisjoint(types):
        return True
    once = [each for each in types if each in _ONCE]
    return len(set(once)) < len(once) or (_CHANGE in types and not _AROUND_CHANGE.isdisjoint(types))


def contradicting_steps(own: Sequence[Fact], is_satisfiable: IsSatisfiable) -> Iterator[Conflict]:
    """Yield conflicts for the steps of a party that contradict each other.

    It signs, ratifies, accedes, joins or becomes an owner again without a possible leaving between, or changes its
    category while it is no member.
    """
    leavings = [fact for fact in own if fact.type in LEAVING_TYPES or fact.type in _UNDOING]
    for kind, verb in _ONCE.items():
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
        return
    undoing = [fact for fact in own if fact.type in _UNDOING]
    if undoing and not is_satisfiable(leavings):
        what = "a notice is revoked" if undoing[0].type == REVOKED else "a party is reinstated"
        when = "after it took effect" if undoing[0].type == REVOKED else "before it left"
        left = [fact for fact in leavings if fact not in undoing]
        yield Conflict(f"{what} {when}", _named([*undoing, *left]))


def _named(facts: Sequence[Fact]) -> tuple[int, ...]:
    return tuple(fact.position for fact in facts[:MOST_NAMED])


def _contradicting(
    history: History, container: str, parties: Iterable[str]
) -> Iterator[tuple[str, Sequence[Fact], IsSatisfiable, IsSatisfiable]]:
    """Yield each party that repeats a step, its facts, and two tests of whether some of them are satisfiable: strictly,
    and leniently, where the same step of several merged parties is one step.
    """
    for party in sorted(parties):
        group = history.cluster(party)
        own = history.membership_facts(container, group)
        if not may_contradict(own):
            continue
        same = history.cluster(container)
        lifespan = lifespan_of(bounds_of(history, same))
        whole = [fact for member in same for fact in history.state_facts(member) if is_agreement_wide(fact)]
        is_satisfiable = partial(_is_satisfiable, history, whole, lifespan, _interrupted_lifespan(history, group))
        names = [*group, *(same if len(same) > 1 else ())]
        yield party, own, partial(is_satisfiable, ()), partial(is_satisfiable, names)


def _interrupted_lifespan(history: History, group: Sequence[str]) -> PartyLifespan | None:
    """Return the lifespan of merged parties that were dissolved and re-established: a dissolution between two steps is
    like a leaving. Without a re-establishment the steps after a dissolution are conflicts by themselves.
    """
    bounds = bounds_of(history, group)
    if bounds.ended is None or bounds.latest_reinstatement == BEFORE:
        return None
    ends = [fact for member in group for fact in history.facts(member, ENDING)]
    reestablished = [fact for member in group for fact in history.facts(member, REINSTATING)]
    return PartyLifespan(lifespan_of(bounds), ends, reestablished)


def _is_satisfiable(
    history: History,
    whole: Sequence[Fact],
    lifespan: Lifespan,
    party: PartyLifespan | None,
    names: Sequence[str],
    some: Sequence[Fact],
) -> bool:
    history.check_time(2 * len(some))  # without a possible world, each fact takes more than one step
    return evaluate_memberships(some, whole, lifespan, names=names, party=party).is_satisfiable
