"""Section 5: the history of a subject, with patches that turn each state into the next; the timeline."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import jsonpatch
import pytest

from tests.contract.server import SHA, Server, event, is_problem


def nameless(value):
    """Return a state as patches see it: without the names of other subjects."""
    if isinstance(value, list):
        return [nameless(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"subject", "name"}:
        return {"subject": value["subject"]}
    return {key: nameless(each) for key, each in value.items()}


def loosely(value):
    """Return a state or reference without the parts that depend on the form of references inside list items."""
    if isinstance(value, list):
        return [loosely(each) for each in value]
    if isinstance(value, dict):
        refers = "subject" in value and "version" not in value
        return {key: loosely(each) for key, each in value.items() if not (refers and key == "name")}
    return value


def replayed(server: Server, subject: str, **query) -> list[tuple[int, dict]]:
    """Apply the patches of a history in order; return the states by position."""
    state: Any = {}
    found = []
    for item in server.items(f"/v1/{subject}/history", **query):
        before = copy.deepcopy(state)
        state = jsonpatch.apply_patch(state, item["patch"])
        if not item["patch"]:
            assert state == before
        found.append((item["position"], copy.deepcopy(state)))
    return found


def assert_history_leads_through_the_states(server: Server, subject: str, **query) -> None:
    for position, state in replayed(server, subject, **query):
        answer = server.get(f"/v1/{subject}", as_of=position, **query)
        if answer.status_code == 200:
            assert loosely(state) == loosely(answer.json()), (position, query)
        else:
            assert answer.status_code in (308, 404, 410)
            assert not state


@pytest.fixture(scope="module")
def long_story(shared):
    """Record a long story of an agreement and a party, with corrections, retractions, disputes and evidence."""
    one, two, three = shared.parties(3)
    document, agreement, party = (
        f"documents/{shared.new('d')}",
        f"agreements/{shared.new('a')}",
        f"parties/{shared.new('p')}",
    )
    passage = [{"document": document, "exact": "x"}]
    shared.take(
        event("document.registered", document, title="D", sha256=SHA),
        event("party.registered", party, name="X", kind="company", part_of=one),
    )
    take = shared.take
    made, signing, ratified, _ = take(
        event("agreement.adopted", agreement, "2000-01-01", title="T", kind="treaty", scope=["a"], evidence=passage),
        event("agreement.signed", agreement, "2001-01-01", parties=[{"party": one}, {"party": two, "role": "host"}]),
        event("agreement.ratified", agreement, "2002-01-01", party=one),
        event("agreement.acceded", agreement, "2003", party=three),
    )
    take(
        event("agreement.entered-into-force", agreement, "2004-01-01"),
        event("agreement.commitment-made", agreement, "2004-02-01", commitment="c", kind="other", title="C", by=[one]),
    )
    correction = take(event("event.corrected", agreement, event=ratified, reason="R", occurred="2002-06-01"))[0]
    take(
        event(
            "event.disputed",
            agreement,
            event=signing,
            claims=[{"pointer": "/occurred", "value": "2001-02-01"}],
            evidence=passage,
        )
    )
    take(
        event("evidence.added", agreement, event=signing, evidence=passage),
        event("event.retracted", agreement, event=correction, reason="R"),
    )
    take(
        event("agreement.withdrawn", agreement, "2010-01-01", party=three),
        event(
            "agreement.amended",
            agreement,
            "2011-01-01",
            summary="S",
            title="T/2~",
            scope_added=["b/c"],
            scope_removed=["a"],
        ),
    )
    take(
        event(
            "event.corrected",
            agreement,
            event=made,
            reason="R",
            data={"title": "TT", "kind": "treaty", "summary": "New"},
        ),
        event("agreement.terminated", agreement, "2030-01-01", reason="completed"),
    )
    take(
        event("party.renamed", party, "2005-01-01", name="Y"),
        event("party.reorganized", party, "2006-01-01", part_of=two),
        event("party.identified", party, scheme="lei", value="1"),
    )
    return agreement, party


@pytest.mark.parametrize("query", [{}, {"on": "2002-03-01"}, {"on": "2005-01-01"}, {"on": "2031-01-01"}, {"on": "any"}])
def test_patches_turn_each_state_into_the_next(shared, long_story, query):
    for subject in long_story:
        assert_history_leads_through_the_states(shared, subject, **query)


def test_patches_of_a_subject_retracted_and_created_again(shared):
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name="X", kind="company"))
    shared.take(event("event.retracted", party, event=made, reason="R"))
    shared.take(event("party.registered", party, name="Y", kind="state"))
    assert_history_leads_through_the_states(shared, party)
    assert [item["type"] for item in shared.items(f"/v1/{party}/history")] == [
        "party.registered",
        "event.retracted",
        "party.registered",
    ]


def test_patches_of_a_member_list_past_its_limit(shared):
    platform = f"platforms/{shared.new('f')}"
    parties = shared.parties(115)
    random.Random(1).shuffle(parties)
    shared.take(event("platform.launched", platform, "2000-01-01", name="P"))
    shared.imported([event("platform.member-joined", platform, "2001-01-01", party=party) for party in parties])
    shared.take(event("platform.member-left", platform, "2002-01-01", party=parties[0]))
    found = replayed(shared, platform)
    assert len(found) == 117
    for position, state in found[-20:]:
        there = shared.state(platform, as_of=position)
        for each in (state, there):
            each.pop("more", None)
        assert loosely(state) == loosely(there), position


def test_patches_contain_no_names_of_other_subjects(shared):
    other = shared.party("Very Unlikely Name")
    part = shared.party("Part", part_of=other)
    patches = [item["patch"] for item in shared.items(f"/v1/{part}/history")]
    assert "Very Unlikely Name" not in json.dumps(patches)


def test_history_item_has_actor_times_and_evidence(shared, long_story):
    agreement, _ = long_story
    first, *_ = shared.items(f"/v1/{agreement}/history")
    stored = shared.json(f"/v1/events/{first['position']}")
    for name in ("type", "source", "id", "recorded", "actor", "occurred", "version"):
        assert first[name] == stored[name], name
    assert first["evidence"][0]["exact"] == "x"
    versions = [item["version"] for item in shared.items(f"/v1/{agreement}/history")]
    assert versions == list(range(1, len(versions) + 1))


def test_a_history_as_of_a_position_ends_there_and_pages_like_a_list(shared, long_story):
    agreement, _ = long_story
    whole = shared.items(f"/v1/{agreement}/history")
    cut = whole[4]["position"]
    assert [item["position"] for item in shared.items(f"/v1/{agreement}/history", as_of=cut)] == [
        item["position"] for item in whole[:5]
    ]
    paged = [item for page in shared.pages(f"/v1/{agreement}/history", limit=3) for item in page["items"]]
    assert paged == whole


def test_history_of_an_unknown_subject_is_404(shared):
    is_problem(shared.get("/v1/parties/never-made/history"), 404)


def test_history_of_a_subject_that_answers_410_is_still_readable(shared):
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name="X", kind="company"))
    shared.take(event("event.retracted", party, event=made, reason="R"))
    assert shared.get(f"/v1/{party}").status_code == 410
    assert [item["type"] for item in shared.items(f"/v1/{party}/history")] == ["party.registered", "event.retracted"]


# The timeline


def test_timeline_lists_events_in_the_order_of_valid_time(shared, long_story):
    agreement, _ = long_story
    lines = shared.items("/v1/timeline", subject=agreement)
    assert [line["occurred"] for line in lines] == [
        "2000-01-01",
        "2001-01-01",
        "2002-01-01",
        "2003",
        "2004-01-01",
        "2004-02-01",
        "2010-01-01",
        "2011-01-01",
        "2030-01-01",
    ]
    assert lines[0]["data"]["title"] == "TT", "as corrected"
    assert not [line for line in lines if line["type"].startswith(("event.", "evidence."))], (
        "what happened in the world"
    )
    past = shared.items("/v1/timeline", subject=agreement, on="2003-06-01")
    assert [line["occurred"] for line in past] == ["2000-01-01", "2001-01-01", "2002-01-01", "2003"]
    assert [line["certainty"] for line in past][-1] == "possible"


def test_retracted_facts_leave_the_timeline(shared):
    party = shared.party()
    named = shared.took(event("party.name-added", party, "2001-01-01", name="N"))
    at = shared.took(event("event.retracted", party, event=named, reason="R"))
    assert named not in [line["position"] for line in shared.items("/v1/timeline", subject=party)]
    assert named in [line["position"] for line in shared.items("/v1/timeline", subject=party, as_of=at - 1)]


def test_any_order_of_the_same_facts_gives_the_same_state(shared):
    """Creating events first where references need them; everything else shuffled; positions, versions and instants left
    out.
    """
    parties = shared.parties(4)
    dates = ["2001", "2002-05", "2003-03-03", None, "2004/2006", "2005~"]
    choice = random.Random(5)
    name = shared.new("x")

    def facts(subject):
        steps = [("agreement.ratified", {"party": parties[0]}), ("agreement.acceded", {"party": parties[1]}), ("agreement.withdrawn", {"party": parties[0]}),
                 ("agreement.entered-into-force", {}), ("agreement.entered-into-force", {"party": parties[1]}), ("agreement.suspended", {}), ("agreement.resumed", {}),
                 ("agreement.amended", {"summary": "S", "title": "New"}), ("agreement.renewed", {"until": "2030"}), ("agreement.commitment-made", {"commitment": "c", "kind": "other", "title": "C"}),
                 ("agreement.declaration-made", {"party": parties[2], "kind": "objection", "text": "No"}), ("agreement.signed", {"parties": [{"party": parties[2]}, {"party": parties[3]}]})]  # fmt: skip
        return [
            {**event(type_, subject, dates[index % len(dates)], **data), "id": f"{index}"}
            for index, (type_, data) in enumerate(steps)
        ]

    seen = []
    for attempt in range(4):
        subject = f"agreements/{shared.new('a')}"
        rest = [{**given, "source": f"https://x.example/{name}/{attempt}"} for given in facts(subject)]
        choice.shuffle(rest)
        maker = {
            **event("agreement.adopted", subject, "2000", title="T", kind="treaty"),
            "source": f"https://x.example/{name}/{attempt}",
            "id": "made",
        }
        shared.imported([maker, *rest])

        def clean(value, subject=subject):
            if isinstance(value, dict):
                return {
                    key: clean(each)
                    for key, each in value.items()
                    if key not in ("position", "version", "events", "event", "recorded")
                }
            return (
                [clean(each) for each in value] if isinstance(value, list) else ("SELF" if value == subject else value)
            )

        seen.append(
            [
                clean(shared.state(subject, on=day))
                for day in ("2000-06-01", "2003-01-01", "2004-07-01", "2005-06-01", "2007-01-01", "2031-01-01", "any")
            ]
        )
    assert all(states == seen[0] for states in seen)
