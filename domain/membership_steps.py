"""The state machine of memberships: the state after each step, and which steps are refused.

It knows no days; `possible_worlds` decides the order of the steps.
"""

from __future__ import annotations

from typing import NamedTuple

from domain.edtf import BEFORE
from domain.possible_worlds import Step

CREATING = ("signed", "founded")
"""Steps that may create the subject; `created` does so without the party."""
ENDING = ("ended", "dissolved")
LEAVING = ("left", "withdrawn", "withdrawn-later", "removed")
BEGINNING = ("signed", "ratified", "acceded", "joined", "founded", "owned")
"""Steps that begin a new membership after an end, or after the notice of one."""
PRESUMING = (*LEAVING, "changed")
"""Steps that only a membership can take: if none is recorded, one of unknown beginning is presumed."""

_ONCE = {
    "signed": "signed",
    "ratified": "bound",
    "acceded": "bound",
    "joined": "member",
    "founded": "founder",
    "owned": "owner",
}
_CONSENTS = ("ratified", "acceded")
_STRENGTH = (None, "signed", "bound", "in-force")
"""The base statuses of parties to an agreement, the weakest first."""
NOTICES = ("notice", "given")
"""Notices of a withdrawal: in the time of the first the party may return."""
_REOPENING = ("agreement-wide:reinstated:", "agreement-wide:re-established:", "agreement-wide:reopened")
"""Steps after which the subject exists again, for members and others."""
_PAUSING = ("suspended", "resumed")
"""Steps that neither begin a membership nor bring one back that has ended."""
_FOLLOWING = ("entered-into-force", "provisionally-applied")
INTO_FORCE = ("entered-into-force", "agreement-wide:entered-into-force")


class FormerMembership(NamedTuple):
    """The previous membership: its first fact (0: not recorded), the fact that ended it, and how it ended."""

    begun_by: int
    ended_by: int
    end_status: str


class MembershipState(NamedTuple):
    """A membership after some steps, in one possible world.

    The fields that end in `_by` are positions of facts, 0 for none. `begun_by` is minus the position of the first step
    of `PRESUMING` if no beginning was recorded.
    """

    base_status: str | None = None
    """The status without provisional application, suspension and end."""
    taken: frozenset[tuple[str, str]] = frozenset()
    """The steps that can be taken once, each with the name it was recorded under."""
    provisional: bool = False
    in_force_by: int = 0
    suspended_by: int = 0
    agreement_suspended_by: int = 0
    """The suspension of the whole agreement."""
    changed_by: int = 0
    """The last change of the category of a member."""
    end_status: str | None = None
    begun_by: int = 0
    ended_by: int = 0
    has_waited: bool = False
    """Whether the membership was recorded during the notice of a withdrawal and began when that took effect."""
    former: FormerMembership | None = None
    notice_by: int = 0
    """The withdrawal of which notice was given, and which has not taken effect."""
    returning: MembershipState | None = None
    """The membership that begins when this withdrawal takes effect."""
    leavings: int = 0
    """The number of memberships that have ended by a leaving."""
    consented: bool = False
    """Whether any party has consented to be bound."""
    own_entries_into_force: tuple[tuple[int, int], ...] = ()
    """The entries into force of the party in this possible world, each with the number of leavings before it."""
    early_entries: tuple[Step, ...] = ()
    """Entries into force that are dated before the creation of the subject."""
    is_before_creation: bool = False
    """Whether the subject is not yet created."""
    pending: frozenset[int] = frozenset()
    """The withdrawals that may be revoked: of which notice was given, and which have not taken effect."""
    revoked: frozenset[int] = frozenset()
    """The withdrawals whose notice was revoked before they take effect."""
    ends: int = 0
    """The number of recorded ends of the agreement."""
    party_ends: int = 0
    """The number of recorded ends of the party."""
    has_ended: bool = False
    """Whether the subject has ended."""
    has_party_ended: bool = False
    """Whether the party has ended: later steps of the subject do not change its membership."""
    has_ended_with_party: bool = False
    """Whether the membership ended with the party: what reinstates the subject does not bring it back."""

    @property
    def ongoing_status(self) -> str | None:
        """The status without the end of the membership."""
        status = self.base_status
        if self.provisional and status in (None, "signed"):
            status = "provisional"
        if self.suspended_by or (self.agreement_suspended_by and status in ("in-force", "provisional")):
            return "suspended"
        return status

    @property
    def status(self) -> str | None:
        """The status; None before the membership."""
        return self.end_status or self.ongoing_status

    @property
    def source_event(self) -> int:
        """The fact by which the membership is in force or suspended; 0 if it is neither."""
        match self.status:
            case "in-force":
                return self.in_force_by
            case "suspended":
                return self.suspended_by or self.agreement_suspended_by
        return 0


def evolve(state: MembershipState, step: Step) -> MembershipState | None:
    """Return the state after a step; None if the step is refused."""
    what = step.name
    if what == "party-ended":
        return _end_with_party(state, step)
    if what.startswith("party-restored:"):
        return state._replace(has_party_ended=False) if state.party_ends >= _least(step) else None
    if state.is_before_creation:
        return None if state.has_party_ended and what in CREATING else _evolve_before_creation(state, step)
    if what in ENDING:
        if state.end_status is None and state.status is not None:
            state = state._replace(end_status="left" if what == "dissolved" else "ended", ended_by=step.fact)
        return state._replace(has_ended=True, ends=state.ends + 1)
    if state.has_party_ended:
        if what.startswith(_REOPENING):
            return state._replace(has_ended=False)
        if what.startswith("reinstated:"):
            return None
        if what in LEAVING and state.end_status is None:  # an unrecorded membership has ended with the party
            return None
        return None if what in BEGINNING or what == "changed" or what.startswith("presumed:") else state
    if what.startswith(("reinstated:", "agreement-wide:reinstated:")):
        return _reinstate(state, step)
    if what == "agreement-wide:reopened":
        return state._replace(has_ended=False)
    if what.startswith("agreement-wide:re-established:"):
        return state._replace(has_ended=False) if state.ends >= _least(step) else None
    if state.has_ended:
        may_follow = what in NOTICES or (what == "withdrawn-later" and state.end_status == "ended")
        return state if may_follow else None
    if what.startswith("agreement-wide:"):
        return _evolve_agreement_wide(state, what, step.fact)
    if what in LEAVING:
        return _leave(state, step)
    if what in NOTICES:
        if step.fact == state.ended_by or (state.former is not None and step.fact == state.former.ended_by):
            return state
        notice_by = step.fact if what == "notice" else state.notice_by
        return state._replace(notice_by=notice_by, pending=state.pending | {step.fact})
    if what.startswith("revoked"):
        return _revoke(state, is_recorded=what == "revoked")
    if state.notice_by and (what in BEGINNING or (state.returning is not None and what in _FOLLOWING)):
        return _evolve_during_notice(state, step)
    if state.end_status is not None:
        if what in _PAUSING:
            return state
        state = _without_membership(state)
    if what.startswith("presumed:"):
        base_status = what.removeprefix("presumed:")
        return state._replace(base_status=base_status, begun_by=-step.fact) if state.status is None else None
    if what == "changed":
        is_member = state.status is not None and _is_member_for(state, step)
        return state._replace(changed_by=step.fact) if is_member else None
    if state.begun_by < 0:
        return None
    if what == "entered-into-force" and not _is_of_this_membership(state, step, state.leavings):
        return None
    return _begin(state, step)


def _least(step: Step) -> int:
    """Return how many ends precede a step for certain, which its name says."""
    return int(step.name.rpartition(":")[2])


def _end_with_party(state: MembershipState, step: Step) -> MembershipState:
    if state.end_status is None and state.status is not None:
        state = state._replace(end_status="ended", ended_by=step.fact, has_ended_with_party=True)
    return state._replace(has_party_ended=True, party_ends=state.party_ends + 1)


def _evolve_before_creation(state: MembershipState, step: Step) -> MembershipState | None:
    if step.name in INTO_FORCE:
        return state._replace(early_entries=(*state.early_entries, step))
    if step.name == "agreement-wide:consented" and step.hi == BEFORE:
        return state._replace(consented=True)
    if step.name in NOTICES:
        notice_by = step.fact if step.name == "notice" else state.notice_by
        return state._replace(notice_by=notice_by, pending=state.pending | {step.fact})
    created = state._replace(is_before_creation=False, early_entries=())
    if step.name == "created":
        following: MembershipState | None = created
    elif step.name in CREATING:
        following = _begin(created, step)
    else:
        return None
    for entry in state.early_entries:
        following = following and evolve(following, entry)
    return following


def _without_membership(state: MembershipState) -> MembershipState:
    """Return the state before a new membership, after the one that has ended."""
    return MembershipState(
        former=FormerMembership(max(state.begun_by, 0), state.ended_by, state.end_status or ""),
        agreement_suspended_by=state.agreement_suspended_by,
        notice_by=state.notice_by,
        leavings=state.leavings,
        consented=state.consented,
        own_entries_into_force=state.own_entries_into_force,
        pending=state.pending,
        revoked=state.revoked,
        ends=state.ends,
        party_ends=state.party_ends,
    )


def _is_of_this_membership(state: MembershipState, step: Step, leavings: int) -> bool:
    """Return whether this number of leavings precedes an entry into force of the party in this possible world."""
    return not state.own_entries_into_force or (step.fact, leavings) in state.own_entries_into_force


def _evolve_during_notice(state: MembershipState, step: Step) -> MembershipState | None:
    """Return the state after a return that is recorded before the withdrawal takes effect."""
    if step.name == "entered-into-force" and not _is_of_this_membership(state, step, state.leavings + 1):
        return None
    following = _begin(state.returning or MembershipState(), step)
    if following is None:
        return None
    return state._replace(returning=following, consented=state.consented or following.consented)


def _begin(state: MembershipState, step: Step) -> MembershipState | None:
    match step.name:
        case "entered-into-force":
            state = state._replace(
                base_status="in-force", in_force_by=state.in_force_by or step.fact, provisional=False
            )
        case "provisionally-applied":
            state = state._replace(provisional=state.base_status in (None, "signed"))
        case "suspended":
            state = state._replace(suspended_by=state.suspended_by or step.fact)
        case "resumed" if state.base_status is None and not state.provisional:
            state = state._replace(base_status="in-force", in_force_by=step.fact, suspended_by=0)
        case "resumed":
            in_force_by = step.fact if state.base_status == "in-force" and state.suspended_by else state.in_force_by
            state = state._replace(in_force_by=in_force_by, suspended_by=0)
        case what:
            if (what, step.who) in state.taken:
                return None
            base_status = state.base_status if state.base_status in ("in-force", "bound") else _ONCE[what]
            state = state._replace(
                base_status=base_status,
                taken=state.taken | {(what, step.who)},
                provisional=state.provisional and base_status == "signed",
                consented=state.consented or what in _CONSENTS,
            )
    return state if state.begun_by else state._replace(begun_by=step.fact)


def _leave(state: MembershipState, step: Step) -> MembershipState | None:
    what = step.name if step.name in ("left", "removed") else "withdrawn"
    if step.fact in state.revoked:
        return None if state.status is None else state._replace(revoked=state.revoked - {step.fact})
    state = state._replace(pending=state.pending - {step.fact})
    names = {who for taken, who in state.taken if taken in _ONCE}
    if state.end_status is not None:  # the same leaving, recorded of a party that was recorded twice
        again = step.who in names and ("left", step.who) not in state.taken
        return state._replace(taken=state.taken | {("left", step.who)}) if again else None
    if state.status is None or not _is_member_for(state, step):
        return None
    if state.returning is not None:
        return state.returning._replace(
            former=FormerMembership(max(state.begun_by, 0), step.fact, what),
            has_waited=True,
            agreement_suspended_by=state.agreement_suspended_by,
            leavings=state.leavings + 1,
            consented=state.consented,
            own_entries_into_force=state.own_entries_into_force,
            pending=state.pending,
            revoked=state.revoked,
            ends=state.ends,
        )
    return state._replace(
        end_status=what,
        ended_by=step.fact,
        notice_by=0 if state.notice_by == step.fact else state.notice_by,
        leavings=state.leavings + 1,
        taken=state.taken | {("left", step.who)},
    )


def _is_member_for(state: MembershipState, step: Step) -> bool:
    """Return whether the membership is recorded, is presumed for the sake of this step, or was already changed."""
    return state.begun_by >= 0 or state.begun_by == -step.fact or state.changed_by > 0


def _revoke(state: MembershipState, *, is_recorded: bool) -> MembershipState | None:
    """Return the state after the revocation of a notice; `is_recorded`: the notice is among the steps."""
    if state.end_status is not None:
        return None
    if not state.pending:
        return None if is_recorded else state
    if state.returning is not None:
        if state.taken & state.returning.taken:
            return None
        state = _with_return(state, state.returning)
    return state._replace(pending=frozenset(), revoked=state.revoked | state.pending, notice_by=0)


def _with_return(state: MembershipState, returning: MembershipState) -> MembershipState:
    """Return a membership that goes on, with the steps that were taken for the time after it."""
    status = max(state.base_status, returning.base_status, key=_STRENGTH.index)
    return state._replace(
        base_status=status,
        taken=state.taken | returning.taken,
        provisional=(state.provisional or returning.provisional) and status in (None, "signed"),
        in_force_by=state.in_force_by or returning.in_force_by,
        suspended_by=state.suspended_by or returning.suspended_by,
        begun_by=state.begun_by or returning.begun_by,
        returning=None,
    )


def _reinstate(state: MembershipState, step: Step) -> MembershipState | None:
    """Return the state after a reinstatement, whose name says how many ends precede it."""
    is_own = step.name.startswith("reinstated:")
    if state.ends + (state.leavings if is_own else 0) < _least(step):
        return None
    is_over = state.end_status not in (None, "ended") or state.has_ended_with_party
    if not is_own and (state.status is None or is_over):
        return state._replace(has_ended=False, agreement_suspended_by=0)
    status, is_new = state.base_status, state.end_status is not None
    is_back = (
        is_own
        or status in ("in-force", "bound")
        or (status == "signed" and not state.consented)
        or (status is None and state.suspended_by > 0)
    )
    goes_on = status == "in-force" and not is_new and not state.suspended_by and not state.agreement_suspended_by
    following = _without_membership(state) if is_new else state
    return following._replace(
        base_status="in-force" if is_back else status,
        provisional=state.provisional and not is_back,
        in_force_by=state.in_force_by if goes_on else step.fact if is_back else 0,
        suspended_by=0,
        agreement_suspended_by=0,
        begun_by=step.fact if is_new or not state.begun_by else state.begun_by,
        has_ended=False,
    )


def _evolve_agreement_wide(state: MembershipState, what: str, fact: int) -> MembershipState:
    match what:
        case "agreement-wide:consented":
            return state._replace(consented=True)
        case "agreement-wide:entered-into-force" if state.end_status is None:
            has_own_day = any(leavings == state.leavings for _, leavings in state.own_entries_into_force)
            if not has_own_day and (
                state.base_status == "bound" or (state.base_status == "signed" and not state.consented)
            ):
                return state._replace(base_status="in-force", in_force_by=fact, provisional=False)
        case "agreement-wide:provisionally-applied" if state.end_status is None and state.base_status == "signed":
            return state._replace(provisional=True)
        case "agreement-wide:suspended":
            return state._replace(agreement_suspended_by=state.agreement_suspended_by or fact)
        case "agreement-wide:resumed":
            return state._replace(agreement_suspended_by=0)
    return state
