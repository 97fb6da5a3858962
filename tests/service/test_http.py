"""Every request: problems for every error, positions, headers, one line in the log, health."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from service.app_keys import HEAD, LOGS, READY
from service.http import middleware
from service.problems import KINDS
from tests.service.registry import STRUCTURED, problem, registered, running


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/events/1/nothing", 404, "not-found"),
        ("GET", "/problems/nothing", 404, "not-found"),
        ("GET", "/%00", 404, "not-found"),
        ("GET", "/%ff", 404, "not-found"),
        ("GET", "/v1/events/%F0%9F%98%80", 404, "not-found"),
        ("DELETE", "/v1/events", 405, "method-not-allowed"),
        ("PUT", "/v1/events/1", 405, "method-not-allowed"),
        ("PROPFIND", "/healthz", 405, "method-not-allowed"),
        ("OPTIONS", "/nowhere", 404, "not-found"),
    ],
)
async def test_unknown_address_is_a_problem(registry, method, path, status, kind):
    answer = await registry.client.request(method, path)
    await problem(answer, status, kind)
    if status == 405:
        assert "GET" in answer.headers["Allow"]


async def test_allow_lists_every_method(registry):
    answer = await registry.client.delete("/v1/events")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_very_long_query_is_answered_with_a_problem(registry):
    await problem(await registry.get("/v1/events?source=" + "x" * 8000), 422, "invalid-query")
    await problem(await registry.get("/v1/events?source=" + "x" * 20_000), 431, "headers-too-large")


async def test_internal_error_reveals_no_details(registry, monkeypatch):
    def fails(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(registry.app[LOGS].here, "at", fails)
    await registry.take(registered("a"))
    answer = await registry.get("/v1/events/1")
    await problem(answer, 500, "internal-error")
    assert "secret" not in await answer.text()
    assert any("secret" in line.get("exception", "") for line in registry.lines())


async def test_every_kind_of_problem_has_a_page(registry):
    listed = (await registry.json("/problems"))["items"]
    assert len(listed) == len(KINDS)
    for described in listed:
        one = await registry.json(described["type"])
        assert one == described
        page = await registry.get(described["type"], Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert (page.status, page.content_type) == (200, "text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert described["title"] in await page.text()
    await problem(await registry.get("/problems", Accept="image/png"), 406, "not-acceptable")


async def test_every_answer_has_registry_position_and_nosniff(registry):
    await registry.take([registered("a"), registered("b")])
    for path in ("/v1/events", "/v1/events/1", "/nowhere", "/healthz", "/problems", "/v1/events/stream"):
        answer = await registry.get(path)
        assert answer.headers["Registry-Position"] == "2", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        answer.close()


async def test_a_request_waits_until_the_position_it_asks_for_is_reached(registry):
    question = asyncio.create_task(registry.get("/v1/events", Registry_Position="2"))
    await registry.take(registered("a"))
    await asyncio.sleep(0.02)
    assert not question.done()
    await registry.take(registered("b"))
    async with asyncio.timeout(5):
        assert [item["position"] for item in (await (await question).json())["items"]] == [1, 2]
    assert (await registry.get("/v1/events", Registry_Position="0")).status == 200


async def test_a_position_that_is_not_reached_is_a_problem(registry, monkeypatch):
    monkeypatch.setattr(middleware, "WAIT_SECONDS", 0.05)
    answer = await registry.get("/v1/events", Registry_Position="9007199254740991")
    await problem(answer, 503, "position-ahead")
    assert answer.headers["Retry-After"] == "1"
    for text in ("x", "-1", "1.5", "", "1e3", "99999999999999999"):
        await problem(await registry.get("/v1/events", Registry_Position=text), 400, "malformed-request")


async def test_head_forgets_cancelled_waiters(registry):
    head = registry.app[HEAD]
    waiting = [asyncio.create_task(head.reached(5, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert await head.reached(5, 0.01) is False
    head.advance(5)
    assert await asyncio.gather(*waiting[1:]) == [True, True]
    head.advance(3)
    assert head.position == 5


async def test_a_request_is_one_line_in_the_log(registry):
    await registry.post(registered("a"))
    await registry.get("/v1/events/1?secret=1")
    await registry.get("/nowhere/at/all")
    lines = [line for line in registry.lines() if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"], line["actor"]) for line in lines] == [
        ("POST", "/v1/events", 201, "analyst"),
        ("GET", "/v1/events/{position}", 422, None),
        ("GET", "none", 404, None),
    ]
    assert all(line["ms"] >= 0 and line["bytes"] > 0 and line["timestamp"] for line in lines)
    assert b"secret" not in registry.logged()


async def test_metrics_count_by_route_and_never_by_path(registry):
    await registry.post(registered("a"))
    await registry.post(b"x", type_=STRUCTURED)
    for number in range(5):
        await registry.get(f"/v1/events/{number}")
        await registry.get(f"/nowhere/{number}")
    await registry.client.request("PROPFIND", "/v1/events")
    text = await (await registry.get("/metrics")).text()
    assert 'registry_requests_total{method="GET",route="/v1/events/{position}",status="200"} 1.0' in text
    assert 'registry_requests_total{method="GET",route="none",status="404"} 6.0' in text
    assert 'registry_requests_total{method="other",route="/v1/events",status="405"} 1.0' in text
    assert 'registry_refused_total{kind="malformed-request"} 1.0' in text
    assert "registry_position 1.0" in text
    assert "registry_queued 0.0" in text
    assert "nowhere" not in text


async def test_readiness_says_what_it_waits_for(registry):
    assert await registry.json("/readyz") == {"status": "ready", "position": 0}
    registry.app[READY].block("the seeds are being recorded")
    found = await problem(await registry.get("/readyz"), 503, "not-ready")
    assert found["detail"] == "the seeds are being recorded"
    assert (await registry.get("/healthz")).status == 200
    registry.app[READY].unblock("the seeds are being recorded")
    assert (await registry.get("/readyz")).status == 200


async def test_body_that_does_not_arrive_times_out(registry, monkeypatch):
    monkeypatch.setattr("service.http.bodies.SECONDS", 0.05)

    async def slow():
        yield b"{"
        await asyncio.sleep(1)
        yield b"}"

    await problem(await registry.post(slow(), type_=STRUCTURED), 408, "request-timeout")


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"Content-Length: 10\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ],
)
async def test_a_request_that_breaks_off_or_is_garbage_harms_nobody(registry, rest):
    for type_ in ("application/cloudevents+json", "application/x-ndjson"):
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.client.port)
        writer.write(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {registry.key}\r\n"
            f"Content-Type: {type_}\r\n".encode()
            + rest
        )
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()
        answer = await reader.read()
        status = answer[9:12]
        assert status in (b"", b"200", b"400"), answer
        assert (b"application/problem+json" in answer) == (status == b"400")
        await writer.wait_closed()
    assert await registry.head() == 0
    assert not [line for line in registry.lines() if line.get("event") == "unforeseen"]


async def test_two_registries_do_not_share_a_directory(tmp_path):
    from service.lock import InUse

    async with running(tmp_path):
        with pytest.raises(InUse):
            async with running(tmp_path):
                pass


async def test_json_is_always_utf8(registry):
    await registry.take(registered("a", data={"name": {"zh": "宁德时代"}, "kind": "company"}))
    raw = await (await registry.get("/v1/events/1")).read()
    assert "宁德时代".encode() in raw
    assert orjson.loads(raw)["data"]["name"]["zh"] == "宁德时代"
