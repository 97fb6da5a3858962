"""Section 2: certain contradictions are refused with the positions in the way (409); everything else is accepted."""

from __future__ import annotations

import itertools

import pytest

from tests.contract.server import event, pointers

AGREEMENT = {"title": "T", "kind": "treaty"}


def way(problem) -> set[int]:
    """Return the positions that a 409 names."""
    found = problem.get("positions")
    assert isinstance(found, list), problem
    assert found, problem
    return set(found)


def adopted(server, occurred=None, **data):
    subject = f"agreements/{server.new('a')}"
    return subject, server.took(event("agreement.adopted", subject, occurred, **{**AGREEMENT, **data}))


def signed(server, parties, occurred=None, **data):
    subject = f"agreements/{server.new('a')}"
    return subject, server.took(
        event("agreement.signed", subject, occurred, parties=[{"party": p} for p in parties], **{**AGREEMENT, **data})
    )


def founded(server, founders, occurred=None, **data):
    subject = f"labs/{server.new('l')}"
    return subject, server.took(event("lab.founded", subject, occurred, name="L", founders=founders, **data))


def launched(server, occurred=None, **data):
    subject = f"platforms/{server.new('f')}"
    return subject, server.took(event("platform.launched", subject, occurred, name="P", **data))


def sign(subject, party, occurred=None):
    return event("agreement.signed", subject, occurred, parties=[{"party": party}])


# A fact before its subject came about


def facts_of(subject, party, occurred):
    collection = subject.partition("/")[0]
    return {
        "agreements": [
            sign(subject, party, occurred),
            event("agreement.ratified", subject, occurred, party=party),
            event("agreement.acceded", subject, occurred, party=party),
            event("agreement.entered-into-force", subject, occurred),
            event("agreement.entered-into-force", subject, occurred, party=party),
            event("agreement.amended", subject, occurred, summary="S"),
            event("agreement.renewed", subject, occurred),
            event("agreement.provisionally-applied", subject, occurred),
            event("agreement.suspended", subject, occurred),
            event("agreement.resumed", subject, occurred),
            event("agreement.withdrawn", subject, occurred, party=party),
            event("agreement.terminated", subject, occurred, reason="expired"),
            event("agreement.declaration-made", subject, occurred, party=party, kind="declaration", text="D"),
            event("agreement.commitment-made", subject, occurred, commitment="c", kind="other", title="C"),
        ],
        "labs": [
            event("lab.opened", subject, occurred),
            event("lab.phase-started", subject, occurred, phase="one"),
            event("lab.phase-completed", subject, occurred, phase="one"),
            event("lab.recruitment-opened", subject, occurred, call="c", role="R"),
            event("lab.closed", subject, occurred),
        ],
        "platforms": [
            event("platform.member-joined", subject, occurred, party=party),
            event("platform.member-left", subject, occurred, party=party),
            event("platform.supporter-added", subject, occurred, party=party),
            event("platform.document-adopted", subject, occurred, title="D", kind="rules"),
            event("platform.dissolved", subject, occurred),
        ],
        "parties": [
            event("party.renamed", subject, occurred, name="N"),
            event("party.name-added", subject, occurred, name="N"),
            event("party.identified", subject, occurred, scheme="lei", value="1"),
            event("party.reorganized", subject, occurred, part_of=party),
            event("party.dissolved", subject, occurred),
        ],
    }[collection]


@pytest.fixture(scope="module")
def dated(shared):
    """Record a subject of each collection, created on 2020-05-01 and ended on 2030-05-01; return the two positions."""
    party = shared.party()
    agreement, a = adopted(shared, "2020-05-01")
    lab, b = founded(shared, [party], "2020-05-01", phases=[{"phase": "one"}])
    platform, c = launched(shared, "2020-05-01")
    other = f"parties/{shared.new('p')}"
    d = shared.took(event("party.registered", other, "2020-05-01", name="O", kind="company"))
    ends = {
        agreement: event("agreement.terminated", agreement, "2030-05-01", reason="terminated"),
        lab: event("lab.closed", lab, "2030-05-01"),
        platform: event("platform.dissolved", platform, "2030-05-01"),
        other: event("party.dissolved", other, "2030-05-01"),
    }
    return party, {
        subject: (begin, shared.took(ends[subject]))
        for subject, begin in ((agreement, a), (lab, b), (platform, c), (other, d))
    }


@pytest.mark.parametrize("collection", ["agreements", "labs", "platforms", "parties"])
def test_events_before_the_creation_of_a_subject_are_refused(shared, dated, collection):
    party, subjects = dated
    subject, (begin, _) = next((s, found) for s, found in subjects.items() if s.startswith(collection))
    for before in ("2020-04-30", "2020-04", "2019", "2018/2019"):
        for given in facts_of(subject, party, before):
            if given["type"] != "agreement.signed":  # an earlier signature is when the agreement came about
                assert begin in way(shared.refused(given, status=409)), given


@pytest.mark.parametrize("collection", ["agreements", "labs", "platforms", "parties"])
def test_events_after_the_end_of_a_subject_are_refused(shared, dated, collection):
    party, subjects = dated
    subject, (_, end) = next((s, found) for s, found in subjects.items() if s.startswith(collection))
    for after in ("2030-05-02", "2031", "2031/.."):
        for given in facts_of(subject, party, after):
            assert end in way(shared.refused(given, status=409)), given


@pytest.mark.parametrize("collection", ["agreements", "labs", "platforms", "parties"])
@pytest.mark.parametrize(
    "when", ["2020-05-01", "2020-05", "2020", None, "XXXX-01-01", "2020-04-30~", "2019/2021", "2019/.."]
)
def test_events_that_may_lie_within_the_lifespan_are_accepted(shared, dated, collection, when):
    party, subjects = dated
    subject = next(subject for subject in subjects if subject.startswith(collection))
    ends = ("terminated", "closed", "dissolved")
    for given in facts_of(subject, party, when):
        if not given["type"].endswith(ends):
            answer = shared.post(given, validate=True)
            assert answer.status_code in (200, 201), (answer.text, given)


def test_undated_or_imprecise_creation_refuses_only_events_before_its_earliest_day(shared):
    undated, _ = adopted(shared)
    shared.take(event("agreement.entered-into-force", undated, "1000-01-01"))
    imprecise, position = adopted(shared, "2020")
    assert position in way(shared.refused(event("agreement.entered-into-force", imprecise, "2019-12-31"), status=409))
    shared.take(event("agreement.entered-into-force", imprecise, "2020-01-01"))


@pytest.mark.parametrize("made", ["2020", "2020-05", "2020/2021", "2020-03/..", "2020-05-05~"])
@pytest.mark.parametrize("before", ["2018", "2010/2015", "2001-01-01", "2015-05-05~"])
def test_events_before_an_imprecise_creation_are_refused(shared, made, before):
    party = shared.party()
    other = f"parties/{shared.new('p')}"
    shared.take(event("party.registered", other, made, name="O", kind="company"))
    for subject in (
        adopted(shared, made)[0],
        founded(shared, [party], made, phases=[{"phase": "one"}])[0],
        launched(shared, made)[0],
        other,
    ):
        for given in facts_of(subject, party, before):
            if given["type"] != "agreement.signed":
                way(shared.refused(given, status=409))


@pytest.mark.parametrize(
    ("opened", "closed"),
    list(
        itertools.product(
            ["2006-03/..", "2006", "2006-03-01", "2006-05-05~", None],
            ["2005-05", "2005-05-01", "2004/2005", "XXXX-05-05", None],
        )
    ),
)
def test_end_before_its_opening_is_no_internal_error(shared, opened, closed):
    """The contract leaves open whether it is refused; the answer must be well-formed."""
    party = shared.party()
    lab, _ = founded(shared, [party], "2000-01-01", phases=[{"phase": "one"}])
    agreement, _ = adopted(shared, "2000-01-01")
    *_, declared = shared.take(
        event("lab.recruitment-opened", lab, opened, call="c", role="R"),
        event("lab.phase-started", lab, opened, phase="one"),
        event("agreement.commitment-made", agreement, opened, commitment="c", kind="other", title="C"),
        event("agreement.declaration-made", agreement, opened, party=party, kind="declaration", text="T"),
    )
    for given in (
        event("lab.recruitment-closed", lab, closed, call="c"),
        event("lab.phase-completed", lab, closed, phase="one"),
        event("agreement.commitment-updated", agreement, closed, commitment="c", status="fulfilled"),
        event("agreement.declaration-withdrawn", agreement, closed, event=declared),
    ):
        answer = shared.post(given)
        assert answer.status_code in (201, 409, 422), answer.text
    for subject in (lab, agreement):
        for on in ("2005-06-01", "2007-01-01", "any"):
            assert shared.state(subject, on=on)


def test_agreement_exists_from_the_earliest_of_adoption_and_signatures(shared):
    one, two = shared.parties(2)
    agreement, _ = signed(shared, [one], "2010-01-01")
    shared.take(sign(agreement, two, "2005-01-01"))
    shared.take(event("agreement.ratified", agreement, "2006-01-01", party=one))
    shared.refused(event("agreement.ratified", agreement, "2004-01-01", party=two), status=409)
    shared.take(event("agreement.adopted", agreement, "2000-01-01", **AGREEMENT))
    shared.take(event("agreement.ratified", agreement, "2001-01-01", party=two))
    shared.refused(event("agreement.entered-into-force", agreement, "1999-01-01"), status=409)


def test_creation_after_other_facts_of_the_subject_is_refused(shared):
    """The order of recording does not matter: the fact is recorded first, the date of creation comes by correction."""
    party = shared.party()
    platform, made = launched(shared)
    joined = shared.took(event("platform.member-joined", platform, "2015-01-01", party=party))
    late = event("event.corrected", platform, event=made, reason="R", occurred="2016-01-01")
    assert joined in way(shared.refused(late, status=409))
    shared.take(event("event.corrected", platform, event=made, reason="R", occurred="2014-01-01"))


def test_end_before_other_facts_of_the_subject_is_refused(shared):
    party = shared.party()
    platform, _ = launched(shared, "2010-01-01")
    joined = shared.took(event("platform.member-joined", platform, "2015-01-01", party=party))
    assert joined in way(shared.refused(event("platform.dissolved", platform, "2014-12-31"), status=409))
    shared.take(event("platform.dissolved", platform, "2015-01-02"))


def test_imprecise_end_refuses_only_events_after_its_latest_day(shared):
    party = shared.party()
    platform, _ = launched(shared, "2010-01-01")
    end = shared.took(event("platform.dissolved", platform, "2015"))
    shared.take(event("platform.member-joined", platform, "2015-12-31", party=party))
    assert end in way(shared.refused(event("platform.member-left", platform, "2016-01-01", party=party), status=409))


def test_effective_day_of_a_termination_is_the_end(shared):
    party = shared.party()
    agreement, _ = adopted(shared, "2000-01-01")
    end = shared.took(
        event("agreement.terminated", agreement, "2010-01-01", reason="terminated", effective="2011-01-01")
    )
    shared.take(event("agreement.ratified", agreement, "2010-06-01", party=party))
    assert end in way(
        shared.refused(event("agreement.entered-into-force", agreement, "2011-02-01", party=party), status=409)
    )


def test_joining_before_the_party_was_registered_is_no_internal_error(shared):
    """The rule is about a fact's own subject; the lifespan of a party dated by `registered` may also count."""
    party = f"parties/{shared.new('p')}"
    shared.take(event("party.registered", party, "2010-01-01", name="P", kind="company"))
    platform, _ = launched(shared, "2000-01-01")
    answer = shared.post(event("platform.member-joined", platform, "2005-01-01", party=party), validate=True)
    assert answer.status_code in (201, 409)


# Twice


TWICE = {
    "member-joined": lambda server, party, when: event("platform.member-joined", server, when, party=party),
    "ratified": lambda server, party, when: event("agreement.ratified", server, when, party=party),
    "acceded": lambda server, party, when: event("agreement.acceded", server, when, party=party),
    "signed": sign,
}


@pytest.mark.parametrize("step", TWICE)
@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.product(["2010-01-01", "2010", None, "XXXX-05-05"], ["2010-01-01", "2012-06-01", "2008", None])),
)
def test_repeated_step_without_a_leaving_between_is_refused(shared, step, first, second):
    party = shared.party()
    subject = (launched if step == "member-joined" else adopted)(shared, "2000-01-01")[0]
    make = TWICE[step]
    position = shared.took(make(subject, party, first))
    assert position in way(shared.refused(make(subject, party, second), status=409))


@pytest.mark.parametrize("step", ["ratified", "acceded", "member-joined"])
def test_leaving_between_allows_the_step_again(shared, step):
    party = shared.party()
    make = TWICE[step]
    if step == "member-joined":
        subject = launched(shared, "2000-01-01")[0]
        leave = event("platform.member-left", subject, "2011-01-01", party=party)
    else:
        subject = adopted(shared, "2000-01-01")[0]
        leave = event("agreement.withdrawn", subject, "2011-01-01", party=party)
    shared.take(make(subject, party, "2010-01-01"), leave)
    shared.refused(make(subject, party, "2010-06-01"), status=409)
    shared.take(make(subject, party, "2012-01-01"))


def test_who_joins_later_or_ends_before_changes_no_category(shared):
    party, gone = shared.parties(2)
    subject, launch = launched(shared, "2000-01-01")
    dissolved = shared.took(event("party.dissolved", gone, "2005-01-01"))
    joined = shared.took(event("platform.member-joined", subject, "2010-01-01", party=party, category="associate"))
    change = lambda on, who=party: event("platform.member-changed", subject, on, party=who, category="full")  # noqa: E731
    assert way(shared.refused(change("2009-12-31"), status=409)) == {joined}
    assert launch in way(shared.refused(change("1999-12-31"), status=409))
    assert dissolved in way(shared.refused(change("2005-01-02", gone), status=409))
    for on in ("2010-01-01", "2012-01-01", "2009/2010", None):
        shared.take(change(on))


def test_change_of_category_without_a_recorded_joining_is_taken(shared):
    one, two = shared.parties(2)
    subject, _ = launched(shared, "2000-01-01")
    shared.take(
        event("platform.member-changed", subject, "2010-01-01", party=one, category="full"),
        event("platform.member-joined", subject, "2001-01-01", party=two),
        event("platform.member-left", subject, "2003-01-01", party=two),
        event("platform.member-changed", subject, "2010-01-01", party=two, category="full"),
    )
    for party in (one, two):
        (held,) = shared.items("/v1/memberships", party=party, on="2010-01-01")
        assert (held["status"], held["category"], held["from"], held["certainty"]) == (
            "member",
            "full",
            None,
            "certain",
        )
        (possible,) = shared.items("/v1/memberships", party=party, on="2009-12-31", certainty="possible")
        assert (possible["status"], possible["category"]) == ("member", None)


@pytest.mark.parametrize("leaving", [None, "2011", "XXXX-07-01", "2010/2012"])
def test_leaving_that_may_lie_between_allows_the_step_again(shared, leaving):
    party = shared.party()
    platform, _ = launched(shared, "2000-01-01")
    shared.take(
        event("platform.member-left", platform, leaving, party=party),
        event("platform.member-joined", platform, "2010-01-01", party=party),
        event("platform.member-joined", platform, "2012-01-01", party=party),
    )


def test_leavings_that_cannot_lie_between_do_not_allow_the_step_again(shared):
    party = shared.party()
    platform, _ = launched(shared, "2000-01-01")
    shared.take(
        event("platform.member-left", platform, "2005-01-01", party=party),
        event("platform.member-joined", platform, "2010-01-01", party=party),
    )
    shared.refused(event("platform.member-joined", platform, "2012-01-01", party=party), status=409)


def test_retraction_of_the_leaving_between_is_refused_with_the_dependent_positions(shared):
    party = shared.party()
    platform, _ = launched(shared, "2000-01-01")
    first, leaving, second = shared.take(
        event("platform.member-joined", platform, "2010-01-01", party=party),
        event("platform.member-left", platform, "2011-01-01", party=party),
        event("platform.member-joined", platform, "2012-01-01", party=party),
    )
    assert way(shared.refused(event("event.retracted", platform, event=leaving, reason="R"), status=409)) & {
        first,
        second,
    }


def test_a_second_party_in_one_signing_is_no_second_signing(shared):
    one, two = shared.parties(2)
    agreement, _ = signed(shared, [one, two], "2010-01-01")
    shared.refused(sign(agreement, two, "2010-01-01"), status=409)


def test_a_party_twice_in_one_event_is_refused(shared):
    party = shared.party()
    answer = shared.post(
        event(
            "agreement.signed",
            f"agreements/{shared.new('a')}",
            parties=[{"party": party}, {"party": party}],
            **AGREEMENT,
        ),
        validate=True,
    )
    assert answer.status_code in (409, 422)


def test_ratifying_after_acceding_is_a_second_consent(shared):
    """ "joining, ratifying or acceding a second time": the contract leaves open whether one after the other counts;
    never an internal error.
    """
    party = shared.party()
    agreement, _ = adopted(shared, "2000-01-01")
    shared.take(event("agreement.acceded", agreement, "2001-01-01", party=party))
    assert shared.post(
        event("agreement.ratified", agreement, "2002-01-01", party=party), validate=True
    ).status_code in (201, 409)


# Phases


def phased(server, **more):
    party = server.party()
    return founded(
        server,
        [party],
        "2020-01-01",
        phases=[{"phase": "one"}, {"phase": "two", "after": ["one"]}, {"phase": "three", "after": ["one", "two"]}],
        **more,
    )


def test_phase_start_before_the_completion_of_an_earlier_phase_is_refused(shared):
    lab, _ = phased(shared)
    done = shared.took(event("lab.phase-completed", lab, "2022-06-01", phase="one"))
    assert done in way(shared.refused(event("lab.phase-started", lab, "2022-05-31", phase="two"), status=409))
    assert done in way(shared.refused(event("lab.phase-started", lab, "2021", phase="three"), status=409))
    shared.take(event("lab.phase-started", lab, "2022-06-01", phase="two"))


def test_completion_may_be_recorded_late_but_not_dated_after_the_start(shared):
    lab, _ = phased(shared)
    begun = shared.took(event("lab.phase-started", lab, "2022-05-31", phase="two"))
    assert begun in way(shared.refused(event("lab.phase-completed", lab, "2022-06-01", phase="one"), status=409))
    shared.take(event("lab.phase-completed", lab, "2022-05", phase="one"))


def test_phase_may_start_if_no_completion_certainly_comes_later(shared):
    lab, _ = phased(shared)
    shared.take(event("lab.phase-started", lab, "2021-01-01", phase="two"))
    other, _ = phased(shared)
    shared.take(event("lab.phase-completed", other, "2022", phase="one"))
    shared.take(event("lab.phase-started", other, "2022-01-01", phase="two"))
    third, _ = phased(shared)
    shared.take(
        event("lab.phase-completed", third, phase="one"), event("lab.phase-started", third, "2020-02-01", phase="two")
    )


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("lab.phase-started", {"phase": "nine"}), ("lab.phase-completed", {"phase": "nine"}), ("lab.recruitment-closed", {"call": "nine"}),
    ],
)  # fmt: skip
def test_unknown_phase_or_call_is_invalid(shared, type_, data):
    lab, _ = phased(shared)
    problem = shared.refused(event(type_, lab, "2021-01-01", **data), status=422)
    assert f"/data/{next(iter(data))}" in pointers(problem)


def test_unknown_commitment_is_invalid(shared):
    agreement, _ = adopted(shared, "2000-01-01")
    problem = shared.refused(
        event("agreement.commitment-updated", agreement, commitment="nine", status="fulfilled"), status=422
    )
    assert "/data/commitment" in pointers(problem)
    shared.take(
        event("agreement.commitment-made", agreement, commitment="nine", kind="other", title="C"),
        event("agreement.commitment-updated", agreement, commitment="nine", status="fulfilled"),
    )


def test_phases_after_unknown_phases_are_refused(shared):
    party = shared.party()
    subject = f"labs/{shared.new('l')}"
    problem = shared.refused(
        event("lab.founded", subject, name="L", founders=[party], phases=[{"phase": "one", "after": ["zero"]}]),
        status=422,
    )
    assert any(pointer.startswith("/data/phases") for pointer in pointers(problem))


@pytest.mark.parametrize(
    "phases",
    [
        [{"phase": "one"}, {"phase": "one"}],
        [{"phase": "one", "after": ["one"]}],
        [{"phase": "a", "after": ["b"]}, {"phase": "b", "after": ["a"]}],
    ],
)
def test_phases_twice_or_in_a_circle_are_refused(shared, phases):
    party = shared.party()
    answer = shared.post(
        event("lab.founded", f"labs/{shared.new('l')}", name="L", founders=[party], phases=phases), validate=True
    )
    assert answer.status_code in (409, 422), answer.text


# Part of itself


def test_a_party_is_not_part_of_itself_through_any_chain(shared):
    a, b, c = shared.parties(3)
    first = shared.took(event("party.reorganized", b, "2000-01-01", part_of=a))
    second = shared.took(event("party.reorganized", c, "2001-01-01", part_of=b))
    problem = shared.refused(event("party.reorganized", a, "2002-01-01", part_of=c), status=409)
    assert way(problem) & {first, second}


def test_a_chain_of_different_times_is_no_circle(shared):
    a, b = shared.parties(2)
    shared.take(
        event("party.reorganized", a, "2000-01-01", part_of=b),
        event("party.reorganized", a, "2005-01-01", part_of=None),
        event("party.reorganized", b, "2005-01-01", part_of=a),
    )
    assert shared.state(a, on="2003-01-01")["part_of"]["subject"] == b
    assert shared.state(b, on="2006-01-01")["part_of"]["subject"] == a
    assert not shared.state(a, on="2006-01-01").get("part_of")
    shared.refused(event("party.reorganized", a, "2006-01-01", part_of=b), status=409)


def test_a_circle_that_closes_for_one_day_only_is_refused(shared):
    a, b = shared.parties(2)
    shared.take(
        event("party.reorganized", a, "2000-01-01", part_of=b),
        event("party.reorganized", a, "2005-01-02", part_of=None),
    )
    shared.refused(event("party.reorganized", b, "2005-01-01", part_of=a), status=409)


def test_a_party_registered_as_part_of_itself_is_refused(shared):
    subject = f"parties/{shared.new('p')}"
    answer = shared.post(event("party.registered", subject, name="X", kind="company", part_of=subject), validate=True)
    assert answer.status_code in (409, 422)


# What is merely missing


def test_missing_earlier_steps_are_no_contradiction(shared):
    one, two, three, four = shared.parties(4)
    agreement, _ = adopted(shared)
    platform, _ = launched(shared)
    shared.take(
        event("agreement.ratified", agreement, "2001-01-01", party=one),
        event("agreement.entered-into-force", agreement, "2002-01-01", party=two),
        event("agreement.acceded", agreement, "2004-01-01", party=two, instrument="succession"),
        event("agreement.withdrawn", agreement, "2003-01-01", party=three),
        event("agreement.resumed", agreement, "2003-01-01", party=four),
        event("platform.member-left", platform, "2003-01-01", party=one),
    )
    left = shared.items("/v1/memberships", in_=platform, on="2004-01-01", status="left")
    assert [(item["party"]["subject"], item["from"], item["to"]) for item in left] == [(one, None, "2003-01-01")]
    held = shared.items("/v1/memberships", in_=platform, on="2002-01-01")
    assert [item["party"]["subject"] for item in held] == [one], "a tie of unknown beginning"
    assert held[0]["certainty"] == "possible"


# First events


@pytest.mark.parametrize(
    ("type_", "collection", "data"),
    [
        ("party.name-added", "parties", {"name": "N"}),
        ("party.renamed", "parties", {"name": "N"}),
        ("lab.opened", "labs", {}),
        ("platform.dissolved", "platforms", {}),
        ("agreement.entered-into-force", "agreements", {}),
        ("agreement.terminated", "agreements", {"reason": "expired"}),
        ("event.retracted", "parties", {"event": 1, "reason": "R"}),
        ("evidence.added", "documents", {"event": 1, "evidence": [{"document": "documents/none", "exact": "x"}]}),
    ],
)
def test_first_event_of_a_subject_must_create_it(shared, type_, collection, data):
    subject = f"{collection}/{shared.new('s')}"
    problem = shared.refused(event(type_, subject, **data), status=422)
    assert "/subject" in pointers(problem) or problem["errors"], problem
    assert shared.get(f"/v1/{subject}").status_code == 404


@pytest.mark.parametrize("collection", ["parties", "labs", "platforms", "documents"])
def test_creating_events_come_once_a_subject(shared, collection):
    party = shared.party()
    subject = f"{collection}/{shared.new('s')}"
    given = {
        "parties": event("party.registered", subject, name="X", kind="company"),
        "labs": event("lab.founded", subject, name="X", founders=[party]),
        "platforms": event("platform.launched", subject, name="X"),
        "documents": event("document.registered", subject, title="X", sha256="0" * 64),
    }[collection]
    position = shared.took(given)
    assert position in way(shared.refused({**given, "occurred": "2001"}, status=409))


def test_first_signing_needs_title_and_kind_and_a_later_one_does_not(shared):
    party, other = shared.parties(2)
    subject = f"agreements/{shared.new('a')}"
    problem = shared.refused(sign(subject, party), status=422)
    assert {"/data/title", "/data/kind"} <= pointers(problem)
    shared.take(event("agreement.signed", subject, parties=[{"party": party}], **AGREEMENT), sign(subject, other))


@pytest.mark.parametrize(
    ("type_", "subject", "data", "pointer"),
    [
        (
            "party.registered",
            "parties/x9",
            {"name": "X", "kind": "company", "part_of": "parties/none"},
            "/data/part_of",
        ),
        (
            "agreement.signed",
            "agreements/x9",
            {"parties": [{"party": "parties/none"}], **AGREEMENT},
            "/data/parties/0/party",
        ),
        ("agreement.adopted", "agreements/x9", {"under": "agreements/none", **AGREEMENT}, "/data/under"),
        ("lab.founded", "labs/x9", {"name": "L", "founders": ["parties/none"]}, "/data/founders/0"),
        ("platform.launched", "platforms/x9", {"name": "P", "convened_by": ["parties/none"]}, "/data/convened_by/0"),
        (
            "party.registered",
            "parties/x9",
            {"name": "X", "kind": "company", "evidence": [{"document": "documents/none", "exact": "x"}]},
            "/data/evidence/0/document",
        ),
    ],
)
def test_a_reference_must_exist(shared, type_, subject, data, pointer):
    assert pointer in pointers(shared.refused(event(type_, subject, **data), status=422))


def test_all_missing_references_are_reported_together(shared):
    given = event(
        "agreement.signed",
        f"agreements/{shared.new('a')}",
        parties=[{"party": "parties/none"}, {"party": "parties/none-either"}],
        under="agreements/none",
        **AGREEMENT,
    )
    assert {"/data/parties/0/party", "/data/parties/1/party", "/data/under"} <= pointers(
        shared.refused(given, status=422)
    )


def test_a_409_in_a_batch_names_the_positions_in_the_way(shared):
    party = shared.party()
    platform, made = launched(shared, "2020-01-01")
    problem = shared.refused(
        event("platform.supporter-added", platform, "2021-01-01", party=party),
        event("platform.member-joined", platform, "2019-01-01", party=party),
        status=409,
    )
    assert made in way(problem)


def test_a_409_of_a_batch_points_to_the_event(shared):
    party = shared.party()
    platform, _ = launched(shared, "2020-01-01")
    for bad in (
        event("platform.member-joined", platform, "2019-01-01", party=party),
        event("platform.launched", platform, name="Again"),
    ):
        problem = shared.refused(
            event("platform.supporter-added", platform, "2021-01-01", party=party), bad, status=409
        )
        assert all(pointer.startswith("/1") for pointer in pointers(problem)), problem


def test_conflict_names_only_recorded_positions(shared):
    one, two = shared.parties(2)
    platform, _ = launched(shared, "2020-01-01")
    joined = event("platform.member-joined", platform, "2021-01-01", party=one)
    shared.take(event("party.merged", one, into=two))
    for events in ([joined, {**joined, "occurred": "2022-01-01"}], [event("party.reorganized", two, part_of=one)]):
        problem = shared.refused(*events, status=409)
        assert all(position <= shared.head() for position in problem.get("positions", [])), problem
