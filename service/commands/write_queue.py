"""The write queue: batches in their order, the room for more, and the next group. It records nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from service.commands.decisions import Batch
from service.commands.log_entry import Receipt

MOST_QUEUED = 10_000
MOST_QUEUED_BYTES = 64 * 2**20
CROWD = 256
SOON_SECONDS = 0.25
"""More posts than a `CROWD` are only taken while all that wait will be recorded this soon."""
LATE_SECONDS = 5.0
"""Fewer, which are larger, may wait this long."""
GROUP_EVENTS = 64
"""Posts are put together up to so many events. More would share a commit, of which this many feel little, and could not
be decided on the loop: a thread that decides is held up by a loop that has much to do at every statement."""
GROUP_BYTES = 16 * 2**20
_TELLING = 16
"""What all events of a group share is most of what fewer than this take: many may take less time each, but not more."""

Outcome = list[Receipt] | Exception


class Overloaded(Exception):
    """The write queue is full. A retry may succeed in a second."""


class Posts(NamedTuple):
    """Queued batches, each decided alone; the future gets an outcome for each. `events` and `size` (bytes) are their
    sums.
    """

    batches: Sequence[Batch]
    future: asyncio.Future[list[Outcome]]
    events: int
    size: int

    @classmethod
    def of(cls, batches: Sequence[Batch], future: asyncio.Future[list[Outcome]]) -> Posts:
        """Return a queue item of these batches."""
        return cls(batches, future, sum([len(batch.events) for batch in batches]), sum([each.size for each in batches]))


@dataclass(slots=True)
class ExclusiveTask:
    """A task that has log and views to itself, in the writer's thread. `mends`: it leaves both consistent, whatever
    their state before.
    """

    work: Callable[[], Any]
    future: asyncio.Future[Any]
    mends: bool


class WriteQueue:
    """The queue of one writer. Belongs to the loop's thread."""

    def __init__(self) -> None:
        self._queue: deque[Posts | ExclusiveTask] = deque()
        self.batches = 0
        """The number of batches that are queued or being recorded."""
        self.bytes = 0
        """Their size in memory."""
        self._posts = 0
        self._events = 0
        self.each = 0.0
        """Recent seconds an event, from the start of its group."""
        self._is_closed = False
        self._room = asyncio.Event()
        self._room.set()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def close(self) -> None:
        """Accept no more, and wake the tasks that wait for room."""
        self._is_closed = True
        self._room.set()

    def add(self, work: Posts | ExclusiveTask) -> None:
        """Add an item at the end."""
        self._queue.append(work)
        if not isinstance(work, ExclusiveTask):
            self._posts += 1
            self._events += work.events
            self._count(len(work.batches), work.size)

    async def room(self) -> None:
        """Return once there is room for more."""
        while not self._room.is_set():
            await self._room.wait()

    @contextmanager
    def counted(self, size: int) -> Iterator[None]:
        """Count this size as queued while the block lasts."""
        self._count(1, size)
        try:
            yield
        finally:
            self._count(-1, -size)

    def done(self, works: Sequence[Posts], seconds: float) -> None:
        """Note that a group was recorded or refused in this number of seconds."""
        events = sum(work.events for work in works)
        each = seconds / events if events else self.each
        if events >= _TELLING or each < self.each:
            self.each += (each - self.each) / (4 if self.each else 1)
        self._posts -= len(works)
        self._events -= events
        self._count(-sum(len(work.batches) for work in works), -sum(work.size for work in works))

    def is_full(self, size: int = 0) -> bool:
        """Return whether a post of this size would be refused now."""
        seconds = self._events * self.each
        return (
            (self._posts >= CROWD and seconds > SOON_SECONDS)
            or seconds > LATE_SECONDS
            or self.batches >= MOST_QUEUED
            or self.bytes + size > MOST_QUEUED_BYTES
        )

    def refuse_if_full(self, size: int) -> None:
        """Raise Overloaded if a post of this size would be refused now."""
        if self.is_full(size):
            raise Overloaded("too much is waiting to be recorded")

    def next(self) -> ExclusiveTask | list[Posts]:
        """Return the next exclusive task, or the posts of the next group."""
        works: list[Posts] = []
        events = size = 0
        while self._queue:
            work = self._queue[0]
            if isinstance(work, ExclusiveTask):
                if works:
                    break
                self._queue.popleft()
                return work
            if works and (events + work.events > GROUP_EVENTS or size + work.size > GROUP_BYTES):
                break
            self._queue.popleft()
            works.append(work)
            events += work.events
            size += work.size
        return works

    def _count(self, batches: int, size: int) -> None:
        self.batches += batches
        self.bytes += size
        if self.batches < MOST_QUEUED // 2 and self.bytes < MOST_QUEUED_BYTES // 2:
            self._room.set()
        elif not self._is_closed:
            self._room.clear()
