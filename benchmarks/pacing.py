"""How long one waits at half load: posts leave on a schedule at half the rate that a server was found to reach, and are
timed from the instant they were due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from statistics import median

from benchmarks.bench import Bench
from benchmarks.client import Load
from benchmarks.contestants import REGISTRY, limits, registry
from benchmarks.events import Fresh
from benchmarks.machine import Server
from benchmarks.openloop import Schedule
from benchmarks.requests import Posts
from benchmarks.results import Row, Sample
from benchmarks.sizes import PARTIES

PACED = "append one event, open loop at half load"
ECHO = "echo"
CLIENTS = 64
"""In the closed loop that finds the rate."""
SHARE = 0.5


def measure(bench: Bench) -> None:
    """Times registry and echo, each at half of its own rate."""
    core, sizes = bench.cores.server, bench.sizes
    numbers = count(step=1_000_000)

    def posts(path: str, headers: Mapping[str, str]) -> Posts:
        return Posts(path, Fresh(next(numbers), PARTIES), headers)

    def closed(server: Server, path: str, headers: Mapping[str, str]) -> Sample:
        return bench.asked(server, Load(server.port, CLIENTS, sizes.seconds, posts(path, headers), sizes.warm))

    def paced(server: Server, path: str, headers: Mapping[str, str], rate: float) -> Sample:
        schedule = Schedule(server.port, rate, sizes.sustained, posts(path, headers), warm=sizes.warm)
        return bench.paced(server, schedule)

    with (
        limits(bench.folder / "open-limits", core) as echo,
        registry(bench.folder / "open", core, parties=PARTIES) as ours,
    ):
        asked: dict[str, tuple[Server, str, Mapping[str, str]]] = {
            ECHO: (echo, "/echo", {}),
            REGISTRY: (ours.server, "/v1/events", ours.headers),
        }
        found = bench.turns("rate in a closed loop", {name: partial(closed, *where) for name, where in asked.items()})
        turns: dict[str, Callable[[], Sample]] = {}
        for name, where in asked.items():
            rate = SHARE * median(sample.per_second for sample in found[name])
            turns[name] = partial(paced, *where, rate)
        samples = bench.turns(PACED, turns)
        bench.results.rows += [Row(PACED, name, None, samples[name]) for name in asked]
