"""A history with `from` and `to`: the changes between two states, at two positions or on two days."""

from __future__ import annotations

import copy
import itertools
import random
from datetime import UTC, datetime
from typing import Any

import jsonpatch
import pytest

from tests.contract.server import Server, event, is_problem
from tests.contract.test_history import loosely

DAYS = ["1999-12-31", "2014-06-01", "2022-12-20", "2023-11-07", "2024-01-21", "2024-02-29", "2026-06-01", "2035-01-01"]
COLLECTIONS = ["parties", "agreements", "labs", "platforms", "documents"]
TO_NULL = [{"op": "replace", "path": "", "value": None}]


def state_of(server: Server, subject: str, **query: Any) -> Any:
    """Return a state without the names of other subjects; None where there is none."""
    answer = server.get(f"/v1/{subject}", **query)
    assert answer.status_code in (200, 308, 404, 410), answer.text
    return loosely(answer.json()) if answer.status_code == 200 else None


def compared(server: Server, subject: str, first: Any, second: Any = None, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = server.json(f"/v1/{subject}/history", from_=first, to=second, **query)
    return found


def turned(state: Any, patch: list[dict[str, Any]]) -> Any:
    return jsonpatch.apply_patch(copy.deepcopy(state), patch)


@pytest.fixture(scope="module")
def subjects(seeded: Server) -> list[str]:
    """Every subject of the seeds."""
    return [item["subject"] for view in COLLECTIONS for item in seeded.items(f"/v1/{view}", on="any")]


# the patch


@pytest.mark.parametrize("on", ["2024-01-21", "2026-06-01", "any"])
def test_between_positions_the_patch_turns_each_state_into_the_other(seeded, subjects, on):
    choice, head, changed = random.Random(on), seeded.head(), 0
    for subject in subjects:
        history = [item["position"] for item in seeded.items(f"/v1/{subject}/history")]
        known = [history[0] - 1, history[0], choice.choice(history), history[-1], head]
        states = {position: state_of(seeded, subject, as_of=position, on=on) for position in known}
        for first, second in itertools.permutations(dict.fromkeys(known), 2):
            if states[first] is states[second] is None and max(first, second) < history[0]:
                continue
            answer = compared(seeded, subject, first, second, on=on)
            assert turned(states[first], answer["patch"]) == states[second], (subject, first, second)
            low, high = sorted((first, second))
            assert answer["events"] == [position for position in history if low < position <= high]
            changed += bool(answer["patch"])
    assert changed > 100


def test_between_days_the_patch_turns_each_state_into_the_other(seeded, subjects):
    changed = 0
    for subject in subjects:
        states = {day: state_of(seeded, subject, on=day) for day in DAYS}
        for first, second in itertools.permutations(DAYS, 2):
            answer = compared(seeded, subject, first, second)
            assert turned(states[first], answer["patch"]) == states[second], (subject, first, second)
            assert answer["events"] == []
            changed += bool(answer["patch"])
    assert changed > 20


def test_between_days_as_it_was_known_at_a_position(seeded, subjects):
    head = seeded.head()
    for subject in subjects[::3]:
        first = seeded.items(f"/v1/{subject}/history")[0]["position"]
        for as_of in {first, (first + head) // 2}:
            answer = compared(seeded, subject, DAYS[0], DAYS[-1], as_of=as_of)
            states = [state_of(seeded, subject, on=day, as_of=as_of) for day in (DAYS[0], DAYS[-1])]
            assert turned(states[0], answer["patch"]) == states[1]
            assert answer["position"] == as_of


def test_difference_includes_corrections_retractions_and_mergers(shared):
    one, two, other = (shared.party(name, identifiers=[{"scheme": "lei", "value": name}]) for name in ("One", "Two", "Three"))  # fmt: skip
    before = shared.head()
    made, joined = shared.take(
        event("platform.launched", (platform := f"platforms/{shared.new('f')}"), "2000-01-01", name="P"),
        event("platform.member-joined", platform, "2001-01-01", party=two),
    )
    shared.take(event("event.corrected", platform, event=joined, reason="R", data={"party": one}))
    corrected = shared.head()
    merged = shared.took(event("party.merged", one, into=other))
    parted = shared.took(event("event.retracted", one, event=merged, reason="R"))
    retracted = shared.took(event("event.retracted", platform, event=joined, reason="R"))
    gone = shared.took(event("event.retracted", platform, event=made, reason="R"))
    marks = [before, made, joined, corrected, merged, parted, retracted, gone]
    states = {mark: state_of(shared, platform, as_of=mark, on="any") for mark in marks}
    assert states[before] is states[gone] is None
    for first, second in itertools.permutations(marks, 2):
        answer = compared(shared, platform, first, second, on="any")
        assert turned(states[first], answer["patch"]) == states[second], (first, second)
    assert compared(shared, platform, corrected, merged, on="any")["events"] == [merged]
    assert compared(shared, one, parted - 2, merged)["patch"] == TO_NULL, "it is another from then on"
    assert compared(shared, one, merged, parted)["patch"][0]["value"]["subject"] == one


# what is said beside it


def test_difference_names_both_of_its_moments(shared):
    party = shared.party("One")
    made = shared.head()
    renamed = shared.took(event("party.renamed", party, "2020-01-01", name="Two"))
    answer = compared(shared, party, made, renamed, on="2021-01-01")
    assert {name: answer[name] for name in ("subject", "position", "from", "to", "events")} == {
        "subject": party,
        "position": renamed,
        "from": {"as_of": made, "on": "2021-01-01"},
        "to": {"as_of": renamed, "on": "2021-01-01"},
        "events": [renamed],
    }
    assert {"op": "replace", "path": "/name", "value": "Two"} in answer["patch"]
    backwards = compared(shared, party, renamed, made, on="2021-01-01")
    assert (backwards["from"], backwards["to"]) == (answer["to"], answer["from"])
    assert (backwards["position"], backwards["events"]) == (renamed, [renamed])
    days = compared(shared, party, "2019-12-31", "2020-01-01", as_of=renamed)
    assert days["from"] == {"as_of": renamed, "on": "2019-12-31"}
    assert days["to"] == {"as_of": renamed, "on": "2020-01-01"}
    assert {"op": "replace", "path": "/name", "value": "Two"} in days["patch"]
    assert compared(shared, party, made, renamed, on="any")["to"] == {"as_of": renamed, "on": "any"}


def test_difference_without_a_second_moment_ends_now_or_today(shared):
    party = shared.party("One")
    made = shared.head()
    shared.take(event("party.renamed", party, "2020-01-01", name="Two"))
    day_before = datetime.now(UTC).date().isoformat()
    known, held = compared(shared, party, made), compared(shared, party, "2019-01-01")
    today = {day_before, datetime.now(UTC).date().isoformat()}
    assert known["to"]["as_of"] == shared.head()
    assert held["to"]["as_of"] == shared.head()
    assert known["from"]["on"] == known["to"]["on"]
    assert held["to"]["on"] in today
    assert known["from"]["on"] in today


def test_moments_of_a_difference_may_be_instants(shared):
    party = shared.party("One")
    made = shared.json(f"/v1/events/{shared.head()}")
    renamed = shared.json(f"/v1/events/{shared.took(event('party.renamed', party, name='Two'))}")
    answer = compared(shared, party, made["recorded"], renamed["recorded"])
    assert (answer["from"]["as_of"], answer["to"]["as_of"]) == (made["position"], renamed["position"])
    mixed = compared(shared, party, made["position"], renamed["recorded"])
    assert mixed == answer


def test_patches_contain_no_names_of_other_subjects(shared):
    other = shared.party("Very Unlikely Name")
    part = shared.party("Part", part_of=other)
    answer = shared.get(f"/v1/{part}/history", from_=0)
    assert "Very Unlikely Name" not in answer.text
    assert {"subject": other} in answer.json()["patch"][0]["value"].values()


def test_difference_between_equal_states_is_an_empty_patch(shared):
    party = shared.party()
    head = shared.head()
    shared.party()
    answer = compared(shared, party, head, head + 1)
    assert (answer["patch"], answer["events"]) == ([], [])
    assert compared(shared, party, head, head)["patch"] == []


def test_long_list_of_events_is_cut_with_the_address_of_the_whole(server):
    party = server.party()
    server.imported([event("party.name-added", party, name=f"Name {n}") for n in range(1100)])
    answer = compared(server, party, 1)
    assert answer["events"] == list(range(2, 1002))
    assert [item["position"] for item in server.items(answer["more"])] == list(range(1, 1102))
    assert "more" not in compared(server, party, 101)


# asking wrongly


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("to=3", {"from"}), ("to=2024-01-01", {"from"}),
        ("from=1&to=2024-01-01", {"to"}), ("from=2024-01-01&to=1", {"to"}), ("from=2024-01-01&to=2024-01-01T00:00:00Z", {"to"}), ("from=2024-01-01T00:00:00Z&to=2024-01-01", {"to"}),
        ("from=x", {"from"}), ("from=-1", {"from"}), ("from=01", {"from"}), ("from=1.5", {"from"}), ("from=", {"from"}), ("from=%20", {"from"}), ("from=any", {"from"}), ("from=2024-01", {"from"}),
        ("from=2023-02-30", {"from"}), ("from=2024-01-01&to=2023-02-29", {"to"}), ("from=2024-01-01&to=any", {"to"}), ("from=1&to=y", {"to"}), ("from=x&to=y", {"from", "to"}),
        ("from=2023-02-30T00:00:00Z", {"from"}), ("from=99999999", {"from"}), ("from=1&to=99999999", {"to"}), ("from=9999-12-31T00:00:00Z", {"from"}), ("from=1&from=2", {"from"}),
        ("from=1&limit=5", {"limit"}), ("from=1&cursor=x", {"cursor"}), ("from=1&limit=5&cursor=x&to=z", {"limit", "cursor", "to"}), ("from=1&limit=x", {"limit"}),
        ("from=1&as_of=2", {"as_of"}), ("from=2024-01-01&on=2024-01-01", {"on"}), ("from=1&on=x", {"on"}), ("from=2024-01-01&as_of=99999999", {"as_of"}),
        ("from=1&colour=red", {"colour"}), ("from=1&q=x", {"q"}), ("from=%00", {"from"}), ("from=" + "1" * 5000, {"from"}), ("from=%F0%9F%98%80", {"from"}), ("from=2024-01-01%0a", {"from"}),
    ],
)  # fmt: skip
def test_invalid_queries_are_refused(seeded, query, wrong):
    problem = is_problem(seeded.get(f"/v1/parties/catl/history?{query}"), 422)
    assert {error["parameter"] for error in problem["errors"]} == wrong


def test_a_difference_has_one_form(seeded):
    for accept in ("text/csv", "application/x-ndjson", "image/png"):
        is_problem(seeded.get("/v1/parties/catl/history?from=1", headers={"Accept": accept}), 406)


def test_difference_of_an_unknown_subject_is_404(shared):
    is_problem(shared.get("/v1/parties/never-made/history?from=0"), 404)
    is_problem(shared.get("/v1/parties/NO/history?from=0"), 404)
    party = shared.party()
    is_problem(shared.get(f"/v1/{party}/history?from=0&to={shared.head() - 1}"), 404)


def test_survivor_answers_for_a_party_merged_before_both_moments(shared):
    loser, kept = shared.party("Loser"), shared.party("Kept")
    merged = shared.took(event("party.merged", loser, into=kept))
    shared.take(event("party.renamed", kept, name="Kept & Co"))
    answer = shared.get(f"/v1/{loser}/history?from={merged}&on=any")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"/v1/{kept}/history?from={merged}&on=any")
    assert shared.get(answer.headers["Location"]).status_code == 200


def test_differences_without_moments_are_the_history_list(seeded):
    page = seeded.json("/v1/parties/catl/history?limit=2&on=any")
    assert list(page) == ["items", "next", "position"]
    assert len(page["items"]) == 2


# keeping


def test_difference_with_a_matching_etag_is_not_sent_again(seeded):
    for query in ("from=1&to=60", "from=2020-01-01&to=2024-06-01"):
        address = f"/v1/platforms/casip/history?{query}"
        first = seeded.get(address)
        again = seeded.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert not first.headers["ETag"].startswith("W/")
        assert seeded.get(address, headers={"If-None-Match": '"other"'}).content == first.content


def test_difference_up_to_now_includes_new_events(server):
    party = server.party("One")
    answer = server.get(f"/v1/{party}/history?from=0")
    server.take(event("party.renamed", party, "2020-01-01", name="Two"))
    later = server.get(f"/v1/{party}/history?from=0", headers={"If-None-Match": answer.headers["ETag"]})
    assert later.status_code == 200
    assert (answer.json()["events"], later.json()["events"]) == ([1], [1, 2])


def test_difference_between_positions_ignores_accept_datetime(seeded):
    sent = {"Accept-Datetime": "Sat, 01 Jan 2000 00:00:00 GMT"}
    for query in ("from=1&to=60", "from=1"):
        plain = seeded.get(f"/v1/platforms/casip/history?{query}")
        answer = seeded.get(f"/v1/platforms/casip/history?{query}", headers=sent)
        assert answer.content == plain.content
        assert answer.headers["Vary"] == "Accept"
        assert "Memento-Datetime" not in answer.headers
