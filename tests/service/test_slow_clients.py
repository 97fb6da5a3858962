"""Clients that read nothing are cut off after a bounded time."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from service.http import digests, unsent
from tests.service.registry import problem, registered

CSV, NDJSON = "text/csv", "application/x-ndjson"


@pytest.fixture
async def filled(registry):
    data = {"name": "Big", "kind": "company", "note": "N" * 20_000}
    for number in range(4):
        await registry.take([registered(f"p{number}-{each}", data=data) for each in range(100)])
    return registry


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/v1/timeline", CSV),
        ("/v1/timeline", NDJSON),
        ("/v1/timeline?limit=1000", "application/json"),
        ("/v1/events", NDJSON),
        ("/v1/events?limit=1000", "application/json"),
        ("/v1/events/stream?after=0", "text/event-stream"),
        ("/v1/replay?view=timeline", NDJSON),
    ],
)
async def test_client_that_reads_nothing_is_cut_off(filled, monkeypatch, path, accept):
    monkeypatch.setattr(unsent, "SLOW_SECONDS", 0.4)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.connect(("127.0.0.1", filled.client.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
        async with asyncio.timeout(20):
            while not any("cut off" in line["event"] for line in filled.lines()):  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0.05)
    assert (await filled.get("/v1/parties")).status == 200


async def test_memory_of_unread_responses_is_bounded(filled, monkeypatch):
    """Clients that read nothing are cut off first; one that reads slowly gets all of its response."""
    most = 2**24
    monkeypatch.setattr(unsent, "MOST_UNSENT_BYTES", most)
    request = b"GET /v1/events?limit=1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    waiting = filled.client.server.runner.server._unsent
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(6):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", filled.client.port))
            await loop.sock_sendall(client, request)
            clients.append(client)
            await asyncio.sleep(0.3)
            assert waiting._bytes <= most
            await loop.sock_recv(clients[0], 2**16)
        size = 0
        while part := await loop.sock_recv(clients[0], 2**18):
            size += len(part)
            assert waiting._bytes <= most
        assert size > 8_000_000
    await asyncio.sleep(0.1)
    assert not waiting._bytes
    assert sum("cut off" in line["event"] for line in filled.lines()) >= 4


async def test_number_of_concurrent_digests_is_bounded(registry, monkeypatch):
    monkeypatch.setattr(digests, "MOST_DIGESTS", 1)
    begun, let_go = asyncio.Event(), asyncio.Event()
    real = digests._digest

    async def held(*asked):
        begun.set()
        await let_go.wait()
        return await real(*asked)

    monkeypatch.setattr(digests, "_digest", held)
    first = asyncio.create_task(registry.get("/v1/digests?view=parties"))
    await begun.wait()
    refused = await registry.get("/v1/digests?view=parties")
    assert "Retry-After" in refused.headers
    await problem(refused, 503, "busy")
    let_go.set()
    assert (await first).status == 200
    assert (await registry.get("/v1/digests?view=parties")).status == 200
