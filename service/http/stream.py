"""GET /v1/events/stream: the log as live server-sent events. Each client gets every event once, in order, from its last
position on: from the events that all streams share in memory, or from the log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from aiohttp import hdrs, web

from service.app_keys import LIVE, LOGS, METRICS, STOPPING, WRITER
from service.event_log import LoggedEvent, LogReader
from service.feed import BATCH, frame
from service.http.log_filter import FILTERS, Filter, filter_of
from service.http.operations import QUERY, Answer, Operation, Parameter, add
from service.problems import Kind, Problem

HEARTBEAT_SECONDS = 15.0
"""After this time without an event a comment is sent."""
GONE_SECONDS = 1.0
"""The interval in which a closed connection is noticed."""
_LITTLE = 2**16
"""Fewer bytes can always be buffered, without waiting for the client."""
RETRY_MILLISECONDS = 2000
WAIT_SECONDS = 5.0
LAST_EVENT_ID = "Last-Event-ID"

_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


async def stream(request: web.Request) -> web.StreamResponse:
    """Stream the events after the client's position for as long as the client stays."""
    values = request[QUERY]
    wanted = filter_of(values)
    recorded = request.app[WRITER].recorded
    position = _resumed(request)
    if position is None:
        position = int(values["after"][0]) if "after" in values else recorded.position
    if not await recorded.reached(position, WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"this node is at position {recorded.position}, before {position}")
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",  # so that proxies do not buffer events
        }
    )
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    with request.app[METRICS].streaming():
        reader = _Reader(request, response, position, wanted)
        await reader.send(b"retry: %d\n\n" % RETRY_MILLISECONDS)
        await _follow(request.app, reader)
    return response


class _Reader:
    """One client of the stream. Its position is all that is stored for it."""

    def __init__(self, request: web.Request, response: web.StreamResponse, position: int, wanted: Filter) -> None:
        self.position = position
        self.wanted = wanted
        self.passes: Callable[[LoggedEvent], bool] | None = None if wanted == Filter() else wanted.passes
        self._request = request
        self._response = response
        self._loop = asyncio.get_running_loop()
        self._sent = self._loop.time()

    @property
    def silence(self) -> float:
        """Seconds until the next comment is due."""
        return self._sent + HEARTBEAT_SECONDS - self._loop.time()

    @property
    def is_gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self._request.transport is None

    def takes(self, size: int) -> bool:
        """Return whether so many bytes can be sent without waiting."""
        transport = self._request.transport
        return transport is None or transport.get_write_buffer_size() + size < _LITTLE

    async def send(self, chunk: bytes) -> None:
        """Send bytes. Raise ConnectionError if the client has gone."""
        self._sent = self._loop.time()
        await self._response.write(chunk)


async def _follow(app: web.Application, reader: _Reader) -> None:
    live, recorded = app[LIVE], app[WRITER].recorded
    while not app[STOPPING].is_set():
        if reader.position < recorded.position:
            found = live.after(reader.position, reader.passes)
            if found is None:
                found = await app[LOGS].ask(_caught_up(reader.wanted, reader.position, recorded.position))
            chunk, reader.position = found
            if chunk:
                await reader.send(chunk)
            await asyncio.sleep(0)  # between batches, other requests have their turn
        elif reader.silence <= 0:
            await reader.send(b":\n\n")
        elif reader.is_gone:
            return
        else:
            await live.follow(reader, min(reader.silence, GONE_SECONDS))


def _caught_up(wanted: Filter, after: int, until: int) -> Callable[[LogReader], tuple[bytes, int]]:
    def read(log: LogReader) -> tuple[bytes, int]:
        events = wanted.read(log, after, until, BATCH)
        last = events[-1].position if len(events) == BATCH else until
        return b"".join(map(frame, events)), last

    return read


def _resumed(request: web.Request) -> int | None:
    text = request.headers.get(LAST_EVENT_ID, "").strip()
    if not text:
        return None
    if not _POSITION.fullmatch(text):
        raise Problem(Kind.MALFORMED, f"{LAST_EVENT_ID} is a position")
    return int(text)


PARAMETERS = (
    Parameter(
        "after",
        "Start after this position; 0 is the whole log. Default: only events recorded from now on.",
        {"type": "integer", "minimum": 0},
    ),
    *FILTERS,
    Parameter(
        LAST_EVENT_ID,
        "Resume after this position; overrides `after`. Browsers send it by themselves.",
        {"type": "string", "pattern": "^[0-9]+$"},
        where="header",
    ),
)
OPERATIONS = (
    Operation(
        "GET",
        "/v1/events/stream",
        "streamEvents",
        "events",
        "The log as a live stream",
        stream,
        answers={
            200: Answer(
                "Server-sent events, each once and in order: the id is the position, the data is the event as"
                " `/v1/events/{position}` answers it. A comment is sent when there is silence.",
                {"text/event-stream": {"type": "string"}},
            )
        },
        parameters=PARAMETERS,
        problems=(400, 401, 403, 422, 503),
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
