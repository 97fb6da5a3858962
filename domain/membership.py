"""Memberships: a party in an agreement, a platform or a lab, with its days and statuses.

Pure folds of one party's facts within one subject, within that subject's lifespan. A membership may have several
intervals (joined, left, joined again). A leaving without a recorded joining ends an interval of unknown beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from typing import Any, NamedTuple

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span
from domain.membership_steps import BEGINNING, CREATING, INTO_FORCE, LEAVING, Former, State, take
from domain.possible_worlds import Evaluation, Segment, Step, in_turn, sweep

FOREVER = AFTER + 1
"""The exclusive end of a range of days that does not end."""


class Lifespan(NamedTuple):
    """When a subject was created and when it ended; `end` is None while no end is recorded.

    `sole`: only one event creates it, so that nothing precedes that event in any possible world. `by_signature`: it was
    signed, not adopted, so an earlier date may be that of an entry into force.
    """

    birth: Span
    end: Span | None = None
    sole: bool = False
    by_signature: bool = False

    def clip(self, span: Span) -> Span:
        """Return the part of a date's span within this lifespan; the whole span if there is none."""
        lo, hi = span
        birth, end = self.birth, self.end
        if lo >= birth.lo and (end is None or hi <= end.hi):
            return span
        lo = max(lo, birth.lo)
        if end is not None and hi > end.hi:
            hi = end.hi
        return Span(lo, hi) if lo <= hi else span

    def end_of(self, span: Span) -> Span:
        """Return the possible days of an end: none before the last fact."""
        lo = max(span.lo, self.end.lo if self.end is not None else self.birth.lo)
        return Span(lo, span.hi) if lo <= span.hi else span


class PartyLife(NamedTuple):
    """The lifespan of a party, and its dissolutions, after which it has no membership."""

    lifespan: Lifespan
    dissolved: Sequence[Fact] = ()

    def bears_on(self, own: Sequence[Fact]) -> bool:
        """Return whether a membership with these facts depends on it."""
        birth = self.lifespan.birth.lo
        return bool(self.dissolved) or any(fact.span.lo < birth for fact in own)


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

    def apart_from(self, party: str) -> Span:
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

    def as_of_force(self, first: int, last: int) -> FirstConsent:
        """Return the same, with days cut to `first` and `last`, those of entries into force: equal values have equal
        effects.
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


class Force(NamedTuple):
    """Whether a membership, while its agreement lasts, may be in force, may be suspended, may be neither."""

    in_force: bool
    suspended: bool
    neither: bool


_NO_FORCE = Force(False, False, True)


class MembershipPeriod(NamedTuple):
    """A membership over the days `since` to before `until`; no day if it ended on the day of the next beginning.

    `interval` counts from 0. `opened` and `closed` are positions of the facts that began and ended it (None: not
    recorded). `last` marks the last status of the interval, `ever` are its possible final statuses. `bearer` is the
    fact by which it is in force or suspended, `waited` the withdrawal that had to take effect before it began.
    """

    since: int
    until: int
    interval: int
    status: str
    statuses: tuple[str, ...]
    certain: bool
    last: bool
    ever: tuple[str, ...]
    opened: int | None
    closed: int | None
    force: Force
    bearer: int | None = None
    waited: int | None = None


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
    "ended",
)
ENDED_STATUSES = ("withdrawn", "left", "ended")
"""Those in which a membership no longer holds."""

_DISSOLVED = 1 << 20
"""The rank of the end of a membership by the end of its party: the last of all that falls on its day."""

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
    "lab.founded": "founded",
    "lab.closed": "ended",
    "platform.member-joined": "joined",
    "platform.member-left": "left",
    "platform.dissolved": "dissolved",
}
CONSENTS = frozenset(("agreement.ratified", "agreement.acceded"))
"""The types of consents to be bound."""
_ENDING = ("ended", "dissolved")
_END_FIRST = -1
"""The place of an end in the order of facts: on one day it is taken before a new beginning."""
_CONSENT_RANK = CATALOGUE["agreement.ratified"].rank
_MOST_STARTS = 16
"""Beyond this number of ways to assign entries into force to memberships, each gets the first possible one."""
_STEP_OF_ALL = {kind: what if what in _ENDING else f"whole:{what}" for kind, what in _STEP_OF.items()}
STEP_TYPES = frozenset(
    (
        "agreement.signed",
        "agreement.ratified",
        "agreement.acceded",
        "lab.founded",
        "platform.member-joined",
    )
)
"""The types whose facts are steps of a party: not before its creation, nor after its dissolution."""
LEAVING_TYPES = frozenset(("agreement.withdrawn", "platform.member-left"))
MEMBERSHIP_TYPES = frozenset(_STEP_OF) - {"agreement.terminated", "lab.closed", "platform.dissolved"}
"""The types whose events create or change the membership of a party that they name."""


def evaluate_memberships(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    *,
    consented: Span = NEVER,
    names: Sequence[str] = (),
    party: PartyLife | None = None,
) -> Evaluation[State]:
    """Return every possible state of a membership on every day.

    `own` are the facts of the party within the subject; `whole` the agreement-wide facts of the subject (entry into
    force, suspension, end). `consented` is the first consent of any other party. Steps recorded under several of
    `names` are one step, because these parties are merged. `party` is the lifespan of the party, if it matters.
    """
    steps = _steps(own, whole, lifespan, consented, names, party)
    return _swept(steps, own, lifespan, party, is_one=len(names) < 2)


def _swept(
    steps: Sequence[Step], own: Sequence[Fact], lifespan: Lifespan, party: PartyLife | None, *, is_one: bool
) -> Evaluation[State]:
    starts = _starts(steps, sole=lifespan.sole, is_one=is_one)
    found = sweep(steps, take, *starts)
    leavings = [index for index, step in enumerate(steps) if step.what in LEAVING]
    is_precise = all(step.lo == step.hi for step in steps)
    if not leavings or (is_precise and not _may_presume(steps, found)):
        return found
    bond = "bound" if steps[leavings[0]].what != "left" else "member"
    born = lifespan.birth.lo if party is None else max(lifespan.birth.lo, party.lifespan.birth.lo)
    notices = {fact.position: max(lifespan.clip(fact.span).hi, born) for fact in own}
    presumed = []
    for index in leavings:
        step = steps[index]
        latest = min(step.hi, notices[step.fact])  # a party that gives notice is a party on that day
        presumed.append(Step(f"presumed:{bond}", min(born, latest), latest, (-1, "", ""), step.fact, starts=index))
    presuming = sweep([*steps, *presumed], take, *starts)
    return found if found.consistent and not presuming.consistent else presuming


def _may_presume(steps: Sequence[Step], found: Evaluation[State]) -> bool:
    """Return whether, with exact dates, a leaving may have ended a membership without a recorded beginning.

    It was refused, or it follows an end, or it shares a day with a beginning.
    """
    if not found.consistent:
        return True
    turns = {step.lo for step in steps if step.what not in LEAVING and not step.what.startswith("whole:")}
    for step in steps:
        if step.what in LEAVING and step.lo in turns:
            before = next((cell.earliest for cell in reversed(found.cells) if cell.since < step.lo), State())
            if before.gone is not None or before.status is None:
                return True
    return False


def _starts(steps: Sequence[Step], *, sole: bool, is_one: bool) -> list[State]:
    """Return the initial states of a membership, by the number of leavings before each entry into force of its own.

    The number matters only if the agreement also enters into force as a whole.
    """
    start = State(unborn=sole and any(step.what in CREATING or step.what == "made" for step in steps))
    own = [step for step in steps if step.what == "entered-into-force"]
    if not own or all(step.what != "whole:entered-into-force" for step in steps):
        return [start]
    leavings = [step for step in steps if step.what in LEAVING]
    notices = {step.fact: step.lo for step in steps if step.what == "notice"}
    ways = []
    for step in own:
        before = {(each.lo, each.hi) for each in leavings if each.hi <= step.lo}
        most = sum(notices.get(each.fact, each.lo) <= step.hi for each in leavings)
        least = len(before) if is_one else min(len(before), 1)
        ways.append([(step.fact, number) for number in range(least, max(least, most) + 1)])
    if prod(map(len, ways)) > _MOST_STARTS:
        ways = [each[:1] for each in ways]
    return [start._replace(awaited=awaited) for awaited in product(*ways)]


def _steps(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    consented: Span,
    names: Sequence[str],
    party: PartyLife | None,
) -> list[Step]:
    steps = [_step(fact, _STEP_OF[fact.type], lifespan, names, party) for fact in own]
    steps += [_notice(fact, lifespan) for fact in own if _is_waited_for(fact, own, lifespan)]
    steps += [_step(fact, _STEP_OF_ALL[fact.type], lifespan, (), None) for fact in whole]
    birth = lifespan.birth
    may_precede = any(step.what in INTO_FORCE and step.lo < birth.hi for step in steps)
    is_alone = lifespan.sole and lifespan.by_signature
    if is_alone and birth.lo < birth.hi and may_precede and not any(fact.creates for fact in own):
        steps.append(Step("made", birth.lo, birth.hi, (_END_FIRST, "", "")))
    if any(fact.type == "agreement.signed" for fact in own):
        steps += _consent(steps, consented, lifespan)
    if party is not None:
        for fact in party.dissolved:
            lo, hi = party.lifespan.end_of(fact.span)
            steps.append(Step("party-ended", lo, hi, (_DISSOLVED, fact.source, fact.id), fact.position))
    return steps


def _consent(steps: Sequence[Step], consented: Span, lifespan: Lifespan) -> list[Step]:
    """Return the step of the first consent of the other parties, if an entry into force of the whole may follow it."""
    days = [(step.lo, step.hi) for step in steps if step.what == "whole:entered-into-force"]
    span = lifespan.clip(consented)
    if not days or consented == NEVER or span.lo > max(hi for _, hi in days):
        return []
    if span.hi <= min(lo for lo, _ in days):
        span = Span(BEFORE, BEFORE)
    return [Step("whole:consented", span.lo, span.hi, (_CONSENT_RANK, "", ""))]


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
        if not (lifespan.sole and each.creates)
    )


def _notice(fact: Fact, lifespan: Lifespan) -> Step:
    span = lifespan.clip(fact.span)
    return Step("notice", span.lo, span.hi, (_END_FIRST, fact.source, fact.id), fact.position)


def _step(fact: Fact, what: str, lifespan: Lifespan, names: Sequence[str], party: PartyLife | None) -> Step:
    effective, kind = fact.effective, fact.kind
    if what in _ENDING:
        span = lifespan.end_of(effective)
    elif fact.type == "agreement.entered-into-force":
        span = held_from(effective, lifespan)
    elif effective == fact.span:
        span = lifespan.birth if lifespan.sole and kind.is_creating else lifespan.clip(effective)
    else:  # a notice is given while the agreement lasts; its effect may come later
        born = lifespan.birth.lo
        what, span = "withdrawn-later", Span(max(effective.lo, born), max(effective.hi, born))
    if party is not None and fact.type in STEP_TYPES:
        span = party.lifespan.clip(span)
    who = next((name for name in names if name in parties_of(fact)), "") if len(names) > 1 else ""
    is_leaving = what in LEAVING
    order = (_END_FIRST if is_leaving else kind.rank, fact.source, fact.id)
    return Step(what, span.lo, span.hi, order, fact.position, who, "leaving" if is_leaving else "")


def held_from(span: Span, lifespan: Lifespan) -> Span:
    """Return the days from which an entry into force holds: from the signature on, if it is dated before."""
    birth = lifespan.birth
    if not lifespan.by_signature:
        return lifespan.clip(span)
    if lifespan.sole and birth.lo < birth.hi:  # it is taken on its own day, and comes into effect with the agreement
        return Span(span.lo, lifespan.clip(span).hi)
    return lifespan.clip(Span(max(span.lo, birth.lo), max(span.hi, birth.lo)))


def parties_of(fact: Fact) -> list[str]:
    """Return the parties whose memberships a fact of `MEMBERSHIP_TYPES` creates or changes."""
    data: Any = fact.data
    if fact.type == "agreement.signed":
        return [signatory.party for signatory in data.parties]
    if fact.type == "lab.founded":
        return list(data.founders)
    return [data.party] if data.party is not None else []


def membership_periods(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    *,
    consented: Span = NEVER,
    names: Sequence[str] = (),
    party: PartyLife | None = None,
) -> list[MembershipPeriod]:
    """Return the periods of a membership, as few as possible, without days before its certain beginning. The arguments
    are those of `evaluate_memberships`.
    """
    steps = _steps(own, whole, lifespan, consented, names, party)
    if len(names) < 2 and len(steps) <= _SHORT and all(step.lo == step.hi < AFTER for step in steps):
        return _told_by_order(steps, own, lifespan, party)
    return ranges_of(_swept(steps, own, lifespan, party, is_one=len(names) < 2))


def _told_by_order(
    steps: list[Step], own: Sequence[Fact], lifespan: Lifespan, party: PartyLife | None
) -> list[MembershipPeriod]:
    """Return the periods of a membership whose dates are all exact. They depend only on the order of the steps, on
    shared days, and on the notice of each withdrawal.
    """
    if len(steps) > 1:
        steps.sort(key=in_turn)
    days, course = [BEFORE], []
    numbers = {step.fact: number for number, step in enumerate(steps, 1) if step.what != "notice"}
    for step in steps:
        if step.lo > days[-1]:
            days.append(step.lo)
        course.append((step.what, len(days) - 1, numbers[step.fact]))
    found = _of_course(tuple(course), lifespan.sole)
    if found is None:
        return ranges_of(_swept(steps, own, lifespan, party, is_one=True))
    days.append(FOREVER)
    facts = [None, *[step.fact for step in steps]]
    return [
        each._replace(
            since=days[each.since],
            until=days[each.until],
            opened=facts[each.opened],
            closed=facts[each.closed],
            bearer=facts[each.bearer],
            waited=facts[each.waited],
        )
        for each in found
    ]


@lru_cache(maxsize=1024)
def _of_course(course: tuple[tuple[str, int, int], ...], sole: bool) -> list[Any] | None:
    """Return the periods of steps on numbered days; opened and closed by the number of a step (from 1; 0 for none).
    None if a step may need an unrecorded one.
    """
    steps = [
        Step(what, day, day, (place, "", ""), number, daily="leaving" if what in LEAVING else "")
        for place, (what, day, number) in enumerate(course)
    ]
    found = sweep(steps, take, *_starts(steps, sole=sole, is_one=True))
    if _may_presume(steps, found):
        return None
    never = course[-1][1] + 1
    return [
        days._replace(
            until=min(days.until, never),
            opened=days.opened or 0,
            closed=days.closed or 0,
            bearer=days.bearer or 0,
            waited=days.waited or 0,
        )
        for days in ranges_of(found)
    ]


def ranges_of(found: Evaluation[State]) -> list[MembershipPeriod]:
    """Return the periods of an evaluated membership."""
    ranges: list[MembershipPeriod] = []
    interval, opened = -1, 0
    for cell, following in zip(found.cells, [*found.cells[1:], None], strict=True):
        state = cell.earliest
        if state.status is None:
            continue
        if state.opened != opened:
            former = state.former
            if former is not None and (not ranges or ranges[-1].closed != former.closed):
                interval += not ranges or former.opened != max(opened, 0)
                ranges.append(_ended_at_once(cell, former, interval))
            interval, opened = interval + 1, state.opened
        days = _days(cell, following.since if following else FOREVER, interval)
        previous = ranges[-1] if ranges else None
        if previous is not None and previous.until == days.since and _alike(previous, days):
            ranges[-1] = previous._replace(until=days.until)
        else:
            ranges.append(days)
    ever = _in_order({state.status for state in found.final})
    if len(ranges) == 1:
        return [ranges[0]._replace(last=True, ever=ever)]
    closed = {days.interval: days.closed for days in ranges}
    final = {days.interval: index for index, days in enumerate(ranges)}
    return [
        days._replace(
            closed=closed[days.interval],
            last=final[days.interval] == index,
            ever=ever if days.interval == interval else (ranges[final[days.interval]].status,),
        )
        for index, days in enumerate(ranges)
    ]


def _ended_at_once(cell: Segment[State], former: Former, interval: int) -> MembershipPeriod:
    """Return the end of a membership on the day of the next beginning: it has no day."""
    known: set[str | None] = {
        former.gone if each.former is not None or each.gone is not None else each.status
        for each in cell.states
        if each.status is not None
    }
    return MembershipPeriod(
        cell.since,
        cell.since,
        interval,
        former.gone,
        _in_order(known),
        len(known) == 1,
        False,
        (),
        former.opened or None,
        former.closed,
        _NO_FORCE,
    )


def _days(cell: Segment[State], until: int, interval: int) -> MembershipPeriod:
    state = cell.earliest
    status = state.status
    assert status is not None
    known = {each.status for each in cell.states}
    return MembershipPeriod(
        cell.since,
        until,
        interval,
        status,
        _in_order(known),
        len(known) == 1,
        False,
        (),
        state.opened if state.opened > 0 else None,
        state.closed if state.closed > 0 else None,
        _force(cell),
        state.bearer or None,
        state.former.closed if state.waited and state.former is not None else None,
    )


def _in_order(statuses: set[str | None]) -> tuple[str, ...]:
    """Return the statuses in their order, without None."""
    if len(statuses) == 1:
        (only,) = statuses
        return () if only is None else (only,)
    return tuple(each for each in ORDER_OF_STATUSES if each in statuses)


def _force(cell: Segment[State]) -> Force:
    standing = {
        None if each.gone == "withdrawn" else each.standing
        for each in cell.states
        if each.gone != "ended" and not each.unborn
    }
    return Force("in-force" in standing, "suspended" in standing, bool(standing - {"in-force", "suspended"}))


def _alike(one: MembershipPeriod, other: MembershipPeriod) -> bool:
    return one[2:] == other[2:]


def lapse(ranges: Sequence[MembershipPeriod], lapses: Sequence[tuple[int, int]]) -> list[MembershipPeriod]:
    """Return the periods with the days of `lapses` (since, until), on which the agreement is past its `until`, possibly
    ended.
    """
    if not lapses:
        return list(ranges)
    found: list[MembershipPeriod] = []
    for days in ranges:
        if days.since == days.until:
            found.append(days)
            continue
        cuts = {days.since, days.until, *(day for lapsed in lapses for day in lapsed if days.since < day < days.until)}
        ordered = sorted(cuts)
        for since, until in pairwise(ordered):
            part = days._replace(since=since, until=until, last=days.last and until == days.until)
            if days.status not in ("withdrawn", "ended") and any(lo <= since < hi for lo, hi in lapses):
                statuses, ever = (
                    tuple(each for each in ORDER_OF_STATUSES if each in {*known, "ended"})
                    for known in (days.statuses, days.ever)
                )
                part = part._replace(status="ended", statuses=statuses, certain=False, ever=ever)
            found.append(part)
    return found
