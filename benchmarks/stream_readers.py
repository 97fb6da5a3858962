"""Readers of the live stream, and posts: many connections that each receive every event, in the same process and with
the same clock that also receive the receipt of each post."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter, process_time

from benchmarks.closed_loop import Times, times_of
from benchmarks.connection import HOST
from benchmarks.open_loop import PacedResult, Schedule, keep_to, loop_for

WAIT_SECONDS = 20.0
"""The time limit for the last events."""
_POSITION = re.compile(rb'"position":(\d+)')
_ID = re.compile(rb"id: (\d+)\n")
_REQUEST = f"GET /v1/events/stream HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Reading:
    """Readers, while posts are sent on a schedule."""

    readers: int
    posts: Schedule


@dataclass(frozen=True, slots=True)
class Read:
    """The result: the time from the receipt of each event to each reader, and the number of lost events."""

    posted: PacedResult
    delays: Times
    lost: int
    doubled: int
    """Events that reached a reader twice, or out of order."""
    busy: float
    """The share of a core that this process used."""


def run(reading: Reading) -> Read:
    """Read in this process. Raises TimeoutError if the stream stops before all events have come."""
    with asyncio.Runner(loop_factory=lambda: loop_for(reading.readers + reading.posts.connections)) as runner:
        return runner.run(_run(reading))


async def _run(reading: Reading) -> Read:
    loop = asyncio.get_running_loop()
    acknowledged: dict[int, float] = {}

    def receive(status: int, opening: bytes) -> None:
        if status == 201 and (found := _POSITION.search(opening)):
            acknowledged[int(found[1])] = monotonic()

    readers = [(await loop.create_connection(_Reader, HOST, reading.posts.port))[1] for _ in range(reading.readers)]
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for reader in readers:
                await reader.began
        began, cpu = perf_counter(), process_time()
        posted = await keep_to(reading.posts, receive)
        last = max(acknowledged)
        deadline = monotonic() + WAIT_SECONDS
        while any(not reader.positions or reader.positions[-1] < last for reader in readers):
            if monotonic() > deadline:
                break  # missing events count as lost
            await asyncio.sleep(0.01)
        busy = (process_time() - cpu) / (perf_counter() - began)
    finally:
        for reader in readers:
            reader.close()
    return _read(posted, acknowledged, readers, busy)


class _Reader(asyncio.Protocol):
    """Notes when each event was received completely."""

    def __init__(self) -> None:
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.positions = array("q")
        self.times = array("d")
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.began.done():
            self.began.set_result(None)
        now = monotonic()
        whole, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        if end:
            for position in _ID.findall(whole):
                self.positions.append(int(position))
                self.times.append(now)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _read(posted: PacedResult, acknowledged: dict[int, float], readers: Sequence[_Reader], busy: float) -> Read:
    delays: list[float] = []
    lost = doubled = 0
    for reader in readers:
        lost += len(acknowledged.keys() - set(reader.positions))
        doubled += sum(after <= before for before, after in zip(reader.positions, reader.positions[1:], strict=False))
        delays += [
            max(0.0, time - acknowledged[position])  # an event before its receipt counts as 0
            for position, time in zip(reader.positions, reader.times, strict=True)
            if position in acknowledged
        ]
    return Read(posted, times_of(delays), lost, doubled, busy)
