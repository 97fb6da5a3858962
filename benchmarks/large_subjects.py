"""Large subjects: the cost of posts about them, and of queries right after, compared with ordinary subjects. No answer
and no step of a fold may grow with the size of a subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks.bench import Bench, without_cpu
from benchmarks.closed_loop import Load
from benchmarks.contestants import Registry, registry
from benchmarks.large_subject_events import (
    COMMITMENTS,
    KINDS,
    MEMBERS,
    MEMBERSHIPS,
    NewEvents,
    events,
    numbers,
    parties,
    subject,
)
from benchmarks.requests import AfterNewEvent, Gets, Posts
from benchmarks.results import Sample
from benchmarks.stores import made

POST = "post {}"
ASK = "right after {}: {}"
LARGE = "a large subject"
OTHERS = "an ordinary subject"
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
"""The time limit of a turn, which ends after its posts."""


def measure(bench: Bench) -> None:
    """Compare posts and queries about large subjects with those about ordinary ones."""
    large, rounds = bench.sizes.large, bench.sizes.rounds
    spares = rounds * (large.posts + len(QUESTIONS[MEMBERS]) * large.questions)
    with (
        made(bench, "large subjects", events(large, spares)) as made_,
        registry(made_.folder, bench.cores.server) as ours,
    ):
        for kind in KINDS:
            _measure(bench, ours, kind)


def _measure(bench: Bench, ours: Registry, kind: str) -> None:
    large = bench.sizes.large
    # In the order of the turns: each starts where the one before ended.
    firsts = {is_large: numbers(large, kind, is_large=is_large, turn=1) for is_large in (True, False)}

    def news(is_large: bool, size: int) -> Posts:
        first = next(firsts[is_large])
        _skip(firsts[is_large], size - 1)
        return Posts("/v1/events", NewEvents(kind, is_large, first, size, parties(large)), ours.headers)

    def post(is_large: bool) -> Sample:
        posts = news(is_large, large.posts)
        return bench.measured(ours.server, Load(ours.server.port, CLIENTS, MOST_SECONDS, posts, 0.0))

    def ask(is_large: bool, address: str) -> Sample:
        gets = Gets([address.format(subject(kind, is_large=is_large))])
        requests = AfterNewEvent(news(is_large, large.questions), gets)
        return without_cpu(
            bench.measured(ours.server, Load(ours.server.port, 1, MOST_SECONDS, requests, 0.0, counted=200))
        )

    bench.compare(POST.format(kind), CLIENTS, partial(post, False), {LARGE: partial(post, True)}, against=OTHERS)
    for what, address in QUESTIONS[kind].items():
        measure = ASK.format(kind, what)
        bench.compare(measure, 1, partial(ask, False, address), {LARGE: partial(ask, True, address)}, against=OTHERS)


def _skip(taken: Iterator[int], size: int) -> None:
    for _ in range(size):
        next(taken)
