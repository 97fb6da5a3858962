"""Requests of the load, in the bytes of HTTP, made one by one in the process that sends them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle, islice

from benchmarks.connection import HOST

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Posts:
    """These events, each posted on its own, or `at_once` events in a batch."""

    path: str
    events: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    at_once: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        media_type = EVENT if self.at_once is None else BATCH
        head = f"POST {self.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {media_type}\r\n{more}Content-Length: "
        opening = head.encode()
        for body in self.events if self.at_once is None else _batches(self.events, self.at_once):
            yield b"%b%d\r\n\r\n%b" % (opening, len(body), body)


@dataclass(frozen=True, slots=True)
class Gets:
    """These addresses one after the other; repeatedly with `repeat`, else once each."""

    paths: Iterable[str]
    repeat: bool = True

    def __iter__(self) -> Iterator[bytes]:
        requests = [f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() for path in self.paths]
        return cycle(requests) if self.repeat else iter(requests)


@dataclass(frozen=True, slots=True)
class AfterNewEvent:
    """An event is posted before each request, so that no answer is cached. For one client."""

    news: Posts
    questions: Gets

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(zip(self.news, self.questions, strict=False))


Requests = Posts | Gets | AfterNewEvent


def _batches(events: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = iter(events)
    while some := list(islice(left, size)):
        yield b"[%b]" % b",".join(some)
