"""A contract from its announcement to its end, posted from the file that the guide names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.server import BATCH, served

STORY = Path(__file__).parents[2] / "examples" / "plant-contract.json"
CONTRACT = "agreements/plant-contract"


@pytest.fixture(scope="module")
def story():
    """Serve the story, posted as one batch."""
    with served() as server:
        answer = server.send(STORY.read_bytes(), BATCH)
        assert answer.status_code == 201, answer.text
        yield server


@pytest.mark.parametrize(
    ("on", "status", "certainty"),
    [
        ("2020-12-01", "announced", "certain"),
        ("2021-03-15", "signed", "certain"),
        ("2021-04-01", "in-force", "certain"),
        ("2025-12-31", "in-force", "certain"),
        ("2026-01-31", "in-force", "certain"),
        ("2026-02-01", "terminated", "certain"),
    ],
)
def test_status_on_each_day(story, on, status, certainty):
    state = story.state(CONTRACT, on=on)
    assert (state["status"], state["certainty"]) == (status, certainty)


@pytest.mark.parametrize(
    ("on", "plant", "land"),
    [
        ("2021-04-01", "planned", "planned"),
        ("2021-12-31", "planned", "fulfilled"),
        ("2023-01-01", "in-progress", "fulfilled"),
        ("2024-05-20", "fulfilled", "fulfilled"),
    ],
)
def test_commitments_on_each_day(story, on, plant, land):
    state = story.state(CONTRACT, on=on)
    assert {each["commitment"]: each["status"] for each in state["commitments"]} == {"plant": plant, "land": land}


def test_term_scope_and_roles(story):
    before, after = story.state(CONTRACT, on="2022-05-31"), story.state(CONTRACT, on="2024-02-01")
    assert (before["until"], before["scope"]) == ("2025-12-31", ["battery cells"])
    assert (after["until"], set(after["scope"])) == ("2027-12-31", {"battery cells", "recycling"})
    assert {each["party"]["name"]: each["role"] for each in after["parties"]} == {
        "Lakeside Cells": "investor",
        "City of Lakeside": "host",
    }


def test_passage_of_a_document_without_a_text_is_unverified(story):
    cited = story.state(CONTRACT, evidence="full")["evidence"]
    (passage,) = [each for passages in cited.values() for each in passages]
    assert passage["status"] == "unverified"


def test_evidence_of_the_announcement_has_its_note(story):
    state = story.state(CONTRACT, on="2020-12-01", evidence="full")
    assert list(state["notes"].values()) == ["Said at a press conference."]
