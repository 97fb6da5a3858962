"""Memberships of real treaties, recorded in any order: later accessions, entries into force of one party, returns,
dates before the signature."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from domain.errors import Contradiction
from tests.recorded_views import (
    RecordedViews,
    adopted,
    changed,
    event,
    joined,
    left,
    new_views,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)

Expected = tuple[str, str, list[str]]
"""A party, a day, and the statuses of its memberships that hold on it."""

TRADE = (
    [*parties("a", "b", "c")],
    [
        signed("t", "1951-09-24", "a", "b"),
        step("entered-into-force", "t", "1951-09-24"),
        step("acceded", "t", "2001-03-01", "c"),
        step("entered-into-force", "t", "2001-06-01", "c"),
    ],
    [
        ("a", "1951-09-24", ["in-force"]),
        ("b", "1990-01-01", ["in-force"]),
        ("a", "2020-01-01", ["in-force"]),
        ("c", "2001-03-01", ["bound"]),
        ("c", "2001-06-01", ["in-force"]),
    ],
)
OWN_DAY = (
    [*parties("a", "b", "c")],
    [
        signed("t", "2018-03-08", "a", "b"),
        step("ratified", "t", "2018-06-28", "a"),
        step("ratified", "t", "2018-11-15", "b"),
        step("entered-into-force", "t", "2018-12-30"),
        step("entered-into-force", "t", "2019-01-14", "b"),
    ],
    [
        ("a", "2018-12-30", ["in-force"]),
        ("b", "2018-12-30", ["bound"]),
        ("b", "2019-01-13", ["bound"]),
        ("b", "2019-01-14", ["in-force"]),
    ],
)
UNESCO = (
    [*parties("us")],
    [
        adopted("t", "1945-11-16"),
        step("acceded", "t", "1946-09-30", "us"),
        step("entered-into-force", "t", "1946-11-04"),
        step("withdrawn", "t", "1983-12-28", "us", effective="1984-12-31"),
        step("acceded", "t", "2003-10-01", "us"),
        step("entered-into-force", "t", "2003-10-01", "us"),
        step("withdrawn", "t", "2017-10-12", "us", effective="2018-12-31"),
        step("acceded", "t", "2023-07-10", "us"),
        step("entered-into-force", "t", "2023-07-10", "us"),
    ],
    [
        ("us", "1946-10-01", ["bound"]),
        ("us", "1950-01-01", ["in-force"]),
        ("us", "1984-12-30", ["in-force"]),
        ("us", "1984-12-31", []),
        ("us", "2003-10-01", ["in-force"]),
        ("us", "2018-12-30", ["in-force"]),
        ("us", "2020-01-01", []),
        ("us", "2023-07-10", ["in-force"]),
    ],
)
WHALING = (
    [*parties("is", "no")],
    [
        signed("t", "1946-12-02", "no"),
        step("ratified", "t", "1947-03-10", "is"),
        step("entered-into-force", "t", "1948-11-10"),
        step("withdrawn", "t", "1991-12-27", "is", effective="1992-06-30"),
        step("acceded", "t", "2002-10-10", "is"),
        step("entered-into-force", "t", "2002-10-10", "is"),
    ],
    [
        ("is", "1948-11-10", ["in-force"]),
        ("is", "1992-06-29", ["in-force"]),
        ("is", "1992-06-30", []),
        ("is", "2002-10-10", ["in-force"]),
    ],
)
FREE_TRADE = (
    [*parties("uk", "ch", "fi")],
    [
        signed("t", "1960-01-04", "uk", "ch"),
        step("ratified", "t", "1960-04-01", "uk"),
        step("ratified", "t", "1960-04-02", "ch"),
        step("entered-into-force", "t", "1960-05-03"),
        step("acceded", "t", "1985-11-05", "fi"),
        step("entered-into-force", "t", "1986-01-01", "fi"),
        step("withdrawn", "t", "1971-12-01", "uk", effective="1972-12-31"),
        step("withdrawn", "t", "1993-12-01", "fi", effective="1995-01-01"),
    ],
    [
        ("uk", "1972-12-30", ["in-force"]),
        ("uk", "1972-12-31", []),
        ("ch", "1990-01-01", ["in-force"]),
        ("fi", "1990-01-01", ["in-force"]),
        ("fi", "1995-01-01", []),
    ],
)
ON_THE_DAY = (
    [*parties("a")],
    [
        adopted("t", "1961-03-30"),
        step("ratified", "t", "1980-01-10", "a"),
        step("withdrawn", "t", "1997-08-26", "a", effective="1998-08-26"),
        step("acceded", "t", "1998-08-26", "a"),
        step("entered-into-force", "t", "1998-09-25", "a"),
    ],
    [
        ("a", "1998-08-25", ["bound"]),
        ("a", "1998-08-26", ["bound"]),
        ("a", "1998-09-25", ["in-force"]),
        ("a", "2020-01-01", ["in-force"]),
    ],
)
PROVISIONAL = (
    [*parties("a", "b")],
    [
        signed("t", "1994-12-17", "a", "b"),
        step("provisionally-applied", "t", "1994-12-17"),
        step("ratified", "t", "1997-12-16", "a"),
        step("entered-into-force", "t", "1998-04-16"),
    ],
    [
        ("a", "1997-12-15", ["provisional"]),
        ("a", "1997-12-16", ["bound"]),
        ("a", "1998-04-16", ["in-force"]),
        ("b", "1998-04-16", ["provisional"]),
    ],
)
BEFORE_IT_WAS_SIGNED = (
    [*parties("a", "b")],
    [
        signed("t", "2000-03-01", "a", "b"),
        step("entered-into-force", "t", "2000-01-01"),
        step("withdrawn", "t", "2005-01-01", "b"),
    ],
    [
        ("a", "2000-02-29", []),
        ("a", "2000-03-01", ["in-force"]),
        ("b", "2004-12-31", ["in-force"]),
        ("b", "2005-01-01", []),
    ],
)
STORIES: dict[str, tuple[list[Any], list[Any], list[Expected]]] = {
    "a trade agreement acceded to fifty years later": TRADE,
    "an own day after the general one": OWN_DAY,
    "left and returned twice": UNESCO,
    "returned ten years later": WHALING,
    "members that left for another union": FREE_TRADE,
    "acceded on the day on which the denunciation took effect": ON_THE_DAY,
    "applied provisionally, then ratified": PROVISIONAL,
    "in force from a day before its signature": BEFORE_IT_WAS_SIGNED,
}


def take_in_some_order(found: RecordedViews, documents: Sequence[Any], seed: int) -> None:
    """Record creating events first, the rest in any order; a return waits for its leaving."""
    makers = [each for each in documents if each["type"] in ("agreement.signed", "agreement.adopted")]
    pending = [each for each in documents if each not in makers]
    Random(seed).shuffle(pending)
    found.record(*makers)
    while pending:
        waiting = []
        for each in pending:
            try:
                found.record(each)
            except Contradiction:
                waiting.append(each)
        assert len(waiting) < len(pending)
        pending = waiting


@pytest.mark.parametrize("story", STORIES)
def test_memberships_of_a_real_treaty_in_any_order(story):
    people, documents, expected = STORIES[story]
    for seed in range(4):
        with new_views() as found:
            found.record(*people)
            take_in_some_order(found, documents, seed)
            for who, on, held in expected:
                items = found.items("memberships", on=on, party=f"parties/{who}", in_="agreements/t")
                assert [item["status"] for item in items] == held, (seed, who, on)
                assert all(item["certainty"] == "certain" for item in items), (seed, who, on)


def of(
    found: RecordedViews, slug: str = "a", container: str = "agreements/t"
) -> list[tuple[str, str | None, str | None]]:
    """Return last status, from and to of every membership of a party."""
    items = found.items("memberships", on=None, party=f"parties/{slug}", in_=container)
    return [(item["status"], item["from"], item["to"]) for item in sorted(items, key=lambda item: item["from"] or "")]


def test_leaving_and_joining_on_one_day_gives_two_memberships(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2000-01-01"), joined("a", "p", "2001-01-01"))
    views.record(left("a", "p", "2007-06-01"), joined("a", "p", "2007-06-01"))
    assert of(views, container="platforms/p") == [
        ("left", "2001-01-01", "2007-06-01"),
        ("member", "2007-06-01", None),
    ]
    (item,) = views.items("memberships", on="2007-06-01", party="parties/a")
    assert item["from"] == "2007-06-01"
    (item,) = views.items("memberships", on="2007-05-31", party="parties/a")
    assert (item["status"], item["from"], item["to"]) == ("member", "2001-01-01", "2007-06-01")


def test_joining_leaving_and_joining_on_one_day_gives_one_current_membership(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2000-01-01"), joined("a", "p", "2007-06-01"))
    views.record(left("a", "p", "2007-06-01"), joined("a", "p", "2007-06-01"))
    assert of(views, container="platforms/p") == [
        ("left", "2007-06-01", "2007-06-01"),
        ("member", "2007-06-01", None),
    ]


def test_steps_of_a_return_belong_to_the_new_membership(views: RecordedViews):
    people, documents, _ = ON_THE_DAY
    views.record(*people, *documents)
    first, second = sorted(views.items("memberships", on=None, party="parties/a"), key=lambda item: item["from"])
    assert [each["type"] for each in first["steps"]] == ["agreement.ratified", "agreement.withdrawn"]
    assert [each["type"] for each in second["steps"]] == ["agreement.acceded", "agreement.entered-into-force"]


@pytest.mark.parametrize("returned", ["1998-01-26", "1998-03-26"])
@pytest.mark.parametrize("kind", ["acceded", "ratified"])
def test_return_during_the_notice_begins_when_the_withdrawal_takes_effect(views: RecordedViews, kind, returned):
    views.record(*parties("a"), adopted("t", "1975-01-01"), step("acceded", "t", "1980-01-01", "a"))
    views.record(step("withdrawn", "t", "1998-01-26", "a", effective="1998-08-26"), step(kind, "t", returned, "a"))
    assert of(views) == [("withdrawn", "1980-01-01", "1998-08-26"), ("bound", "1998-08-26", None)]
    for day in ("1998-01-26", "1998-08-25", "1998-08-26"):
        (item,) = views.items("memberships", on=day, party="parties/a")
        assert (item["status"], item["certainty"]) == ("bound", "certain"), day


def test_second_return_during_one_notice_is_refused(views: RecordedViews):
    views.record(*parties("a"), adopted("t", "1975-01-01"), step("acceded", "t", "1980-01-01", "a"))
    views.record(step("withdrawn", "t", "1998-01-26", "a", effective="1998-08-26"))
    views.record(step("acceded", "t", "1998-02-01", "a"))
    assert views.refused(step("acceded", "t", "1998-03-01", "a")).positions


def test_consent_on_the_day_of_entering_into_force_counts_and_a_day_later_does_not(views: RecordedViews):
    views.record(
        *parties("a", "b", "c"), signed("t", "2000-01-01", "a", "b"), step("entered-into-force", "t", "2001-01-01")
    )
    views.record(step("acceded", "t", "2001-01-02", "c"))
    assert views.membership("parties/a", "agreements/t", on="2001-01-02")["status"] == "in-force"
    views.record(retracted("agreements/t", views.head), step("acceded", "t", "2001-01-01", "c"))
    assert views.membership("parties/a", "agreements/t", on="2001-01-02")["status"] == "signed"
    assert views.membership("parties/c", "agreements/t", on="2001-01-02")["status"] == "in-force"


def test_imprecise_consent_makes_dependent_statuses_possible(views: RecordedViews):
    views.record(
        *parties("a", "b", "c"), signed("t", "2000-01-01", "a", "b"), step("entered-into-force", "t", "2001-06-01")
    )
    views.record(step("ratified", "t", "2001", "b"))
    item = views.membership("parties/a", "agreements/t", on="2002-01-01")
    assert (sorted(item["statuses"]), item["certainty"]) == (["in-force", "signed"], "possible")


def test_status_of_an_agreement_names_the_event_behind_it_on_that_day(views: RecordedViews):
    views.record(*parties("a"), adopted("t", "1990-01-01"))
    views.record(
        step("ratified", "t", "1999-01-01", "a"),
        step("entered-into-force", "t", "2000-01-01", "a"),
        step("withdrawn", "t", "2005-01-01", "a"),
        step("acceded", "t", "2009-01-01", "a"),
        step("entered-into-force", "t", "2010-01-01", "a"),
    )
    borne = {
        on: views.state("agreements/t", on=on)["events"]["status"] for on in ("2001-01-01", "2006-01-01", "2011-01-01")
    }
    assert borne == {"2001-01-01": [4], "2006-01-01": [2], "2011-01-01": [7]}


def test_status_of_an_agreement_names_its_latest_change(views: RecordedViews):
    views.record(*parties("a"), signed("t", "1990-01-01", "a"), step("entered-into-force", "t", "1991-01-01"))
    for year in (1992, 1994):
        views.record(step("suspended", "t", f"{year}-01-01"), step("resumed", "t", f"{year + 1}-01-01"))
    borne = [views.state("agreements/t", on=f"{year}-06-01")["events"]["status"] for year in range(1990, 1997)]
    assert borne == [[2], [3], [4], [5], [6], [7], [7]]


def test_status_names_the_first_party_still_in_force_in_any_order():
    dates = {"a": "2000-01-01", "b": "2001-01-01", "c": "2001-01-01"}
    for order in ("abc", "cba"):
        with new_views() as found:
            found.record(*parties(*order), adopted("t", "1990-01-01"), step("withdrawn", "t", "2005-01-01", "a"))
            positions = {slug: found.record(step("entered-into-force", "t", dates[slug], slug)) for slug in order}
            borne = [found.state("agreements/t", on=day)["events"]["status"] for day in ("2003-01-01", "2006-01-01")]
            assert borne == [[positions["a"]], [positions["b"]]]


def test_entering_into_force_before_the_signature_is_shown_with_its_date(views: RecordedViews):
    people, documents, _ = BEFORE_IT_WAS_SIGNED
    views.record(*people, *documents)
    state = views.state("agreements/t", on="2000-03-01")
    assert (state["status"], state["entered_into_force"], state["events"]["status"]) == ("in-force", "2000-01-01", [4])
    assert views.items("agreements", on="2000-02-29") == []


def test_consents_of_a_large_agreement_are_counted_from_its_ends(views: RecordedViews):
    """The status of a founder depends on the first consent among many, also after that one is retracted."""
    slugs = [f"p{number:02}" for number in range(30)]
    views.record(*(party(slug) for slug in ("a", *slugs)), signed("t", "2000-01-01", "a"))
    views.record(step("entered-into-force", "t", "2001-01-01"))
    positions = [
        views.record(step("acceded", "t", f"2001-01-{number + 1:02}", slug)) for number, slug in enumerate(slugs)
    ]
    assert views.membership("parties/a", "agreements/t")["status"] == "signed"
    views.record(retracted("agreements/t", positions[0]))
    assert views.membership("parties/a", "agreements/t")["status"] == "in-force"


def test_merged_parties_consent_once(views: RecordedViews):
    views.record(*parties("a", "b", "c"), signed("t", "2000-01-01", "a"), step("entered-into-force", "t", "2001-01-01"))
    views.record(step("ratified", "t", "2000-06-01", "b"))
    assert views.membership("parties/a", "agreements/t")["status"] == "signed"
    views.record({"type": "party.merged", "subject": "parties/b", "data": {"into": "parties/a"}})
    assert views.membership("parties/a", "agreements/t")["status"] == "in-force"


END_OF_C = {"type": "party.dissolved", "subject": "parties/c", "occurred": "2001-06-01", "data": {}}
ENDS = {
    "nothing ends": ([], [("bound", "certain")], [("withdrawn", None, "2002-01-01")]),
    "the agreement ends first": (
        [step("terminated", "t", "2001-06-01", reason="expired")],
        [],
        [("ended", None, "2001-06-01")],
    ),
    "the party ends first": ([END_OF_C], [], [("ended", None, "2001-06-01")]),
    "the agreement may have ended first": (
        [step("terminated", "t", "2001", reason="expired")],
        [("ended", "possible")],
        [("ended", None, "2001")],
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_party_known_only_by_its_notice_is_a_party_from_that_day_until_an_end(case):
    ends, held, ever = ENDS[case]
    documents = [step("withdrawn", "t", "2001-01-01", "c", effective="2002-01-01"), *ends]
    for order in (documents, documents[::-1]):
        with new_views() as views:
            views.record(*parties("a", "c"), signed("t", "2000-01-01", "a"), *order)
            items = views.items("memberships", on="2001-06-01", party="parties/c")
            assert [(item["status"], item["certainty"]) for item in items] == held
            (item,) = views.items("memberships", on="2000-06-01", party="parties/c")
            assert (item["status"], item["certainty"]) == ("bound", "possible")
            assert of(views, "c") == ever


def test_later_end_of_the_agreement_extends_a_membership_known_only_by_its_notice():
    documents = [
        step("withdrawn", "t", "2001-01-01", "c", effective="2002-01-01"),
        step("terminated", "t", None, reason="expired"),
        step("renewed", "t", "2002-06-01", until="2004"),
    ]
    for order in (documents, documents[::-1]):
        with new_views() as views:
            views.record(*parties("a", "c"), signed("t", "2000-01-01", "a"), *order)
            assert of(views, "c") == [("withdrawn", None, "2002-01-01")]


# categories of members


MEMBERS = (
    platform("p", "2000-01-01"),
    joined("a", "p", "2001-01-01", category="associate"),
    changed("a", "p", "full", "2005-01-01"),
    changed("a", "p", {"en": "honorary", "de": "Ehrenmitglied"}, "2010-01-01"),
    left("a", "p", "2020-01-01"),
)


@pytest.mark.parametrize("seed", range(4))
def test_category_changes_within_one_membership_in_any_order(seed):
    later = list(MEMBERS[1:])
    Random(seed).shuffle(later)
    with new_views() as found:
        found.record(*parties("a"), MEMBERS[0], *later)
        for on, category in (("2001-01-01", "associate"), ("2005-01-01", "full"), ("2009-12-31", "full")):
            (membership,) = found.items("memberships", on=on)
            assert (membership["status"], membership["category"], membership["from"], membership["to"]) == (
                "member",
                category,
                "2001-01-01",
                "2020-01-01",
            )
            assert [step["type"] for step in membership["steps"]] == [document["type"] for document in MEMBERS[1:]]
            (member,) = found.state("platforms/p", on=on)["members"]
            assert member["category"] == category
            assert [membership] == found.items("memberships", on=on, category=category)
        assert found.items("memberships", on="2012-01-01", category="ehrenmitglied") != []
        assert found.items("memberships", on="2012-01-01", category="full") == []
        (membership,) = found.items("memberships", on=None)
        assert (membership["status"], membership["category"]) == ("left", MEMBERS[3]["data"]["category"])
        assert membership["steps"][1]["category"] == "full"


def test_retracted_change_of_category_gives_the_earlier_one_back(views: RecordedViews):
    views.record(*parties("a"), *MEMBERS[:3])
    views.record(retracted("platforms/p", views.head))
    (membership,) = views.items("memberships", on="2006-01-01")
    assert (membership["category"], len(membership["steps"])) == ("associate", 1)
    (membership,) = views.items("memberships", on="2006-01-01", as_of=views.head - 1)
    assert membership["category"] == "full"


def test_new_membership_has_its_own_category(views: RecordedViews):
    views.record(*parties("a"), *MEMBERS, joined("a", "p", "2022-01-01"))
    (membership,) = views.items("memberships", on="2022-01-01")
    assert (membership["category"], membership["from"]) == (None, "2022-01-01")


def test_merged_members_have_the_category_of_the_last_change(views: RecordedViews):
    again = joined("b", "p", "2002-01-01", category="observer")
    views.record(*parties("a", "b"), *MEMBERS[:2], again, changed("b", "p", "full", "2005-01-01"))
    views.record(event("party.merged", "parties/b", into="parties/a"))
    assert [membership["category"] for membership in views.items("memberships", on="2004-01-01")] == ["observer"]
    assert [membership["category"] for membership in views.items("memberships", on="2005-01-01")] == ["full"]


def test_change_of_category_before_the_joining_is_refused(views: RecordedViews):
    views.record(*parties("a"), *MEMBERS[:2])
    before = changed("a", "p", "full", "2000-12-31")
    assert "while it is no member" in str(views.refused(before))
    views.record(left("a", "p", "2000-06-01"))
    assert "while it is no member" in str(views.refused(changed("a", "p", "full", "2000-06-01")))
    views.refused(before)
    views.record(changed("a", "p", "full", "2000-05-31"))
    assert [membership["from"] for membership in views.items("memberships", on="2000-05-31")] == [None]
