"""Appends: signed agreements, one event a request, to the registry with everything on, to the obvious implementation,
to UmaDB, and to an echo that only validates them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from itertools import count

from benchmarks import umadb
from benchmarks.bench import Bench, Turn, sample_of
from benchmarks.closed_loop import Load
from benchmarks.contestants import OBVIOUS, REGISTRY, UMADB, limits, obvious, registry
from benchmarks.events import NewAgreements
from benchmarks.footprints import footprint, mean_of, weigh
from benchmarks.machine import Server
from benchmarks.requests import Posts
from benchmarks.results import Sample
from benchmarks.sizes import PARTIES

APPEND = "append one event"
SUSTAINED = 64
"""The number of clients of the sustained measurement."""


def measure(bench: Bench) -> None:
    """Compare appends at each number of clients, and then measure the registry's footprint."""
    core, sizes = bench.cores.server, bench.sizes
    numbers = count(step=1_000_000)  # of the first event of each turn: no event is posted twice

    def turn(server: Server, path: str, headers: Mapping[str, str], clients: int, seconds: float) -> Sample:
        posts = Posts(path, NewAgreements(next(numbers), PARTIES), headers)
        return bench.measured(server, Load(server.port, clients, seconds, posts, sizes.warm))

    def uma_turn(server: Server, clients: int, seconds: float) -> Sample:
        appends = umadb.Appends(server.port, clients, seconds, NewAgreements(next(numbers), PARTIES), sizes.warm)
        return sample_of(*bench.loaded(server, partial(umadb.run, appends)))

    with ExitStack() as stack:
        echo = stack.enter_context(limits(bench.folder / "append-limits", core))
        library = stack.enter_context(obvious(bench.folder / "append-obvious", core))
        rust = umadb.started(stack, bench.folder / "append-uma", core, bench.note)
        with registry(bench.folder / "append", core, parties=PARTIES) as ours:
            for clients in sizes.clients:
                seconds = sizes.sustained if clients == SUSTAINED else sizes.seconds
                turns: dict[str, Turn] = {
                    REGISTRY: partial(turn, ours.server, "/v1/events", ours.headers, clients, seconds),
                    OBVIOUS: partial(turn, library, "/agreements", {}, clients, seconds),
                }
                if rust is not None:
                    turns[UMADB] = partial(uma_turn, rust, clients, seconds)
                bench.compare(APPEND, clients, partial(turn, echo, "/echo", {}, clients, seconds), turns)
            weighed = weigh(ours)
        raw = mean_of(NewAgreements(0, PARTIES))
        bench.results.footprints.append(footprint("appends", ours.folder, weighed, raw=raw))
