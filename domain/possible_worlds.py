"""Possible worlds: the states that a subject may have on each day, when some of its dates are imprecise.

Every date is a span of days. A possible world picks one day for each step, and takes the steps of one day in the order
of facts, except that a step which the state machine refuses waits for another of that day. A world with a refused step
does not count. The evaluation does not enumerate worlds, but the sets of steps that may be done: for each the earliest
day by which it can be done, and the latest day on which the remaining steps can start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import combinations, pairwise
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from domain.edtf import AFTER, BEFORE

S = TypeVar("S", bound=Hashable)
Order = tuple[int, str, str]
Key = tuple[int, Order]
"""A day and a place in the order of facts on it."""

MOST_IMPRECISE = 8
"""Beyond this number of imprecise dates that may fall on one day, the others get their earliest day: the evaluation is
exponential in them."""

MOST_WAYS = 10_000
"""Beyond this number of ways in one evaluation, all its dates get their earliest day, and no step is refused."""

_FIRST: Order = (-2, "", "")
_LAST: Order = (1 << 30, "", "")
_NEVER = AFTER + 1


class Step(NamedTuple):
    """A step of a state machine that happens on one of the days `lo` to `hi`.

    `who` is the subject name under which it was recorded. Two steps with the same `daily`, under one name on one day,
    are one step recorded twice. A step that `starts` another (its number) was not recorded: it is taken only in worlds
    that need it, before that other step.
    """

    name: str
    lo: int
    hi: int
    order: Order = (0, "", "")
    fact: int = 0
    who: str = ""
    daily: str = ""
    starts: int = -1


in_turn = itemgetter(Step._fields.index("lo"), Step._fields.index("order"))
"""The sort key of steps: their first day, and on one day the order of facts."""


class Segment(NamedTuple, Generic[S]):
    """The days from `since` to the next segment: the state with each date at its earliest, and all possible states."""

    valid_from: int
    default_state: S
    states: frozenset[S]


class Evaluation(NamedTuple, Generic[S]):
    """The segments in order, the first since `BEFORE`, and the possible states after every step.

    `is_satisfiable` is False if no world passes the state machine; then refused steps are left out.
    """

    segments: tuple[Segment[S], ...]
    end_states: frozenset[S]
    is_satisfiable: bool


Machine = Callable[[S, Step], "S | None"]
"""(state, step) -> the next state, or None if the state refuses the step."""


class _Done(NamedTuple, Generic[S]):
    """The steps that a world may have done so far, as bits, and the state they lead to."""

    steps: int
    state: S


class _Way(NamedTuple, Generic[S]):
    """A step that may be taken next, alone or on one day together with a step that makes it possible or repeats it.

    `own` is the step's place in the order of facts, `order` that of the first step taken.
    """

    to: _Done[S]
    lo: int
    hi: int
    order: Order
    own: Order
    starts: int


def evaluate(steps: Sequence[Step], machine: Machine[S], *starts: S) -> Evaluation[S]:
    """Return all possible states over all days; a world begins in any one of `starts`."""
    if len(steps) == 1 and (following := machine(starts[0], steps[0])) is not None and steps[0].starts < 0:
        return _alone(steps[0], starts[0], following)
    recorded = [step for step in steps if step.starts < 0]
    if len(recorded) == len(steps) and all(step.lo == step.hi for step in steps):
        return _precise(steps, machine, starts)

    def forgiving(state: S, step: Step) -> S | None:
        following = machine(state, step)
        return state if following is None else following

    try:
        for in_order in (True, False):
            found = _PossibleWorlds(_bounded(steps), machine, starts, in_order=in_order).evaluate()
            if found is not None:
                return found
        forgiven = _PossibleWorlds(_bounded(recorded), forgiving, starts).evaluate()
        assert forgiven is not None
        return forgiven._replace(is_satisfiable=False)
    except _TooManyWays:
        earliest = [step._replace(hi=step.lo) for step in recorded]
        return _precise(earliest, machine, starts)._replace(is_satisfiable=True)


class _TooManyWays(Exception):
    """There are more than `MOST_WAYS` ways."""


def _alone(step: Step, before: S, after: S) -> Evaluation[S]:
    """Evaluate a single step, which may fall on any of its days."""
    segments = [] if step.lo == BEFORE else [Segment(BEFORE, before, frozenset((before,)))]
    if step.lo < step.hi:
        segments.append(Segment(step.lo, after, frozenset((before, after))))
    if step.hi < AFTER or step.lo == AFTER:
        segments.append(Segment(step.hi, after, frozenset((after,))))
    return Evaluation(tuple(segments), frozenset((after,)), True)


def _precise(steps: Sequence[Step], machine: Machine[S], starts: Sequence[S]) -> Evaluation[S]:
    found = _day_by_day(steps, machine, starts[0])
    for start in starts[1:]:
        if found.is_satisfiable:
            break
        other = _day_by_day(steps, machine, start)
        found = other if other.is_satisfiable else found
    return found


def _day_by_day(steps: Sequence[Step], machine: Machine[S], start: S) -> Evaluation[S]:
    segments = [Segment(BEFORE, start, frozenset((start,)))]
    state, consistent = start, True
    ordered = sorted(steps, key=in_turn)
    at, count = 0, len(ordered)
    while at < count:
        first, day = at, ordered[at].lo
        at += 1
        while at < count and ordered[at].lo == day:
            at += 1
        if at - first > 1:
            state, agrees = _on_one_day(ordered[first:at], machine, state)
            consistent = consistent and agrees
        elif (following := machine(state, ordered[first])) is not None:
            state = following
        else:
            consistent = False
        if day == BEFORE:
            segments.clear()
        segments.append(Segment(day, state, frozenset((state,))))
    return Evaluation(tuple(segments), frozenset((state,)), consistent)


def _on_one_day(todo: list[Step], machine: Machine[S], state: S) -> tuple[S, bool]:
    """Return the state after all possible steps of one day, and whether the refused ones only repeat others."""
    consistent, taken = True, set[tuple[str, str]]()
    while todo:
        for step in todo:
            if step.daily and (step.daily, step.who) in taken:
                break
            following = machine(state, step)
            if following is not None:
                state = following
                taken.add((step.daily, step.who))
                break
        else:
            step, consistent = todo[0], False
        todo.remove(step)
    return state, consistent


def _bounded(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with at most `MOST_IMPRECISE` imprecise ones that share a day; the others get their earliest
    day.
    """
    bounded = list(steps)
    pending: list[int] = []
    for index in sorted(range(len(steps)), key=lambda index: steps[index].lo):
        step = steps[index]
        if step.lo == step.hi or step.starts >= 0:
            continue
        pending = [hi for hi in pending if hi >= step.lo]
        if len(pending) < MOST_IMPRECISE:
            pending.append(step.hi)
        else:
            bounded[index] = step._replace(hi=step.lo)
    return bounded


class _PossibleWorlds(Generic[S]):
    """All possible worlds of some steps, by the sets of steps that may be done."""

    def __init__(
        self, steps: Sequence[Step], machine: Machine[S], starts: Sequence[S], *, in_order: bool = True
    ) -> None:
        """Prepare the evaluation of some steps from some initial states.

        `in_order`: take no step against the order of facts if an unrecorded step makes the same possible.
        """
        by_end = sorted(range(len(steps)), key=lambda index: (steps[index].starts >= 0, steps[index].hi))
        places = {index: place for place, index in enumerate(by_end)}
        self._steps = [steps[index]._replace(starts=places.get(steps[index].starts, -1)) for index in by_end]
        self._machine = machine
        self._starts = [_Done(0, start) for start in starts]
        self._in_order = in_order
        self._recorded = sum(step.starts < 0 for step in steps)
        self._all = (1 << self._recorded) - 1
        self._vague = [index for index, step in enumerate(self._steps) if step.lo < step.hi or step.starts >= 0]
        self._ways: dict[_Done[S], list[_Way[S]]] = {}
        self._count = 0

    def evaluate(self) -> Evaluation[S] | None:
        """Return all possible states over all days; None if there is no world."""
        soonest = self._soonest()
        latest = self._latest(soonest)
        final = frozenset(done.state for done in soonest if self._is_all(done))
        if not final:
            return None
        changes: dict[int, list[tuple[int, S]]] = {BEFORE: []}
        for done, (day, _) in soonest.items():
            until = latest[done][0]
            if day < until:
                changes.setdefault(day, []).append((1, done.state))
                changes.setdefault(until, []).append((-1, done.state))
        earliest = self._earliest(latest)
        for day in earliest:
            changes.setdefault(day, [])
        held: Counter[S] = Counter()
        segments: list[Segment[S]] = []
        state = self._starts[0].state
        for day in sorted(day for day in changes if day < AFTER):
            for sign, changed in changes[day]:
                held[changed] += sign
                if not held[changed]:
                    del held[changed]
            state = earliest.get(day, state)
            segments.append(Segment(day, state, frozenset(held)))
        return Evaluation(tuple(segments), final, True)

    def _is_all(self, done: _Done[S]) -> bool:
        return done.steps & self._all == self._all

    def _is_waiting(self, done: _Done[S]) -> bool:
        """Return whether an unrecorded step was taken and the step that it starts was not."""
        return any(
            done.steps >> index & 1 and not done.steps >> self._steps[index].starts & 1
            for index in range(self._recorded, len(self._steps))
        )

    def _soonest(self) -> dict[_Done[S], Key]:
        """Return, by set of done steps, the first day on which they can be done, and the place on that day."""
        found: dict[_Done[S], Key] = {}
        pending: list[tuple[Key, int, _Done[S]]] = [
            ((BEFORE, _FIRST), number, start) for number, start in enumerate(self._starts)
        ]
        count = len(pending)
        while pending:
            key, _, done = heappop(pending)
            if done in found:
                continue
            found[done] = key
            for way in self._from(done):
                following = _after(key, way)
                if following is not None and way.to not in found:
                    count += 1
                    heappush(pending, (following, count, way.to))
        return found

    def _latest(self, soonest: dict[_Done[S], Key]) -> dict[_Done[S], Key]:
        """Return, by set of done steps, the last day on which the rest can start and still be done, and the place on
        that day.
        """
        found: dict[_Done[S], Key] = {}
        for done in sorted(soonest, key=lambda each: -each.steps.bit_count()):
            best: Key = (_NEVER, _LAST) if self._is_all(done) else (BEFORE - 1, _FIRST)
            for way in self._from(done):
                if way.to in found and (key := _before(found[way.to], way)) is not None:
                    best = max(best, key)
            found[done] = best
        return found

    def _earliest(self, latest: dict[_Done[S], Key]) -> dict[int, S]:
        """Return the world with each date at its earliest, or as early as a world allows: its states by their first
        day.

        An unrecorded step is taken if that world needs it, and no later than it must be.
        """
        paths = [(start, self._walk(start, latest, None)) for start in self._starts if latest[start][0] >= BEFORE]
        start, path = min(((start, path) for start, path in paths if path is not None), key=self._lateness)
        needed: dict[int, int] = {}
        for at in range(1, len(path)):
            bit = path[at][1].steps & ~path[at - 1][1].steps
            step = self._steps[bit.bit_length() - 1]
            if step.starts >= 0:
                refused = [each for each in range(at) if self._machine(path[each][1].state, step) is None]
                needed[bit] = path[refused[-1] + 1][1].steps if refused else 0
        if needed:
            path = self._walk(start, latest, needed) or path
        return {day: done.state for (day, _), done in path}

    def _lateness(self, way: tuple[_Done[S], list[tuple[Key, _Done[S]]]]) -> int:
        """Return the sum of the days on which recorded steps are taken."""
        _, path = way
        recorded = [(day, (done.steps & self._all).bit_count()) for (day, _), done in path]
        return sum(day * (count - before) for (_, before), (day, count) in pairwise(recorded))

    def _walk(
        self, start: _Done[S], latest: dict[_Done[S], Key], needed: dict[int, int] | None
    ) -> list[tuple[Key, _Done[S]]] | None:
        """Take steps as early as possible, one by one; None if that reaches a dead end.

        Of the unrecorded steps, those in `needed` (bits) are taken as soon as the steps before them are done; without
        `needed` any is taken when the step it starts is due.
        """
        path = [((BEFORE, _FIRST), start)]
        while not self._is_all(path[-1][1]):
            key, done = path[-1]
            options: list[tuple[Key, int, int, Order, int, Key, _Way[S]]] = []
            for way in self._from(done):
                following = _after(key, way)
                if way.starts >= 0 and needed is None:  # it may precede other steps taken on that day
                    following = max(key, _after((key[0], _FIRST), way) or key)
                if following is None or way.to not in latest or following > latest[way.to]:
                    continue
                due, bit = following, way.to.steps & ~done.steps
                if way.starts >= 0 and needed is None:
                    started = self._steps[way.starts]
                    due = max(following, (started.lo, started.order))
                elif way.starts >= 0 and needed is not None and needed.get(bit, -1) & ~done.steps:
                    continue
                options.append((due, way.starts, -bit.bit_count(), way.own, len(options), following, way))
            if not options:
                return None
            *_, following, taken = min(options)
            path.append((following, taken.to))
        return path

    def _from(self, done: _Done[S]) -> list[_Way[S]]:
        """Return the ways that may be taken next without making a remaining step impossible."""
        ways = self._ways.get(done)
        if ways is None:
            ways = self._ways[done] = list(self._find(done))
            self._count += len(ways)
            if self._count > MOST_WAYS:
                raise _TooManyWays
        return ways

    def _find(self, done: _Done[S]) -> Iterator[_Way[S]]:
        due, left = self._left(done)

        def last(*taken: int) -> int:
            return next((self._steps[index].hi for index in due if index not in taken), _NEVER)

        states = {index: self._machine(done.state, self._steps[index]) for index in left}
        for index, state in states.items():
            step = self._steps[index]
            if step.lo > last(index) or (step.starts >= 0 and done.steps >> step.starts & 1):
                continue
            if any(
                self._steps[other].hi == step.lo and self._steps[other].order < step.order and states[other] is not None
                for other in due
                if other in states
            ):
                continue  # the other must be taken by this one's first day, and precedes it
            if state is None:
                groups = self._reordered(done, step, left) if step.starts < 0 else ()
            else:
                doubles = self._doubles(step, left) if state != done.state else [()]
                groups = ((state, step.order, others) for others in doubles)
            for both, order, others in groups:
                together = [step, *(self._steps[other] for other in others)]
                lo, hi = max(each.lo for each in together), min(each.hi for each in together)
                hi = min(hi, last(index, *others))
                if lo <= hi:
                    steps = done.steps | 1 << index | sum(1 << other for other in others)
                    yield _Way(_Done(steps, both), lo, hi, order, step.order, step.starts)

    def _may_be_started(self, done: _Done[S], step: Step) -> bool:
        """Return whether an unrecorded step that starts this one may be taken now."""
        return any(
            self._steps[each.starts] is step and self._machine(done.state, each) is not None
            for each in self._steps[self._recorded :]
        )

    def _left(self, done: _Done[S]) -> tuple[list[int], list[int]]:
        """Return the remaining steps that are due first, by their last day, and those that may be among the next."""
        first = (~done.steps & (done.steps + 1)).bit_length() - 1
        due: list[int] = []
        for index in range(first, self._recorded):
            if not done.steps >> index & 1:
                due.append(index)
                if len(due) > MOST_IMPRECISE + 2 and self._steps[index].hi > self._steps[due[0]].hi:
                    break
        if not due:
            return [], []
        day = self._steps[due[0]].hi
        left = {index for index in due if self._steps[index].hi == day}
        left.update(index for index in self._vague if not done.steps >> index & 1 and self._steps[index].lo <= day)
        return due, sorted(left)

    def _doubles(self, step: Step, left: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield the steps that may be this one recorded twice: none, or any of its kind if it is daily."""
        yield ()
        if step.daily:
            kind = (step.daily, step.who)
            same = [
                index
                for index in left
                if step.order < self._steps[index].order and kind == (self._steps[index].daily, self._steps[index].who)
            ]
            for count in range(1, len(same) + 1):
                yield from combinations(same[:MOST_IMPRECISE], count)

    def _reordered(self, done: _Done[S], step: Step, left: Sequence[int]) -> Iterator[tuple[S, Order, tuple[int, ...]]]:
        """Yield steps that, taken first on the same day against the order of facts, make an otherwise refused step
        possible; it must be refused also after an unrecorded step, which is preferred to the wrong order.
        """
        if self._is_waiting(done) or (self._in_order and self._may_be_started(done, step)):
            return
        for index in left:
            first = self._steps[index]
            if first.starts < 0 and first.order > step.order:
                between = self._machine(done.state, first)
                if between is not None and (state := self._machine(between, step)) is not None:
                    yield state, first.order, (index,)


def _after(key: Key, way: _Way[S]) -> Key | None:
    """Return the soonest key at which a way can be taken after another key; None if never."""
    day, order = key
    if way.lo > day:
        return way.lo, way.order
    if way.order < order and day not in (BEFORE, AFTER):
        day += 1
    return (day, way.order) if day <= way.hi else None


def _before(key: Key, way: _Way[S]) -> Key | None:
    """Return the latest key at which a way can be taken before another key; None if never."""
    day, order = key
    if way.hi < day:
        return way.hi, way.order
    if way.order > order and day not in (BEFORE, AFTER):
        day -= 1
    return (day, way.order) if day >= way.lo else None
