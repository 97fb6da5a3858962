"""Every measure there is, by the name under which it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from benchmarks import (
    asking,
    batching,
    finding,
    folding,
    following,
    greatness,
    importing,
    overloading,
    pacing,
    posting,
    starting,
)
from benchmarks.bench import Bench
from benchmarks.footprints import weigh
from benchmarks.results import ALL, Footprint
from benchmarks.stores import Store, made, served
from benchmarks.worlds import World

ONCE: Mapping[str, Callable[[Bench], None]] = {
    "append": posting.measure,
    "open": pacing.measure,
    "batch": batching.measure,
    "import": importing.measure,
    "great": greatness.measure,
    "overload": overloading.measure,
}
SIZED: Mapping[str, Callable[[Bench, Store], None]] = {
    "ask": asking.measure,
    "find": finding.measure,
    "whole": folding.measure,
    "live": following.measure,
}
"""Taken at several sizes: a registry of each is made once, and asked in every way."""
START = "start"
"""Last at each size, as it needs a registry that has stopped."""
NAMES = (*ONCE, *SIZED, START)
LEAST = 2_000
"""Events of the smallest registry that holds enough to ask about."""


def take(bench: Bench, names: Collection[str]) -> None:
    """Takes the measures of these names; one that fails is said to have, and the others go on."""
    for name, measure in ONCE.items():
        if name in names:
            bench.attempt(name, partial(measure, bench))
    if any(name in names for name in (*SIZED, START)):
        for size in bench.sizes.stores:
            bench.attempt(f"{size:,} events", partial(_take_at, bench, names, size))


def _take_at(bench: Bench, names: Collection[str], size: int) -> None:
    world = World(size)
    with made(bench, f"{size:,} events", world) as kept:
        with served(bench, kept, world) as store:
            for name, measure in SIZED.items():
                if name in names:
                    bench.attempt(f"{name} at {size:,} events", partial(measure, bench, store))
            weighed = weigh(store.ours)
        if START in names:
            bench.attempt(f"{START} at {size:,} events", partial(starting.measure, bench, kept, size))
        asked = [name for name in SIZED if name in names]
        after = ALL if asked == list(SIZED) else ", ".join(asked) or "nothing"
        bench.results.footprints.append(Footprint(after, size, weighed.memory, kept.files, kept.raw, size))
