"""Ties: a party in an agreement, a platform or a lab, from when to when and in which status.

Pure folds of one party's facts within one subject, between that subject's birth and end. A tie may have several
intervals (joined, left, joined again); a leaving nobody recorded a joining for ends an interval of unknown beginning.
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
    """When a subject came about and when it ended; `end` is None while no end is recorded.

    `sole` says that one event alone makes it, so that nothing comes before that one on any reading; `by_signature` that
    it was signed, not adopted: what is dated before that may have been in force.
    """

    birth: Span
    end: Span | None = None
    sole: bool = False
    by_signature: bool = False

    def clip(self, span: Span) -> Span:
        """The readings of a date within this life; the span itself if there are none."""
        lo, hi = span
        birth, end = self.birth, self.end
        if lo >= birth.lo and (end is None or hi <= end.hi):
            return span
        lo = max(lo, birth.lo)
        if end is not None and hi > end.hi:
            hi = end.hi
        return Span(lo, hi) if lo <= hi else span

    def end_of(self, span: Span) -> Span:
        """The readings of the date of an end: none before the last fact."""
        lo = max(span.lo, self.end.lo if self.end is not None else self.birth.lo)
        return Span(lo, span.hi) if lo <= span.hi else span


class PartyLife(NamedTuple):
    """When a party came about and ended, and the facts by which it was dissolved, after which it is in nothing."""

    lifespan: Lifespan
    dissolved: Sequence[Fact] = ()

    def bears_on(self, own: Sequence[Fact]) -> bool:
        """Whether a membership with these facts depends on it."""
        birth = self.lifespan.birth.lo
        return bool(self.dissolved) or any(fact.span.lo < birth for fact in own)


class FirstConsent(NamedTuple):
    """When the first consent to be bound by an agreement falls, at the earliest and at the latest.

    `lo_else` and `hi_else` are the same of the parties other than `lo_by` and `hi_by`; these are empty where none is
    first alone.
    """

    lo: int
    lo_by: str
    lo_else: int
    hi: int
    hi_by: str
    hi_else: int

    def apart_from(self, party: str) -> Span:
        """The days on which the first consent of the other parties may fall; `Span(AFTER, AFTER)` if there is none."""
        return Span(
            self.lo if self.lo_by != party else self.lo_else,
            self.hi if self.hi_by != party else self.hi_else,
        )

    def extended(self, party: str, span: Span) -> FirstConsent:
        """The same with one consent more."""
        return FirstConsent(
            *_two_first(self.lo, self.lo_by, self.lo_else, span.lo, party),
            *_two_first(self.hi, self.hi_by, self.hi_else, span.hi, party),
        )

    def as_of_force(self, first: int, last: int) -> FirstConsent:
        """What matters to entries into force on the days `first` to `last`: the same for all that has one effect."""

        def day(of: int) -> int:
            return BEFORE if of <= first else AFTER if of > last else of

        lo, lo_else, hi, hi_else = map(day, (self.lo, self.lo_else, self.hi, self.hi_else))
        return FirstConsent(
            lo, self.lo_by if lo < lo_else else "", lo_else, hi, self.hi_by if hi < hi_else else "", hi_else
        )


def _two_first(day: int, by: str, other: int, new: int, party: str) -> tuple[int, str, int]:
    """The first day and whose alone it is, and the first of all others, with one day more."""
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
    """Whether a tie, as long as its agreement lasts, may be in force, may be suspended, may be neither."""

    in_force: bool
    suspended: bool
    neither: bool


_NO_FORCE = Force(False, False, True)


class MembershipPeriod(NamedTuple):
    """A tie over the days `since` to before `until`; none where it ended on the day on which the next one began.

    `interval` counts from 0; `opened` and `closed` are positions of the facts that began and ended it (None: not
    recorded). `last` marks the last status of the interval, `ever` is every status with which it may end. `bearer` is
    the fact by which the tie is in force or suspended, `waited` the withdrawal that had to take effect before it began.
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
"""Of no more steps is kept what becomes of a tie: there are not many courses that the ties of a registry take."""


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
"""Past this many ways to tell of which membership each own entry into force is, each is of the first it can be of."""
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
"""The types whose facts are steps that a party takes itself: not before it came about, nor after it was dissolved."""
LEAVING_TYPES = frozenset(("agreement.withdrawn", "platform.member-left"))
MEMBERSHIP_TYPES = frozenset(_STEP_OF) - {"agreement.terminated", "lab.closed", "platform.dissolved"}
"""The types whose events, where they name a party, make or change its tie."""


def evaluate_memberships(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    *,
    consented: Span = NEVER,
    names: Sequence[str] = (),
    party: PartyLife | None = None,
) -> Evaluation[State]:
    """Every state of a tie on every day.

    `own` are the facts of the party within the subject; `whole` those of the subject itself that bear on every tie
    (entering into force, suspension, end). `consented` is when the first of all other parties consented to be bound.
    What was recorded under several of `names` is no second joining, ratifying, acceding, signing or leaving: it was
    found to be one. `party` is the life of the party, where that bears on it.
    """
    return _swept(_steps(own, whole, lifespan, consented, names, party), lifespan, party, is_one=len(names) < 2)


def _swept(steps: Sequence[Step], lifespan: Lifespan, party: PartyLife | None, *, is_one: bool) -> Evaluation[State]:
    starts = _starts(steps, sole=lifespan.sole, is_one=is_one)
    found = sweep(steps, take, *starts)
    leavings = [index for index, step in enumerate(steps) if step.what in LEAVING]
    is_precise = all(step.lo == step.hi for step in steps)
    if not leavings or (is_precise and not _may_presume(steps, found)):
        return found
    bond = "bound" if steps[leavings[0]].what != "left" else "member"
    born = lifespan.birth.lo if party is None else max(lifespan.birth.lo, party.lifespan.birth.lo)
    presumed = [
        Step(f"presumed:{bond}", min(born, step.hi), step.hi, (-1, "", ""), step.fact, starts=index)
        for index, step in enumerate(steps)
        if step.what in LEAVING
    ]
    presuming = sweep([*steps, *presumed], take, *starts)
    return found if found.consistent and not presuming.consistent else presuming


def _may_presume(steps: Sequence[Step], found: Evaluation[State]) -> bool:
    """Whether, of precise steps, a leaving may have ended what nobody recorded.

    It could not be taken, or only after an end, or after a beginning of the same day.
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
    """The states in which a tie may begin: by how many leavings come before each entry into force of its own.

    Only where the agreement also enters into force as a whole does it matter which membership an own day is of.
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
    """The first consent of the other parties, where an entry into force of the whole may come after it."""
    days = [(step.lo, step.hi) for step in steps if step.what == "whole:entered-into-force"]
    span = lifespan.clip(consented)
    if not days or consented == NEVER or span.lo > max(hi for _, hi in days):
        return []
    if span.hi <= min(lo for lo, _ in days):
        span = Span(BEFORE, BEFORE)
    return [Step("whole:consented", span.lo, span.hi, (_CONSENT_RANK, "", ""))]


def _is_waited_for(fact: Fact, own: Sequence[Fact], lifespan: Lifespan) -> bool:
    """Whether the party may return during the notice of a withdrawal. What alone makes the subject is no return."""
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
    else:  # a notice is given while the agreement lasts; what follows from it may come later
        born = lifespan.birth.lo
        what, span = "withdrawn-later", Span(max(effective.lo, born), max(effective.hi, born))
    if party is not None and fact.type in STEP_TYPES:
        span = party.lifespan.clip(span)
    who = next((name for name in names if name in parties_of(fact)), "") if len(names) > 1 else ""
    is_leaving = what in LEAVING
    order = (_END_FIRST if is_leaving else kind.rank, fact.source, fact.id)
    return Step(what, span.lo, span.hi, order, fact.position, who, "leaving" if is_leaving else "")


def held_from(span: Span, lifespan: Lifespan) -> Span:
    """From when an entry into force holds: where it is dated before the signature, from then on."""
    birth = lifespan.birth
    if not lifespan.by_signature:
        return lifespan.clip(span)
    if lifespan.sole and birth.lo < birth.hi:  # it is taken on its own day, and comes into effect with the agreement
        return Span(span.lo, lifespan.clip(span).hi)
    return lifespan.clip(Span(max(span.lo, birth.lo), max(span.hi, birth.lo)))


def parties_of(fact: Fact) -> list[str]:
    """The parties whose ties a fact of `TIE_TYPES` makes or changes."""
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
    """The tie day by day, as few ranges as can be; days on which it has certainly not begun are left out. Of the same
    facts as `tie_sweep`.
    """
    steps = _steps(own, whole, lifespan, consented, names, party)
    if len(names) < 2 and len(steps) <= _SHORT and all(step.lo == step.hi < AFTER for step in steps):
        return _told_by_order(steps, lifespan, party)
    return ranges_of(_swept(steps, lifespan, party, is_one=len(names) < 2))


def _told_by_order(steps: list[Step], lifespan: Lifespan, party: PartyLife | None) -> list[MembershipPeriod]:
    """The ranges of a tie all of whose dates are precise: they depend on nothing but which steps come in which order,
    which share a day, and which notice is of which withdrawal.
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
        return ranges_of(_swept(steps, lifespan, party, is_one=True))
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
    """The ranges of steps on numbered days, from and to the number of a day, opened and closed by the number of a step
    (from 1; 0 for none). None where some step may follow from what nobody recorded.
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
    """The days of a tie that was swept over."""
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
    """The end of a membership on the day on which the next one began: it holds on no day."""
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
    """The statuses, None apart, in their order."""
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
    """The tie where its agreement is past its `until` on the days of `lapses` (since, until): possibly ended."""
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
