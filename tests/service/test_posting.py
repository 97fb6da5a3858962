"""POST /v1/events: accepted and refused events, and their answers."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import orjson
import pytest

from tests.service.registry import BATCH, SOURCE, STRUCTURED, problem, registered, renamed

MIB = 2**20


async def test_recorded_event_is_answered_with_receipt_and_location(registry):
    answer = await registry.post(registered("catl"))
    assert answer.status == 201
    assert answer.headers["Location"] == "/v1/events/1"
    assert answer.headers["Registry-Position"] == "1"
    receipt = await answer.json()
    event = await registry.json("/v1/events/1")
    assert receipt == {
        "position": 1,
        "id": "registered-catl",
        "source": SOURCE,
        "subject": "parties/catl",
        "version": 1,
        "recorded": "2026-01-31T12:00:00.000000Z",
        "leaf": receipt["leaf"],
    }
    assert b64decode(receipt["leaf"]) == sha256(b"\0" + event["entry"].encode()).digest()


async def test_event_can_be_verified_from_its_answer(registry):
    posted = registered("catl", time="2026-01-01T00:00:00Z", occurred="2011~")
    await registry.take(posted)
    event = await registry.json("/v1/events/1")
    assert {name: event[name] for name in posted} == posted
    assert (event["position"], event["version"], event["actor"]) == (1, 1, "analyst")
    data = b'{"kind":"company","name":"Catl"}'
    assert orjson.loads(event["entry"]) == {
        "v": 1,
        "specversion": "1.0",
        "id": "registered-catl",
        "source": SOURCE,
        "type": "party.registered",
        "subject": "parties/catl",
        "time": "2026-01-01T00:00:00Z",
        "occurred": "2011~",
        "position": 1,
        "version": 1,
        "recorded": "2026-01-31T12:00:00.000000Z",
        "actor": "analyst",
        "data_sha256": sha256(b64decode(event["salt"]) + data).hexdigest(),
    }
    assert len(b64decode(event["salt"])) == 16
    assert event["entry"].encode() == orjson.dumps(orjson.loads(event["entry"]), option=orjson.OPT_SORT_KEYS)


async def test_the_same_event_again_gets_the_first_receipt_byte_for_byte(registry):
    first = await registry.post(registered("catl", data={"name": "CATL", "kind": "company"}))
    registry.clock.move(hours=1)
    again = await registry.post(registered("catl", data={"kind": "company", "name": "CATL"}), If_Match='"77"')
    assert (first.status, again.status) == (201, 200)
    assert await again.read() == await first.read()
    assert again.headers["Location"] == "/v1/events/1"
    assert await registry.head() == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"data": {"name": "Other", "kind": "company"}}, "/data"),
        ({"occurred": "2011"}, "/occurred"),
        ({"time": "2026-01-01T00:00:00Z"}, "/time"),
        ({"subject": "parties/other"}, "/subject"),
        ({"type": "party.renamed", "data": {"name": "Catl"}}, "/type"),
        ({"data": {"name": "", "kind": "nonsense"}}, "/data"),
        ({"specversion": "0.3"}, "/specversion"),
        ({"extra": "x"}, "/extra"),
    ],
)
async def test_the_same_source_and_id_with_other_content_is_a_conflict_before_anything_else(registry, change, pointer):
    await registry.take(registered("catl"))
    found = await problem(await registry.post(registered("catl", **change)), 409, "different-content")
    assert found["positions"] == [1]
    assert pointer in [error["pointer"] for error in found["errors"]]
    assert await registry.head() == 1


async def test_repeat_with_other_spellings_of_numbers_is_the_same(registry):
    await registry.take(registered("lab-founder"))
    founded = {
        "specversion": "1.0",
        "id": "1",
        "source": SOURCE,
        "type": "lab.founded",
        "subject": "labs/lab",
        "data": {"name": "Lab", "founders": ["parties/lab-founder"]},
    }
    opened = founded | {
        "id": "2",
        "type": "lab.recruitment-opened",
        "data": {"call": "postdocs", "role": "Postdoc", "positions": {"min": 2}},
    }
    await registry.take([founded, opened])
    again = await registry.post(orjson.dumps(opened).replace(b'"min":2', b'"min":2.0'), type_=STRUCTURED)
    assert again.status == 200


async def test_conflict_names_the_contradicting_positions(registry):
    await registry.take(registered("catl"))
    found = await problem(await registry.post(registered("catl", id="again")), 409, "contradiction")
    assert found["positions"] == [1]
    assert await registry.head() == 1


async def test_all_errors_of_an_event_are_reported_together(registry):
    event = registered("catl", subject="labs/catl", occurred="2023-02-30", data={"kind": "firm", "size": 1})
    found = await problem(await registry.post(event), 422, "invalid-event")
    assert {"/subject", "/occurred", "/data/kind", "/data/name", "/data/size"} <= {
        error["pointer"] for error in found["errors"]
    }


async def test_binary_mode_takes_attributes_from_headers_and_decodes_them(registry):
    answer = await registry.post(
        b'{"name":"CATL","kind":"company"}',
        type_="application/json; charset=utf-8",
        ce_specversion="1.0",
        ce_id="caf%C3%A9%20%25",
        ce_source='"https://example.org/\\"q\\""',
        ce_type="party.registered",
        CE_Subject="parties/catl",
    )
    assert answer.status == 201, await answer.text()
    event = await registry.json("/v1/events/1")
    assert (event["id"], event["source"]) == ("café %", 'https://example.org/"q"')
    assert event["data"] == {"name": "CATL", "kind": "company"}


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"ce_id": "%zz"}, 400, "malformed-request"),
        ({"ce_id": "%ff"}, 400, "malformed-request"),
        ({"ce_data": "x"}, 400, "malformed-request"),
        ({"ce_datacontenttype": "text/plain"}, 400, "malformed-request"),
        ({"ce_id": "x"}, 422, "invalid-event"),
        ({"ce_id": "a%00b"}, 422, "invalid-event"),
        ({}, 422, "invalid-event"),
    ],
)
async def test_binary_mode_refuses_invalid_headers(registry, headers, status, kind):
    answer = await registry.post(b'{"name":"x"}', type_="application/json", **headers)
    await problem(answer, status, kind)


async def test_absent_data_is_an_empty_object(registry):
    founded = registered("x", type="lab.founded", subject="labs/x", data={"name": "X", "founders": ["parties/a"]})
    opened = registered("x", id="2", type="lab.opened", subject="labs/x")
    del opened["data"]
    await registry.take([registered("a"), founded, opened])
    assert (await registry.json("/v1/events/3"))["data"] == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"id":"\\ud800"}',
        b'{"id":"\xed\xa0\x80"}',
        b'{"id":1e999}',
        b'{"id":NaN}',
        b"[" * 500 + b"]" * 500,
        b"[" * 100_000,
        b'{"data":' * 70 + b"1" + b"}" * 70,
        b'{"id":"a","id":"b"}',
        b'{"data":{"\\u0061":1,"a":2}}',
        b'{"a":"\\u003a:","b":{"c":1,"d":2,"c":3}}',
    ],
)
async def test_json_that_is_not_strict_is_malformed(registry, body):
    found = await problem(await registry.post(body, type_=STRUCTURED), 400, "malformed-request")
    assert found["detail"]
    for type_ in (BATCH, "application/json"):
        headers = {"ce_id": "x"} if type_ == "application/json" else {}
        if body.strip() or not headers:
            await problem(await registry.post(body, type_=type_, **headers), 400, "malformed-request")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"3",
        b'"x"',
        b"{}",
        b'{"id":[],"source":{},"type":null,"subject":3,"specversion":1.0}',
        b'{"data":{"name":"\\u0000"}}',
        b'{"id":"\\u0000"}',
        b'{"\\u0000":1}',
        orjson.dumps(registered("x", data={"name": "\x00", "kind": "company"})),
        orjson.dumps(registered("x", data={"name": 2**53, "kind": "company"})),
        orjson.dumps(registered("x", data={"name": -1e300, "kind": "company"})),
        orjson.dumps(registered("x", data=[])),
        orjson.dumps(registered("x", data=None)),
        orjson.dumps(registered("x", source="no uri")),
        orjson.dumps(registered("x", source="s" * 1025)),
        orjson.dumps(registered("x", id="é" * 513)),
        orjson.dumps(registered("x", subject="parties/../x")),
        orjson.dumps(registered("x", type="party.exploded")),
        orjson.dumps(registered("x", datacontenttype="text/xml")),
        orjson.dumps(registered("x", data={"nom": {"é": 1}})),
        orjson.dumps(registered("x", data={str(number): number for number in range(5000)})),
    ],
)
async def test_json_that_is_no_event_is_invalid(registry, body):
    found = await problem(await registry.post(body, type_=STRUCTURED), 422, "invalid-event")
    assert found["errors"]
    assert len(found["errors"]) <= 100
    assert await registry.head() == 0


async def test_an_event_of_more_than_one_mebibyte_is_too_large(registry):
    body = orjson.dumps(registered("x"))
    fits = body[:-1] + b" " * (MIB - len(body)) + b"}"
    assert (await registry.post(fits, type_=STRUCTURED)).status == 201
    await problem(await registry.post(fits + b" ", type_=STRUCTURED), 413, "too-large")

    async def unannounced():
        for _ in range(20):
            yield b" " * 65536

    await problem(await registry.post(unannounced(), type_=STRUCTURED), 413, "too-large")


async def test_a_batch_has_at_most_a_thousand_events_and_eight_mebibytes(registry):
    await problem(await registry.post([registered(f"p{n}") for n in range(1001)]), 413, "too-large")
    await problem(await registry.post(b"[" + b" " * 8 * MIB + b"]", type_=BATCH), 413, "too-large")
    assert await registry.head() == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-unknown"])
async def test_compressed_body_is_refused(registry, encoding):
    answer = await registry.post(b"\x1f\x8b", type_=STRUCTURED, Content_Encoding=encoding)
    await problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/xml", "application/octet-stream", f"{STRUCTURED}; charset=latin-1", "nonsense"]
)
async def test_other_content_types_are_refused(registry, type_):
    await problem(await registry.post(registered("x"), type_=type_), 415, "unsupported-media-type")


async def test_parameters_of_the_content_type_do_not_matter(registry):
    assert (await registry.post(registered("x"), type_=f"{STRUCTURED}; charset=UTF-8")).status == 201


async def test_batch_is_recorded_whole_in_order_at_one_instant(registry):
    answer = await registry.post([registered("a"), renamed("a", "A1"), renamed("a", "A2")])
    assert answer.status == 201
    receipts = await answer.json()
    assert [(each["position"], each["version"]) for each in receipts] == [(1, 1), (2, 2), (3, 3)]
    assert len({each["recorded"] for each in receipts}) == 1


async def test_a_batch_with_one_bad_event_leaves_nothing(registry):
    found = await problem(await registry.post([registered("a"), renamed("nobody", "N")]), 422, "invalid-event")
    assert all(error["pointer"].startswith("/1/") for error in found["errors"])
    found = await problem(await registry.post([registered("a"), registered("b", type="x"), {}]), 422, "invalid-event")
    assert {error["pointer"].split("/")[1] for error in found["errors"]} == {"1", "2"}
    assert await registry.head() == 0


async def test_batch_may_contain_recorded_events(registry):
    first = await registry.take(registered("a"))
    answer = await registry.post([renamed("a", "A1"), registered("a"), registered("b")])
    assert answer.status == 201
    receipts = await answer.json()
    assert [each["position"] for each in receipts] == [2, 1, 3]
    assert receipts[1] == first
    again = await registry.post([renamed("a", "A1"), registered("a"), registered("b")])
    assert again.status == 200
    assert await again.json() == receipts


async def test_flaws_point_into_the_batch_as_posted(registry):
    await registry.take(registered("a"))
    for batch, at in (
        ([registered("a"), renamed("nobody", "N")], "/1/"),
        ([registered("a"), registered("b"), registered("a"), renamed("nobody", "N")], "/3/"),
        ([renamed("nobody", "N")], "/0/"),
    ):
        found = await problem(await registry.post(batch), 422, "invalid-event")
        assert all(error["pointer"].startswith(at) for error in found["errors"]), found


async def test_the_same_event_twice_in_a_batch_is_one(registry):
    receipts = await registry.take([registered("a"), registered("b"), registered("a")])
    assert receipts[0] == receipts[2]
    assert await registry.head() == 2
    batch = [registered("c"), registered("c", data={"name": "Other", "kind": "company"})]
    found = await problem(await registry.post(batch), 409, "different-content")
    assert found["errors"][0]["pointer"].startswith("/1")
    assert await registry.head() == 2


async def test_empty_batch_is_accepted(registry):
    answer = await registry.post([])
    assert (answer.status, await answer.json()) == (200, [])


async def test_a_batch_is_an_array(registry):
    await problem(await registry.post(registered("x"), type_=BATCH), 400, "malformed-request")


async def test_validate_only_gives_the_answer_of_a_post_and_records_nothing(registry):
    await registry.take(registered("a"))
    answer = await registry.post(renamed("a", "B"), query="?validate=only")
    assert answer.status == 201
    assert "Location" not in answer.headers
    assert (await answer.json())["position"] == 2
    batch = [registered("b"), renamed("b", "C"), registered("a")]
    answer = await registry.post(batch, query="?validate=only")
    assert [each["position"] for each in await answer.json()] == [2, 3, 1]
    assert (await registry.post(registered("a"), query="?validate=only")).status == 200
    await problem(await registry.post(registered("a", id="x"), query="?validate=only"), 409, "contradiction")
    await problem(await registry.post(registered("a", time="x"), query="?validate=only"), 409, "different-content")
    await problem(
        await registry.post(renamed("a", "B"), query="?validate=only", If_Match='"4"'), 412, "version-mismatch"
    )
    assert await registry.head() == 1
    assert (await registry.take(renamed("a", "B")))["position"] == 2


@pytest.mark.parametrize("query", ["?validate=yes", "?validate=", "?validate=only&validate=only", "?dry=1"])
async def test_an_unknown_parameter_is_refused(registry, query):
    await problem(await registry.post(registered("a"), query=query), 422, "invalid-query")
    assert await registry.head() == 0


async def test_recorded_never_goes_back_when_the_clock_does(registry):
    first = await registry.take(registered("a"))
    registry.clock.move(hours=-3)
    second = await registry.take(registered("b"))
    registry.clock.move(hours=6)
    third = await registry.take(registered("c"))
    assert first["recorded"] == second["recorded"] < third["recorded"]
