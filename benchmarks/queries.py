"""Queries: search, timeline, memberships, the graph around a party, statistics, filtered lists. One client sends one
request after the other, each with another query; the time of each counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import product
from random import Random
from urllib.parse import quote

from benchmarks.bench import Bench, without_cpu
from benchmarks.closed_loop import Load
from benchmarks.contestants import REGISTRY
from benchmarks.data_sets import NEWS, DataSet
from benchmarks.events import DAYS, FIELDS, PLACES, NewAgreements
from benchmarks.requests import AfterNewEvent, Gets, Posts
from benchmarks.results import Row, Sample
from benchmarks.stores import Store

RARE = "search, a rare word"
COMMON = "search, a common English word"
CHINESE = "search, Chinese"
SEVERAL = "search, several words"
TIMELINE = "timeline, all"
TIMELINE_OF = "timeline, of a party"
MEMBERSHIPS = "memberships of a party"
GRAPH = "graph, two ties around a party"
HISTORIES = "history of a platform"
PROOFS = "state of a platform with proofs"
STATISTICS = "statistics, now"
STATISTICS_THEN = "statistics, on another day"
LISTS = "lists by a filter, in any order"
SUBJECT_PAGES = "pages of agreements and parties"
LIST_PAGES = "pages of lists"
NETWORK_PAGES = "pages of the network around a party"
SEARCHES = (RARE, COMMON, CHINESE, SEVERAL)
OVERVIEWS = (TIMELINE, TIMELINE_OF, MEMBERSHIPS, GRAPH, STATISTICS, STATISTICS_THEN)
PAGES = (SUBJECT_PAGES, LIST_PAGES, NETWORK_PAGES)

MOST = 5_000
"""Different queries of one kind, each sent at most once in a turn."""
_FIELDS = tuple(name.decode() for name in FIELDS)
_PLACES = tuple(name.decode() for name in PLACES)
_WORDS = ("cooperation", "party", "company", *(name.split()[-1] for name in _FIELDS), *_PLACES)
_WORDS_ZH = ("合作", "协议", "公司", "电池", "固态电池", "电网储能", "氢能", "海上风电", "充电设施", "成都", "里斯本")
_LIMITS = range(10, 51)
_SIGNED = ("status=signed", "status=terminated", "scope=hydrogen", "signed_from=2024-01-01", "signed_to=2010-02-01")
_MADE = ("status=in-progress", "kind=facility", "due_before=2026-01-01", "q=Oslo")
_LISTED: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "agreements": ((*_SIGNED, "q=Oslo"), ("subject", "title", "signed")),
    "memberships": (("status=bound", "category=industry", "q=Oslo", "q=forum+Oslo"), ("in", "from")),
    "commitments": (_MADE, ("agreement", "due", "made")),
    "timeline": (("to=2010-02-01", "q=Oslo", "q=forum+Oslo"), ("occurred", "position")),
}
"""Filters and orders: some that few rows meet, some that many rows meet, some that the first rows of the order do not
meet."""


def measure(bench: Bench, store: Store) -> None:
    """Measure the time of each kind of query."""
    sizes, ours = bench.sizes, store.ours
    news = iter(range(NEWS + 1_000_000, 2 * NEWS, 1_000_000))

    def turn(kind: str, paths: Sequence[str]) -> Sample:
        if kind == STATISTICS:  # there is only one query: it is sent after each of some events
            events = NewAgreements(next(news), store.data_set.parties)
            posts_then_get = AfterNewEvent(Posts("/v1/events", events, ours.headers), Gets(["/v1/statistics"]))
            return without_cpu(
                bench.measured(ours.server, Load(ours.server.port, 1, sizes.longer, posts_then_get, 0.0, counted=200))
            )
        store.record_event()
        gets = Gets(paths, repeat=False)
        return bench.measured(ours.server, Load(ours.server.port, 1, sizes.longer, gets, 0.0))

    for kind, paths in questions(store.data_set).items():
        samples = bench.turns(f"{kind}, {store.size:,} events", {REGISTRY: partial(turn, kind, paths)}, sizes.repeats)
        bench.results.rows.append(Row(kind, REGISTRY, 1, samples[REGISTRY], size=store.size))


def questions(data_set: DataSet) -> Mapping[str, Sequence[str]]:
    """Return different addresses of each kind, in random order."""
    random = Random(data_set.events)
    parties = [f"parties/p-{number:05d}" for number in range(data_set.parties)]
    platforms = [f"platforms/f-{number:05d}" for number in range(min(5, data_set.platforms))]
    numbers = [f"{random.randrange(data_set.agreements):08d}" for _ in range(MOST)]
    days = [day.decode() for day in DAYS]
    today = date.today()  # noqa: DTZ011 - any day will do
    kinds = {
        RARE: [_search(number) for number in numbers],
        COMMON: [_search(word, limit) for word, limit in product(_WORDS, _LIMITS)],
        CHINESE: [_search(word, limit) for word, limit in product(_WORDS_ZH, _LIMITS)],
        SEVERAL: [_search(" ".join(words), limit) for *words, limit in product(_FIELDS, _PLACES, _LIMITS)],
        TIMELINE: [f"/v1/timeline?from={day}" for day in days[:5_000]],
        TIMELINE_OF: [f"/v1/timeline?party={party}&from={day}" for party, day in product(parties[:100], days[:500:10])],
        MEMBERSHIPS: [f"/v1/memberships?party={party}&limit={limit}" for party, limit in product(parties, _LIMITS)],
        GRAPH: [
            f"/v1/graph?center={party}&depth=2&limit={limit}" for party, limit in product(parties, range(960, 1001))
        ],
        HISTORIES: [f"/v1/{platform}/history?on={day}" for platform, day in product(platforms, days[3_000:5_000])],
        PROOFS: [f"/v1/{platform}?proof=true&on={day}" for platform, day in product(platforms, days[3_000:5_000])],
        STATISTICS: ["/v1/statistics"],
        LISTS: [
            f"/v1/{view}?{given}&sort={turn}{sort}&limit={limit}"
            for view, (filters, sorts) in _LISTED.items()
            for given, sort, turn, limit in product(filters, sorts, ("", "-"), _LIMITS)
        ],
        SUBJECT_PAGES: [*(f"/agreements/a-{number}" for number in numbers), *(f"/{party}" for party in parties)],
        LIST_PAGES: [
            f"/{view}?{given}&sort={turn}{sort}&on={day}"
            for view, (filters, sorts) in _LISTED.items()
            for given, sort, turn, day in product(filters, sorts, ("", "-"), days[:1_000:40])
        ],
        NETWORK_PAGES: [f"/network?center={party}&depth={depth}" for party, depth in product(parties, (1, 2))],
        STATISTICS_THEN: [f"/v1/statistics?on={today - timedelta(days=ago)}" for ago in range(1, 4_000)],
    }
    for paths in kinds.values():
        random.shuffle(paths)
    return {kind: paths[:MOST] for kind, paths in kinds.items()}


def _search(words: str, limit: int | None = None) -> str:
    return f"/v1/search?q={quote(words)}" + ("" if limit is None else f"&limit={limit}")
