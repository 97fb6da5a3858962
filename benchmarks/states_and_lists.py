"""States and lists: one state by its id, and lists of fifty by two filters, now and in the past, against a GET of the
same bytes from memory. One event is recorded before each turn, so that no answer is in the cache of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from random import Random

import orjson

from benchmarks.bench import Bench, Turn
from benchmarks.closed_loop import Load
from benchmarks.contestants import OBVIOUS, REGISTRY, ask, limits, obvious
from benchmarks.events import DAYS, signed
from benchmarks.machine import Server
from benchmarks.requests import Gets
from benchmarks.results import Row, Sample
from benchmarks.stores import Store

STATE = "state by id"
FIRST = f"{REGISTRY}, first request"
AGAIN = f"{REGISTRY}, repeated request"
LIST = "list of 50 by two filters"
PAST = "the same list, as of an earlier position, on a past day"
NOW = "the list now"
REPEATED = 200
"""States that are requested repeatedly."""
REPEATED_LISTS = 20
"""Lists that are requested repeatedly: a short turn has few requests."""
LIST_CLIENTS = 16
PAST_DAY = "2021-06-30"
MOST_PATHS = 20_000
"""Different requests of one turn."""


def measure(bench: Bench, store: Store) -> None:
    """Compare states and lists."""
    core, name = bench.cores.server, f"ask-{store.size}"
    with ExitStack() as stack:
        bare = stack.enter_context(limits(bench.folder / f"{name}-limits", core))
        library = None
        if store.size == min(bench.sizes.stores):
            library = stack.enter_context(obvious(bench.folder / f"{name}-obvious", core))
        asking = _StatesAndLists(bench, store, bare)
        asking.states(library)
        asking.lists()


class _StatesAndLists:
    """The servers, and the requests to them."""

    def __init__(self, bench: Bench, store: Store, bare: Server) -> None:
        self._bench = bench
        self._store = store
        self._bare = bare

    def states(self, library: Server | None) -> None:
        """Compare states: each agreement once after a new event; a few of them repeatedly."""
        store, sizes = self._store, self._bench.sizes
        agreements = store.data_set.agreements
        shuffled = Random(store.size).sample(range(agreements), agreements)
        paths = [f"/v1/agreements/a-{number:08d}" for number in shuffled[:MOST_PATHS]]
        following = (f"/v1/agreements/a-{number:08d}" for number in cycle(shuffled))
        known = [f"/agreements/a-{number:08d}" for number in range(REPEATED)]
        if library is not None:
            for number in range(REPEATED):
                ask(library, "POST", "/agreements", signed(number, store.data_set.parties))
        ask(self._bare, "PUT", "/ready", ask(store.ours.server, "GET", paths[-1]))
        for clients in sizes.asking:
            turns: dict[str, Turn] = {
                FIRST: partial(self._first, following, len(paths), clients),
                AGAIN: partial(self._turn, store.ours.server, paths[:REPEATED], clients),
            }
            if library is not None:
                turns[OBVIOUS] = partial(self._turn, library, known, clients)
            limit = partial(self._turn, self._bare, ["/ready"], clients)
            self._bench.compare(STATE, clients, limit, turns, size=store.size)

    def lists(self) -> None:
        """Compare lists by party and by day of signing: each request for another page, now and as of earlier positions;
        a few pages repeatedly; and the same bytes from memory."""
        bench, store = self._bench, self._store
        now, past = self._pages(""), self._pages(f"&as_of={store.size // 2}&on={PAST_DAY}")
        first, last = ask(store.ours.server, "GET", now[0]), ask(store.ours.server, "GET", past[0])
        for page, path in ((first, now[0]), (last, past[0])):
            if len(orjson.loads(page)["items"]) != 50:
                raise RuntimeError(f"{path} has less than fifty items")

        def ready(page: bytes) -> Sample:
            ask(self._bare, "PUT", "/ready", page)
            return self._turn(self._bare, ["/ready"], LIST_CLIENTS)

        samples = bench.turns(
            f"{LIST}, {store.size:,} events",
            {
                "bytes of now": partial(ready, first),
                "now": partial(self._first, cycle(now), len(now), LIST_CLIENTS),
                "again": partial(self._turn, store.ours.server, now[:REPEATED_LISTS], LIST_CLIENTS),
                "then": partial(self._first, cycle(past), len(past), LIST_CLIENTS),
                "bytes of then": partial(ready, last),
            },
        )
        bench.results.rows += [
            Row(LIST, REGISTRY, LIST_CLIENTS, samples["now"], samples["bytes of now"], size=store.size),
            Row(LIST, AGAIN, LIST_CLIENTS, samples["again"], samples["bytes of now"], size=store.size),
            Row(PAST, REGISTRY, LIST_CLIENTS, samples["then"], samples["bytes of then"], size=store.size),
            Row(PAST, REGISTRY, LIST_CLIENTS, samples["then"], samples["now"], NOW, store.size),
        ]

    def _pages(self, more: str) -> Sequence[str]:
        random, parties = Random(self._store.size), self._store.data_set.parties
        pages = {(random.randrange(parties), random.randrange(700)): None for _ in range(MOST_PATHS)}
        return [
            f"/v1/agreements?party=parties/p-{party:05d}&signed_from={DAYS[day].decode()}{more}" for party, day in pages
        ]

    def _turn(self, server: Server, paths: Sequence[str], clients: int) -> Sample:
        sizes = self._bench.sizes
        return self._bench.measured(server, Load(server.port, clients, sizes.seconds, Gets(paths), sizes.warm))

    def _first(self, paths: Iterator[str], count: int, clients: int) -> Sample:
        """Return a turn that requests each address once, after a new event."""
        self._store.record_event()
        server, gets = self._store.ours.server, Gets(list(islice(paths, count)), repeat=False)
        return self._bench.measured(server, Load(server.port, clients, self._bench.sizes.seconds, gets, warm=0.0))
