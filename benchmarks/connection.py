"""One connection of the load: it sends a request, waits for the answer, and reports it. It reads as little of HTTP/1.1
as possible (a status, a Content-Length, no chunks), so that most of the load's core stays idle."""

from __future__ import annotations

import asyncio
from typing import Protocol

HOST = "127.0.0.1"


class Listener(Protocol):
    """The receiver of a connection's reports."""

    def answered(self, connection: Connection, status: int, opening: bytes) -> None:
        """Receive a complete answer; `opening` is its first bytes, which are all of a short answer."""

    def lost(self, connection: Connection, error: Exception | None) -> None:
        """The server closed the connection, or the connection failed."""


class Connection(asyncio.Protocol):
    """Sends one request at a time. `number` and `since` identify the request for the caller."""

    def __init__(self, listener: Listener) -> None:
        self.number = 0
        self.since = 0.0
        self.is_waiting = False
        self._listener = listener
        self._transport: asyncio.WriteTransport | None = None
        self._opening = b""  # of an answer
        self._missing = 0  # bytes of an answer whose length is known
        self._status = 0
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._listener.lost(self, exc)

    def close(self) -> None:
        """Close the connection, without a report."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.close()

    def ask(self, request: bytes, since: float) -> None:
        """Send a request; its answer is reported."""
        assert self._transport is not None
        self.since = since
        self.is_waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._opening = data = self._opening + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            at = data.find(b"Content-Length: ", 0, end) + 16
            if at < 16:
                raise ConnectionError(f"an answer does not tell its length: {data[:end]!r}")
            self._missing = int(data[at : data.find(b"\r", at)]) + end + 4 - len(data)
            self._status = int(data[9:12])
        if self._missing == 0:
            opening, self._opening = self._opening, b""
            self.is_waiting = False
            self._listener.answered(self, self._status, opening)
