"""The newest events as they are sent to live streams: encoded once, however many read, and kept for as long as readers
who are in time may need them. Who falls further behind reads from the log itself, so nothing is ever lost here. Those
who are in time are told one after the other, and not of each event by itself: many small writes to many readers would
leave no time to record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Protocol

from service.commands.log_entry import answered
from service.event_log import LoggedEvent, LogReader
from service.views.follower import LogPosition

MOST_FRAMES = 4096
MOST_BYTES = 16 * 2**20
AT_ONCE = 256
SLICE = 32
"""So many events are read and encoded in one turn of the loop."""
MOST_JOINED = 16
REST = 4
"""For so many times as long as telling everybody took nobody is told again: it has a fifth of the processor at most."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as a server-sent event."""

    event: LoggedEvent
    data: bytes


class Listener(Protocol):
    """A reader of the stream, as `Live` needs to know it."""

    position: int
    """Up to which it has been told everything that it wants."""
    passes: Callable[[LoggedEvent], bool] | None
    """Which events it wants; None for all."""

    def takes(self, size: int) -> bool:
        """Whether so many bytes can be sent to it now without waiting."""

    async def send(self, chunk: bytes) -> None:
        """Sends them. Raises ConnectionError where nobody listens any longer."""


def frame(event: LoggedEvent) -> bytes:
    """The event as a server-sent event: its position is the id, the data as `/v1/events/{position}` answers it."""
    return b"id: %d\ndata: %b\n\n" % (event.position, answered(event))


class Live:
    """The frames of the newest events, and those who are told of them. Belongs to the loop's thread, as does `log`."""

    def __init__(self, recorded: LogPosition, log: LogReader) -> None:
        """`recorded` moves with what is recorded: a reader is told that before the views are committed."""
        self._recorded = recorded
        self._log = log
        self._listening: dict[Listener, asyncio.Future[None]] = {}
        self._anybody = asyncio.Event()
        self._frames: list[Frame] = []
        self._bytes = 0
        self._until = recorded.position
        self._joined: dict[int, tuple[bytes, int]] = {}

    async def follow(self, listener: Listener, seconds: float) -> None:
        """Has a listener who is in time told what is recorded from now on: until it is so far behind that it has to be
        waited for, is woken, or so long at most. Raises ConnectionError once it does not listen any longer, and what
        the log raises where it cannot be read.
        """
        loop = asyncio.get_running_loop()
        self._listening[listener] = ended = loop.create_future()
        self._anybody.set()
        timer = loop.call_later(seconds, _end, ended)
        try:
            await ended
        finally:
            timer.cancel()
            del self._listening[listener]
            if not self._listening:
                self._anybody.clear()

    def wake(self) -> None:
        """Has everybody look after themselves."""
        for ended in self._listening.values():
            _end(ended)

    async def run(self) -> None:
        """Tells those who listen, for as long as it is not cancelled."""
        told = self._recorded.position
        while True:
            await self._anybody.wait()
            while told == self._recorded.position:
                await self._recorded.moved()
            await asyncio.sleep(0)  # whoever recorded it hears first
            told = self._recorded.position
            await self._encode(told)
            began = thread_time()
            for listener, ended in [*self._listening.items()]:
                if not ended.done():
                    await self._tell(listener, ended)
            await asyncio.sleep(REST * (thread_time() - began))

    async def _encode(self, until: int) -> None:
        """Takes in, slice by slice, what those who listen are told of up to a position."""
        try:
            while self._until < until and self._listening:
                self._fill(min(listener.position for listener in self._listening))
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - whoever listens is told, and others may come
            for ended in self._listening.values():
                if not ended.done():
                    ended.set_exception(error)

    async def _tell(self, listener: Listener, ended: asyncio.Future[None]) -> None:
        try:
            found = self.after(listener.position, listener.passes)
            if found is None or not listener.takes(len(found[0])):
                _end(ended)
                return
            chunk, listener.position = found
            if chunk:
                await listener.send(chunk)
        except Exception as error:  # noqa: BLE001 - the listener's own: the others are told on
            if not ended.done():
                ended.set_exception(error)
        else:
            if listener.position < self._recorded.position:
                _end(ended)

    def after(self, position: int, passes: Callable[[LoggedEvent], bool] | None) -> tuple[bytes, int] | None:
        """The frames after a position that pass, joined, and the position they go up to, which may be the same where
        others are to be encoded before; None if not all are kept.

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
        """Takes in a slice of what was recorded since, of what can be kept, and nothing that nobody asks for."""
        head = self._recorded.position
        if self._until == head:
            return
        self._joined.clear()
        start = max(self._until, min(position, head), head - MOST_FRAMES)
        if start > self._until:
            self._frames.clear()
            self._bytes = 0
            self._until = start
        for event in self._log.read(self._until, head, SLICE):
            data = frame(event)
            self._frames.append(Frame(event, data))
            self._bytes += len(data)
            self._until = event.position
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        over = max(0, len(self._frames) - MOST_FRAMES)
        self._bytes -= sum(len(each.data) for each in self._frames[:over])
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._frames[over].data)
            over += 1
        del self._frames[:over]


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
