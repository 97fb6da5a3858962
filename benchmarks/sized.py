"""The measures that are taken at several sizes: a registry of each is made once and asked in every way; at the end it
is weighed, and started again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from benchmarks import asking, finding, folding, following, starting
from benchmarks.bench import Bench
from benchmarks.footprints import weigh
from benchmarks.results import Footprint
from benchmarks.stores import Store, made, served
from benchmarks.worlds import World

ASKED: Mapping[str, Callable[[Bench, Store], None]] = {
    "ask": asking.measure,
    "find": finding.measure,
    "whole": folding.measure,
    "live": following.measure,
}
LEAST = 5_000
"""Events of the smallest registry that holds enough to ask about."""
SIZED: tuple[str, ...] = (*ASKED, "start")


def measure(bench: Bench, names: Collection[str]) -> None:
    """Takes the measures of these names at every size."""
    for size in bench.sizes.stores:
        world = World(size)
        with made(bench, f"{size:,} events", world) as kept:
            with served(bench, kept, world) as store:
                for name, taken in ASKED.items():
                    if name in names:
                        taken(bench, store)
                weighed = weigh(store.ours)
            if "start" in names:
                starting.measure(bench, kept, size)
            bench.results.footprints.append(Footprint("all of it", size, weighed.memory, kept.files, kept.raw, size))
