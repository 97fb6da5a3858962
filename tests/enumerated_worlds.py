"""A model of the contract's rules for imprecise dates that enumerates every possible world.

Days are small numbers, `FIRST` to `LAST`. A date is a pair of days; one that ends on `BEYOND` may also lie later than
every day that is queried (as there are two such days, at most two dates may). It is slow on purpose: each world is one
assignment of days, checked and folded alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import Any

FIRST, LAST = 1, 7
BEYOND = LAST + 2
DAYS = range(FIRST, LAST + 1)
_ORIGIN = date(2024, 3, 10)

Status = str | None
Timeline = tuple[Status, ...]
"""A status for each of `DAYS`."""


@dataclass(frozen=True)
class Happening:
    """A fact of the model: its type, its party (None: the whole), and its possible days lo to hi.

    `rank` and `id` order facts of one day. `effect` are the days on which it takes effect, where stated.
    """

    what: str
    who: str | None
    lo: int
    hi: int
    rank: int
    id: str
    effect: tuple[int, int] | None = None

    def __repr__(self) -> str:
        effect = f" effective {self.effect[0]}..{self.effect[1]}" if self.effect else ""
        return f"<{self.id}: {self.who or 'all'} {self.what} {self.lo}..{self.hi}{effect}>"


Reading = Mapping[Happening, tuple[int, int]]
"""For each fact the day on which it happened and the day from which it takes effect."""


def day(number: int) -> str:
    """Return a day of the model as a date."""
    return (_ORIGIN + timedelta(days=number)).isoformat()


def edtf(lo: int, hi: int) -> str | None:
    """Return a date of the model in EDTF; None is not known."""
    if hi == BEYOND:
        return None if lo == FIRST else f"{day(lo)}/.."
    return day(lo) if lo == hi else f"{day(lo)}/{day(hi)}"


def readings(facts: Sequence[Happening]) -> Iterator[Reading]:
    """Yield every possible world: an assignment of days."""
    spans = [
        (range(fact.lo, fact.hi + 1), range((fact.effect or (0, 0))[0], (fact.effect or (0, 0))[1] + 1))
        for fact in facts
    ]
    for days in product(*(product(*span) for span in spans)):
        yield {fact: (on, effect if fact.effect else on) for fact, (on, effect) in zip(facts, days, strict=True)}


def in_order(reading: Reading, facts: Iterable[Happening]) -> list[tuple[int, Happening]]:
    """Return the facts of a world by the day they take effect, then rank and id."""
    return sorted(((reading[fact][1], fact) for fact in facts), key=lambda each: (each[0], each[1].rank, each[1].id))


def by_day(
    reading: Reading, facts: Iterable[Happening], take: Callable[[Any, Happening, int], Any], state: Any
) -> list[tuple[int, Any]] | None:
    """Fold a world: on each day in order, but first the facts that are possible. None if one never is."""
    todo = in_order(reading, facts)
    states: list[tuple[int, Any]] = []
    while todo:
        today = todo[0][0]
        for index, (on, fact) in enumerate(todo):
            if on > today:
                return None
            following = take(state, fact, today)
            if following is not None:
                state = following
                del todo[index]
                break
        else:
            return None
        states.append((today, state))
    return states


@dataclass(frozen=True)
class Verdict:
    """The possible statuses on each day, and that with each date at its earliest (None: no such world)."""

    possible: tuple[frozenset[Status], ...]
    earliest: Timeline | None


def verdict(
    facts: Sequence[Happening],
    timelines: Callable[[Reading], Sequence[Timeline]],
) -> Verdict | None:
    """Return the verdict over all worlds; `timelines` gives none for a contradictory world. None if every world
    contradicts.
    """
    valid = [(reading, lines) for reading in readings(facts) if (lines := timelines(reading))]
    if not valid:
        return None
    possible = tuple(frozenset(line[index] for _, lines in valid for line in lines) for index in range(len(DAYS)))
    soonest = {fact: tuple(min(reading[fact][at] for reading, _ in valid) for at in (0, 1)) for fact in facts}
    earliest = next((lines[0] for reading, lines in valid if dict(reading) == soonest), None)
    return Verdict(possible, earliest)
