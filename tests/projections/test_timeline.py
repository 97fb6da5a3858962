"""The timeline in every order, by every filter and page by page; its cost in a longer log."""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from projections import timeline
from projections.engine import text_filter
from tests.query_cost import steps
from tests.random_histories import GENERATED, histories, recorded
from tests.recorded_views import (
    RecordedViews,
    joined,
    lab,
    new_views,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)

SORTS = ("occurred", "-occurred", "position", "-position")
Items = list[dict[str, Any]]


def paged(found: RecordedViews, sort: str, as_of: int, **filters: str) -> Items:
    """Return the whole timeline, three items at a time."""
    items: Items = []
    after = None
    while True:
        page, after = found.page("timeline", on=None, as_of=as_of, sort=sort, limit=3, after=after, **filters)
        items += page
        if after is None:
            return items


def positions(items: Items) -> list[int]:
    return [item["position"] for item in items]


def names(item: dict[str, Any], slug: str) -> bool:
    """Return whether an item is about a party or names it."""
    return f'"subject": "parties/{slug}"' in json.dumps([item["subject"], item["data"]])


@settings(**GENERATED, max_examples=25)
@given(histories(most=24, undone=False))
def test_pages_filters_and_orders_show_the_same_facts(documents: list[dict[str, Any]]):
    with new_views() as found:
        recorded(found, documents)
        for as_of in (found.head, found.head * 2 // 3):
            everything = {sort: found.items("timeline", on=None, as_of=as_of, sort=sort) for sort in SORTS}
            assert positions(everything["position"]) == sorted(positions(everything["occurred"]))
            assert positions(everything["-position"]) == positions(everything["position"])[::-1]
            for sort, whole in everything.items():
                assert paged(found, sort, as_of) == whole
                for kind in {item["type"] for item in whole}:
                    assert paged(found, sort, as_of, type=kind) == [item for item in whole if item["type"] == kind]
                for slug in ("a", "b"):
                    own = [item for item in whole if names(item, slug)]
                    assert positions(paged(found, sort, as_of, party=f"parties/{slug}")) == positions(own)
                about = [item for item in whole if item["subject"]["subject"] == "agreements/t"]
                assert paged(found, sort, as_of, subject="agreements/t") == about
                of_both = [item for item in about if names(item, "a")]
                assert paged(found, sort, as_of, subject="agreements/t", party="parties/a") == of_both


@settings(**GENERATED, max_examples=15)
@given(histories(most=24))
def test_filter_by_common_words_equals_filter_by_rare_ones(documents: list[dict[str, Any]]):
    with new_views() as found:
        recorded(found, documents)
        for sort in SORTS:
            for words in ("one", "two", "三", "one two", "nothing"):
                rare = paged(found, sort, found.head, q=words)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(text_filter, "FEW", 0)
                    assert paged(found, sort, found.head, q=words) == rare


@pytest.fixture
def dated(views: RecordedViews) -> RecordedViews:
    """Record facts of every precision; the tests use their days as names."""
    views.record(*parties("a", "b", "c"))
    views.record(
        signed("day", "2016-05-05", "a", "b"),
        signed("month", "2016-05", "a", "b"),
        signed("year", "2016", "a", "b"),
        signed("years", "2011/2019", "a", "b"),
        signed("since", "2012/..", "a", "b"),
        signed("unknown", None, "a", "b"),
        signed("before", "2014-01-01", "a", "b"),
        signed("after", "2018-01-01", "a", "b"),
    )
    return views


@pytest.mark.parametrize("filters", [{}, {"type": "agreement.signed"}, {"party": "parties/a"}])
@pytest.mark.parametrize("sort", SORTS)
def test_imprecise_events_that_may_lie_between_two_days_are_found(dated, filters, sort):
    items = dated.items("timeline", on=None, sort=sort, from_="2016-05-03", to="2016-05-08", **filters)
    found = {item["subject"]["subject"].partition("/")[2]: item["certainty"] for item in items}
    expected = {"day": "certain", **dict.fromkeys(("month", "year", "years", "since", "unknown"), "possible")}
    assert {slug: certainty for slug, certainty in found.items() if slug not in "abc"} == expected


def test_latest_items_come_first_and_undated_ones_last(dated):
    order = [
        item["subject"]["subject"].partition("/")[2]
        for item in dated.items("timeline", on=None, sort="-occurred", type="agreement.signed")
    ]
    assert order == ["after", "day", "month", "year", "before", "since", "years", "unknown"]


def test_merged_parties_have_one_timeline_without_repeats(views):
    views.record(*parties("a", "b", "c"), signed("t", "2020-01-01", "a", "b", "c"), signed("s", "2021-01-01", "a"))
    before = views.head
    merged = views.record({"type": "party.merged", "subject": "parties/b", "data": {"into": "parties/a"}})
    for slug in ("a", "b"):
        found = views.items("timeline", on=None, party=f"parties/{slug}")
        assert sorted(positions(found)) == [1, 2, 4, 5, 6]
        assert positions(views.items("timeline", on=None, party=f"parties/{slug}", type="agreement.signed")) == [4, 5]
    assert positions(views.items("timeline", on=None, as_of=before, party="parties/b")) == [4, 2]
    views.record(retracted("parties/b", merged))
    assert positions(views.items("timeline", on=None, party="parties/b")) == [4, 2]


@pytest.mark.parametrize("filters", [{}, {"q": "a"}])
def test_type_without_events_has_an_empty_timeline(views, monkeypatch, filters):
    monkeypatch.setattr(text_filter, "FEW", 0)
    views.record(*parties("a"))
    for sort in SORTS:
        assert views.items("timeline", on=None, sort=sort, type="lab.closed", **filters) == []


def log(found: RecordedViews, size: int) -> None:
    """Record a party in many events, another in few, and one rare type."""
    found.record(*parties("a", "b", "c"), platform("p", "2009-01-01"), lab("rare", "2019-01-01", "c"))
    for number in range(size):
        day = (date(2010, 1, 1) + timedelta(days=number * 3650 // size)).isoformat()
        found.record(signed(f"t-{number}", day, "a", "b"))
        found.record(party(f"m-{number}", "2009"), joined(f"m-{number}", "p", day))
    found.record(step("ratified", "t-1", "2020-01-01", "a"))


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"party": "parties/a"},
        {"party": "parties/c"},
        {"subject": "platforms/p"},
        {"type": "lab.founded"},
        {"type": "agreement.signed", "from": "2015-03-01", "to": "2018-05-01"},
        {"type": "platform.member-joined", "subject": "platforms/p"},
    ],
    ids=str,
)
@pytest.mark.parametrize("sort", ["occurred", "-occurred"])
def test_page_of_a_log_four_times_as_long_takes_as_many_steps(long_and_longer, filters, sort):
    filters = {name: [value] for name, value in filters.items()}
    short, long = (
        steps(
            found,
            partial(found.reader.page, "timeline", found.question(None), filters, sort=sort, limit=10, after=None),
        )
        for found in long_and_longer
    )
    assert long < 1.5 * short + 200


@pytest.fixture(scope="module")
def long_and_longer() -> Any:
    with pytest.MonkeyPatch.context() as patch, new_views() as one, new_views() as other:
        patch.setattr(timeline, "_FEW", 20)
        log(one, 60)
        log(other, 240)
        yield one, other
