"""Section 4: the four content types, ids, preconditions, `validate=only`, receipts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
import time
from urllib.parse import quote

import aiohttp
import httpx
import pytest
import rfc8785

from tests.contract.server import (
    BATCH,
    CLOUDEVENT,
    NDJSON,
    PROBLEM,
    SHA,
    SOURCE,
    Server,
    assert_problem,
    event,
    is_problem,
    pointers,
)

RECEIPT = {"position", "id", "source", "subject", "version", "recorded", "leaf"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def registered(server: Server, **more):
    return {**event("party.registered", f"parties/{server.new('p')}", name="X", kind="company"), **more}


def post_as(server: Server, mode: str, given: dict) -> tuple[int, dict]:
    """Post one event in one of the content modes; return its status, and its receipt or problem. Pointers point into
    the event.
    """
    match mode:
        case "single":
            answer = server.send(given)
        case "batch":
            answer = server.send([given], BATCH)
        case "import":
            answer = server.send(json.dumps(given).encode() + b"\n", NDJSON)
        case _:
            given = {name: value for name, value in given.items() if value is not None}
            answer = binary(
                server,
                given.get("data", {}),
                **{name: quote(str(value), safe="") for name, value in given.items() if name != "data"},
            )
    body = json.loads(answer.content)
    if isinstance(body, list):
        (body,) = body
    if mode == "batch" and "errors" in body:
        body["errors"] = [{**each, "pointer": each["pointer"].removeprefix("/0")} for each in body["errors"]]
    return body.get("status", answer.status_code), body


MODES = ("single", "batch", "import", "binary")


# Receipts


def test_one_event_is_answered_201_with_location_and_receipt(shared):
    given = shared.whole([registered(shared)])[0]
    before = shared.head()
    answer = shared.send(given)
    assert answer.status_code == 201
    receipt = answer.json()
    assert set(receipt) == RECEIPT
    assert receipt["position"] == before + 1
    assert receipt["version"] == 1
    assert (receipt["id"], receipt["source"], receipt["subject"]) == (given["id"], given["source"], given["subject"])
    assert INSTANT.fullmatch(receipt["recorded"])
    assert answer.headers["Location"] == f"/v1/events/{receipt['position']}"
    assert answer.headers["Registry-Position"] == str(receipt["position"])
    assert len(base64.b64decode(receipt["leaf"], validate=True)) == 32
    assert shared.get(answer.headers["Location"]).status_code == 200


def test_leaf_entry_salt_and_data_agree(shared):
    data = {
        "name": {"en": 'CATL \u2028 \u007f "\\/\b', "zh": "宁德时代", "mn": "\U00018800"},
        "kind": "company",
        "other_names": ["b", "a", "\u0001"],
        "identifiers": [{"value": "1", "scheme": "lei"}],
    }
    given = {
        "specversion": "1.0", "id": "é 𝄞 " + shared.new(), "source": SOURCE + "/ö",
        "type": "party.registered", "subject": f"parties/{shared.new('p')}",
        "time": "2024-01-21T09:30:00+08:00", "occurred": "2011-12-16~", "data": data,
    }  # fmt: skip
    receipt = shared.send(given).json()
    stored = shared.json(f"/v1/events/{receipt['position']}")
    entry = stored["entry"].encode()
    assert base64.b64decode(receipt["leaf"]) == hashlib.sha256(b"\0" + entry).digest()
    parsed = json.loads(entry)
    assert rfc8785.dumps(parsed) == entry
    salt = base64.b64decode(stored["salt"], validate=True)
    assert len(salt) == 16
    assert parsed["data_sha256"] == hashlib.sha256(salt + rfc8785.dumps(stored["data"])).hexdigest()
    assert stored["data"] == data
    assert set(parsed) == {
        "v", "specversion", "id", "source", "type", "subject", "time", "occurred", "position", "version", "recorded",
        "actor", "data_sha256",
    }  # fmt: skip
    for name in ("specversion", "id", "source", "type", "subject", "time", "occurred"):
        assert parsed[name] == given[name] == stored[name]
    for name in ("position", "version", "recorded"):
        assert parsed[name] == receipt[name] == stored[name]
    assert parsed["actor"] == stored["actor"] == "first"


def test_entry_omits_time_and_occurred_if_they_were_not_posted(shared):
    receipt = shared.post(registered(shared)).json()
    stored = shared.json(f"/v1/events/{receipt['position']}")
    entry = json.loads(stored["entry"])
    assert "time" not in entry
    assert "occurred" not in entry
    assert "time" not in stored
    assert "occurred" not in stored


def test_evidence_and_note_are_part_of_the_data_as_posted(shared):
    document = f"documents/{shared.new('d')}"
    shared.take(event("document.registered", document, title="D", sha256=SHA))
    evidence = [
        {
            "document": document,
            "start": 0,
            "end": 4,
            "exact": "text",
            "translation": {"zh": "文本"},
            "supports": ["/data/name"],
            "note": "n",
        }
    ]
    position = shared.took(
        event("party.registered", f"parties/{shared.new('p')}", name="X", kind="other", evidence=evidence, note="Seen.")
    )
    stored = shared.json(f"/v1/events/{position}")
    assert stored["data"] == {"name": "X", "kind": "other", "evidence": evidence, "note": "Seen."}
    salt = base64.b64decode(stored["salt"])
    assert (
        json.loads(stored["entry"])["data_sha256"] == hashlib.sha256(salt + rfc8785.dumps(stored["data"])).hexdigest()
    )


def test_absent_data_is_accepted_if_the_type_needs_none(shared):
    lab = f"labs/{shared.new('l')}"
    founder = shared.party()
    shared.take(event("lab.founded", lab, name="L", founders=[founder]))
    bare = {"specversion": "1.0", "type": "lab.opened", "subject": lab, "source": SOURCE, "id": shared.new()}
    answer = shared.send(bare)
    assert answer.status_code == 201, answer.text
    again = shared.send({**bare, "data": {}})
    assert again.status_code in (200, 409), "absent data and {} are one or two contents, never a second event"


def test_versions_count_a_subjects_own_events_and_positions_all(shared):
    first, second = (f"parties/{shared.new('p')}" for _ in range(2))
    receipts = shared.send(
        shared.whole([
            event("party.registered", first, name="A", kind="company"),
            event("party.registered", second, name="B", kind="company"),
            event("party.name-added", first, name="AA"),
            event("party.name-added", first, name="AAA"),
        ]),
        BATCH,
    ).json()  # fmt: skip
    assert [receipt["version"] for receipt in receipts] == [1, 1, 2, 3]
    positions = [receipt["position"] for receipt in receipts]
    assert positions == list(range(positions[0], positions[0] + 4))
    assert len({receipt["recorded"] for receipt in receipts}) == 1, "a batch shares one `recorded`"


def test_recorded_never_decreases(shared):
    for _ in range(5):
        shared.party()
    recorded = [item["recorded"] for item in shared.items("/v1/events")]
    assert recorded == sorted(recorded)


# Structured mode


@pytest.mark.parametrize(
    "content_type",
    [CLOUDEVENT, CLOUDEVENT + "; charset=utf-8", CLOUDEVENT + ";charset=UTF-8", "Application/CloudEvents+JSON"],
)
def test_structured_content_types(shared, content_type):
    assert shared.send(shared.whole([registered(shared)])[0], content_type).status_code == 201


def test_datacontenttype_is_accepted_and_not_kept(shared):
    given = shared.whole([registered(shared, datacontenttype="application/json")])[0]
    receipt = shared.send(given).json()
    stored = shared.json(f"/v1/events/{receipt['position']}")
    assert "datacontenttype" not in stored
    assert "datacontenttype" not in json.loads(stored["entry"])
    del given["datacontenttype"]
    again = shared.send(given)
    assert (again.status_code, again.json()) == (200, receipt)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": 1.0}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 7}, "/id"),
        ({"id": "x" * 1025}, "/id"),
        ({"id": "é" * 513}, "/id"),
        ({"source": ""}, "/source"),
        ({"source": "https://x.example/" + "y" * 1024}, "/source"),
        ({"type": "party.exploded"}, "/type"),
        ({"type": None}, "/type"),
        ({"subject": "parties/UPPER"}, "/subject"),
        ({"subject": "parties/-x"}, "/subject"),
        ({"subject": "parties/" + "x" * 101}, "/subject"),
        ({"subject": "parties/a/b"}, "/subject"),
        ({"subject": "parties/a\n"}, "/subject"),
        ({"subject": "nations/x"}, "/subject"),
        ({"subject": "labs/x"}, "/subject"),
        ({"subject": "parties/"}, "/subject"),
        ({"subject": "x"}, "/subject"),
        ({"time": "yesterday"}, "/time"),
        ({"time": "2024-01-21"}, "/time"),
        ({"time": "2024-13-21T00:00:00Z"}, "/time"),
        ({"datacontenttype": "text/plain"}, "/datacontenttype"),
        ({"dataschema": "https://x.example/s"}, "/dataschema"),
        ({"traceparent": "00-x"}, "/traceparent"),
        ({"data_base64": "e30="}, "/data_base64"),
        ({"data": []}, "/data"),
        ({"data": "{}"}, "/data"),
        ({"data": None}, "/data"),
    ],
)
def test_wrong_attributes_are_named_by_pointer(shared, change, pointer):
    given = {**shared.whole([registered(shared)])[0], **change}
    before = shared.head()
    problem = is_problem(shared.send(given), 422)
    assert any(found == pointer or found.startswith(pointer + "/") for found in pointers(problem)), problem
    assert shared.head() == before


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type", "subject"])
def test_missing_attributes_are_named_by_pointer(shared, missing):
    given = shared.whole([registered(shared)])[0]
    del given[missing]
    assert f"/{missing}" in pointers(is_problem(shared.send(given), 422))


def test_id_and_source_may_be_1024_bytes(shared):
    given = registered(shared, id=(shared.new() + "é" * 512)[-512:], source="https://x.example/" + "y" * 1006)
    assert len(given["id"].encode()) == 1024
    assert len(given["source"].encode()) == 1024
    assert shared.send(given).status_code == 201


def test_all_errors_are_reported_together(shared):
    given = {
        "specversion": "2.0", "id": "", "source": SOURCE, "type": "party.registered", "subject": "parties/Ä", "occurred": "2023-02-30",
        "weather": "fine", "data": {"name": 7, "kind": "guild", "colour": "red", "part_of": "labs/x", "identifiers": [{"scheme": "lei"}]},
    }  # fmt: skip
    found = pointers(is_problem(shared.send(given), 422))
    wanted = {
        "/specversion",
        "/id",
        "/subject",
        "/occurred",
        "/weather",
        "/data/kind",
        "/data/colour",
        "/data/part_of",
        "/data/identifiers/0/value",
    }
    assert wanted <= found, wanted - found
    assert any(pointer.startswith("/data/name") for pointer in found)


def test_pointers_into_a_batch_start_with_the_index_and_none_of_it_is_recorded(shared):
    events = shared.whole([registered(shared) for _ in range(4)])
    events[1]["data"]["kind"] = "guild"
    events[3]["occurred"] = "2023-02-30"
    before = shared.head()
    problem = is_problem(shared.send(events, BATCH), 422)
    assert {"/1/data/kind", "/3/occurred"} <= pointers(problem)
    assert shared.head() == before
    assert shared.get(f"/v1/{events[0]['subject']}").status_code == 404


def test_pointers_escape_their_tokens(shared):
    given = registered(shared)
    given["data"]["a/b~c"] = 1
    assert "/data/a~1b~0c" in pointers(is_problem(shared.post(given), 422))


# Binary mode


def binary(server: Server, data, **attributes) -> httpx.Response:
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    sent = [
        (name.encode(), value.encode("latin-1") if isinstance(value, str) else value)
        for name, value in {**headers, "Content-Type": "application/json", **server.authorization}.items()
    ]
    return server.client.post("/v1/events", content=body, headers=sent)


def test_binary_mode_is_the_same_event(shared):
    subject = f"parties/{shared.new('p')}"
    id_ = shared.new()
    data = {"name": "B", "kind": "company"}
    answer = binary(
        shared,
        data,
        specversion="1.0",
        id=id_,
        source=SOURCE,
        type="party.registered",
        subject=subject,
        occurred="2001",
        time="2024-01-01T00:00:00Z",
    )
    assert answer.status_code == 201, answer.text
    structured = {
        "specversion": "1.0",
        "id": id_,
        "source": SOURCE,
        "type": "party.registered",
        "subject": subject,
        "occurred": "2001",
        "time": "2024-01-01T00:00:00Z",
        "data": data,
    }
    again = shared.send(structured)
    assert again.status_code == 200
    assert again.content == answer.content


def test_binary_headers_are_percent_decoded(shared):
    id_ = f'100% "ünï" 宁德 {shared.new()}'
    subject = f"parties/{shared.new('p')}"
    answer = binary(
        shared,
        {"name": "B", "kind": "company"},
        specversion="1.0",
        id=quote(id_, safe=""),
        source=SOURCE,
        type="party.registered",
        subject=quote(subject, safe=""),
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == id_
    assert answer.json()["subject"] == subject


@pytest.mark.parametrize("bad", ["%ff%fe", "%c3", "%ED%A0%80"])
def test_binary_headers_that_decode_to_invalid_text_are_refused(shared, bad):
    answer = binary(
        shared,
        {"name": "B", "kind": "company"},
        specversion="1.0",
        id=bad,
        source=SOURCE,
        type="party.registered",
        subject=f"parties/{shared.new('p')}",
    )
    is_problem(answer, 400, 422)


def test_binary_mode_refuses_unknown_and_missing_attributes(shared):
    answer = binary(
        shared,
        {"name": "B", "kind": "company"},
        specversion="1.0",
        source=SOURCE,
        type="party.registered",
        subject="parties/x1",
        weather="fine",
    )
    found = pointers(is_problem(answer, 422))
    assert {"/id", "/weather"} <= found


def test_application_json_without_ce_headers_is_a_structured_event(shared):
    given = shared.whole([registered(shared)])[0]
    assert shared.send(given, "application/json").status_code == 201
    assert shared.send(given).status_code == 200
    is_problem(shared.send([given], "application/json"), 422)


# Batch


def test_batch_is_recorded_whole_in_order_and_may_refer_to_itself(shared):
    whole, part = (f"parties/{shared.new('p')}" for _ in range(2))
    answer = shared.send(
        shared.whole([
            event("party.registered", whole, name="Whole", kind="company"),
            event("party.registered", part, name="Part", kind="company", part_of=whole),
        ]),
        BATCH,
    )  # fmt: skip
    assert answer.status_code == 201
    assert [receipt["subject"] for receipt in answer.json()] == [whole, part]


def test_reference_to_a_later_event_of_the_batch_is_refused(shared):
    whole, part = (f"parties/{shared.new('p')}" for _ in range(2))
    events = [
        event("party.registered", part, name="Part", kind="company", part_of=whole),
        event("party.registered", whole, name="Whole", kind="company"),
    ]
    problem = shared.refused(*events, status=422)
    assert "/0/data/part_of" in pointers(problem)


def test_a_batch_answers_201_if_any_is_new_and_200_if_none_is(shared):
    events = shared.whole([registered(shared), registered(shared)])
    first = shared.send(events[0])
    both = shared.send(events, BATCH)
    assert both.status_code == 201
    assert both.json()[0] == first.json()
    again = shared.send(events, BATCH)
    assert (again.status_code, again.content) == (200, both.content)


def test_a_batch_of_one_answers_with_a_list(shared):
    answer = shared.send(shared.whole([registered(shared)]), BATCH)
    assert answer.status_code == 201
    assert isinstance(answer.json(), list)


def test_an_empty_batch_records_nothing(shared):
    before = shared.head()
    answer = shared.send([], BATCH)
    assert answer.status_code in (200, 400, 422)
    if answer.status_code == 200:
        assert answer.json() == []
    assert shared.head() == before


def test_the_same_event_twice_in_one_batch_is_one_event(shared):
    given = shared.whole([registered(shared)])[0]
    answer = shared.send([given, given], BATCH)
    assert answer.status_code == 201, answer.text
    first, second = answer.json()
    assert first == second


def test_the_same_id_with_other_content_in_one_batch_is_refused(shared):
    given = shared.whole([registered(shared)])[0]
    other = {**given, "data": {"name": "Y", "kind": "company"}}
    before = shared.head()
    is_problem(shared.send([given, other], BATCH), 409)
    assert shared.head() == before


def test_batch_is_checked_as_a_whole(shared):
    """A correction later in the batch removes an earlier contradiction."""
    party = shared.party()
    platform = f"platforms/{shared.new('f')}"
    made = shared.took(event("platform.launched", platform, "2020-05-01", name="P"))
    joining = event("platform.member-joined", platform, "2019-01-01", party=party)
    shared.refused(joining, status=409)
    shared.take(joining, event("event.corrected", platform, event=made, reason="Misread.", occurred="2018-01-01"))
    assert shared.state(platform)["launched"] == "2018-01-01"


# Imports


def test_an_import_answers_line_by_line_and_a_bad_line_stops_nothing(shared):
    good = shared.whole([registered(shared) for _ in range(3)])
    unknown = shared.whole([event("party.name-added", "parties/never-made", name="X")])[0]
    lines = [
        json.dumps(good[0]),
        "{nonsense",
        json.dumps(good[1]),
        json.dumps(unknown),
        json.dumps({**good[0], "data": {"name": "Y", "kind": "company"}}),
        json.dumps(good[0]),
        json.dumps(good[2]),
    ]
    answer = shared.send("\n".join(lines).encode(), NDJSON)
    assert answer.status_code == 200
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert len(results) == len(lines)
    assert [result.get("position") is not None for result in results] == [True, False, True, False, False, True, True]
    assert results[5] == results[0]
    for index, status in ((1, 400), (3, 422), (4, 409)):
        assert_problem(results[index], status)
        assert results[index]["line"] == index + 1
    assert set(results[0]) == RECEIPT | ({"line"} & set(results[0]))


def test_an_imports_lines_see_the_lines_before_them(shared):
    whole, part = (f"parties/{shared.new('p')}" for _ in range(2))
    results = shared.import_([
        event("party.registered", part, name="Part", kind="company", part_of=whole),
        event("party.registered", whole, name="Whole", kind="company"),
        event("party.registered", part, name="Part", kind="company", part_of=whole),
    ])  # fmt: skip
    assert ["leaf" in result for result in results] == [False, True, True]


def test_carriage_returns_blank_lines_and_a_missing_last_newline(shared):
    events = shared.whole([registered(shared) for _ in range(3)])
    body = b"\r\n".join(json.dumps(given).encode() for given in events[:2]) + b"\n" + json.dumps(events[2]).encode()
    results = [json.loads(line) for line in shared.send(body, NDJSON).text.splitlines()]
    assert ["leaf" in result for result in results] == [True, True, True]


def test_an_empty_import_answers_nothing(shared):
    answer = shared.send(b"", NDJSON)
    assert answer.status_code == 200
    assert answer.content == b""


def test_a_long_line_of_an_import_is_refused_and_the_next_is_taken(shared):
    events = shared.whole([registered(shared), registered(shared)])
    events[0]["data"]["note"] = "x" * (20 << 20)
    answer = shared.send("\n".join(map(json.dumps, events)).encode(), NDJSON)
    assert answer.status_code == 200
    first, second = (json.loads(line) for line in answer.text.splitlines())
    assert_problem(first, first["status"])
    assert first["status"] in (413, 422)
    assert first["line"] == 1
    assert "leaf" in second


async def test_an_import_streams_both_ways(shared):
    """The result of a line arrives before the client sends the next line."""
    events = shared.whole([registered(shared) for _ in range(3)])
    go_on: list[threading.Event] = []

    import asyncio

    gates = [asyncio.Event() for _ in events]

    async def body():
        for given, gate in zip(events, gates, strict=True):
            yield json.dumps(given).encode() + b"\n"
            await asyncio.wait_for(gate.wait(), 20)

    assert not go_on
    async with (
        aiohttp.ClientSession(shared.address) as session,
        session.post("/v1/events", data=body(), headers={"Content-Type": NDJSON, **shared.authorization}) as answer,
    ):
        assert answer.status == 200
        for given, gate in zip(events, gates, strict=True):
            line = json.loads(await asyncio.wait_for(answer.content.readline(), 20))
            assert line["id"] == given["id"]
            gate.set()
        assert await answer.content.read() == b""


def named_line(party, number):
    """Return a line of an import that adds a name to a party."""
    named = event("party.name-added", party, name=f"Name {number}")
    return json.dumps({"specversion": "1.0", "id": f"{party}-{number}", "source": SOURCE, **named}).encode() + b"\n"


def test_a_client_may_send_everything_before_it_reads(shared):
    """With small socket buffers at the client, the results wait on the server and do not block the request."""
    count = 20_000
    target = shared.party()
    head = shared.head()
    lines = b"".join(
        named_line(target, index) if index % 2 else b'{"bad": ' + b"x" * 40 + b"\n" for index in range(count)
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", shared.port))
        connection.sendall(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\nAuthorization: Bearer {shared.key}\r\nContent-Length: {len(lines)}\r\nConnection: close\r\n\r\n".encode()
        )
        connection.sendall(lines)
        received = bytearray()
        while chunk := connection.recv(1 << 16):
            received += chunk
    assert received.startswith(b"HTTP/1.1 200")
    results = [json.loads(line) for line in received.split(b"\n") if line.startswith(b"{")]
    assert len(results) == count
    assert sum("leaf" in result for result in results) == count // 2
    assert [result["line"] for result in results if "line" in result and "leaf" not in result] == list(
        range(1, count, 2)
    )
    assert shared.head() == head + count // 2


def test_a_client_that_vanishes_in_the_middle_of_an_import_leaves_whole_events(shared):
    target = shared.party()
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        body = b"".join(named_line(target, index) for index in range(50))
        connection.sendall(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\nAuthorization: Bearer {shared.key}\r\nContent-Length: {len(body) + 1000}\r\n\r\n".encode()
            + body
            + named_line(target, 50)[:40]
        )
        time.sleep(0.5)
    time.sleep(0.5)
    found = shared.items("/v1/events", subject=target)
    assert len(found) in range(1, 52)
    assert [item["version"] for item in found] == list(range(1, len(found) + 1))


# Ids


def test_the_same_again_answers_byte_for_byte_with_200(shared):
    given = shared.whole([registered(shared, occurred="2020", time="2024-01-01T00:00:00Z")])[0]
    first = shared.send(given)
    shuffled = json.dumps(dict(reversed(given.items())), indent=3).encode()
    head = shared.head()
    for answer in (shared.send(given), shared.send(shuffled)):
        assert answer.status_code == 200
        assert answer.content == first.content
    assert shared.head() == head


def test_repeats_equal_as_json_are_equal(shared):
    given = {
        "specversion": "1.0",
        "id": shared.new(),
        "source": SOURCE,
        "type": "party.registered",
        "subject": f"parties/{shared.new('p')}",
        "data": {"name": "é/x", "kind": "company"},
    }
    first = shared.send(given)
    escaped = json.dumps(given, ensure_ascii=True).replace("/", "\\/").encode()
    again = shared.send(escaped)
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "party.renamed"},
        {"subject": "parties/somebody-else"},
        {"occurred": "2021"},
        {"time": "2025-01-01T00:00:00Z"},
        {"data": {"name": "Y", "kind": "company"}},
        {"data": {"name": "X", "kind": "company", "note": "n"}},
    ],
)
def test_the_same_id_with_other_content_is_refused(shared, change):
    given = shared.whole([registered(shared, occurred="2020", time="2024-01-01T00:00:00Z")])[0]
    assert shared.send(given).status_code == 201
    head = shared.head()
    is_problem(shared.send({**given, **change}), 409)
    assert shared.head() == head


def test_ids_are_of_a_source(shared):
    given = shared.whole([registered(shared)])[0]
    assert shared.send(given).status_code == 201
    other = {**given, "source": SOURCE + "/other", "subject": f"parties/{shared.new('p')}"}
    assert shared.send(other).status_code == 201


def test_repeats_are_found_before_any_other_check(shared):
    """A repeat is answered even if its subject has ended, its reference is gone, or its precondition would fail."""
    party = shared.party()
    given = shared.whole([event("party.name-added", party, "2010", name="Old")])[0]
    first = shared.send(given)
    shared.take(event("party.dissolved", party, "2020-01-01"))
    assert shared.send(given, If_Match='"99"').content == first.content
    assert shared.send(given, If_None_Match="*").status_code == 200
    is_problem(shared.send({**given, "data": {"name": "Other"}}, If_Match='"99"'), 409)


@pytest.mark.parametrize("mode", MODES)
def test_a_repeat_is_found_in_every_content_mode_before_it_is_checked(shared, mode):
    given = shared.whole([registered(shared, occurred="2020")])[0]
    first = shared.send(given).json()
    again = dict(reversed(given.items()))
    head = shared.head()
    assert post_as(shared, mode, again) == (200, first)
    if mode != "binary":
        nothing = dict.fromkeys(("time", "datacontenttype", "dataschema"))
        assert post_as(shared, mode, {**again, **nothing}) == (200, first)
    for change in ({"time": "2026-02-30T00:00:00Z"}, {"type": "party.exploded"}, {"data": {"name": 1.5}}):
        status, problem = post_as(shared, mode, {**again, **change})
        assert (status, pointers(problem)) == (409, {f"/{next(iter(change))}"})
    assert shared.head() == head


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": "a\u0001b"}, "/id"),
        ({"id": "a\uffff"}, "/id"),
        ({"source": "https://x.example/\u0085"}, "/source"),
        ({"id": "\u00e9" * 513}, "/id"),
        ({"source": "s" * 1025}, "/source"),
        ({"time": "2025-02-29T00:00:00Z"}, "/time"),
        ({"time": "2025-01-01T00:00:60Z"}, "/time"),
        ({"data": {"name": {"en": "a", "EN": "b"}, "kind": "company"}}, "/data/name"),
        ({"data": {"name": "a", "kind": "company", "note": 2**53}}, "/data/note"),
    ],
)
def test_the_envelope_is_checked_alike_in_every_content_mode(shared, mode, change, pointer):
    given = shared.whole([registered(shared)])[0]
    status, problem = post_as(shared, mode, {**given, **change})
    assert (status, pointers(problem)) == (422, {pointer})


@pytest.mark.parametrize("mode", MODES)
def test_ids_of_1024_bytes_and_attributes_of_null_are_taken_in_every_content_mode(shared, mode):
    given = shared.whole([registered(shared)])[0]
    given["id"] = given["id"].ljust(1024, "x")
    given |= dict.fromkeys(("time", "occurred", "datacontenttype", "subjectless"))
    status, receipt = post_as(shared, mode, given)
    assert (status in (200, 201), receipt["id"]) == (True, given["id"])


def test_concurrent_repeats_are_one_event(shared):
    given = shared.whole([registered(shared)])[0]
    answers: list[httpx.Response] = []

    def work():
        with httpx.Client(base_url=shared.address, trust_env=False, timeout=60) as client:
            answers.append(
                client.post("/v1/events", json=given, headers={**shared.authorization, "Content-Type": CLOUDEVENT})
            )

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.content for answer in answers}) == 1


# Preconditions


def test_if_match_demands_the_version(shared):
    party = shared.party()
    named = lambda: event("party.name-added", party, name=shared.new("Name"))  # noqa: E731
    assert shared.post(named(), If_Match='"1"').status_code == 201
    is_problem(shared.post(named(), If_Match='"1"'), 412)
    is_problem(shared.post(named(), If_Match='"3"'), 412)
    assert shared.post(named(), If_Match='"2"').status_code == 201


def test_if_match_takes_the_states_whole_etag(shared):
    party = shared.party()
    etag = shared.get(f"/v1/{party}").headers["ETag"]
    assert shared.post(event("party.name-added", party, name="A"), If_Match=etag).status_code == 201
    is_problem(shared.post(event("party.name-added", party, name="B"), If_Match=etag), 412)


def test_if_match_takes_several(shared):
    party = shared.party()
    assert shared.post(event("party.name-added", party, name="A"), If_Match='"7", "1"').status_code == 201


def test_if_match_on_an_unknown_subject_is_412(shared):
    is_problem(shared.post(registered(shared), If_Match='"1"'), 412)
    is_problem(shared.post(registered(shared), If_Match="*"), 412)


def test_if_none_match_demands_that_the_subject_is_new(shared):
    given = registered(shared)
    assert shared.post(given, If_None_Match="*").status_code == 201
    is_problem(shared.post(event("party.name-added", given["subject"], name="A"), If_None_Match="*"), 412)


@pytest.mark.parametrize("value", ["1", 'W/"1"', '"', '"x"', "", '"1'])
def test_malformed_preconditions_are_refused(shared, value):
    party = shared.party()
    answer = shared.post(event("party.name-added", party, name="A"), If_Match=value)
    is_problem(answer, 400, 412)


@pytest.mark.parametrize("header", [{"If_Match": '"1"'}, {"If_None_Match": "*"}])
@pytest.mark.parametrize("content_type", [BATCH, NDJSON])
def test_preconditions_with_several_events_are_malformed(shared, header, content_type):
    events = shared.whole([registered(shared), registered(shared)])
    body = (
        json.dumps(events).encode()
        if content_type == BATCH
        else b"\n".join(json.dumps(given).encode() for given in events)
    )
    before = shared.head()
    is_problem(shared.send(body, content_type, **header), 400)
    assert shared.head() == before


def test_of_concurrent_posts_with_one_version_one_is_recorded(shared):
    party = shared.party()
    statuses: list[int] = []

    def work(index: int) -> None:
        with httpx.Client(base_url=shared.address, trust_env=False, timeout=60) as client:
            given = shared.whole([event("party.name-added", party, name=f"N{index}")])[0]
            statuses.append(
                client.post(
                    "/v1/events",
                    json=given,
                    headers={**shared.authorization, "Content-Type": CLOUDEVENT, "If-Match": '"1"'},
                ).status_code
            )

    threads = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [412] * 11


# Trials


def test_validate_only_checks_everything_and_records_nothing(shared):
    given = shared.whole([registered(shared)])[0]
    before = shared.head()
    answer = shared.send(given, validate=True)
    assert answer.status_code in (200, 201)
    assert shared.head() == before
    assert shared.get(f"/v1/{given['subject']}").status_code == 404
    assert shared.send(given).status_code == 201
    assert shared.send(given, validate=True).status_code == 200
    is_problem(shared.send({**given, "data": {"name": "Y", "kind": "company"}}, validate=True), 409)
    is_problem(shared.send({**given, "id": shared.new(), "data": {"name": "Y"}}, validate=True), 422)
    is_problem(shared.post(registered(shared), validate=True, If_Match='"1"'), 412)
    is_problem(shared.post({**registered(shared), "subject": given["subject"]}, validate=True), 409)


def test_validate_only_of_a_batch(shared):
    events = shared.whole([registered(shared), registered(shared)])
    before = shared.head()
    assert shared.send(events, BATCH, validate=True).status_code in (200, 201)
    events[1]["data"]["kind"] = "guild"
    assert "/1/data/kind" in pointers(is_problem(shared.send(events, BATCH, validate=True), 422))
    assert shared.head() == before


def test_validate_only_of_an_import_sees_the_lines_before(shared):
    given = registered(shared)
    before = shared.head()
    results = shared.import_(
        [
            given,
            event("party.name-added", given["subject"], name="A"),
            event("party.name-added", "parties/never-made", name="A"),
            given,
        ],
        validate=True,
    )
    assert ["status" in result for result in results] == [False, False, True, True]
    assert results[3]["status"] == 409, "made twice"
    assert shared.head() == before


def test_validate_only_of_more_than_10_000_lines_is_refused(shared):
    line = json.dumps(shared.whole([registered(shared)])[0]).encode() + b"\n"
    assert len(shared.send(line * 10_000, NDJSON, validate=True).text.splitlines()) == 10_000
    answer = shared.send(line * 10_001, NDJSON, validate=True)
    if answer.status_code == 200:
        *_, last = answer.text.splitlines()
        assert "status" in json.loads(last)
    else:
        is_problem(answer, 413, 422)


def test_other_values_of_validate_are_refused(shared):
    before = shared.head()
    answer = shared.client.post(
        "/v1/events?validate=yes",
        json=shared.whole([registered(shared)])[0],
        headers={"Content-Type": CLOUDEVENT, **shared.authorization},
    )
    is_problem(answer, 400, 422)
    assert shared.head() == before


# Reading what was acknowledged


def test_acknowledged_events_are_visible_to_the_next_read(shared):
    for _ in range(20):
        party = shared.party()
        assert shared.get(f"/v1/{party}").status_code == 200
        assert shared.items("/v1/events", subject=party)


def test_registry_position_is_on_each_answer(shared):
    for path in (
        "/v1/parties",
        "/v1/parties/not-there",
        "/openapi.json",
        "/healthz",
        "/v1/nonsense",
        "/v1/events?limit=x",
    ):
        assert shared.get(path).headers["Registry-Position"].isdigit(), path


def test_request_waits_for_registry_position(shared):
    head = shared.head()
    assert shared.get("/v1/parties", headers={"Registry-Position": str(head)}).status_code == 200
    late = shared.get("/v1/parties", headers={"Registry-Position": str(head + 1000)})
    is_problem(late, 503)
    assert late.headers["Retry-After"].isdigit()
    for bad in ("x", "-1", "1.5", "9" * 40):
        is_problem(shared.get("/v1/parties", headers={"Registry-Position": bad}), 400, 503)


def test_malformed_event_is_answered_with_a_problem(shared):
    answer = shared.send(b"{", CLOUDEVENT)
    assert answer.headers["Content-Type"].split(";")[0] == PROBLEM
    is_problem(answer, 400)
