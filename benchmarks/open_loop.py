"""Load in an open loop: requests leave on a schedule, whether or not answers have come, and the time of each counts
from the instant at which it was due. So a pause of the server shows in all requests that were due in it (no coordinated
omission)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from selectors import SelectSelector
from time import perf_counter, process_time

from benchmarks.closed_loop import GRACE_SECONDS, Times, times_of
from benchmarks.connection import HOST, Connection
from benchmarks.requests import Requests

PRECISE = 500
"""The number of connections up to which `select` is used: its sleep is exact to microseconds, that of `epoll` is
not."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Requests a second for some seconds, over connections that are opened before."""

    port: int
    rate: float
    seconds: float
    requests: Requests
    connections: int = 256
    warm: float = 0.2
    holds_back: bool = False
    """Whether a request is dropped if no connection is free; else it leaves late, and its lateness counts."""
    endures: bool = False
    """Whether connections that the server closes are opened again, until it accepts none any more."""
    kills: int | None = None
    """The process that is killed (SIGKILL) after half of the time."""


@dataclass(frozen=True, slots=True)
class PacedResult:
    """The result: times by status, from the instant each request was due. `busy` is the load's share of a core."""

    seconds: float
    due: int
    """Requests that were due in the time that counts."""
    held_back: int
    broken: int
    """Requests without an answer, as the connection was closed."""
    times: Mapping[int, Times]
    in_time: Mapping[int, int]
    """Answers by status that came in the time that counts, whenever they were due."""
    busy: float
    acknowledged: tuple[int, ...]
    """Requests, counted from 0, that were answered 201; also before and after the time that counts."""
    requests: int
    unhinted: int
    """503 answers without `Retry-After`."""


Receive = Callable[[int, bytes], None]
"""Receives each answer: its status, and its first bytes."""


def run(schedule: Schedule) -> PacedResult:
    """Run a schedule in this process. Raises ConnectionError if a connection is lost, unless the schedule endures
    it."""
    with asyncio.Runner(loop_factory=lambda: loop_for(schedule.connections)) as runner:
        return runner.run(keep_to(schedule))


def loop_for(connections: int) -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers are as exact as so many connections allow."""
    return asyncio.SelectorEventLoop(SelectSelector()) if connections <= PRECISE else asyncio.SelectorEventLoop()


async def keep_to(schedule: Schedule, receive: Receive | None = None) -> PacedResult:
    """Run a schedule in a running loop."""
    pace = _Pace(schedule, receive)
    try:
        await pace.open()
        pace.start()
        async with asyncio.timeout(schedule.warm + schedule.seconds + GRACE_SECONDS):
            await pace.ended
    finally:
        pace.close()
    return pace.paced()


class _Pace:
    """The state of a running schedule, and its results."""

    def __init__(self, schedule: Schedule, receive: Receive | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._schedule = schedule
        self._hears = receive
        self._requests = iter(schedule.requests)
        self._connections: set[Connection] = set()
        self._free: list[Connection] = []
        self._late: deque[tuple[float, int, bytes]] = deque()
        self._reopening: set[asyncio.Task[None]] = set()
        self._times: dict[int, list[float]] = {}
        self._in_time: Counter[int] = Counter()
        self._acknowledged: list[int] = []
        self._number = self._due = self._held_back = self._broken = self._waiting = self._unhinted = 0
        self._first = self._next = self._counts_from = self._until = self._began = self._cpu = 0.0
        self._sent, self._warm = 0, round(schedule.warm * schedule.rate)
        self._all = self._warm + round(schedule.seconds * schedule.rate)

    async def open(self) -> None:
        for _ in range(self._schedule.connections):
            await self._connect()

    async def _connect(self) -> None:
        _, connection = await self._loop.create_connection(lambda: Connection(self), HOST, self._schedule.port)
        if connection.is_closed:
            raise ConnectionResetError("the server closed a connection at once")
        self._connections.add(connection)
        self._free.append(connection)

    def start(self) -> None:
        self._began, self._cpu = perf_counter(), process_time()
        self._first = self._next = self._loop.time()
        self._counts_from = self._next + self._schedule.warm
        self._until = self._counts_from + self._schedule.seconds
        if self._schedule.kills is not None:
            half = self._counts_from + self._schedule.seconds / 2
            self._loop.call_at(half, os.kill, self._schedule.kills, signal.SIGKILL)
        self._tick()

    def close(self) -> None:
        for task in self._reopening:
            task.cancel()
        for connection in self._connections:
            connection.close()

    def _tick(self) -> None:
        """Send the requests that are due, and schedule the next call."""
        now = self._loop.time()
        while self._next <= now and self._sent < self._all and not self.ended.done():
            self._send(self._next)
            self._sent += 1
            self._next = self._first + self._sent / self._schedule.rate
        if self._sent < self._all and not self.ended.done():
            self._loop.call_at(self._next, self._tick)
        else:
            self._end_if_over()

    def _send(self, due: float) -> None:
        counts = self._sent >= self._warm
        self._due += counts
        if not self._free and self._schedule.holds_back:
            self._held_back += counts
            return
        request = next(self._requests)
        number, self._number = self._number, self._number + 1
        self._waiting += 1
        if self._free:
            self._ask(self._free.pop(), due, number, request)
        else:
            self._late.append((due, number, request))

    def _ask(self, connection: Connection, due: float, number: int, request: bytes) -> None:
        connection.number = number
        connection.ask(request, due)

    def answered(self, connection: Connection, status: int, opening: bytes) -> None:
        now = self._loop.time()
        if connection.since >= self._counts_from:
            if status not in self._times:
                self._times[status] = []
            self._times[status].append(now - connection.since)
        if self._counts_from < now <= self._until:
            self._in_time[status] += 1
        if status == 201:
            self._acknowledged.append(connection.number)
        elif status == 503 and b"Retry-After: " not in opening:
            self._unhinted += 1
        if self._hears is not None:
            self._hears(status, opening)
        self._waiting -= 1
        if self._late:
            self._ask(connection, *self._late.popleft())
        else:
            self._free.append(connection)
        self._end_if_over()

    def lost(self, connection: Connection, error: Exception | None) -> None:
        if connection not in self._connections:
            return  # the code that opens it reports that
        if not self._schedule.endures:
            self._end(error or ConnectionResetError("the server closed a connection"))
            return
        self._connections.discard(connection)
        if connection.is_waiting:
            self._waiting -= 1
            self._broken += 1
        else:
            self._free.remove(connection)
        task = asyncio.ensure_future(self._reopen())
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)
        self._end_if_over()

    async def _reopen(self) -> None:
        try:
            await self._connect()
        except OSError:  # the process has ended
            self._end(None)

    def _end_if_over(self) -> None:
        if not self._waiting and self._sent == self._all:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def paced(self) -> PacedResult:
        return PacedResult(
            seconds=min(self._loop.time(), self._until) - self._counts_from,
            due=self._due,
            held_back=self._held_back,
            broken=self._broken,
            times={status: times_of(figures) for status, figures in self._times.items()},
            in_time=dict(self._in_time),
            busy=(process_time() - self._cpu) / (perf_counter() - self._began),
            acknowledged=tuple(self._acknowledged),
            requests=self._number,
            unhinted=self._unhinted,
        )
