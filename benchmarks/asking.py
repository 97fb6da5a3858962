"""Questions: one state by its id, and lists of fifty by two filters, now, as of a position, and on a past day; against
a GET of the same bytes that are ready. One event is recorded before each turn, so that no answer is at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import orjson

from benchmarks.bench import Bench, Sample, Sizes
from benchmarks.bulk import import_over_http
from benchmarks.client import Gets, Load
from benchmarks.contestants import OBVIOUS, REGISTRY, Registry, ask, limits, obvious, registry
from benchmarks.events import DAYS, signed, write_lives
from benchmarks.footprints import footprint, weigh
from benchmarks.machine import Server

STATE = "state by id"
LIST = "list of 50 by two filters"
KEPT = 200
"""States that are asked for again and again."""
LIST_CLIENTS = 16
PAST_DAY = "2018-06-30"
_EVENT = "application/cloudevents+json"


def measure(bench: Bench) -> None:
    """Compares states and lists on a registry that holds whole lives of agreements, and weighs it afterwards."""
    core = bench.cores.server
    lines = bench.folder / "asked.ndjson"
    with limits(bench.folder / "ask-limits", core) as bare, obvious(bench.folder / "ask-obvious", core) as library:
        with registry(bench.folder / "ask", core) as ours:
            events = write_lives(lines, bench.sizes.asked, parties_of(bench.sizes))
            bench.taken_in(ours.server, partial(import_over_http, ours.server.port, ours.headers, lines))
            asking = _Asking(bench, ours, bare, library)
            asking.states()
            asking.lists({"now": "", "as of the middle": f"&as_of={events // 2}", "on a past day": f"&on={PAST_DAY}"})
            weighed = weigh(ours)
        bench.results.footprints.append(footprint("import and questions", ours.folder, weighed))


def parties_of(sizes: Sizes) -> int:
    """Parties of the agreements that are asked about: each is in two hundred, of which a page holds fifty."""
    return sizes.asked * 3 // 200


class _Asking:
    """The servers that are asked, and what."""

    def __init__(self, bench: Bench, ours: Registry, bare: Server, library: Server) -> None:
        self._bench = bench
        self._ours = ours
        self._bare = bare
        self._library = library
        self._fresh = count(bench.sizes.asked)

    def states(self) -> None:
        slugs = [f"a-{number:08d}" for number in range(self._bench.sizes.asked)]
        paths = [f"/v1/agreements/{slug}" for slug in slugs]
        known = [f"/agreements/{slug}" for slug in slugs[:KEPT]]
        for number in range(len(known)):
            ask(self._library, "POST", "/agreements", signed(number, parties_of(self._bench.sizes)))
        ask(self._bare, "PUT", "/ready", ask(self._ours.server, "GET", paths[-1]))
        for clients in self._bench.sizes.clients:
            turns: dict[str, Callable[[], Sample]] = {
                f"{REGISTRY}, asked first": partial(self._first, paths, clients),
                f"{REGISTRY}, asked again": partial(self._turn, self._ours.server, paths[:KEPT], clients),
                OBVIOUS: partial(self._turn, self._library, known, clients),
            }
            self._bench.compare(STATE, clients, partial(self._turn, self._bare, ["/ready"], clients), turns)

    def lists(self, times: dict[str, str]) -> None:
        """By party and day of signing: each turn asks for another page each time."""
        parties = range(parties_of(self._bench.sizes))
        for name, more in times.items():
            paths = [
                f"/v1/agreements?party=parties/p-{party:05d}&signed_from={day.decode()}{more}"
                for day in DAYS[:700]
                for party in parties
            ]
            page = ask(self._ours.server, "GET", paths[-1])
            if len(orjson.loads(page)["items"]) != 50:
                raise RuntimeError(f"{paths[-1]} holds less than fifty")
            ask(self._bare, "PUT", "/ready", page)
            limit = partial(self._turn, self._bare, ["/ready"], LIST_CLIENTS)
            turns = {REGISTRY: partial(self._first, paths, LIST_CLIENTS)}
            self._bench.compare(f"{LIST}, {name}", LIST_CLIENTS, limit, turns)

    def _turn(self, server: Server, paths: list[str], clients: int) -> Sample:
        return self._bench.asked(server, Load(server.port, clients, self._bench.sizes.seconds, Gets(paths)))

    def _first(self, paths: list[str], clients: int) -> Sample:
        """Each address once, after an event was recorded, so that none of the answers is at hand."""
        ours, sizes = self._ours, self._bench.sizes
        event = signed(next(self._fresh), parties_of(sizes))
        ask(ours.server, "POST", "/v1/events", event, {"Content-Type": _EVENT, **ours.headers})
        load = Load(ours.server.port, clients, sizes.seconds, Gets(paths, repeat=False), warm=0.0)
        return self._bench.asked(ours.server, load)
