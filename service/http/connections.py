"""Connections: how many may be open, how many bytes of requests that have not begun they may hold, and the problems
that answer bytes that are not HTTP. Never log a byte of an unparsable request: it may be a key.

Only methods of `web.Server` and `web.RequestHandler` without an underscore are overridden. aiohttp has no other place
where bytes can be counted before a request exists, or where its plain text about an unparsable request can be replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import urandom
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from service.app_keys import LOGGER, METRICS
from service.commands.writer import Unavailable
from service.header_names import SERVER_HEADERS
from service.http.fields import MOST_BYTES, MOST_LINES
from service.http.problem_responses import problem_response
from service.http.unsent import MeasuredConnection, Unsent
from service.limits import MOST_CONNECTIONS, REFUSED_AT_ONCE
from service.problems import KINDS, Kind, Problem

HEAD_AT_ONCE = 2**14
"""Most bytes that are received from one connection in one turn of the event loop while no body arrives on it: a turn
receives from all connections before any of the bytes is parsed."""
BODY_AT_ONCE = 2**16
"""Most bytes of a body that are received from one connection in one turn of the event loop."""
SMALL_BYTES = 2**12
"""Bytes of requests that have not begun that each connection may hold, however much the others hold."""
MOST_EACH_BYTES = 2**20
"""Most bytes of requests that have not begun on one connection: the largest header section, and pipelined requests."""
MOST_AHEAD_BYTES = 16 * 2**20
"""Most bytes of requests that have not begun on all connections, without `SMALL_BYTES` of each. In memory they take up
to five times as much: as bytes, and as text of four bytes a character."""
BREAK_SECONDS = 0.5
"""Time for the response to a request that is broken off at the stop of the server."""
LINGER_SECONDS = 1.0
"""Time in which input is discarded after a last response: closing immediately could destroy the response."""
MOST_LINGERING = 64
"""Connections that discard input at a time: each holds its unparsable bytes meanwhile."""
LARGE_BYTES = 2**17
"""A connection that holds more than this is closed immediately after its last response."""
_TOO_LARGE = f"the request line or a header has more than {MOST_BYTES} bytes, or there are over {MOST_LINES} headers"
_MALFORMED = "not HTTP: the request line or a header is malformed, or Host is missing"
_TOO_MANY_HEADERS = "Too many headers received"
_NO_HTTP = b"\x00"
"""A byte that no request line and no header can contain."""


class Connections:
    """The open connections of a server, and the bytes they hold of requests that have not begun."""

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._open = 0
        # Each in the order in which the connections came into this state.
        self._fresh: dict[Connection, None] = {}
        self._all_began = asyncio.Event()
        """Whether no connection is fresh."""
        self._all_began.set()
        self._idle: dict[Connection, None] = {}
        self._holding: dict[Connection, int] = {}
        self._ahead = 0
        self._lingering = 0

    def opened(self, connection: Connection) -> bool:
        """Count a new connection. If there are too many, close the one that has waited longest for a request: one whose
        first request has not begun, if there is any.

        Return whether there is room: there is none if all others have a request in progress.
        """
        self._open += 1
        if self._open > self._most:
            longest = next(iter(self._fresh or self._idle), None)
            if longest is None:
                return False
            self.busy(longest)
            longest.drop()
        self._fresh[connection] = None
        self._all_began.clear()
        return True

    @property
    def is_crowded(self) -> bool:
        """Whether there are too many connections to answer a new one with 503."""
        return self._open > self._most + REFUSED_AT_ONCE

    def closed(self, connection: Connection) -> None:
        """Count a connection no longer."""
        self._open -= 1
        self.busy(connection)

    def busy(self, connection: Connection) -> None:
        """Note that a request of the connection has begun."""
        self._fresh.pop(connection, None)
        self._idle.pop(connection, None)
        if not self._fresh:
            self._all_began.set()

    def idle(self, connection: Connection) -> None:
        """Note that the request of the connection is answered."""
        self._idle[connection] = None

    async def first_requests(self, seconds: float) -> None:
        """Wait until the first request of every connection has begun, so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_began.wait()

    @contextmanager
    def lingering(self) -> Iterator[bool]:
        """Count a connection that discards input; yield whether it may, or there are too many."""
        self._lingering += 1
        try:
            yield self._lingering <= MOST_LINGERING
        finally:
            self._lingering -= 1

    def hold(self, connection: Connection, size: int) -> None:
        """Note how many bytes a connection holds of requests that have not begun.

        If all together hold too much, refuse the connections that have held some for longest: a request that is
        complete begins immediately, so theirs are incomplete.
        """
        self._ahead += size - self._holding.pop(connection, 0)
        if size:
            self._holding[connection] = size
        while self._ahead > MOST_AHEAD_BYTES:
            next(iter(self._holding)).refuse(Problem(Kind.OVERLOADED, "incomplete requests take too much memory"))


class BoundedServer(web.Server):
    """A server of an application, over at most so many connections. `options` are those of `web.RequestHandler`."""

    def __init__(self, app: web.Application, server: web.Server, most: int, options: Mapping[str, Any]) -> None:
        """`server`: the server that the runner of the application has made, for its handler and its requests."""
        super().__init__(server.request_handler, request_factory=server.request_factory)
        self.open = Connections(most)
        self._unsent = Unsent()
        self._app = app
        self._options = options
        self._buffer = memoryview(bytearray(BODY_AT_ONCE))

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        loop = asyncio.get_running_loop()
        return Connection(self._app, self._unsent, self.open, self._buffer, self, loop=loop, **self._options)


class Connection(MeasuredConnection, asyncio.BufferedProtocol):
    """One connection of a client: its requests, one after the other."""

    __slots__ = (
        "_ahead",
        "_at_once",
        "_buffer",
        "_connections",
        "_content",
        "_is_over",
        "_last",
        "_lost",
        "_refusal",
        "retry_time",
    )

    def __init__(
        self,
        app: web.Application,
        all_unsent: Unsent,
        connections: Connections,
        buffer: memoryview,
        *arguments: Any,
        **more: Any,
    ) -> None:
        """`buffer`: for input; all connections share it, as each input is copied before the next one is received."""
        super().__init__(app, all_unsent, *arguments, **more)
        self._connections = connections
        self._buffer = buffer
        self._at_once = HEAD_AT_ONCE
        self._content: StreamReader | None = None
        """The body of the last request that has begun."""
        self._ahead = 0
        """Bytes received of requests that have not begun."""
        self._refusal: Problem | None = None
        """The problem of a connection that is refused for another reason than malformed bytes."""
        self._is_over = False
        """Whether input is ignored from now on."""
        self._last: web.BaseRequest | None = None
        """The request whose response is the last one."""
        self._lost = asyncio.Event()
        self.retry_time = 0.0
        """When a client that was rejected may post again, on the event loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or answer 503 if too many connections are open."""
        super().connection_made(transport)
        if not self._connections.opened(self):
            if self._connections.is_crowded:
                self.drop()
            else:
                self.refuse(Problem(Kind.BUSY, "too many connections are open"))

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as aiohttp calls it
        """End the request in progress within `timeout` seconds, then break it off.

        aiohttp alone would wait twice as long, and for ever for a client that reads nothing.
        """
        ending = asyncio.ensure_future(super().shutdown(None))
        try:
            await asyncio.wait({ending}, timeout=timeout)
            if not ending.done():
                if self._content is not None:
                    self._content.set_exception(Unavailable("the registry is stopping"))
                await asyncio.wait({ending}, timeout=BREAK_SECONDS)
        finally:
            ending.cancel()
        self.drop()
        await super().shutdown(_NOW)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End: release everything that is held for the connection."""
        self._connections.closed(self)
        self._hold(0)
        self._lost.set()
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as asyncio calls it
        """Return the buffer for the next input."""
        return self._buffer[: self._at_once]

    def buffer_updated(self, nbytes: int) -> None:
        """Take the input that was written to the buffer."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take input, unless the input before it was not HTTP, or the connection holds too much.

        aiohttp stops to parse while many requests wait. It calls this without bytes to parse the rest.
        """
        if not data:
            super().data_received(data)
            return
        if self._is_over:
            return
        content = self._content
        if content is None or content.is_eof():
            self._hold(self._ahead + len(data))
        elif content.exception() is not None:
            return  # the body cannot be parsed, so its end is unknown
        if not self._is_over:
            super().data_received(data)

    def began(self, request: web.BaseRequest) -> None:
        """Note that a request has begun: its bytes no longer count as held.

        Raise the problem of a connection that was refused before, if the request has a body: the rest was ignored.
        """
        self._connections.busy(self)
        self._content = content = request.content
        self._at_once = HEAD_AT_ONCE if content.is_eof() else BODY_AT_ONCE
        left = 0
        if self._ahead > SMALL_BYTES and content.is_eof():  # else no later request has arrived yet
            left = max(0, self._ahead - _head_bytes(request) - content.total_bytes)
        self._hold(left)
        if self._refusal is not None and request.can_read_body:
            self._last = request
            content.feed_eof()
            raise self._refusal

    def is_last(self, request: web.BaseRequest) -> bool:
        """Return whether the connection ends with the response to a request."""
        return request is self._last

    def ended(self) -> None:
        """Note that the last request is answered."""
        self._connections.idle(self)

    def drop(self) -> None:
        """Close immediately, also in the middle of a request."""
        self._is_over = True
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes the request
    ) -> web.StreamResponse:
        """Return the response to a request that cannot be parsed, or that failed outside of the middleware."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has gone, which is no fault
        problem = self._refusal or _problem(status, exc)
        # The text of a parser's error quotes the request, and the frames of its traceback hold all of the input.
        error = type(exc).__name__ if isinstance(exc, HttpProcessingError) else repr(exc)
        if exc is not None:
            exc.__traceback__ = None
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
            raise ConnectionResetError("a response has begun already")
        response = problem_response(problem, request_id)
        response.headers.update(SERVER_HEADERS)
        response.force_close()
        if status == 400:
            self._is_over = True
            self._last = request
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; after the last one, discard input for a while."""
        finished = await super().finish_response(request, resp, start_time)
        if self.is_last(request):
            await self._linger()
        return finished

    def refuse(self, problem: Problem) -> None:
        """Ignore further input, and send a problem after the responses to earlier requests.

        It gives the parser a byte that is not HTTP, so that aiohttp calls `handle_error` after these responses. If a
        body is arriving, the byte becomes a part of it, and `began` raises the problem. Complete requests that aiohttp
        parses in one step with the byte are dropped.
        """
        self._connections.hold(self, 0)
        if not self._is_over and self.transport is not None and not self.transport.is_closing():
            self._refusal = problem
            super().data_received(_NO_HTTP)
        self._is_over = True

    def _hold(self, ahead: int) -> None:
        """Set how many bytes are held of requests that have not begun."""
        before, self._ahead = self._ahead, ahead
        if ahead > MOST_EACH_BYTES:
            self.refuse(Problem(Kind.HEADERS_TOO_LARGE, _TOO_LARGE))
        elif max(before, ahead) > SMALL_BYTES:
            self._connections.hold(self, max(0, ahead - SMALL_BYTES))

    async def _linger(self) -> None:
        """End the output and discard input until the client has closed the connection, for a short time at most."""
        with self._connections.lingering() as may_linger:
            transport = self.transport
            if may_linger and self._ahead <= LARGE_BYTES and transport is not None and transport.can_write_eof():
                transport.write_eof()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await self._lost.wait()


_NOW = 0.001
"""Timeout of a shutdown that waits for nothing; aiohttp takes 0 as none."""


def _problem(status: int, error: BaseException | None) -> Problem:
    """Return the problem of a request that could not be parsed or that failed. It quotes nothing of the request."""
    if status != 400:
        return Problem(Kind.INTERNAL)
    if isinstance(error, LineTooLong) or (
        isinstance(error, HttpProcessingError) and error.message == _TOO_MANY_HEADERS
    ):
        return Problem(Kind.HEADERS_TOO_LARGE, _TOO_LARGE)
    return Problem(Kind.MALFORMED, _MALFORMED)


def _head_bytes(request: web.BaseRequest) -> int:
    """Return the length of a request's line and headers as the client most likely sent them."""
    line = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers)
