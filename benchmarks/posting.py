"""Appends: agreements signed, one event a request, to the registry with everything on, to the obvious implementation,
and to an echo that only checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from benchmarks.bench import PARTIES, Bench, Sample
from benchmarks.client import Load, Posts
from benchmarks.contestants import OBVIOUS, REGISTRY, limits, obvious, registry
from benchmarks.footprints import footprint, weigh
from benchmarks.machine import Server

APPEND = "append one event"


def measure(bench: Bench) -> None:
    """Compares appends at each number of clients, and weighs the registry afterwards."""
    core, sizes = bench.cores.server, bench.sizes
    numbers = count(step=1_000_000)  # of the first event of each turn, so that none is posted twice

    def turn(server: Server, path: str, headers: Mapping[str, str], clients: int) -> Sample:
        posts = Posts(path, next(numbers), PARTIES, headers)
        return bench.asked(server, Load(server.port, clients, sizes.seconds, posts))

    with (
        limits(bench.folder / "append-limits", core) as echo,
        obvious(bench.folder / "append-obvious", core) as library,
    ):
        with registry(bench.folder / "append", core, parties=PARTIES) as ours:
            for clients in sizes.clients:
                turns: dict[str, Callable[[], Sample]] = {
                    REGISTRY: partial(turn, ours.server, "/v1/events", ours.headers, clients),
                    OBVIOUS: partial(turn, library, "/agreements", {}, clients),
                }
                bench.compare(APPEND, clients, partial(turn, echo, "/echo", {}, clients), turns)
            weighed = weigh(ours)
        bench.results.footprints.append(footprint("appends", ours.folder, weighed))
