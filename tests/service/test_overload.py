"""Overload: which posts are accepted, which get 503, and when those may be repeated."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextlib import contextmanager
from itertools import pairwise

import orjson
import pytest

from service import app as serving
from service.app_keys import WRITER
from service.commands import write_queue as queue
from service.http import overload
from service.http.overload import LATEST_SECONDS, LEAST_SECONDS, RECORDED, RetryTimes
from tests.service.registry import NDJSON, STRUCTURED, lines, problem, registered, running


@contextmanager
def crowded(monkeypatch, registry, each: float):
    """Leave no room for a second post, which would take `each` seconds, until the yielded event is set."""
    log, release = registry.app[WRITER]._log, threading.Event()
    real = log.insert_events

    def insert(*group, **effects):
        release.wait(20)
        return real(*group, **effects)

    with monkeypatch.context() as patch:
        patch.setattr(log, "insert_events", insert)
        patch.setattr(queue, "MANY_POSTS", 1)
        registry.app[WRITER]._queue.seconds_per_event = each
        try:
            yield release
        finally:
            release.set()


async def first(registry) -> asyncio.Task:
    """Return a post that is being recorded."""
    post = asyncio.create_task(registry.post(registered("first")))
    await waiting(registry, 1)
    return post


async def waiting(registry, batches: int) -> None:
    """Return once this number of batches is queued."""
    async with asyncio.timeout(10):
        while registry.app[WRITER].queued[0] < batches:  # noqa: ASYNC110 - the queue tells nobody
            await asyncio.sleep(0.005)


class Raw:
    """One connection with arbitrary bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, registry) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", registry.client.server.port))

    def send(self, registry, body: bytes, *, withheld: bool = False) -> None:
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {registry.key}\r\n"
            f"Content-Type: {STRUCTURED}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + (b"" if withheld else body))

    async def answer(self) -> tuple[int, str]:
        """Return status and headers of the next answer."""
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            size = next(int(line.split()[1]) for line in head.splitlines() if line.startswith("Content-Length"))
            await self._reader.readexactly(size)
        return int(head.split()[1]), head

    def close(self) -> None:
        self._writer.close()


async def test_posts_get_503_if_their_wait_would_be_long(registry, monkeypatch):
    with crowded(monkeypatch, registry, each=2.0) as release:
        post = await first(registry)
        answers = [await registry.post(registered(f"p{number}")) for number in range(3)]
        release.set()
        assert (await post).status == 201
    for answer in answers:
        await problem(answer, 503, "overloaded")
    waits = [int(answer.headers["Retry-After"]) for answer in answers]
    assert waits == sorted(waits)
    assert waits[0] >= 1
    assert (await registry.post(registered("p0"))).status == 201


async def test_many_posts_are_accepted_if_their_wait_is_short(registry, monkeypatch):
    with crowded(monkeypatch, registry, each=0.001) as release:
        posts = [asyncio.create_task(registry.post(registered(f"p{number}"))) for number in range(20)]
        await first(registry)
        release.set()
        assert {(await post).status for post in posts} == {201}


async def test_short_queue_accepts_longer_waits_up_to_a_limit(registry, monkeypatch):
    with crowded(monkeypatch, registry, each=0.4) as release:
        monkeypatch.setattr(queue, "MANY_POSTS", 100)
        post = await first(registry)
        batch = asyncio.create_task(registry.post([registered(f"p{number}") for number in range(20)]))
        await waiting(registry, 2)
        await problem(await registry.post(registered("late")), 503, "overloaded")
        release.set()
        assert (await post).status == (await batch).status == 201


async def test_after_a_stall_no_post_is_refused(registry, monkeypatch):
    registry.app[WRITER]._queue.seconds_per_event = 10.0  # as after a group that waited for the disk
    for number in range(20):
        await registry.take(registered(f"one-{number}"))
    with crowded(monkeypatch, registry, each=registry.app[WRITER].seconds_per_event) as release:
        monkeypatch.setattr(queue, "MANY_POSTS", 100)
        post = await first(registry)
        others = [asyncio.create_task(registry.post(registered(f"p{number}"))) for number in range(4)]
        await waiting(registry, 5)
        release.set()
        assert {answer.status for answer in await asyncio.gather(post, *others)} == {201}


async def test_refused_client_need_not_send_its_body(registry, monkeypatch):
    with crowded(monkeypatch, registry, each=2.0) as release:
        post = await first(registry)
        raw = await Raw.to(registry)
        raw.send(registry, b"x" * 10_000, withheld=True)
        status, head = await raw.answer()
        release.set()
        await post
        raw.close()
    assert status == 503
    assert "Retry-After" in head


async def test_early_retry_waits_until_retry_after_and_is_accepted(registry, monkeypatch):
    monkeypatch.setattr(overload, "RECORDED", 0.1)
    with crowded(monkeypatch, registry, each=2.0) as release:
        post = await first(registry)
        raw, body = await Raw.to(registry), orjson.dumps(registered("early"))
        raw.send(registry, body)  # may come again at once, as nobody was turned away before
        assert (await raw.answer())[0] == 503
        raw.send(registry, body)  # may come again after 0.2 s
        assert (await raw.answer())[0] == 503
        raw.send(registry, body)
        await asyncio.sleep(0.02)
        release.set()
        assert (await raw.answer())[0] == 201
        assert (await post).status == 201
        raw.close()


async def test_queries_and_imports_are_answered_while_posts_are_refused(registry, monkeypatch):
    await registry.take(registered("known"))
    with crowded(monkeypatch, registry, each=2.0) as release:
        post = await first(registry)
        importing = asyncio.create_task(registry.post(lines(registered("imported")), type_=NDJSON))
        assert (await registry.get("/v1/parties/known")).status == 200
        assert (await registry.post(registered("x"))).status == 503
        release.set()
        assert b'"leaf"' in await (await importing).read()
        assert (await post).status == 201


def test_retry_times_are_spread_below_the_recording_rate():
    returns = RetryTimes()
    times = [returns.after(100.0, 0.01) for _ in range(50)]
    assert times[0] == 100.0
    assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx([RECORDED * 0.01] * 49)
    assert returns.after(200.0, 0.01) == 200.0  # what was long ago holds up nobody


def test_retry_after_is_short_and_spread():
    returns = RetryTimes()
    assert max(returns.after(5.0, 60.0) for _ in range(100)) == 5.0 + LATEST_SECONDS
    unknown = RetryTimes()
    assert [unknown.after(5.0, 0.0) for _ in range(3)] == pytest.approx(
        [5.0, 5.0 + LEAST_SECONDS, 5.0 + 2 * LEAST_SECONDS]
    )


async def test_request_with_endless_headers_is_cut_off(monkeypatch, tmp_path):
    monkeypatch.setitem(serving._HTTP, "keepalive_timeout", 0.1)
    async with running(tmp_path) as registry:
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.client.server.port)
        writer.write(b"GET /v1/parties HTTP/1.1\r\nHost:")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(("hard", "files", "most"), [(4096, 2816, 2048), (1024, 1024, 256)])
def test_connection_limit_leaves_file_descriptors_for_the_server(hard, files, most):
    script = (
        "import resource; from service.server import _allow_connections\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
        "most = _allow_connections(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], most)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == [str(files), str(most)]
