"""Latency at half load: posts leave on a schedule at half the rate that a server reached, and the time of each counts
from the instant it was due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from statistics import median

from benchmarks.bench import Bench
from benchmarks.closed_loop import Load
from benchmarks.contestants import REGISTRY, limits, registry
from benchmarks.events import NewAgreements
from benchmarks.machine import Server
from benchmarks.open_loop import Schedule
from benchmarks.requests import Posts
from benchmarks.results import Row, Sample
from benchmarks.sizes import PARTIES

LATENCY = "append one event, open loop at half load"
ECHO = "echo"
CLIENTS = 64
"""Clients of the closed loop that finds the rate."""
SHARE = 0.5


def measure(bench: Bench) -> None:
    """Measure registry and echo, each at half of its own rate."""
    core, sizes = bench.cores.server, bench.sizes
    numbers = count(step=1_000_000)

    def posts(path: str, headers: Mapping[str, str]) -> Posts:
        return Posts(path, NewAgreements(next(numbers), PARTIES), headers)

    def closed(server: Server, path: str, headers: Mapping[str, str]) -> Sample:
        return bench.measured(server, Load(server.port, CLIENTS, sizes.seconds, posts(path, headers), sizes.warm))

    def paced(server: Server, path: str, headers: Mapping[str, str], rate: float) -> Sample:
        schedule = Schedule(server.port, rate, sizes.sustained, posts(path, headers), warm=sizes.warm)
        return bench.paced(server, schedule)

    with (
        limits(bench.folder / "open-limits", core) as echo,
        registry(bench.folder / "open", core, parties=PARTIES) as ours,
    ):
        servers: dict[str, tuple[Server, str, Mapping[str, str]]] = {
            ECHO: (echo, "/echo", {}),
            REGISTRY: (ours.server, "/v1/events", ours.headers),
        }
        found = bench.turns("rate in a closed loop", {name: partial(closed, *where) for name, where in servers.items()})
        turns: dict[str, Callable[[], Sample]] = {}
        for name, where in servers.items():
            rate = SHARE * median(sample.per_second for sample in found[name])
            turns[name] = partial(paced, *where, rate)
        samples = bench.turns(LATENCY, turns)
        bench.results.rows += [Row(LATENCY, name, None, samples[name]) for name in servers]
