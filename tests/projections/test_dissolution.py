"""Dissolved parties: their memberships end with them, and they take no step before their creation or after their end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_histories import GENERATED
from tests.recorded_views import (
    RecordedViews,
    adopted,
    also_signed,
    corrected,
    event,
    joined,
    lab,
    left,
    new_views,
    parties,
    party,
    platform,
    retracted,
    signed,
    status_of,
    step,
)


@pytest.fixture
def made() -> Iterator[RecordedViews]:
    with new_views() as made:
        yield made


def dissolved(slug: str, occurred: str | None, **data: Any) -> dict[str, Any]:
    """Return the dissolution of a party."""
    return event("party.dissolved", f"parties/{slug}", occurred, **data)


STATES = {
    "east-germany": "1990-10-03",
    "czechoslovakia": "1992-12-31",
    "yugoslavia": "1992-04-27",
    "soviet-union": "1991-12-26",
    "south-yemen": "1990-05-22",
    "south-vietnam": "1976-07-02",
}
"""States that ended, and when."""


def treaty(*names: str) -> list[dict[str, Any]]:
    """Return a treaty that these parties and one lasting party ratified."""
    everybody = ("france", *names)
    return [
        *parties(*everybody),
        adopted("t", "1950-01-01"),
        *(step("ratified", "t", f"1955-03-{at:02}", slug) for at, slug in enumerate(everybody, 1)),
        step("entered-into-force", "t", "1960-01-01"),
    ]


def test_memberships_of_a_dissolved_party_end_that_day(made):
    made.record(*treaty(*STATES), *(dissolved(slug, day) for slug, day in STATES.items()))
    for slug, day in STATES.items():
        (before,) = made.items("memberships", party=f"parties/{slug}", on="1970-01-01")
        assert (status_of(before), before["to"]) == (("in-force", ("in-force",), "certain"), day)
        assert made.items("memberships", party=f"parties/{slug}", on=day) == []
        membership = made.membership(f"parties/{slug}", "agreements/t", on=day)
        assert status_of(membership) == ("ended", ("ended",), "certain")
    assert made.subjects("agreements", party="parties/yugoslavia") == []
    assert made.membership("parties/france", "agreements/t")["status"] == "in-force"
    (item,) = [
        each for each in made.state("agreements/t")["parties"] if each["party"]["subject"] == "parties/yugoslavia"
    ]
    assert item["status"] == "ended"


def test_membership_names_only_the_dissolution_that_ended_it(made):
    made.record(*treaty("yugoslavia"), platform("p", "1950"), joined("yugoslavia", "p", "1951"))
    made.record(left("yugoslavia", "p", "1960"))
    at = made.record(dissolved("yugoslavia", "1992-04-27"))
    assert at in made.membership("parties/yugoslavia", "agreements/t")["events"]
    assert at not in made.membership("parties/yugoslavia", "platforms/p")["events"]
    assert made.membership("parties/yugoslavia", "platforms/p")["to"] == "1960"


def test_memberships_of_a_dissolved_party_have_status_ended(made):
    made.record(
        *parties("a", "b"), platform("p", "2000"), joined("a", "p", "2001-01-01"), lab("l", "2002-01-01", "a", "b")
    )
    made.record(signed("t", "2003-01-01", "a", "b"), dissolved("a", "2010-05-05"))
    for container in ("platforms/p", "labs/l", "agreements/t"):
        membership = made.membership("parties/a", container)
        assert (membership["status"], membership["to"], membership["certainty"]) == ("ended", "2010-05-05", "certain")
    assert made.membership("parties/b", "labs/l")["status"] == "founder"


def test_agreement_is_out_of_force_once_all_its_parties_have_ended(made):
    made.record(*parties("a"), adopted("t", "1950"), step("acceded", "t", "1951-01-01", "a"))
    made.record(step("entered-into-force", "t", "1952-01-01", "a"))
    assert made.state("agreements/t")["status"] == "in-force"
    made.record(dissolved("a", "1990-10-03"))
    assert made.state("agreements/t", on="1990-10-02")["status"] == "in-force"
    assert made.state("agreements/t", on="1990-10-03")["status"] == "adopted"


def test_possible_order_is_no_contradiction(made):
    made.record(*parties("a", "b"), signed("t", "1980-01-01", "b"), platform("p", "1980-01-01"))
    made.record(dissolved("a", "1990"), also_signed("t", "1990-06", "a"), joined("a", "p"))
    membership = made.membership("parties/a", "agreements/t", on="1990-12-31")
    assert status_of(membership) == ("ended", ("ended",), "certain")
    membership = made.membership(
        "parties/a", "platforms/p", on="1990-12-31"
    )  # joined without a date, but not after its end
    assert status_of(membership) == ("ended", ("ended",), "certain")
    (membership,) = made.items("memberships", party="parties/a", in_="platforms/p", on="1990-01-01")
    assert status_of(membership) == ("ended", ("member", "ended"), "possible")


def test_party_has_no_membership_before_its_creation(made):
    made.record(party("a", "1990-05-22"), platform("p", "1980-01-01"), joined("a", "p"))
    assert made.items("memberships", party="parties/a", on="1990-05-21") == []
    (membership,) = made.items("memberships", party="parties/a", on="1990-05-22")
    assert status_of(membership) == ("member", ("member",), "possible")


def test_corrected_or_retracted_end_restores_the_memberships(made):
    made.record(*treaty("south-yemen"))
    end = made.record(dissolved("south-yemen", "1990-05-22"))

    def ended(on: str, as_of: int | None = None) -> bool:
        return made.membership("parties/south-yemen", "agreements/t", on=on, as_of=as_of)["status"] == "ended"

    assert ended("1990-05-22")
    assert not ended("1990-05-22", end - 1)
    fixed = made.record(corrected("parties/south-yemen", end, occurred="1994-07-07"))
    assert not ended("1990-05-22")
    assert ended("1994-07-07")
    assert ended("1990-05-22", end)
    made.record(retracted("parties/south-yemen", fixed))
    assert ended("1990-05-22")
    made.record(retracted("parties/south-yemen", end))
    assert not ended("2020-01-01")


def test_merger_shares_the_end_of_a_party_and_a_split_removes_it(made):
    made.record(*treaty("yugoslavia"), *parties("sfry"), platform("p", "1950"), joined("sfry", "p", "1951-01-01"))
    made.record(dissolved("yugoslavia", "1992-04-27"))
    assert made.membership("parties/sfry", "platforms/p")["status"] == "member"
    merged = made.record(event("party.merged", "parties/sfry", None, into="parties/yugoslavia"))
    assert made.membership("parties/yugoslavia", "platforms/p")["status"] == "ended"
    assert made.refused(also_signed("t", "1999", "sfry")).positions
    made.record(retracted("parties/sfry", merged))
    assert made.membership("parties/sfry", "platforms/p")["status"] == "member"
    made.record(also_signed("t", "1999", "sfry"))
    assert made.refused(event("party.merged", "parties/sfry", None, into="parties/yugoslavia")).positions


def test_latest_fact_of_a_party_bounds_its_imprecise_end(made):
    made.record(*parties("a"), platform("p", "1980"), joined("a", "p", "1981"), dissolved("a", "1990"))
    assert made.membership("parties/a", "platforms/p", on="1990-06-01")["certainty"] == "possible"
    made.record(event("party.renamed", "parties/a", "1990-08-01", name="A again"))
    (membership,) = made.items("memberships", party="parties/a", on="1990-06-01")
    assert status_of(membership) == ("member", ("member",), "certain")


def test_history_of_an_agreement_lists_the_end_of_its_party(made):
    made.record(*treaty("yugoslavia"))
    end = made.record(dissolved("yugoslavia", "1992-04-27"))
    (item,) = [each for each in made.history("agreements/t") if each["position"] == end]
    assert item["patch"]
    gone = made.record(retracted("parties/yugoslavia", end))
    assert gone in [each["position"] for each in made.history("agreements/t")]
    assert end not in [each["position"] for each in made.history("agreements/t", as_of=end - 1)]


FACTS = (
    platform("p", "1980-01-01", id_="p"),
    joined("a", "p", "1985", id_="j"),
    signed("t", "1986", "a", "b", id_="s"),
    step("ratified", "t", "1987-01-01", "a", id_="r"),
    step("entered-into-force", "t", "1988", id_="f"),
    dissolved("a", "1990-10-03", id_="d"),
    event("party.renamed", "parties/a", "1989", name="A", id_="n"),
)


@settings(max_examples=40, **GENERATED)
@given(st.permutations(FACTS))
def test_any_order_of_facts_about_an_ended_party_gives_the_same_memberships(facts):
    ordered = sorted(facts, key=lambda fact: fact["id"] not in ("p", "s"))
    with new_views() as one, new_views() as other:
        one.record(*parties("a", "b"), *FACTS)
        other.record(*parties("a", "b"), *ordered)
        for on in ("1985-06-01", "1988-06-01", "1990-10-02", "1990-10-03", None):
            assert _shown(one, on) == _shown(other, on)


def _shown(made: RecordedViews, on: str | None) -> list[Any]:
    """Return memberships and the agreement's status on a day, without positions."""
    items = [*made.items("memberships", on=on), *made.items("memberships", on=on, status="ended")]
    shown = [[item["party"], item["in"], status_of(item), item["from"], item["to"]] for item in items]
    return [shown, [status_of(each) for each in made.items("agreements", on=on)]]
