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

MAX_QUEUED = 10_000
MAX_QUEUED_BYTES = 64 * 2**20
MANY_POSTS = 256
SOON_SECONDS = 0.25
"""From `MANY_POSTS` on, a post is accepted only if the whole queue will be recorded in this time."""
LATE_SECONDS = 5.0
"""Fewer posts, which are larger, may wait this long."""
GROUP_EVENTS = 64
"""Events of one group. A larger group would save little of a commit's cost for each event, and could not be decided on
the event loop: a thread that decides waits for a busy loop at every statement."""
GROUP_BYTES = 16 * 2**20
_MIN_SAMPLE = 16
"""Events of a group that measure the time of one. In a smaller group the fixed cost dominates, so it may only lower the
measure."""

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
    """A task that has log and views to itself, in the writer's thread. `recovers`: it leaves both consistent,
    whatever their state before.
    """

    work: Callable[[], Any]
    future: asyncio.Future[Any]
    recovers: bool


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
        self.seconds_per_event = 0.0
        """Recent seconds to record an event, from the start of its group."""
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

    async def wait_for_room(self) -> None:
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
        each = seconds / events if events else self.seconds_per_event
        if events >= _MIN_SAMPLE or each < self.seconds_per_event:
            self.seconds_per_event += (each - self.seconds_per_event) / (4 if self.seconds_per_event else 1)
        self._posts -= len(works)
        self._events -= events
        self._count(-sum(len(work.batches) for work in works), -sum(work.size for work in works))

    def is_full(self, size: int = 0) -> bool:
        """Return whether a post of this size would be refused now."""
        seconds = self._events * self.seconds_per_event
        return (
            (self._posts >= MANY_POSTS and seconds > SOON_SECONDS)
            or seconds > LATE_SECONDS
            or self.batches >= MAX_QUEUED
            or self.bytes + size > MAX_QUEUED_BYTES
        )

    def refuse_if_full(self, size: int) -> None:
        """Raise Overloaded if a post of this size would be refused now."""
        if self.is_full(size):
            raise Overloaded("the write queue is full")

    def next_work(self) -> ExclusiveTask | list[Posts]:
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
        if self.batches < MAX_QUEUED // 2 and self.bytes < MAX_QUEUED_BYTES // 2:
            self._room.set()
        elif not self._is_closed:
            self._room.clear()
