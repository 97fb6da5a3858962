"""What the registry is to reach: one table, as data. It judges a run's results, and no exit status depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.asking import AGAIN, FIRST, LIST, NOW, PAST, STATE
from benchmarks.batching import BATCH
from benchmarks.contestants import OBVIOUS, REGISTRY
from benchmarks.figures import cpu_ratios, ratios
from benchmarks.finding import OVERVIEWS, SEARCHES
from benchmarks.folding import AUDIT, AUDIT_VIEWS, BARE, BOTH, FOLD, HASHES, LOAD, REPLAY, STREAM
from benchmarks.folding import REBUILD as REBUILD_ALL
from benchmarks.following import LIVE, LOST
from benchmarks.greatest import COMMITMENTS, MEMBERS, MEMBERSHIPS
from benchmarks.greatness import GREAT, OTHERS, POST
from benchmarks.importing import IMPORT, LIVES, SIGNED, TAKE_IN
from benchmarks.overloading import MISSING, OVERLOAD, SHARE
from benchmarks.posting import APPEND
from benchmarks.results import ALL, LIMIT, Results, Row, Sample
from benchmarks.starting import READY, START


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
    at: int | None = None
    """The number of events that it is meant for."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A target beside what was found."""

    target: Target
    found: Found

    @property
    def reached(self) -> float:
        """How much of the target: 1 is all of it, more is better."""
        value, wanted = self.found.value, self.target.wanted
        if not self.target.is_most:
            return value / wanted
        return wanted / value if value else 1.0

    @property
    def is_met(self) -> bool:
        """Whether it was reached."""
        return self.reached >= 1

    @property
    def is_meant(self) -> bool:
        """Whether it was looked for at the size that it is meant for."""
        return self.target.at is None or (self.found.size or 0) >= self.target.at


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


def _memory(results: Results) -> Found | None:
    found = max(results.footprints, key=lambda each: each.size or 0, default=None)
    if found is None or found.after != ALL or found.memory is None:
        return None
    return Found([found.memory[1] / 2**20], found.size)


def _disk(results: Results) -> Found | None:
    found = max(results.footprints, key=lambda each: each.size or 0, default=None)
    if found is None or found.size is None or found.of_raw is None:
        return None
    return Found([found.of_raw], found.size)


def _p95(sample: Sample) -> float | None:
    return sample.p95


def _p99(sample: Sample) -> float | None:
    return sample.p99


RATIO = "ratio"
MILLION = 1_000_000
NO_WORSE = 0.85
"""A ratio from which on two things cost the same, as near as turns tell."""
TARGETS: Sequence[Target] = (
    Target("one event a request, 64 clients, to echo", 0.35, RATIO, _ratio(APPEND, clients=64)),
    Target("the same to the obvious", 7.0, "times", _times(APPEND, OBVIOUS, 64)),
    Target("one event a request, 1 client, to echo", 0.40, RATIO, _ratio(APPEND, clients=1)),
    Target("100 events a request, 8 clients, to echo", 0.12, RATIO, _ratio(BATCH)),
    Target("import of agreements signed, to a plain load", 0.30, RATIO, _ratio(TAKE_IN.format(SIGNED), IMPORT)),
    Target("import of whole lives, to a plain load", 0.30, RATIO, _ratio(TAKE_IN.format(LIVES), IMPORT)),
    Target("GET one thing asked first, to a bare GET", 0.55, RATIO, _ratio(STATE, FIRST, 64)),
    Target("GET one thing asked again, to a bare GET", 0.55, RATIO, _ratio(STATE, AGAIN, 64)),
    Target("list of 50 with two filters, to a bare GET", 0.25, RATIO, _ratio(LIST), at=MILLION),
    Target("the list of then, to the list of now", 0.70, RATIO, _ratio(PAST, against=NOW), at=MILLION),
    *(Target(f"{kind}: p95", 30.0, "ms", _time(kind, _p95), is_most=True, at=MILLION) for kind in SEARCHES),
    *(Target(f"{kind}: p95", 50.0, "ms", _time(kind, _p95), is_most=True, at=MILLION) for kind in OVERVIEWS),
    Target("replay of one list, to scan, JSON, fold", 0.25, RATIO, _ratio(REPLAY, against=FOLD), at=MILLION),
    Target("rebuild of all views, to a plain load", 0.30, RATIO, _ratio(REBUILD_ALL, against=LOAD), at=MILLION),
    Target("audit without views, to scan, hashes", 0.30, RATIO, _ratio(AUDIT, against=HASHES), at=MILLION),
    Target("audit with views, to one without + rebuild", 1.0, RATIO, _ratio(AUDIT_VIEWS, against=BOTH), at=MILLION),
    Target("log as NDJSON, to a bare stream", 0.60, RATIO, _ratio(STREAM, against=BARE), at=MILLION),
    Target("live stream to 100 readers: p99", 50.0, "ms", _time(LIVE, _p99), is_most=True),
    Target("live stream: lost by readers", 0.0, "events", _figure(LIVE, LOST), is_most=True),
    Target("start to ready", 1.0, "s", _figure(START, READY), is_most=True, at=MILLION),
    Target("memory after all of it, most", 350.0, "MB", _memory, is_most=True, at=MILLION),
    Target("disk, to what was posted", 3.5, RATIO, _disk, is_most=True, at=MILLION),
    *(
        Target(
            f"post to a great {name}, to any other", NO_WORSE, RATIO, _ratio(POST.format(kind), GREAT, against=OTHERS)
        )
        for kind, name in ((COMMITMENTS, "agreement"), (MEMBERS, "platform"), (MEMBERSHIPS, "party"))
    ),
    Target("recorded under overload, to the best", 0.80, RATIO, _figure(OVERLOAD, SHARE)),
    Target("acknowledged and missing after SIGKILL", 0.0, "events", _figure(OVERLOAD, MISSING), is_most=True),
)
