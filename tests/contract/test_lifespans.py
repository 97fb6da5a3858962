"""Sections 2, 3 and 5 over HTTP: dissolved parties, undated facts, and certainty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.contract.server import Server, event, served

ENDED = {
    "east-germany": "1990-10-03",
    "czechoslovakia": "1992-12-31",
    "yugoslavia": "1992-04-27",
    "soviet-union": "1991-12-26",
    "south-yemen": "1990-05-22",
    "south-vietnam": "1976-07-02",
}
"""States that ended, and when."""


def story(server: Server) -> tuple[dict[str, str], str, str]:
    """Record states, a treaty that they and one other state ratified, and a platform that they joined."""
    slugs = {slug: f"parties/{server.new(slug)}" for slug in (*ENDED, "france")}
    treaty, body = f"agreements/{server.new('t')}", f"platforms/{server.new('b')}"
    server.take(
        *(event("party.registered", subject, name=slug, kind="state") for slug, subject in slugs.items()),
        event("agreement.adopted", treaty, "1968-01-01", title="On everything", kind="treaty"),
        event("platform.launched", body, "1950-01-01", name="A body"),
        event("agreement.entered-into-force", treaty, "1970-03-05"),
        *(event("agreement.ratified", treaty, "1969-05-05", party=subject) for subject in slugs.values()),
        *(event("platform.member-joined", body, "1957", party=subject) for subject in slugs.values()),
    )
    return slugs, treaty, body


def ends(slugs: dict[str, str]) -> list[dict[str, Any]]:
    return [event("party.dissolved", slugs[slug], on) for slug, on in ENDED.items()]


def before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(1)).isoformat()


def test_memberships_of_a_dissolved_party_end_that_day(shared):
    slugs, treaty, body = story(shared)
    shared.take(*ends(slugs))
    for slug, day in ENDED.items():
        subject = slugs[slug]
        for container, status in ((treaty, "in-force"), (body, "member")):
            (item,) = shared.items("/v1/memberships", party=subject, in_=container, on=before(day))
            assert (item["status"], item["to"], item["certainty"]) == (status, day, "certain")
            assert shared.items("/v1/memberships", party=subject, in_=container, on=day) == []
            (item,) = shared.items("/v1/memberships", party=subject, in_=container, on=day, status="ended")
            assert (item["status"], item["certainty"]) == ("ended", "certain")
        assert shared.items("/v1/agreements", party=subject, on=day) == []
    shown = {item["party"]["subject"]: item["status"] for item in shared.state(treaty)["parties"]}
    assert shown == dict.fromkeys(slugs.values(), "ended") | {slugs["france"]: "in-force"}


def test_steps_of_a_dissolved_party_are_refused_with_the_position_of_its_end(shared):
    slugs, treaty, _ = story(shared)
    end = shared.take(*ends(slugs))[0]
    east = slugs["east-germany"]
    steps: list[Callable[[str | None], dict[str, Any]]] = [
        lambda on: event("agreement.acceded", treaty, on, party=east),
        lambda on: event("agreement.signed", treaty, on, parties=[{"party": east}]),
        lambda on: event("platform.member-joined", f"platforms/{shared.new('b')}", on, party=east),
        lambda on: event("lab.founded", f"labs/{shared.new('l')}", on, name="L", founders=[east]),
    ]
    for step in (steps[0], steps[1], steps[3]):
        problem = shared.refused(step("1990-10-04"), status=409)
        assert str(end) in str(problem)
        assert shared.get("/v1/events").status_code == 200
    shared.take(steps[3]("1990-10-03"))
    shared.take(steps[1](None))  # without a date it may have been before


def test_memberships_go_on_as_of_before_the_end_and_after_its_retraction(shared):
    slugs, treaty, _ = story(shared)
    end = shared.take(*ends(slugs))[0]
    east = slugs["east-germany"]

    def ended(**query: Any) -> bool:
        return bool(shared.items("/v1/memberships", party=east, in_=treaty, status="ended", on="2000-01-01", **query))

    assert ended()
    assert not ended(as_of=end - 1)
    shared.take(event("event.corrected", east, event=end, reason="a slip", occurred="2001-01-01"))
    assert not ended()
    fixed = shared.head()
    shared.take(event("event.retracted", east, event=end, reason="a mistake"))
    assert not ended()
    assert not ended(as_of=fixed)
    assert ended(as_of=fixed - 1)


def test_any_order_of_ends_gives_the_same_memberships():
    told = []
    for is_first in (True, False):
        with served() as server:
            states = {slug: f"parties/{slug}" for slug in (*ENDED, "france")}
            made = [event("party.registered", subject, name=slug, kind="state") for slug, subject in states.items()]
            treaty = "agreements/t"
            made.append(event("agreement.adopted", treaty, "1968-01-01", title="T", kind="treaty"))
            rest = [
                *(event("agreement.ratified", treaty, "1969-05", party=subject) for subject in states.values()),
                event("agreement.entered-into-force", treaty, "1970-03-05"),
            ]
            server.take(*made, *(ends(states) + rest if is_first else rest + ends(states)))
            found = [
                {name: item[name] for name in ("party", "status", "certainty", "from", "to")}
                for on in ("1969-05-10", "1976-07-02", "1990-10-03", "any")
                for status in ("any", "in-force")
                for item in server.items("/v1/memberships", on=on, status=status)
            ]
            told.append(found)
    assert told[0] == told[1]


def test_undated_events_are_certain_from_their_recording_on(shared):
    party, treaty = shared.party(), f"agreements/{shared.new('t')}"
    at = shared.took(
        event("agreement.signed", treaty, title="T", kind="treaty", parties=[{"party": party}]),
    )
    recorded = shared.json(f"/v1/events/{at}")["recorded"][:10]
    for on, certainty in (("1900-01-01", "possible"), (before(recorded), "possible"), (recorded, "certain")):
        assert shared.state(treaty, on=on)["certainty"] == certainty
        (item,) = shared.items("/v1/memberships", party=party, on=on)
        assert item["certainty"] == certainty
    fixed = event("event.corrected", treaty, event=at, reason="a month", occurred="2021-08/..")
    shared.take(fixed)
    assert shared.get(f"/v1/{treaty}", on="2021-07-31").status_code == 404
    assert shared.state(treaty, on=recorded)["certainty"] == "certain", "from the recording of what was corrected"


def test_validate_only_checks_undated_events_as_recorded_now(shared):
    platform, party = f"platforms/{shared.new('p')}", shared.party()
    shared.take(event("platform.launched", platform, "9000-01-01", name="One day"))
    joining = event("platform.member-joined", platform, party=party)
    answer = shared.post(joining, validate=True)
    assert answer.status_code == 409, "it says that it has happened, before the platform comes about"
    shared.refused(joining, status=409)


VIEWS = ("parties", "agreements", "labs", "platforms", "documents", "memberships", "commitments", "timeline")


@pytest.fixture(scope="module")
def dated():
    """Return a registry with subjects of every kind, on dates of every form."""
    with served() as server:
        parties = server.parties(3)
        for number, when in enumerate(("2020-01-01", "2020", "2020-06/..", None, "../2020-03", "XXXX-08-18")):
            treaty, body, lab = f"agreements/t{number}", f"platforms/b{number}", f"labs/l{number}"
            server.take(
                event("party.registered", f"parties/p{number}", when, name="P", kind="company"),
                event(
                    "agreement.signed",
                    treaty,
                    when,
                    title="T",
                    kind="treaty",
                    parties=[{"party": each} for each in parties],
                ),
                event("agreement.commitment-made", treaty, when, commitment="c", kind="other", title="C"),
                event("platform.launched", body, when, name="B"),
                event("platform.member-joined", body, when, party=parties[0]),
                event("lab.founded", lab, when, name="L", founders=parties[:2]),
                event("document.registered", f"documents/d{number}", when, title="D", sha256="0" * 64),
            )
            server.take(event("agreement.ratified", treaty, "2021", party=parties[0]))
        yield server


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("on", ["2020-02-01", "2021-03-01", "any"])
def test_every_list_is_filtered_by_certainty(dated, view, on):
    queries: list[dict[str, str]] = [{}]
    if view in ("agreements", "labs", "platforms", "memberships", "commitments"):
        queries += [{"status": "signed,bound" if view == "memberships" else "any"}]
    if view == "timeline":
        queries += [{"from": "2020-02-01", "to": "2021-03-01"}]
    for query in queries:
        items = dated.items(f"/v1/{view}", on=on, **query)
        assert items
        for certainty in ("certain", "possible"):
            wanted = [item for item in items if item["certainty"] == certainty]
            assert dated.items(f"/v1/{view}", on=on, certainty=certainty, limit=2, **query) == wanted
            csv = dated.get(f"/v1/{view}", headers={"Accept": "text/csv"}, on=on, certainty=certainty, **query).text
            assert len(csv.strip().splitlines()) == len(wanted) + 1
        assert dated.items(f"/v1/{view}", on=on, certainty="certain,possible", **query) == items
    assert dated.get(f"/v1/{view}", certainty="likely").status_code in (400, 422)


@pytest.mark.parametrize(
    "path", ["agreements/t1/parties", "agreements/t1/commitments", "platforms/b1/members", "labs/l1/founders"]
)
def test_lists_inside_states_are_filtered_by_certainty(dated, path):
    for on in ("2020-02-01", "2021-03-01", "any"):
        items = dated.items(f"/v1/{path}", on=on)
        assert items
        for certainty in ("certain", "possible"):
            wanted = [item for item in items if item["certainty"] == certainty]
            assert dated.items(f"/v1/{path}", on=on, certainty=certainty) == wanted


@pytest.mark.parametrize("on", ["2020-02-01", "2021-03-01", "any"])
def test_statistics_count_certain_and_possible_separately(dated, on):
    told = dated.json("/v1/statistics", on=on)
    for view in ("parties", "agreements", "labs", "platforms", "documents", "memberships"):
        for certainty in ("certain", "possible"):
            items = dated.items(f"/v1/{view}", on=on, certainty=certainty)
            counted = told[view][certainty]
            assert counted["total"] == len(items), (view, certainty)
            assert counted["status"] == {
                status: sum(item["status"] == status for item in items) for status in {item["status"] for item in items}
            }
        assert told[view]["total"] == told[view]["certain"]["total"] + told[view]["possible"]["total"]
    for each in told["party"]:
        assert each["ties"] == each["certain"] + each["possible"]


def test_a_commitment_is_fulfilled_after_its_agreement_has_ended(shared):
    party, treaty = f"parties/{shared.new('a')}", f"agreements/{shared.new('t')}"
    shared.take(
        event("party.registered", party, name="A", kind="state"),
        event("agreement.signed", treaty, "2000-01-01", parties=[{"party": party}], title="On a dam", kind="treaty"),
        event("agreement.commitment-made", treaty, "2000-01-01", commitment="dam", kind="other", title="A dam"),
        event("agreement.commitment-made", treaty, "2000-01-01", commitment="road", kind="other", title="A road"),
        event("agreement.commitment-updated", treaty, "2007-01-01", commitment="dam", status="in-progress"),
        event("agreement.terminated", treaty, "2005-03-01", reason="completed"),
        event("agreement.commitment-updated", treaty, "2009-01-01", commitment="dam", status="fulfilled"),
        event("agreement.commitment-updated", treaty, "2005", commitment="road", status="fulfilled"),
    )
    statuses = {
        day: {
            item["commitment"]: (item["status"], item["certainty"])
            for item in shared.items("/v1/commitments", agreement=treaty, on=day, status="any")
        }
        for day in ("2005-02-01", "2005-06-01", "2008-01-01", "2009-01-01")
    }
    assert statuses == {
        "2005-02-01": {"dam": ("planned", "certain"), "road": ("fulfilled", "possible")},
        "2005-06-01": {"dam": ("planned", "certain"), "road": ("fulfilled", "possible")},
        "2008-01-01": {"dam": ("in-progress", "certain"), "road": ("fulfilled", "certain")},
        "2009-01-01": {"dam": ("fulfilled", "certain"), "road": ("fulfilled", "certain")},
    }
    late = event("agreement.commitment-made", treaty, "2006-01-01", commitment="late", kind="other", title="Late")
    shared.refused(late, status=409)
