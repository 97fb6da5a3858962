"""A change of a list item dated before its opening is accepted, and the item keeps its first status."""

from __future__ import annotations

import pytest

from tests.recorded_views import RecordedViews, event, lab, of_lab, parties, signed, step


@pytest.fixture
def made(tmp_path):
    made = RecordedViews(tmp_path / "views.sqlite")
    made.record(*parties("a", "b"), lab("l", "2000-04-12", "a"), signed("t", "2000", "a", "b"))
    yield made
    made.close()


@pytest.mark.parametrize("closed", ["2005-05", "2004-05-05~", None])
def test_call_closed_before_it_can_have_been_opened_is_open_on_later_days(made, closed):
    made.record(of_lab("recruitment-opened", "l", "2006-03/..", call="k", role="fellow"))
    made.record(of_lab("recruitment-closed", "l", closed, call="k"))
    (call,) = made.state("labs/l", on="2025-06-01")["calls"]
    assert "open" in call.get("statuses", [call["status"]])


def test_commitment_fulfilled_before_it_can_have_been_made_is_planned(made):
    commitment = {"commitment": "c", "kind": "other", "title": "a plant"}
    made.record(event("agreement.commitment-made", "agreements/t", "2006-03/..", **commitment))
    made.record(step("commitment-updated", "t", "2005-05", commitment="c", status="fulfilled"))
    (item,) = made.state("agreements/t", on="2025-06-01")["commitments"]
    assert (item["status"], item["certainty"]) == ("planned", "possible")
