"""The state machine of memberships: the state after each step, and which steps are refused.

It knows no days. `possible_worlds` decides the order of steps.
"""

from __future__ import annotations

from typing import NamedTuple

from domain.edtf import BEFORE
from domain.possible_worlds import Step

CREATING = ("signed", "founded")
"""Steps that may create the subject; `made` does so without the party."""
ENDING = ("ended", "dissolved", "party-ended")
LEAVING = ("left", "withdrawn", "withdrawn-later")
BEGINNING = ("signed", "ratified", "acceded", "joined", "founded")
"""Steps that begin a new membership after an end, or after the notice of one."""

_ONCE = {"signed": "signed", "ratified": "bound", "acceded": "bound", "joined": "member", "founded": "founder"}
_CONSENTS = ("ratified", "acceded")
_PAUSING = ("suspended", "resumed")
"""Steps that neither begin a membership nor bring one back that has ended."""
_FOLLOWING = ("entered-into-force", "provisionally-applied")
INTO_FORCE = ("entered-into-force", "whole:entered-into-force")


class Former(NamedTuple):
    """The previous membership: its first fact (0: not recorded), the fact that ended it, and how it ended."""

    opened: int
    closed: int
    gone: str


class State(NamedTuple):
    """A membership after some steps, in one possible world.

    Facts are given by position, 0 for none. `opened` began the membership; it is minus the position of the leaving if
    no beginning was recorded.
    """

    bond: str | None = None
    taken: frozenset[tuple[str, str]] = frozenset()
    """The steps that can be taken once, each with the name it was recorded under."""
    provisional: bool = False
    in_force_by: int = 0
    suspended_by: int = 0
    frozen_by: int = 0
    """The suspension of the whole agreement."""
    gone: str | None = None
    opened: int = 0
    closed: int = 0
    waited: bool = False
    """Whether the membership was recorded during the notice of a withdrawal, and began when that took effect."""
    former: Former | None = None
    noticed: int = 0
    """The withdrawal of which notice was given, and which has not taken effect."""
    returning: State | None = None
    """The membership that begins when this withdrawal takes effect."""
    leavings: int = 0
    """How many memberships have ended."""
    consented: bool = False
    """Whether any party has consented to be bound."""
    awaited: tuple[tuple[int, int], ...] = ()
    """The party's own entries into force of this possible world, each with the number of leavings before it."""
    early: tuple[Step, ...] = ()
    """Entries into force that are dated before the creation of the subject."""
    unborn: bool = False
    """Whether the subject is not yet created."""
    over: bool = False
    """Whether the subject, or the party, has ended."""
    is_party_over: bool = False
    """Whether the party has ended: later steps of the subject do not change its membership."""

    @property
    def standing(self) -> str | None:
        """The status, ignoring the end of the membership."""
        status = self.bond
        if self.provisional and status in (None, "signed"):
            status = "provisional"
        if self.suspended_by or (self.frozen_by and status in ("in-force", "provisional")):
            return "suspended"
        return status

    @property
    def status(self) -> str | None:
        """The status; None before the membership."""
        return self.gone or self.standing

    @property
    def bearer(self) -> int:
        """The fact by which the membership is in force or suspended; 0 if it is neither."""
        match self.status:
            case "in-force":
                return self.in_force_by
            case "suspended":
                return self.suspended_by or self.frozen_by
        return 0


def take(state: State, step: Step) -> State | None:
    """Return the state after a step; None if the step is refused."""
    what = step.what
    if state.unborn:
        return _before_creation(state, step)
    if what in ENDING:
        if state.gone is None and state.status is not None:
            state = state._replace(gone="left" if what == "dissolved" else "ended", closed=step.fact)
        return state._replace(over=True, is_party_over=state.is_party_over or what == "party-ended")
    if state.is_party_over:
        if what in LEAVING and state.gone is None:  # an unrecorded membership has ended with the party
            return None
        return None if what in BEGINNING or what.startswith("presumed:") else state
    if state.over:
        may_follow = what == "notice" or (what == "withdrawn-later" and state.gone == "ended")
        return state if may_follow else None
    if what.startswith("whole:"):
        return _of_all(state, what, step.fact)
    if what in LEAVING:
        return _leave(state, step)
    if what == "notice":
        if step.fact == state.closed or (state.former is not None and step.fact == state.former.closed):
            return state
        return state._replace(noticed=step.fact)
    if state.noticed and (what in BEGINNING or (state.returning is not None and what in _FOLLOWING)):
        return _during_notice(state, step)
    if state.gone is not None:
        if what in _PAUSING:
            return state
        state = _after(state)
    if what.startswith("presumed:"):
        bond = what.removeprefix("presumed:")
        return state._replace(bond=bond, opened=-step.fact) if state.status is None else None
    if state.opened < 0:
        return None
    if what == "entered-into-force" and not _is_awaited(state, step, state.leavings):
        return None
    return _open(state, step)


def _before_creation(state: State, step: Step) -> State | None:
    if step.what in INTO_FORCE:
        return state._replace(early=(*state.early, step))
    if step.what == "whole:consented" and step.hi == BEFORE:
        return state._replace(consented=True)
    if step.what == "notice":
        return state._replace(noticed=step.fact)
    born = state._replace(unborn=False, early=())
    if step.what == "made":
        following: State | None = born
    elif step.what in CREATING:
        following = _open(born, step)
    else:
        return None
    for early in state.early:
        following = following and take(following, early)
    return following


def _after(state: State) -> State:
    """Return the state before a new membership, after the one that has ended."""
    return State(
        former=Former(max(state.opened, 0), state.closed, state.gone or ""),
        frozen_by=state.frozen_by,
        noticed=state.noticed,
        leavings=state.leavings,
        consented=state.consented,
        awaited=state.awaited,
    )


def _is_awaited(state: State, step: Step, leavings: int) -> bool:
    """Return whether this number of leavings precedes an entry into force of the party in this possible world."""
    return not state.awaited or (step.fact, leavings) in state.awaited


def _during_notice(state: State, step: Step) -> State | None:
    """Return the state after a return that is recorded before the withdrawal takes effect."""
    if step.what == "entered-into-force" and not _is_awaited(state, step, state.leavings + 1):
        return None
    following = _open(state.returning or State(), step)
    if following is None:
        return None
    return state._replace(returning=following, consented=state.consented or following.consented)


def _open(state: State, step: Step) -> State | None:
    match step.what:
        case "entered-into-force":
            state = state._replace(bond="in-force", in_force_by=state.in_force_by or step.fact, provisional=False)
        case "provisionally-applied":
            state = state._replace(provisional=state.bond in (None, "signed"))
        case "suspended":
            state = state._replace(suspended_by=state.suspended_by or step.fact)
        case "resumed" if state.bond is None and not state.provisional:
            state = state._replace(bond="in-force", in_force_by=step.fact, suspended_by=0)
        case "resumed":
            in_force_by = step.fact if state.bond == "in-force" and state.suspended_by else state.in_force_by
            state = state._replace(in_force_by=in_force_by, suspended_by=0)
        case what:
            if (what, step.who) in state.taken:
                return None
            bond = state.bond if state.bond in ("in-force", "bound") else _ONCE[what]
            state = state._replace(
                bond=bond,
                taken=state.taken | {(what, step.who)},
                provisional=state.provisional and bond == "signed",
                consented=state.consented or what in _CONSENTS,
            )
    return state if state.opened else state._replace(opened=step.fact)


def _leave(state: State, step: Step) -> State | None:
    what = "left" if step.what == "left" else "withdrawn"
    names = {who for taken, who in state.taken if taken in _ONCE}
    if state.gone is not None:  # the same leaving, recorded of a party that was recorded twice
        again = step.who in names and ("left", step.who) not in state.taken
        return state._replace(taken=state.taken | {("left", step.who)}) if again else None
    if state.status is None or (state.opened < 0 and state.opened != -step.fact):
        return None
    if state.returning is not None:
        return state.returning._replace(
            former=Former(max(state.opened, 0), step.fact, what),
            waited=True,
            frozen_by=state.frozen_by,
            leavings=state.leavings + 1,
            consented=state.consented,
            awaited=state.awaited,
        )
    return state._replace(
        gone=what,
        closed=step.fact,
        noticed=0 if state.noticed == step.fact else state.noticed,
        leavings=state.leavings + 1,
        taken=state.taken | {("left", step.who)},
    )


def _of_all(state: State, what: str, fact: int) -> State:
    match what:
        case "whole:consented":
            return state._replace(consented=True)
        case "whole:entered-into-force" if state.gone is None:
            has_own_day = any(leavings == state.leavings for _, leavings in state.awaited)
            if not has_own_day and (state.bond == "bound" or (state.bond == "signed" and not state.consented)):
                return state._replace(bond="in-force", in_force_by=fact, provisional=False)
        case "whole:provisionally-applied" if state.gone is None and state.bond == "signed":
            return state._replace(provisional=True)
        case "whole:suspended":
            return state._replace(frozen_by=state.frozen_by or fact)
        case "whole:resumed":
            return state._replace(frozen_by=0)
    return state
