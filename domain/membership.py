"""Memberships: a party in an agreement, a platform or a lab, with its days and statuses.

Pure folds of one party's facts within one subject, within that subject's lifespan. A membership may have several
intervals (joined, left, joined again). A leaving without a recorded joining ends an interval of unknown beginning.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span
from domain.membership_steps import (
    BEGINNING,
    CREATING,
    INTO_FORCE,
    LEAVING,
    NOTICES,
    PRESUMING,
    FormerMembership,
    MembershipState,
    evolve,
)
from domain.possible_worlds import Evaluation, Segment, Step, evaluate, in_turn

FOREVER = AFTER + 1
"""The exclusive end of a range of days that does not end."""


class Lifespan(NamedTuple):
    """When a subject was created and when it ended; `end` is None while no end is recorded.

    `has_single_creation`: only one event creates it, so that nothing precedes that event in any possible world.
    `is_created_by_signature`: it was signed, not adopted, so that its entry into force may have an earlier date.
    `announced` are the days of the first announcement. An agreement that was only announced has no bounded creation.
    """

    creation: Span
    end: Span | None = None
    has_single_creation: bool = False
    is_created_by_signature: bool = False
    announced: Span | None = None

    @property
    def from_announcement(self) -> Lifespan:
        """The lifespan in which commitments may be made: it begins with an announcement, if there is one."""
        if self.announced is None:
            return self
        if self.creation.hi == BEFORE:
            return self._replace(creation=self.announced)
        lo, hi = map(min, self.announced, self.creation)
        return self._replace(creation=Span(lo, hi))

    def clip(self, span: Span) -> Span:
        """Return the part of a date's span within this lifespan; the whole span if there is none."""
        lo, hi = span
        creation, end = self.creation, self.end
        if lo >= creation.lo and (end is None or hi <= end.hi):
            return span
        lo = max(lo, creation.lo)
        if end is not None and hi > end.hi:
            hi = end.hi
        return Span(lo, hi) if lo <= hi else span

    def end_of(self, span: Span) -> Span:
        """Return the possible days of an end: none before the last fact."""
        lo = max(span.lo, self.end.lo if self.end is not None else self.creation.lo)
        return Span(lo, span.hi) if lo <= span.hi else span


class PartyLifespan(NamedTuple):
    """The lifespan of a party, its dissolutions, after which it has no membership, and its re-establishments, from
    which on it may have another one.
    """

    lifespan: Lifespan
    dissolved: Sequence[Fact] = ()
    reestablished: Sequence[Fact] = ()

    def affects(self, own: Sequence[Fact]) -> bool:
        """Return whether a membership with these facts depends on this lifespan."""
        creation = self.lifespan.creation.lo
        return bool(self.dissolved) or any(fact.span.lo < creation for fact in own)


class FirstConsent(NamedTuple):
    """The earliest and the latest day of the first consent to be bound by an agreement.

    `lo_else` and `hi_else` are the same for the parties other than `lo_by` and `hi_by`; these are empty if several
    parties share the day.
    """

    lo: int
    lo_by: str
    lo_else: int
    hi: int
    hi_by: str
    hi_else: int

    def of_others(self, party: str) -> Span:
        """Return the days of the first consent of the other parties; `Span(AFTER, AFTER)` if there is none."""
        return Span(
            self.lo if self.lo_by != party else self.lo_else,
            self.hi if self.hi_by != party else self.hi_else,
        )

    def extended(self, party: str, span: Span) -> FirstConsent:
        """Return the same after one more consent."""
        return FirstConsent(
            *_two_first(self.lo, self.lo_by, self.lo_else, span.lo, party),
            *_two_first(self.hi, self.hi_by, self.hi_else, span.hi, party),
        )

    def cut_to(self, first: int, last: int) -> FirstConsent:
        """Return the same with the days before `first` and after `last` made equal: they have equal effects.

        `first` and `last` are the bounds of the entries into force of the agreement.
        """

        def day(of: int) -> int:
            return BEFORE if of <= first else AFTER if of > last else of

        lo, lo_else, hi, hi_else = map(day, (self.lo, self.lo_else, self.hi, self.hi_else))
        return FirstConsent(
            lo, self.lo_by if lo < lo_else else "", lo_else, hi, self.hi_by if hi < hi_else else "", hi_else
        )


def _two_first(day: int, by: str, other: int, new: int, party: str) -> tuple[int, str, int]:
    """Return the first day, the party that alone has it, and the first day of all others, after one more day."""
    if party == by:
        return min(day, new), by, other
    if new < day:
        return new, party, day
    if new == day or not by:
        return day, "", day
    return day, by, min(other, new)


NO_CONSENT = FirstConsent(AFTER, "", AFTER, AFTER, "", AFTER)
NEVER = Span(AFTER, AFTER)


class InForcePossibilities(NamedTuple):
    """Whether a membership, while its agreement lasts, may be in force, may be suspended, may be neither."""

    in_force: bool
    suspended: bool
    neither: bool


_NO_FORCE = InForcePossibilities(False, False, True)


class MembershipPeriod(NamedTuple):
    """A membership on the days from `valid_from` to before `valid_to`; none if it ended on the day of the next one.

    `interval` numbers the memberships of the party from 0.
    `statuses` are the possible statuses, in their order; `is_certain` says that there is only one.
    `is_final_period` marks the last period of an interval, `final_statuses` are the possible last statuses.
    `begun_by` and `ended_by` are the positions of the facts that began and ended it; None where not recorded.
    `source_event` is the position of the fact by which it is in force or suspended.
    `waited_for` is the position of the withdrawal that had to take effect before it began.
    `changed_by` is the position of the last change of its category.
    """

    valid_from: int
    valid_to: int
    interval: int
    status: str
    statuses: tuple[str, ...]
    is_certain: bool
    is_final_period: bool
    final_statuses: tuple[str, ...]
    begun_by: int | None
    ended_by: int | None
    force: InForcePossibilities
    source_event: int | None = None
    waited_for: int | None = None
    changed_by: int | None = None


ORDER_OF_STATUSES = (
    "signed",
    "bound",
    "provisional",
    "in-force",
    "suspended",
    "withdrawn",
    "founder",
    "member",
    "left",
    "owner",
    "removed",
    "ended",
)
OWNERSHIP_STATUSES = ("owner", "removed", "ended")
"""Those of owners of parties."""
MEMBERSHIP_STATUSES = tuple(status for status in ORDER_OF_STATUSES if status not in ("owner", "removed"))
"""Those of memberships in agreements, labs and platforms."""
ENDED_STATUSES = ("withdrawn", "left", "removed", "ended")
"""Those in which a membership no longer holds."""

_DISSOLVED = 1 << 20
"""The rank of the end of a membership by the end of its party: the last of all that falls on its day."""

_REESTABLISHED = -2
"""The place of the return of a party: the first of all steps of its day."""
_SHORT = 12
"""The most steps of a membership whose evaluation is cached: few different sequences occur in a registry."""


_STEP_OF = {
    "agreement.signed": "signed",
    "agreement.ratified": "ratified",
    "agreement.acceded": "acceded",
    "agreement.provisionally-applied": "provisionally-applied",
    "agreement.entered-into-force": "entered-into-force",
    "agreement.suspended": "suspended",
    "agreement.resumed": "resumed",
    "agreement.withdrawn": "withdrawn",
    "agreement.terminated": "ended",
    "agreement.withdrawal-revoked": "revoked",
    "agreement.reinstated": "reinstated",
    "lab.founded": "founded",
    "lab.closed": "ended",
    "platform.member-joined": "joined",
    "platform.member-changed": "changed",
    "platform.member-left": "left",
    "platform.dissolved": "dissolved",
    "party.owner-added": "owned",
    "party.owner-removed": "removed",
    "party.dissolved": "ended",
    "party.re-established": "re-established",
}
CONSENTS = frozenset(("agreement.ratified", "agreement.acceded"))
"""The types of consents to be bound."""
_ENDING = ("ended", "dissolved")
_END_FIRST = -1
"""The place of an end in the order of facts: on one day it is taken before a new beginning."""
_CONSENT_RANK = CATALOGUE["agreement.ratified"].rank
_PLACES = {
    "owned": CATALOGUE["platform.member-joined"].rank,
    "changed": CATALOGUE["platform.member-joined"].rank + 1,
}
"""The places of steps whose types came later than others, in the order of facts on one day: before the end of all."""
_PRESUMED = {"left": "member", "changed": "member", "removed": "owner"}
"""The status of a membership of unknown beginning, by the step that presumes it; of an agreement it is `bound`."""
_MOST_STARTS = 16
"""Beyond this number of ways to assign entries into force to memberships, each belongs to the first possible one."""
_AGREEMENT_WIDE_STEPS = {kind: what if what in _ENDING else f"agreement-wide:{what}" for kind, what in _STEP_OF.items()}
STEP_TYPES = frozenset(
    (
        "agreement.signed",
        "agreement.ratified",
        "agreement.acceded",
        "lab.founded",
        "platform.member-joined",
        "platform.member-changed",
        "party.owner-added",
    )
)
"""The types whose facts are steps of a party: not before its creation, nor after its dissolution."""
REVOKED = "agreement.withdrawal-revoked"
"""The type of event that revokes a notice of withdrawal."""
OWNER_TYPES = frozenset(("party.owner-added", "party.owner-removed"))
LEAVING_TYPES = frozenset(("agreement.withdrawn", "platform.member-left", "party.owner-removed"))
MEMBERSHIP_TYPES = frozenset(_STEP_OF) - {
    "agreement.terminated",
    "lab.closed",
    "platform.dissolved",
    "party.dissolved",
    "party.re-established",
}
"""The types whose events create or change the membership of a party that they name."""


def evaluate_memberships(
    own: Sequence[Fact],
    agreement_wide: Sequence[Fact],
    lifespan: Lifespan,
    *,
    consented: Span = NEVER,
    names: Sequence[str] = (),
    party: PartyLifespan | None = None,
) -> Evaluation[MembershipState]:
    """Return every possible state of a membership on every day.

    `own` are the facts of the party within the subject.
    `agreement_wide` are the facts that change every membership of the subject (entry into force, suspension, end).
    `consented` are the possible days of the first consent of any other party.
    `names` are those of merged parties, also of the subject itself: a step recorded under several of them is one step.
    `party` is the lifespan of the party, if it matters.
    """
    steps = _steps(own, agreement_wide, lifespan, consented, names, party)
    return _evaluate(steps, own, lifespan, party, is_one=len(names) < 2)


def _evaluate(
    steps: Sequence[Step], own: Sequence[Fact], lifespan: Lifespan, party: PartyLifespan | None, *, is_one: bool
) -> Evaluation[MembershipState]:
    starts = _initial_states(steps, has_single_creation=lifespan.has_single_creation, is_one=is_one)
    found = evaluate(steps, evolve, *starts)
    presuming_steps = [index for index, step in enumerate(steps) if step.name in PRESUMING]
    is_precise = all(step.lo == step.hi for step in steps)
    if not presuming_steps or (is_precise and not _may_presume(steps, found)):
        return found
    base_status = _PRESUMED.get(steps[presuming_steps[0]].name, "bound")
    created = lifespan.creation.lo if party is None else max(lifespan.creation.lo, party.lifespan.creation.lo)
    notices = {fact.position: max(lifespan.clip(fact.span).hi, created) for fact in own}
    presumed = []
    for index in presuming_steps:
        step = steps[index]
        latest = min(step.hi, notices[step.fact])  # a party that gives notice is a party on that day
        presumed.append(
            Step(f"presumed:{base_status}", min(created, latest), latest, (-1, "", ""), step.fact, starts=index)
        )
    presuming = evaluate([*steps, *presumed], evolve, *starts)
    return found if found.is_satisfiable and not presuming.is_satisfiable else presuming


def _may_presume(steps: Sequence[Step], found: Evaluation[MembershipState]) -> bool:
    """Return whether, with exact dates, a leaving may have ended a membership without a recorded beginning.

    It was refused, or it follows an end, or it shares a day with a beginning.
    """
    if not found.is_satisfiable:
        return True
    turns = {step.lo for step in steps if step.name not in LEAVING and not step.name.startswith("agreement-wide:")}
    for step in steps:
        if step.name in LEAVING and step.lo in turns:
            before = next(
                (segment.default_state for segment in reversed(found.segments) if segment.valid_from < step.lo),
                MembershipState(),
            )
            if before.end_status is not None or before.status is None:
                return True
    return False


def _initial_states(steps: Sequence[Step], *, has_single_creation: bool, is_one: bool) -> list[MembershipState]:
    """Return the initial states of a membership, by the number of leavings before each entry into force of its own.

    The number matters only if the agreement also enters into force as a whole.
    """
    start = MembershipState(
        is_before_creation=has_single_creation
        and any(step.name in CREATING or step.name == "created" for step in steps)
    )
    own = [step for step in steps if step.name == "entered-into-force"]
    if not own or all(step.name != "agreement-wide:entered-into-force" for step in steps):
        return [start]
    leavings = [step for step in steps if step.name in LEAVING]
    notices = {step.fact: step.lo for step in steps if step.name == "notice"}
    ways = []
    for step in own:
        before = {(each.lo, each.hi) for each in leavings if each.hi <= step.lo}
        most = sum(notices.get(each.fact, each.lo) <= step.hi for each in leavings)
        least = len(before) if is_one else min(len(before), 1)
        ways.append([(step.fact, number) for number in range(least, max(least, most) + 1)])
    if prod(map(len, ways)) > _MOST_STARTS:
        ways = [each[:1] for each in ways]
    return [start._replace(own_entries_into_force=entries) for entries in product(*ways)]


def _steps(
    own: Sequence[Fact],
    agreement_wide: Sequence[Fact],
    lifespan: Lifespan,
    consented: Span,
    names: Sequence[str],
    party: PartyLifespan | None,
) -> list[Step]:
    own_names, wide_names = _later_names(own, agreement_wide)
    steps = [_step(fact, own_names.get(fact.position, _STEP_OF[fact.type]), lifespan, names, party) for fact in own]
    is_revoked = any(fact.type == REVOKED for fact in own)
    for fact in own:
        if _is_waited_for(fact, own, lifespan):
            steps.append(_notice("notice", fact, lifespan))
        elif is_revoked and fact.type == "agreement.withdrawn" and fact.effective != fact.span:
            steps.append(_notice("given", fact, lifespan))
    for fact in agreement_wide:
        if fact.position not in own_names:
            name = wide_names.get(fact.position, _AGREEMENT_WIDE_STEPS[fact.type])
            steps.append(_step(fact, name, lifespan, (), None))
    creation = lifespan.creation
    may_precede = any(step.name in INTO_FORCE and step.lo < creation.hi for step in steps)
    is_only_signed = lifespan.has_single_creation and lifespan.is_created_by_signature
    if is_only_signed and creation.lo < creation.hi and may_precede and not any(fact.creates for fact in own):
        steps.append(Step("created", creation.lo, creation.hi, (_END_FIRST, "", "")))
    if any(fact.type == "agreement.signed" for fact in own):
        steps += _consent(steps, consented, lifespan)
    if party is not None:
        for fact in party.dissolved:
            lo, hi = party.lifespan.end_of(fact.span)
            steps.append(Step("party-ended", lo, hi, (_DISSOLVED, fact.source, fact.id), fact.position))
        least = ends_before(party.reestablished, [fact.span for fact in party.dissolved])
        for fact in party.reestablished:
            lo, hi = party.lifespan.clip(fact.span)
            order = (_REESTABLISHED, fact.source, fact.id)
            steps.append(Step(f"party-restored:{least[fact.position]}", lo, hi, order, fact.position))
    return steps


def _consent(steps: Sequence[Step], consented: Span, lifespan: Lifespan) -> list[Step]:
    """Return the first consent of the other parties as a step, if an entry into force of the agreement may follow."""
    days = [(step.lo, step.hi) for step in steps if step.name == "agreement-wide:entered-into-force"]
    span = lifespan.clip(consented)
    if not days or consented == NEVER or span.lo > max(hi for _, hi in days):
        return []
    if span.hi <= min(lo for lo, _ in days):
        span = Span(BEFORE, BEFORE)
    return [Step("agreement-wide:consented", span.lo, span.hi, (_CONSENT_RANK, "", ""))]


def _later_names(own: Sequence[Fact], agreement_wide: Sequence[Fact]) -> tuple[dict[int, str], dict[int, str]]:
    """Return the names of the steps that undo recorded ones, by position: those of the party and all others.

    A reinstatement tells how many ends precede it, a revocation whether its notice is recorded.
    """
    reinstating = [fact for fact in agreement_wide if fact.kind.reinstates]
    revoking = sorted([fact for fact in own if fact.type == REVOKED], key=attrgetter("order"))
    if not reinstating and not revoking and not any(fact.kind.reinstates for fact in own):
        return {}, {}
    ends = [fact.effective for fact in agreement_wide if fact.kind.ends]
    left = [fact.effective for fact in own if fact.type in LEAVING_TYPES]
    own_reinstating = [fact for fact in own if fact.kind.reinstates]
    own_names = {
        position: f"reinstated:{least}" for position, least in ends_before(own_reinstating, [*ends, *left]).items()
    }
    for number, fact in enumerate(revoking):
        notices = [
            each
            for each in own
            if each.type == "agreement.withdrawn" and each.span.lo <= fact.span.hi and each.effective.hi > fact.span.lo
        ]
        own_names[fact.position] = "revoked" if number < len(notices) else "revoked-unrecorded"
    whole = [fact for fact in reinstating if not parties_of(fact)]
    least = ends_before(whole, ends)
    wide_names = {fact.position: f"{_AGREEMENT_WIDE_STEPS[fact.type]}:{least[fact.position]}" for fact in whole}
    wide_names |= {fact.position: "agreement-wide:reopened" for fact in reinstating if fact.position not in wide_names}
    return own_names, wide_names


def ends_before(reinstating: Sequence[Fact], ends: Sequence[Span]) -> dict[int, int]:
    """Return how many ends precede each reinstatement, by its position; 0 if its end is not recorded.

    Its end is recorded unless every recorded end may precede an earlier reinstatement.
    """
    found = {}
    for number, fact in enumerate(sorted(reinstating, key=attrgetter("order"))):
        may_precede = sum(end.lo <= fact.span.hi for end in ends)
        found[fact.position] = 0 if number >= may_precede == len(ends) else number + 1
    return found


def _is_waited_for(fact: Fact, own: Sequence[Fact], lifespan: Lifespan) -> bool:
    """Return whether the party may return during the notice of a withdrawal. The only creation of the subject is no
    return.
    """
    notice, effective = fact.span, fact.effective
    if fact.type != "agreement.withdrawn" or effective == notice or notice.lo >= effective.hi:
        return False
    return any(
        _STEP_OF[each.type] in BEGINNING and notice.lo <= each.span.hi and each.span.lo < effective.hi
        for each in own
        if not (lifespan.has_single_creation and each.creates)
    )


def _notice(name: str, fact: Fact, lifespan: Lifespan) -> Step:
    span = lifespan.clip(fact.span)
    return Step(name, span.lo, span.hi, (_END_FIRST, fact.source, fact.id), fact.position)


def _step(fact: Fact, name: str, lifespan: Lifespan, names: Sequence[str], party: PartyLifespan | None) -> Step:
    effective, kind = fact.effective, fact.kind
    if name in _ENDING:
        span = lifespan.end_of(effective)
    elif fact.type == "agreement.entered-into-force":
        span = in_force_from(effective, lifespan)
    elif effective == fact.span:
        span = lifespan.creation if lifespan.has_single_creation and kind.is_creating else lifespan.clip(effective)
    else:  # a notice is given while the agreement lasts; its effect may come later
        created = lifespan.creation.lo
        name, span = "withdrawn-later", Span(max(effective.lo, created), max(effective.hi, created))
    if party is not None and fact.type in STEP_TYPES:
        span = party.lifespan.clip(span)
    who = next((each for each in names if each in parties_of(fact)), "") if len(names) > 1 else ""
    if fact.subject in names:
        who = f"{who} {fact.subject}"
    is_leaving = name in LEAVING
    order = (_END_FIRST if is_leaving else _PLACES.get(name, kind.rank), fact.source, fact.id)
    return Step(name, span.lo, span.hi, order, fact.position, who, "leaving" if is_leaving else "")


def in_force_from(span: Span, lifespan: Lifespan) -> Span:
    """Return the days from which an entry into force holds: from the signature on, if it is dated before."""
    creation = lifespan.creation
    if not lifespan.is_created_by_signature:
        return lifespan.clip(span)
    if lifespan.has_single_creation and creation.lo < creation.hi:  # a step of its own day, in effect from the creation
        return Span(span.lo, lifespan.clip(span).hi)
    return lifespan.clip(Span(max(span.lo, creation.lo), max(span.hi, creation.lo)))


def parties_of(fact: Fact) -> list[str]:
    """Return the parties whose memberships a fact of `MEMBERSHIP_TYPES` creates or changes."""
    data: Any = fact.data
    if fact.type == "agreement.signed":
        return list(dict.fromkeys(signatory.party for signatory in data.parties))
    if fact.type == "lab.founded":
        return list(data.founders)
    if fact.type in OWNER_TYPES:
        return [data.owner]
    party = getattr(data, "party", None)
    return [party] if party is not None else []


def is_member(fact: Fact, names: Collection[str]) -> bool:
    """Return whether a fact of `MEMBERSHIP_TYPES` that names one of these parties is about its membership.

    It may name others: a depositary, a secretariat, the parties between which alone an agreement enters into force.
    """
    data: Any = fact.data
    match fact.type:
        case "agreement.signed" if data.depositary in names or data.secretariat in names:
            return any(signatory.party in names for signatory in data.parties)
        case "agreement.entered-into-force":
            return data.party in names
    return True


def membership_periods(
    own: Sequence[Fact],
    agreement_wide: Sequence[Fact],
    lifespan: Lifespan,
    *,
    consented: Span = NEVER,
    names: Sequence[str] = (),
    party: PartyLifespan | None = None,
) -> list[MembershipPeriod]:
    """Return the periods of a membership, as few as possible, without days before its certain beginning. The arguments
    are those of `evaluate_memberships`.
    """
    steps = _steps(own, agreement_wide, lifespan, consented, names, party)
    if len(names) < 2 and len(steps) <= _SHORT and all(step.lo == step.hi < AFTER for step in steps):
        return _periods_of_exact_dates(steps, own, lifespan, party)
    return periods_of(_evaluate(steps, own, lifespan, party, is_one=len(names) < 2))


def _periods_of_exact_dates(
    steps: list[Step], own: Sequence[Fact], lifespan: Lifespan, party: PartyLifespan | None
) -> list[MembershipPeriod]:
    """Return the periods of a membership with exact dates only: a fast path that equals the general evaluation.

    They depend only on the order of the steps and on which steps share a day, so that they are cached by these.
    """
    if len(steps) > 1:
        steps.sort(key=in_turn)
    days, sequence = [BEFORE], []
    numbers = {step.fact: number for number, step in enumerate(steps, 1) if step.name not in NOTICES}
    for step in steps:
        if step.lo > days[-1]:
            days.append(step.lo)
        sequence.append((step.name, len(days) - 1, numbers[step.fact]))
    found = _periods_by_order(tuple(sequence), lifespan.has_single_creation)
    if found is None:
        return periods_of(_evaluate(steps, own, lifespan, party, is_one=True))
    days.append(FOREVER)
    facts = [None, *[step.fact for step in steps]]
    return [
        each._replace(
            valid_from=days[each.valid_from],
            valid_to=days[each.valid_to],
            begun_by=facts[each.begun_by],
            ended_by=facts[each.ended_by],
            source_event=facts[each.source_event],
            waited_for=facts[each.waited_for],
            changed_by=facts[each.changed_by],
        )
        for each in found
    ]


@lru_cache(maxsize=1024)
def _periods_by_order(sequence: tuple[tuple[str, int, int], ...], has_single_creation: bool) -> list[Any] | None:
    """Return the periods of steps (name, day, step), with days from 0 and steps from 1 as numbers; step 0 is none.

    Return None if a step may need an unrecorded one.
    """
    steps = [
        Step(what, day, day, (place, "", ""), number, daily="leaving" if what in LEAVING else "")
        for place, (what, day, number) in enumerate(sequence)
    ]
    found = evaluate(steps, evolve, *_initial_states(steps, has_single_creation=has_single_creation, is_one=True))
    if _may_presume(steps, found):
        return None
    never = sequence[-1][1] + 1
    return [
        days._replace(
            valid_to=min(days.valid_to, never),
            begun_by=days.begun_by or 0,
            ended_by=days.ended_by or 0,
            source_event=days.source_event or 0,
            waited_for=days.waited_for or 0,
            changed_by=days.changed_by or 0,
        )
        for days in periods_of(found)
    ]


def periods_of(found: Evaluation[MembershipState]) -> list[MembershipPeriod]:
    """Return the periods of an evaluated membership."""
    periods: list[MembershipPeriod] = []
    interval, begun_by = -1, 0
    for segment, following in zip(found.segments, [*found.segments[1:], None], strict=True):
        state = segment.default_state
        if state.status is None:
            continue
        if state.begun_by != begun_by:
            former = state.former
            if former is not None and (not periods or periods[-1].ended_by != former.ended_by):
                interval += not periods or former.begun_by != max(begun_by, 0)
                periods.append(_without_days(segment, former, interval))
            interval, begun_by = interval + 1, state.begun_by
        days = _period(segment, following.valid_from if following else FOREVER, interval)
        previous = periods[-1] if periods else None
        if previous is not None and previous.valid_to == days.valid_from and _differ_in_days_only(previous, days):
            periods[-1] = previous._replace(valid_to=days.valid_to)
        else:
            periods.append(days)
    final_statuses = _in_order({state.status for state in found.end_states})
    if len(periods) == 1:
        return [periods[0]._replace(is_final_period=True, final_statuses=final_statuses)]
    ended_by = {days.interval: days.ended_by for days in periods}
    final = {days.interval: index for index, days in enumerate(periods)}
    return [
        days._replace(
            ended_by=ended_by[days.interval],
            is_final_period=final[days.interval] == index,
            final_statuses=final_statuses if days.interval == interval else (periods[final[days.interval]].status,),
        )
        for index, days in enumerate(periods)
    ]


def _without_days(segment: Segment[MembershipState], former: FormerMembership, interval: int) -> MembershipPeriod:
    """Return the period of a membership that ended on the day of the next beginning: it has no day."""
    known: set[str | None] = {
        former.end_status if each.former is not None or each.end_status is not None else each.status
        for each in segment.states
        if each.status is not None
    }
    return MembershipPeriod(
        segment.valid_from,
        segment.valid_from,
        interval,
        former.end_status,
        _in_order(known),
        len(known) == 1,
        False,
        (),
        former.begun_by or None,
        former.ended_by,
        _NO_FORCE,
    )


def _period(segment: Segment[MembershipState], until: int, interval: int) -> MembershipPeriod:
    state = segment.default_state
    status = state.status
    assert status is not None
    known = {each.status for each in segment.states}
    return MembershipPeriod(
        segment.valid_from,
        until,
        interval,
        status,
        _in_order(known),
        len(known) == 1,
        False,
        (),
        state.begun_by if state.begun_by > 0 else None,
        state.ended_by if state.ended_by > 0 else None,
        _force(segment),
        state.source_event or None,
        state.former.ended_by if state.has_waited and state.former is not None else None,
        state.changed_by or None,
    )


def _in_order(statuses: set[str | None]) -> tuple[str, ...]:
    """Return the statuses in their order, without None."""
    if len(statuses) == 1:
        (only,) = statuses
        return () if only is None else (only,)
    return tuple(each for each in ORDER_OF_STATUSES if each in statuses)


def _force(segment: Segment[MembershipState]) -> InForcePossibilities:
    statuses = {
        None if each.end_status == "withdrawn" else each.ongoing_status
        for each in segment.states
        if each.end_status != "ended" and not each.is_before_creation
    }
    return InForcePossibilities(
        "in-force" in statuses, "suspended" in statuses, bool(statuses - {"in-force", "suspended"})
    )


def _differ_in_days_only(one: MembershipPeriod, other: MembershipPeriod) -> bool:
    return one[2:] == other[2:]


def with_lapses(periods: Sequence[MembershipPeriod], lapses: Sequence[tuple[int, int]]) -> list[MembershipPeriod]:
    """Return the periods, possibly ended on the days of `lapses`, on which the agreement is past its `until`.

    A lapse is its first day and the day after its last one.
    """
    if not lapses:
        return list(periods)
    found: list[MembershipPeriod] = []
    for days in periods:
        if days.valid_from == days.valid_to:
            found.append(days)
            continue
        cuts = {
            days.valid_from,
            days.valid_to,
            *(day for lapsed in lapses for day in lapsed if days.valid_from < day < days.valid_to),
        }
        ordered = sorted(cuts)
        for since, until in pairwise(ordered):
            part = days._replace(
                valid_from=since, valid_to=until, is_final_period=days.is_final_period and until == days.valid_to
            )
            if days.status not in ("withdrawn", "ended") and any(lo <= since < hi for lo, hi in lapses):
                statuses, final_statuses = (
                    tuple(each for each in ORDER_OF_STATUSES if each in {*known, "ended"})
                    for known in (days.statuses, days.final_statuses)
                )
                part = part._replace(status="ended", statuses=statuses, is_certain=False, final_statuses=final_statuses)
            found.append(part)
    return found
