"""Batches: a hundred signed agreements in each request, to the registry and to an echo that only validates them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count

from benchmarks.bench import Bench
from benchmarks.closed_loop import Load
from benchmarks.contestants import REGISTRY, limits, registry
from benchmarks.events import NewAgreements
from benchmarks.machine import Server
from benchmarks.requests import Posts
from benchmarks.results import Sample
from benchmarks.sizes import PARTIES

BATCH = "append 100 events a request"
AT_ONCE = 100
CLIENTS = 8


def measure(bench: Bench) -> None:
    """Compare batches, in events."""
    core, sizes = bench.cores.server, bench.sizes
    numbers = count(step=1_000_000)

    def turn(server: Server, path: str, headers: Mapping[str, str]) -> Sample:
        posts = Posts(path, NewAgreements(next(numbers), PARTIES), headers, AT_ONCE)
        seconds = max(sizes.sustained, sizes.longer)
        load = Load(server.port, CLIENTS, seconds, posts, sizes.warm, least=2 * CLIENTS)
        return bench.measured(server, load, each=AT_ONCE)

    with (
        limits(bench.folder / "batch-limits", core) as echo,
        registry(bench.folder / "batch", core, parties=PARTIES) as ours,
    ):
        turns = {REGISTRY: partial(turn, ours.server, "/v1/events", ours.headers)}
        bench.compare(BATCH, CLIENTS, partial(turn, echo, "/echo-batch", {}), turns)
