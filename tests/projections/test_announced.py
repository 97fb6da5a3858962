"""Announced agreements: they are known before they are adopted or signed, and commitments may be made to them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from domain.errors import Contradiction
from tests.random_histories import difference, everything
from tests.recorded_views import (
    RecordedViews,
    adopted,
    also_signed,
    announced,
    corrected,
    event,
    new_views,
    parties,
    retracted,
    signed,
    status_of,
    step,
)

COMMITMENT = {"commitment": "plant", "kind": "facility", "title": "Plant"}


def test_agreement_is_announced_until_it_is_signed(views):
    views.record(*parties("a", "b"), announced("t", "2024-06-10", "a", "b"), also_signed("t", "2024-09-01", "a", "b"))
    statuses = {on: views.subjects("agreements", on=on) for on in ("2024-06-09", "2024-06-10")}
    assert statuses == {"2024-06-09": [], "2024-06-10": ["agreements/t"]}
    for on, status in (("2024-06-10", "announced"), ("2024-08-31", "announced"), ("2024-09-01", "signed")):
        state = views.state("agreements/t", on=on)
        assert status_of(state) == (status, (status,), "certain")
        assert state["announced"] == "2024-06-10"
        assert ("signed" in state) == (status == "signed")
        assert views.subjects("agreements", on=on, status=status) == ["agreements/t"]
    assert views.subjects("agreements", on="2024-09-01", status="announced") == []


def test_agreement_is_announced_until_it_is_adopted(views):
    views.record(announced("t", "2024-06-10"), adopted("t", "2024-09-01"))
    assert [views.state("agreements/t", on=on)["status"] for on in ("2024-06-10", "2024-09-01")] == [
        "announced",
        "adopted",
    ]


def test_announcement_of_an_agreement_that_was_signed_changes_no_status(views):
    views.record(*parties("a", "b"), signed("t", "2024-05-01", "a", title="T"), announced("t", "2024-06-10", title="A"))
    state = views.state("agreements/t", on="2024-07-01")
    assert (state["status"], state["title"], state["announced"]) == ("signed", "T", "2024-06-10")


def test_parties_of_an_announcement_are_no_signatories(views):
    expected = [{"party": "parties/a", "role": "buyer"}, {"party": "parties/b"}]
    views.record(*parties("a", "b"), announced("t", "2024-06-10", parties=expected))
    state = views.state("agreements/t")
    events = {"occurred": "2024-06-10", "events": [3]}
    assert state["announced_parties"] == [
        {"party": {"subject": "parties/a", "name": "a"}, "role": "buyer", **events},
        {"party": {"subject": "parties/b", "name": "b"}, **events},
    ]
    assert state["parties"] == []
    assert views.items("memberships", in_="agreements/t") == []
    assert views.subjects("agreements", party="parties/a") == []
    named = views.items("timeline", party="parties/a", type="agreement.announced")
    assert [item["data"]["parties"][0]["party"] for item in named] == [{"subject": "parties/a", "name": "a"}]


def test_announced_party_that_is_not_registered_is_refused(views):
    refused = views.refused(announced("t", "2024-06-10", "a"))
    assert [flaw.pointer for flaw in refused.flaws] == ["/data/parties/0/party"]


def test_signature_says_what_the_agreement_is(views):
    views.record(
        *parties("a"),
        announced("t", "2024-06-10", title="Plan", kind="cooperation", summary="soon", place="Rome", scope=["solar"]),
        signed("t", "2024-09-01", "a", title="Treaty", kind="treaty", place="Oslo"),
    )
    before, after = views.state("agreements/t", on="2024-07-01"), views.state("agreements/t")
    assert [(each["title"], each["kind"], each["place"], each["summary"]) for each in (before, after)] == [
        ("Plan", "cooperation", "Rome", "soon"),
        ("Treaty", "treaty", "Oslo", "soon"),
    ]
    assert (before["events"]["title"], after["events"]["title"], after["events"]["summary"]) == ([2], [3], [2])


def test_signature_without_title_has_that_of_the_announcement(views):
    views.record(*parties("a", "b"), announced("t", "2024-06-10", title="Plan"), also_signed("t", "2024-09-01", "a"))
    views.record(also_signed("t", "2024-10-01", "b", place="Rome", summary="peace"))
    state = views.state("agreements/t")
    assert (state["title"], state["summary"], "place" in state) == ("Plan", "peace", False)


def test_nothing_of_an_announcement_says_when_the_agreement_was_adopted(views):
    views.record(*parties("a"), announced("t", "2024-06-10"), step("ratified", "t", "2024-05-01", "a"))
    assert views.membership("parties/a", "agreements/t", on="2024-05-02")["status"] == "bound"
    views.record(adopted("t", "2024-04-01"))
    assert views.state("agreements/t", on="2024-04-01")["status"] == "adopted"


def test_step_before_the_signature_is_refused_whatever_was_announced(views):
    views.record(*parties("a", "b"), announced("t", "2024-06-10"), also_signed("t", "2024-09-01", "a"))
    with pytest.raises(Contradiction) as refused:
        views.record(step("ratified", "t", "2024-07-01", "a"))
    assert set(refused.value.positions) >= {4}


def test_commitments_are_made_from_the_announcement_on(views):
    views.record(*parties("a"), announced("t", "2024-06-10"))
    views.record(step("commitment-made", "t", "2024-06-20", **COMMITMENT), also_signed("t", "2024-09-01", "a"))
    assert [item["status"] for item in views.items("commitments", on="2024-06-20")] == ["planned"]
    for early in ("2024-06-09", "2023"):
        with pytest.raises(Contradiction) as refused:
            views.record(step("commitment-made", "t", early, **{**COMMITMENT, "commitment": "other"}))
        assert 2 in refused.value.positions
    with pytest.raises(Contradiction):
        views.record(retracted("agreements/t", 2))


def test_undated_commitment_is_made_no_earlier_than_the_announcement(views):
    views.record(announced("t", "2024-06-10"), step("commitment-made", "t", **COMMITMENT))
    assert views.items("commitments", on="2024-06-09") == []
    assert [item["certainty"] for item in views.items("commitments", on="2024-06-10")] == ["possible"]
    views.record(adopted("t", "2024-04-01"))
    assert [item["certainty"] for item in views.items("commitments", on="2024-04-01")] == ["possible"]


def test_announced_agreement_may_end_without_a_signature(views):
    views.record(announced("t", "2024-06-10"), step("terminated", "t", "2024-08-01", reason="terminated"))
    assert [views.state("agreements/t", on=on)["status"] for on in ("2024-07-31", "2024-08-01")] == [
        "announced",
        "terminated",
    ]
    with pytest.raises(Contradiction):
        views.record(*parties("a"), also_signed("t", "2024-09-01", "a"))


def test_undated_announcement_is_possible_before_its_recording(views):
    views.record(announced("t"))
    assert status_of(views.state("agreements/t", on="2024-06-10")) == ("announced", ("announced",), "possible")
    assert status_of(views.state("agreements/t")) == ("announced", ("announced",), "certain")


def test_announcement_may_be_retracted_and_corrected(views):
    views.record(*parties("a"), announced("t", "2024-06-10"), signed("t", "2024-09-01", "a"))
    views.record(corrected("agreements/t", 2, occurred="2024-07"))
    assert status_of(views.state("agreements/t", on="2024-07-10")) == ("announced", ("announced",), "possible")
    assert views.state("agreements/t", on="2024-06-10", as_of=3)["status"] == "announced"
    views.record(retracted("agreements/t", 2))
    assert views.state_or_error("agreements/t", on="2024-08-31").startswith("NotFound")
    assert views.state("agreements/t")["announced_parties"] == []


def test_only_announcement_of_an_agreement_with_parties_is_not_retracted(views):
    views.record(*parties("a"), announced("t", "2024-06-10"), step("acceded", "t", "2024-08-01", "a"))
    with pytest.raises(Contradiction):
        views.record(retracted("agreements/t", 2))


def test_announced_agreement_is_found_and_counted(views):
    views.record(*parties("a"), announced("t", "2024-06-10", "a", title="Harbour Accord", kind="joint-venture"))
    found = views.reader.search("harbour", views.question(), limit=5, after=None).items
    assert [item["subject"] for item in found] == ["agreements/t"]
    counted = views.reader.statistics(views.question())["agreements"]
    assert (counted["status"], counted["kind"]) == ({"announced": 1}, {"joint-venture": 1})


FACTS: list[dict[str, Any]] = [
    announced("t", "2024-06-10", "a", "b", title="Plan", summary="soon", id_="1"),
    announced("t", "2024-05", "b", title="Talks", id_="2"),
    signed("t", "2024-09-01", "a", title="Treaty", id_="3"),
    adopted("t", None, title="Text", id_="4"),
    step("commitment-made", "t", None, **COMMITMENT, id_="5"),
]


@pytest.mark.parametrize("order", [order for order in list(permutations(range(5)))[::7] if order[0] != 4])
def test_order_of_recording_changes_nothing(order):
    answers = []
    for indexes in (range(5), order):
        with new_views() as found:
            found.record(*parties("a", "b"))
            found.batch(*[FACTS[index] for index in indexes])
            answers.append(_comparable(found))
    assert difference(*answers) == {}


def _comparable(found: RecordedViews) -> dict[str, Any]:
    """Return every answer without positions, versions and the timeline."""
    shown = {at: value for at, value in everything(found).items() if "timeline" not in at}
    return {at: _without(value) for at, value in shown.items()}


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("events", "position", "version", "recorded")
        return {key: _without(each) for key, each in value.items() if key not in left_out}
    return [_without(each) for each in value] if isinstance(value, list) else value


def test_announced_parties_are_in_the_graph(views):
    views.record(*parties("a", "b"), announced("t", "2024-06-10", "a"), also_signed("t", "2024-09-01", "b"))
    for center in ("parties/a", "agreements/t"):
        graph = views.reader.graph(center, 1, views.question(), 10)
        edges = [edge for edge in graph["edges"] if edge["type"] == "announced"]
        assert edges == [
            {
                "source": "parties/a",
                "target": "agreements/t",
                "type": "announced",
                "occurred": "2024-06-10",
                "events": [3],
            }
        ]


def test_early_entry_into_force_holds_from_the_signature_on(views):
    views.record(
        *parties("a", "b"),
        announced("t", "2024-06-10"),
        step("entered-into-force", "t", "2024-01-01"),
        also_signed("t", "2024-09-01", "a"),
    )
    days = ("2024-06-10", "2024-08-31", "2024-09-01")
    states = [views.state("agreements/t", on=on) for on in days]
    assert [status_of(each) for each in states] == [
        ("announced", ("announced",), "certain"),
        ("announced", ("announced",), "certain"),
        ("in-force", ("in-force",), "certain"),
    ]
    assert states[-1]["entered_into_force"] == "2024-01-01"
    assert views.membership("parties/a", "agreements/t", on="2024-09-01")["status"] == "in-force"
    assert views.items("memberships", on="2024-08-31") == []


def test_agreement_in_force_of_which_only_the_announcement_is_recorded(views):
    views.record(*parties("a"), announced("t", "2024-06-10"), step("acceded", "t", "2024-07-01", "a"))
    views.record(step("entered-into-force", "t", "2024-08-01"))
    days = ("2024-07-31", "2024-08-01")
    assert [views.state("agreements/t", on=on)["status"] for on in days] == ["announced", "in-force"]


def test_announced_term_does_not_lapse(views):
    views.record(announced("t", "2020-06-10", until="2021"))
    assert status_of(views.state("agreements/t")) == ("announced", ("announced",), "certain")


def test_lab_is_founded_under_an_announced_agreement(views):
    views.record(*parties("a"), announced("t", "2024-06-10"))
    views.record(event("lab.founded", "labs/l", "2024-07-01", name="l", founders=["parties/a"], under="agreements/t"))
    assert views.state("labs/l")["under"] == {"subject": "agreements/t", "name": "t"}
