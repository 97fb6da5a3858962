"""The live stream: posts on a schedule, and a hundred readers who hear of each. What counts is how long after a post
was acknowledged it has reached them, and that nothing is lost."""

from __future__ import annotations

from functools import partial

from benchmarks.bench import FINE, Bench
from benchmarks.contestants import REGISTRY
from benchmarks.events import Fresh
from benchmarks.openloop import Schedule
from benchmarks.readers import Reading, run
from benchmarks.requests import Posts
from benchmarks.results import Row, Sample
from benchmarks.stores import Store
from benchmarks.worlds import NEWS

LIVE = "live stream, from acknowledgement to reader"
LOST = "events lost by readers"
DOUBLED = "events heard twice or out of order"
RATE = 500
"""Posts a second."""


def measure(bench: Bench, store: Store) -> None:
    """Times the live stream."""
    sizes, ours = bench.sizes, store.ours
    numbers = iter(range(NEWS + 500_000, 2 * NEWS, 1_000_000))
    lost: list[int] = []
    doubled: list[int] = []

    def turn() -> Sample:
        posts = Posts("/v1/events", Fresh(next(numbers), store.world.parties), ours.headers)
        schedule = Schedule(ours.server.port, RATE, sizes.longer, posts, connections=64, warm=sizes.warm)
        read, cpu, others = bench.loaded(ours.server, partial(run, Reading(sizes.readers, schedule)))
        if set(read.posted.times) - FINE:
            raise RuntimeError(f"posts were answered {sorted(read.posted.times)}")
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
