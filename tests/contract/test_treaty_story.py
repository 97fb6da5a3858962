"""A treaty from its announcement to its reinstatement: every answer over HTTP, and the audit of the log."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.audits import assert_passes, wait_for_checkpoint
from tests.contract.server import BATCH, NDJSON, Server, event, served
from tests.contract.test_history import assert_history_leads_through_the_states
from tests.contract.test_replay import VIEWS, digests, replayed

STORY = Path(__file__).parents[2] / "examples" / "harbour-treaty.json"
TREATY = "agreements/harbour-treaty"
NORTH, SOUTH, WEST = "parties/northland", "parties/southland", "parties/westland"


@pytest.fixture(scope="module")
def story():
    """Serve the story, each event posted in the order of the file."""
    with served() as server:
        answer = server.send(STORY.read_bytes(), BATCH)
        assert answer.status_code == 201, answer.text
        yield server


def status(server: Server, **query: Any) -> tuple[str, str]:
    """Return the status and certainty of the treaty."""
    state = server.state(TREATY, **query)
    return state["status"], state["certainty"]


def of_party(server: Server, party: str, on: str) -> str | None:
    """Return the last status of a party on a day."""
    found = server.items("/v1/memberships", **{"in": TREATY, "party": party, "on": on, "status": "any"})
    return found[-1]["status"] if found else None


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("2014-03-01", "announced"),
        ("2015-06-30", "announced"),
        ("2015-07-01", "signed"),
        ("2016-01-01", "in-force"),
        ("2020-10-18", "terminated"),
        ("2025-09-27", "terminated"),
        ("2025-09-28", "in-force"),
    ],
)
def test_status_of_the_treaty_on_each_day(story, on, expected):
    assert status(story, on=on) == (expected, "certain")
    for other in ("announced", "signed", "in-force", "terminated"):
        listed = [item["subject"] for item in story.items("/v1/agreements", on=on, status=other)]
        assert listed == ([TREATY] if other == expected else [])


def test_treaty_is_not_listed_before_its_announcement(story):
    assert story.items("/v1/agreements", on="2014-02-28") == []
    assert story.get(f"/v1/{TREATY}", on="2014-02-28").status_code == 404


def test_parties_are_announced_before_they_sign(story):
    announced = story.state(TREATY, on="2014-06-01")
    assert [each["party"]["subject"] for each in announced["announced_parties"]] == [NORTH, SOUTH]
    assert (announced["parties"], announced["announced"]) == ([], "2014-03-01")
    assert story.items("/v1/agreements", party=NORTH, on="2014-06-01") == []
    edges = story.json("/v1/graph", center=TREATY, on="2014-06-01")["edges"]
    assert [(edge["source"], edge["type"]) for edge in edges] == [(NORTH, "announced"), (SOUTH, "announced")]


def test_commitment_of_an_announced_treaty_is_breached_after_its_end(story):
    assert [item["status"] for item in story.items("/v1/commitments", on="2014-06-01")] == ["planned"]
    (found,) = story.items("/v1/commitments", on="2021-06-01", status="breached")
    assert found["amount"] == {"value": "12", "unit": "berths"}


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        (NORTH, ["signed", "in-force", "in-force", "in-force", "ended", "in-force"]),
        (SOUTH, ["signed", "in-force", "in-force", "in-force", "ended", "in-force"]),
        (WEST, [None, None, "in-force", "withdrawn", "withdrawn", "in-force"]),
    ],
)
def test_status_of_each_party_on_each_day(story, party, expected):
    days = ("2015-07-01", "2016-01-01", "2018-06-01", "2019-06-01", "2021-01-01", "2026-01-01")
    assert [of_party(story, party, on) for on in days] == expected


def test_steps_show_roles_instruments_and_those_it_is_in_force_with(story):
    north, south = story.state(TREATY, on="2018-06-01")["parties"][:2]
    assert (north["role"], north["roles"]) == ("host", ["host", "depositary"])
    assert north["steps"][0]["place"] == "Seaport"
    (revoked,) = [step for step in south["steps"] if step["type"] == "agreement.withdrawal-revoked"]
    assert revoked["occurred"] == "2018-03-01"
    west = story.items("/v1/memberships", **{"in": TREATY, "party": WEST, "on": "2018-06-01"})[0]
    acceded, in_force, _ = west["steps"]
    assert (acceded["instrument"], acceded["territory"]) == ("participation", {"en": "The western islands"})
    assert in_force["with"] == [{"subject": NORTH, "name": "Northland"}]


def test_treaty_is_found_by_another_title(story):
    assert [item["subject"] for item in story.items("/v1/search", q="Seaport Accord")] == [TREATY]
    assert [item["subject"] for item in story.items("/v1/agreements", q="海港协定")] == [TREATY]


def test_timeline_has_every_fact_in_the_order_of_valid_time(story):
    told = [item["type"].partition(".")[2] for item in story.items("/v1/timeline", subject=TREATY)]
    assert (told[0], told[-1]) == ("announced", "reinstated")
    (revoked,) = story.items("/v1/timeline", type="agreement.withdrawal-revoked")
    assert revoked["data"] == {"party": {"subject": SOUTH, "name": "Southland"}}


def test_statistics_count_the_statuses_of_a_day(story):
    counted = {on: story.json("/v1/statistics", on=on)["agreements"]["status"] for on in ("2014-06-01", "2026-01-01")}
    assert counted == {"2014-06-01": {"announced": 1}, "2026-01-01": {"in-force": 1}}


def test_csv_has_the_columns_of_the_fields(story):
    (row,) = csv.DictReader(io.StringIO(story.get("/v1/agreements", format="csv").text))
    assert (row["announced"], row["reinstated"], row["depositary"]) == ("2014-03-01", "2025-09-28", NORTH)
    assert json.loads(row["languages"]) == ["en", "zh"]
    (held,) = csv.DictReader(io.StringIO(story.get("/v1/memberships", format="csv", party=NORTH).text))
    assert json.loads(held["roles"]) == ["host", "depositary"]
    (promised,) = csv.DictReader(io.StringIO(story.get("/v1/commitments", format="csv").text))
    assert promised["amount_unit"] == "berths"


def test_history_leads_through_the_states(story):
    for on in ("2014-06-01", "2018-06-01", "2026-01-01", "any"):
        assert_history_leads_through_the_states(story, TREATY, on=on)


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_replay_equals_the_stored_view(story, view):
    _, closing = replayed(story, view)
    assert closing["digest"] == digests(story, view=view)[view]


@pytest.mark.parametrize(
    "refused",
    [
        event("agreement.withdrawal-revoked", TREATY, "2019-06-01", party=WEST),
        event("agreement.reinstated", TREATY, "2016-06-01"),
        event("agreement.ratified", TREATY, "2014-06-01", party=WEST),
        event("agreement.suspended", TREATY, "2022-01-01", party=NORTH),
        event("agreement.commitment-made", TREATY, "2014-01-01", commitment="x", kind="other", title="X"),
    ],
)
def test_contradiction_is_refused_and_names_the_positions_in_the_way(story, refused):
    problem = story.refused(refused, status=409)
    assert problem["positions"]


def test_objection_names_the_reservation(story):
    made = story.took(event("agreement.declaration-made", TREATY, "2015-07-01", party=NORTH, kind="reservation"))
    objection = event("agreement.declaration-made", TREATY, "2015-08-01", party=SOUTH, kind="objection", about=made)
    story.take(objection)
    assert [each.get("about") for each in story.state(TREATY)["declarations"]] == [None, made]
    story.refused({**objection, "data": {**objection["data"], "about": 1}}, status=422)
    story.refused(event("event.retracted", TREATY, event=made, reason="misread"), status=409)


def test_audit_of_the_server_passes(story):
    wait_for_checkpoint(story)
    assert_passes(story.address)


def test_objection_keeps_its_aim_where_positions_move(story):
    lines = story.get("/v1/events", format="ndjson").text.splitlines()
    with served() as other:
        other.parties(3)
        results = [json.loads(line) for line in other.send("\n".join(lines).encode(), NDJSON).text.splitlines()]
        assert all("position" in result for result in results), results
        declared = other.state(TREATY)["declarations"]
        assert [each.get("about") for each in declared] == [None, declared[0]["event"]]
        assert declared[0]["event"] == story.state(TREATY)["declarations"][0]["event"] + 3
