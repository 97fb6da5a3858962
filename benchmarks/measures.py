"""The table of all measures, by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from benchmarks import (
    appends,
    batches,
    imports,
    large_subjects,
    latency,
    live_stream,
    overload,
    queries,
    start,
    states_and_lists,
    whole_log,
)
from benchmarks.bench import Bench
from benchmarks.data_sets import DataSet
from benchmarks.footprints import weigh
from benchmarks.results import ALL, Footprint
from benchmarks.stores import Store, made, served

ONCE: Mapping[str, Callable[[Bench], None]] = {
    "append": appends.measure,
    "open": latency.measure,
    "batch": batches.measure,
    "import": imports.measure,
    "large": large_subjects.measure,
    "overload": overload.measure,
}
SIZED: Mapping[str, Callable[[Bench, Store], None]] = {
    "ask": states_and_lists.measure,
    "find": queries.measure,
    "whole": whole_log.measure,
    "live": live_stream.measure,
}
"""Measures at several sizes: a registry of each size is made once, for all of them."""
START = "start"
"""The last measure at each size, as it needs a registry that has stopped."""
NAMES = (*ONCE, *SIZED, START)
LEAST = 2_000
"""Events of the smallest registry with enough data for all queries."""


def take(bench: Bench, names: Collection[str]) -> None:
    """Take the measures of these names. If one fails, report that and continue with the others."""
    for name, measure in ONCE.items():
        if name in names:
            bench.attempt(name, partial(measure, bench))
    if any(name in names for name in (*SIZED, START)):
        for size in bench.sizes.stores:
            bench.attempt(f"{size:,} events", partial(_take_at, bench, names, size))


def _take_at(bench: Bench, names: Collection[str], size: int) -> None:
    data_set = DataSet(size)
    with made(bench, f"{size:,} events", data_set) as made_:
        with served(bench, made_, data_set) as store:
            for name, measure in SIZED.items():
                if name in names:
                    bench.attempt(f"{name} at {size:,} events", partial(measure, bench, store))
            weighed = weigh(store.ours)
        if START in names:
            bench.attempt(f"{START} at {size:,} events", partial(start.measure, bench, made_, size))
        taken = [name for name in SIZED if name in names]
        after = ALL if taken == list(SIZED) else ", ".join(taken) or "nothing"
        bench.results.footprints.append(Footprint(after, size, weighed.memory, made_.files, made_.raw, size))
