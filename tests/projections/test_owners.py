"""Owners of parties: with their shares in states, filters and the graph, on each day and in any order."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from domain.errors import Contradiction
from tests.recorded_views import (
    RecordedViews,
    corrected,
    disowned,
    dissolved,
    event,
    joined,
    merged,
    new_views,
    owned,
    parties,
    party,
    platform,
    retracted,
    status_of,
)

VENTURE = (
    owned("v", "a", "2010-01-01", share="51"),
    owned("v", "b", "2010-01-01", share="49"),
    disowned("v", "b", "2015-06-01"),
    owned("v", "b", "2015-06-01", share="24.5"),
    owned("v", "c", "2015-06-01", share="24.5"),
    disowned("v", "a", "2020-01-01"),
)


def owners(found: RecordedViews, slug: str, *, on: str | None, as_of: int | None = None) -> dict[str, Any]:
    """Return the shares of a party's owners."""
    listed = found.state(f"parties/{slug}", on=on, as_of=as_of)["owners"]
    return {item["party"]["subject"].removeprefix("parties/"): item.get("share") for item in listed}


def owns(found: RecordedViews, slug: str, *, on: str | None) -> dict[str, Any]:
    """Return the shares that a party owns."""
    listed = found.state(f"parties/{slug}", on=on)["owns"]
    return {item["party"]["subject"].removeprefix("parties/"): item.get("share") for item in listed}


@pytest.mark.parametrize("seed", range(4))
def test_owners_and_shares_change_over_the_years_in_any_order(seed):
    facts = list(VENTURE)
    Random(seed).shuffle(facts)
    with new_views() as found:
        found.record(*parties("v", "a", "b", "c"))
        while facts:  # a second adding of an owner waits for the removal between
            for fact in facts:
                try:
                    found.record(fact)
                except Contradiction:
                    continue
                facts.remove(fact)
                break
        assert owners(found, "v", on="2009-12-31") == {}
        assert owners(found, "v", on="2010-01-01") == {"a": "51", "b": "49"}
        assert owners(found, "v", on="2015-06-01") == {"a": "51", "b": "24.5", "c": "24.5"}
        assert owners(found, "v", on="2020-01-01") == {"b": "24.5", "c": "24.5"}
        assert owns(found, "b", on="2014-01-01") == {"v": "49"}
        assert owns(found, "b", on="2016-01-01") == {"v": "24.5"}
        assert owns(found, "a", on="2020-01-01") == {}
        (first,) = (each for each in found.state("parties/v", on="2014-01-01")["owners"] if each.get("share") == "49")
        assert (first["from"], first["to"], first["status"], first["certainty"]) == (
            "2010-01-01",
            "2015-06-01",
            "owner",
            "certain",
        )
        types = [found.events[position - 1].type for position in first["events"]]
        assert sorted(types) == ["party.owner-added", "party.owner-removed"]


def test_owner_is_found_by_filter_and_graph(views: RecordedViews):
    views.record(*parties("v", "w", "a", "b"), *VENTURE[:2], owned("w", "v", "2012-01-01", share="100"))
    assert views.subjects("parties", owner="parties/a") == ["parties/v"]
    assert views.subjects("parties", owner="parties/a", on="2009-12-31") == []
    assert views.subjects("parties", owner="parties/v", sort="-name") == ["parties/w"]
    edges = views.reader.graph("parties/v", 1, views.question(), 100)["edges"]
    assert [(edge["source"], edge["target"], edge["type"], edge["share"], edge["events"]) for edge in edges] == [
        ("parties/a", "parties/v", "owner", "51", [5]),
        ("parties/b", "parties/v", "owner", "49", [6]),
        ("parties/v", "parties/w", "owner", "100", [7]),
    ]
    nodes = views.reader.graph("parties/a", 2, views.question(), 100)["nodes"]
    assert [node["subject"] for node in nodes] == [f"parties/{slug}" for slug in "abvw"]
    assert views.reader.graph("parties/v", 1, views.question("2009-12-31"), 100)["edges"] == []


def test_owners_are_no_memberships(views: RecordedViews):
    views.record(*parties("v", "a", "b"), *VENTURE[:2], platform("p"), joined("a", "p"))
    for on in ("2012-01-01", None):
        for sort in ("in", "-in", "from"):
            assert [membership["in"]["subject"] for membership in views.items("memberships", on=on, sort=sort)] == [
                "platforms/p"
            ]
        assert [membership["in"]["subject"] for membership in views.items("memberships", on=on, party="parties/a")] == [
            "platforms/p"
        ]
        assert views.items("memberships", on=on, in_="parties/v") == []
        counted = views.reader.statistics(views.question(on))
        assert counted["memberships"]["total"] == 1
        assert [each["party"]["subject"] for each in counted["party"]] == ["parties/a"]


def test_owner_of_unknown_beginning_is_presumed_before_its_removal(views: RecordedViews):
    views.record(party("v", "2000-01-01"), *parties("a"), disowned("v", "a", "2010-01-01"))
    (owner,) = views.state("parties/v", on="2005-01-01")["owners"]
    assert (status_of(owner), owner["from"], owner["to"]) == (("owner", ("owner",), "possible"), None, "2010-01-01")
    (owner,) = views.state("parties/v", on=None)["owners"]
    assert owner["status"] == "removed"


def test_imprecise_dates_make_owners_possible(views: RecordedViews):
    views.record(*parties("v", "a"), owned("v", "a", "2010"), disowned("v", "a", "2015"))
    (owner,) = views.state("parties/v", on="2010-06-01")["owners"]
    assert owner["certainty"] == "possible"
    (owner,) = views.state("parties/v", on="2012-01-01")["owners"]
    assert status_of(owner) == ("owner", ("owner",), "certain")
    (owner,) = views.state("parties/a", on="2015-06-01")["owns"]
    assert status_of(owner) == ("removed", ("owner", "removed"), "possible")


def test_owner_is_added_again_only_after_a_removal(views: RecordedViews):
    views.record(*parties("v", "a"), VENTURE[0])
    assert "a second time" in str(views.refused(owned("v", "a", "2012-01-01", share="60")))
    views.record(disowned("v", "a", "2012-01-01"), owned("v", "a", "2012-01-01", share="60"))
    assert owners(views, "v", on="2011-12-31") == {"a": "51"}
    assert owners(views, "v", on="2012-01-01") == {"a": "60"}
    assert "a second time" in str(views.refused(retracted("parties/v", 4)))


def test_party_owns_itself_only_through_others(views: RecordedViews):
    views.record(*parties("a", "b", "c"))
    assert "own itself" in str(views.refused(owned("a", "a")))
    views.record(owned("a", "b", "2010-01-01"), owned("b", "a", "2010-01-01"))
    assert "own itself" in str(views.refused(merged("a", "b")))
    assert "own itself" in str(views.refused(corrected("parties/a", 4, data={"owner": "parties/a"})))
    views.record(merged("c", "b"))
    assert "own itself" in str(views.refused(owned("c", "b", "2015-01-01")))
    assert owners(views, "a", on="2012-01-01") == {"b": None}


def test_ownership_ends_with_either_party(views: RecordedViews):
    views.record(*parties("v", "w", "x", "a"), owned("v", "a", "2010-01-01"), owned("w", "a", "2010-01-01"))
    views.record(dissolved("v", "2015-01-01"))
    assert owns(views, "a", on="2014-12-31").keys() == {"v", "w"}
    assert owns(views, "a", on="2015-01-01").keys() == {"w"}
    views.record(dissolved("a", "2020-01-01"))
    assert owners(views, "w", on="2019-12-31").keys() == {"a"}
    assert owners(views, "w", on="2020-01-01") == {}
    (owner,) = views.state("parties/w", on=None)["owners"]
    assert (owner["status"], owner["to"]) == ("ended", "2020-01-01")
    (owner,) = views.state("parties/v", on=None)["owners"]
    assert (owner["status"], owner["to"]) == ("ended", "2015-01-01")
    assert "dissolution" in str(views.refused(owned("x", "a", "2021-01-01")))
    assert "falls after" in str(views.refused(owned("v", "w", "2021-01-01")))


def test_owner_that_did_not_exist_yet_is_refused(views: RecordedViews):
    views.record(*parties("v"), party("a", "2010-01-01"))
    assert "before" in str(views.refused(owned("v", "a", "2009-12-31")))
    views.record(owned("v", "a", "2010"))
    assert owners(views, "v", on="2010-01-01") == {"a": None}


def test_merged_parties_unite_owners(views: RecordedViews):
    views.record(*parties("v", "v2", "a", "a2", "b"))
    views.record(VENTURE[0], owned("v2", "a2", "2010-01-01", share="51"), owned("v2", "b", "2011-01-01"))
    views.record(merged("v2", "v"), merged("a2", "a"))
    (first, second) = views.state("parties/v", on="2012-01-01")["owners"]
    assert (first["party"]["subject"], first["share"], first["events"]) == ("parties/a", "51", [6, 7])
    assert second["party"]["subject"] == "parties/b"
    assert owns(views, "a", on="2012-01-01") == {"v": "51"}
    assert views.subjects("parties", owner="parties/a2") == ["parties/v"]
    assert "a second time" in str(views.refused(owned("v", "a", "2012-01-01")))
    views.record(disowned("v", "a2", "2015-01-01"))
    assert owners(views, "v", on="2015-01-01") == {"b": None}
    assert owners(views, "v2", on="2012-01-01", as_of=8) == {"a2": "51", "b": None}
    views.record(retracted("parties/v2", 9))
    assert owners(views, "v", on="2012-01-01") == {"a": "51"}
    assert owners(views, "v", on="2015-01-01") == {}
    assert owners(views, "v2", on="2015-01-01") == {"a": "51", "b": None}
    views.record(retracted("parties/a2", 10))
    assert owners(views, "v2", on="2015-01-01") == {"a2": "51", "b": None}


def test_split_that_an_owner_would_contradict_is_refused(views: RecordedViews):
    views.record(*parties("v", "v2", "a"), merged("v2", "v"), owned("v2", "a", "2010-01-01"))
    views.record(disowned("v", "a", "2012-01-01"), owned("v2", "a", "2012-01-01"))
    assert "a second time" in str(views.refused(retracted("parties/v2", 4)))


def test_history_of_an_owner_lists_what_changes_its_possessions(views: RecordedViews):
    views.record(*parties("v", "a"), VENTURE[0], dissolved("v", "2015-01-01"))
    history = views.history("parties/a", on="2016-01-01")
    assert [(item["position"], item["type"]) for item in history] == [
        (2, "party.registered"),
        (3, "party.owner-added"),
        (4, "party.dissolved"),
    ]
    assert [[change["path"] for change in item["patch"]] for item in history[1:]] == [["/owns/0"], ["/owns/0"]]
    assert [item["position"] for item in views.history("parties/v", on="2012-01-01")] == [1, 3, 4]


def test_many_owners_are_cut_and_listed_on_pages(views: RecordedViews):
    slugs = [f"p{number:03}" for number in range(120)]
    views.record(*parties("v", "a", *slugs))
    views.batch(*(owned("v", slug, "2010-01-01") for slug in slugs))
    views.batch(*(owned(slug, "a", "2010-01-01", share="1") for slug in slugs))
    state = views.state("parties/v")
    assert len(state["owners"]) == 100
    assert state["more"]["owners"].startswith("/v1/parties/v/owners?")
    found = views.state("parties/a")
    assert len(found["owns"]) == 100
    assert found["more"]["owns"].startswith("/v1/parties/a/owned?")
    for subject, name in (("parties/v", "owners"), ("parties/a", "owns")):
        page = views.reader.state_list(subject, name, views.question(), limit=70, after=None)
        rest = views.reader.state_list(subject, name, views.question(), limit=70, after=page.after)
        listed = [item["party"]["subject"] for item in (*page.items, *rest.items)]
        assert listed == [f"parties/{slug}" for slug in slugs]
        assert rest.after is None


def test_owner_of_merged_parties_that_contradict_is_folded_again_once_they_agree(views: RecordedViews):
    views.record(*parties("v", "v2", "a"), owned("v", "a", "2021-01-01"), dissolved("v2", "2020-01-01"))
    views.record(merged("v2", "v"))
    assert owners(views, "v", on="2022-01-01") == {}
    views.record(event("party.re-established", "parties/v2", "2020-06-01"))
    assert owners(views, "v", on="2022-01-01") == {"a": None}
