"""GET /v1/events: the log page by page, as a stream, or one event."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from service.app_keys import KEYS, LOGS
from service.commands.log_entry import answered
from tests.service.registry import SOURCE, problem, registered, renamed

OTHER = "https://example.org/other"


@pytest.fixture
async def filled(registry):
    """Return a registry with 250 events: two parties, two types, two sources."""
    events = [registered("a"), registered("b", source=OTHER)]
    events += [
        renamed("a" if number % 2 else "b", f"N{number}", source=OTHER if number % 5 == 0 else SOURCE)
        for number in range(248)
    ]
    await registry.take(events)
    return registry


async def all_pages(registry, path: str) -> list[dict]:
    items = []
    while path:
        answer = await registry.get(path)
        page = await answer.json()
        items += page["items"]
        path = page["next"]
        assert answer.headers.get("Link") == (f'<{path}>; rel="next"' if path else None)
    return items


async def test_pages_follow_one_another_without_gap_or_repeat(filled):
    page = await filled.json("/v1/events")
    assert [item["position"] for item in page["items"]] == list(range(1, 51))
    assert page["position"] == 250
    for limit in (1000, 250, 249, 100, 7):
        items = await all_pages(filled, f"/v1/events?limit={limit}")
        assert [item["position"] for item in items] == list(range(1, 251))


async def test_pages_are_pinned_to_the_head_at_the_first_page(filled):
    first = await filled.json("/v1/events?limit=200")
    await filled.take(registered("late"))
    rest = await filled.json(first["next"])
    assert [item["position"] for item in rest["items"]] == list(range(201, 251))
    assert (rest["next"], rest["position"]) == (None, 250)
    lines = await (await filled.get(first["next"], Accept="application/x-ndjson")).read()
    assert [orjson.loads(line)["position"] for line in lines.splitlines()] == list(range(201, 251))
    assert (await filled.json("/v1/events?after=250"))["position"] == 251


async def test_a_cursor_of_the_log_belongs_to_its_filters(filled):
    first = await filled.json("/v1/events?limit=1&type=party.registered")
    given = first["next"].partition("cursor=")[2]
    for query in ("", "&type=party.renamed", "&type=party.registered&after=3", "&type=party.registered&source=x"):
        found = await problem(await filled.get(f"/v1/events?cursor={given}{query}"), 422, "invalid-query")
        assert found["errors"][0]["parameter"] == "cursor", query
    assert (await filled.json(f"/v1/events?cursor={given}&type=party.registered&limit=1"))["position"] == 250


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ("after=100", lambda e: e["position"] > 100),
        ("until=100", lambda e: e["position"] <= 100),
        ("after=99&until=101", lambda e: 99 < e["position"] <= 101),
        ("after=250", lambda e: False),
        ("until=0", lambda e: False),
        ("after=9007199254740991", lambda e: False),
        ("type=party.registered", lambda e: e["type"] == "party.registered"),
        ("type=party.registered&type=party.renamed", lambda e: True),
        ("type=party.registered,party.renamed", lambda e: True),
        ("subject=parties/a", lambda e: e["subject"] == "parties/a"),
        ("subject=parties/nobody", lambda e: False),
        (f"source={OTHER}", lambda e: e["source"] == OTHER),
        (
            f"source={OTHER}&subject=parties/b&type=party.renamed&after=10",
            lambda e: e["source"] == OTHER and e["subject"] == "parties/b" and e["position"] > 10 and "N" in e["id"],
        ),
    ],
)
async def test_filters_leave_out_other_events(filled, query, passes):
    everything = await all_pages(filled, "/v1/events?limit=1000")
    expected = [event for event in everything if passes(event)]
    assert await all_pages(filled, f"/v1/events?limit=20&{query}") == expected
    answer = await filled.get(f"/v1/events?{query}", Accept="application/x-ndjson")
    assert [orjson.loads(line) for line in (await answer.read()).splitlines()] == expected


async def test_the_whole_log_is_streamed_as_lines(filled):
    await filled.take([registered(f"p{number}") for number in range(1000)])
    await filled.take([registered(f"q{number}") for number in range(1000)])
    answer = await filled.get("/v1/events", Accept="application/x-ndjson")
    assert answer.content_type == "application/x-ndjson"
    lines = (await answer.read()).splitlines()
    assert [orjson.loads(line)["position"] for line in lines] == list(range(1, 2251))
    answer = await filled.get("/v1/events?limit=3&after=7", Accept="application/x-ndjson;q=0.9, text/csv")
    assert len((await answer.read()).splitlines()) == 3


async def test_one_event_is_the_same_in_every_form(filled):
    one = await (await filled.get("/v1/events/7")).read()
    page = await (await filled.get("/v1/events?after=6&limit=1")).read()
    line = await (await filled.get("/v1/events?after=6&limit=1", Accept="application/x-ndjson")).read()
    assert one in page
    assert line == one + b"\n"


async def test_an_event_has_a_strong_etag(filled):
    answer = await filled.get("/v1/events/7")
    etag = answer.headers["ETag"]
    assert etag.startswith('"')
    for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await filled.get("/v1/events/7", If_None_Match=held)
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag)
    assert (await filled.get("/v1/events/7", If_None_Match='"other"')).status == 200
    assert (await filled.get("/v1/events/8")).headers["ETag"] != etag


@pytest.mark.parametrize("position", ["0", "251", "01", "-1", "x", "9007199254740993", "99999999999999999999", "1.0"])
async def test_unknown_position_is_404(filled, position):
    await problem(await filled.get(f"/v1/events/{position}"), 404, "not-found")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "after=1.5",
        "until=x",
        "type=nonsense",
        "subject=nonsense",
        "subject=parties/a&subject=parties/b",
        "source=",
        "unknown=1",
        "after=%00",
        "after=1&after=2",
    ],
)
async def test_invalid_query_is_refused(registry, query):
    for path in ("/v1/events", "/v1/events/stream"):
        if path.endswith("stream") and query.startswith(("limit", "until")):
            continue
        found = await problem(await registry.get(f"{path}?{query}"), 422, "invalid-query")
        assert found["errors"][0]["parameter"] == query.partition("=")[0]


async def test_unacceptable_media_type_is_406(registry):
    await problem(await registry.get("/v1/events", Accept="image/png"), 406, "not-acceptable")


async def test_erased_data_is_left_out(registry):
    await registry.take(registered("a"))
    stored = registry.app[LOGS].here.at(1)
    assert stored is not None
    event = orjson.loads(answered(replace(stored, data=b"", salt=b"")))
    assert not {"data", "salt"} & set(event)
    assert event["entry"].encode() == stored.entry


async def test_streamed_log_shows_erased_events_like_single_answers(registry):
    await registry.take([registered("a"), renamed("a", "B")])
    erasing = registered("a", id="erasing", type="event.redacted", data={"event": 2, "reason": "personal"})
    await registry.take(erasing, key=registry.app[KEYS].create("admin", ["admin"]))
    lines = await (await registry.get("/v1/events", Accept="application/x-ndjson")).read()
    alone = [await (await registry.get(f"/v1/events/{position}")).read() for position in (1, 2, 3)]
    assert lines == b"".join(each + b"\n" for each in alone)
    assert orjson.loads(alone[1])["redacted"] == 3


async def test_head_is_answered_without_a_body(filled):
    for path in ("/v1/events", "/v1/events/1", "/v1/events/stream", "/healthz", "/problems"):
        answer = await filled.client.head(path)
        assert (answer.status, await answer.read()) == (200, b""), path
    lines = await filled.client.head("/v1/events", headers={"Accept": "application/x-ndjson"})
    assert (lines.status, await lines.read()) == (200, b"")
