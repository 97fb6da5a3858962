"""Slow clients: a connection is closed if its client reads none of the waiting data for some time, or if the data that
waits on all connections takes too much memory."""

from __future__ import annotations

import asyncio
from fcntl import ioctl
from sys import byteorder
from termios import TIOCOUTQ
from typing import Any

from aiohttp import web

from service.app_keys import LOGGER

SLOW_SECONDS = 30.0
"""The time in which a client must read some of the waiting data; then its connection is closed."""
_CHECKS = 5
"""The number of measurements in that time."""
MOST_UNSENT_BYTES = 128 * 2**20
"""Most bytes that wait for the slow clients of a server. In memory they take up to twice as much, as a response stays
whole while its rest waits. The largest page of the log is half of this."""


class Unsent:
    """The connections of a server whose clients are slow, and the bytes that wait for them."""

    def __init__(self) -> None:
        self._sizes: dict[MeasuredConnection, int] = {}  # in the order in which the clients became slow
        self._bytes = 0

    def put(self, connection: MeasuredConnection, size: int) -> None:
        """Set how many bytes wait for a client. Cut off clients while those of all are too many: first the clients that
        read nothing since the last measurement, then those that are slow for longest.
        """
        self._bytes += size - self._sizes.get(connection, 0)
        self._sizes[connection] = size
        while self._bytes > MOST_UNSENT_BYTES:
            idle = (each for each in self._sizes if not each.reads())
            next(idle, next(iter(self._sizes))).cut_off()

    def remove(self, connection: MeasuredConnection) -> None:
        """Count the bytes for a client no longer."""
        self._bytes -= self._sizes.pop(connection, 0)


class MeasuredConnection(web.RequestHandler):
    """A connection that is closed if its client does not read what is sent."""

    __slots__ = ("_all_unsent", "_app", "_check", "_stalled", "_unsent", "patience")

    def __init__(self, app: web.Application, all_unsent: Unsent, *arguments: Any, **more: Any) -> None:
        """`all_unsent`: of the server."""
        super().__init__(*arguments, **more)
        self._app = app
        self._all_unsent = all_unsent
        self.patience = SLOW_SECONDS
        """The seconds in which the client must read some of the waiting data."""
        self._check: asyncio.TimerHandle | None = None
        self._unsent = self._stalled = 0

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the measurements, as the connection is closed."""
        self._stop_measuring()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start to measure the progress of the client, as the buffer of the transport is full."""
        super().pause_writing()
        self._unsent, self._stalled = self._count_unsent(), 0
        self._measure_later()
        self._all_unsent.put(self, self._unsent)

    def resume_writing(self) -> None:
        """Stop the measurements, as the buffer has space again."""
        self._stop_measuring()
        super().resume_writing()

    def reads(self) -> bool:
        """Return whether the client has read some of the waiting data since the last measurement."""
        return self._count_unsent() < self._unsent

    def cut_off(self) -> None:
        """Close the connection immediately, as its client is too slow."""
        self._stop_measuring()
        self._app[LOGGER].info("a client that takes nothing was cut off", unsent=self._unsent)
        if self.transport is not None:
            self.transport.abort()

    def _measure_later(self) -> None:
        self._check = asyncio.get_running_loop().call_later(self.patience / _CHECKS, self._measure)

    def _stop_measuring(self) -> None:
        self._all_unsent.remove(self)
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _measure(self) -> None:
        """Close the connection if the client read nothing in the last `patience` seconds."""
        before, self._unsent = self._unsent, self._count_unsent()
        self._stalled = self._stalled + 1 if self._unsent == before else 0
        if self._stalled < _CHECKS:
            self._measure_later()
            self._all_unsent.put(self, self._unsent)
        else:
            self.cut_off()

    def _count_unsent(self) -> int:
        """Return the bytes that the client has not read: in this process and, if the system gives it, in the socket."""
        transport = self.transport
        if transport is None:
            return 0
        unsent = transport.get_write_buffer_size()
        if (socket := transport.get_extra_info("socket")) is not None:
            queued = bytearray(4)
            try:
                ioctl(socket.fileno(), TIOCOUTQ, queued)
            except OSError:
                return unsent
            unsent += int.from_bytes(queued, byteorder)
        return unsent
