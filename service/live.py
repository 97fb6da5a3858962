"""The newest events as they are sent to live streams: encoded once, however many read, and kept for as long as readers
who are in time may need them. Who falls further behind reads from the log itself, so nothing is ever lost here. Those
who wait are woken together, and not for each event: many small writes to many readers would leave no time to record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from service.entries import answered
from service.follower import Head
from service.log import LoggedEvent, LogReader

MOST_FRAMES = 4096
MOST_BYTES = 16 * 2**20
AT_ONCE = 256
MOST_JOINED = 16
APART_SECONDS = 0.01
"""Readers are woken at once when something is recorded after a pause, then no sooner than this one after the other."""
SILENCE_SECONDS = 5.0
"""After so long readers are woken though nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as a server-sent event."""

    event: LoggedEvent
    data: bytes


def frame(event: LoggedEvent) -> bytes:
    """The event as a server-sent event: its position is the id, the data as `/v1/events/{position}` answers it."""
    return b"id: %d\ndata: %b\n\n" % (event.position, answered(event))


class Live:
    """The frames of the newest events, and those who wait for more. Belongs to the loop's thread, as does `log`."""

    def __init__(self, head: Head, log: LogReader) -> None:
        self._head = head
        self._log = log
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._frames: list[Frame] = []
        self._bytes = 0
        self._until = head.position
        self._joined: dict[int, tuple[bytes, int]] = {}

    async def more(self) -> None:
        """Returns when there may be more than what the head was, or after a while of silence; or when woken."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        await future

    def wake(self) -> None:
        """Has everybody who waits look again."""
        waiting, self._waiting = self._waiting, []
        self._wanted.clear()
        for future in waiting:
            if not future.done():  # else its client has gone
                future.set_result(None)

    async def run(self) -> None:
        """Wakes those who wait, for as long as it is not cancelled."""
        while True:
            moved = asyncio.create_task(self._head.moved())  # waited for at all times, so that all is seen at once
            try:
                self.wake()
                await asyncio.sleep(APART_SECONDS)
                await self._wanted.wait()  # and by nobody where there is nobody to tell: the views need not hurry then
                await asyncio.wait((moved,), timeout=SILENCE_SECONDS)
            finally:
                moved.cancel()

    def after(self, position: int, passes: Callable[[LoggedEvent], bool] | None) -> tuple[bytes, int] | None:
        """The frames after a position that pass, joined, and the position they go up to; None if not all are kept.

        Without a filter, readers at the same position get the very same bytes.
        """
        self._fill(position)
        first = position - (self._until - len(self._frames))
        if first < 0:
            return None
        if passes is None and position in self._joined:
            return self._joined[position]
        frames = self._frames[first : first + AT_ONCE]
        joined = b"".join(each.data for each in frames if passes is None or passes(each.event))
        found = joined, position + len(frames)
        if passes is None and len(self._joined) < MOST_JOINED:
            self._joined[position] = found
        return found

    def forget(self) -> None:
        """Drops what is kept: something in it was erased. Whoever is behind reads from the log."""
        self._frames.clear()
        self._joined.clear()
        self._bytes = 0

    def _fill(self, position: int) -> None:
        """Takes in what was recorded since, no more than can be kept, and nothing that nobody asks for."""
        head = self._head.position
        if self._until == head:
            return
        self._joined.clear()
        start = max(self._until, min(position, head), head - MOST_FRAMES)
        if start > self._until:
            self._frames.clear()
            self._bytes = 0
            self._until = start
        while self._until < head:
            for event in self._log.read(self._until, head, AT_ONCE):
                data = frame(event)
                self._frames.append(Frame(event, data))
                self._bytes += len(data)
                self._until = event.position
        over = max(0, len(self._frames) - MOST_FRAMES)
        self._bytes -= sum(len(each.data) for each in self._frames[:over])
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._frames[over].data)
            over += 1
        del self._frames[:over]
