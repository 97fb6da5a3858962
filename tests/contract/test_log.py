"""Section 6: reading events as a list, one by one, and as a live stream."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import aiohttp
import pytest

from tests.contract.server import Server, event, is_problem


@pytest.fixture(scope="module")
def written(shared):
    """Record events of one source; return their positions."""
    source = f"https://x.example/{shared.new()}"
    party = f"parties/{shared.new('p')}"
    positions = shared.take(
        *(
            {**given, "source": source}
            for given in [
                event("party.registered", party, name="X", kind="company"),
                *(event("party.name-added", party, name=f"N{index}") for index in range(20)),
            ]
        )
    )
    return source, party, positions


def test_the_log_in_order(shared, written):
    items = shared.items("/v1/events")
    assert [item["position"] for item in items] == list(range(1, shared.head() + 1))
    page = shared.json("/v1/events", limit=3)
    assert page["position"] == shared.head()
    for item in items[-5:]:
        assert set(item) >= {
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "data",
            "position",
            "version",
            "recorded",
            "actor",
            "entry",
            "salt",
        }
        assert shared.json(f"/v1/events/{item['position']}") == item


def test_the_log_is_filtered(shared, written):
    source, party, positions = written
    asked = lambda **query: [item["position"] for item in shared.items("/v1/events", **query)]  # noqa: E731
    assert asked(source=source) == positions
    assert asked(subject=party) == positions
    assert asked(subject=party, type="party.name-added") == positions[1:]
    assert asked(source=source, after=positions[4]) == positions[5:]
    assert asked(source=source, until=positions[4]) == positions[:5]
    assert asked(source=source, after=positions[2], until=positions[4]) == positions[3:5]
    assert [
        item["position"] for page in shared.pages("/v1/events", source=source, limit=4) for item in page["items"]
    ] == positions
    assert asked(source="https://nobody.example") == []
    assert asked(subject="parties/never-made") == []
    assert asked(after=shared.head()) == []


def test_the_log_streamed_whole_as_ndjson(shared, written):
    answer = shared.get("/v1/events", headers={"Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == shared.items("/v1/events")


def test_page_of_the_log_ends_at_its_head(shared, written):
    """At `until`, or at the head: a next page follows while there are more events."""
    head = shared.head()
    page = shared.json("/v1/events", after=head - 3, limit=3)
    assert [item["position"] for item in page["items"]] == [head - 2, head - 1, head]
    if page["next"]:
        assert shared.json(page["next"])["items"] == []


# The stream


async def frames(answer: aiohttp.ClientResponse):
    """Yield Server-Sent Events as their fields; comments as {'': text}."""
    fields: dict[str, str] = {}
    async for raw in answer.content:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        fields[name] = f"{fields[name]}\n{value}" if name in fields else value


async def take(stream, count: int, seconds: float = 20):
    """Return the next events of a stream, without comments."""
    found = []

    async def read():
        async for frame in stream:
            if "data" in frame:
                found.append(frame)
                if len(found) == count:
                    return

    await asyncio.wait_for(read(), seconds)
    return found


def connect(session: aiohttp.ClientSession, last: int | None = None, **query):
    headers = {"Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    return session.get(
        "/v1/events/stream", params=query, headers=headers, timeout=aiohttp.ClientTimeout(total=None, sock_read=60)
    )


async def test_a_stream_resumes_after_the_last_event_seen(shared, written):
    _source, _party, positions = written
    async with aiohttp.ClientSession(shared.address) as session, connect(session, positions[3]) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].split(";")[0] == "text/event-stream"
        found = await take(frames(answer), 10)
    assert [int(frame["id"]) for frame in found] == list(range(positions[3] + 1, positions[3] + 11))
    first = json.loads(found[0]["data"])
    assert first == await asyncio.to_thread(shared.json, f"/v1/events/{positions[4]}")


async def test_a_stream_is_live_and_filtered(shared, written):
    source = f"https://x.example/{shared.new()}"
    async with (
        aiohttp.ClientSession(shared.address) as session,
        connect(session, source=source, type="party.registered") as answer,
    ):
        stream = frames(answer)
        reading = asyncio.create_task(take(stream, 2))
        await asyncio.sleep(0.3)
        given = [
            {**event("party.registered", f"parties/{shared.new('p')}", name="X", kind="company"), "source": source}
            for _ in range(2)
        ]
        other = {**event("party.name-added", given[0]["subject"], name="N"), "source": source}
        await asyncio.to_thread(shared.party)
        await asyncio.to_thread(shared.take, given[0], other)
        await asyncio.to_thread(shared.take, given[1])
        found = [json.loads(frame["data"]) for frame in await reading]
    assert [item["subject"] for item in found] == [each["subject"] for each in given]


async def test_stream_loses_and_repeats_nothing_over_reconnections(server):
    """Posting goes on; the reader disconnects at any moment and returns with the last id it got."""
    total = 1500
    party = server.party()

    def post() -> None:
        for start in range(0, total, 50):
            server.imported([event("party.name-added", party, name=f"N{index}") for index in range(start, start + 50)])
            time.sleep(0.01)

    posting = threading.Thread(target=post)
    posting.start()
    seen: list[int] = []
    last = 1
    async with aiohttp.ClientSession(server.address) as session:
        while len(seen) < total:
            async with connect(session, last) as answer:
                for frame in await take(frames(answer), min(97, total - len(seen))):
                    last = int(frame["id"])
                    seen.append(last)
    await asyncio.to_thread(posting.join)
    assert seen == list(range(2, total + 2))


async def test_many_readers_get_the_same_events(shared):
    after = shared.head()
    async with aiohttp.ClientSession(shared.address, connector=aiohttp.TCPConnector(limit=0)) as session:
        answers = [await connect(session, after) for _ in range(30)]
        reading = [asyncio.create_task(take(frames(answer), 40)) for answer in answers]
        await asyncio.to_thread(lambda: [shared.parties(10) for _ in range(4)])
        got = [[frame["id"] for frame in await each] for each in reading]
        for answer in answers:
            answer.close()
    assert all(each == [str(position) for position in range(after + 1, after + 41)] for each in got)


async def test_quiet_stream_sends_comments(shared):
    """A comment or anything else within half a minute."""
    async with (
        aiohttp.ClientSession(shared.address) as session,
        connect(session, source="https://nobody.example") as answer,
    ):
        line = await asyncio.wait_for(answer.content.readline(), 35)
        assert line


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 40])
def test_a_wrong_last_event_id_is_refused(shared, last):
    with shared.client.stream("GET", "/v1/events/stream", headers={"Last-Event-ID": last}) as answer:
        answer.read() if answer.status_code != 200 else None
        is_problem(answer, 400, 422)


def test_a_wrong_filter_of_a_stream_is_refused(shared):
    for query in ({"type": "nonsense"}, {"nonsense": "1"}, {"subject": "x"}):
        with shared.client.stream("GET", "/v1/events/stream", params=query) as answer:
            answer.read() if answer.status_code != 200 else None
            is_problem(answer, 400, 422)


def memory_of(server: Server) -> int:
    """Resident bytes of the server."""
    with open(f"/proc/{server.process.pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def test_reader_that_does_not_read_is_dropped_and_takes_no_memory(server):
    party = server.party()
    sleepers = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n")
        sleepers.append(connection)
    try:
        server.imported([event("party.name-added", party, name=f"N{index}", note="x" * 4000) for index in range(500)])
        before = memory_of(server)
        for _ in range(8):
            server.imported(
                [event("party.name-added", party, name=f"N{index}", note="x" * 4000) for index in range(500)]
            )
        assert memory_of(server) - before < 100 << 20, "16 MB times 20 readers would be 320"
        assert server.get("/healthz").status_code == 200
    finally:
        for connection in sleepers:
            connection.close()
