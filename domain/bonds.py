"""What one step makes of the bond between a party and what it is in, and which steps cannot be taken: the machine that
ties are swept with. It knows no days: what comes before what is for the sweep to say."""

from __future__ import annotations

from typing import NamedTuple

from domain.readings import Machine, Step

MAKING = ("signed", "founded")
LEAVING = ("left", "withdrawn", "withdrawn-later")

_ONCE = {"signed": "signed", "ratified": "bound", "acceded": "bound", "joined": "member", "founded": "founder"}


class State(NamedTuple):
    """What one reading makes of a tie so far.

    `taken` are the steps that can be taken once, each with the name it was recorded under. `opened` is the position of
    the fact that began the tie: 0 before there is one, negative (the leaving's) where nobody recorded its beginning.
    `unborn` says that the subject has not come about, `over` that it has ended.
    """

    bond: str | None = None
    taken: frozenset[tuple[str, str]] = frozenset()
    provisional: bool = False
    suspended: bool = False
    frozen: bool = False
    gone: str | None = None
    opened: int = 0
    closed: int = 0
    unborn: bool = False
    over: bool = False

    @property
    def standing(self) -> str | None:
        """The status without regard to the end of the tie."""
        if self.bond is None and not self.provisional and not self.suspended:
            return None
        status = self.bond
        if status != "in-force" and self.provisional:
            status = "provisional"
        if self.suspended or (self.frozen and status in ("in-force", "provisional")):
            return "suspended"
        return status

    @property
    def status(self) -> str | None:
        """The status; None before there is a tie."""
        return self.gone or self.standing


def _machine(*, consents: bool) -> Machine[State]:
    def take(state: State, step: Step) -> State | None:
        what = step.what
        if state.unborn:
            return _open(state._replace(unborn=False), step) if what in MAKING else None
        if what in ("ended", "dissolved"):
            if state.gone is None and state.status is not None:
                state = state._replace(gone="left" if what == "dissolved" else "ended", closed=step.fact)
            return state._replace(over=True)
        if state.over:
            return state if what == "withdrawn-later" and state.opened != -step.fact else None
        if what.startswith("whole:"):
            return _of_all(state, what, consents=consents)
        if what in LEAVING:
            return _leave(state, step)
        if state.gone is not None:
            state = State(frozen=state.frozen)
        elif state.opened < 0:
            return None
        if what.startswith("presumed:"):
            bond = what.removeprefix("presumed:")
            return state._replace(bond=bond, opened=-step.fact) if state.status is None else None
        return _open(state, step)

    return take


MACHINES = {True: _machine(consents=True), False: _machine(consents=False)}
"""By whether any consent to be bound is recorded."""


def _open(state: State, step: Step) -> State | None:
    match step.what:
        case "entered-into-force":
            state = state._replace(bond="in-force", provisional=False)
        case "provisionally-applied":
            state = state._replace(provisional=state.bond != "in-force")
        case "suspended":
            state = state._replace(suspended=True)
        case "resumed":
            known = state.bond is not None or state.provisional
            state = state._replace(suspended=False, bond=state.bond if known else "in-force")
        case what:
            if (what, step.who) in state.taken:
                return None
            bond = state.bond if state.bond in ("in-force", "bound") else _ONCE[what]
            state = state._replace(bond=bond, taken=state.taken | {(what, step.who)})
    return state if state.opened else state._replace(opened=step.fact)


def _leave(state: State, step: Step) -> State | None:
    what = "left" if step.what == "left" else "withdrawn"
    names = {who for taken, who in state.taken if taken in _ONCE}
    if state.gone is not None:  # the same leaving, recorded of a party that was recorded twice
        again = step.who in names and ("left", step.who) not in state.taken
        return state._replace(taken=state.taken | {("left", step.who)}) if again else None
    if state.status is None or (state.opened < 0 and state.opened != -step.fact):
        return None
    return state._replace(gone=what, closed=step.fact, taken=state.taken | {("left", step.who)})


def _of_all(state: State, what: str, *, consents: bool) -> State:
    match what:
        case "whole:entered-into-force":
            if state.gone is None and (state.bond == "bound" or (state.bond == "signed" and not consents)):
                return state._replace(bond="in-force", provisional=False)
        case "whole:provisionally-applied":
            if state.gone is None and state.bond in ("signed", "bound"):
                return state._replace(provisional=True)
        case "whole:suspended":
            return state._replace(frozen=True)
        case "whole:resumed":
            return state._replace(frozen=False)
    return state
