"""States and lists: the two times of a query, mergers, ETags, and refused queries."""

from __future__ import annotations

import asyncio
import re
from threading import current_thread
from typing import Any

import pytest

from service.app_keys import KEYS
from service.http.api_document import shown_path
from service.http.operations import DESCRIBED
from service.views import readers
from service.views.readers import Readers
from tests.service.query_helpers import event, party, signed
from tests.service.registry import problem, registered, renamed, running

VIEWS = ("parties", "agreements", "labs", "platforms", "memberships", "commitments", "documents", "timeline")


def subjects(page):
    return [item["subject"] for item in page["items"]]


# the two times


async def test_state_is_of_a_day_and_a_position(registry):
    await registry.take(party("catl"))
    await registry.take(party("ioph"))
    await registry.take(signed("deal", "2024-01-21", "catl", "ioph"))
    await registry.take(event("agreement.terminated", "agreements/deal", {"reason": "completed"}, "2025-06-01"))
    now = await registry.json("/v1/agreements/deal")
    then = await registry.json("/v1/agreements/deal?on=2024-12-31")
    known = await registry.json("/v1/agreements/deal?as_of=3")
    assert [state["status"] for state in (now, then, known)] == ["terminated", "signed", "signed"]
    assert (now["version"], then["version"], known["version"]) == (2, 2, 1)
    before = await registry.get("/v1/agreements/deal?on=2024-01-20")
    assert "had not come about" in (await problem(before, 404, "not-found"))["detail"]
    await problem(await registry.get("/v1/agreements/deal?as_of=2"), 404, "not-found")


async def test_as_of_takes_an_instant_with_any_offset_and_fraction(registry):
    await registry.take(registered("catl"))  # at 12:00
    registry.clock.move(hours=1)
    await registry.take(renamed("catl", "CATL"))  # at 13:00
    registry.clock.move(hours=1)
    for instant, name in (
        ("2026-01-31T12:00:00Z", "Catl"),
        ("2026-01-31t12:59:59.9999999z", "Catl"),
        ("2026-01-31T13:00:00Z", "CATL"),
        ("2026-01-31T21:00:00%2B08:00", "CATL"),
        ("2026-01-31T21:00:00+08:00", "CATL"),  # the plus is a space by the time it is read
        ("2026-01-31T07:30:00-05:00", "Catl"),
    ):
        state = await registry.json(f"/v1/parties/catl?as_of={instant}")
        assert state["name"] == name, instant
    await problem(await registry.get("/v1/parties/catl?as_of=2026-01-31T11:59:59Z"), 404, "not-found")


async def test_a_list_is_as_of_the_same_two_times_as_a_state(registry):
    await registry.take(party("catl"))
    await registry.take(party("ioph"))
    await registry.take(signed("deal", "2024-01-21", "catl", "ioph"))
    assert subjects(await registry.json("/v1/agreements")) == ["agreements/deal"]
    assert subjects(await registry.json("/v1/agreements?on=2024-01-20")) == []
    assert subjects(await registry.json("/v1/agreements?on=any&as_of=3")) == ["agreements/deal"]
    early = await registry.json("/v1/parties?as_of=1")
    assert (subjects(early), early["position"]) == (["parties/catl"], 1)
    assert (await registry.json("/v1/parties?as_of=0"))["items"] == []


async def test_today_follows_the_clock_without_any_event(registry):
    await registry.take(party("catl"))
    await registry.take(party("ioph"))
    await registry.take(signed("deal", "2026-02-01", "catl", "ioph"))
    assert subjects(await registry.json("/v1/agreements")) == []
    registry.clock.move(days=1)
    assert subjects(await registry.json("/v1/agreements")) == ["agreements/deal"]


async def test_timeline_defaults_to_any_day(registry):
    await registry.take(party("catl"))
    await registry.take(event("platform.launched", "platforms/later", {"name": "Later"}, "2030-01-01"))
    assert len((await registry.json("/v1/timeline?type=platform.launched"))["items"]) == 1
    assert len((await registry.json("/v1/timeline?type=platform.launched&on=2029-12-31"))["items"]) == 0


async def test_acknowledged_event_is_in_the_next_answer(registry):
    for number in range(20):
        await registry.take(registered(f"p{number}"))
        assert len((await registry.json("/v1/parties?limit=100"))["items"]) == number + 1
        assert (await registry.json(f"/v1/parties/p{number}"))["position"] == number + 1


# one answers for another


async def test_survivor_answers_for_a_merged_party_at_every_address(registry):
    await registry.take(party("catl"))
    await registry.take(party("ningde-shidai"))
    await registry.take(event("party.merged", "parties/ningde-shidai", {"into": "parties/catl"}))
    for rest in ("", "/history", "/other_names"):
        answer = await registry.client.get(f"/v1/parties/ningde-shidai{rest}?on=any", allow_redirects=False)
        assert answer.status == 308
        assert answer.headers["Location"] == f"/v1/parties/catl{rest}?on=any"
        assert answer.headers["Registry-Position"] == "3"
    escaped = await registry.client.get("/v1/parties/%6Eingde-shidai", allow_redirects=False)
    assert escaped.headers["Location"] == "/v1/parties/catl"
    then = await registry.json("/v1/parties/ningde-shidai?as_of=2")
    assert then["subject"] == "parties/ningde-shidai"
    assert (await registry.json("/v1/graph?center=parties/ningde-shidai"))["nodes"][0]["subject"] == "parties/catl"


async def test_retracted_subject_answers_410_and_its_history_stays(registry):
    await registry.take(party("catl"))
    await registry.take(event("event.retracted", "parties/catl", {"event": 1, "reason": "entered by mistake"}))
    await problem(await registry.get("/v1/parties/catl"), 410, "gone")
    assert (await registry.json("/v1/parties/catl?as_of=1"))["version"] == 1
    history = await registry.json("/v1/parties/catl/history")
    assert [item["type"] for item in history["items"]] == ["party.registered", "event.retracted"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/parties/nobody",
        "/v1/parties/Not_a_slug",
        "/v1/parties/nobody/history",
        "/v1/parties/nobody/identifiers",
        "/v1/parties/catl/members",
        "/v1/parties/catl/",
        "/v1/things",
        "/v1/graph?center=parties/nobody",
        f"/v1/parties/{'a' * 101}",
    ],
)
async def test_unknown_address_is_404(registry, path):
    await registry.take(party("catl"))
    await problem(await registry.get(path), 404, "not-found")


# validators


async def test_a_state_has_a_strong_etag_that_begins_with_its_version(registry):
    await registry.take(registered("catl"))
    first = await registry.get("/v1/parties/catl")
    etag = first.headers["ETag"]
    assert etag.startswith('"1-')
    await registry.take(registered("other"))
    again = await registry.get("/v1/parties/catl")
    assert again.headers["ETag"] == etag, "an event elsewhere changes nothing about it"
    await registry.take(renamed("catl", "CATL"))
    changed = await registry.get("/v1/parties/catl")
    assert changed.headers["ETag"].startswith('"2-')
    assert (await registry.get("/v1/parties/catl?as_of=2")).headers["ETag"] == etag


async def test_answer_with_a_matching_etag_is_not_sent_again(registry):
    await registry.take(registered("catl"))
    for path in ("/v1/parties/catl", "/v1/parties", "/v1/statistics", "/v1/graph", "/v1/parties/catl/history"):
        etag = (await registry.get(path)).headers["ETag"]
        for held in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            answer = await registry.get(path, If_None_Match=held)
            assert (answer.status, await answer.read()) == (304, b""), (path, held)
            assert answer.headers["ETag"] == etag
            assert answer.headers["Registry-Position"] == "1"
            assert "Vary" in answer.headers
        for held in ('"other"', "nonsense", ""):
            assert (await registry.get(path, If_None_Match=held)).status == 200, (path, held)


async def test_etag_of_a_state_works_as_if_match_of_a_post(registry):
    await registry.take(registered("catl"))
    etag = (await registry.get("/v1/parties/catl")).headers["ETag"]
    assert (await registry.post(renamed("catl", "CATL"), If_Match=etag)).status == 201
    await problem(await registry.post(renamed("catl", "C"), If_Match=etag), 412, "version-mismatch")


async def test_repeated_query_is_answered_from_the_cache_and_never_stale(registry, monkeypatch):
    await registry.take(registered("catl"))
    first = await (await registry.get("/v1/parties/catl")).read()
    from projections.reader import Reader

    monkeypatch.setattr(Reader, "state", None)
    assert await (await registry.get("/v1/parties/catl")).read() == first
    monkeypatch.undo()
    await registry.take(renamed("catl", "CATL"))
    assert (await registry.json("/v1/parties/catl"))["name"] == "CATL"


async def test_head_answers_what_get_does_without_the_body(registry):
    await registry.take(registered("catl"))
    for path in ("/v1/parties/catl", "/v1/parties", "/v1/parties/catl/history", "/v1/graph", "/openapi.json", "/docs"):
        got = await registry.get(path)
        head = await registry.client.head(path)
        assert (head.status, await head.read()) == (200, b"")
        for name in ("ETag", "Content-Type", "Content-Length", "Registry-Position"):
            assert head.headers[name] == got.headers[name], (path, name)
    streamed = await registry.client.head("/v1/parties", headers={"Accept": "text/csv"})
    assert (streamed.status, streamed.content_type, await streamed.read()) == (200, "text/csv", b"")


# questions that are refused


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("as_of=2", "as_of"),
        ("as_of=-1", "as_of"),
        ("as_of=01", "as_of"),
        ("as_of=99999999999999999999", "as_of"),
        ("as_of=2026-01-31T12:00:01Z", "as_of"),
        ("as_of=2026-01-31", "as_of"),
        ("as_of=2026-02-30T00:00:00Z", "as_of"),
        ("as_of=0001-01-01T00:00:00%2B23:59", "as_of"),
        ("as_of=", "as_of"),
        ("on=2026-02-30", "on"),
        ("on=2026-01", "on"),
        ("on=yesterday", "on"),
        ("on=0000-01-01", "on"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=5&limit=6", "limit"),
        ("sort=colour", "sort"),
        ("kind=planet", "kind"),
        ("part_of=agreements/x", "part_of"),
        ("q=%20", "q"),
        ("q=%00", "q"),
        ("identifier=lei", "identifier"),
        ("proof=true", "proof"),
        ("evidence=some", "evidence"),
        ("colour=red", "colour"),
        ("cursor=nonsense", "cursor"),
        ("cursor=AAAAAAAAAAAA", "cursor"),
        ("cursor=%F0%9F%A6%86", "cursor"),
    ],
)
async def test_invalid_query_is_refused_with_the_name_of_its_parameter(registry, query, parameter):
    await registry.take(registered("catl"))
    found = await problem(await registry.get(f"/v1/parties?{query}"), 422, "invalid-query")
    assert [(flaw["pointer"], flaw["parameter"]) for flaw in found["errors"]] == [("", parameter)]
    assert found["errors"][0]["detail"]


@pytest.mark.parametrize("address", ["/v1/search", "/v1/parties/resolve"])
async def test_search_without_words_finds_nothing(registry, address):
    name = "q" if address == "/v1/search" else "name"
    for query in ("", f"?{name}=", f"?{name}=%20", f"?{name}={'a' * 2001}"):
        found = await problem(await registry.get(f"{address}{query}"), 422, "invalid-query")
        assert [flaw["parameter"] for flaw in found["errors"]] == [name]


async def test_all_errors_of_a_query_are_reported_together(registry):
    found = await problem(await registry.get("/v1/parties?limit=0&colour=red&kind=planet"), 422, "invalid-query")
    assert {flaw["parameter"] for flaw in found["errors"]} == {"limit", "colour", "kind"}
    found = await problem(await registry.get("/v1/parties?as_of=9&on=x"), 422, "invalid-query")
    assert {flaw["parameter"] for flaw in found["errors"]} == {"as_of", "on"}


async def test_declared_limits_of_parameters_are_enforced(registry):
    """Values that violate each `enum`, `pattern`, `maxLength`, `minimum` and `maximum` of every operation's query."""
    broken = 0
    for row in registry.app[DESCRIBED]:
        for parameter in row.parameters:
            if row.method != "GET" or parameter.where != "query" or "{" in row.path:
                continue
            schema = parameter.schema
            values = []
            if "enum" in schema or "pattern" in schema:
                values.append("!")
            if "maxLength" in schema:
                values.append("a" * (schema["maxLength"] + 1))
            if schema.get("type") == "integer":
                values += [
                    "x",
                    *(str(schema[end] + by) for end, by in (("minimum", -1), ("maximum", 1)) if end in schema),
                ]
            for value in values:
                answer = await registry.client.get(row.path, params={parameter.name: value})
                flaws = (await problem(answer, 422, "invalid-query"))["errors"]
                assert parameter.name in [flaw["parameter"] for flaw in flaws], (row.path, parameter.name, value)
                broken += 1
    assert broken > 50


async def test_unknown_parameters_are_refused_where_the_operation_says_so(registry):
    key = {"Authorization": f"Bearer {registry.app[KEYS].create('all', ['post', 'read', 'admin'])}"}
    for row in registry.app[DESCRIBED]:
        path = re.sub(r"\{\w+\}", "1", shown_path(row.path))
        if 422 in row.problems:
            answer = await registry.client.request(row.method, f"{path}?nonsense=1", headers=key)
            flaws = (await problem(answer, 422, "invalid-query"))["errors"]
            assert [flaw["parameter"] for flaw in flaws if "not a parameter" in flaw["detail"]] == ["nonsense"], path
        else:
            assert row.is_page or not row.path.startswith(("/v1/", "/log/")), path


async def test_days_are_checked_in_every_filter_that_is_one(registry):
    for path, name in (
        ("agreements", "signed_from"),
        ("agreements", "signed_to"),
        ("commitments", "due_before"),
        ("timeline", "from"),
        ("timeline", "to"),
    ):
        found = await problem(await registry.get(f"/v1/{path}?{name}=2024"), 422, "invalid-query")
        assert found["errors"][0]["parameter"] == name


async def test_no_query_causes_an_internal_error(registry):
    await registry.take(party("catl"))
    values = (
        "",
        "x",
        "0",
        "-1",
        "1e9",
        "%ED%A0%80",
        "%FF",
        "'",
        '"',
        "*",
        "a*",
        "(",
        "AND",
        "é宁",
        "parties/catl",
        "a" * 3000,
    )
    names = ("as_of", "on", "limit", "cursor", "q", "name", "sort", "party", "center", "depth", "in", "identifier")
    paths = [f"/v1/{view}" for view in VIEWS]
    paths += ["/v1/search", "/v1/parties/resolve", "/v1/graph", "/v1/statistics", "/v1/parties/catl"]
    for path in paths:
        for name in names:
            for value in values:
                answer = await registry.get(f"{path}?{name}={value}")
                assert answer.status in (200, 422, 404), (path, name, value, await answer.text())


async def test_other_methods_are_not_allowed(registry):
    for path in ("/v1/parties", "/v1/parties/catl", "/v1/search"):
        answer = await registry.client.delete(path)
        await problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET,HEAD,OPTIONS"


# filters


async def test_repeated_party_filter_selects_agreements_of_all_of_them(registry):
    await registry.take([party("a"), party("b"), party("c")])
    await registry.take(signed("ab", "2024", "a", "b"))
    await registry.take(signed("ac", "2024", "a", "c"))
    assert subjects(await registry.json("/v1/agreements?party=parties/a")) == ["agreements/ab", "agreements/ac"]
    assert subjects(await registry.json("/v1/agreements?party=parties/a&party=parties/c")) == ["agreements/ac"]
    assert subjects(await registry.json("/v1/agreements?party=parties/b&party=parties/c")) == []


async def test_every_filter_of_every_list_is_described_and_accepted(registry):
    from projections.catalogue import LIST_VIEWS

    await registry.take(party("catl"))
    values: dict[str, Any] = {
        "status": {
            "agreements": "signed",
            "labs": "founded",
            "platforms": "launched",
            "memberships": "member",
            "commitments": "planned",
        },
        "kind": {"parties": "company", "agreements": "contract", "commitments": "research"},
        "jurisdiction": "CN",
        "identifier": "lei:1",
        "scope": "batteries",
        "field": "batteries",
        "under": "agreements/x",
        "agreement": "agreements/x",
        "signed_from": "2024-01-01",
        "signed_to": "2024-01-01",
        "due_before": "2024-01-01",
        "from": "2024-01-01",
        "to": "2024-01-01",
        "category": "battery manufacturer",
        "type": "party.registered",
        "q": "battery",
        "in": "platforms/x",
        "certainty": "possible",
        "include": "subsidiaries&party=parties/catl",
    }
    for view, declared in LIST_VIEWS.items():
        for name in (each.name for each in declared.filters):
            value = values.get(name, "parties/catl")
            await registry.json(f"/v1/{view}?{name}={value if isinstance(value, str) else value[view]}")
        for sort in declared.sorts:
            await registry.json(f"/v1/{view}?sort={sort}")
            await registry.json(f"/v1/{view}?sort=-{sort}")


# beside


async def test_evidence_full_adds_the_passages(registry):
    await registry.take(event("document.registered", "documents/news", {"title": "News", "sha256": "0" * 64}))
    cited = {"document": "documents/news", "start": 1, "end": 5}
    await registry.take(party("catl", evidence=[cited]))
    assert "evidence" not in await registry.json("/v1/parties/catl")
    shown = {
        "2": [cited | {"document": {"subject": "documents/news", "name": "News"}, "status": "unverified", "event": 2}]
    }
    assert (await registry.json("/v1/parties/catl?evidence=full"))["evidence"] == shown
    assert (await registry.json("/v1/parties?evidence=full"))["items"][0]["evidence"] == shown


async def test_list_cut_short_in_a_state_has_the_address_of_the_whole(registry):
    slugs = [f"m{number:03}" for number in range(130)]
    await registry.take([event("platform.launched", "platforms/p", {"name": "P"}, "2024"), *map(party, slugs)])
    for slug in slugs:
        await registry.take(event("platform.member-joined", "platforms/p", {"party": f"parties/{slug}"}, "2025"))
    state = await registry.json("/v1/platforms/p")
    assert len(state["members"]) == 100
    found, address = [], state["more"]["members"]
    while address:
        page = await registry.json(address)
        found += [item["party"]["subject"] for item in page["items"]]
        address = page["next"]
    assert found == [f"parties/{slug}" for slug in slugs]
    assert len((await registry.json("/v1/platforms"))["items"][0]["members"]) == 10


async def test_reading_needs_a_key_if_configured(tmp_path):
    async with running(tmp_path / "data", read="key") as registry:
        await registry.take(registered("catl"))
        for path in ("/v1/parties", "/v1/parties/catl"):
            await problem(await registry.get(path), 401, "unauthorized")
        for path in ("/", "/openapi.json", "/docs", "/static/registry.css"):
            assert (await registry.get(path)).status == 200


async def test_concurrent_queries_are_all_answered(registry):
    await registry.take(registered("catl"))
    paths = [f"/v1/{view}?limit={number}" for view in VIEWS for number in range(1, 21)]
    answers = await asyncio.gather(*(registry.get(path) for path in paths))
    assert {answer.status for answer in answers} == {200}


# what takes long


async def test_slow_state_is_read_in_a_thread_and_equal(registry, monkeypatch):
    for slug in ("catl", "ioph"):
        await registry.take(party(slug))
    await registry.take(signed("deal", "2024-01-21", "catl", "ioph"))
    threads: list[str] = []
    asked = Readers._run

    def noted(*given: Any) -> Any:
        threads.append(current_thread().name)
        return asked(*given)

    monkeypatch.setattr(Readers, "_run", noted)
    quick = await registry.json("/v1/agreements/deal?on=2025-01-01")
    assert threads == []
    monkeypatch.setattr(readers, "LOOP_SECONDS", 0.0)
    slow = await registry.json("/v1/agreements/deal?on=2025-01-01&as_of=3")
    assert slow == quick
    assert [name.partition("_")[0] for name in threads] == ["reader"]
