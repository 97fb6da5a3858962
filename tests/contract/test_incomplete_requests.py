"""Incomplete request bodies: their memory is bounded, and freed when the connection closes."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.server import CLOUDEVENT, NDJSON, Server, event, served

KIB, MIB = 2**10, 2**20
SENT = 450 * KIB
WHOLE = f"Content-Length: {2 * SENT}\r\n\r\n"
CHUNKED = f"Transfer-Encoding: chunked\r\n\r\n{SENT:x}\r\n"


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as running:
        yield running


def resident(server: Server) -> int:
    """Return the bytes of memory that the server uses."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * KIB


def begun(server: Server, type_: str, length: str) -> socket.socket:
    """Return a connection with an incomplete post."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(
        f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: {type_}\r\n{length}".encode()
    )
    return connection


def send(connection: socket.socket, body: bytes) -> None:
    """Send bytes; the server may have closed the connection meanwhile."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(body)


def first_answered(connections: list[socket.socket]) -> socket.socket:
    """Return a connection on which an answer has arrived."""
    with selectors.DefaultSelector() as answers:
        for connection in connections:
            answers.register(connection, selectors.EVENT_READ, connection)
        return answers.select(timeout=30)[0][0].data


@pytest.mark.parametrize(
    ("type_", "length", "sent"),
    [
        (CLOUDEVENT, WHOLE, b"x" * SENT),
        (NDJSON, WHOLE, b"x" * SENT),
        (CLOUDEVENT, CHUNKED, b"x" * SENT + b"\r\nno length\r\n"),
        (CLOUDEVENT, "Transfer-Encoding: chunked\r\n\r\nno length", b"x" * SENT),
    ],
    ids=["an event", "an import", "a chunk without its length", "no HTTP"],
)
def test_interrupted_uploads_free_their_memory(server, type_, length, sent):
    before = resident(server)
    for _ in range(25):
        connections = [begun(server, type_, length) for _ in range(20)]
        for connection in connections:
            send(connection, sent)
        server.head()
        for connection in connections:
            connection.close()
    server.head()
    assert resident(server) - before < 80 * MIB  # all that was sent is 225 MB


def test_concurrent_bodies_take_bounded_memory_and_small_ones_still_pass(server):
    before = resident(server)
    with contextlib.ExitStack() as open_ones:
        connections = [open_ones.enter_context(begun(server, CLOUDEVENT, WHOLE)) for _ in range(800)]
        for connection in connections:
            send(connection, b"x" * SENT)
        # The bodies arrive in turns, so which of them are refused is open.
        answer = first_answered(connections).recv(KIB)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in answer
        assert resident(server) - before < 240 * MIB  # all that was sent is 350 MB
        (party,) = server.whole([event("party.registered", "parties/small", name="Small", kind="company")])
        small = json.dumps(party).encode()
        slow = open_ones.enter_context(begun(server, CLOUDEVENT, f"Content-Length: {len(small)}\r\n\r\n"))
        server.head()
        slow.sendall(small)
        assert slow.recv(KIB).startswith(b"HTTP/1.1 201 ")
    server.head()
    assert server.send(b"x" * 2 * SENT).status_code == 400  # there is room again, and it is read
