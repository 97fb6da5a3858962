"""The load: a client that keeps connections open and asks one thing at a time on each, as fast as it is answered. It
reads only what it must of HTTP/1.1 (a status, a Content-Length, no chunks), so that most of its core stays idle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter, process_time

from benchmarks.events import fresh

HOST = "127.0.0.1"
WARM_SECONDS = 0.2
GRACE_SECONDS = 20.0
"""How long answers are waited for after the end before the run is given up."""


@dataclass(frozen=True, slots=True)
class Posts:
    """Fresh events from number `first` on, each posted on its own."""

    path: str
    first: int
    parties: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[bytes]:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/cloudevents+json\r\n{more}"
            "Content-Length: "
        ).encode()
        for event in fresh(self.first, self.parties):
            yield b"%b%d\r\n\r\n%b" % (head, len(event), event)


@dataclass(frozen=True, slots=True)
class Gets:
    """These addresses one after the other; over and over where they `repeat`, else once each."""

    paths: Iterable[str]
    repeat: bool = True

    def __iter__(self) -> Iterator[bytes]:
        requests = [f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() for path in self.paths]
        return cycle(requests) if self.repeat else iter(requests)


@dataclass(frozen=True, slots=True)
class Load:
    """One run: so many connections ask a server for so many seconds, or until there is nothing more to ask."""

    port: int
    clients: int
    seconds: float
    requests: Posts | Gets
    warm: float = WARM_SECONDS
    """Seconds before that which do not count."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a run. `busy` is the share of a core that the load itself took; times are in seconds."""

    seconds: float
    answers: int
    asked: int
    statuses: Mapping[int, int]
    busy: float
    median: float
    slowest: float
    """The 99th percentile."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds if self.seconds else 0.0


def run(load: Load) -> Heard:
    """Runs the load in this process. Raises ConnectionError where the server closes or refuses a connection."""
    return asyncio.run(_run(load))


async def _run(load: Load) -> Heard:
    tally = _Tally(iter(load.requests), load.seconds)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(tally), HOST, load.port))[1] for _ in range(load.clients)
    ]
    try:
        tally.start(load.warm)
        for connection in connections:
            connection.ask()
        async with asyncio.timeout(load.warm + load.seconds + GRACE_SECONDS):
            await asyncio.gather(*(connection.ended for connection in connections))
    finally:
        for connection in connections:
            connection.close()
    return tally.heard()


class _Tally:
    """What all connections share: the requests, the time, and what was heard."""

    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self.requests = requests
        self.seconds = seconds
        self.asked = 0
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.counts_from = self.until = self.last = 0.0
        self._began = self._cpu = 0.0

    def start(self, warm: float) -> None:
        self._began, self._cpu = perf_counter(), process_time()
        self.counts_from = self.last = self._began + warm
        self.until = self.counts_from + self.seconds

    def heard(self) -> Heard:
        times = sorted(self.times)
        return Heard(
            seconds=min(self.last, self.until) - self.counts_from,
            answers=len(times),
            asked=self.asked,
            statuses=dict(self.statuses),
            busy=(process_time() - self._cpu) / (perf_counter() - self._began),
            median=times[len(times) // 2] if times else 0.0,
            slowest=times[len(times) * 99 // 100] if times else 0.0,
        )


class _Connection(asyncio.Protocol):
    """Asks, waits for the answer, asks again, until the time is over or nothing is left to ask."""

    def __init__(self, tally: _Tally) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._transport: asyncio.WriteTransport | None = None
        self._sent = 0.0
        self._opening = b""  # of an answer whose length is not known yet
        self._missing = 0  # bytes of an answer whose length is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionResetError("the server closed a connection"))

    def close(self) -> None:
        self.ended.cancel()
        if self._transport is not None:
            self._transport.close()

    def ask(self) -> None:
        tally = self._tally
        request = next(tally.requests, None) if perf_counter() < tally.until else None
        if request is None:
            self.ended.set_result(None)
            return
        assert self._transport is not None
        tally.asked += 1
        self._sent = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            data = self._opening + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._opening = data
                return
            self._opening = b""
            at = data.find(b"Content-Length: ", 0, end) + 16
            self._missing = int(data[at : data.find(b"\r", at)]) + end + 4 - len(data)
            self._tally.statuses[int(data[9:12])] += 1
        if self._missing == 0:
            self._answered()

    def _answered(self) -> None:
        now, tally = perf_counter(), self._tally
        if tally.counts_from < now <= tally.until:
            tally.times.append(now - self._sent)
        tally.last = max(now, tally.last)
        self.ask()
