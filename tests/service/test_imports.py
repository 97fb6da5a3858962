"""Imports: a result for each line, in order, however the lines arrive and however slowly the results are read."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from service.app_keys import METRICS, WRITER
from service.commands.bulk_import import Lines
from service.event_log import LogUnavailable
from service.http import events_import
from tests.service.registry import BATCH, NDJSON, STRUCTURED, lines, problem, registered, renamed, running

MIB = 2**20


def kinds(results) -> list[str]:
    return [result.get("type", "taken").rpartition("/")[2] for result in results]


async def test_each_line_is_answered_with_its_receipt_or_its_problem_in_order(registry):
    results = await registry.import_(
        lines(
            registered("a"),
            b"nonsense",
            registered("b", data={}),
            registered("a", id="again"),
            renamed("a", "A2"),
            registered("a"),
            registered("a", occurred="2011"),
            [registered("c")],
            b'{"id":1,"id":2}',
        )
    )
    assert kinds(results) == [
        "taken",
        "malformed-request",
        "invalid-event",
        "contradiction",
        "taken",
        "taken",
        "different-content",
        "invalid-event",
        "malformed-request",
    ]
    assert [result.get("line") for result in results] == [None, 2, 3, 4, None, None, 7, 8, 9]
    assert results[0] == results[5]
    assert results[3]["positions"] == [1]
    assert [error["pointer"] for error in results[2]["errors"]] == ["/data/name", "/data/kind"]
    assert (await registry.json("/v1/events/2"))["data"] == {"name": "A2"}
    assert await registry.head() == 2


async def test_results_of_lines_are_the_receipts_that_single_posts_get(registry):
    answer = await registry.post(lines(registered("a")), type_=NDJSON)
    assert answer.content_type == NDJSON
    again = await registry.post(registered("a"))
    assert await answer.read() == await again.read() + b"\n"


async def test_blank_lines_have_no_result_but_are_counted(registry):
    body = b"\n\r\n" + lines(registered("a")) + b"  \t\r\nx\r\n\n" + orjson.dumps(renamed("a", "B"))
    results = await registry.import_(body)
    assert kinds(results) == ["taken", "malformed-request", "taken"]
    assert results[1]["line"] == 5


async def test_an_empty_import_has_no_results(registry):
    assert await registry.import_(b"") == []
    assert await registry.import_(b"\n\n") == []


async def test_a_line_that_is_too_long_is_refused_and_the_next_is_taken(registry):
    body = orjson.dumps(registered("a"))
    fits = body[:-1] + b" " * (MIB - len(body)) + b"}"
    results = await registry.import_(lines(b"x" * 3 * MIB, fits, fits + b" x", b" " * 2 * MIB, registered("b")))
    assert kinds(results) == ["too-large", "taken", "too-large", "too-large", "taken"]
    assert [result.get("line") for result in results] == [1, None, 3, 4, None]


async def test_many_lines_share_a_commit(registry):
    results = await registry.import_(lines(*(registered(f"p{number}") for number in range(1500))))
    assert [result["position"] for result in results] == list(range(1, 1501))
    assert registry.app[METRICS].registry.get_sample_value("registry_group_events_count") < 150


async def test_results_come_while_lines_are_still_being_sent(registry):
    to_send: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body():
        while (chunk := await to_send.get()) is not None:
            yield chunk

    to_send.put_nowait(b"\n")
    answer = await registry.post(body(), type_=NDJSON)
    for number in range(1, 4):
        half = len(line := lines(registered(f"p{number}"))) // 2
        to_send.put_nowait(line[:half])
        await asyncio.sleep(0.01)
        to_send.put_nowait(line[half:])
        async with asyncio.timeout(5):
            assert orjson.loads(await answer.content.readline())["position"] == number
    to_send.put_nowait(None)
    assert await answer.content.read() == b""


async def test_a_client_may_send_everything_before_it_reads(registry):
    count = 60_000
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {registry.key}\r\n"
        f"Content-Type: {NDJSON}\r\nContent-Length: {2 * count}\r\nConnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", registry.client.port))
        async with asyncio.timeout(60):
            await loop.sock_sendall(client, head.encode() + b"x\n" * count)
            spooled = await _spooled(registry.data)
            answer = bytearray()
            while chunk := await loop.sock_recv(client, 2**20):
                answer += chunk
    assert spooled > MIB
    assert answer.endswith(b"0\r\n\r\n")
    results = [orjson.loads(line) for line in _unchunked(bytes(answer)).splitlines()]
    assert [result["line"] for result in results] == list(range(1, count + 1))
    assert _open_files(registry.data) == 0


async def _spooled(data: Path) -> int:
    """Return the bytes of the largest unnamed file in the directory, once it has stopped growing."""
    sizes = [0]
    while not sizes[-1] or sizes[-1] != sizes[-2]:
        await asyncio.sleep(0.3)
        sizes.append(_open_files(data))
    return sizes[-1]


def _open_files(data: Path) -> int:
    sizes = [0]
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
            if str(target).startswith(str(data)) and "(deleted)" in str(target):
                sizes.append(descriptor.stat().st_size)
        except FileNotFoundError:
            continue
    return max(sizes)


def _unchunked(answer: bytes) -> bytes:
    _, _, rest = answer.partition(b"\r\n\r\n")
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body += rest[:length]
        rest = rest[length + 2 :]
    return bytes(body)


async def test_recorded_lines_stay_when_the_client_disconnects(registry):
    to_send: asyncio.Queue[bytes] = asyncio.Queue()

    async def body():
        while True:
            yield await to_send.get()

    to_send.put_nowait(lines(registered("a")) + orjson.dumps(registered("half")))
    answer = await registry.post(body(), type_=NDJSON)
    assert orjson.loads(await answer.content.readline())["position"] == 1
    answer.close()
    await asyncio.sleep(0.05)
    assert await registry.head() == 1
    await registry.take(registered("b"))
    gc.collect()
    assert not [task for task in asyncio.all_tasks() if "import" in str(task.get_coro())]
    assert _open_files(registry.data) == 0


async def test_lines_that_cannot_be_stored_are_reported_and_the_import_continues(registry, monkeypatch):
    log = registry.app[WRITER]._log
    real, failures = log.insert_events, [LogUnavailable("disk full")]

    def insert(*group, **effects):
        if failures:
            raise failures.pop()
        return real(*group, **effects)

    monkeypatch.setattr(log, "insert_events", insert)
    to_send: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body():
        while (chunk := await to_send.get()) is not None:
            yield chunk

    to_send.put_nowait(lines(registered("a"), registered("b")))
    answer = await registry.post(body(), type_=NDJSON)
    first = [orjson.loads(await answer.content.readline()) for _ in range(2)]
    to_send.put_nowait(lines(registered("c")))
    to_send.put_nowait(None)
    rest = [orjson.loads(line) async for line in answer.content]
    assert kinds([*first, *rest]) == ["unavailable", "unavailable", "taken"]
    assert rest[0]["position"] == 1


async def test_import_reports_its_last_line_when_the_registry_stops(tmp_path):
    async with running(tmp_path) as registry:
        to_send: asyncio.Queue[bytes] = asyncio.Queue()

        async def body():
            while True:
                yield await to_send.get()

        to_send.put_nowait(lines(registered("a")) + b"\n")
        answer = await registry.post(body(), type_=NDJSON)
        assert orjson.loads(await answer.content.readline())["position"] == 1
        async with asyncio.timeout(5):
            stopping = asyncio.create_task(registry.client.server.close())
            last = orjson.loads(await answer.content.readline())
            answer.close()
            await stopping
        assert (kinds([last]), last["line"]) == (["unavailable"], 2)


async def test_import_of_a_silent_client_ends(registry, monkeypatch):
    monkeypatch.setattr("service.http.bodies.SECONDS", 0.2)

    async def body():
        for slug in "abc":
            await asyncio.sleep(0.1)
            yield lines(registered(slug))
        yield b"{"
        await asyncio.sleep(5)

    answer = await registry.post(body(), type_=NDJSON)
    results = [orjson.loads(line) async for line in answer.content]
    assert kinds(results) == ["taken", "taken", "taken", "request-timeout"]
    assert results[-1]["line"] == 4
    await problem(await registry.post(body(), type_=NDJSON, query="?validate=only"), 408, "request-timeout")


async def test_number_of_concurrent_imports_is_bounded(registry, monkeypatch):
    monkeypatch.setattr("service.http.bodies.MOST_IMPORTS", 1)
    ended = asyncio.Event()

    async def body():
        yield lines(registered("a"))
        await ended.wait()

    answer = await registry.post(body(), type_=NDJSON)
    refused = await registry.post(lines(registered("b")), type_=NDJSON)
    assert "Retry-After" in refused.headers
    await problem(refused, 503, "busy")
    ended.set()
    await answer.read()
    assert kinds(await registry.import_(lines(registered("b")))) == ["taken"]


@asynccontextmanager
async def importing(registry, body, query="", *, buffer=1):
    """Return a client with a started import, and a small receive buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", registry.client.port))
    reader, writer = await asyncio.open_connection(sock=client, limit=1)
    head = f"POST /v1/events{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {registry.key}\r\nConnection: close"
    writer.write(f"{head}\r\nContent-Type: {NDJSON}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("query", ["", "?validate=only"])
async def test_an_import_counts_until_its_results_are_read(registry, monkeypatch, query):
    monkeypatch.setattr("service.http.bodies.MOST_IMPORTS", 1)
    async with importing(registry, b"{}\n" * 9_999, query) as reader, asyncio.timeout(30):
        await reader.read(1)
        await asyncio.sleep(0.5)
        await problem(await registry.post(lines(registered("b")), type_=NDJSON), 503, "busy")
        while await reader.read(2**16):
            pass
        assert kinds(await registry.import_(lines(registered("b")))) == ["taken"]


@pytest.mark.parametrize("query", ["", "?validate=only"])
async def test_an_import_whose_client_reads_nothing_is_ended(registry, monkeypatch, query):
    monkeypatch.setattr(events_import, "READ_SECONDS", 0.5)
    monkeypatch.setattr("service.http.bodies.MOST_IMPORTS", 1)
    body = lines(registered("a")) + b"{}\n" * 9_998
    async with importing(registry, body, query) as reader, asyncio.timeout(30):
        await reader.read(1)
        while (answer := await registry.post(lines(registered("b")), type_=NDJSON)).status == 503:  # noqa: ASYNC110 - the end of an import tells nobody
            await asyncio.sleep(0.05)
        assert answer.status == 200
        received = b""
        while chunk := await reader.read(2**16):
            received = chunk
        assert not received.endswith(b"0\r\n\r\n")
    assert await registry.head() == (1 if query else 2), "what was acknowledged stays"
    assert _open_files(registry.data) == 0


async def test_an_import_whose_client_reads_slowly_goes_on(registry, monkeypatch):
    monkeypatch.setattr(events_import, "READ_SECONDS", 1.0)
    async with importing(registry, b"x\n" * 10_000) as reader, asyncio.timeout(30):
        received = 0
        for _ in range(15):  # twice as long as a client may read nothing
            received += len(await reader.read(8192))
            await asyncio.sleep(0.15)
        while chunk := await reader.read(2**16):
            received += len(chunk)
    assert received > 10_000 * 100


async def test_unread_results_take_bounded_disk_space(registry):
    registry.app[events_import.SPACE].free = 3 * MIB
    count = 60_000
    async with importing(registry, b"x\n" * count, buffer=2**16) as reader, asyncio.timeout(60):
        await reader.read(1)
        assert await _spooled(registry.data) <= 3 * MIB
        answer = bytearray()
        while chunk := await reader.read(2**20):
            answer += chunk
            assert _open_files(registry.data) <= 3 * MIB
    assert answer.endswith(b"0\r\n\r\n")
    found = re.findall(rb'"line":([0-9]+)', _unchunked(b"HTTP\r\n\r\n" + answer[answer.index(b"\r\n\r\n") + 4 :]))
    assert [int(number) for number in found] == list(range(1, count + 1))
    assert registry.app[events_import.SPACE].free == 3 * MIB


async def test_validate_only_with_too_many_results_is_refused(registry, monkeypatch):
    monkeypatch.setattr(events_import, "MAX_TRIAL_RESULTS", 1000)
    await problem(await registry.post(b"x\n" * 50, type_=NDJSON, query="?validate=only"), 413, "too-large")


@pytest.mark.parametrize("query", ["", "?validate=only"])
async def test_a_byte_order_mark_before_any_body_is_ignored(registry, query):
    mark = b"\xef\xbb\xbf"
    for type_, body in (
        (NDJSON, lines(registered("a"), registered("b"))),
        (NDJSON, b"\r\n" + lines(registered("c"))),
        (STRUCTURED, orjson.dumps(registered("d"))),
        (BATCH, orjson.dumps([registered("e")])),
    ):
        answer = await registry.post(mark + body, type_=type_, query=query)
        assert answer.status in (200, 201), await answer.text()
        assert b'"type"' not in await answer.read()
    attributes = {f"ce-{name}": value for name, value in registered("f").items() if name != "data"}
    data = mark + orjson.dumps(registered("f")["data"])
    answer = await registry.post(data, type_="application/json", query=query, **attributes)
    assert answer.status in (200, 201), await answer.text()


async def test_validate_only_import_sees_the_lines_before_and_records_nothing(registry):
    await registry.take(registered("a"))
    body = lines(
        registered("b"),
        renamed("b", "B2"),
        renamed("nobody", "N"),
        b"x",
        registered("a"),
        registered("b"),
        b"",
        registered("b", occurred="2011"),
    )
    results = await registry.import_(body, query="?validate=only")
    assert kinds(results) == [
        "taken",
        "taken",
        "invalid-event",
        "malformed-request",
        "taken",
        "taken",
        "different-content",
    ]
    assert [result.get("position", result.get("line")) for result in results[:6]] == [2, 3, 3, 4, 1, 2]
    assert results[6]["line"] == 8
    assert await registry.head() == 1
    assert (await registry.get("/v1/parties/b")).status == 404


async def test_validate_only_import_has_at_most_ten_thousand_lines(registry):
    results = await registry.import_(b"x\n" * 10_000, query="?validate=only")
    assert len(results) == 10_000
    answer = await registry.post(b"x\n" * 10_000 + b"x", type_=NDJSON, query="?validate=only")
    await problem(answer, 413, "too-large")


@pytest.mark.parametrize("type_", [NDJSON, "application/ndjson", f"{NDJSON}; charset=utf-8"])
async def test_an_import_needs_a_key_that_may_post(registry, type_):
    await problem(await registry.post(lines(registered("a")), type_=type_, key=None), 401, "unauthorized")
    assert await registry.head() == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_the_chunks_received(size):
    text = b"one\n\n  two \r\n" + b"y" * 11 + b"\nthree\n" + b"z" * 40 + b"\nlast"
    cutter = Lines(longest=10)
    found = [line for at in range(0, len(text), size) for line in cutter.feed(text[at : at + size])]
    found += cutter.end()
    assert [(line.number, line.raw) for line in found] == [
        (1, b"one"),
        (3, b"two"),
        (4, None),
        (5, b"three"),
        (6, None),
        (7, b"last"),
    ]
