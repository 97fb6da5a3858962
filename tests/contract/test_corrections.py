"""Section 3: corrections, retractions, disputes, later evidence and mergers, queried before and after each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.server import SHA, event, is_problem, pointers


def launched(server, occurred="2010-01-01", **data):
    subject = f"platforms/{server.new('f')}"
    return subject, server.took(event("platform.launched", subject, occurred, **{"name": "P", **data}))


def corrected(subject, position, /, **what):
    given = event("event.corrected", subject, event=position, reason="Misread.")
    given["data"] |= what
    return given


def retracted(subject, position):
    return event("event.retracted", subject, event=position, reason="Not so.")


# Corrections


def test_a_correction_replaces_the_data_and_leaves_the_date(shared):
    subject, made = launched(shared, purpose="Old", place="X")
    at = shared.took(corrected(subject, made, data={"name": "Q", "purpose": "New"}))
    now, then = shared.state(subject), shared.state(subject, as_of=at - 1)
    assert (now["name"], now["purpose"], now["launched"]) == ("Q", "New", "2010-01-01")
    assert "place" not in now, "replaces all of it"
    assert (then["name"], then["purpose"], then["place"]) == ("P", "Old", "X")
    assert now["version"] == 2
    assert now["position"] == at


def test_a_correction_of_the_date_leaves_the_data(shared):
    subject, made = launched(shared, purpose="Old")
    shared.take(corrected(subject, made, occurred="2009-01-01"))
    assert (shared.state(subject)["launched"], shared.state(subject)["purpose"]) == ("2009-01-01", "Old")
    shared.take(corrected(subject, made, occurred=None))
    state = shared.state(subject)
    assert state.get("launched") is None
    assert state["certainty"] == "certain", "it has happened by its recording"
    assert shared.state(subject, on="2008-12-31")["certainty"] == "possible"


def test_evidence_and_note_stay_unless_given(shared):
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="D", sha256=SHA))
    subject, made = launched(shared, note="A note", evidence=[{"document": document, "exact": "first passage"}])
    shared.take(corrected(subject, made, data={"name": "Q"}))
    assert "first passage" in json.dumps(shared.state(subject, evidence="full"))
    shared.take(
        corrected(subject, made, data={"name": "R", "evidence": [{"document": document, "exact": "second passage"}]})
    )
    said = json.dumps(shared.state(subject, evidence="full"))
    assert "second passage" in said
    assert "first passage" not in said


def test_patch_changes_the_fields_that_it_gives_and_takes_away_those_that_are_null(shared):
    subject = f"platforms/{shared.new()}"
    made = shared.took(event("platform.launched", subject, "2020", name="P", place="Here", purpose="Old"))
    first = shared.took(corrected(subject, made, data_patch={"purpose": "New", "place": None}))
    second = shared.took(corrected(subject, made, data_patch={"name": "Q"}))
    state = shared.state(subject)
    assert (state["name"], state["purpose"], "place" in state) == ("Q", "New", False)
    shared.take(event("event.retracted", subject, event=first, reason="Wrong."))
    state = shared.state(subject)
    assert (state["name"], state["purpose"], state["place"]) == ("Q", "Old", "Here")
    before = shared.state(subject, as_of=second)
    assert (before["name"], before["purpose"], "place" in before) == ("Q", "New", False)


def test_patch_of_a_correction_stands_in_the_way_of_retracting_it(shared):
    subject = f"agreements/{shared.new()}"
    shared.take(event("party.registered", f"parties/{subject.partition('/')[2]}", name="A", kind="company"))
    signing = {"title": "T", "kind": "contract", "parties": [{"party": f"parties/{subject.partition('/')[2]}"}]}
    made = shared.took(event("agreement.signed", subject, "2020", **signing))
    step = shared.took(event("agreement.commitment-made", subject, commitment="x", kind="other", title="X"))
    whole = {"commitment": "x", "kind": "other", "title": "X", "amount": {"value": "1", "currency": "EUR"}}
    first = shared.took(corrected(subject, step, data=whole))
    patch = shared.took(corrected(subject, step, data_patch={"amount": {"value": "2"}}))
    answer = shared.post(event("event.retracted", subject, event=first, reason="Wrong."))
    assert answer.status_code == 409
    assert {first, patch} & set(answer.json()["positions"])
    assert made < step


def test_the_latest_standing_correction_wins_field_by_field(shared):
    subject, made = launched(shared)
    first = shared.took(corrected(subject, made, data={"name": "One"}, occurred="2001-01-01"))
    second = shared.took(corrected(subject, made, data={"name": "Two"}))
    third = shared.took(corrected(subject, made, occurred="2003-01-01"))
    seen = lambda **query: (shared.state(subject, **query)["name"], shared.state(subject, **query)["launched"])  # noqa: E731
    assert seen() == ("Two", "2003-01-01")
    assert seen(as_of=second) == ("Two", "2001-01-01")
    assert seen(as_of=first) == ("One", "2001-01-01")
    shared.take(retracted(subject, second))
    assert seen() == ("One", "2003-01-01")
    shared.take(retracted(subject, third))
    assert seen() == ("One", "2001-01-01")
    shared.take(retracted(subject, first))
    assert seen() == ("P", "2010-01-01")


def test_a_correction_of_a_correction_is_itself_corrected(shared):
    subject, made = launched(shared)
    first = shared.took(corrected(subject, made, data={"name": "One"}))
    answer = shared.post(corrected(subject, first, data={"event": made, "reason": "Misread.", "data": {"name": "Two"}}))
    assert answer.status_code in (201, 409, 422), answer.text
    if answer.status_code == 201:
        assert shared.state(subject)["name"] == "Two"


@pytest.mark.parametrize(
    "what",
    [
        {"data": {}},
        {"data": {"name": 7}},
        {"data": {"name": "X", "colour": "red"}},
        {"occurred": "2023-02-30"},
        {"data": {"name": "X", "convened_by": ["parties/none"]}},
        {},
    ],
)
def test_correction_must_give_valid_data(shared, what):
    subject, made = launched(shared)
    problem = shared.refused(corrected(subject, made, **what), status=422)
    wanted = "/data/occurred" if "occurred" in what else "/data/data" if "data" in what else "/data"
    assert any(pointer.startswith(wanted) for pointer in pointers(problem)), problem


@pytest.mark.parametrize("type_", ["event.corrected", "event.retracted", "event.disputed", "evidence.added"])
def test_corrected_event_must_be_of_the_same_subject(shared, type_):
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="D", sha256=SHA))
    subject, _ = launched(shared)
    _, other = launched(shared)
    passage = [{"document": document, "exact": "x"}]
    every: dict[str, dict[str, Any]] = {
        "event.corrected": {"reason": "R", "data": {"name": "X"}},
        "event.retracted": {"reason": "R"},
        "event.disputed": {"claims": [{"pointer": "/data/name", "value": "Y"}], "evidence": passage},
        "evidence.added": {"evidence": passage},
    }
    data = every[type_]
    for position in (other, 10**9, shared.head() + 1):
        problem = shared.refused(event(type_, subject, event=position, **data), status=422)
        assert "/data/event" in pointers(problem)
    for position in (0, -1, "1", 1.5, None):
        assert "/data/event" in pointers(shared.refused(event(type_, subject, event=position, **data), status=422))


def test_correction_is_checked_against_the_corrected_history(shared):
    party = shared.party()
    subject, made = launched(shared, "2010-01-01")
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    assert joined in shared.refused(corrected(subject, made, occurred="2013-01-01"), status=409)["positions"]
    assert made in shared.refused(corrected(subject, joined, occurred="2009-01-01"), status=409)["positions"]
    shared.take(corrected(subject, made, occurred="2008-01-01"), corrected(subject, joined, occurred="2009-01-01"))


def test_correction_of_a_date_moves_memberships_to_other_days(shared):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    at = shared.took(corrected(subject, joined, occurred="2015-01-01"))

    def held(day, **query):
        return [item["party"]["subject"] for item in shared.items("/v1/memberships", in_=subject, on=day, **query)]

    assert held("2013-01-01") == []
    assert held("2013-01-01", as_of=at - 1) == [party]
    assert held("2016-01-01") == [party]


def test_a_correction_may_name_another_party(shared):
    one, two = shared.parties(2)
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=one))
    at = shared.took(corrected(subject, joined, data={"party": two}))

    def held(**query):
        return [
            item["party"]["subject"] for item in shared.items("/v1/memberships", in_=subject, on="2013-01-01", **query)
        ]

    assert (held(), held(as_of=at - 1)) == ([two], [one])


# Retractions


def test_a_retraction_undoes_from_its_position_on(shared):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    at = shared.took(retracted(subject, joined))
    assert shared.items("/v1/memberships", in_=subject, on="any") == []
    assert len(shared.items("/v1/memberships", in_=subject, on="any", as_of=at - 1)) == 1
    stored = shared.json(f"/v1/events/{joined}")
    assert stored["data"] == {"party": party}, "nothing is ever changed or removed"


def test_a_retraction_can_be_retracted(shared):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    at = shared.took(retracted(subject, joined))
    answer = shared.post(retracted(subject, at))
    assert answer.status_code == 201, answer.text
    assert len(shared.items("/v1/memberships", in_=subject, on="2013-01-01")) == 1
    assert shared.items("/v1/memberships", in_=subject, on="2013-01-01", as_of=at) == []


def test_retraction_of_a_first_event_is_refused_with_the_positions_that_depend_on_it(shared):
    party = shared.party()
    subject, made = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    assert joined in shared.refused(retracted(subject, made), status=409)["positions"]


def test_a_retracted_party_that_is_referred_to_is_refused(shared):
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name="X", kind="company"))
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    assert joined in shared.refused(retracted(party, made), status=409)["positions"]
    shared.take(retracted(subject, joined))
    shared.take(retracted(party, made))
    is_problem(shared.get(f"/v1/{party}"), 410)


def test_a_retracted_opening_is_refused(shared):
    agreement = f"agreements/{shared.new('a')}"
    shared.take(event("agreement.adopted", agreement, title="T", kind="treaty"))
    made, updated = shared.take(
        event("agreement.commitment-made", agreement, commitment="c", kind="other", title="C"),
        event("agreement.commitment-updated", agreement, commitment="c", status="fulfilled"),
    )
    assert updated in shared.refused(retracted(agreement, made), status=409)["positions"]
    shared.refused(corrected(agreement, made, data={"commitment": "d", "kind": "other", "title": "C"}), status=409)


def test_subject_without_current_events_answers_410_and_may_be_created_again(shared):
    word = shared.new("w").replace("-", "")
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name=word, kind="company"))
    at = shared.took(retracted(party, made))
    is_problem(shared.get(f"/v1/{party}"), 410)
    assert shared.state(party, as_of=at - 1)["name"] == word
    assert shared.items("/v1/parties", q=word) == []
    assert len(shared.items("/v1/parties", q=word, as_of=at - 1)) == 1
    subject, _ = launched(shared)
    shared.refused(event("platform.member-joined", subject, "2012-01-01", party=party), status=422)
    answer = shared.post(event("party.registered", party, name="Again", kind="state"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["version"] == 3, "versions go on"
    assert shared.state(party)["name"] == "Again"
    assert shared.state(party)["version"] == 3


def test_if_none_match_accepts_a_subject_that_answers_410(shared):
    """Its version goes on, so `If-None-Match` and `If-Match` are both valid; neither causes an internal error."""
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name="X", kind="company"))
    shared.take(retracted(party, made))
    assert shared.post(
        event("party.registered", party, name="X", kind="company"), validate=True, If_None_Match="*"
    ).status_code in (201, 412)


# Disputes


def dispute(subject, position, document, /, **claims):
    return event(
        "event.disputed",
        subject,
        event=position,
        claims=[{"pointer": pointer.replace("_", "/"), "value": value} for pointer, value in claims.items()],
        evidence=[{"document": document, "exact": "otherwise"}],
    )


@pytest.fixture
def document(shared):
    subject = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", subject, title="D", sha256=SHA))
    return subject


def test_both_claims_of_a_dispute_are_shown_until_it_is_retracted(shared, document):
    subject, made = launched(shared, purpose="Old")
    at = shared.took(dispute(subject, made, document, _data_purpose="Other"))
    state = shared.state(subject)
    assert state["purpose"] == "Old"
    shown = state["disputed"]
    assert [(item["pointer"], item["value"], item["position"]) for item in shown] == [("/data/purpose", "Other", at)]
    assert "disputed" not in shared.state(subject, as_of=at - 1)
    (line,) = [item for item in shared.items("/v1/timeline", subject=subject) if item["position"] == made]
    assert line["disputed"][0]["value"] == "Other"
    (past, *_) = shared.items(f"/v1/{subject}/history")
    assert past["position"] == made
    assert past["disputed"][0]["value"] == "Other"
    shared.take(retracted(subject, at))
    assert not shared.state(subject).get("disputed")


def test_dispute_about_a_membership_is_shown_with_the_membership(shared, document):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party, category="car maker"))
    shared.take(dispute(subject, joined, document, _data_category="cell maker"))
    (tie,) = shared.items("/v1/memberships", in_=subject, on="2013-01-01")
    assert tie["category"] == "car maker"
    assert [item["value"] for item in tie["disputed"]] == ["cell maker"]
    (member,) = shared.state(subject, on="2013-01-01")["members"]
    assert [item["value"] for item in member["disputed"]] == ["cell maker"]


def test_disputed_date_is_one_more_possible_date(shared, document):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    at = shared.took(dispute(subject, joined, document, _occurred="2015-01-01"))

    def held(day, **query):
        return [item["certainty"] for item in shared.items("/v1/memberships", in_=subject, on=day, **query)]

    assert held("2011-12-31") == []
    assert held("2012-06-01") == ["possible"]
    assert held("2012-06-01", as_of=at - 1) == ["certain"]
    assert held("2015-01-01") == ["certain"]
    shared.take(retracted(subject, at))
    assert held("2012-06-01") == ["certain"]


def test_disputed_event_may_be_the_one_that_is_retracted(shared, document):
    party = shared.party()
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=party))
    shared.take(dispute(subject, joined, document, _occurred="2015-01-01"))
    shared.take(retracted(subject, joined))
    assert shared.items("/v1/memberships", in_=subject, on="any") == []


@pytest.mark.parametrize(
    "claims",
    [
        [],
        [{"pointer": "data/name", "value": "X"}],
        [{"pointer": "/occurred", "value": "2023-02-30"}],
        [{"pointer": "/id", "value": "x"}],
        [{"pointer": "/data/name"}],
        [{"pointer": "/type", "value": "x"}],
    ],
)
def test_wrong_claims(shared, document, claims):
    subject, made = launched(shared)
    given = event("event.disputed", subject, event=made, claims=claims, evidence=[{"document": document, "exact": "x"}])
    found = pointers(shared.refused(given, status=422))
    assert any(pointer.startswith("/data/claims") for pointer in found), found


@pytest.mark.parametrize(
    ("pointer", "value", "at"),
    [
        ("/data/name", 1.5, "value"),
        ("/data/name", {"events": ["boom"]}, "value"),
        ("/data/name", {"en": "a", "EN": "b"}, "value"),
        ("/data/name", None, "value"),
        ("/data/place/en", {"a": 1}, "pointer"),
        ("/data/target_date", "soon", "value"),
        ("/data/convened_by", {"a": 1}, "value"),
        ("/data/convened_by", ["agreements/a"], "value"),
        ("/data/convened_by", ["parties/nobody"], "value"),
        ("/data/convened_by/0", "parties/nobody", "value"),
        ("/data/convened_by/\u0660", "parties/nobody", "pointer"),
        ("/data/convened_by/\u00b2", "parties/nobody", "pointer"),
        ("/data/convened_by/00", "parties/nobody", "pointer"),
        ("/data/evidence", [{"document": "documents/x", "note": None}], "value"),
        ("/data/kind", "charter", "pointer"),
        ("/occurred", {"a": 1}, "value"),
        ("/id", {"a": 1}, "pointer"),
    ],
)
def test_a_refused_claim_names_its_one_flaw(shared, document, pointer, value, at):
    subject, made = launched(shared, convened_by=[shared.party()])
    claims = [{"pointer": pointer, "value": value}]
    given = event("event.disputed", subject, event=made, claims=claims, evidence=[{"document": document}])
    assert pointers(shared.refused(given, status=422)) == {f"/data/claims/0/{at}"}


def test_a_claim_of_an_enumerated_field_is_one_of_its_values(shared, document):
    party = shared.party()
    for value in ({"a": 1}, "ship", ["company"], None, True):
        shared.refused(dispute(party, shared.head(), document, **{"/data/kind": value}), status=422)
    shared.take(dispute(party, shared.head(), document, **{"/data/kind": "state"}))


def test_claims_about_claims_and_corrections_are_checked_against_the_original_event(shared, document):
    subject, made = launched(shared)
    disputing = shared.took(dispute(subject, made, document, **{"/data/place": "Urumqi"}))
    correcting = shared.took(corrected(subject, made, data={"name": "Other"}))
    for at, pointer, value in (
        (disputing, "/data/claims/0/value", {"a": 1}),
        (disputing, "/data/claims/0/pointer", "/data/kind"),
        (disputing, "/data/claims", [{"pointer": "/data/name", "value": 7}]),
        (correcting, "/data/data", {"name": 7}),
        (correcting, "/data/data/name", {"a": 1}),
    ):
        shared.refused(dispute(subject, at, document, **{pointer: value}), status=422)
    shared.take(
        dispute(subject, disputing, document, **{"/data/claims/0/value": "Kashgar"}),
        dispute(subject, correcting, document, **{"/data/data/name": {"en": "Third"}}),
    )


def test_texts_that_look_like_references_or_evidence_stay_as_they_are(shared, document):
    """Each of these names is a well-formed language tag, and each value a name that people may give."""
    party = shared.party("A party's own name")
    odd = {"subject": party, "events": "boom", "evidence": "e", "document": document, "exact": "x", "party": party}
    subject, made = launched(shared, name=odd, place=odd, purpose={"subject": party}, directions=[{"subject": party}])
    named = shared.took(event("party.renamed", party, name={"subject": subject}))
    shared.take(dispute(subject, made, document, **{"/data/place": {"subject": party}, "/data/name": {"events": "x"}}))
    for evidence in (None, "full"):
        more = {} if evidence is None else {"evidence": evidence}
        state = shared.state(subject, **more)
        assert (state["name"], state["place"], state["purpose"]) == (odd, odd, {"subject": party})
        assert state["directions"] == [{"subject": party}]
        assert sorted(str(claim["value"]) for claim in state["disputed"]) == sorted(
            [str({"subject": party}), str({"events": "x"})]
        )
        (item,) = shared.items("/v1/timeline", subject=subject, **more)
        assert (item["data"]["name"], item["data"]["directions"]) == (odd, [{"subject": party}])
        assert shared.get("/v1/platforms", q="boom", **more).status_code == 200
    history = shared.items(f"/v1/{subject}/history")
    assert history[0]["data"]["place"] == odd
    assert [claim["value"] for claim in history[1]["data"]["claims"]] == [{"subject": party}, {"events": "x"}]
    (renamed,) = [item for item in shared.items(f"/v1/{party}/history") if item["position"] == named]
    assert renamed["data"]["name"] == {"subject": subject}


def test_references_of_corrections_are_named_by_the_type_corrected(shared):
    one, other = shared.parties(2)
    subject, _ = launched(shared)
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=one))
    shared.take(corrected(subject, joined, data={"party": other, "category": {"party": one}}))
    *_, item = shared.items(f"/v1/{subject}/history")
    assert item["data"]["data"]["party"]["subject"] == other
    assert "name" in item["data"]["data"]["party"]
    assert item["data"]["data"]["category"] == {"party": one}


def test_a_dispute_needs_evidence(shared):
    subject, made = launched(shared)
    without: tuple[dict[str, Any], ...] = ({}, {"evidence": []})
    for evidence in without:
        problem = shared.refused(
            event("event.disputed", subject, event=made, claims=[{"pointer": "/data/name", "value": "X"}], **evidence),
            status=422,
        )
        assert "/data/evidence" in pointers(problem)


# Mergers


def merged(party, into):
    return event("party.merged", party, into=into)


def test_a_merged_party_and_its_survivor_are_one_on_every_day(shared):
    one, two = shared.parties(2)
    first, second = launched(shared)[0], launched(shared)[0]
    shared.take(
        event("platform.member-joined", first, "2012-01-01", party=one),
        event("platform.member-joined", second, "2013-01-01", party=two),
    )
    at = shared.took(merged(one, two))
    answer = shared.get(f"/v1/{one}")
    assert answer.status_code == 308
    assert answer.headers["Location"].split("?")[0] == f"/v1/{two}"
    for query in ({"on": "2012-06-01"}, {"evidence": "full", "on": "2000-01-01"}):
        moved = shared.get(f"/v1/{one}", **query)
        assert moved.status_code == 308
        for name, value in query.items():
            assert f"{name}={value}" in moved.headers["Location"], "the question goes along"
    assert shared.get(f"/v1/{one}", as_of=at - 1).status_code == 200
    assert shared.get(f"/v1/{one}/history").status_code == 308
    for name in (one, two):
        assert [item["in"]["subject"] for item in shared.items("/v1/memberships", party=name, on="2014-01-01")] == [
            first,
            second,
        ]
        assert [item["party"]["subject"] for item in shared.items("/v1/memberships", party=name, on="2014-01-01")] == [
            two,
            two,
        ]
    assert [
        item["in"]["subject"] for item in shared.items("/v1/memberships", party=two, on="2014-01-01", as_of=at - 1)
    ] == [second]
    assert shared.state(first, on="2014-01-01")["members"][0]["party"]["subject"] == two
    assert one not in [item["subject"] for item in shared.items("/v1/parties")]


def test_duplicate_memberships_of_merged_parties_become_one(shared):
    one, two = shared.parties(2)
    subject, _ = launched(shared)
    shared.take(
        event("platform.member-joined", subject, "2012-01-01", party=one),
        event("platform.member-joined", subject, "2014-01-01", party=two),
    )
    answer = shared.post(merged(one, two))
    assert answer.status_code == 201, answer.text

    def held(day):
        return [
            (item["party"]["subject"], item["status"]) for item in shared.items("/v1/memberships", in_=subject, on=day)
        ]

    assert held("2013-01-01") == [(two, "member")]
    assert held("2015-01-01") == [(two, "member")]
    assert len(shared.items("/v1/memberships", in_=subject, on="any")) == 1
    assert [item["party"]["subject"] for item in shared.state(subject, on="2015-01-01")["members"]] == [two]


def test_later_posts_to_either_count_for_the_survivor(shared):
    one, two = shared.parties(2)
    shared.take(merged(one, two))
    shared.take(event("party.name-added", one, name="Also called"))
    assert "Also called" in json.dumps(shared.state(two)["other_names"])
    subject, _ = launched(shared)
    shared.take(event("platform.member-joined", subject, "2012-01-01", party=one))
    shared.refused(event("platform.member-joined", subject, "2013-01-01", party=two), status=409)
    assert shared.items("/v1/memberships", in_=subject, on="2013-01-01")[0]["party"]["subject"] == two


def test_retraction_of_a_merger_splits_the_parties(shared):
    one, two = shared.parties(2)
    subject, _ = launched(shared)
    shared.take(
        event("platform.member-joined", subject, "2012-01-01", party=one),
        event("platform.member-joined", subject, "2014-01-01", party=two),
    )
    at = shared.took(merged(one, two))
    shared.take(retracted(one, at))
    assert shared.get(f"/v1/{one}").status_code == 200
    assert sorted(
        item["party"]["subject"] for item in shared.items("/v1/memberships", in_=subject, on="2015-01-01")
    ) == [one, two]
    assert shared.get(f"/v1/{one}", as_of=at).status_code == 308


def test_circles_of_mergers_are_refused(shared):
    one, two, three = shared.parties(3)
    shared.take(merged(one, two), merged(two, three))
    assert shared.get(f"/v1/{one}").headers["Location"].split("?")[0] == f"/v1/{three}"
    assert shared.post(merged(three, one), validate=True).status_code in (409, 422)
    assert shared.post(merged(three, three), validate=True).status_code in (409, 422)


def test_survivor_has_the_names_of_the_merged_party(shared):
    word = shared.new("w").replace("-", "")
    one, two = shared.party(word), shared.party("Survivor")
    shared.take(merged(one, two))
    assert [item["subject"] for item in shared.items("/v1/parties", q=word)] == [two]
    (found, *_) = shared.json("/v1/parties/resolve", name=word)["items"]
    assert found["subject"] == two


def test_merger_of_a_party_with_its_own_part_is_refused(shared):
    """Merged, it would be part of itself on some days."""
    whole = shared.party()
    part = shared.party(part_of=whole)
    other = shared.party(part_of=part)
    shared.refused(merged(part, whole), status=409)
    shared.refused(merged(other, whole), status=409)


# Evidence


def test_added_evidence_is_shown_from_its_position_on(shared, document):
    subject, made = launched(shared)
    at = shared.took(
        event(
            "evidence.added",
            subject,
            event=made,
            evidence=[{"document": document, "exact": "late proof", "supports": ["/data/name"]}],
        )
    )
    assert "late proof" in json.dumps(shared.state(subject, evidence="full"))
    assert "late proof" not in json.dumps(shared.state(subject, evidence="full", as_of=at - 1))
    shared.take(retracted(subject, at))
    assert "late proof" not in json.dumps(shared.state(subject, evidence="full"))


# Many disputes


def test_more_than_a_hundred_disputes_are_cut_with_the_address_of_the_whole_list(shared, document):
    subject, made = launched(shared)
    member = shared.party()
    joined = shared.took(event("platform.member-joined", subject, "2012-01-01", party=member))
    for at, field in ((made, "place"), (joined, "category")):
        shared.take(*[dispute(subject, at, document, **{f"/data/{field}": f"{field} {n}"}) for n in range(60)])
    state = shared.state(subject)
    assert len(state["disputed"]) == 100
    whole = shared.items(state["more"]["disputed"], limit=50)
    assert [claim["value"] for claim in whole] == [f"{field} {n}" for field in ("place", "category") for n in range(60)]
    (item,) = shared.items("/v1/memberships", in_=subject)
    assert [claim["value"] for claim in item["disputed"]] == [f"category {n}" for n in range(10)]
    own = shared.items(item["more"]["disputed"], limit=100)
    assert [claim["value"] for claim in own] == [f"category {n}" for n in range(60)]
    answer = shared.get(f"/v1/{subject}/disputed", event=made, headers={"Accept": "text/csv"})
    assert (answer.status_code, len(answer.text.splitlines())) == (200, 61)
    is_problem(shared.get(f"/v1/{subject}/disputed", event="x"), 422)
    assert shared.items(f"/v1/{member}/disputed") == []
