"""A merged party and its survivor are one on every day, from the merger's position until it is retracted."""

from __future__ import annotations

import pytest

from projections.engine.query_types import Merged
from tests.projections.test_single_view import alone
from tests.recorded_views import RecordedViews, corrected, event, joined, left, party, platform, retracted, signed, step


def merged(slug: str, into: str, occurred: str | None = None):
    return event("party.merged", f"parties/{slug}", occurred, into=f"parties/{into}")


@pytest.fixture
def one(views: RecordedViews) -> RecordedViews:
    """a (position 1) and b (2); both joined p (4, 5), both signed t (6), b supports p (7); then b is merged into a (8)."""
    views.record(
        party("a", name="Alpha", identifiers=[{"scheme": "lei", "value": "A"}]),
        party("b", name="Beta", other_names=["B"], identifiers=[{"scheme": "lei", "value": "B"}], jurisdiction="DE"),
        platform("p", "2020-01-01"),
        joined("a", "p", "2021-01-01"),
        joined("b", "p", "2022-01-01"),
        signed("t", "2021-01-01", "a", "b"),
        event("platform.supporter-added", "platforms/p", "2020", party="parties/b"),
        merged("b", "a"),
    )
    return views


def test_survivor_has_the_state_of_both_merged_parties(one: RecordedViews):
    with pytest.raises(Merged) as error:
        one.state("parties/b")
    assert error.value.into == "parties/a"
    with pytest.raises(Merged):
        one.history("parties/b")
    state = one.state("parties/a")
    assert state["name"] == "Alpha"
    assert {"Beta", "B"} <= set(state["other_names"])
    assert sorted(item["value"] for item in state["identifiers"]) == ["A", "B"]
    assert one.subjects("parties") == ["parties/a"]


def test_as_of_before_the_merger_both_parties_have_their_own_state(one: RecordedViews):
    assert one.state("parties/b", as_of=7)["name"] == "Beta"
    assert one.state("parties/a", as_of=7)["other_names"] == []
    assert one.subjects("parties", as_of=7) == ["parties/a", "parties/b"]
    assert [membership["from"] for membership in one.memberships("parties/b", "platforms/p", as_of=7)] == ["2022-01-01"]


def test_duplicate_memberships_of_merged_parties_become_one_on_every_day(one: RecordedViews):
    for on in ("2021-06-01", "2023-01-01", None):
        membership = one.membership("parties/a", "platforms/p", on=on)
        assert (membership["status"], membership["from"], membership["to"], membership["events"]) == (
            "member",
            "2021-01-01",
            None,
            [4, 5][:2],
        )
        assert one.membership("parties/b", "platforms/p", on=on) == membership
    assert len(one.items("memberships", in_="agreements/t")) == 1
    assert len(one.items("memberships", in_="platforms/p")) == 1
    assert len(one.state("agreements/t")["parties"]) == 1
    assert len(one.items("memberships", in_="platforms/p", as_of=7)) == 2


def test_duplicate_joinings_and_leavings_give_one_interval(views: RecordedViews):
    views.record(party("a"), party("b"), platform("p", "2020-01-01"))
    views.record(joined("a", "p", "2021-01-01"), joined("b", "p", "2021-01-01"))
    views.record(left("a", "p", "2022-01-01"), left("b", "p", "2022-03-01"), merged("b", "a"))
    membership = views.membership("parties/a", "platforms/p", on=None)
    assert (membership["status"], membership["from"], membership["to"], membership["certainty"]) == (
        "left",
        "2021-01-01",
        "2022-01-01",
        "certain",
    )


def test_filters_by_party_accept_both_merged_subjects(one: RecordedViews):
    for name in ("parties/a", "parties/b"):
        assert one.subjects("platforms", member=name) == ["platforms/p"]
        assert one.subjects("platforms", supporter=name) == ["platforms/p"]
        assert one.subjects("agreements", party=name) == ["agreements/t"]
        assert len(one.items("memberships", party=name)) == 2
        assert len(one.items("timeline", party=name)) == 7
        assert len(one.items("timeline", subject=name)) == 3
    assert one.subjects("agreements", party=["parties/a", "parties/b"]) == ["agreements/t"]
    assert one.subjects("parties", identifier="lei:B") == ["parties/a"]


def test_references_to_a_merged_party_show_the_survivor(one: RecordedViews):
    state = one.state("platforms/p")
    assert [item["party"] for item in state["supporters"]] == [{"subject": "parties/a", "name": "Alpha"}]
    assert [item["party"] for item in state["members"]] == [{"subject": "parties/a", "name": "Alpha"}]
    before = one.state("platforms/p", as_of=7)
    assert [item["party"] for item in before["supporters"]] == [{"subject": "parties/b", "name": "Beta"}]


def test_later_posts_to_either_count_for_the_survivor(one: RecordedViews):
    one.record(
        event("party.renamed", "parties/b", "2023-01-01", name="Gamma"),
        left("b", "p", "2024-01-01"),
        step("ratified", "t", "2022-01-01", "b"),
        event("party.identified", "parties/b", None, scheme="ror", value="R"),
    )
    state = one.state("parties/a")
    assert state["name"] == "Gamma"
    assert "R" in [item["value"] for item in state["identifiers"]]
    assert one.membership("parties/a", "platforms/p", on=None)["to"] == "2024-01-01"
    assert one.membership("parties/a", "agreements/t")["status"] == "bound"
    assert [item["position"] for item in one.history("parties/a")] == [1, 2, 8, 9, 12]


def test_corrections_may_name_either_merged_subject(one: RecordedViews):
    one.record(corrected("parties/a", 2, data={"name": "Bee", "kind": "company"}))
    assert "Bee" in one.state("parties/a")["other_names"]
    assert "Beta" not in one.state("parties/a")["other_names"]


def test_retraction_of_the_merger_splits_the_parties(one: RecordedViews):
    before = {
        subject: one.state(subject, as_of=7) for subject in ("parties/a", "parties/b", "platforms/p", "agreements/t")
    }
    lists = {view: one.items(view, as_of=7, on=None) for view in ("parties", "memberships", "platforms", "agreements")}
    one.record(retracted("parties/b", 8))
    for subject, state in before.items():
        now = one.state(subject)
        assert without_position(now) == without_position(state)
    for view, items in lists.items():
        assert [without_position(item) for item in one.items(view, on=None)] == [
            without_position(item) for item in items
        ]
    with pytest.raises(Merged):
        one.state("parties/b", as_of=8)
    one.record(retracted("parties/b", 9))
    with pytest.raises(Merged):
        one.state("parties/b")


def without_position(state: dict) -> dict:
    """Return a state without version and positions."""
    return {name: value for name, value in state.items() if name not in ("version", "position")}


def test_events_posted_during_a_merger_stay_with_their_subject(one: RecordedViews):
    one.record(event("party.renamed", "parties/b", "2023-01-01", name="Gamma"), retracted("parties/b", 8))
    assert one.state("parties/a")["name"] == "Alpha"
    assert one.state("parties/b")["name"] == "Gamma"


def test_survivor_may_be_merged_into_another_party(views: RecordedViews):
    views.record(*(party(slug, name=slug.upper()) for slug in "abcd"))
    views.record(merged("a", "b"), merged("b", "c"), merged("d", "a"))
    assert views.subjects("parties") == ["parties/c"]
    assert set(views.state("parties/c")["other_names"]) == {"A", "B", "D"}
    views.record(retracted("parties/b", 6))
    assert views.subjects("parties") == ["parties/b", "parties/c"]
    assert set(views.state("parties/b")["other_names"]) == {"A", "D"}
    for subject, into in (("parties/a", "parties/b"), ("parties/d", "parties/b")):
        with pytest.raises(Merged) as error:
            views.state(subject)
        assert error.value.into == into
        with pytest.raises(Merged) as error:
            views.state(subject, as_of=7)
        assert error.value.into == "parties/c"


def test_merger_may_be_corrected_to_another_survivor(views: RecordedViews):
    views.record(
        party("a"), party("b"), party("c"), merged("a", "b"), corrected("parties/a", 4, data={"into": "parties/c"})
    )
    with pytest.raises(Merged) as error:
        views.state("parties/a")
    assert error.value.into == "parties/c"
    assert views.subjects("parties") == ["parties/b", "parties/c"]
    with pytest.raises(Merged) as error:
        views.state("parties/a", as_of=4)
    assert error.value.into == "parties/b"


def test_parts_of_the_merged_party_are_parts_of_the_survivor(views: RecordedViews):
    views.record(party("a"), party("b"), party("c", part_of="parties/b"), merged("b", "a"))
    assert views.state("parties/c")["part_of"] == {"subject": "parties/a", "name": "a"}
    assert (
        views.subjects("parties", part_of="parties/a")
        == views.subjects("parties", part_of="parties/b")
        == ["parties/c"]
    )
    assert views.subjects("parties", part_of="parties/a", as_of=3) == []


def test_list_items_of_a_registration_move_with_the_creation_of_the_party_it_was_merged_with(views: RecordedViews):
    """The rows equal those of a replay."""
    identified = party("a", "2020-03", identifiers=[{"scheme": "lei", "value": "1"}])
    views.record(identified, party("c"), merged("c", "a"))
    views.record(corrected("parties/c", 2, occurred="2020"))
    with alone("parties", views.events) as reader:
        assert [*reader.lines("parties", views.head)] == [*views.reader.lines("parties", views.head)]
