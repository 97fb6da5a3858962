"""Disputes: the current ones as of every position, how many are shown, and their cost where there are many."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from domain.corrections import Corrections, Event
from domain.errors import Refused
from projections.engine.query_types import Gone
from tests.query_cost import steps
from tests.recorded_views import (
    TODAY,
    RecordedViews,
    corrected,
    disputed,
    document,
    event,
    joined,
    new_views,
    parties,
    party,
    platform,
    retracted,
)

D = document("d")


def naive(events: list[Event], subject: str) -> list[dict[str, Any]]:
    """Return the current disputes of a subject from reading all events."""
    by_position = {each.position: each for each in events}
    about: dict[int, list[Event]] = {}
    for each in events:
        if each.about is not None:
            about.setdefault(each.about, []).append(each)
    standing = Corrections(about)

    def is_current(each: Event) -> bool:
        if standing.retracted_by(each) is not None:
            return False
        return each.about is None or each.type == "event.retracted" or is_current(by_position[each.about])

    return [
        {**claim, "position": each.position, "event": each.about}
        for each in events
        if each.type == "event.disputed" and each.subject == subject and is_current(each)
        for claim in standing.effective_event(each).data["claims"]
    ]


def something(chance: random.Random, views: RecordedViews) -> None:
    """Draw one more event about an event, which may be refused."""
    spoken = chance.choice(views.events[1:])
    match chance.randint(0, 5):
        case 0 | 1 if spoken.type == "event.disputed":
            claims = [{"pointer": "/data/name", "value": f"n{views.head}"}, {"pointer": "/occurred", "value": "2019"}]
            data = {**spoken.plain, "claims": chance.sample(claims, chance.randint(1, 2))}
            views.record(corrected(spoken.subject, spoken.position, data=data))
        case 0 | 1 | 2:
            field = "name" if spoken.type.startswith("party") else "note"
            more = {"/occurred": "2018"} if chance.random() < 0.3 else {}
            views.record(disputed(spoken.subject, spoken.position, **{f"/data/{field}": f"v{views.head}"}, **more))
        case _:
            views.record(retracted(spoken.subject, spoken.position))


@pytest.mark.parametrize("seed", range(12))
def test_disputes_as_of_every_position_are_the_current_ones(seed):
    chance = random.Random(seed)
    with new_views() as views:
        views.record(D, party("a", "2020"), event("party.name-added", "parties/a", "2021", name="b"))
        for _ in range(50):
            try:
                something(chance, views)
            except Refused:
                continue
        assert views.head > 20
        for as_of in range(3, views.head + 1):
            try:
                state = views.state("parties/a", on=None, as_of=as_of)
            except Gone:
                continue
            expected = naive(views.events[:as_of], "parties/a")
            assert state.get("disputed", []) == expected[:100]
        with new_views() as replayed:
            for each in views.events:
                replayed.apply(each)
            assert replayed.state_or_error("parties/a", on=None) == views.state_or_error("parties/a", on=None)


def test_retracted_disputes_hide_no_current_one(views: RecordedViews):
    views.record(D, party("a"))
    for number in range(105):
        views.record(disputed("parties/a", 2, **{"/data/name": f"n{number}"}))
        views.record(retracted("parties/a", views.head))
    views.record(disputed("parties/a", 2, **{"/data/name": "standing"}))
    assert [claim["value"] for claim in views.state("parties/a")["disputed"]] == ["standing"]


def test_disputes_of_a_retracted_event_hide_no_other(views: RecordedViews):
    views.record(D, party("a"), event("party.name-added", "parties/a", name="b"))
    views.batch(*(disputed("parties/a", 3, **{"/data/name": f"n{number}"}) for number in range(105)))
    views.record(disputed("parties/a", 2, **{"/data/name": "standing"}), retracted("parties/a", 3))
    assert [claim["value"] for claim in views.state("parties/a")["disputed"]] == ["standing"]
    views.record(retracted("parties/a", views.head))
    assert len(views.state("parties/a")["disputed"]) == 100


def test_state_shows_the_first_hundred_disputes_and_an_item_ten(views: RecordedViews):
    views.record(D, *parties("a"), platform("p", "2020"), joined("a", "p", "2021"))
    for number in range(120):
        views.record(disputed("platforms/p", 4, **{"/data/category": f"n{number}"}))
    state = views.state("platforms/p")
    assert [claim["value"] for claim in state["disputed"]] == [f"n{number}" for number in range(100)]
    assert state["more"]["disputed"] == f"/v1/platforms/p/disputed?as_of={views.head}&on={TODAY}"
    (member,), (item,) = state["members"], views.items("memberships", in_="platforms/p")
    for shown in (member, item):
        assert [claim["value"] for claim in shown["disputed"]] == [f"n{number}" for number in range(10)]
        assert shown["more"]["disputed"].endswith("&event=4")
    (listed,) = views.items("platforms")
    assert len(listed["disputed"]) == 10


def test_list_of_all_disputes_is_paged_in_order(views: RecordedViews):
    views.record(D, party("a"), event("party.name-added", "parties/a", name="b"))
    for number in range(30):
        views.record(disputed("parties/a", 2 + number % 2, **{"/data/name": f"n{number}", "/data/note": "x"}))
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = views.reader.state_list("parties/a", "disputed", views.question(), limit=7, after=after)
        found += page.items
        if (after := page.after) is None:
            break
    assert found == naive(views.events, "parties/a")
    some = views.reader.state_list("parties/a", "disputed", views.question(), limit=100, after=None, events=[3]).items
    assert some == [claim for claim in found if claim["event"] == 3]


SMALL, GREAT = 60, 480


def posted(found: RecordedViews, number: int, pointer: str) -> None:
    value = f"{1900 + number % 100}-01-{1 + number % 28:02}" if pointer == "/occurred" else f"n{number}"
    found.record(disputed("parties/a", 2, **{pointer: value}))


@pytest.fixture(scope="module", params=["/data/name", "/occurred"])
def small_and_great(request) -> Iterator[tuple[str, RecordedViews, RecordedViews]]:
    with new_views() as small, new_views() as great:
        for found, size in ((small, SMALL), (great, GREAT)):
            found.record(D, party("a", "2020"))
            for number in range(size):
                posted(found, number, request.param)
        yield request.param, small, great


def test_state_with_many_disputes_takes_no_more_steps(small_and_great):
    _, small, great = small_and_great
    taken = [
        steps(found, partial(found.reader.state_list, "parties/a", "disputed", found.question(), limit=50, after=None))
        for found in (small, great)
    ]
    assert taken[1] < 1.4 * taken[0] + 300
    shown = [steps(found, partial(found.state, "parties/a")) for found in (small, great)]
    assert shown[1] < 3 * shown[0] + 300  # a hundred are shown where there are so many


def test_one_more_dispute_costs_no_more_where_there_are_many(small_and_great):
    pointer, small, great = small_and_great
    taken = []
    for found in (small, great):
        calls = 0

        def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            posted(found, 7, pointer)
        finally:
            sys.setprofile(None)
        taken.append(calls)
    assert taken[1] < 1.5 * taken[0] + 200
