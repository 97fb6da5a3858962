"""Load in a closed loop: each connection sends a request as soon as the last one is answered. It shows the throughput
of a server; `benchmarks.open_loop` shows its latency."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

from benchmarks.connection import HOST, Connection
from benchmarks.requests import Requests

GRACE_SECONDS = 20.0
"""The time limit for answers after the end of a run."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run: connections that send requests to a server for some seconds, or until there are no more requests."""

    port: int
    clients: int
    seconds: float
    requests: Requests
    warm: float = 0.2
    """Seconds at the start that do not count."""
    counted: int | None = None
    """The only status that counts; None: all."""
    least: int = 1
    """The least number of answers; the run lasts longer if necessary."""


@dataclass(frozen=True, slots=True)
class Times:
    """The times of answers, in seconds."""

    count: int
    mean: float
    median: float
    p95: float
    p99: float
    most: float


def times_of(figures: Sequence[float]) -> Times:
    """Return the times of at least one answer."""
    ordered = sorted(figures)
    count = len(ordered)
    median, p95, p99 = (ordered[count * share // 100] for share in (50, 95, 99))
    return Times(count, sum(ordered) / count, median, p95, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a run: times by status. `busy` is the share of a core that the load used."""

    seconds: float
    requests: int
    times: Mapping[int, Times]
    busy: float

    def rate(self, status: int) -> float:
        """Return the answers a second with this status."""
        return self.times[status].count / self.seconds if self.seconds else 0.0


def run(load: Load) -> LoadResult:
    """Run the load in this process. Raises ConnectionError if the server closes or refuses a connection."""
    return asyncio.run(_run(load))


async def _run(load: Load) -> LoadResult:
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
    return tally.result()


class _Tally:
    """The state that all connections share: requests, time, and results."""

    def __init__(self, requests: Iterator[bytes], load: Load) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._seconds = load.seconds
        self._least = load.least
        self._open = load.clients
        self._requests_sent = self._counted = 0
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
        self._requests_sent += 1
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

    def result(self) -> LoadResult:
        return LoadResult(
            seconds=min(self._last, self._until) - self._counts_from,
            requests=self._requests_sent,
            times={status: times_of(figures) for status, figures in self._times.items()},
            busy=(process_time() - self._cpu) / (perf_counter() - self._began),
        )
