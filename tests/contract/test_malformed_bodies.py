"""Bodies that are no events: a clear 4xx, never a 500, nothing recorded, and the server goes on (sections 4 and 7)."""

from __future__ import annotations

import gzip
import json
import socket
import zlib

import pytest

from tests.contract.server import BATCH, CLOUDEVENT, NDJSON, SOURCE, Server, event, is_problem, pointers

CLIENT_ERRORS = tuple(range(400, 500))
DEEP = 100_000


def party(server: Server, **data) -> dict:
    return server.whole(
        [event("party.registered", f"parties/{server.new('p')}", **{"name": "X", "kind": "company", **data})]
    )[0]


def around(server: Server, literal: bytes, at: bytes = b'"name":') -> bytes:
    """Return a valid event whose name is this literal."""
    return json.dumps(party(server, name="@"), separators=(",", ":")).encode().replace(at + b'"@"', at + literal)


@pytest.fixture
def nothing_recorded(shared):
    before = shared.head()
    yield
    assert shared.head() == before
    assert shared.get("/healthz").status_code == 200


MALFORMED = {
    "nothing": b"",
    "blank": b"   \n",
    "half": b'{"specversion": "1.0"',
    "two documents": b"{}{}",
    "trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "comment": b"{} // no",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "control character": b'{"a": "\x01"}',
    "NUL bytes": b"\0\0\0",
    "invalid UTF-8": b'{"id": "\xff"}',
    "overlong UTF-8": b'{"id": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"id": "\xed\xa0\x80"}',
    "UTF-16": '{"id": "x"}'.encode("utf-16"),
    "leading zero": b'{"a": 01}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and open": b"[" * DEEP,
    "XML": b"<event/>",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("content_type", [CLOUDEVENT, BATCH])
def test_invalid_json_is_malformed(shared, nothing_recorded, body, content_type):
    is_problem(shared.send(body, content_type), 400, 422, 413)


@pytest.mark.parametrize(
    "body",
    [body for body in MALFORMED.values() if body.strip()],
    ids=[name for name, body in MALFORMED.items() if body.strip()],
)
def test_invalid_json_fails_only_its_line(shared, body):
    good = party(shared)
    answer = shared.send(body.replace(b"\n", b" ") + b"\n" + json.dumps(good).encode(), NDJSON)
    assert answer.status_code == 200
    first, second = map(json.loads, answer.text.splitlines())
    assert first["status"] in (400, 413, 422)
    assert first["line"] == 1
    assert second["id"] == good["id"]


@pytest.mark.parametrize("document", [None, True, 7, "text", [], [[]], {}, {"data": {}}])
def test_json_that_is_no_event_is_refused(shared, nothing_recorded, document):
    is_problem(shared.send(json.dumps(document).encode(), CLOUDEVENT), 400, 422)


@pytest.mark.parametrize("document", [None, True, 7, "text", {}, [1], [[]], [None, None]])
def test_json_that_is_no_batch_is_refused(shared, nothing_recorded, document):
    is_problem(shared.send(json.dumps(document).encode(), BATCH), 400, 422)


VALUES = {
    "lone high surrogate": rb'"\ud800"',
    "lone low surrogate": rb'"x\udc00y"',
    "surrogates the wrong way round": rb'"\udc00\ud800"',
    "escaped NUL": rb'"a\u0000b"',
    "fraction": b"1.5",
    "whole number with fraction": b"1.0",
    "exponent": b"1e3",
    "beyond any double": b"1e400",
    "tiny": b"1e-400",
    "minus zero": b"-0",
    "2^53": b"9007199254740992",
    "beyond 64 bits": b"18446744073709551616",
    "a number of 5,000 digits": b"9" * 5000,
    "null": b"null",
    "true": b"true",
    "empty": b'""',
    "only blanks": b'"  "',
    "empty map": b"{}",
    "list": b'["a"]',
    "map of numbers": b'{"en": 1}',
    "map with null": b'{"en": null}',
    "map of maps": b'{"en": {"x": "y"}}',
    "wrong tag": b'{"not a tag": "x"}',
    "tag with a NUL": b'{"e\\u0000n": "x"}',
    "empty tag": b'{"": "x"}',
    "surrogate in a tag": rb'{"\ud800": "x"}',
}


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES)
def test_invalid_unicode_is_refused(shared, nothing_recorded, literal):
    is_problem(shared.send(around(shared, literal)), 400, 422)


@pytest.mark.parametrize("literal", [rb'"\ud800"', rb'"a\u0000b"', b'"\xff"'])
@pytest.mark.parametrize("field", ["id", "source", "subject", "type", "time", "occurred"])
def test_invalid_unicode_in_attributes_is_refused(shared, nothing_recorded, field, literal):
    given = {**party(shared), field: "@@"}
    body = json.dumps(given).encode().replace(b'"@@"', literal)
    is_problem(shared.send(body), 400, 422)


@pytest.mark.parametrize(
    "literal",
    [
        b"9007199254740992",
        b"-9007199254740992",
        b"1.5",
        b"1e400",
        b"18446744073709551616",
        b"9" * 5000,
        b'"1"',
        b"true",
        b"null",
    ],
)
def test_numbers_are_integers_within_53_bits(shared, nothing_recorded, literal):
    lab = event("lab.recruitment-opened", "labs/none", call="c", role="R", positions={"min": "@@", "max": 3})
    body = json.dumps(shared.whole([lab])[0]).encode().replace(b'"@@"', literal)
    is_problem(shared.send(body), 400, 422)


def test_duplicate_keys_are_refused_or_the_last_counts(shared):
    """JSON leaves it open; stored and hashed data must be the same."""
    body = around(shared, b'"First","name":"Second"')
    answer = shared.send(body)
    if answer.status_code == 201:
        stored = shared.json(answer.headers["Location"])
        assert stored["data"]["name"] == "Second"
    else:
        is_problem(answer, 400, 422)


def test_huge_bodies_are_413(shared, nothing_recorded):
    huge = party(shared, note="x" * (64 << 20))
    for content_type, body in ((CLOUDEVENT, huge), (BATCH, [huge])):
        try:
            answer = shared.send(body, content_type)
        except OSError as refused:  # it may hang up before all is sent
            pytest.fail(f"hung up without an answer: {refused!r}")
        is_problem(answer, 413)


def test_a_huge_field_is_clearly_refused(shared, nothing_recorded):
    is_problem(shared.send(party(shared, name="x" * 500_000)), 413, 422)


def test_too_many_events_in_a_batch_are_refused(shared, nothing_recorded):
    tiny = party(shared)
    is_problem(shared.send([tiny] * 100_000, BATCH), 413, 422)


def test_a_thousand_events_in_a_batch_are_fine(shared):
    answer = shared.send([party(shared) for _ in range(1000)], BATCH)
    assert answer.status_code == 201
    assert len(answer.json()) == 1000


def test_a_million_unknown_fields_get_a_short_answer(shared, nothing_recorded):
    answer = shared.send(party(shared, **{f"f{index}": 1 for index in range(20_000)}))
    is_problem(answer, 413, 422)
    assert len(answer.content) < 1 << 20


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
        "nonsense",
        "application/cloudevents+xml",
        "application/cloudevents+avro",
    ],
)
def test_other_content_types_are_415(shared, nothing_recorded, content_type):
    answer = shared.send(party(shared), content_type)
    is_problem(answer, 415, 400)


def test_no_content_type_is_415(shared, nothing_recorded):
    answer = shared.client.post("/v1/events", content=b"{}", headers=shared.authorization)
    is_problem(answer, 415, 400)


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "nonsense"])
def test_other_charsets_are_refused(shared, nothing_recorded, charset):
    is_problem(shared.send(party(shared), f"{CLOUDEVENT}; charset={charset}"), 400, 415)


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", bytes), ("nonsense", bytes)]
)
def test_content_encodings_are_accepted_or_refused_with_415(shared, encoding, encode):
    given = party(shared)
    answer = shared.send(encode(json.dumps(given).encode()), Content_Encoding=encoding)
    if answer.status_code == 201:
        assert shared.get(f"/v1/{given['subject']}").status_code == 200
    else:
        is_problem(answer, 400, 415)


def test_body_that_does_not_match_its_encoding_is_refused(shared, nothing_recorded):
    for encoding in ("gzip", "deflate"):
        is_problem(shared.send(b"not compressed", Content_Encoding=encoding), 400, 415)


def test_a_compression_bomb_is_refused(shared, nothing_recorded):
    bomb = gzip.compress(b" " * (200 << 20), 9)
    is_problem(shared.send(bomb, Content_Encoding="gzip"), 400, 413, 415)


RAW = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a wrong chunk size": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    "length and chunks": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a wrong length": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "a negative length": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "a NUL in a header": b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "a header without a colon": b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a very long address": b"GET /v1/parties?q=" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_bytes_that_are_no_http_get_a_4xx_or_a_closed_connection(shared, nothing_recorded, raw):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as connection:
        connection.sendall(raw.replace(b"Host: x", f"Host: x\r\nAuthorization: Bearer {shared.key}".encode(), 1))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
    status = received[9:12]
    assert received == b"" or status.startswith(b"4"), received[:300]
    assert b"Traceback" not in received


@pytest.mark.parametrize("version", [b"", b" HTTP/0.9"])
def test_http_0_9_is_refused_even_if_the_answer_is_cached(shared, version):
    for _ in range(2):
        assert shared.get("/v1/parties").status_code == 200
        with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as connection:
            connection.sendall(b"GET /v1/parties%b\r\n\r\n" % version)
            received = b""
            while chunk := connection.recv(1 << 16):
                received += chunk
        assert received[8:].startswith(b" 400 "), received
        assert b"application/problem+json" in received


@pytest.mark.parametrize(
    "path",
    [
        "/v1", "/v1/", "/v1/nations", "/v1/parties/", "/v1/parties/UPPER", "/v1/parties/%00", "/v1/parties/%ff", "/v1/parties/a%2fb",
        "/v1/parties/..%2f..%2fetc%2fpasswd", "/v1/parties/" + "x" * 5000, "/v1/parties/x/nonsense", "/v1/parties/x/history/y",
        "/v1/events/0", "/v1/events/-1", "/v1/events/x", "/v1/events/99999999", "/v1/events/1e3", "/v1/events/" + "9" * 50, "/v1/events/%EF%BC%91",
        "/static/../pyproject.toml", "/static/%2e%2e/%2e%2e/pyproject.toml", "/problems/nonsense", "//v1/nations", "/v1/labs/x%0d%0aSet-Cookie:a=b",
    ],
)  # fmt: skip
def test_unknown_addresses_are_404(shared, path):
    is_problem(shared.get(path), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/events", {"GET", "HEAD", "POST"}),
        ("/v1/parties", {"GET", "HEAD"}),
        ("/v1/parties/x", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/openapi.json", {"GET", "HEAD"}),
        ("/v1/events/1", {"GET", "HEAD"}),
        ("/v1/parties/x/history", {"GET", "HEAD"}),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "POST"])
def test_other_methods_are_405_with_allow(shared, path, allowed, method):
    if method in allowed:
        pytest.skip("allowed here")
    answer = shared.client.request(method, path, headers=shared.authorization)
    is_problem(answer, 405)
    named = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert allowed - {"HEAD"} <= named <= allowed | {"OPTIONS"}, named


@pytest.mark.parametrize(
    "path",
    [
        "/v1/parties",
        "/v1/events",
        "/v1/timeline",
        "/healthz",
        "/openapi.json",
        "/v1/statistics",
        "/v1/parties/not-there",
    ],
)
def test_head_is_get_without_the_body(shared, path):
    got = shared.get(path)
    answer = shared.client.head(path)
    assert answer.status_code == got.status_code
    assert answer.content == b""
    assert answer.headers.get("Content-Type") == got.headers.get("Content-Type")
    assert answer.headers.get("ETag") == got.headers.get("ETag")


def test_problem_types_are_pages(shared):
    seen = set()
    for problem in (
        is_problem(shared.send(b"{"), 400),
        is_problem(shared.send({}), 422),
        is_problem(shared.send({}, key="wrong"), 401),
        is_problem(shared.get("/v1/parties/not-there"), 404),
        is_problem(shared.client.put("/v1/parties"), 405),
        is_problem(shared.get("/v1/parties", headers={"Accept": "image/png"}), 406),
        is_problem(shared.send({}, "text/plain"), 415),
        is_problem(shared.get("/v1/parties", limit="x"), 422),
        is_problem(shared.post(event("party.registered", "parties/x", name="X", kind="company"), If_Match='"9"'), 412),
    ):
        seen.add(problem["type"])
        page = shared.client.get(problem["type"])
        assert page.status_code == 200, problem["type"]
        assert problem["title"].split()[0].lower() in page.text.lower()
    assert len(seen) >= 8


QUERIES = [
    {"limit": "0"}, {"limit": "-1"}, {"limit": "1001"}, {"limit": "x"}, {"limit": ""}, {"limit": "1.5"}, {"limit": "9" * 40}, {"limit": "%00"},
    {"cursor": "x"}, {"cursor": ""}, {"cursor": "A" * 5000}, {"cursor": "AAAA"}, {"cursor": "é"},
    {"as_of": "x"}, {"as_of": "-1"}, {"as_of": ""}, {"as_of": "1.5"}, {"as_of": "99999999"}, {"as_of": "9" * 40}, {"as_of": "2024-01-01"},
    {"as_of": "9999-01-01T00:00:00Z"}, {"as_of": "2024-13-01T00:00:00Z"},
    {"on": "x"}, {"on": ""}, {"on": "2023-02-30"}, {"on": "2023"}, {"on": "2023-02"}, {"on": "XXXX-01-01"}, {"on": "2023-01-01T00:00:00Z"},
    {"sort": "nonsense"}, {"sort": "-"}, {"sort": ""},
    {"nonsense": "1"}, {"q": "\0"},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=repr)
@pytest.mark.parametrize("path", ["/v1/parties", "/v1/agreements", "/v1/memberships", "/v1/timeline"])
def test_bad_queries_are_refused(shared, path, query):
    is_problem(shared.get(path, **query), 400, 422)


def test_all_bad_parameters_are_reported_together(shared):
    problem = is_problem(
        shared.get("/v1/agreements", limit="x", on="y", as_of="z", status="nonsense", foo="1"), 400, 422
    )
    said = json.dumps(problem)
    for word in ("limit", "on", "as_of", "status", "foo"):
        assert word in said, word


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/agreements", {"status": "nonsense"}), ("/v1/labs", {"status": "signed"}), ("/v1/platforms", {"status": "open"}),
        ("/v1/memberships", {"status": "nonsense"}), ("/v1/commitments", {"status": "done"}), ("/v1/commitments", {"due_before": "x"}),
        ("/v1/agreements", {"signed_from": "x"}), ("/v1/agreements", {"signed_to": "2023-02-30"}), ("/v1/parties", {"kind": "guild"}),
        ("/v1/agreements", {"kind": "guild"}), ("/v1/parties", {"identifier": "no-colon"}), ("/v1/timeline", {"type": "party.exploded"}),
        ("/v1/timeline", {"from": "x"}), ("/v1/timeline", {"to": "x"}), ("/v1/graph", {"depth": "x"}), ("/v1/graph", {"depth": "-1"}),
        ("/v1/events", {"after": "x"}), ("/v1/events", {"until": "x"}), ("/v1/events", {"limit": "1001"}), ("/v1/events", {"type": "nonsense"}),
        ("/v1/search", {}), ("/v1/parties/resolve", {}),
    ],
)  # fmt: skip
def test_bad_filters_are_refused(shared, path, query):
    is_problem(shared.get(path, **query), 400, 422)


def test_slow_and_incomplete_requests_delay_no_other(shared):
    connections = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", shared.port), timeout=20)
        connection.sendall(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\nAuthorization: Bearer {shared.key}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n".encode()
        )
        connections.append(connection)
    try:
        assert shared.post(party(shared)).status_code == 201
    finally:
        for connection in connections:
            connection.close()
    assert shared.get("/readyz").status_code == 200


def test_errors_point_to_deeply_nested_faults(shared, nothing_recorded):
    given = shared.whole(
        [
            event(
                "agreement.signed",
                "agreements/none",
                title="T",
                kind="contract",
                parties=[{"party": "parties/x"}, {"party": "x", "role": 7, "rank": 1}],
            )
        ]
    )[0]
    found = pointers(is_problem(shared.send(given), 422))
    assert {"/data/parties/1/party", "/data/parties/1/rank"} <= found, found
    assert any(pointer.startswith("/data/parties/1/role") for pointer in found)
    assert SOURCE
