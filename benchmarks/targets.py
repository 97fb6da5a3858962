"""Targets of the registry: one table, as data. It evaluates the results of a run; no exit status depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.appends import APPEND
from benchmarks.batches import BATCH
from benchmarks.contestants import OBVIOUS, REGISTRY
from benchmarks.figures import cpu_ratios, ratios
from benchmarks.imports import IMPORT, INGEST, LIFESPANS, SIGNED
from benchmarks.large_subject_events import COMMITMENTS, MEMBERS, MEMBERSHIPS
from benchmarks.large_subjects import LARGE, OTHERS, POST
from benchmarks.live_stream import LIVE, LOST
from benchmarks.overload import MISSING, OVERLOAD, SHARE
from benchmarks.queries import HISTORIES, OVERVIEWS, PAGES, PROOFS, SEARCHES
from benchmarks.results import ALL, LIMIT, Results, Row, Sample
from benchmarks.start import READY, START
from benchmarks.states_and_lists import AGAIN, FIRST, LIST, NOW, PAST, STATE
from benchmarks.whole_log import AUDIT, AUDIT_VIEWS, BARE, BOTH, FOLD, HASHES, LOAD, REPLAY, STREAM
from benchmarks.whole_log import REBUILD as REBUILD_ALL


@dataclass(frozen=True, slots=True)
class Found:
    """The measurement of a target in a run."""

    values: Sequence[float]
    size: int | None = None
    by_cpu: Sequence[float] = ()

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Target:
    """A target value, its unit, and its place in the results."""

    workload: str
    wanted: float
    unit: str
    find: Callable[[Results], Found | None]
    is_most: bool = False
    """Whether the value is an upper limit."""
    at: int | None = None
    """The number of events that it applies to."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """A target and its measurement."""

    target: Target
    found: Found

    @property
    def reached(self) -> float:
        """The reached share of the target: 1 is all of it, more is better."""
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
        """Whether the run has the size that the target applies to."""
        return self.target.at is None or (self.found.size or 0) >= self.target.at


def target_results(results: Results) -> list[TargetResult]:
    """Return the targets that the run measured."""
    return [TargetResult(target, found) for target in TARGETS if (found := target.find(results)) is not None]


def _ratio(
    measure: str, contestant: str = REGISTRY, clients: int | None = None, against: str = LIMIT
) -> Callable[[Results], Found | None]:
    def find(results: Results) -> Found | None:
        row = results.row(measure, contestant, clients, against)
        return None if row is None else Found(ratios(row), row.size, cpu_ratios(row))

    return find


def _times(measure: str, other: str, clients: int) -> Callable[[Results], Found | None]:
    """Return a function for the ratio to another contestant in the same rounds."""

    def find(results: Results) -> Found | None:
        ours, theirs = (results.row(measure, name, clients) for name in (REGISTRY, other))
        if ours is None or theirs is None:
            return None
        row = Row(measure, REGISTRY, clients, ours.samples, theirs.samples)
        return Found(ratios(row), None, cpu_ratios(row))

    return find


def _time(measure: str, of: Callable[[Sample], float | None]) -> Callable[[Results], Found | None]:
    """Return a function for the time of an answer in milliseconds."""

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
"""The ratio from which on two costs count as equal, within the noise of turns."""
TARGETS: Sequence[Target] = (
    Target("one event a request, 64 clients, to echo", 0.35, RATIO, _ratio(APPEND, clients=64)),
    Target("the same to the obvious implementation", 7.0, "times", _times(APPEND, OBVIOUS, 64)),
    Target("one event a request, 1 client, to echo", 0.40, RATIO, _ratio(APPEND, clients=1)),
    Target("100 events a request, 8 clients, to echo", 0.12, RATIO, _ratio(BATCH)),
    Target("import of agreements signed, to a plain load", 0.30, RATIO, _ratio(INGEST.format(SIGNED), IMPORT)),
    Target("import of whole lifespans, to a plain load", 0.30, RATIO, _ratio(INGEST.format(LIFESPANS), IMPORT)),
    Target("GET of one state, first request, to a bare GET", 0.55, RATIO, _ratio(STATE, FIRST, 64)),
    Target("GET of one state, repeated, to a bare GET", 0.55, RATIO, _ratio(STATE, AGAIN, 64)),
    Target("list of 50 with two filters, to a bare GET", 0.25, RATIO, _ratio(LIST), at=MILLION),
    Target("list of an earlier position, to the list now", 0.70, RATIO, _ratio(PAST, against=NOW), at=MILLION),
    *(Target(f"{kind}: p95", 30.0, "ms", _time(kind, _p95), is_most=True, at=MILLION) for kind in SEARCHES),
    *(Target(f"{kind}: p95", 50.0, "ms", _time(kind, _p95), is_most=True, at=MILLION) for kind in OVERVIEWS),
    Target(f"{HISTORIES}: p95", 15.0, "ms", _time(HISTORIES, _p95), is_most=True, at=100_000),
    Target(f"{PROOFS}: p95", 30.0, "ms", _time(PROOFS, _p95), is_most=True, at=100_000),
    *(Target(f"{kind}: p95", 200.0, "ms", _time(kind, _p95), is_most=True, at=100_000) for kind in PAGES),
    Target("replay of one list, to scan, JSON, fold", 0.25, RATIO, _ratio(REPLAY, against=FOLD), at=MILLION),
    Target("rebuild of all views, to a plain load", 0.30, RATIO, _ratio(REBUILD_ALL, against=LOAD), at=MILLION),
    Target("audit without views, to scan, hashes", 0.30, RATIO, _ratio(AUDIT, against=HASHES), at=MILLION),
    Target("audit with views, to one without + rebuild", 1.0, RATIO, _ratio(AUDIT_VIEWS, against=BOTH), at=MILLION),
    Target("log as NDJSON, to a bare stream", 0.60, RATIO, _ratio(STREAM, against=BARE), at=MILLION),
    Target("live stream to 100 readers: p99", 50.0, "ms", _time(LIVE, _p99), is_most=True),
    Target("live stream: lost by readers", 0.0, "events", _figure(LIVE, LOST), is_most=True),
    Target("start to ready", 1.0, "s", _figure(START, READY), is_most=True, at=MILLION),
    Target("memory after all measures, most", 350.0, "MB", _memory, is_most=True, at=MILLION),
    Target("disk, to what was posted", 3.5, RATIO, _disk, is_most=True, at=MILLION),
    *(
        Target(
            f"post to a large {name}, to an ordinary one",
            NO_WORSE,
            RATIO,
            _ratio(POST.format(kind), LARGE, against=OTHERS),
        )
        for kind, name in ((COMMITMENTS, "agreement"), (MEMBERS, "platform"), (MEMBERSHIPS, "party"))
    ),
    Target("recorded under overload, to the highest rate", 0.80, RATIO, _figure(OVERLOAD, SHARE)),
    Target("acknowledged and missing after SIGKILL", 0.0, "events", _figure(OVERLOAD, MISSING), is_most=True),
)
