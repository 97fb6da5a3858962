"""Live feed: sends new events to the readers of event streams, from a cache of encoded events.

Each event is encoded once for all readers. A reader who falls behind the cache reads from the log, so no event is
lost. Events are sent in groups, one reader after the other: many small writes to many readers would leave no time to
record events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Protocol

from service.commands.log_entry import answered
from service.event_log import LoggedEvent, LogReader
from service.views.follower import LogPosition

MAX_FRAMES = 4096
MAX_BYTES = 16 * 2**20
BATCH = 256
"""Events sent to one reader in one write."""
SLICE = 32
"""Events read and encoded in one turn of the event loop."""
MAX_JOINED = 16
REST = 4
"""The pause after a round of sending is this many times as long as the round, so sending takes at most a fifth of the
processor."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An event, encoded as a server-sent event."""

    event: LoggedEvent
    data: bytes


class Listener(Protocol):
    """A reader of a stream, as `LiveFeed` needs it."""

    position: int
    """The last position up to which the reader has all events it wants."""
    passes: Callable[[LoggedEvent], bool] | None
    """The filter of the reader; None for all events."""

    def takes(self, size: int) -> bool:
        """Return whether so many bytes can be sent now without waiting."""

    async def send(self, chunk: bytes) -> None:
        """Send bytes. Raise ConnectionError if the client has closed the connection."""


def frame(event: LoggedEvent) -> bytes:
    """Return an event as a server-sent event: the id is its position, the data the body of `/v1/events/{position}`."""
    return b"id: %d\ndata: %b\n\n" % (event.position, answered(event))


class LiveFeed:
    """The newest events, and the readers to send them to. Belongs to the event loop's thread, as does `log`."""

    def __init__(self, recorded: LogPosition, log: LogReader) -> None:
        """`recorded` is the position of the last recorded event, which may be ahead of the views."""
        self._recorded = recorded
        self._log = log
        self._listening: dict[Listener, asyncio.Future[None]] = {}
        self._has_listeners = asyncio.Event()
        self._frames: list[Frame] = []
        self._bytes = 0
        self._until = recorded.position
        self._joined: dict[int, tuple[bytes, int]] = {}

    async def follow(self, listener: Listener, seconds: float) -> None:
        """Send new events to a listener that is up to date, until it falls behind, `wake` is called, or time is up.

        Raise ConnectionError if the client has closed the connection, and what the log raises if it cannot be read.
        """
        loop = asyncio.get_running_loop()
        self._listening[listener] = ended = loop.create_future()
        self._has_listeners.set()
        timer = loop.call_later(seconds, _end, ended)
        try:
            await ended
        finally:
            timer.cancel()
            del self._listening[listener]
            if not self._listening:
                self._has_listeners.clear()

    def wake(self) -> None:
        """End `follow` of every listener."""
        for ended in self._listening.values():
            _end(ended)

    async def run(self) -> None:
        """Send new events to the listeners until cancelled."""
        sent = self._recorded.position
        while True:
            await self._has_listeners.wait()
            while sent == self._recorded.position:
                await self._recorded.moved()
            await asyncio.sleep(0)  # the client that posted the event gets its receipt first
            sent = self._recorded.position
            await self._encode(sent)
            start = thread_time()
            for listener, ended in [*self._listening.items()]:
                if not ended.done():
                    await self._send(listener, ended)
            await asyncio.sleep(REST * (thread_time() - start))

    async def _encode(self, until: int) -> None:
        """Encode the events up to a position, slice by slice, for the listeners."""
        try:
            while self._until < until and self._listening:
                self._fill(min(listener.position for listener in self._listening))
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - each listener raises it
            for ended in self._listening.values():
                if not ended.done():
                    ended.set_exception(error)

    async def _send(self, listener: Listener, ended: asyncio.Future[None]) -> None:
        try:
            found = self.after(listener.position, listener.passes)
            if found is None or not listener.takes(len(found[0])):
                _end(ended)
                return
            chunk, listener.position = found
            if chunk:
                await listener.send(chunk)
        except Exception as error:  # noqa: BLE001 - it is this listener's error; the others go on
            if not ended.done():
                ended.set_exception(error)
        else:
            if listener.position < self._recorded.position:
                _end(ended)

    def after(self, position: int, passes: Callable[[LoggedEvent], bool] | None) -> tuple[bytes, int] | None:
        """Return the frames after a position that pass the filter, joined, and the last position they cover.

        That may be the given position, if earlier events are to be encoded first. Return None if the cache lacks events
        after the position. Without a filter, readers at the same position share the joined bytes.
        """
        self._fill(position)
        first = position - (self._until - len(self._frames))
        if first < 0:
            return None
        if passes is None and position in self._joined:
            return self._joined[position]
        frames = self._frames[first : first + BATCH]
        joined = b"".join(each.data for each in frames if passes is None or passes(each.event))
        found = joined, position + len(frames)
        if passes is None and len(self._joined) < MAX_JOINED:
            self._joined[position] = found
        return found

    def forget(self) -> None:
        """Empty the cache, as data in it was erased. Readers who need its events read the log."""
        self._frames.clear()
        self._joined.clear()
        self._bytes = 0

    def _fill(self, position: int) -> None:
        """Encode the next slice of events that the cache can hold and a reader at this position needs."""
        head = self._recorded.position
        if self._until == head:
            return
        self._joined.clear()
        start = max(self._until, min(position, head), head - MAX_FRAMES)
        if start > self._until:
            self._frames.clear()
            self._bytes = 0
            self._until = start
        for event in self._log.select_notifications(self._until + 1, SLICE, head):
            data = frame(event)
            self._frames.append(Frame(event, data))
            self._bytes += len(data)
            self._until = event.position
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        over = max(0, len(self._frames) - MAX_FRAMES)
        self._bytes -= sum(len(each.data) for each in self._frames[:over])
        while self._bytes > MAX_BYTES:
            self._bytes -= len(self._frames[over].data)
            over += 1
        del self._frames[:over]


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
