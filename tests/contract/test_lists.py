"""Section 5: the lists with their filters, sorting, cursors, limits and media types."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import threading
from typing import Any

import httpx
import pytest

from tests.contract.server import CLOUDEVENT, SHA, SOURCE, Server, event, is_problem, served

LISTS = ["parties", "agreements", "labs", "platforms", "memberships", "commitments", "documents", "timeline"]
SUBJECT_STATES = ["parties", "agreements", "labs", "platforms", "documents"]
DAY = "2020-06-01"


@pytest.fixture(scope="module")
def world():
    """Return a registry with subjects of every kind that only these tests use."""
    with served() as server:
        parties = [f"parties/p{index:02}" for index in range(12)]
        kinds = ["company", "state", "university"]
        server.imported([
            event("party.registered", party, "2000-01-01", name=f"Name {index:02}", kind=kinds[index % 3], jurisdiction=["CN", "DE"][index % 2],
                  identifiers=[{"scheme": "lei", "value": f"L{index}"}], **({"part_of": parties[0]} if index in (3, 4) else {}))
            for index, party in enumerate(parties)
        ])  # fmt: skip
        agreements = [f"agreements/a{index}" for index in range(6)]
        server.imported([
            event("agreement.signed", agreement, f"{2010 + index}-03-0{index + 1}", title=f"Agreement {index}", kind=["contract", "treaty"][index % 2],
                  parties=[{"party": parties[index]}, {"party": parties[index + 1]}], scope=["batteries", "cars"][: 1 + index % 2],
                  **({"under": agreements[0]} if index in (2, 3) else {}))
            for index, agreement in enumerate(agreements)
        ])  # fmt: skip
        server.take(
            event("agreement.adopted", "agreements/open", "2015-01-01", title="Open", kind="treaty"),
            event("agreement.entered-into-force", agreements[1], "2012-01-01"),
            event("agreement.entered-into-force", agreements[2], "2013-01-01"),
            event("agreement.suspended", agreements[2], "2014-01-01"),
            event("agreement.terminated", agreements[3], "2019-01-01", reason="expired"),
            event(
                "agreement.signed",
                "agreements/vague",
                "2018/2022",
                title="Vague",
                kind="other",
                parties=[{"party": parties[11]}],
            ),
            event(
                "lab.founded", "labs/one", "2011-01-01", name="Lab one", founders=parties[:2], fields=["cells", "AI"]
            ),
            event("lab.opened", "labs/one", "2012-01-01"),
            event("lab.founded", "labs/two", "2011-01-01", name="Lab two", founders=[parties[2]], fields=["cells"]),
            event("lab.founded", "labs/three", "2011-01-01", name="Lab three", founders=[parties[2]]),
            event("lab.closed", "labs/three", "2015-01-01"),
            event("platform.launched", "platforms/one", "2010-01-01", name="Platform one"),
            event("platform.launched", "platforms/two", "2010-01-01", name="Platform two"),
            event("platform.dissolved", "platforms/two", "2019-01-01"),
            event("platform.member-joined", "platforms/one", "2011-01-01", party=parties[0], category="maker"),
            event("platform.member-joined", "platforms/one", "2012-01-01", party=parties[1], category="user"),
            event("platform.member-left", "platforms/one", "2015-01-01", party=parties[1]),
            event("platform.member-joined", "platforms/one", "2030-01-01", party=parties[2], category="maker"),
            event("platform.supporter-added", "platforms/one", "2012-01-01", party=parties[5], support="funding"),
            event(
                "agreement.commitment-made",
                agreements[0],
                "2011-01-01",
                commitment="c1",
                kind="facility",
                title="Plant",
                by=[parties[0]],
                due="2021",
            ),
            event(
                "agreement.commitment-made",
                agreements[0],
                "2012-01-01",
                commitment="c2",
                kind="talent",
                title="School",
                by=[parties[1]],
                with_=[parties[0]],
                due="2019-05",
            ),
            event(
                "agreement.commitment-made",
                agreements[1],
                "2012-01-01",
                commitment="c1",
                kind="facility",
                title="Other",
                by=[parties[2]],
            ),
            event("agreement.commitment-updated", agreements[0], "2018-01-01", commitment="c2", status="fulfilled"),
            event("document.registered", "documents/one", "2010-01-01", title="Doc one", sha256=SHA),
            event("document.registered", "documents/two", "2011-01-01", title="Doc two", sha256=SHA),
        )
        yield server


def found(server: Server, path: str, key: str = "subject", **query) -> list[str]:
    items = server.items(f"/v1/{path}", **{"on": DAY, **query})
    return [(item[key]["subject"] if isinstance(item[key], dict) else item[key]).rpartition("/")[2] for item in items]


# The shape


@pytest.mark.parametrize(
    "path", [*LISTS, "events", "parties/p00/history", "search?q=name", "parties/resolve?name=name"]
)
def test_every_list_has_the_same_shape(world, path):
    page = world.json(f"/v1/{path}", limit=3)
    assert set(page) >= {"items", "next", "position"}
    assert isinstance(page["items"], list)
    assert len(page["items"]) <= 3
    assert page["position"] == world.head()


@pytest.mark.parametrize("path", LISTS)
def test_pages_join_to_the_whole_list_and_link_names_the_next(world, path):
    whole = world.json(f"/v1/{path}", limit=1000, on="any")
    assert whole["next"] is None
    assert "Link" not in world.get(f"/v1/{path}", limit=1000, on="any").headers
    assert len(whole["items"]) > 1
    joined, address = [], f"/v1/{path}?limit=1&on=any"
    while address:
        answer = world.get(address)
        page = answer.json()
        joined += page["items"]
        assert len(page["items"]) == 1 or page["next"] is None
        if page["next"]:
            link = answer.links["next"]["url"]
            assert httpx.URL(world.address).join(link) == httpx.URL(world.address).join(page["next"])
        address = page["next"]
    assert joined == whole["items"]


@pytest.mark.parametrize("path", SUBJECT_STATES)
def test_items_of_lists_of_subjects_are_states(world, path):
    for item in world.items(f"/v1/{path}", on=DAY):
        state = world.state(item["subject"], on=DAY)
        assert item["version"] == state["version"]
        assert item["position"] == state["position"]
        assert item["status"] == state["status"]
        assert set(state) - {"more"} <= set(item)


def test_default_limit_is_50_and_the_highest_1000(shared):
    word = shared.new("w").replace("-", "")
    shared.imported(
        [event("party.registered", f"parties/{shared.new('p')}", name=word, kind="company") for _ in range(51)]
    )
    assert len(shared.json("/v1/parties", q=word)["items"]) == 50
    assert len(shared.json("/v1/parties", q=word, limit=1000)["items"]) == 51
    is_problem(shared.get("/v1/parties", limit=1001), 400, 422)


# Filters


FILTERS = [
    ("parties", {"kind": "state"}, {"p01", "p04", "p07", "p10"}),
    ("parties", {"jurisdiction": "DE"}, {"p01", "p03", "p05", "p07", "p09", "p11"}),
    ("parties", {"part_of": "parties/p00"}, {"p03", "p04"}),
    ("parties", {"identifier": "lei:L7"}, {"p07"}),
    ("parties", {"identifier": "ror:L7"}, set()),
    ("parties", {"kind": "state", "jurisdiction": "DE"}, {"p01", "p07"}),
    ("agreements", {"party": "parties/p01"}, {"a0", "a1"}),
    ("agreements", {"party": ["parties/p01", "parties/p02"]}, {"a1"}),
    ("agreements", {"party": ["parties/p01", "parties/p05"]}, set()),
    ("agreements", {"kind": "treaty"}, {"a1", "a3", "a5", "open"}),
    ("agreements", {"status": "adopted"}, {"open"}),
    ("agreements", {"status": "in-force"}, {"a1"}),
    ("agreements", {"status": "suspended"}, {"a2"}),
    ("agreements", {"status": "terminated"}, {"a3"}),
    ("agreements", {"status": "signed"}, {"a0", "a4", "a5", "vague"}),
    ("agreements", {"scope": "cars"}, {"a1", "a3", "a5"}),
    ("agreements", {"under": "agreements/a0"}, {"a2", "a3"}),
    ("agreements", {"signed_from": "2012-03-03", "signed_to": "2014-03-04"}, {"a2", "a3"}),
    ("agreements", {"signed_from": "2015-03-06"}, {"a5", "vague"}),
    ("agreements", {"signed_to": "2010-03-01"}, {"a0"}),
    ("labs", {"founder": "parties/p02"}, {"two"}),
    ("labs", {"founder": "parties/p02", "on": "any"}, {"two", "three"}),
    ("labs", {"field": "cells"}, {"one", "two"}),
    ("labs", {"status": "operating"}, {"one"}),
    ("labs", {"status": "founded"}, {"two"}),
    ("labs", {"status": "closed"}, {"three"}),
    ("platforms", {"member": "parties/p00"}, {"one"}),
    ("platforms", {"member": "parties/p01"}, set()),
    ("platforms", {"supporter": "parties/p05"}, {"one"}),
    ("platforms", {"status": "launched"}, {"one"}),
    ("platforms", {"status": "dissolved"}, {"two"}),
    ("platforms", {"member": "parties/p01", "on": "2013-01-01"}, {"one"}),
    ("platforms", {"member": "parties/p01", "on": "any"}, {"one"}),
    ("parties", {"kind": "state,university"}, {"p01", "p04", "p07", "p10", "p02", "p05", "p08", "p11"}),
    ("agreements", {"status": "suspended,terminated"}, {"a2", "a3"}),
    ("agreements", {"status": "any", "kind": "treaty"}, {"a1", "a3", "a5", "open"}),
    ("labs", {"status": "founded,closed"}, {"two", "three"}),
]


@pytest.mark.parametrize(
    ("path", "query", "wanted"), FILTERS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else None
)
def test_filters_of_lists_of_subjects(world, path, query, wanted):
    assert set(found(world, path, **query)) == wanted
    assert len(found(world, path, **query)) == len(wanted), "nothing twice"


def test_possible_statuses_are_each_found_by_filter(world):
    vague = world.state("agreements/vague", on=DAY)
    assert (vague["status"], vague["certainty"]) == ("signed", "possible")
    assert found(world, "agreements", on="2017-12-31", kind="other") == []
    assert [item["certainty"] for item in world.items("/v1/agreements", on="2022-12-31", kind="other")] == ["certain"]


MEMBERSHIPS = [
    ({"in": "platforms/one"}, {("p00", "member")}),
    ({"in": "platforms/one", "on": "2013-01-01"}, {("p00", "member"), ("p01", "member")}),
    ({"in": "platforms/one", "on": "2031-01-01"}, {("p00", "member"), ("p02", "member")}),
    ({"in": "platforms/one", "status": "left"}, {("p01", "left")}),
    ({"in": "platforms/one", "status": "member", "on": "2013-01-01"}, {("p00", "member"), ("p01", "member")}),
    ({"in": "platforms/one", "on": "any"}, {("p00", "member"), ("p01", "left"), ("p02", "member")}),
    ({"category": "maker"}, {("p00", "member")}),
    ({"category": "maker", "on": "any"}, {("p00", "member"), ("p02", "member")}),
    ({"in": "agreements/a2"}, {("p02", "suspended"), ("p03", "suspended")}),
    ({"in": "agreements/a3", "status": "ended"}, {("p03", "ended"), ("p04", "ended")}),
    ({"in": "agreements/a3"}, set()),
    ({"in": "platforms/one", "status": "any"}, {("p00", "member"), ("p01", "left")}),
    ({"in": "platforms/one", "status": "member,left"}, {("p00", "member"), ("p01", "left")}),
    ({"in": "agreements/a3", "status": "any"}, {("p03", "ended"), ("p04", "ended")}),
    ({"in": "labs/one"}, {("p00", "founder"), ("p01", "founder")}),
    ({"in": "labs/three"}, set()),
    ({"in": "labs/three", "status": "ended"}, {("p02", "ended")}),
    ({"party": "parties/p01", "status": "in-force"}, {("p01", "in-force")}),
]


@pytest.mark.parametrize(
    ("query", "wanted"), MEMBERSHIPS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else None
)
def test_filters_of_memberships(world, query, wanted):
    items = world.items("/v1/memberships", **{"on": DAY, **query})
    assert {(item["party"]["subject"].rpartition("/")[2], item["status"]) for item in items} == wanted
    assert len(items) == len(wanted)
    for item in items:
        assert set(item) >= {"party", "in", "status", "category", "from", "to", "certainty"}


def test_memberships_of_a_party_include_platforms_agreements_and_labs(world):
    items = world.items("/v1/memberships", party="parties/p00", on=DAY)
    assert {(item["in"]["subject"], item["in"]["name"], item["status"]) for item in items} == {
        ("agreements/a0", "Agreement 0", "signed"),
        ("labs/one", "Lab one", "founder"),
        ("platforms/one", "Platform one", "member"),
    }


COMMITMENTS = [
    ({}, {"a0/c1", "a0/c2", "a1/c1"}),
    ({"on": "2011-06-01"}, {"a0/c1"}),
    ({"party": "parties/p00"}, {"a0/c1", "a0/c2"}),
    ({"agreement": "agreements/a1"}, {"a1/c1"}),
    ({"kind": "talent"}, {"a0/c2"}),
    ({"status": "planned"}, {"a0/c1", "a1/c1"}),
    ({"status": "fulfilled"}, {"a0/c2"}),
    ({"due_before": "2020-01-01"}, {"a0/c2"}),
    ({"due_before": "2023-01-01"}, {"a0/c1", "a0/c2"}),
    ({"due_before": "2019-05-01"}, set()),
]


@pytest.mark.parametrize(
    ("query", "wanted"), COMMITMENTS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else None
)
def test_filters_of_commitments(world, query, wanted):
    """A fulfilled commitment has ended: it is listed under its status, or also without; the contract allows both."""
    items = world.items("/v1/commitments", **{"on": DAY, **query})
    names = {f"{item['agreement']['subject'].rpartition('/')[2]}/{item['commitment']}" for item in items}
    ended = {"a0/c2"} if query.get("status") != "fulfilled" else set()
    assert names - ended == wanted - ended
    assert len(items) == len(names)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (None, {"c1"}),
        ("any", {"c1", "c2"}),
        ("planned,fulfilled", {"c1", "c2"}),
        ("in-progress,cancelled", set()),
        ("fulfilled", {"c2"}),
    ],
)
def test_ended_commitments_are_listed_if_status_selects_them(world, status, wanted):
    asked = {"agreement": "agreements/a0", "on": DAY, **({"status": status} if status else {})}
    assert {item["commitment"] for item in world.items("/v1/commitments", **asked)} == wanted


def test_choices_take_several_values_and_each_is_checked(world):
    types = {item["type"] for item in world.items("/v1/timeline", type="lab.closed,lab.opened")}
    assert types == {"lab.closed", "lab.opened"}
    mine = world.items("/v1/timeline", type="party.registered,platform.member-joined", party="parties/p00")
    assert {item["type"] for item in mine} == {"party.registered", "platform.member-joined"}
    for path, query in (
        ("agreements", {"status": "signed,left"}),
        ("agreements", {"status": "signed,"}),
        ("memberships", {"status": "any,launched"}),
        ("parties", {"kind": "state,ship"}),
        ("timeline", {"type": "lab.closed,lab.born"}),
    ):
        is_problem(world.get(f"/v1/{path}", **query), 422)


def test_several_statuses_are_certain_if_every_possible_world_has_one_of_them(world):
    asked = {"in": "agreements/vague", "on": "any"}
    assert [item["certainty"] for item in world.items("/v1/memberships", status="signed,bound", **asked)] == ["certain"]


@pytest.mark.parametrize(("on", "is_member"), [("2013-01-01", True), ("2015-01-01", False), ("any", True)])
def test_party_that_left_is_counted_on_the_days_of_its_membership(world, on, is_member):
    listed = [item["in"]["subject"] for item in world.items("/v1/memberships", party="parties/p01", on=on)]
    assert ("platforms/one" in listed) is is_member
    assert ("one" in found(world, "platforms", member="parties/p01", on=on)) is is_member
    edges = world.json("/v1/graph", center="parties/p01", on=on)["edges"]
    assert any(edge["target"] == "platforms/one" for edge in edges) is is_member
    counted = world.json("/v1/statistics", on=on)
    assert counted["memberships"]["total"] == len(world.items("/v1/memberships", on=on))
    assert {each["party"]["subject"]: each["ties"] for each in counted["party"]}["parties/p01"] == len(listed)


def test_filter_by_party_finds_an_agreement_on_the_days_of_its_membership(shared):
    a, b, treaty = f"parties/{shared.new('a')}", f"parties/{shared.new('b')}", f"agreements/{shared.new('t')}"
    shared.take(
        *(event("party.registered", each, name=each, kind="state") for each in (a, b)),
        event("agreement.signed", treaty, "2000-01-01", title="T", kind="treaty", parties=[{"party": a}, {"party": b}]),
        event("agreement.ratified", treaty, "2001-01-01", party=a),
        event("agreement.withdrawn", treaty, "2005-01-01", party=a, effective="2006-01-01"),
    )
    for on, is_party in (("2000-01-01", True), ("2005-12-31", True), ("2006-01-01", False), ("any", True)):
        listed = shared.items("/v1/agreements", party=a, on=on)
        assert [item["subject"] for item in listed] == ([treaty] if is_party else []), on
        assert [item["subject"] for item in shared.items("/v1/agreements", party=[a, b], on=on)] == [
            item["subject"] for item in listed
        ]
        edges = shared.json("/v1/graph", center=treaty, on=on)["edges"]
        assert (a in [edge["source"] for edge in edges]) is is_party


def test_timeline_filters(world):
    kinds = lambda **query: [item["type"] for item in world.items("/v1/timeline", **query)]  # noqa: E731
    assert kinds(subject="platforms/two") == ["platform.launched", "platform.dissolved"]
    assert set(kinds(type="lab.closed")) == {"lab.closed"}
    assert [item["occurred"] for item in world.items("/v1/timeline", subject="platforms/one")] == [
        "2010-01-01",
        "2011-01-01",
        "2012-01-01",
        "2012-01-01",
        "2015-01-01",
        "2030-01-01",
    ]
    assert kinds(**{"from": "2015-01-01", "to": "2015-12-31"}) == [
        "agreement.adopted",
        "lab.closed",
        "platform.member-left",
        "agreement.signed",
    ] or sorted(kinds(**{"from": "2015-01-01", "to": "2015-12-31"})) == sorted(
        ["agreement.adopted", "lab.closed", "platform.member-left", "agreement.signed"]
    )
    mine = {item["type"] for item in world.items("/v1/timeline", party="parties/p05")}
    assert mine == {"party.registered", "agreement.signed", "platform.supporter-added"}
    assert [
        item["occurred"] for item in world.items("/v1/timeline", party="parties/p00", type="platform.member-joined")
    ] == ["2011-01-01"]
    dated = world.items("/v1/timeline", **{"from": "2016-01-01", "to": "2018-06-01"})
    assert "agreements/vague" in [item["subject"]["subject"] for item in dated], "it may have been in 2018"


def test_subjects_are_listed_from_their_creation_on_also_after_their_end(world):
    assert set(found(world, "labs", on="2010-12-31")) == set()
    assert set(found(world, "labs", on="2011-01-01")) == {"one", "two", "three"}
    assert set(found(world, "labs", on="2025-01-01")) == {"one", "two", "three"}
    assert found(world, "agreements", on="2010-02-28") == []
    assert found(world, "agreements", on="2010-03-01") == ["a0"]
    assert set(found(world, "platforms", on="any")) == {"one", "two"}


def test_q_finds_by_words_in_every_list(world):
    assert found(world, "parties", q="name 07") == ["p07"]
    assert found(world, "agreements", q="vague") == ["vague"]
    assert set(found(world, "labs", q="lab")) == {"one", "two", "three"}
    assert found(world, "platforms", q="platform two") == ["two"]
    assert found(world, "documents", q="Doc two") == ["two"]
    assert [item["commitment"] for item in world.items("/v1/commitments", q="plant", on=DAY)] == ["c1"]
    assert world.items("/v1/memberships", q="platform", on=DAY)
    assert world.items("/v1/timeline", q="vague")
    for path in LISTS:
        assert world.items(f"/v1/{path}", q="zebra", on="any") == []
    for odd in ('"', "'", "*", "AND", "OR NOT", "a OR b", "(", "NEAR(", "x:y", "-", "%", "_", "\\", "^", "🦓", "é"):
        assert world.get("/v1/parties", q=odd).status_code == 200, odd


# Sorting


def test_sorting_ascends_and_descends(world):
    documented = world.json("/openapi.json")["paths"]
    for path in LISTS:
        (parameter,) = [p for p in documented[f"/v1/{path}"]["get"]["parameters"] if p.get("name") == "sort"]
        choices = {choice.removeprefix("-") for choice in parameter["schema"]["enum"]}
        assert choices, path
        for choice in choices:
            up, down = (world.items(f"/v1/{path}", sort=sort, on="any") for sort in (choice, "-" + choice))
            key = lambda item: json.dumps(item, sort_keys=True)  # noqa: E731
            assert sorted(map(key, up)) == sorted(map(key, down)), (path, choice)
            paged = [
                item for page in world.pages(f"/v1/{path}", sort=choice, on="any", limit=2) for item in page["items"]
            ]
            assert paged == up, (path, choice)
            values = [item[choice] for item in up if isinstance(item.get(choice), (str, int))]
            if len(values) == len(up):
                assert values == sorted(values), (path, choice)
                assert [item[choice] for item in down] == sorted(values, reverse=True), (path, choice)


# Cursors


def test_a_cursor_neither_repeats_nor_skips_while_events_arrive(server):
    """Parties are created, renamed and retracted between two pages: the pages show the position of the first one."""
    for start in range(0, 600, 300):
        server.imported(
            [
                event("party.registered", f"parties/p{index:04}", name=f"N{index:04}", kind="company")
                for index in range(start, start + 300)
            ]
        )
    stop = threading.Event()
    failures: list[str] = []

    def disturb(seed: int) -> None:
        choice = random.Random(seed)
        with httpx.Client(base_url=server.address, trust_env=False, timeout=60) as client:
            for count in itertools.count():
                if stop.is_set():
                    return
                name = f"{choice.randrange(10_000):04}-{seed}-{count}"
                if count % 3:
                    given = {
                        "type": "party.registered",
                        "subject": f"parties/p{name}",
                        "data": {"name": f"N{name}", "kind": "company"},
                    }
                else:
                    given = {
                        "type": "party.renamed",
                        "subject": f"parties/p{choice.randrange(600):04}",
                        "data": {"name": f"N{name}"},
                    }
                answer = client.post(
                    "/v1/events",
                    json={"specversion": "1.0", "source": SOURCE, "id": name, **given},
                    headers={**server.authorization, "Content-Type": CLOUDEVENT},
                )
                if answer.status_code != 201:
                    failures.append(answer.text)

    threads = [threading.Thread(target=disturb, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        for sort, limit, path in (
            ("subject", 37, "/v1/parties"),
            ("-subject", 50, "/v1/parties"),
            ("name", 41, "/v1/parties"),
            (None, 97, "/v1/timeline"),
            (None, 63, "/v1/events"),
        ):
            pages = list(server.pages(path, **({"sort": sort} if sort else {}), limit=limit))
            positions = {page["position"] for page in pages} if path != "/v1/events" else {pages[0]["position"]}
            assert len(positions) == 1, "pinned"
            keys = [json.dumps([item.get("subject"), item["position"]]) for page in pages for item in page["items"]]
            assert len(keys) == len(set(keys)), "repeats"
            if path != "/v1/events":
                pinned = server.items(path, **({"sort": sort} if sort else {}), as_of=positions.pop())
                assert [item for page in pages for item in page["items"]] == pinned
            else:
                assert [item["position"] for page in pages for item in page["items"]] == list(range(1, len(keys) + 1))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]


def test_a_cursor_pins_its_position(shared):
    word = shared.new("w").replace("-", "")
    parties = [f"parties/{word}-{letter}" for letter in "abcd"]
    shared.take(*(event("party.registered", party, name=word, kind="company") for party in parties))
    first = shared.json("/v1/parties", q=word, limit=2, sort="subject")
    shared.take(
        event("party.registered", f"parties/{word}-bb", name=word, kind="company"),
        event("party.renamed", parties[3], name="Other"),
    )
    second = shared.json(first["next"])
    assert [item["subject"] for item in first["items"] + second["items"]] == parties
    assert second["next"] is None
    assert first["position"] == second["position"]


def test_cursor_of_another_list_or_query_is_refused(world):
    cursor = httpx.URL(world.json("/v1/parties", limit=1)["next"]).params["cursor"]
    is_problem(world.get("/v1/agreements", cursor=cursor), 400, 422)
    is_problem(world.get("/v1/parties", cursor=cursor, kind="state", limit=1), 400, 422)
    is_problem(world.get("/v1/parties", cursor=cursor[:-2], limit=1), 400, 422)
    is_problem(world.get("/v1/parties", cursor=cursor[:-6] + "AAAAAA", limit=1), 400, 422)


# Forms


@pytest.mark.parametrize("path", LISTS)
def test_ndjson_by_accept(world, path):
    answer = world.get(f"/v1/{path}", on="any", headers={"Accept": "application/x-ndjson"})
    assert answer.headers["Content-Type"].split(";")[0] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == world.items(f"/v1/{path}", on="any")


@pytest.mark.parametrize("path", LISTS)
def test_csv_by_accept(world, path):
    answer = world.get(f"/v1/{path}", on="any", headers={"Accept": "text/csv"})
    assert answer.headers["Content-Type"].split(";")[0] == "text/csv"
    head, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert all(len(row) == len(head) for row in rows)
    assert len(rows) == len(world.items(f"/v1/{path}", on="any"))
    assert len(set(head)) == len(head)


def test_csv_holds_any_text(shared):
    word = shared.new("w").replace("-", "")
    texts = [f'{word} "quoted", comma', f"{word}\nline", f"{word} 宁德时代", f"=1+{word}", f"{word};semi", f"\t{word}"]
    shared.take(
        *(
            event("party.registered", f"parties/{word}-{index}", name=text, kind="company")
            for index, text in enumerate(texts)
        )
    )
    answer = shared.get("/v1/parties", q=word, sort="subject", headers={"Accept": "text/csv"})
    rows = [
        row
        for row in csv.DictReader(io.StringIO(answer.text, newline=""))
        if row["subject"].startswith(f"parties/{word}")
    ]
    assert len(rows) == len(texts)
    for row, text in zip(rows, texts, strict=True):
        assert text.strip() in row["name"]


def test_streamed_lists_are_whole_whatever_the_default_limit(shared):
    word = shared.new("w").replace("-", "")
    shared.imported(
        [event("party.registered", f"parties/{shared.new('p')}", name=word, kind="company") for _ in range(120)]
    )
    for accept in ("text/csv", "application/x-ndjson"):
        lines = shared.get("/v1/parties", q=word, headers={"Accept": accept}).text.splitlines()
        assert len(lines) - (accept == "text/csv") == 120, accept
        lines = shared.get("/v1/parties", q=word, limit=7, headers={"Accept": accept}).text.splitlines()
        assert len(lines) - (accept == "text/csv") in (7, 120), accept


@pytest.mark.parametrize(("accept", "content_type"), [
    ("*/*", "application/json"), ("application/*", "application/json"), ("text/csv;q=0.5, application/json", "application/json"), ("text/csv, application/json;q=0.5", "text/csv"),
    ("application/json;q=0, */*", None), ("text/csv;q=1.0, image/png", "text/csv"), ("TEXT/CSV", "text/csv"), ("", "application/json"),
])  # fmt: skip
def test_accept_weights_are_respected(world, accept, content_type):
    answer = world.get("/v1/parties", headers={"Accept": accept})
    assert answer.status_code == 200
    got = answer.headers["Content-Type"].split(";")[0]
    assert got == content_type or (content_type is None and got != "application/json")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/parties",
        "/v1/timeline",
        "/v1/parties/p00",
        "/v1/statistics",
        "/v1/graph",
        "/v1/parties/p00/history",
        "/v1/events",
    ],
)
def test_unavailable_media_type_is_406(world, path):
    is_problem(world.get(path, headers={"Accept": "image/png"}), 406)
    is_problem(world.get(path, headers={"Accept": "application/json;q=0"}), 406)


# As of and on


@pytest.mark.parametrize("path", LISTS)
def test_lists_as_of_a_position_show_what_was_recorded_by_then(world, path):
    """Answers as of a position equal those of a registry whose log ends there."""
    head = world.head()
    lengths = [len(world.items(f"/v1/{path}", as_of=position, on="any")) for position in range(1, head + 1, 4)]
    assert lengths == sorted(lengths)
    assert world.items(f"/v1/{path}", as_of=head, on="any") == world.items(f"/v1/{path}", on="any")


def test_list_as_of_a_position_equals_that_of_a_log_that_ends_there(world):
    events = [
        {
            name: item[name]
            for name in ("specversion", "id", "source", "type", "subject", "occurred", "data")
            if name in item
        }
        for item in world.items("/v1/events")
    ]
    half = len(events) // 2
    with served() as other:
        other.imported(events[:half])
        for path, day in itertools.product(LISTS, ("2012-06-01", DAY, "any")):
            assert other.items(f"/v1/{path}", on=day) == strip_recorded(
                world.items(f"/v1/{path}", on=day, as_of=half), other.items(f"/v1/{path}", on=day)
            ), (path, day)


def strip_recorded(items, like):
    """Return the items with `recorded` of the other registry, the one member that differs."""
    nothing: dict[str, Any] = {}
    return [
        {**item, "recorded": other["recorded"]} if "recorded" in item else item
        for item, other in itertools.zip_longest(items, like, fillvalue=nothing)
    ]
