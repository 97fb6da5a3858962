"""The benchmarks as a whole: every measure runs at a small size and prints its results. Speed is not tested."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.contestants import OBVIOUS, REGISTRY, UMADB
from benchmarks.figures import ratios
from benchmarks.imports import IMPORT
from benchmarks.latency import LATENCY
from benchmarks.live_stream import DOUBLED, LIVE, LOST
from benchmarks.machine import Cores
from benchmarks.measures import take
from benchmarks.overload import MISSING, OVERLOAD, SHARE
from benchmarks.results import Results
from benchmarks.scaling import scalings
from benchmarks.sizes import LargeSubjects, Sizes
from benchmarks.start import READY, START
from benchmarks.whole_log import AUDIT, AUDIT_VIEWS, REBUILD, REPLAY, STREAM

TINY = Sizes(
    rounds=1,
    repeats=1,
    seconds=0.1,
    longer=0.2,
    sustained=0.1,
    signed=30,
    lifespans=5,
    stores=(2_000,),
    large=LargeSubjects(events=70, members=70, ties=70, posts=20, questions=3),
    warm=0.0,
    clients=(1, 3),
    asking=(1, 3),
    readers=5,
    crowd=40,
)


def taken(folder, *names: str) -> Results:
    """Return the results of these measures; each of them must succeed."""
    with closing(Bench(Cores(None, None), folder, TINY, lambda said: None)) as bench:
        take(bench, names)
    assert not bench.failed, bench.results.notes
    assert report.tables(bench.results)
    assert report.document(bench)["rows"]
    return bench.results


def held(results: Results) -> set[tuple[str, str]]:
    """Return the rows that have a ratio in every round."""
    for row in results.rows:
        assert all(sample.per_second > 0 for sample in row.samples), row
        assert len(ratios(row)) == len(row.limits)
    return {(row.measure, row.contestant) for row in results.rows if row.limits}


def test_appends_are_compared_with_the_echo_and_the_others(tmp_path):
    results = taken(tmp_path, "append")
    contestants = {name for _, name in held(results)}
    assert contestants - {UMADB} == {REGISTRY, OBVIOUS}
    assert (UMADB in contestants) != any("UmaDB" in note for note in results.notes)
    assert {row.clients for row in results.rows} == {1, 3}
    (weighed,) = results.footprints
    assert weighed.events > 0
    assert weighed.of_raw is not None


def test_waiting_at_half_load_is_timed_for_registry_and_echo(tmp_path):
    rows = taken(tmp_path, "open").rows
    assert [row.measure for row in rows] == [LATENCY, LATENCY]
    assert all(sample.p99 is not None and sample.p99 > 0 for row in rows for sample in row.samples)


def test_batches_and_imports_are_compared_with_their_limits(tmp_path):
    found = held(taken(tmp_path, "batch", "import"))
    assert {name for _, name in found} == {REGISTRY, IMPORT, "registry, rebuild"}


def test_large_subjects_are_compared_with_ordinary_ones(tmp_path):
    found = held(taken(tmp_path, "large"))
    assert sum(measure.startswith("post ") for measure, _ in found) == 3
    assert sum(measure.startswith("right after ") for measure, _ in found) == 9


def test_no_acknowledged_event_is_missing_after_overload_and_a_kill(tmp_path):
    results = taken(tmp_path, "overload")
    missing, share = results.figure(OVERLOAD, MISSING), results.figure(OVERLOAD, SHARE)
    assert missing is not None
    assert list(missing.values) == [0]
    assert int(missing.unit.removeprefix("of ").replace(",", "")) > 0
    assert share is not None
    assert share.values[0] > 0


def test_every_measure_of_a_registry_of_one_size_runs(tmp_path):
    results = taken(tmp_path, "ask", "find", "whole", "live", "start")
    found = held(results)
    assert {(name, REGISTRY) for name in (REBUILD, REPLAY, AUDIT, AUDIT_VIEWS, STREAM)} <= found
    assert all(row.size == 2_000 for row in results.rows)
    timed = [row for row in results.rows if not row.limits]
    assert len(timed) == 17
    for name in (LOST, DOUBLED):
        figure = results.figure(LIVE, name)
        assert figure is not None
        assert list(figure.values) == [0]
    assert results.figure(START, READY) is not None
    assert scalings(results) == []  # there is but one size
    assert list(tmp_path.glob("2,000*")) == []


def test_failed_measure_is_reported_and_the_next_one_runs(tmp_path, monkeypatch):
    def fails(_bench):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("benchmarks.measures.ONCE", {"first": fails, "second": lambda bench: bench.note("it ran")})
    with closing(Bench(Cores(None, None), tmp_path, TINY, lambda said: None)) as bench:
        take(bench, ("first", "second"))
    assert bench.failed == ["first"]
    assert bench.results.notes == ["first failed: RuntimeError('the disk is full')", "it ran"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("speed",), "there is no measure 'speed'"),
        (("append", "--rounds", "0"), "--rounds is at least 1"),
        (("ask", "--size", "10"), "--size is at least 2,000"),
    ],
)
def test_unknown_measure_is_refused_in_one_line(options, said):
    ended = subprocess.run(
        (sys.executable, "-m", "benchmarks", *options), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert said in ended.stderr
