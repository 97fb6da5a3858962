"""Answers with a known length: HEAD, conditional requests, pipelining, and the connection afterwards."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from projections.reader import Reader
from service.api_keys import Scope
from service.app_keys import KEYS
from service.http import middleware
from service.http.answers import NDJSON, cached_response
from service.http.lists import CSV
from tests.service.registry import lines as events
from tests.service.registry import registered, running

PATH = "/v1/parties/a"


async def sent(registry, request: str, silence: float = 0.5) -> bytes:
    """Return all bytes until the connection ends or is silent for `silence` seconds.

    A test that expects the end waits long: a busy machine answers late.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", registry.client.port)
    writer.write(request.encode())
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(2**16), silence):
            answer += chunk
        return answer + b"<closed>"
    except TimeoutError:
        return answer
    finally:
        writer.close()


@pytest.fixture
async def cached_registry(registry):
    """Return a registry whose answer at `PATH` is cached."""
    await registry.take(registered("a"))
    await registry.json(PATH)
    return registry


async def test_head_request_has_the_content_length_of_get(cached_registry):
    whole = await sent(cached_registry, f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await sent(cached_registry, f"HEAD {PATH} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert whole.startswith(head.partition(b"Date: ")[0])


async def test_not_modified_answer_has_neither_body_nor_length(cached_registry):
    etag = (await cached_registry.get(PATH)).headers["ETag"]
    answer = await sent(cached_registry, f"GET {PATH} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert etag.encode() in answer
    assert b"\r\nContent-" not in answer


@pytest.mark.parametrize(
    ("version", "wish", "told", "closes"),
    [
        ("1.1", "", None, False),
        ("1.1", "close", b"\r\nConnection: close\r\n", True),
        ("1.0", "", b"\r\nConnection: close\r\n", True),
        ("1.0", "keep-alive", b"\r\nConnection: keep-alive\r\n", False),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/v1/parties/nobody"])
async def test_connection_header_of_the_client_is_respected(cached_registry, path, version, wish, told, closes):
    more = f"Connection: {wish}\r\n" if wish else ""
    silence = 30 if closes else 0.5
    answer = await sent(cached_registry, f"GET {path} HTTP/{version}\r\nHost: a\r\n{more}\r\n", silence)
    assert answer.endswith(b"<closed>") is closes
    assert (told in answer) if told else (b"Connection" not in answer)


async def test_pipelined_requests_are_answered_in_order(cached_registry):
    answer = await sent(
        cached_registry, "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in (PATH, "/nowhere", PATH))
    )
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


@pytest.mark.parametrize("form", [CSV, NDJSON])
async def test_list_that_fails_half_way_is_not_terminated_properly(registry, monkeypatch, form):
    await registry.import_(events(*(registered(f"p{number}") for number in range(1001))))
    page, cached_registry = Reader.page, count()

    def failing(*question, **more):
        if next(cached_registry):
            raise OSError("disk I/O error")
        return page(*question, **more)

    monkeypatch.setattr(Reader, "page", failing)
    answer = await sent(registry, f"GET /v1/parties HTTP/1.1\r\nHost: a\r\nAccept: {form}\r\n\r\n", silence=30)
    assert answer.count(b"HTTP/1.1 ") < 2  # what was sent right before the cut may be lost with it
    assert answer.endswith(b"<closed>")
    assert not answer.endswith(b"0\r\n\r\n<closed>")


async def test_cached_answer_is_not_sent_without_the_right_to_read(tmp_path):
    async with running(tmp_path, read="key") as registry:
        await registry.take(registered("a"))
        key = {"Authorization": f"Bearer {registry.app[KEYS].create('reader', [Scope.READ])}"}
        for _ in range(2):
            assert (await registry.client.get(PATH, headers=key)).status == 200
        assert (await registry.client.get(PATH)).status == 401


async def test_cached_answer_is_logged_and_counted_by_its_route(cached_registry):
    await cached_registry.get(PATH)
    text = await (await cached_registry.get("/metrics")).text()
    assert 'registry_requests_total{method="GET",route="/v1/parties/{slug}",status="200"} 2.0' in text


@pytest.mark.parametrize("path", [PATH, "/v1/parties?q=a&limit=1", "/v1/statistics", "/v1/parties/a/history?as_of=1"])
@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}, {"Accept": "application/json", "Origin": "http://x"}])
async def test_cached_answer_equals_that_of_the_handler(cached_registry, monkeypatch, path, headers):
    async def answer():
        got = await cached_registry.client.get(path, headers=headers)
        return got.status, {name: got.headers[name] for name in got.headers if name != "Date"}, await got.read()

    used: list[object] = []
    found = [await answer()]
    real = cached_response

    def recorded(request):
        used.append(real(request))
        return used[-1]

    monkeypatch.setattr(middleware, "cached_response", recorded)
    found.append(await answer())
    monkeypatch.setattr(middleware, "cached_response", lambda _: None)
    found.append(await answer())
    assert found[0] == found[1] == found[2]
    assert used[0] is not None
