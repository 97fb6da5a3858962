"""Section 5: states of all five collections with every type of event, on any day; their ETags, lists and evidence."""

from __future__ import annotations

import csv
import json
import re

import pytest

from tests.contract.server import SHA, event, is_problem, pointers


def ref(found):
    """Return the subjects in a list of {subject, name}; every one has both."""
    for each in found:
        assert set(each) >= {"subject", "name"}
    return [each["subject"] for each in found]


def statuses(found, *keys):
    return [tuple(item[key] for key in keys) for item in found]


# Parties


@pytest.fixture(scope="module")
def company(shared):
    whole, successor, part = shared.parties(3)
    subject = f"parties/{shared.new('p')}"
    first = shared.took(
        event("party.registered", subject, "2000-01-01", name={"en": "First", "zh": "第一"}, kind="company", jurisdiction="CN", part_of=whole,
              other_names=["Un", {"fr": "Premier"}], identifiers=[{"scheme": "lei", "value": "L1"}])
    )  # fmt: skip
    rest = shared.take(
        event("party.renamed", subject, "2005-01-01", name="Second"),
        event("party.name-added", subject, "2006-01-01", name={"zh": "二号"}),
        event("party.identified", subject, "2007-01-01", scheme="ror", value="r1"),
        event("party.reorganized", subject, "2008-01-01", part_of=part),
        event("party.reorganized", subject, "2009-01-01", part_of=None),
        event("party.dissolved", subject, "2020-01-01", successors=[successor]),
    )
    return subject, whole, part, successor, [first, *rest]


def test_a_party_over_the_years(shared, company):
    subject, whole, part, successor, positions = company
    on = lambda day: shared.state(subject, on=day)  # noqa: E731
    start = on("2000-01-01")
    assert start["subject"] == subject
    assert start["name"] == {"en": "First", "zh": "第一"}
    assert (start["kind"], start["jurisdiction"], start["status"], start["certainty"]) == (
        "company",
        "CN",
        "registered",
        "certain",
    )
    assert start["part_of"]["subject"] == whole
    assert start["other_names"] == ["Un", {"fr": "Premier"}]
    assert statuses(start["identifiers"], "scheme", "value") == [("lei", "L1")]
    assert start["version"] == 7, "of its last event, whatever the day"
    assert start["position"] == positions[-1]
    assert on("2004-12-31")["name"] == {"en": "First", "zh": "第一"}
    renamed = on("2005-01-01")
    assert renamed["name"] == "Second"
    assert {"en": "First", "zh": "第一"} in renamed["other_names"], "the old one stays"
    assert {"zh": "二号"} not in renamed["other_names"]
    assert {"zh": "二号"} in on("2006-01-01")["other_names"]
    assert sorted(statuses(on("2007-01-01")["identifiers"], "scheme", "value")) == [("lei", "L1"), ("ror", "r1")]
    assert on("2008-01-01")["part_of"]["subject"] == part
    assert not on("2009-01-01").get("part_of")
    end = on("2020-01-01")
    assert end["status"] == "dissolved"
    assert ref(end["successors"]) == [successor]


def test_reestablished_party_is_registered_again_with_new_memberships_alone(shared):
    party, platform = shared.party(kind="state"), f"platforms/{shared.new('f')}"
    shared.take(
        event("platform.launched", platform, "1920-01-10", name="League"),
        event("platform.member-joined", platform, "1921-09-22", party=party),
        event("party.dissolved", party, "1940-08-06"),
    )
    shared.refused(event("party.re-established", party, "1940-08-05"), status=409)
    shared.take(event("party.re-established", party, "1991-08-20"))
    shared.refused(event("platform.member-joined", platform, "1990-01-01", party=party), status=409)
    shared.take(event("platform.member-joined", platform, "1991-09-17", party=party))
    state = shared.state(party)
    assert (state["status"], state["certainty"], state["re_established"]) == ("registered", "certain", "1991-08-20")
    assert "dissolved" not in state
    assert shared.state(party, on="1990-01-01")["status"] == "dissolved"
    held = shared.items("/v1/memberships", party=party, on="any", status="any")
    assert [(each["status"], each["from"], each["to"]) for each in held] == [
        ("ended", "1921-09-22", "1940-08-06"),
        ("member", "1991-09-17", None),
    ]


def test_owners_of_a_joint_venture(shared):
    one, two, venture = shared.parties(3)
    shared.take(
        event("party.owner-added", venture, "2010-01-01", owner=one, share="51"),
        event("party.owner-added", venture, "2010-01-01", owner=two, share="49.0"),
        event("party.owner-removed", venture, "2015-01-01", owner=two),
    )
    shared.refused(event("party.owner-added", venture, "2012-01-01", owner=one), status=409)
    shared.refused(event("party.owner-added", venture, "2012-01-01", owner=venture), status=409)
    for share in ("100.1", "-5", "1,5", 51):
        shared.refused(event("party.owner-added", two, owner=one, share=share), status=422)
    state = shared.state(venture, on="2012-01-01")
    assert [(each["party"]["subject"], each["share"]) for each in state["owners"]] == [(one, "51"), (two, "49.0")]
    assert state["owners"][1]["to"] == "2015-01-01"
    assert [each["party"]["subject"] for each in shared.state(venture, on="2015-01-01")["owners"]] == [one]
    assert [each["party"]["subject"] for each in shared.items(f"/v1/{venture}/owners", on="2012-01-01")] == [one, two]
    assert [(each["party"]["subject"], each["share"]) for each in shared.items(f"/v1/{one}/owned")] == [(venture, "51")]
    assert [each["subject"] for each in shared.items("/v1/parties", owner=one)] == [venture]
    edges = shared.json("/v1/graph", center=venture, on="2012-01-01")["edges"]
    assert [(each["source"], each["type"], each["share"]) for each in edges] == [
        (one, "owner", "51"),
        (two, "owner", "49.0"),
    ]
    assert "51" in shared.get("/v1/graph", headers={"Accept": "application/gexf+xml"}, center=venture).text
    table = shared.get(f"/v1/{venture}/owners", format="csv").text.splitlines()
    assert "share" in table[0].split(",")
    happened = [each["type"] for each in shared.items("/v1/timeline", party=one, type="party.owner-added")]
    assert happened == ["party.owner-added"]


def test_lists_of_a_party_have_those_of_its_subsidiaries(shared):
    group, part, works = shared.parties(3)
    _, owned_from = shared.take(
        event("party.reorganized", part, "2010-01-01", part_of=group),
        event("party.owner-added", works, "2012-01-01", owner=part),
    )
    platform, agreement = f"platforms/{shared.new()}", f"agreements/{shared.new()}"
    shared.take(
        event("platform.launched", platform, "2005-01-01", name="Platform"),
        event("platform.member-joined", platform, "2006-01-01", party=works),
        event("agreement.adopted", agreement, "2006-01-01", title="Treaty", kind="treaty"),
        event(
            "agreement.commitment-made", agreement, "2007-01-01", commitment="c", kind="other", title="C", by=[works]
        ),
    )
    selected = {"party": group, "include": "subsidiaries"}
    for on, count in (("2011-12-31", 0), ("2012-01-01", 1), ("any", 1)):
        assert len(shared.items("/v1/memberships", on=on, **selected)) == count
        assert len(shared.items("/v1/commitments", on=on, **selected)) == count
    happened = [each["type"] for each in shared.items("/v1/timeline", **selected)]
    assert happened.count("party.registered") == 3
    assert {"platform.member-joined", "agreement.commitment-made"} <= set(happened)
    assert len(shared.items("/v1/timeline", as_of=owned_from - 1, type="party.registered", **selected)) == 2
    assert shared.items("/v1/memberships", party=group) == []


def test_state_names_the_positions_behind_each_field(shared, company):
    subject, *_, positions = company
    borne = shared.state(subject, on="2021-01-01")["events"]
    assert borne["name"] == [positions[1]]
    assert positions[6] in borne["status"]
    assert shared.state(subject, on="2001-01-01")["events"]["name"] == [positions[0]]


def test_party_is_404_before_it_was_recorded(shared, company):
    subject, *_, positions = company
    is_problem(shared.get(f"/v1/{subject}", as_of=positions[0] - 1), 404)
    assert shared.state(subject, as_of=positions[0], on="2021-01-01")["name"] == {"en": "First", "zh": "第一"}
    is_problem(shared.get("/v1/parties/never-made"), 404)


def test_new_name_is_shown_wherever_the_party_is_referenced(shared):
    party = shared.party("Before")
    platform = f"platforms/{shared.new('f')}"
    recorded = shared.took(
        event("platform.launched", platform, "2000-01-01", name="P"),
        event("platform.member-joined", platform, "2001-01-01", party=party),
    )
    shared.take(event("party.renamed", party, "2010-01-01", name="After"))
    name = lambda **query: shared.items("/v1/memberships", in_=platform, **query)[0]["party"]["name"]  # noqa: E731
    assert name(on="2011-01-01") == "After"
    assert name(on="2009-01-01") == "Before", "the name as of the question"
    assert name(on="2011-01-01", as_of=recorded) == "Before"
    assert shared.state(platform, on="2009-01-01")["members"][0]["party"] == {"subject": party, "name": "Before"}


def test_undated_names_never_override_dated_ones(shared):
    party = f"parties/{shared.new('p')}"
    shared.take(
        event("party.registered", party, name="Original", kind="company"),
        event("party.renamed", party, "2001-01-01", name="Dated"),
        event("party.renamed", party, name="Undated"),
    )
    assert shared.state(party)["name"] == "Dated"
    assert "Undated" in shared.state(party)["other_names"]


# Agreements


@pytest.fixture(scope="module")
def treaty(shared):
    one, two, three, four = shared.parties(4)
    subject, amending = (f"agreements/{shared.new('a')}" for _ in range(2))
    shared.take(
        event(
            "agreement.adopted",
            subject,
            "2000-01-01",
            title={"en": "Treaty", "zh": "条约"},
            kind="treaty",
            scope=["a", "b"],
            place="Kyoto",
            summary="S",
            until="2030-01-01",
        ),
        event("agreement.adopted", amending, "2004-06-01", title="Protocol", kind="treaty", under=subject),
    )
    facts = [
        event("agreement.signed", subject, "2001-01-01", parties=[{"party": one, "role": "host"}, {"party": two}]),
        event("agreement.ratified", subject, "2002-01-01", party=one, instrument="acceptance"),
        event("agreement.provisionally-applied", subject, "2002-06-01", party=two),
        event("agreement.acceded", subject, "2003-01-01", party=three, instrument="succession"),
        event("agreement.entered-into-force", subject, "2004-01-01"),
        event(
            "agreement.amended",
            subject,
            "2005-01-01",
            summary="Wider",
            title="Greater treaty",
            scope_added=["c"],
            scope_removed=["a"],
            until="2040-01-01",
            by=amending,
        ),
        event("agreement.suspended", subject, "2006-01-01", party=one),
        event("agreement.resumed", subject, "2007-01-01", party=one),
        event("agreement.ratified", subject, "2007-06-01", party=two),
        event("agreement.entered-into-force", subject, "2008-01-01", party=two),
        event("agreement.acceded", subject, "2008-06-01", party=four),
        event("agreement.withdrawn", subject, "2009-01-01", party=one, effective="2010-01-01"),
        event("agreement.suspended", subject, "2011-01-01"),
        event("agreement.resumed", subject, "2012-01-01"),
        event("agreement.renewed", subject, "2039-01-01", until="2050-01-01"),
        event(
            "agreement.terminated",
            subject,
            "2044-01-01",
            reason="superseded",
            superseded_by=amending,
            effective="2045-01-01",
        ),
    ]
    shared.take(*facts)
    return subject, (one, two, three, four), amending


AGREEMENT_YEARS = {
    "2000-06-01": ("adopted", {}),
    "2001-06-01": ("signed", {0: "signed", 1: "signed"}),
    "2002-03-01": ("signed", {0: "bound", 1: "signed"}),
    "2002-07-01": ("signed", {0: "bound", 1: "provisional"}),
    "2003-06-01": ("signed", {0: "bound", 1: "provisional", 2: "bound"}),
    "2004-01-01": ("in-force", {0: "in-force", 1: "provisional", 2: "in-force"}),
    "2006-06-01": ("in-force", {0: "suspended", 1: "provisional", 2: "in-force"}),
    "2007-02-01": ("in-force", {0: "in-force", 1: "provisional", 2: "in-force"}),
    "2008-02-01": ("in-force", {0: "in-force", 1: "in-force", 2: "in-force"}),
    "2009-06-01": ("in-force", {0: "in-force", 1: "in-force", 2: "in-force", 3: "bound"}),
    "2010-01-01": ("in-force", {1: "in-force", 2: "in-force", 3: "bound"}),
    "2011-06-01": ("suspended", None),
    "2013-01-01": ("in-force", {1: "in-force", 2: "in-force", 3: "bound"}),
    "2041-01-01": ("in-force", {1: "in-force", 2: "in-force", 3: "bound"}),
    "2044-06-01": ("in-force", {1: "in-force", 2: "in-force", 3: "bound"}),
    "2045-01-01": ("terminated", {}),
}


@pytest.mark.parametrize("day", AGREEMENT_YEARS)
def test_an_agreement_over_the_years(shared, treaty, day):
    subject, parties, _ = treaty
    status, ties = AGREEMENT_YEARS[day]
    state = shared.state(subject, on=day)
    assert (state["status"], state["certainty"]) == (status, "certain")
    if ties is not None:
        found = {
            item["party"]["subject"]: (item["status"], item["certainty"])
            for item in shared.items("/v1/memberships", in_=subject, on=day)
        }
        assert found == {parties[index]: (wanted, "certain") for index, wanted in ties.items()}


def test_attributes_of_an_agreement_change_on_their_day(shared, treaty):
    subject, (one, *_), amending = treaty
    early, late = (shared.state(subject, on=day) for day in ("2004-12-31", "2005-01-01"))
    assert (early["title"], early["scope"], early["until"]) == (
        {"en": "Treaty", "zh": "条约"},
        ["a", "b"],
        "2030-01-01",
    )
    assert (late["title"], late["scope"], late["until"]) == ("Greater treaty", ["b", "c"], "2040-01-01")
    assert (late["kind"], late["place"], late["summary"]) == ("treaty", "Kyoto", "S")
    assert early["amendments"] == []
    assert [item["summary"] for item in late["amendments"]] == ["Wider"]
    assert late["amendments"][0].get("by", {}).get("subject") == amending
    assert shared.state(subject, on="2039-01-01")["until"] == "2050-01-01"
    end = shared.state(subject, on="2046-01-01")
    assert (end["reason"], end["superseded_by"]["subject"]) == ("superseded", amending)
    assert shared.state(amending, on="2010-01-01")["under"]["subject"] == subject
    first = next(item for item in shared.state(subject, on="2003-01-01")["parties"] if item["party"]["subject"] == one)
    assert first["role"] == "host"
    assert [(step["type"], step["occurred"]) for step in first["steps"]][:2] == [
        ("agreement.signed", "2001-01-01"),
        ("agreement.ratified", "2002-01-01"),
    ]


def test_later_signature_fills_absent_attributes_from_its_day_on_and_shows_its_place_with_its_step(shared):
    one, two = shared.parties(2)
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event(
            "agreement.signed",
            subject,
            "2001-01-01",
            title="T",
            kind="contract",
            parties=[{"party": one}],
            summary="one",
        ),
        event(
            "agreement.signed",
            subject,
            "2002-01-01",
            parties=[{"party": two}],
            summary="two",
            place="Kyoto",
            until="2050-01-01",
        ),
    )
    early, late = (shared.state(subject, on=day) for day in ("2001-12-31", "2002-01-01"))
    assert (early["summary"], early.get("place"), early.get("until")) == ("one", None, None)
    assert (late["summary"], late.get("place"), late["until"]) == ("one", None, "2050-01-01")
    steps = {item["party"]["subject"]: item["steps"] for item in late["parties"]}
    assert [step.get("place") for step in steps[one]] == [None]
    assert [step["place"] for step in steps[two]] == ["Kyoto"]
    (membership,) = shared.items("/v1/memberships", party=two, in_=subject)
    assert membership["steps"][0]["place"] == "Kyoto"


def test_place_of_the_first_signature_is_the_place_of_the_agreement(shared):
    one, two = shared.parties(2)
    subject = f"agreements/{shared.new('a')}"
    named = {"title": "T", "kind": "contract"}
    shared.take(
        event("agreement.signed", subject, "2002-01-01", **named, parties=[{"party": two}], place="Kyoto"),
        event("agreement.signed", subject, "2001-01-01", parties=[{"party": one}], place="Rio"),
    )
    assert shared.state(subject, on="2003-01-01")["place"] == "Rio"


def test_other_names_and_identifiers_keep_the_order_of_the_event(shared):
    party, names = f"parties/{shared.new('p')}", [f"n{at}" for at in range(12)]
    identifiers = [{"scheme": "lei", "value": f"i{at}"} for at in range(12)]
    shared.take(event("party.registered", party, name="N", kind="company", other_names=names, identifiers=identifiers))
    state = shared.state(party)
    assert state["other_names"] == names
    assert [each["value"] for each in state["identifiers"]] == [each["value"] for each in identifiers]
    assert [item["name"] for item in shared.items(f"/v1/{party}/other_names")] == names


def test_repeated_name_is_listed_once(shared):
    party, old = f"parties/{shared.new('p')}", {"en": "Old", "zh": "旧"}
    made = shared.took(event("party.registered", party, "2000", name=old, kind="company", other_names=["Alias", "X"]))
    renamed = shared.took(event("party.renamed", party, "2010", name="New"))
    added = shared.took(
        event("party.name-added", party, "2011", name={"zh": "旧", "en": "Old"}),
    )
    again = shared.took(event("party.name-added", party, "2012", name="Alias"))
    shared.take(event("party.name-added", party, "2013", name="New"))
    state = shared.state(party)
    assert state["name"] == "New"
    assert sorted(map(json.dumps, state["other_names"])) == sorted(map(json.dumps, [old, "Alias", "X"]))
    assert set(state["events"]["other_names"]) >= {made, added, again}
    items = shared.items(f"/v1/{party}/other_names")
    assert [item["name"] for item in items] == state["other_names"]
    assert {made, added} <= set(next(item["events"] for item in items if item["name"] == old))
    pages = [page["items"][0] for page in shared.pages(f"/v1/{party}/other_names", limit=1)]
    assert pages == items
    assert shared.state(party, as_of=renamed, on="2005-01-01")["other_names"] == ["Alias", "X"]


def test_a_party_shows_when_it_was_founded(shared):
    party, undated = f"parties/{shared.new('p')}", f"parties/{shared.new('p')}"
    word = shared.new("w").replace("-", "")
    made = shared.took(event("party.registered", party, "1945-10", name=word, kind="company"))
    shared.take(event("party.registered", undated, name=f"{word} other", kind="company"))
    state = shared.state(party)
    assert (state["founded"], state["events"]["founded"]) == ("1945-10", [made])
    assert "founded" not in shared.state(undated)
    table = csv.DictReader(shared.get("/v1/parties", q=word, headers={"Accept": "text/csv"}).text.splitlines())
    assert sorted(row["founded"] for row in table) == ["", "1945-10"]


def test_ended_commitments_are_listed_if_the_status_selects_them(shared):
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.adopted", subject, "2001-01-01", title="T", kind="contract"),
        event("agreement.commitment-made", subject, "2002-01-01", commitment="c", kind="other", title="C"),
        event("agreement.commitment-updated", subject, "2003-01-01", commitment="c", status="fulfilled"),
    )

    def listed(**query):
        items = shared.items("/v1/commitments", agreement=subject, **query)
        return [(item["commitment"], item["status"]) for item in items]

    assert listed(on="2002-06-01") == [("c", "planned")]
    assert listed(on="2004-01-01") == []
    assert listed(on="2004-01-01", status="fulfilled") == [("c", "fulfilled")]
    assert listed(on="2002-06-01", status="fulfilled") == []
    assert listed(on="any") == [("c", "fulfilled")]


def test_an_undated_adoption_is_no_later_than_a_dated_signature(shared):
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.adopted", subject, title="T", kind="treaty"),
        event("agreement.signed", subject, "2005-01-01", parties=[{"party": shared.party()}]),
    )
    before, after = (shared.state(subject, on=day) for day in ("2004-12-31", "2005-01-01"))
    assert (before["status"], before["certainty"]) == ("adopted", "possible")
    assert (after["status"], after["certainty"]) == ("signed", "certain")


def test_a_withdrawals_notice_and_effect(shared, treaty):
    subject, (one, *_), _ = treaty
    tie = shared.items("/v1/memberships", in_=subject, party=one, on="2010-01-01", status="withdrawn")
    assert statuses(tie, "status", "certainty", "from", "to") == [("withdrawn", "certain", "2001-01-01", "2010-01-01")]


def test_in_force_for_signatories_where_no_consent_is_recorded(shared):
    one, two, three = shared.parties(3)
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.signed", subject, "2001-01-01", title="T", kind="contract", parties=[{"party": one}]),
        event("agreement.entered-into-force", subject, "2002-01-01"),
        event("agreement.signed", subject, "2003-01-01", parties=[{"party": two}]),
    )

    def found(day):
        return dict(
            statuses(
                [
                    {"p": item["party"]["subject"], **item}
                    for item in shared.items("/v1/memberships", in_=subject, on=day)
                ],
                "p",
                "status",
            )
        )

    assert found("2001-06-01") == {one: "signed"}
    assert found("2002-01-01") == {one: "in-force"}
    assert found("2004-01-01")[one] == "in-force"
    shared.take(event("agreement.ratified", subject, "2005-01-01", party=two))
    assert found("2002-06-01") == {one: "in-force"}, "a later consent takes no signatory out of force"
    assert found("2006-01-01") == {one: "in-force", two: "bound"}
    shared.take(event("agreement.acceded", subject, "2002-01-01", party=three))
    assert found("2002-06-01") == {one: "signed", three: "in-force"}, "one by then does: only the bound are in force"
    assert found("2006-01-01") == {one: "signed", two: "bound", three: "in-force"}


def test_a_party_in_force_alone_puts_the_agreement_in_force(shared):
    one, two = shared.parties(2)
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.adopted", subject, "2001-01-01", title="T", kind="treaty"),
        event("agreement.ratified", subject, "2002-01-01", party=one),
        event("agreement.entered-into-force", subject, "2003-01-01", party=one),
        event("agreement.withdrawn", subject, "2005-01-01", party=one),
        event("agreement.ratified", subject, "2004-01-01", party=two),
    )
    status = lambda day: shared.state(subject, on=day)["status"]  # noqa: E731
    assert status("2002-06-01") != "in-force"
    assert status("2003-01-01") == "in-force"
    assert status("2005-01-01") != "in-force"


def test_a_later_instrument_never_takes_a_party_out_of_force(shared):
    one, two = shared.parties(2)
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.adopted", subject, "2001-01-01", title="T", kind="treaty"),
        event("agreement.acceded", subject, "2001-06-01", party=two),
        event("agreement.entered-into-force", subject, "2002-01-01"),
        event("agreement.entered-into-force", subject, "2003-01-01", party=one),
        event("agreement.acceded", subject, "2005-01-01", party=one, instrument="succession"),
    )
    found = shared.items("/v1/memberships", in_=subject, party=one, on="2006-01-01")
    assert statuses(found, "status", "certainty") == [("in-force", "certain")]


def test_past_its_until_an_agreement_is_possibly_terminated(shared):
    one = shared.party()
    subject = f"agreements/{shared.new('a')}"
    shared.take(
        event(
            "agreement.signed",
            subject,
            "2001-01-01",
            title="T",
            kind="contract",
            parties=[{"party": one}],
            until="2005-01-01",
        ),
        event("agreement.entered-into-force", subject, "2001-01-01"),
    )
    before, after = (shared.state(subject, on=day) for day in ("2004-12-31", "2006-01-01"))
    assert (before["status"], before["certainty"]) == ("in-force", "certain")
    assert (after["status"], after["certainty"]) == ("terminated", "possible")
    assert set(after["statuses"]) == {"in-force", "terminated"}
    for status in ("in-force", "terminated"):
        found = shared.items("/v1/agreements", party=one, on="2006-01-01", status=status)
        assert statuses(found, "subject", "certainty") == [(subject, "possible")]
    shared.take(event("agreement.renewed", subject, "2004-06-01", until="2010-01-01"))
    renewed = shared.state(subject, on="2006-01-01")
    assert (renewed["status"], renewed["certainty"], renewed["until"]) == ("in-force", "certain", "2010-01-01")
    assert shared.state(subject, on="2011-01-01")["certainty"] == "possible"


def test_declarations_and_their_withdrawal(shared, treaty):
    subject, (one, *_), _ = treaty
    made = shared.took(
        event(
            "agreement.declaration-made",
            subject,
            "2002-01-01",
            party=one,
            kind="reservation",
            text={"en": "Not article 5", "zh": "第五条除外"},
            provision="5",
        )
    )
    shared.take(event("agreement.declaration-withdrawn", subject, "2008-01-01", event=made))

    def found(day):
        return [item for item in shared.state(subject, on=day)["declarations"] if item["party"]["subject"] == one]

    assert found("2001-12-31") == []
    assert statuses(found("2003-01-01"), "kind", "text", "provision") == [
        ("reservation", {"en": "Not article 5", "zh": "第五条除外"}, "5")
    ]
    assert found("2003-01-01")[0]["status"] != (found("2009-01-01") or [{"status": None}])[0]["status"]
    problem = shared.refused(
        event("agreement.declaration-withdrawn", subject, "2008-01-01", event=made - 1), status=422
    )
    assert "/data/event" in pointers(problem)


def test_commitments(shared, treaty):
    subject, (one, two, *_), _ = treaty
    positions = shared.take(
        event(
            "agreement.commitment-made",
            subject,
            "2002-01-01",
            commitment="plant",
            kind="investment",
            title="A plant",
            by=[one],
            with_=[two],
            place="X",
            due="2025-06",
            amount={"value": "12.50", "currency": "CNY"},
        ),
        event("agreement.commitment-updated", subject, "2003-01-01", commitment="plant", status="in-progress"),
        event("agreement.commitment-updated", subject, "2004-01-01", commitment="plant", status="fulfilled"),
    )
    found = lambda day: [item for item in shared.state(subject, on=day)["commitments"] if item["commitment"] == "plant"]  # noqa: E731
    assert found("2001-06-01") == []
    (made,) = found("2002-01-01")
    assert (made["kind"], made["title"], made["place"], made["due"], made["amount"]) == (
        "investment",
        "A plant",
        "X",
        "2025-06",
        {"value": "12.50", "currency": "CNY"},
    )
    assert (ref(made["by"]), ref(made["with"])) == ([one], [two])
    assert made["status"] == "planned"
    assert found("2003-06-01")[0]["status"] == "in-progress"
    assert found("2004-01-01")[0]["status"] == "fulfilled"
    assert set(positions) <= set(found("2004-01-01")[0]["events"])


@pytest.mark.parametrize(
    "data",
    [
        {"amount": {"value": 12, "currency": "CNY"}}, {"amount": {"value": "12,5", "currency": "CNY"}}, {"amount": {"value": "1e5", "currency": "CNY"}},
        {"amount": {"value": "12"}}, {"amount": {"value": "12", "currency": "yuan"}}, {"amount": {"value": "NaN", "currency": "CNY"}},
        {"kind": "promise"}, {"commitment": "Not A Slug"}, {"by": ["labs/x"]}, {"by": "parties/x"}, {"due": "2023-02-30"},
    ],
)  # fmt: skip
def test_wrong_commitments(shared, treaty, data):
    subject, *_ = treaty
    given = event(
        "agreement.commitment-made",
        subject,
        "2002-01-01",
        **{"commitment": "c9", "kind": "other", "title": "C", **data},
    )
    found = pointers(shared.refused(given, status=422))
    assert any(pointer.startswith(f"/data/{next(iter(data))}") for pointer in found), found


# Labs


def test_a_lab_over_the_years(shared):
    one, two = sorted(shared.parties(2))
    subject = f"labs/{shared.new('l')}"
    agreement = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.signed", agreement, "2009-01-01", title="T", kind="contract", parties=[{"party": one}, {"party": two}]),
        event("lab.founded", subject, "2010-01-01", name={"en": "Lab", "zh": "实验室"}, founders=[one, two], under=agreement, place="Beijing", fields=["batteries"],
              phases=[{"phase": "one", "title": "One", "duration": "P3Y"}, {"phase": "two", "after": ["one"]}]),
        event("lab.opened", subject, "2011-01-01"),
        event("lab.phase-started", subject, "2011-02-01", phase="one"),
        event("lab.recruitment-opened", subject, "2011-03-01", call="post-docs", role="Postdoc", positions={"min": 1, "max": 2}, fields=["cells"], place="Huairou"),
        event("lab.phase-completed", subject, "2012-01-01", phase="one"),
        event("lab.phase-started", subject, "2012-02-01", phase="two"),
        event("lab.recruitment-closed", subject, "2012-03-01", call="post-docs", hired=2),
        event("lab.closed", subject, "2020-01-01"),
    )  # fmt: skip
    on = lambda day: shared.state(subject, on=day)  # noqa: E731
    founded = on("2010-06-01")
    assert (founded["status"], founded["name"], founded["place"], founded["fields"]) == (
        "founded",
        {"en": "Lab", "zh": "实验室"},
        "Beijing",
        ["batteries"],
    )
    assert founded["under"] == {"subject": agreement, "name": "T"}
    assert sorted(ref(founded["founders"])) == [one, two]
    assert statuses(founded["phases"], "phase", "status", "waits_for") == [
        ("one", "planned", []),
        ("two", "planned", ["one"]),
    ]
    assert founded["phases"][0]["title"] == "One"
    assert founded["phases"][0]["duration"] == "P3Y"
    assert founded["calls"] == []
    operating = on("2011-04-01")
    assert operating["status"] == "operating"
    assert operating["phases"][0]["status"] == "started"
    (call,) = operating["calls"]
    assert (call["call"], call["role"], call["positions"], call["fields"], call["place"], call["status"]) == (
        "post-docs",
        "Postdoc",
        {"min": 1, "max": 2},
        ["cells"],
        "Huairou",
        "open",
    )
    assert on("2012-01-15")["phases"][0]["status"] == "completed"
    assert on("2012-01-15")["phases"][1]["waits_for"] == []
    late = on("2012-04-01")
    assert late["phases"][1]["status"] == "started"
    assert (late["calls"][0]["status"], late["calls"][0]["hired"]) == ("closed", 2)
    assert on("2020-01-01")["status"] == "closed"
    founders = shared.items("/v1/memberships", in_=subject, on="2015-01-01")
    assert (
        statuses(founders, "status", "certainty", "from", "to")
        == [("founder", "certain", "2010-01-01", "2020-01-01")] * 2
    )
    assert shared.items("/v1/memberships", in_=subject, on="2020-01-01") == []
    assert {
        item["status"] for item in shared.items("/v1/memberships", in_=subject, on="2020-01-01", status="ended")
    } == {"ended"}


def test_a_later_closing_of_a_call_does_not_show_on_earlier_days(shared):
    subject = f"labs/{shared.new('l')}"
    shared.take(
        event("lab.founded", subject, "2010-01-01", name="L", founders=[shared.party()], phases=[{"phase": "one"}]),
        event("lab.phase-started", subject, "2012-01-01", phase="one"),
        event("lab.recruitment-opened", subject, "2011-03-01", call="c", role="R"),
        event("lab.recruitment-closed", subject, "2012-03-01", call="c", hired=2),
    )
    early = shared.state(subject, on="2011-06-01")
    assert early["calls"][0]["status"] == "open"
    assert early["calls"][0].get("hired") is None
    assert early["phases"][0].get("started") is None


@pytest.mark.parametrize(
    "data",
    [
        {"positions": {"min": 3, "max": 2}},
        {"positions": {"min": -1}},
        {"positions": {"about": 3}},
        {"call": "A B"},
        {"role": ""},
    ],
)
def test_wrong_calls(shared, data):
    subject = f"labs/{shared.new('l')}"
    shared.take(event("lab.founded", subject, name="L", founders=[shared.party()]))
    shared.refused(event("lab.recruitment-opened", subject, **{"call": "c", "role": "R", **data}), status=422)


@pytest.mark.parametrize("duration", ["3 years", "P", "PT", "P3X", "-P3Y", "P3Y-1M", "3Y", ""])
def test_wrong_durations(shared, duration):
    given = event(
        "lab.founded",
        f"labs/{shared.new('l')}",
        name="L",
        founders=[shared.party()],
        phases=[{"phase": "one", "duration": duration}],
    )
    problem = shared.refused(given, status=422)
    assert "/data/phases/0/duration" in pointers(problem)


# Platforms and documents


def test_a_platform_over_the_years(shared):
    one, two = shared.parties(2)
    subject, following = f"platforms/{shared.new('f')}", f"platforms/{shared.new('f')}"
    shared.take(
        event("platform.launched", following, "2019-01-01", name="F"),
        event(
            "platform.launched",
            subject,
            "2010-01-01",
            name={"en": "P", "zh": "平台"},
            place={"zh": "北京"},
            purpose="Why",
            directions=["d1", {"zh": "方向"}],
            convened_by=[one],
            target="T",
            target_date="2030",
        ),
        event("platform.member-joined", subject, "2011-01-01", party=one, category="car maker"),
        event("platform.supporter-added", subject, "2011-02-01", party=two, support="funding"),
        event("platform.document-adopted", subject, "2011-03-01", title="Charter", kind="charter"),
        event("platform.dissolved", subject, "2020-01-01", successors=[following]),
    )
    first = shared.state(subject, on="2010-01-01")
    assert (first["status"], first["purpose"], first["directions"], first["target"], first["target_date"]) == (
        "launched",
        "Why",
        ["d1", {"zh": "方向"}],
        "T",
        "2030",
    )
    assert ref(first["convened_by"]) == [one]
    assert (first["members"], first["supporters"], first["documents"]) == ([], [], [])
    later = shared.state(subject, on="2012-01-01")
    (member,) = later["members"]
    assert (member["party"]["subject"], member["status"], member["category"], member["from"], member["certainty"]) == (
        one,
        "member",
        "car maker",
        "2011-01-01",
        "certain",
    )
    (supporter,) = later["supporters"]
    assert (supporter["party"]["subject"], supporter["support"]) == (two, "funding")
    assert statuses(later["documents"], "title", "kind") == [("Charter", "charter")]
    end = shared.state(subject, on="2020-01-01")
    assert (end["status"], end["members"], ref(end["successors"])) == ("dissolved", [], [following])
    assert subject in [each["subject"] for each in shared.items("/v1/platforms", status="dissolved", on="2020-01-01")]
    assert shared.items("/v1/memberships", in_=subject, on="2020-01-01") == []


def test_a_document(shared):
    subject = f"documents/{shared.new('d')}"
    data = {
        "title": {"zh": "报告"},
        "sha256": SHA,
        "publisher": "P",
        "language": "zh-Hans",
        "published": "2024-01",
        "url": "https://x.example/d",
        "original": {"sha256": "f" * 64, "media_type": "application/pdf"},
    }
    shared.take(event("document.registered", subject, **data))
    state = shared.state(subject)
    assert {name: state[name] for name in data} == data
    for bad in (
        {"sha256": "x"},
        {"sha256": "F" * 63},
        {"language": "not a language"},
        {"url": "no url"},
        {"original": {"sha256": SHA}},
        {"title": ""},
    ):
        shared.refused(event("document.registered", f"documents/{shared.new('d')}", **{**data, **bad}), status=422)


@pytest.mark.parametrize("given", [{"citation": {"en": "1 UNTS 1"}}, {"url": "https://x.example/d"}])
def test_a_document_is_registered_by_its_url_or_citation_alone(shared, given):
    subject, party = f"documents/{shared.new('d')}", f"parties/{shared.new('p')}"
    shared.refused(event("document.registered", subject, title="D"), status=422)
    quoted = {"document": subject, "exact": "words"}
    _, supported = shared.take(
        event("document.registered", subject, title="D", **given),
        event("party.registered", party, name="P", kind="armed-group", evidence=[quoted]),
    )
    state = shared.state(subject)
    assert {name: state[name] for name in given} == given
    assert "sha256" not in state
    if "citation" in given:
        assert subject in [each["subject"] for each in shared.items("/v1/documents", q="1 UNTS 1")]
    (passage,) = shared.state(party, evidence="full")["evidence"][str(supported)]
    assert passage["status"] == "unverified"
    (cited,) = shared.items(f"/v1/{subject}/passages")
    assert (cited["exact"], cited["status"]) == ("words", "unverified")
    assert party in [each["subject"] for each in shared.items("/v1/parties", kind="armed-group")]


@pytest.mark.parametrize("type_", ["document.text-stored", "document.text-erased"])
def test_what_the_service_records_itself_cannot_be_posted(shared, type_):
    subject = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", subject, title="D", sha256=SHA))
    shared.refused(event(type_, subject, sha256=SHA, characters=4), status=422)


# Enumerations and texts


@pytest.mark.parametrize(
    ("type_", "collection", "data", "field", "values"),
    [
        ("party.registered", "parties", {"name": "X"}, "kind", ["company", "state", "government", "public-body", "research-institute", "university", "association", "international-organization", "person", "other"]),
        ("agreement.adopted", "agreements", {"title": "X"}, "kind", ["framework", "contract", "investment", "cooperation", "memorandum", "treaty", "other"]),
    ],
)  # fmt: skip
def test_kinds(shared, type_, collection, data, field, values):
    shared.take(*(event(type_, f"{collection}/{shared.new('s')}", **data, **{field: value}) for value in values))
    for bad in ("Company", "treaties", "", None, 1):
        problem = shared.refused(event(type_, f"{collection}/{shared.new('s')}", **data, **{field: bad}), status=422)
        assert f"/data/{field}" in pointers(problem)


def test_all_instruments_reasons_and_supports(shared):
    parties = shared.parties(8)
    agreement, platform = f"agreements/{shared.new('a')}", f"platforms/{shared.new('f')}"
    shared.take(
        event("agreement.adopted", agreement, title="T", kind="treaty"), event("platform.launched", platform, name="P")
    )
    for type_, name, values in (
        ("agreement.ratified", "instrument", ["ratification", "acceptance", "approval"]),
        ("agreement.acceded", "instrument", ["accession", "succession", "continued-application"]),
        ("platform.supporter-added", "support", ["political", "research", "funding", "other"]),
    ):
        subject = platform if type_.startswith("platform") else agreement
        for value in values:
            answer = shared.post(
                event(
                    type_,
                    subject,
                    party=parties.pop() if type_.startswith("agreement") else parties[0],
                    **{name: value},
                )
            )
            assert answer.status_code == 201, answer.text
        shared.refused(event(type_, subject, party=shared.party(), **{name: "nonsense"}), status=422)
    for kind in ("reservation", "declaration", "objection"):
        shared.take(event("agreement.declaration-made", agreement, party=parties[0], kind=kind, text="T"))
    for kind in ("charter", "rules", "structure", "strategy", "other"):
        shared.take(event("platform.document-adopted", platform, title="T", kind=kind))
    for reason in ("expired", "completed", "terminated", "superseded"):
        subject = f"agreements/{shared.new('a')}"
        shared.take(
            event("agreement.adopted", subject, title="T", kind="treaty"),
            event("agreement.terminated", subject, reason=reason),
        )


@pytest.mark.parametrize(
    "tag", ["en", "zh", "zh-Hans", "zh-Hant-TW", "de-CH-1996", "x-private", "en-GB-oed", "sr-Latn", "es-419"]
)
def test_language_tags(shared, tag):
    assert shared.state(shared.party({tag: "Text"}))["name"] == {tag: "Text"}


# Long lists inside states


def test_long_lists_are_cut_with_the_address_of_the_whole(shared):
    platform = f"platforms/{shared.new('f')}"
    word = shared.new("w").replace("-", "")
    parties = shared.parties(130)
    shared.take(event("platform.launched", platform, "2000-01-01", name=word))
    shared.imported([event("platform.member-joined", platform, "2001-01-01", party=party) for party in parties])
    state = shared.state(platform)
    assert len(state["members"]) == 100
    address = re.findall(r"/v1/platforms/[^\"]*members[^\"]*|/v1/memberships[^\"]*", json.dumps(state["more"]))
    assert address, state["more"]
    whole = shared.items(address[0])
    assert sorted(item["party"]["subject"] for item in whole) == parties
    (item,) = shared.items("/v1/platforms", q=word)
    assert len(item["members"]) == 10
    assert item["more"]


def test_whole_list_has_the_two_times_of_the_query(shared):
    platform = f"platforms/{shared.new('f')}"
    parties = shared.parties(120)
    shared.take(event("platform.launched", platform, "2000-01-01", name="P"))
    shared.imported([event("platform.member-joined", platform, "2001-01-01", party=party) for party in parties])
    then = shared.head()
    shared.imported([event("platform.member-left", platform, "2005-01-01", party=party) for party in parties[:10]])
    for query in ({"on": "2004-01-01"}, {"as_of": then}):
        state = shared.state(platform, **query)
        (address,) = re.findall(r"/v1/[^\"]*", json.dumps(state["more"]))
        assert len(shared.items(address)) == 120, (query, address)


# ETags


def test_etags_are_strong_and_name_the_version(shared):
    party = shared.party()
    answer = shared.get(f"/v1/{party}")
    assert re.fullmatch(r'"1-[^"]+"', answer.headers["ETag"])
    again = shared.get(f"/v1/{party}")
    assert again.headers["ETag"] == answer.headers["ETag"]
    for value in (answer.headers["ETag"], f'"x", {answer.headers["ETag"]}', "*", "W/" + answer.headers["ETag"]):
        cached = shared.get(f"/v1/{party}", headers={"If-None-Match": value})
        assert cached.status_code == 304, value
        assert cached.content == b""
        assert cached.headers["ETag"] == answer.headers["ETag"]
    assert shared.get(f"/v1/{party}", headers={"If-None-Match": '"1-x"'}).status_code == 200
    shared.take(event("party.name-added", party, name="N"))
    changed = shared.get(f"/v1/{party}", headers={"If-None-Match": answer.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"].startswith('"2-')


def test_etag_changes_with_the_answer_even_if_the_version_stays(shared):
    """A new name of another subject, or another day, gives another answer."""
    whole = shared.party("Whole")
    part = shared.party("Part", part_of=whole)
    one = shared.get(f"/v1/{part}", on="2020-01-01")
    shared.take(event("party.renamed", whole, "2001-01-01", name="Renamed"))
    two = shared.get(f"/v1/{part}", on="2020-01-01")
    assert two.json()["part_of"]["name"] == "Renamed"
    assert one.headers["ETag"] != two.headers["ETag"]
    assert two.headers["ETag"].startswith('"1-')
    three = shared.get(f"/v1/{part}", on="2000-01-01")
    assert three.json() == two.json() or three.headers["ETag"] != two.headers["ETag"]


def test_etag_of_a_past_state_fails_as_if_match_after_new_events(shared):
    party = shared.party()
    past = shared.head()
    shared.take(event("party.name-added", party, name="N"))
    etag = shared.get(f"/v1/{party}", as_of=past).headers["ETag"]
    assert etag.startswith('"1-')
    is_problem(shared.post(event("party.name-added", party, name="O"), If_Match=etag), 412)


# Evidence


def test_evidence_full_adds_the_passages_to_the_facts(shared):
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="Paper", sha256=SHA))
    passage = {"document": document, "start": 3, "end": 9, "exact": "passage", "note": "n"}
    party = f"parties/{shared.new('p')}"
    made = shared.took(event("party.registered", party, name="X", kind="company", evidence=[passage]))
    assert "evidence" not in shared.state(party)
    full = shared.state(party, evidence="full")
    said = json.dumps(full)
    assert '"exact": "passage"' in said
    added = shared.took(
        event("evidence.added", party, event=made, evidence=[{"document": document, "exact": "another"}])
    )
    said = json.dumps(shared.state(party, evidence="full"))
    assert '"another"' in said
    assert '"another"' not in json.dumps(shared.state(party, evidence="full", as_of=added - 1))
    is_problem(shared.get(f"/v1/{party}", evidence="some"), 400, 422)


@pytest.mark.parametrize(
    "passage",
    [
        {}, {"document": "documents/none"}, {"document": "parties/x"}, {"exact": "x"}, {"start": -1, "end": 4}, {"start": 4, "end": 4}, {"start": 5, "end": 4},
        {"start": 4}, {"end": 4}, {"start": "1", "end": "2"}, {"exact": ""}, {"exact": "x", "colour": "red"}, {"exact": "x", "supports": ["name"]},
    ],
)  # fmt: skip
def test_wrong_passages(shared, passage):
    """A passage needs a document, and `exact` or `start` and `end`."""
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="Paper", sha256=SHA))
    whole = {"document": document, **passage} if passage else {}
    problem = shared.refused(
        event(
            "party.registered",
            f"parties/{shared.new('p')}",
            name="X",
            kind="company",
            evidence=[whole if passage != {"exact": "x"} else passage],
        ),
        status=422,
    )
    assert any(pointer.startswith("/data/evidence/0") for pointer in pointers(problem))


def test_a_passage_may_be_the_whole_document(shared):
    """Neither `start` nor `exact`: the contract leaves open whether that is a passage; never an internal error."""
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="Paper", sha256=SHA))
    answer = shared.post(
        event(
            "party.registered",
            f"parties/{shared.new('p')}",
            name="X",
            kind="company",
            evidence=[{"document": document}],
        ),
        validate=True,
    )
    assert answer.status_code in (201, 422)
