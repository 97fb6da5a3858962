"""Queries about large subjects: a platform with many members, a party with many memberships, an agreement with many
events. They cost about as much as with a quarter of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

import pytest

from projections.engine.query_types import TimeSlice
from tests.query_cost import steps
from tests.recorded_views import RecordedViews, joined, left, new_views, party, platform, signed, step

SMALL, GREAT = 220, 880
DAY = "2025-06-01"


def grown(found: RecordedViews, size: int) -> None:
    """Return a platform, a party and an agreement with this number of members, memberships and events."""
    found.batch(platform("p", "2009-01-01"), party("hub"), party("one"), signed("t", "2009-01-01", "hub", "one"))
    for number in range(size):
        day = (date(2010, 1, 1) + timedelta(days=number * 4000 // size)).isoformat()
        made = {"commitment": f"c-{number}", "kind": "facility", "title": f"Site {number}", "by": ["parties/hub"]}
        found.batch(
            party(f"m-{number:03}"),
            joined(f"m-{number:03}", "p", day),
            signed(f"a-{number:03}", day, "hub", f"m-{number:03}"),
            step("commitment-made", "t", day, **made),
        )
    found.record(left("m-001", "p", "2024-01-01"))


@pytest.fixture(scope="module")
def small_and_great() -> Iterator[tuple[RecordedViews, RecordedViews]]:
    with new_views() as small, new_views() as great:
        grown(small, SMALL)
        grown(great, GREAT)
        yield small, great


def listed(view: str, sort: str | None = None, **filters: str) -> Callable[[RecordedViews, TimeSlice], object]:
    query = {name.rstrip("_"): [value] for name, value in filters.items()}
    return lambda found, question: found.reader.page(view, question, query, sort=sort, limit=5, after=None)


QUERIES: dict[str, Callable[[RecordedViews, TimeSlice], object]] = {
    "platform": lambda found, question: found.reader.state("platforms/p", question),
    "party": lambda found, question: found.reader.state("parties/hub", question),
    "agreement": lambda found, question: found.reader.state("agreements/t", question),
    "members": lambda found, question: found.reader.state_list("platforms/p", "members", question, limit=5, after=None),
    "history": lambda found, question: found.reader.history("parties/hub", question, limit=5, after=None),
    "graph": lambda found, question: found.reader.graph("platforms/p", 1, question, 10),
    "graph of a party": lambda found, question: found.reader.graph("parties/hub", 2, question, 10),
    "graph of all": lambda found, question: found.reader.graph(None, 1, question, 10),
    "agreements of the party": listed("agreements", party="parties/hub"),
    "agreements of two": listed("agreements", party="parties/hub", signed_from="2010-01-01"),
    "memberships of the party": listed("memberships", party="parties/hub"),
    "memberships in the platform": listed("memberships", in_="platforms/p"),
    "memberships in the platform by date": listed("memberships", "from", in_="platforms/p"),
    "commitments of the agreement": listed("commitments", agreement="agreements/t"),
    "platforms of a member": listed("platforms", member="parties/m-000"),
}


@pytest.mark.parametrize("subject", ["platforms/p", "parties/hub", "agreements/t"])
def test_first_page_of_a_long_history_costs_as_much_as_that_of_a_short_one(small_and_great, subject):
    taken = [
        steps(found, partial(found.reader.history, subject, found.question(DAY), limit=20, after=None))
        for found in small_and_great
    ]
    assert taken[1] < 1.2 * taken[0] + 300


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("then", ["now", "earlier", "whenever"])
def test_queries_take_as_many_steps_at_four_times_the_size(small_and_great, query, then):
    taken = []
    for found in small_and_great:
        as_of = found.head // 2 if then == "earlier" else found.head
        question = found.question(None if then == "whenever" else DAY, as_of)
        taken.append(steps(found, partial(QUERIES[query], found, question)))
    assert taken[1] < 1.4 * taken[0] + 300
