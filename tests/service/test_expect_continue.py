"""`100 Continue`: a client that waits for it gets its refusal before it sends a body, or is told to send."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.service.registry import BATCH, NDJSON, STRUCTURED, registered

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def exchange(registry, line="POST /v1/events", *, body=b"", size=None, version="1.1", **headers):
    """Return the answers before and after the body is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", registry.client.port)
    sent = {
        "Host": "x",
        "Content_Length": str(len(body) if size is None else size),
        "Expect": "100-continue",
        **headers,
    }
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items() if value)
    writer.write(f"{line} HTTP/{version}\r\n{head}\r\n".encode())
    before = await asyncio.wait_for(reader.read(2**16), 10)
    after = b""
    if before.startswith(CONTINUE):
        writer.write(body)
        after = await asyncio.wait_for(reader.read(2**16), 10)
    writer.close()
    return before, after


@pytest.fixture
def key(registry):
    return {"Authorization": f"Bearer {registry.key}"}


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST /v1/events", {"Content_Type": STRUCTURED, "Authorization": ""}, 401),
        ("POST /v1/events", {"Content_Type": STRUCTURED, "Authorization": "Bearer rk_none"}, 401),
        ("POST /v1/events", {"Content_Type": NDJSON, "Authorization": ""}, 401),
        ("POST /v1/events", {"Content_Type": STRUCTURED, "size": 2**30}, 413),
        ("POST /v1/events", {"Content_Type": BATCH, "size": 2**30}, 413),
        ("POST /v1/events", {"Content_Type": "text/plain"}, 415),
        ("POST /v1/events", {"Content_Type": f"{STRUCTURED}; charset=latin-1"}, 415),
        ("POST /v1/events", {"Content_Type": NDJSON, "Content_Encoding": "gzip"}, 415),
        ("POST /v1/events", {"Content_Type": STRUCTURED, "If_Match": "nonsense"}, 400),
        ("POST /v1/events?validate=x", {"Content_Type": STRUCTURED}, 422),
        ("POST /v1/parties", {"Content_Type": STRUCTURED}, 405),
        ("POST /nowhere", {"Content_Type": STRUCTURED}, 404),
        ("PUT /v1/documents/none/text", {"Content_Type": "text/plain"}, 404),
        ("PUT /v1/documents/none/text", {"Content_Type": "text/plain", "Authorization": ""}, 401),
        ("POST /v1/events", {"Content_Type": STRUCTURED, "Expect": "more"}, 400),
    ],
)
async def test_refusal_that_needs_no_body_precedes_100_continue(registry, key, line, headers, status):
    before, _ = await exchange(registry, line, **{"body": b"{}" * 10, **key, **headers})
    assert before.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in before


@pytest.mark.parametrize("type_", [STRUCTURED, BATCH, NDJSON])
@pytest.mark.parametrize("query", ["", "?validate=only"])
async def test_acceptable_body_gets_100_continue(registry, key, type_, query):
    body = orjson.dumps([registered("a")] if type_ == BATCH else registered("a"))
    before, after = await exchange(registry, f"POST /v1/events{query}", body=body, Content_Type=type_, **key)
    assert before.startswith(CONTINUE)
    after = before.removeprefix(CONTINUE) + after
    assert after.startswith((b"HTTP/1.1 201 ", b"HTTP/1.1 200 "))
    assert CONTINUE not in after


async def test_client_that_does_not_wait_for_100_continue_is_answered(registry, key):
    body = orjson.dumps(registered("a"))
    answer = await registry.client.post(
        "/v1/events", data=body, headers={"Content-Type": STRUCTURED, **key}, expect100=True
    )
    assert answer.status == 201
    before, _ = await exchange(registry, "GET /v1/parties", size=0)
    assert before.startswith(b"HTTP/1.1 200 ")


async def test_http_1_0_client_gets_no_100_continue(registry, key):
    before, _ = await exchange(registry, version="1.0", size=0, Content_Type=STRUCTURED, **key)
    assert before.startswith(b"HTTP/1.0 400 ")
