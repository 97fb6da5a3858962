"""GET /v1/events/stream: the log as server-sent events, live. Every event once, in order, from where a client left off:
each reader holds nothing but its position, and gets what follows it from what all share, or else from the log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from aiohttp import hdrs, web

from service.http.events_get import FILTERS, Filter, filter_of
from service.http.operations import Answer, Operation, Parameter, add, read_query
from service.http.problems import Kind, Problem
from service.live import AT_ONCE, frame
from service.log import LogReader
from service.parts import HEAD, LIVE, LOGS, METRICS, STOPPING

HEARTBEAT_SECONDS = 15.0
"""After so long without an event a comment is sent, as soon as the reader is woken."""
SLOW_SECONDS = 30.0
"""How long a reader may take for what it was sent last; then it is cut off, and may resume."""
_LITTLE = 2**14
"""Fewer bytes than this are never more than a connection takes without waiting for its reader."""
RETRY_MILLISECONDS = 2000
WAIT_SECONDS = 5.0
LAST_EVENT_ID = "Last-Event-ID"

_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


async def stream(request: web.Request) -> web.StreamResponse:
    """Streams what is recorded after the position that the client has, for as long as it stays."""
    values = read_query(request.query, PARAMETERS)
    wanted = filter_of(values)
    head = request.app[HEAD]
    position = _resumed(request)
    if position is None:
        position = int(values["after"][0]) if "after" in values else head.position
    if not await head.reached(position, WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"this node stands at {head.position}, before {position}")
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",  # proxies would else keep events until they have more of them
        }
    )
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    with request.app[METRICS].streaming():
        await _write(request, response, b"retry: %d\n\n" % RETRY_MILLISECONDS)
        await _follow(request, response, position, wanted)
    return response


async def _follow(request: web.Request, response: web.StreamResponse, position: int, wanted: Filter) -> None:
    app = request.app
    head, live, loop = app[HEAD], app[LIVE], asyncio.get_running_loop()
    passes = None if wanted == Filter() else wanted.passes
    silent_until = loop.time() + HEARTBEAT_SECONDS
    while not app[STOPPING].is_set():
        chunk = b""
        if position < head.position:
            found = live.after(position, passes)
            if found is None:
                found = await app[LOGS].ask(_caught_up(wanted, position, head.position))
            chunk, position = found
        if not chunk and loop.time() >= silent_until:
            chunk = b":\n\n"
        if chunk:
            await _write(request, response, chunk)
            silent_until = loop.time() + HEARTBEAT_SECONDS
        if position >= head.position and not app[STOPPING].is_set():
            await live.more()


def _caught_up(wanted: Filter, after: int, until: int) -> Callable[[LogReader], tuple[bytes, int]]:
    def read(log: LogReader) -> tuple[bytes, int]:
        events = wanted.read(log, after, until, AT_ONCE)
        last = events[-1].position if len(events) == AT_ONCE else until
        return b"".join(map(frame, events)), last

    return read


async def _write(request: web.Request, response: web.StreamResponse, chunk: bytes) -> None:
    transport = request.transport
    if transport is not None and transport.get_write_buffer_size() + len(chunk) < _LITTLE:
        await response.write(chunk)  # waits for nobody, so nothing need be timed
        return
    try:
        async with asyncio.timeout(SLOW_SECONDS):
            await response.write(chunk)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the reader is too slow") from None


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
        "Begin after this position; 0 is the whole log. Default: what is recorded from now on.",
        {"type": "integer", "minimum": 0},
    ),
    *FILTERS,
    Parameter(
        LAST_EVENT_ID,
        "Resume after this position; comes before `after`. Browsers send it by themselves.",
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
        "The log as it grows, live",
        stream,
        answers={
            200: Answer(
                "Server-sent events, every one once and in order: the id is the position, the data is the event as"
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
    """Adds what this module answers."""
    add(app, OPERATIONS)
