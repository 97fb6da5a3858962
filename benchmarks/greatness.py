"""Great subjects: what it costs to post to them, and to ask for them right after, beside ordinary ones. No answer and
no step of folding may grow with what a subject has behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks.bench import Bench, without_cpu
from benchmarks.client import Load
from benchmarks.contestants import Registry, registry
from benchmarks.greatest import COMMITMENTS, KINDS, MEMBERS, MEMBERSHIPS, News, events, numbers, parties, subject
from benchmarks.requests import AfterNews, Gets, Posts
from benchmarks.results import Sample
from benchmarks.stores import made

POST = "post {}"
ASK = "right after {}: {}"
GREAT = "a great one"
OTHERS = "any other"
CLIENTS = 16
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    COMMITMENTS: {
        "its state": "/v1/{}",
        "its commitments": "/v1/commitments?agreement={}",
        "its history": "/v1/{}/history",
    },
    MEMBERS: {"its state": "/v1/{}", "its members": "/v1/memberships?in={}"},
    MEMBERSHIPS: {
        "its state": "/v1/{}",
        "its agreements": "/v1/agreements?party={}&signed_from=2011-01-01",
        "its timeline": "/v1/timeline?party={}",
        "its graph": "/v1/graph?center={}&depth=1&limit=50",
    },
}
MOST_SECONDS = 60.0
"""Of a turn, which ends when its posts are made."""


def measure(bench: Bench) -> None:
    """Compares posts and questions, great with ordinary."""
    great, rounds = bench.sizes.great, bench.sizes.rounds
    spares = rounds * (great.posts + len(QUESTIONS[MEMBERS]) * great.questions)
    with (
        made(bench, "great subjects", events(great, spares)) as kept,
        registry(kept.folder, bench.cores.server) as ours,
    ):
        for kind in KINDS:
            _measure(bench, ours, kind)


def _measure(bench: Bench, ours: Registry, kind: str) -> None:
    great = bench.sizes.great
    # In the order in which turns are taken, each from where the one before ended.
    firsts = {is_great: numbers(great, kind, is_great=is_great, turn=1) for is_great in (True, False)}

    def news(is_great: bool, size: int) -> Posts:
        first = next(firsts[is_great])
        _skip(firsts[is_great], size - 1)
        return Posts("/v1/events", News(kind, is_great, first, size, parties(great)), ours.headers)

    def post(is_great: bool) -> Sample:
        posts = news(is_great, great.posts)
        return bench.asked(ours.server, Load(ours.server.port, CLIENTS, MOST_SECONDS, posts, 0.0))

    def ask(is_great: bool, address: str) -> Sample:
        gets = Gets([address.format(subject(kind, is_great=is_great))])
        asked = AfterNews(news(is_great, great.questions), gets)
        return without_cpu(bench.asked(ours.server, Load(ours.server.port, 1, MOST_SECONDS, asked, 0.0, counted=200)))

    bench.compare(POST.format(kind), CLIENTS, partial(post, False), {GREAT: partial(post, True)}, against=OTHERS)
    for what, address in QUESTIONS[kind].items():
        measure = ASK.format(kind, what)
        bench.compare(measure, 1, partial(ask, False, address), {GREAT: partial(ask, True, address)}, against=OTHERS)


def _skip(taken: Iterator[int], size: int) -> None:
    for _ in range(size):
        next(taken)
