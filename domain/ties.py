"""Ties: a party in an agreement, a platform or a lab, from when to when and in which status.

Pure folds of one party's facts within one subject, between that subject's birth and end. A tie may have several
intervals (joined, left, joined again); a leaving nobody recorded a joining for ends an interval of unknown beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from domain.bonds import LEAVING, MACHINES, MAKING, State
from domain.facts import Fact
from domain.readings import Cell, Step, Sweep, in_turn, sweep
from domain.times import AFTER, BEFORE, Span

FOREVER = AFTER + 1
"""The exclusive end of a range of days that does not end."""


class Life(NamedTuple):
    """When a subject came about and when it ended; `end` is None while no end is recorded.

    `sole` says that one event alone makes it, so that nothing comes before that one on any reading.
    """

    birth: Span
    end: Span | None = None
    sole: bool = False

    def clip(self, span: Span) -> Span:
        """The readings of a date within this life; the span itself if there are none."""
        lo, hi = span
        birth, end, _ = self
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

    life: Life
    dissolved: Sequence[Fact] = ()

    def bears_on(self, own: Sequence[Fact]) -> bool:
        """Whether a membership with these facts depends on it."""
        birth = self.life.birth.lo
        return bool(self.dissolved) or any(fact.span.lo < birth for fact in own)


class Force(NamedTuple):
    """Whether a tie, as long as its agreement lasts, may be in force, may be suspended, may be neither."""

    in_force: bool
    suspended: bool
    neither: bool


class TieDays(NamedTuple):
    """A tie over the days `since` to before `until`.

    `interval` counts from 0; `opened` and `closed` are positions of the facts that began and ended it (None: not
    recorded). `last` marks the last status of the interval, `ever` is every status with which it may end.
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
_ENDING = ("ended", "dissolved")
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
TIE_TYPES = frozenset(_STEP_OF) - {"agreement.terminated", "lab.closed", "platform.dissolved"}
"""The types whose events, where they name a party, make or change its tie."""


def tie_sweep(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    life: Life,
    *,
    consents: bool,
    names: Sequence[str] = (),
    party: PartyLife | None = None,
) -> Sweep[State]:
    """Every state of a tie on every day.

    `own` are the facts of the party within the subject; `whole` those of the subject itself that bear on every tie
    (entering into force, suspension, end). `consents` says whether any consent to be bound is recorded on it at all.
    What was recorded under several of `names` is no second joining, ratifying, acceding, signing or leaving: it was
    found to be one. `party` is the life of the party, where that bears on it.
    """
    return _swept(_steps(own, whole, life, names, party), life, party, consents=consents)


def _swept(steps: Sequence[Step], life: Life, party: PartyLife | None, *, consents: bool) -> Sweep[State]:
    found = _as_recorded(steps, sole=life.sole, consents=consents)
    leavings = [index for index, step in enumerate(steps) if step.what in LEAVING]
    if not leavings or (all(step.lo == step.hi for step in steps) and not _may_presume(steps, found)):
        return found
    bond = "bound" if steps[leavings[0]].what != "left" else "member"
    born = life.birth.lo if party is None else max(life.birth.lo, party.life.birth.lo)
    presumed = [
        Step(f"presumed:{bond}", min(born, step.hi), step.hi, (-1, "", ""), step.fact, starts=index)
        for index, step in enumerate(steps)
        if step.what in LEAVING
    ]
    return _as_recorded([*steps, *presumed], sole=life.sole, consents=consents)


def _may_presume(steps: Sequence[Step], found: Sweep[State]) -> bool:
    """Whether, of precise steps, a leaving may have ended what nobody recorded: it could not be taken, or only after an
    end of the same day."""
    ends = {step.lo for step in steps if step.what in _ENDING}
    return any(step.what in LEAVING and (not found.consistent or step.lo in ends) for step in steps)


def _as_recorded(steps: Sequence[Step], *, sole: bool, consents: bool) -> Sweep[State]:
    return sweep(steps, MACHINES[consents], State(unborn=sole and any(step.what in MAKING for step in steps)))


def _steps(
    own: Sequence[Fact], whole: Sequence[Fact], life: Life, names: Sequence[str], party: PartyLife | None
) -> list[Step]:
    steps = [_step(fact, _STEP_OF[fact.type], life, names, party) for fact in own]
    steps += [_step(fact, _STEP_OF_ALL[fact.type], life, (), None) for fact in whole]
    if party is not None:
        for fact in party.dissolved:
            lo, hi = party.life.end_of(fact.span)
            steps.append(Step("ended", lo, hi, (_DISSOLVED, fact.source, fact.id), fact.position))
    return steps


def _step(fact: Fact, what: str, life: Life, names: Sequence[str], party: PartyLife | None) -> Step:
    effective, kind = fact.effective, fact.kind
    if what in _ENDING:
        span = life.end_of(effective)
    elif effective == fact.span:
        span = life.birth if life.sole and kind.is_making else life.clip(effective)
    else:  # a notice is given while the agreement lasts; what follows from it may come later
        born = life.birth.lo
        what, span = "withdrawn-later", Span(max(effective.lo, born), max(effective.hi, born))
    if party is not None and fact.type in STEP_TYPES:
        span = party.life.clip(span)
    who = next((name for name in names if name in parties_of(fact)), "") if len(names) > 1 else ""
    order = (kind.rank, fact.source, fact.id)
    return Step(what, span.lo, span.hi, order, fact.position, who, "leaving" if what in LEAVING else "")


def parties_of(fact: Fact) -> list[str]:
    """The parties whose ties a fact of `TIE_TYPES` makes or changes."""
    data: Any = fact.data
    if fact.type == "agreement.signed":
        return [signatory.party for signatory in data.parties]
    if fact.type == "lab.founded":
        return list(data.founders)
    return [data.party] if data.party is not None else []


def tie_days(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    life: Life,
    *,
    consents: bool,
    names: Sequence[str] = (),
    party: PartyLife | None = None,
) -> list[TieDays]:
    """The tie day by day, as few ranges as can be; days on which it has certainly not begun are left out. Of the same
    facts as `tie_sweep`.
    """
    steps = _steps(own, whole, life, names, party)
    if len(names) < 2 and len(steps) <= _SHORT and all(step.lo == step.hi < AFTER for step in steps):
        return _told_by_order(steps, life, party, consents=consents)
    return ranges_of(_swept(steps, life, party, consents=consents))


def _told_by_order(steps: list[Step], life: Life, party: PartyLife | None, *, consents: bool) -> list[TieDays]:
    """The ranges of a tie all of whose dates are precise: they depend on nothing but which steps come in which order,
    and which share a day.
    """
    if len(steps) > 1:
        steps.sort(key=in_turn)
    days, course = [BEFORE], []
    for step in steps:
        if step.lo > days[-1]:
            days.append(step.lo)
        course.append((step.what, len(days) - 1))
    found = _of_course(tuple(course), life.sole, consents)
    if found is None:
        return ranges_of(_swept(steps, life, party, consents=consents))
    days.append(FOREVER)
    facts = [None, *[step.fact for step in steps]]
    return [
        TieDays(days[a], days[b], nth, status, statuses, certain, last, ever, facts[opened], facts[closed], force)
        for a, b, nth, status, statuses, certain, last, ever, opened, closed, force in found
    ]


@lru_cache(maxsize=1024)
def _of_course(course: tuple[tuple[str, int], ...], sole: bool, consents: bool) -> list[Any] | None:
    """The ranges of steps on numbered days, from and to the number of a day, opened and closed by the number of a step
    (from 1; 0 for none). None where some step may follow from what nobody recorded.
    """
    steps = [
        Step(what, day, day, (number, "", ""), number, daily="leaving" if what in LEAVING else "")
        for number, (what, day) in enumerate(course, 1)
    ]
    found = _as_recorded(steps, sole=sole, consents=consents)
    if _may_presume(steps, found):
        return None
    never = course[-1][1] + 1
    return [
        days._replace(until=min(days.until, never), opened=days.opened or 0, closed=days.closed or 0)
        for days in ranges_of(found)
    ]


def ranges_of(found: Sweep[State]) -> list[TieDays]:
    """The days of a tie that was swept over."""
    ranges: list[TieDays] = []
    interval, opened = -1, 0
    for cell, following in zip(found.cells, [*found.cells[1:], None], strict=True):
        state = cell.earliest
        if state.status is None:
            continue
        if state.opened != opened:
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


def _days(cell: Cell[State], until: int, interval: int) -> TieDays:
    state = cell.earliest
    status = state.status
    assert status is not None
    known = {each.status for each in cell.states}
    return TieDays(
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
    )


def _in_order(statuses: set[str | None]) -> tuple[str, ...]:
    """The statuses, None apart, in their order."""
    if len(statuses) == 1:
        (only,) = statuses
        return () if only is None else (only,)
    return tuple(each for each in ORDER_OF_STATUSES if each in statuses)


def _force(cell: Cell[State]) -> Force:
    standing = {None if each.gone == "withdrawn" else each.standing for each in cell.states if each.gone != "ended"}
    return Force("in-force" in standing, "suspended" in standing, bool(standing - {"in-force", "suspended"}))


def _alike(one: TieDays, other: TieDays) -> bool:
    return one[2:] == other[2:]


def lapse(ranges: Sequence[TieDays], lapses: Sequence[tuple[int, int]]) -> list[TieDays]:
    """The tie where its agreement is past its `until` on the days of `lapses` (since, until): possibly ended."""
    if not lapses:
        return list(ranges)
    found: list[TieDays] = []
    for days in ranges:
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
