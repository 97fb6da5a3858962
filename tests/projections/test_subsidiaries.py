"""Lists of a party with its subsidiaries: on each day, as known at each position, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Refused
from projections import timeline
from projections.catalogue import LIST_VIEWS
from projections.engine import subsidiaries
from projections.engine.query_types import BadQuestion
from projections.engine.reference_values import references_in
from tests.projections.test_list_orders import materialising_plans, paged, walking_plans
from tests.random_histories import DAYS, GENERATED, PARTIES, histories, recorded
from tests.recorded_views import (
    Document,
    RecordedViews,
    adopted,
    disowned,
    event,
    joined,
    merged,
    new_views,
    owned,
    parties,
    party,
    platform,
    retracted,
    step,
)

SLUGS = "abcdef"
QUESTIONS = ("2000-01-01", "2003-06-01", "2005-01-01", "2010-01-01", None)
LISTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "memberships": lambda item: [item["party"]["subject"]],
    "commitments": lambda item: [each["subject"] for each in (*item.get("by", ()), *item.get("with", ()))],
    "timeline": lambda item: [each["subject"] for each in references_in([[item["subject"], item["data"]]])],
}
"""The lists that take subsidiaries, and the subjects by which an item of each is found."""


FILTERED: tuple[tuple[str, dict[str, str]], ...] = (
    *((view, {}) for view in LISTS),
    ("memberships", {"in": "agreements/t"}),
    ("memberships", {"q": "one"}),
    ("commitments", {"agreement": "agreements/t"}),
    ("commitments", {"kind": "research"}),
    ("timeline", {"type": "party.registered"}),
    ("timeline", {"subject": "agreements/t"}),
    ("timeline", {"q": "one"}),
)
"""Lists with a filter beside the party."""


def moved(slug: str, parent: str | None, occurred: str) -> dict[str, Any]:
    """Return the reorganization of a party, which becomes part of another or of none."""
    return event(
        "party.reorganized", f"parties/{slug}", occurred, part_of=None if parent is None else f"parties/{parent}"
    )


def ties(slug: str, number: int) -> list[dict[str, Any]]:
    """Return facts by which items of the lists are found under a party."""
    other = SLUGS[(number * 2 + 1) % len(SLUGS)]
    made = {"commitment": f"c{number}", "kind": "research", "title": "x", "by": [f"parties/{slug}"]}
    return [
        joined(slug, f"p{number % 3}", f"200{number}-05-05"),
        step("commitment-made", "t", f"200{number}-06-06", **made, with_=[f"parties/{other}"]),
    ]


CONTAINERS = [*(platform(f"p{number}", "1999-01-01") for number in range(3)), adopted("t", "1999-01-01")]

days = st.integers(1, 9).map("200{}-01-01".format)
slugs = st.sampled_from(SLUGS)
ownerships = st.tuples(slugs, slugs, days, days).filter(lambda each: each[0] != each[1] and each[2] < each[3])


@st.composite
def relations(draw: st.DrawFn) -> list[Document]:
    """Draw parties, their relations, and what they take part in, as documents in some order."""
    moves = draw(st.lists(st.tuples(slugs, st.none() | slugs, days), max_size=8, unique_by=lambda each: each[::2]))
    owners = draw(st.lists(ownerships, max_size=8, unique_by=lambda each: each[:2]))
    facts: list[Document] = [moved(*each) for each in moves]
    for slug, owner, since, until in owners:
        facts += [owned(slug, owner, since)] + ([disowned(slug, owner, until)] if draw(st.booleans()) else [])
    for number, slug in enumerate(SLUGS):
        facts += ties(slug, number)
    return draw(st.permutations(facts))


def model(facts: list[Document], root: str, on: str | None) -> set[str]:
    """Return a party and its subsidiaries on a day, or on any day: the simple model.

    An owner that was removed, but never added, may have been one on every day before.
    """
    moves: dict[str, list[tuple[str, str | None]]] = {}
    ownerships: dict[tuple[str, str], dict[str, str]] = {}
    for fact in facts:
        subject, kind, data = fact["subject"], fact["type"], fact.get("data", {})
        if kind == "party.reorganized":
            moves.setdefault(subject, []).append((fact["occurred"], data["part_of"]))
        elif kind.startswith("party.owner-"):
            ownerships.setdefault((data["owner"], subject), {})[kind] = fact["occurred"]
    links: set[tuple[str | None, str]] = set()
    for child, dated in moves.items():
        parents = [parent for day, parent in sorted(dated) if on is None or day <= on]
        links |= {(parent, child) for parent in (parents if on is None else parents[-1:])}
    for link, ends in ownerships.items():
        if on is None or ends.get("party.owner-added", "") <= on < ends.get("party.owner-removed", "9"):
            links.add(link)
    found = {root}
    while more := {child for parent, child in links if parent in found} - found:
        found |= more
    return found


def accepted(found: RecordedViews, documents: list[Document]) -> list[Document]:
    """Record documents one by one; return those that were not refused."""
    recorded_ones = []
    for each in documents:
        try:
            found.batch(each)
        except Refused:
            continue
        recorded_ones.append(each)
    return recorded_ones


@settings(**GENERATED, max_examples=25)
@given(relations())
def test_lists_with_subsidiaries_select_what_a_simple_model_selects(documents: list[Document]):
    with new_views() as found:
        known = accepted(found, [*parties(*SLUGS), *CONTAINERS, *documents])
        assert len(known) == found.head
        for as_of in (found.head, found.head * 3 // 4):
            for on in QUESTIONS:
                for view, named in LISTS.items():
                    whole = found.items(view, on=on, as_of=as_of)
                    for slug in SLUGS[:3]:
                        wanted = model(known[:as_of], f"parties/{slug}", on)
                        items = found.items(
                            view, on=on, as_of=as_of, party=f"parties/{slug}", include="subsidiaries", sort=None
                        )
                        assert items == [item for item in whole if wanted.intersection(named(item))], (view, on, slug)


def related(found: RecordedViews, subject: str, on: str | None) -> set[str]:
    """Return a party and its subsidiaries on a day, as the list of parties has them."""
    reached, frontier = {subject}, [subject]
    while frontier:
        following: list[str] = []
        for each in frontier:
            for name in ("part_of", "owner"):
                following += found.subjects("parties", on=on, **{name: each})
        frontier = [each for each in dict.fromkeys(following) if each not in reached]
        reached.update(frontier)
    return reached


@contextmanager
def many_parties() -> Iterator[None]:
    """Query the timeline as of many parties with many facts: in several statements, with their facts collected."""
    with common_facts(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "_MOST_SELECTS", 3)
        patch.setattr(timeline, "_MANY", 0)
        yield


@contextmanager
def common_facts() -> Iterator[None]:
    """Query the timeline as of few parties with many facts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "_FEW", 0)
        yield


def every_plan(found: RecordedViews, view: str, on: str | None, filters: dict[str, str]) -> Iterator[list[Any]]:
    """Yield a list in each of its orders, two items at a time, under each plan."""
    for sort in (turn + name for name in LIST_VIEWS[view].sorts for turn in ("", "-")):
        whole = found.items(view, on=on, sort=sort, **filters)
        yield whole
        assert paged(found, view, sort, on, filters) == whole, (view, sort, on)
        for otherwise in (walking_plans, materialising_plans, common_facts, many_parties):
            with otherwise():
                assert paged(found, view, sort, on, filters) == whole, (otherwise, view, sort, on)


@settings(**GENERATED, max_examples=12)
@given(histories(most=24))
def test_subsidiaries_on_a_day_are_those_that_the_list_of_parties_leads_to(documents: list[dict[str, Any]]):
    with new_views() as found:
        recorded(found, documents)
        survivors = found.subjects("parties", on=None)
        for on in DAYS[1:4]:
            for subject in [each for each in PARTIES if each in survivors]:
                wanted = related(found, subject, on)
                for view, filters in FILTERED:
                    everything = found.items(view, on=on, **filters)
                    own = sorted(repr(item) for item in everything if wanted.intersection(LISTS[view](item)))
                    for items in every_plan(found, view, on, {"party": subject, "include": "subsidiaries", **filters}):
                        assert sorted(map(repr, items)) == own, (view, filters, on, subject)


def test_parties_that_own_each_other_are_each_selected_once(views: RecordedViews):
    views.record(*parties("a", "b", "c"), platform("p"), *(joined(slug, "p") for slug in "abc"))
    views.record(owned("a", "b", "2010-01-01"), owned("b", "a", "2010-01-01"), owned("c", "b", "2015-01-01"))
    for on, members in (("2009-12-31", "a"), ("2014-12-31", "ab"), ("2015-01-01", "abc"), (None, "abc")):
        items = views.items("memberships", on=on, party="parties/a", include="subsidiaries")
        assert [item["party"]["subject"] for item in items] == [f"parties/{slug}" for slug in members]


def test_subsidiaries_on_any_day_are_those_of_some_day(views: RecordedViews):
    views.record(*parties("a", "b", "c"), platform("p"), *(joined(slug, "p") for slug in "abc"))
    views.record(moved("b", "a", "2010-01-01"), moved("b", None, "2012-01-01"))
    views.record(owned("c", "b", "2013-01-01"), disowned("c", "b", "2014-01-01"))
    for on, count in (("2011-01-01", 2), ("2013-06-01", 1), (None, 3)):
        assert len(views.items("memberships", on=on, party="parties/a", include="subsidiaries")) == count


def test_possible_subsidiary_is_selected(views: RecordedViews):
    views.record(*parties("a", "b"), platform("p"), joined("b", "p"), owned("b", "a", "2010"))
    for on, count in (("2009-12-31", 0), ("2010-06-01", 1), ("2011-01-01", 1)):
        assert len(views.items("memberships", on=on, party="parties/a", include="subsidiaries")) == count


def test_subsidiaries_follow_mergers_and_their_retraction(views: RecordedViews):
    views.record(*parties("a", "a2", "b", "b2", "c"), platform("p"), joined("c", "p"))
    views.record(owned("b", "a2"), moved("c", "b2", "2010-01-01"))
    selected = {"party": "parties/a", "include": "subsidiaries"}
    assert views.items("memberships", **selected) == []
    views.record(merged("a2", "a"), merged("b2", "b"))
    united = views.head
    assert len(views.items("memberships", **selected)) == 1
    views.record(retracted("parties/b2", united))
    assert views.items("memberships", **selected) == []
    assert len(views.items("memberships", as_of=united, **selected)) == 1
    assert views.items("memberships", as_of=united - 1, **selected) == []


def test_party_without_events_has_no_subsidiaries(views: RecordedViews):
    views.record(*parties("a"), platform("p"), joined("a", "p"))
    for view in LISTS:
        assert views.items(view, party="parties/x", include="subsidiaries") == []


def test_more_parties_than_one_query_selects_are_refused(views: RecordedViews, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subsidiaries, "MOST", 4)
    views.record(*parties("a"), *(party(slug, part_of="parties/a") for slug in "bcd"), *parties("e"))
    views.record(owned("e", "d", "2020-01-01"))
    for view in LISTS:
        views.items(view, party="parties/a", include="subsidiaries", on="2019-12-31")
        views.items(view, party="parties/d", include="subsidiaries", on="2020-01-01")
        with pytest.raises(BadQuestion, match="include would select more than 4 parties"):
            views.items(view, party="parties/a", include="subsidiaries", on="2020-01-01")


def test_include_without_the_party_is_refused(views: RecordedViews):
    views.record(*parties("a"))
    for view in LISTS:
        with pytest.raises(BadQuestion, match="include goes with `party`"):
            views.items(view, include="subsidiaries")
        with pytest.raises(BadQuestion, match="include is one of subsidiaries"):
            views.items(view, party="parties/a", include="parents")
