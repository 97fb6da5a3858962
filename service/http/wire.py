"""How requests come in from the wire: what is no HTTP at all is answered with a problem too, and logged in one line.

aiohttp has no public place for that, so two of its classes are filled in here, and only here.
"""

from __future__ import annotations

import asyncio
from fcntl import ioctl
from os import urandom
from sys import byteorder
from termios import TIOCOUTQ
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import _ErrInfo

from service.http.frame import Frame
from service.http.problems import Kind, Problem
from service.parts import LOGGER, METRICS

AT_ONCE = 2**16
"""Bytes that are received of one connection in one turn of the loop."""
BREAK_SECONDS = 0.5
"""How long the answer to a request that is broken off may take to leave."""
SLOW_SECONDS = 30.0
"""How long a client may take nothing of what waits for it; then its connection is closed."""
_CHECKS = 5
"""How often within that time the progress of the client is measured."""


class Runner(web.AppRunner):
    """Runs an application whose every error is answered with a problem."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.app = self.app
        server.request_handler = Frame(self.app, server.request_handler)
        return server


class _Server(web.Server):
    app: web.Application

    def __call__(self) -> web.RequestHandler:
        return Connection(self.app, self, loop=self._loop, **self._kwargs)


class Connection(web.RequestHandler):
    """What a client asks over, one request after the other."""

    __slots__ = ("_app", "_check", "_stalled", "_unsent", "patience", "returns")

    def __init__(self, app: web.Application, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._app = app
        self.returns = 0.0
        """When a client that was turned away may come again, on the loop's clock."""
        self.patience = SLOW_SECONDS
        """Seconds that the client may take nothing of what waits for it."""
        self._check: asyncio.TimerHandle | None = None
        self._unsent = self._stalled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins. Of a crowd, what comes of each in one turn of the loop is there before anybody reads it."""
        super().connection_made(transport)
        transport.max_size = AT_ONCE  # type: ignore[attr-defined]  # of selector loops' transports

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as aiohttp calls it
        """End, after so many seconds at most, what is being answered; then what still lasts is broken off.

        aiohttp alone would wait twice as long, and for ever for a client that takes nothing.
        """
        breaking = self._loop.call_later(timeout or 0.0, self._break_off)
        try:
            await super().shutdown(timeout)
        finally:
            breaking.cancel()

    def _break_off(self) -> None:
        """Have a request whose rest has not come answered; end whatever else is under way a moment later."""
        if self._current_request is not None:
            self._current_request._cancel(asyncio.CancelledError())  # noqa: SLF001 - as aiohttp does at this point
        self._loop.call_later(BREAK_SECONDS, self._abort)

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        if self._task_handler is not None:
            self._task_handler.cancel()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Ends, and with it the measurements."""
        self._stop_measuring()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits for the client than is buffered: from here until `resume_writing` its progress is measured."""
        super().pause_writing()
        self._unsent, self._stalled = self._count_unsent(), 0
        self._measure_later()

    def resume_writing(self) -> None:
        """The client has taken enough."""
        self._stop_measuring()
        super().resume_writing()

    def _measure_later(self) -> None:
        self._check = self._loop.call_later(self.patience / _CHECKS, self._measure)

    def _stop_measuring(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _measure(self) -> None:
        """Close the connection if the client took nothing in the last `patience` seconds."""
        before, self._unsent = self._unsent, self._count_unsent()
        self._stalled = self._stalled + 1 if self._unsent == before else 0
        if self._stalled < _CHECKS:
            self._measure_later()
        elif self.transport is not None:
            self._check = None
            self._app[LOGGER].info("a client that takes nothing was cut off", unsent=self._unsent)
            self.transport.abort()

    def _count_unsent(self) -> int:
        """Bytes that the client has not taken: in this process, and, where the system tells, in its socket."""
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

    def data_received(self, data: bytes) -> None:
        """Takes what has come. What is no HTTP is let go with the frames of the error that says so, which is kept."""
        super().data_received(data)
        if self._messages and isinstance(broken := self._messages[-1][0], _ErrInfo):
            broken.exc.__traceback__ = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The last resort: a request could not be parsed (400), or something failed outside of every middleware."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away: that is no fault, and there is nobody to answer
        problem = Problem(Kind.MALFORMED, _detail(message)) if status == 400 else Problem(Kind.INTERNAL)
        request_id = urandom(8).hex()
        self._app[METRICS].refused(problem.kind)
        self._app[LOGGER].warning(
            "no request", request_id=request_id, status=status, remote=request.remote, error=repr(exc)
        )
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        response = problem.response(request_id)
        response.force_close()
        return response


def _detail(message: str | None) -> str:
    """What the parser says; below its first line it quotes what was sent."""
    return "not HTTP: " + (message or "").partition("\n")[0].strip(" :")
