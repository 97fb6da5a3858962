"""The live stream: posts on a schedule, and a hundred readers that receive each event. The time from the receipt of a
post to each reader counts, and that no event is lost."""

from __future__ import annotations

from functools import partial

from benchmarks.bench import FINE, Bench
from benchmarks.contestants import REGISTRY
from benchmarks.data_sets import NEWS
from benchmarks.events import NewAgreements
from benchmarks.open_loop import Schedule
from benchmarks.requests import Posts
from benchmarks.results import Row, Sample
from benchmarks.stores import Store
from benchmarks.stream_readers import Reading, run

LIVE = "live stream, from receipt to reader"
LOST = "events lost by readers"
DOUBLED = "events received twice or out of order"
RATE = 500
"""Posts a second."""


def measure(bench: Bench, store: Store) -> None:
    """Measure the live stream."""
    sizes, ours = bench.sizes, store.ours
    numbers = iter(range(NEWS + 500_000, 2 * NEWS, 1_000_000))
    lost: list[int] = []
    doubled: list[int] = []

    def turn() -> Sample:
        posts = Posts("/v1/events", NewAgreements(next(numbers), store.data_set.parties), ours.headers)
        schedule = Schedule(ours.server.port, RATE, sizes.longer, posts, connections=64, warm=sizes.warm)
        read, cpu, others = bench.loaded(ours.server, partial(run, Reading(sizes.readers, schedule)))
        if set(read.posted.times) - FINE:
            raise RuntimeError(f"unexpected answers to posts: {sorted(read.posted.times)}")
        lost.append(read.lost)
        doubled.append(read.doubled)
        delays = read.delays
        return Sample(
            delays.count,
            delays.count / sizes.longer,
            None if cpu is None else cpu / delays.count,
            read.busy,
            others,
            delays.median,
            delays.p95,
            delays.p99,
            delays.most,
        )

    size = store.size
    samples = bench.turns(f"{LIVE}, {size:,} events", {REGISTRY: turn}, sizes.repeats)[REGISTRY]
    bench.results.rows.append(Row(LIVE, REGISTRY, sizes.readers, samples, size=size))
    bench.figure(LIVE, LOST, "events", *lost, size=size)
    bench.figure(LIVE, DOUBLED, "events", *doubled, size=size)
