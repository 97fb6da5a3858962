"""The load in a closed loop: a client that keeps connections open and asks one thing at a time on each, as fast as it
is answered. What a server can do shows in it; how long it lets one wait, in an open loop (`benchmarks.openloop`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

from benchmarks.requests import Requests
from benchmarks.wire import HOST, Connection

GRACE_SECONDS = 20.0
"""How long answers are waited for after the end before the run is given up."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run: so many connections ask a server for so many seconds, or until there is nothing more to ask."""

    port: int
    clients: int
    seconds: float
    requests: Requests
    warm: float = 0.2
    """Seconds before that which do not count."""
    counted: int | None = None
    """The one status that counts; None: whatever is answered."""
    least: int = 1
    """Answers that are waited for, if that takes longer."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long answers took, in seconds."""

    count: int
    mean: float
    median: float
    p95: float
    p99: float
    most: float


def times_of(figures: Sequence[float]) -> Times:
    """Of at least one."""
    ordered = sorted(figures)
    count = len(ordered)
    median, p95, p99 = (ordered[count * share // 100] for share in (50, 95, 99))
    return Times(count, sum(ordered) / count, median, p95, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a run: times by status. `busy` is the share of a core that the load itself took."""

    seconds: float
    asked: int
    times: Mapping[int, Times]
    busy: float

    def rate(self, status: int) -> float:
        """Answers a second with this status."""
        return self.times[status].count / self.seconds if self.seconds else 0.0


def run(load: Load) -> Heard:
    """Runs the load in this process. Raises ConnectionError where the server closes or refuses a connection."""
    return asyncio.run(_run(load))


async def _run(load: Load) -> Heard:
    tally = _Tally(iter(load.requests), load)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(tally), HOST, load.port))[1] for _ in range(load.clients)
    ]
    try:
        tally.start(load.warm)
        for connection in connections:
            tally.ask(connection)
        async with asyncio.timeout(load.warm + load.seconds + GRACE_SECONDS):
            await tally.ended
    finally:
        for connection in connections:
            connection.close()
    return tally.heard()


class _Tally:
    """What all connections share: the requests, the time, and what was heard."""

    def __init__(self, requests: Iterator[bytes], load: Load) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._seconds = load.seconds
        self._least = load.least
        self._open = load.clients
        self._asked = self._counted = 0
        self._times: dict[int, list[float]] = {}
        self._counts_from = self._until = self._last = self._began = self._cpu = 0.0

    def start(self, warm: float) -> None:
        self._began, self._cpu = perf_counter(), process_time()
        self._counts_from = self._last = self._began + warm
        self._until = self._counts_from + self._seconds

    def ask(self, connection: Connection) -> None:
        now = perf_counter()
        request = next(self._requests, None) if now < self._until or self._counted < self._least else None
        if request is None:
            self._open -= 1
            if not self._open and not self.ended.done():
                self.ended.set_result(None)
            return
        self._asked += 1
        connection.ask(request, now)

    def answered(self, connection: Connection, status: int, _opening: bytes) -> None:
        now = perf_counter()
        if self._counts_from < now and (now <= self._until or self._counted < self._least):
            self._counted += 1
            self._until = max(now, self._until)
            if status not in self._times:
                self._times[status] = []
            self._times[status].append(now - connection.since)
        self._last = max(now, self._last)
        self.ask(connection)

    def lost(self, _connection: Connection, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionResetError("the server closed a connection"))

    def heard(self) -> Heard:
        return Heard(
            seconds=min(self._last, self._until) - self._counts_from,
            asked=self._asked,
            times={status: times_of(figures) for status, figures in self._times.items()},
            busy=(process_time() - self._cpu) / (perf_counter() - self._began),
        )
