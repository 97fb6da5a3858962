"""GET /v1/events/stream: every event once and in order, over any number of reconnections."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
import pytest

from service import feed
from service.app_keys import HEAD, LIVE, LOGS, METRICS
from service.commands import writer as writing
from service.event_log import LogUnavailable
from service.http import stream, unsent
from tests.service.registry import problem, registered, renamed, running

SECONDS = 10


class Reader:
    """A client of the stream that behaves as browsers do."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.comments = 0
        self.retry: str | None = None

    async def event(self) -> dict:
        """Return the next event; its id must be its position."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while True:
                line = (await self.answer.content.readline()).decode()
                assert line, "the stream ended"
                name, colon, value = line.rstrip("\n").partition(":")
                if name and colon:
                    fields[name] = value.removeprefix(" ")
                elif colon:
                    self.comments += 1
                elif "data" in fields:
                    event = orjson.loads(fields["data"])
                    assert set(fields) == {"id", "data"}
                    assert fields["id"] == str(event["position"])
                    return event
                else:
                    self.retry = fields.get("retry", self.retry)
                    fields = {}

    async def positions(self, count: int) -> list[int]:
        return [(await self.event())["position"] for _ in range(count)]


async def reading(registry, query: str = "", **headers: str) -> Reader:
    answer = await registry.get(f"/v1/events/stream{query}", **headers)
    assert answer.status == 200, await answer.text()
    assert answer.content_type == "text/event-stream"
    return Reader(answer)


async def test_stream_starts_at_the_head_by_default(registry):
    await registry.take([registered("a"), registered("b")])
    reader = await reading(registry)
    await registry.take(registered("c"))
    event = await reader.event()
    assert event == await registry.json("/v1/events/3")
    assert reader.retry is not None


async def test_the_stream_resumes_after_the_last_event(registry):
    await registry.take([registered(f"p{number}") for number in range(1000)])
    whole = await reading(registry, "?after=0")
    resumed = await reading(registry, "?after=0", Last_Event_ID="990")
    assert await resumed.positions(10) == list(range(991, 1001))
    await registry.take(registered("a"))
    assert await whole.positions(1001) == list(range(1, 1002))
    assert await resumed.positions(1) == [1001]


@pytest.mark.parametrize("kept", [feed.MAX_FRAMES, 40, 3])
async def test_stream_loses_and_repeats_nothing_while_many_post(registry, monkeypatch, kept):
    monkeypatch.setattr(feed, "MAX_FRAMES", kept)
    monkeypatch.setattr(feed, "BATCH", 16)
    monkeypatch.setattr(stream, "BATCH", 16)
    total = 600

    async def post(number: int) -> None:
        for turn in range(15):
            batch = [registered(f"p-{number}-{turn}-{each}") for each in range(turn % 3 or 1)]
            await registry.take(batch)

    async def read(number: int) -> list[int]:
        seen = [0]
        while seen[-1] < total:
            reader = await reading(registry, "?after=0", **({"Last_Event_ID": str(seen[-1])} if seen[1:] else {}))
            for _ in range(number * 37 + 11):
                seen.append((await reader.event())["position"])
                if seen[-1] == total:
                    break
            reader.answer.close()
        return seen[1:]

    readers = [asyncio.create_task(read(number)) for number in range(6)]
    await asyncio.gather(*(post(number) for number in range(30)))
    assert await registry.head() == total
    for seen in await asyncio.gather(*readers):
        assert seen == list(range(1, total + 1))


async def test_stream_filters_apply_to_live_and_past_events(registry):
    query = "?subject=parties/a&type=party.renamed&type=party.name-added"
    live_reader = await reading(registry, query)
    await registry.take([registered("a"), registered("b")])
    for number in range(20):
        await registry.take([renamed("a", f"N{number}"), renamed("b", f"N{number}")])
    expected = list(range(3, 43, 2))
    assert await live_reader.positions(20) == expected
    log_reader = await reading(registry, f"{query}&after=0")
    assert await log_reader.positions(20) == expected
    await registry.take(renamed("a", "Last", source="https://example.org/else"))
    by_source = await reading(registry, "?source=https://example.org/else&after=0")
    assert await by_source.positions(1) == await live_reader.positions(1) == await log_reader.positions(1) == [43]


async def test_quiet_stream_sends_comments(registry, monkeypatch):
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    reader = await reading(registry, "?subject=parties/b")
    deadline = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < deadline:
        await registry.take(registered(f"p{deadline}-{asyncio.get_running_loop().time()}".replace(".", "-")))
    await asyncio.sleep(0.2)
    await registry.take(registered("b"))
    assert (await reader.event())["subject"] == "parties/b"
    assert reader.comments >= 3


async def test_reader_that_reads_nothing_is_cut_off(registry, monkeypatch):
    monkeypatch.setattr(unsent, "SLOW_SECONDS", 0.2)
    note = {"name": "Big", "kind": "company", "note": "N" * 20_000}
    reader = await reading(registry)
    assert registry.app[METRICS].registry.get_sample_value("registry_streams") == 1
    async with asyncio.timeout(30):
        number = 0
        while registry.app[METRICS].registry.get_sample_value("registry_streams") == 1:
            await registry.take([registered(f"p{number}-{each}", data=note) for each in range(100)])
            number += 1
    with pytest.raises((aiohttp.ClientError, AssertionError)):
        await reader.positions(100 * number)


async def test_streams_end_when_the_registry_stops(tmp_path):
    async with running(tmp_path) as registry:
        readers = [await reading(registry) for _ in range(3)]
        async with asyncio.timeout(5):
            stopping = asyncio.create_task(registry.client.server.close())
            for reader in readers:
                assert (await reader.answer.content.read()).startswith(b"retry:")
            await stopping


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "99999999999999999999"])
async def test_invalid_last_event_id_is_malformed(registry, header):
    await problem(await registry.get("/v1/events/stream", Last_Event_ID=header), 400, "malformed-request")


async def test_position_that_is_not_reached_in_time_is_reported(registry, monkeypatch):
    monkeypatch.setattr(stream, "WAIT_SECONDS", 0.05)
    answer = await registry.get("/v1/events/stream", Last_Event_ID="5")
    await problem(answer, 503, "position-ahead")
    assert answer.headers["Retry-After"] == "1"


async def test_many_readers_share_one_encoding(registry):
    readers = [await reading(registry) for _ in range(50)]
    await registry.take([registered(f"p{number}") for number in range(20)])
    for seen in await asyncio.gather(*(reader.positions(20) for reader in readers)):
        assert seen == list(range(1, 21))
    assert len(registry.app[LIVE]._joined) == 1


async def test_readers_get_comments_while_nothing_is_recorded(registry, monkeypatch):
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.02)
    reader = await reading(registry)
    waiting = asyncio.create_task(reader.event())
    async with asyncio.timeout(SECONDS):
        while reader.comments < 3:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
    await registry.take(registered("a"))
    assert (await waiting)["subject"] == "parties/a"


async def test_stream_readers_cause_no_commit_and_streamed_events_are_visible(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    reader = await reading(registry)
    await registry.take(registered("first"))
    for name in ("a", "b"):
        await registry.take(registered(name))
    assert await reader.positions(3) == [1, 2, 3]
    assert registry.app[HEAD].position < 3
    assert (await registry.get("/v1/parties/b")).status == 200
    resumed = await reading(registry, Last_Event_ID="1")
    assert await resumed.positions(2) == [2, 3]


async def test_blocked_reader_delays_no_other(registry):
    note = {"name": "Big", "kind": "company", "note": "N" * 20_000}
    held, reader = await reading(registry), await reading(registry)
    for number in range(20):  # more than both ends keep of what nobody takes
        await registry.take([registered(f"p{number}-{each}", data=note) for each in range(100)])
        assert await reader.positions(100) == list(range(number * 100 + 1, number * 100 + 101))
    assert await held.positions(2000) == list(range(1, 2001))


async def test_closed_reader_is_detected_at_the_next_event(registry):
    reader = await reading(registry)
    reader.answer.close()
    async with asyncio.timeout(SECONDS):
        while registry.app[METRICS].registry.get_sample_value("registry_streams"):
            await registry.take(registered(f"p{asyncio.get_running_loop().time()}".replace(".", "-")))


async def test_reader_that_returns_after_a_read_error_gets_events_immediately(registry, monkeypatch):
    log = registry.app[LOGS].here
    read, failures = log.select_notifications, [LogUnavailable("disk I/O error")]

    def failing(*asked):
        if failures:
            raise failures.pop()
        return read(*asked)

    first = await reading(registry)
    monkeypatch.setattr(log, "select_notifications", failing)
    await registry.take(registered("a"))
    with pytest.raises((AssertionError, aiohttp.ClientError)):
        await first.event()
    again = await reading(registry, Last_Event_ID="0")
    assert await again.positions(1) == [1]
    await registry.take(registered("b"))
    assert await again.positions(1) == [2]


async def test_feed_memory_is_bounded_at_any_time(registry, monkeypatch):
    monkeypatch.setattr(feed, "MAX_BYTES", 10_000)
    monkeypatch.setattr(feed, "BATCH", 10)
    await registry.take(
        [registered(f"p{number}", data={"name": "N" * 900, "kind": "company"}) for number in range(100)]
    )
    log, kept = registry.app[LOGS].here, []
    read = log.select_notifications

    def watched(*asked):
        kept.append(registry.app[LIVE]._bytes)
        return read(*asked)

    monkeypatch.setattr(log, "select_notifications", watched)
    reader = await reading(registry, "?after=0")
    assert await reader.positions(100) == list(range(1, 101))
    assert max(kept) <= 10_000
