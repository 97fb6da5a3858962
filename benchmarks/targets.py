"""What the registry is to reach: one table, as data. It judges a run's results, and no exit status depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.asking import AGAIN, FIRST, LIST, NOW, PAST, STATE
from benchmarks.batching import BATCH
from benchmarks.contestants import OBVIOUS, REGISTRY
from benchmarks.figures import cpu_ratios, ratios
from benchmarks.importing import IMPORT, LIVES, REBUILD, SIGNED, TAKE_IN
from benchmarks.posting import APPEND
from benchmarks.results import LIMIT, Results, Row, Sample


@dataclass(frozen=True, slots=True)
class Found:
    """What a run has found of a target."""

    values: Sequence[float]
    size: int | None = None
    by_cpu: Sequence[float] = ()

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached, in which unit, and where it is found in the results."""

    workload: str
    wanted: float
    unit: str
    find: Callable[[Results], Found | None]
    is_most: bool = False
    """Whether what is wanted is the most there may be."""

    def reached(self, found: Found) -> float:
        """How much of the target: 1 is all of it, more is better."""
        return self.wanted / max(found.value, 1e-9) if self.is_most else found.value / self.wanted


@dataclass(frozen=True, slots=True)
class Judged:
    """A target beside what was found."""

    target: Target
    found: Found

    @property
    def is_met(self) -> bool:
        """Whether it was reached."""
        return self.target.reached(self.found) >= 1


def judged(results: Results) -> list[Judged]:
    """The targets of which the run says something."""
    return [Judged(target, found) for target in TARGETS if (found := target.find(results)) is not None]


def _ratio(
    measure: str, contestant: str = REGISTRY, clients: int | None = None, against: str = LIMIT
) -> Callable[[Results], Found | None]:
    def find(results: Results) -> Found | None:
        row = results.row(measure, contestant, clients, against)
        return None if row is None else Found(ratios(row), row.size, cpu_ratios(row))

    return find


def _times(measure: str, other: str, clients: int) -> Callable[[Results], Found | None]:
    """How many times as fast as another contestant in the same rounds."""

    def find(results: Results) -> Found | None:
        ours, theirs = (results.row(measure, name, clients) for name in (REGISTRY, other))
        if ours is None or theirs is None:
            return None
        row = Row(measure, REGISTRY, clients, ours.samples, theirs.samples)
        return Found(ratios(row), None, cpu_ratios(row))

    return find


def _time(measure: str, of: Callable[[Sample], float | None]) -> Callable[[Results], Found | None]:
    """Milliseconds that an answer took."""

    def find(results: Results) -> Found | None:
        row = results.row(measure, REGISTRY)
        known = [] if row is None else [value * 1e3 for value in map(of, row.samples) if value is not None]
        return Found(known, row.size) if row is not None and known else None

    return find


def _figure(measure: str, name: str) -> Callable[[Results], Found | None]:
    def find(results: Results) -> Found | None:
        figure = results.figure(measure, name)
        return None if figure is None else Found(figure.values, figure.size)

    return find


RATIO = "ratio"
TARGETS: Sequence[Target] = (
    Target("one event a request, 64 clients: ratio to echo", 0.35, RATIO, _ratio(APPEND, clients=64)),
    Target("the same beside the obvious: times as fast", 7.0, "times", _times(APPEND, OBVIOUS, 64)),
    Target("the same at 1 client: ratio to echo", 0.40, RATIO, _ratio(APPEND, clients=1)),
    Target("100 events a request, 8 clients: ratio to echo", 0.12, RATIO, _ratio(BATCH)),
    Target("import of agreements signed: ratio to a plain load", 0.30, RATIO, _ratio(TAKE_IN.format(SIGNED), IMPORT)),
    Target("import of whole lives: ratio to a plain load", 0.30, RATIO, _ratio(TAKE_IN.format(LIVES), IMPORT)),
    Target("rebuild of agreements signed: ratio to a plain load", 0.30, RATIO, _ratio(TAKE_IN.format(SIGNED), REBUILD)),
    Target("GET one thing, asked first: ratio to a bare GET", 0.55, RATIO, _ratio(STATE, FIRST, 64)),
    Target("GET one thing, asked again: ratio to a bare GET", 0.55, RATIO, _ratio(STATE, AGAIN, 64)),
    Target("list of 50 with two filters: ratio to a bare GET", 0.25, RATIO, _ratio(LIST)),
    Target("the list of then: ratio to the list of now", 0.70, RATIO, _ratio(PAST, against=NOW)),
)
