"""The memory of incomplete requests, the number of connections, and answers to bytes that are no HTTP."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest
from aiohttp import web

from service.http import connections
from service.problems import Kind, Problem
from tests.service.registry import registered

SECRET = "rk_SECRET-of-the-test"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Client:
    """One connection, used byte by byte."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def received(self, seconds=10):
        """Return all bytes until the connection ends."""
        return await asyncio.wait_for(self.reader.read(), seconds)

    async def answer(self):
        """Return status and body of one answer with a length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if b"ontent-" in head else 0
        return int(head[9:12]), await self.reader.readexactly(length)


@asynccontextmanager
async def connected(registry):
    reader, writer = await asyncio.open_connection("127.0.0.1", registry.client.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def exchange(registry, raw):
    """Return all bytes of the answer until the connection ends."""
    async with connected(registry) as client:
        await client.send(raw)
        return await client.received()


def is_problem(answer, status, kind):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status)), answer
    assert b"Content-Type: application/problem+json\r\n" in head
    return orjson.loads(body)["type"] == f"/problems/{kind}"


@pytest.mark.parametrize(
    "headers",
    [
        b"X: " + b"x" * 8191 + b"\r\n",
        b"x" * 8191 + b": x\r\n",
        b"".join(b"X-%d: x\r\n" % number for number in range(64)),
        b"X: " + b"x" * 500_000 + b"\r\n",
    ],
    ids=["a long value", "a long name", "65 headers", "a value that fills the connection"],
)
async def test_headers_beyond_the_limits_are_431(registry, headers):
    assert is_problem(await exchange(registry, GET + headers + b"\r\n"), 431, "headers-too-large")


async def test_an_address_beyond_the_limit_is_431(registry):
    answer = await exchange(registry, b"GET /v1/parties?q=" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_problem(answer, 431, "headers-too-large")


async def test_the_lines_of_one_field_are_bounded_together(registry):
    lines = b"".join(b"Accept: " + b"a/b," * 2000 + b"\r\n" for _ in range(3))
    answer = await exchange(registry, b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n")
    assert is_problem(answer, 431, "headers-too-large")


async def test_headers_within_the_limits_are_taken(registry):
    headers = b"".join(b"X-%d: " % number + b"x" * 8000 + b"\r\n" for number in range(62))
    assert (await exchange(registry, GET + headers + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [b"//parties", b"//v1/parties", b"//host/v1/parties"])
async def test_path_that_a_url_library_takes_for_a_host_is_404(registry, path):
    for accepted in (b"application/json", b"text/html"):
        headers = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: " + accepted + b"\r\n\r\n"
        assert (await exchange(registry, b"GET " + path + headers)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "raw",
    [
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\x01\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\x00\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\rx\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\n Authorization: Bearer {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nBearer {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\n{SECRET}: {SECRET}{'x' * 9000}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key1: {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {SECRET}\r\n\r\n".encode(),
        f"Authorization: Bearer {SECRET}\r\n\r\n".encode(),
        f"GET http://{SECRET}:x/ HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"CONNECT {SECRET}:: HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    ],
)
async def test_bytes_of_an_unparsable_request_are_neither_logged_nor_answered(registry, capfd, raw):
    answer = await exchange(registry, raw)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
    assert SECRET.encode() not in answer
    await registry.get("/healthz")
    assert registry.lines()
    assert SECRET.encode() not in registry.logged()
    assert SECRET not in "".join(capfd.readouterr())


HOSTILE = [
    b"\xff" + SECRET.encode(),
    "宁".encode() + SECRET.encode(),
    b"9" * 5000,
    b'"' + b'\\"' * 4000,
    b",;=/\"'\\" * 900,
    b"a/b" + b" " * 8000 + b"x",
    b"",
]
NAMES = [
    "Accept", "Accept-Charset", "Accept-Datetime", "Accept-Encoding", "Accept-Language", "Authorization", "Access-Control-Request-Method",
    "Content-Encoding", "Content-Type", "Cookie", "Expect", "Forwarded", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
    "If-Unmodified-Since", "Last-Event-ID", "Origin", "Prefer", "Range", "Registry-Position", "Upgrade", "ce-id", "ce-time",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_no_value_of_a_header_is_an_internal_error_or_logged(registry, name):
    key = f"Authorization: Bearer {registry.key}\r\n" if name != "Authorization" else ""
    type_ = "Content-Type: application/json\r\n" if name != "Content-Type" else ""
    for value in HOSTILE:
        for line in (
            "GET /v1/parties",
            "GET /v1/events/1",
            "POST /v1/events",
            "OPTIONS /v1/parties",
            "GET /log/tile/entries/000.p/1",
        ):
            raw = (
                f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n{key}{type_}{name}: ".encode()
            )
            answer = await exchange(registry, raw + value + b"\r\n\r\n{}")
            status = int(answer.rpartition(b"HTTP/1.1 ")[2][:3])
            assert status < 500, (line, value[:20], answer)
    assert SECRET.encode() not in registry.logged()


async def test_incomplete_requests_are_refused_once_they_take_too_much_memory(registry, monkeypatch):
    monkeypatch.setattr(connections, "MOST_AHEAD_BYTES", 2**18)
    unfinished = GET + b"".join(b"X-%d: " % number + b"x" * 8000 + b"\r\n" for number in range(5))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(registry)) for _ in range(12)]
        for client in clients:
            await client.send(unfinished)
            await asyncio.sleep(0.03)
        for client in clients[:3]:
            assert is_problem(await client.received(), 503, "overloaded")
        assert (await registry.get("/healthz")).status == 200
        await registry.take(registered("a", data={"name": "x" * 20_000, "kind": "company"}))
        for client in clients[-3:]:
            await client.send(b"\r\n")
            assert (await client.answer())[0] == 200
    await asyncio.sleep(0.05)
    async with connected(registry) as client:
        await client.send(unfinished)
        await asyncio.sleep(0.05)
        await client.send(b"\r\n")
        assert (await client.answer())[0] == 200


async def test_connection_closed_during_its_refusal_ends_without_an_error(registry):
    async with connected(registry) as client:
        await client.send(GET + b"\r\n" + GET)
        await client.answer()
        (connection,) = registry.client.server.runner.server.connections
        task = connection._task_handler
        connection.transport.abort()
        connection.refuse(Problem(Kind.OVERLOADED, "as a test wants"))
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()


@pytest.mark.parametrize("missing", [1, 10_000])
async def test_refused_connection_answers_the_request_whose_body_is_incomplete(registry, monkeypatch, missing):
    monkeypatch.setattr("service.http.middleware.WAIT_SECONDS", 0.2)
    monkeypatch.setattr(connections, "MOST_AHEAD_BYTES", 2**13)
    body = b"x" * 15_000
    length = b"Content-Length: %d\r\n\r\n" % (len(body) + missing)
    raw = (
        b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nRegistry-Position: 99\r\n\r\n"
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + registry.key.encode() + b"\r\n"
        b"Content-Type: application/cloudevents+json\r\n" + length
    )
    async with connected(registry) as client, asyncio.timeout(10):
        await client.send(raw)
        await asyncio.sleep(0.05)
        await client.send(body)
        ahead, _, refused = (await client.received()).rpartition(b"HTTP/1.1 ")
    assert ahead.startswith(b"HTTP/1.1 503 ")
    assert refused.startswith(b"503 ")
    assert b"/problems/overloaded" in refused
    assert b"Connection: close\r\n" in refused


POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\n"
IMPORT = POST.replace(b"cloudevents+json", b"x-ndjson")
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("waiting", "answered"),
    [
        (GET, 0),
        (GET + b"\r\n", 1),
        ((GET + b"\r\n") * 32, 32),
        ((GET + b"\r\n") * 33, 33),
        ((GET + b"\r\n") * 100 + GET, 100),
        ((GET + b"\r\n") * 100 + POST + b"Content-Length: 9\r\n\r\n{", 100),
        (POST + CHUNKED, 0),
        (POST + CHUNKED + b"9\r\n{", 0),
        (POST + CHUNKED + b"1\r\n{\r\n", 0),
        (IMPORT + CHUNKED + b"3\r\n{}\n\r\n", 0),
        (IMPORT + b"Content-Length: 9\r\n\r\n{}\n", 0),
        (POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", 0),
        (POST.replace(b"1.1", b"1.0") + b"Content-Length: 9\r\n\r\n{", 0),
        (GET + b"Content-Length: 9\r\n\r\n{", 0),
        (GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + GET, 1),
    ],
)
async def test_refused_connection_answers_what_waits_and_ends(registry, monkeypatch, waiting, answered):
    monkeypatch.setattr("service.http.middleware.WAIT_SECONDS", 0.3)
    authorization = b"Authorization: Bearer " + registry.key.encode() + b"\r\n"
    async with connected(registry) as client:
        await client.send(b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nRegistry-Position: 99\r\n\r\n")
        await asyncio.sleep(0.05)
        await client.send(waiting.replace(b"Content-Type: ", authorization + b"Content-Type: "))
        await asyncio.sleep(0.05)
        (connection,) = registry.client.server.runner.server.connections
        connection.refuse(Problem(Kind.OVERLOADED, "as a test wants"))
        answers = await client.received()
    parsed_last = answered % 16  # in the same step as the end of input
    assert answered - parsed_last <= answers.count(b" 200 OK\r\n") <= answered
    assert answers.count(b"/problems/position-ahead") == answers.count(b"/problems/overloaded") == 1
    assert answers.rstrip().endswith(b"}")
    assert not registry.client.server.runner.server.open._ahead


async def test_pipelined_bytes_are_bounded(registry, monkeypatch):
    monkeypatch.setattr("service.http.middleware.WAIT_SECONDS", 0.5)
    async with connected(registry) as client:
        await client.send(b"GET /v1/parties HTTP/1.1\r\nHost: x\r\nRegistry-Position: 99\r\n\r\n")
        await asyncio.sleep(0.05)
        ahead = GET + b"".join(b"X-%d: " % number + b"x" * 8000 + b"\r\n" for number in range(60)) + b"\r\n"
        for _ in range(3):
            await client.send(ahead)
        answers = await client.received()
    assert answers.count(b"HTTP/1.1 503 ") == 1
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert answers.count(b" 431 Request Header Fields Too Large\r\n") == 1


async def test_many_small_pipelined_requests_are_all_answered(registry):
    async with connected(registry) as client:
        sending = asyncio.create_task(client.send((GET + b"X: " + b"x" * 2000 + b"\r\n\r\n") * 1000))
        for _ in range(1000):
            assert (await client.answer())[0] == 200
        await sending


@pytest.fixture
def most_connections(registry):
    """Set the connection limit."""

    def set_most(most):
        registry.client.server.runner.server.open._most = most

    return set_most


async def test_beyond_the_connection_limit_the_longest_idle_one_is_closed(registry, most_connections):
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(4):
            clients.append(await stack.enter_async_context(connected(registry)))
            await clients[-1].send(GET + b"\r\n")
            assert (await clients[-1].answer())[0] == 200
        await clients[0].send(GET + b"\r\n")
        assert (await clients[0].answer())[0] == 200
        most_connections(4)
        newest = await stack.enter_async_context(connected(registry))
        await newest.send(GET + b"\r\n")
        assert (await newest.answer())[0] == 200
        assert await clients[1].received() == b""
        for client in (clients[0], clients[2], clients[3]):
            await client.send(GET + b"\r\n")
            assert (await client.answer())[0] == 200


async def test_if_all_connections_are_busy_a_new_one_gets_503(registry, most_connections):
    async with AsyncExitStack() as stack:
        for _ in range(3):
            client = await stack.enter_async_context(connected(registry))
            await client.send(b"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.reader.readuntil(b"\r\n\r\n")
        most_connections(3)
        answer = await exchange(registry, GET + b"\r\n")
        assert is_problem(answer, 503, "busy")
        assert b"Retry-After: 1\r\n" in answer
    await asyncio.sleep(0.05)
    assert (await exchange(registry, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_connection_without_a_request_is_closed_before_others(registry, most_connections):
    async with AsyncExitStack() as stack:
        asking, silent, newest = [await stack.enter_async_context(connected(registry)) for _ in range(3)]
        await asking.send(GET + b"\r\n")
        assert (await asking.answer())[0] == 200
        most_connections(3)
        await stack.enter_async_context(connected(registry))
        assert await silent.received() == b""
        for client in (asking, newest):
            await client.send(GET + b"\r\n")
            assert (await client.answer())[0] == 200


async def test_no_answer_names_the_server_version(registry):
    for path in ("/healthz", "/v1/parties", "/v1/events/stream", "/docs", "/nowhere"):
        answer = await registry.get(path)
        assert answer.headers["Server"] == "agreement-registry", path
        answer.close()
    assert b"\r\nServer: agreement-registry\r\n" in await exchange(registry, b"nonsense\r\n\r\n")


async def test_address_of_thousands_of_segments_is_not_routed(registry, monkeypatch):
    longest, real = [], web.UrlDispatcher.resolve

    async def resolve(router, request):
        longest.append(request.path.count("/"))
        return await real(router, request)

    monkeypatch.setattr(web.UrlDispatcher, "resolve", resolve)
    answer = await exchange(registry, b"GET " + b"/a" * 4000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert is_problem(answer, 404, "not-found")
    assert max(longest) < 10
