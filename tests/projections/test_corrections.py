"""Corrections, retractions and disputes: the effective fact of an event, and the annotations beside it."""

from __future__ import annotations

import pytest

from domain.errors import Invalid
from projections.engine import subject_cache
from projections.engine.query_types import Gone
from tests.recorded_views import (
    RecordedViews,
    adopted,
    also_signed,
    corrected,
    disputed,
    document,
    event,
    joined,
    left,
    parties,
    party,
    platform,
    retracted,
    signed,
    status_of,
    step,
)

D = document("d")
PASSAGE = [{"document": "documents/d", "start": 0, "end": 4}]
OTHER_PASSAGE = [{"document": "documents/d", "start": 5, "end": 9}]


def passages(state: dict, position: int) -> list[tuple[int, int]]:
    return [(passage["start"], passage["event"]) for passage in state["evidence"][str(position)]]


def test_correction_of_data_replaces_all_of_it(views: RecordedViews):
    views.record(party("a", "2020-01-01", name="Wrong", jurisdiction="CN", other_names=["W"]))
    views.record(corrected("parties/a", 1, data={"name": "Right", "kind": "state"}))
    state = views.state("parties/a")
    assert (state["name"], state["kind"], state.get("jurisdiction"), state["other_names"]) == (
        "Right",
        "state",
        None,
        [],
    )
    assert state["events"]["name"] == [1, 2]
    assert views.state("parties/a", as_of=1)["name"] == "Wrong"


def test_evidence_and_note_stay_unless_given(views: RecordedViews):
    views.record(D, party("a", name="Wrong", evidence=PASSAGE, note="seen"))
    views.record(corrected("parties/a", 2, data={"name": "Right", "kind": "company"}))
    assert passages(views.state("parties/a", evidence=True), 2) == [(0, 2)]
    views.record(corrected("parties/a", 2, data={"name": "Right", "kind": "company", "evidence": OTHER_PASSAGE}))
    assert passages(views.state("parties/a", evidence=True), 2) == [(5, 2)]
    (item,) = views.items("timeline", subject="parties/a")
    assert item["data"]["note"] == "seen"


def test_latest_current_correction_wins_field_by_field(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01", category="one"))
    views.record(
        corrected("platforms/p", 3, occurred="2022-01-01"),
        corrected("platforms/p", 3, data={"party": "parties/a", "category": "two"}),
        corrected("platforms/p", 3, occurred="2023-01-01", data={"party": "parties/a", "category": "three"}),
    )

    def category() -> tuple:
        membership = views.membership("parties/a", "platforms/p")
        return membership["from"], membership["category"], membership["events"]

    assert category() == ("2023-01-01", "three", [3, 4, 5, 6])
    views.record(retracted("platforms/p", 6))
    assert category() == ("2022-01-01", "two", [3, 4, 5])
    views.record(retracted("platforms/p", 4))
    assert category() == ("2021-01-01", "two", [3, 5])
    views.record(retracted("platforms/p", 7))
    assert category() == ("2023-01-01", "three", [3, 5, 6])


def test_date_is_corrected_to_not_known(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"))
    views.record(corrected("platforms/p", 3, occurred=None))
    membership = views.membership("parties/a", "platforms/p", on="2020-06-01")
    assert (membership["from"], membership["certainty"]) == (None, "possible")


def test_correction_may_itself_be_corrected(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"))
    views.record(corrected("platforms/p", 3, occurred="2022-01-01"))
    views.record(corrected("platforms/p", 4, data={"event": 3, "reason": "misread again", "occurred": "2023-01-01"}))
    assert views.membership("parties/a", "platforms/p")["from"] == "2023-01-01"
    views.record(retracted("platforms/p", 5))
    assert views.membership("parties/a", "platforms/p")["from"] == "2022-01-01"


def test_retraction_may_itself_be_retracted(views: RecordedViews):
    views.record(
        *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"), retracted("platforms/p", 3)
    )
    assert views.memberships("parties/a", "platforms/p") == []
    views.record(retracted("platforms/p", 4))
    assert views.membership("parties/a", "platforms/p")["status"] == "member"
    views.record(retracted("platforms/p", 5))
    assert views.memberships("parties/a", "platforms/p") == []
    assert views.membership("parties/a", "platforms/p", as_of=5)["status"] == "member"
    assert views.memberships("parties/a", "platforms/p", as_of=4) == []


def test_first_event_of_a_subject_can_be_corrected(views: RecordedViews):
    views.record(platform("p", "2020-01-01"), corrected("platforms/p", 1, occurred="2019-01-01"))
    assert views.state("platforms/p", on="2019-06-01")["launched"] == "2019-01-01"
    assert "NotFound" in views.state_or_error("platforms/p", on="2019-06-01", as_of=1)


def test_correction_may_name_another_party(views: RecordedViews):
    views.record(*parties("a", "b"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"))
    views.record(corrected("platforms/p", 4, data={"party": "parties/b"}))
    assert views.memberships("parties/a", "platforms/p") == []
    assert views.membership("parties/b", "platforms/p")["from"] == "2021-01-01"
    assert views.memberships("parties/b", "platforms/p", as_of=4) == []
    assert views.membership("parties/a", "platforms/p", as_of=4)["from"] == "2021-01-01"


def test_correction_without_a_change_is_part_of_the_provenance(views: RecordedViews):
    views.record(party("a", name="Same"), corrected("parties/a", 1, data={"name": "Same", "kind": "company"}))
    assert views.state("parties/a")["events"]["name"] == [1, 2]


def test_correction_gives_data_or_a_date(views: RecordedViews):
    views.record(party("a"))
    with pytest.raises(Invalid):
        views.record(corrected("parties/a", 1))


def test_evidence_is_added_and_retracted(views: RecordedViews):
    views.record(D, party("a"), event("evidence.added", "parties/a", None, event=2, evidence=PASSAGE))
    assert passages(views.state("parties/a", evidence=True), 2) == [(0, 3)]
    views.record(retracted("parties/a", 3))
    assert views.state("parties/a", evidence=True)["evidence"] == {}
    assert passages(views.state("parties/a", evidence=True, as_of=3), 2) == [(0, 3)]


def test_dispute_is_shown_with_its_fact_everywhere(views: RecordedViews):
    views.record(D, *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01", category="core"))
    views.record(disputed("platforms/p", 4, **{"/data/category": "associate"}))
    claim = {"pointer": "/data/category", "value": "associate", "position": 5}
    shown = [
        views.state("platforms/p"),
        *views.state("platforms/p")["members"],
        *views.items("platforms"),
        *views.items("memberships"),
        *views.items("timeline", type="platform.member-joined"),
    ]
    assert len(shown) == 5
    for item in shown:
        (shown,) = item["disputed"]
        assert {name: shown[name] for name in claim} == claim
    assert views.membership("parties/a", "platforms/p")["category"] == "core"


@pytest.mark.parametrize("one", [4, 5])
def test_dispute_lasts_until_it_or_its_event_is_retracted(views: RecordedViews, one):
    views.record(D, *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"))
    views.record(disputed("platforms/p", 4, occurred="2022-01-01"))
    views.record(retracted("platforms/p", one))
    assert "disputed" not in views.state("platforms/p")
    assert all("disputed" not in item for view in ("memberships", "timeline") for item in views.items(view))
    assert "disputed" in views.state("platforms/p", as_of=5)


def test_disputed_date_is_one_more_possible_date(views: RecordedViews):
    views.record(D, *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"))
    views.record(disputed("platforms/p", 4, occurred="2023-01-01"))
    membership = views.membership("parties/a", "platforms/p", on="2022-01-01")
    assert (status_of(membership), membership["from"]) == (("member", ("member",), "possible"), "2021-01-01")
    assert status_of(views.membership("parties/a", "platforms/p", on="2023-01-01"))[2] == "certain"
    views.record(disputed("platforms/p", 4, occurred="2020-06-01"))
    assert status_of(views.membership("parties/a", "platforms/p", on="2020-07-01"))[2] == "possible"
    views.record(disputed("platforms/p", 4, occurred=None))
    assert status_of(views.membership("parties/a", "platforms/p", on="2025-01-01"))[2] == "possible"
    views.record(retracted("platforms/p", 7), retracted("platforms/p", 6), retracted("platforms/p", 5))
    assert status_of(views.membership("parties/a", "platforms/p", on="2021-01-01"))[2] == "certain"


def test_list_items_follow_corrections_and_retractions(views: RecordedViews):
    views.record(
        *parties("a", "b"),
        platform("p", "2020-01-01"),
        event("platform.supporter-added", "platforms/p", "2021", party="parties/a", support="funding"),
        event("platform.document-adopted", "platforms/p", "2021", title="Charter", kind="charter"),
    )
    views.record(corrected("platforms/p", 4, data={"party": "parties/b"}), retracted("platforms/p", 5))
    state = views.state("platforms/p")
    assert [item["party"]["subject"] for item in state["supporters"]] == ["parties/b"]
    assert state["supporters"][0]["events"] == [4, 6]
    assert state["documents"] == []
    assert views.subjects("platforms", supporter="parties/a") == []
    assert views.subjects("platforms", supporter="parties/b") == ["platforms/p"]
    assert views.subjects("platforms", supporter="parties/a", as_of=5) == ["platforms/p"]


def test_subject_without_current_events_is_in_no_list(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020"), joined("a", "p", "2021"), left("a", "p", "2022"))
    views.record(retracted("platforms/p", 4), retracted("platforms/p", 3), retracted("platforms/p", 2))
    with pytest.raises(Gone):
        views.state("platforms/p")
    assert views.items("platforms", on=None) == views.items("memberships", on=None) == []
    assert [item["subject"]["subject"] for item in views.items("timeline")] == ["parties/a"]
    assert len(views.history("platforms/p")) == 6


@pytest.mark.parametrize("cached", [0, 1_000])
def test_party_with_only_a_withdrawal_was_bound_from_the_remaining_creation(views: RecordedViews, monkeypatch, cached):
    def bound() -> list[bool]:
        days = ("2019-06-01", "2020-06-01", "2021-06-01")
        return [bool(views.memberships("parties/a", "agreements/t", on=day)) for day in days[:2]] + [
            views.membership("parties/a", "agreements/t", on=days[2])["status"] != "withdrawn"
        ]

    monkeypatch.setattr(subject_cache, "_MOST_CACHED", cached)
    views.record(*parties("a", "b", "c"), signed("t", "2020-03-01", "c"))
    views.record(step("withdrawn", "t", "2021-05-05", "a"), also_signed("t", "2022-06-01", "b"))
    assert bound() == [False, True, False]
    adoption = views.record(adopted("t", "2019-01-01"))
    assert bound() == [True, True, False]
    views.record(retracted("agreements/t", adoption))
    assert bound() == [False, True, False]


def test_dispute_of_a_dispute_belongs_to_the_original_event(views):
    views.record(document("d"), party("a"), event("party.renamed", "parties/a", name="b"))
    views.record(disputed("parties/a", 3, occurred="2020-06-01"))
    views.record(disputed("parties/a", 4, occurred="2021-06-01"))
    assert [each["position"] for each in views.state("parties/a")["disputed"]] == [4, 5]
    views.record(retracted("parties/a", 3))
    assert "disputed" not in views.state("parties/a")
    assert [each["position"] for each in views.state("parties/a", as_of=5)["disputed"]] == [4, 5]


def test_dispute_of_a_retraction_is_shown_while_the_retraction_is_current(views):
    views.record(document("d"), party("a"), event("party.renamed", "parties/a", name="b"))
    retraction = views.record(retracted("parties/a", 3))
    views.record(disputed("parties/a", retraction, occurred="2020-06-01"))
    assert [each["event"] for each in views.state("parties/a")["disputed"]] == [retraction]
    views.record(retracted("parties/a", retraction))
    assert "disputed" not in views.state("parties/a")


def test_retracted_subject_may_be_created_again_and_versions_continue(views: RecordedViews):
    views.record(
        party("a", name="first"),
        event("party.renamed", "parties/a", name="new"),
        retracted("parties/a", 2),
        retracted("parties/a", 1),
    )
    with pytest.raises(Gone):
        views.state("parties/a")
    assert views.state("parties/a", as_of=3)["name"] == "first"
    views.record(party("a", name="second"))
    state = views.state("parties/a")
    assert (state["name"], state["version"], state["position"]) == ("second", 5, 5)
    with pytest.raises(Gone):
        views.state("parties/a", as_of=4)
