"""Connections of clients: how many there may be, what requests that have not begun may hold, and the answer to what is
not HTTP. It must never log a byte of what could not be parsed: it may be a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import urandom
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import _ErrInfo

from service.app_keys import LOGGER, METRICS
from service.http.fields import MOST_BYTES, MOST_LINES
from service.http.problem_responses import problem_response
from service.http.unsent import MeasuredConnection
from service.limits import MOST_CONNECTIONS, REFUSED_AT_ONCE
from service.problems import KINDS, Kind, Problem

HEAD_AT_ONCE = 2**14
"""Bytes that are received of one connection in one turn of the loop while no request has begun."""
BODY_AT_ONCE = 2**16
"""The same of a body."""
SMALL_BYTES = 2**12
"""Each connection may hold so much of requests that have not begun, however much others hold."""
MOST_EACH_BYTES = 2**20
"""The most that one connection may hold of them: more than the largest header section, and what is sent ahead."""
MOST_AHEAD_BYTES = 16 * 2**20
"""The most that all connections may hold of them, what each may hold anyway apart. In memory it is up to five times as
much: as bytes, and as text of four bytes a character."""
BREAK_SECONDS = 0.5
"""How long the answer to a request that is broken off may take to leave."""
LINGER_SECONDS = 1.0
"""How long what a client still sends is discarded after a last answer: closing at once could destroy the answer."""
MOST_LINGERING = 64
"""Connections that do so at a time: meanwhile each holds what could not be parsed."""
LARGE_BYTES = 2**17
"""A connection that holds more than this is closed at once."""
_TOO_LARGE = f"the request line or a header has more than {MOST_BYTES} bytes, or there are over {MOST_LINES} headers"
_MALFORMED = "not HTTP: the request line or a header is not of its form, or Host is missing"
_TOO_MANY_HEADERS = "Too many headers received"
_NO_HTTP = b"\x00"
"""A byte that no request line and no header can hold."""


class Connections:
    """The open connections of a server, and the bytes they hold of requests that have not begun."""

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._open = 0
        # Each in the order in which they became so.
        self._fresh: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self._holding: dict[Connection, int] = {}
        self._ahead = 0
        self._lingering = 0

    def opened(self, connection: Connection) -> bool:
        """Take a connection in. Of too many, close the one that has waited for a request longest: of those
        whose first request has not begun, if there are any.

        Return whether there is room for it: there is none where all others have a request in progress.
        """
        self._open += 1
        if self._open > self._most:
            longest = next(iter(self._fresh or self._idle), None)
            if longest is None:
                return False
            self.busy(longest)
            longest.drop()
        self._fresh[connection] = None
        return True

    @property
    def is_crowded(self) -> bool:
        """Whether there are too many connections even to tell another one so."""
        return self._open > self._most + REFUSED_AT_ONCE

    def closed(self, connection: Connection) -> None:
        self._open -= 1
        self.busy(connection)

    def busy(self, connection: Connection) -> None:
        """A request of the connection has begun."""
        self._fresh.pop(connection, None)
        self._idle.pop(connection, None)

    def idle(self, connection: Connection) -> None:
        """The request of the connection is answered."""
        self._idle[connection] = None

    @contextmanager
    def lingering(self) -> Iterator[bool]:
        """Within it, one more connection discards what comes, if that is true: else there are too many."""
        self._lingering += 1
        try:
            yield self._lingering <= MOST_LINGERING
        finally:
            self._lingering -= 1

    def hold(self, connection: Connection, size: int) -> None:
        """Note how many bytes a connection holds of requests that have not begun.

        Where all together hold too much, those that have held some for longest are refused: requests that come whole
        begin at once, so those are unfinished.
        """
        self._ahead += size - self._holding.pop(connection, 0)
        if size:
            self._holding[connection] = size
        while self._ahead > MOST_AHEAD_BYTES:
            next(iter(self._holding)).refuse(Problem(Kind.OVERLOADED, "too much of unfinished requests is held"))


class Connection(MeasuredConnection):
    """One connection of a client: its requests, one after the other."""

    __slots__ = (
        "_ahead",
        "_connections",
        "_content",
        "_is_over",
        "_lost",
        "_refusal",
        "returns",
    )

    def __init__(self, app: web.Application, connections: Connections, *arguments: Any, **more: Any) -> None:
        super().__init__(app, *arguments, **more)
        self._connections = connections
        self._content: StreamReader | None = None
        """The body of the last request that has begun."""
        self._ahead = 0
        """Bytes received of requests that have not begun."""
        self._refusal: Problem | None = None
        """Why nothing further is taken, where that is not for the form of what was sent."""
        self._is_over = False
        self._lost = asyncio.Event()
        self.returns = 0.0
        """When a client that was turned away may come again, on the loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins. Of a crowd, what comes of each in one turn of the loop is there before anybody reads it."""
        super().connection_made(transport)
        self._receive_at_once(HEAD_AT_ONCE)
        if not self._connections.opened(self):
            if self._connections.is_crowded:
                self.drop()
            else:
                self.refuse(Problem(Kind.BUSY, "as many connections are open as there may be"))

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
        """Ends: nothing is held for it any longer."""
        self._connections.closed(self)
        self._hold(0)
        self._lost.set()
        if self._waiter is not None and self._waiter.done() and self._task_handler is not None:
            self._task_handler.cancel()  # something came in this turn of the loop: aiohttp would fail to begin with it
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what has come, unless something came that is no HTTP, or more is held than may be."""
        if self._is_over:
            return
        if self._content is None or self._content.is_eof():
            self._hold(self._ahead + len(data))
        if not self._is_over:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and isinstance(broken := self._messages[-1][0], _ErrInfo):
            self._is_over = True
            broken.exc.__traceback__ = None  # its frames hold what was received, as long as the connection is known

    def began(self, request: web.BaseRequest) -> None:
        """A request has begun: what was received of it is no longer held for nobody."""
        self._connections.busy(self)
        self._content = content = request.content
        self._receive_at_once(HEAD_AT_ONCE if content.is_eof() else BODY_AT_ONCE)
        left = 0
        if self._ahead > SMALL_BYTES and content.is_eof():  # else there is nothing of a later request yet
            left = max(0, self._ahead - _head_bytes(request) - content.total_bytes)
        self._hold(left)

    def ended(self) -> None:
        """The request that began last is answered."""
        self._connections.idle(self)

    def drop(self) -> None:
        """Closes at once, whatever is under way."""
        self._is_over = True
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what was sent
    ) -> web.StreamResponse:
        """The last resort: a request could not be parsed, or something failed outside of every middleware."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away: that is no fault, and there is nobody to answer
        problem = self._refusal or _problem(status, exc)
        # The text of an error of the parser quotes what was sent.
        error = type(exc).__name__ if isinstance(exc, HttpProcessingError) else repr(exc)
        request_id = urandom(8).hex()
        self._app[METRICS].refused(problem.kind)
        self._app[LOGGER].warning(
            "no request",
            request_id=request_id,
            status=KINDS[problem.kind].status,
            remote=request.remote,
            error=error,
            detail=problem.detail,
        )
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        response = problem_response(problem, request_id)
        response.force_close()
        if status == 400:
            response.afterwards = self._linger
        return response

    def _receive_at_once(self, size: int) -> None:
        if self.transport is not None:
            self.transport.max_size = size  # type: ignore[attr-defined]  # of selector loops' transports

    def refuse(self, problem: Problem) -> None:
        """Takes nothing further, and answers this problem after the requests that came before: what has come is ended
        with a byte that the parser stumbles over, so that `handle_error` is called in its turn.
        """
        self._connections.hold(self, 0)
        if not self._is_over:
            self._is_over = True
            self._refusal = problem
            self._feed(_NO_HTTP)

    def _hold(self, ahead: int) -> None:
        """Sets what is held of requests that have not begun."""
        before, self._ahead = self._ahead, ahead
        if ahead > MOST_EACH_BYTES:
            self.refuse(Problem(Kind.HEADERS_TOO_LARGE, _TOO_LARGE))
        elif max(before, ahead) > SMALL_BYTES:
            self._connections.hold(self, max(0, ahead - SMALL_BYTES))

    async def _linger(self) -> None:
        """Ends the answer and discards what still comes, until the client has closed too, for a short time at most."""
        with self._connections.lingering() as may:
            if may and self._ahead <= LARGE_BYTES and self.transport is not None and self.transport.can_write_eof():
                self.transport.write_eof()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await self._lost.wait()


def _problem(status: int, error: BaseException | None) -> Problem:
    """The problem of a request that could not be parsed or that failed; it quotes nothing of what was sent."""
    if status != 400:
        return Problem(Kind.INTERNAL)
    if isinstance(error, LineTooLong) or (
        isinstance(error, HttpProcessingError) and error.message == _TOO_MANY_HEADERS
    ):
        return Problem(Kind.HEADERS_TOO_LARGE, _TOO_LARGE)
    return Problem(Kind.MALFORMED, _MALFORMED)


def _head_bytes(request: web.BaseRequest) -> int:
    """The length of a request's line and headers as they were most likely sent."""
    line = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers)
