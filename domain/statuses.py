"""Statuses: the meaning of each in a sentence, and the events that lead from one to another.

The transitions of memberships are found by running their state machine, so that they equal those of the fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domain.catalogue import AGGREGATES
from domain.membership_steps import MembershipState, evolve
from domain.possible_worlds import Step

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "agreements": {
        "announced": "It was said to be coming, and is neither adopted nor signed.",
        "adopted": "Its text was adopted and may be signed; nobody has signed.",
        "signed": "A party has signed; it is not in force.",
        "in-force": "It binds as a whole, or at least one party.",
        "suspended": "It was in force, and its operation is suspended.",
        "terminated": "It has ended.",
    },
    "parties": {
        "registered": "It exists, as far as is recorded.",
        "dissolved": "It no longer exists; its memberships have ended.",
    },
    "labs": {
        "founded": "It was founded and does not work yet.",
        "operating": "It works.",
        "closed": "It no longer works.",
    },
    "platforms": {
        "launched": "It exists.",
        "dissolved": "It no longer exists; its memberships have ended.",
    },
    "documents": {"registered": "It is known and can be cited."},
    "memberships": {
        "signed": "The party has signed and is not bound.",
        "bound": "The party has consented to be bound (ratified, acceded); the agreement is not in force for it.",
        "provisional": "The party applies the agreement before it is in force for it.",
        "in-force": "The agreement is in force for the party.",
        "suspended": "Its operation is suspended for the party.",
        "withdrawn": "The party has left the agreement.",
        "founder": "The party is a founder of the lab.",
        "member": "The party is a member of the platform.",
        "left": "The party is no longer a member.",
        "owner": "The party is an owner of the other party.",
        "removed": "The party is no longer an owner.",
        "ended": "The agreement, the lab, or one of the parties has ended, and with it the membership.",
    },
    "commitments": {
        "planned": "It was made; nothing is recorded of its being begun.",
        "in-progress": "It was begun.",
        "fulfilled": "It was done.",
        "breached": "It was broken.",
        "cancelled": "It was given up.",
    },
    "phases": {
        "planned": "It was planned and has not started.",
        "started": "It has started.",
        "completed": "It is completed.",
    },
    "calls": {"open": "Applications are taken.", "closed": "No more applications are taken."},
    "declarations": {"made": "It stands.", "withdrawn": "It was withdrawn."},
}
"""By what has the status: each status in its order, with its meaning."""


CERTAINTIES: Mapping[str, str] = {
    "certain": "Every reading of the imprecise dates gives it.",
    "possible": "Some reading of the imprecise dates gives it, not every one.",
}
"""How certain a claim is, each with its meaning."""


class Transition(NamedTuple):
    """A way from one status (None: none yet) to another, by an event."""

    before: str | None
    event: str
    after: str


_STEPS: Mapping[str, str] = {
    "agreement.signed": "signed",
    "agreement.ratified": "ratified",
    "agreement.acceded": "acceded",
    "agreement.provisionally-applied": "provisionally-applied",
    "agreement.entered-into-force": "entered-into-force",
    "agreement.suspended": "suspended",
    "agreement.resumed": "resumed",
    "agreement.withdrawn": "withdrawn",
    "agreement.terminated": "ended",
}
_OF_MEMBERS: Mapping[str, str] = {
    "platform.member-joined": "joined",
    "platform.member-left": "left",
    "platform.dissolved": "dissolved",
    "party.dissolved": "party-ended",
}
_OF_FOUNDERS: Mapping[str, str] = {"lab.founded": "founded", "lab.closed": "ended", "party.dissolved": "party-ended"}
_OF_OWNERS: Mapping[str, str] = {
    "party.owner-added": "owned",
    "party.owner-removed": "removed",
    "party.dissolved": "party-ended",
}


def transitions() -> dict[str, list[Transition]]:
    """Return the ways between statuses, by what has them."""
    found = {aggregate.collection: _of_aggregate(aggregate.collection) for aggregate in AGGREGATES}
    return {
        **found,
        "memberships of agreements": _of_machine(_STEPS),
        "memberships of platforms": _of_machine(_OF_MEMBERS),
        "founders of labs": _of_machine(_OF_FOUNDERS),
        "owners of parties": _of_machine(_OF_OWNERS),
        "commitments": [
            Transition(None, "agreement.commitment-made", "planned"),
            *(
                Transition("planned", "agreement.commitment-updated", each)
                for each in list(MEANINGS["commitments"])[1:]
            ),
        ],
        "phases": [
            Transition(None, "lab.founded", "planned"),
            Transition("planned", "lab.phase-started", "started"),
            Transition("started", "lab.phase-completed", "completed"),
        ],
        "calls": [
            Transition(None, "lab.recruitment-opened", "open"),
            Transition("open", "lab.recruitment-closed", "closed"),
        ],
        "declarations": [
            Transition(None, "agreement.declaration-made", "made"),
            Transition("made", "agreement.declaration-withdrawn", "withdrawn"),
        ],
    }


def _of_aggregate(collection: str) -> list[Transition]:
    """Return the ways between the statuses of a subject: each event that gives one, from those before it."""
    (aggregate,) = (each for each in AGGREGATES if each.collection == collection)
    found: list[Transition] = []
    for kind in aggregate.events:
        if kind.status not in aggregate.statuses:
            continue
        place = aggregate.statuses.index(kind.status)
        if kind.is_creating:
            found.append(Transition(None, kind.name, kind.status))
        found += [Transition(each, kind.name, kind.status) for each in aggregate.statuses[:place]]
    return found


def _of_machine(steps: Mapping[str, str]) -> list[Transition]:
    """Return the ways between the statuses of a membership that its state machine takes by some events."""
    found: dict[Transition, None] = {}
    states: list[MembershipState] = [MembershipState()]
    seen: set[tuple[str | None, frozenset[str]]] = set()
    while states:
        state = states.pop(0)
        key = state.status, frozenset(what for what, _ in state.taken)
        if key in seen or state.leavings > 1:
            continue
        seen.add(key)
        for event, what in steps.items():
            after = evolve(state, Step(what, 1, 1, fact=len(seen) + 1, who="parties/a"))
            if after is None or after.status is None:
                continue
            if after.status != state.status:
                found[Transition(state.status, event, after.status)] = None
            states.append(after)
    return list(found)
