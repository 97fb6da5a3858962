"""What becomes of a crowd that posts more than can be recorded: whoever finds no room is told so at once, and when to
come again. To say no takes time too, and a crowd that asks again and again would take it from those who were let in:
fewer may come again than are recorded meanwhile. It never holds up who finds room."""

from __future__ import annotations

import asyncio
from math import ceil

from aiohttp import web

from service.app_keys import METRICS, REQUEST_ID, WRITER
from service.commands.write_queue import MAX_QUEUED_BYTES
from service.http.connections import Connection
from service.http.problem_responses import MEDIA_TYPE
from service.http.responses import CompleteResponse
from service.problems import Kind, Problem

RECORDED = 2
"""So many events are recorded for each post that may come again; to turn it away takes a seventh of one."""
LEAST_SECONDS = 0.0005
LATEST_SECONDS = 30.0
HELD_SECONDS = 1.0
"""The longest that an answer is put off for one who comes again too soon."""
# Made ready, as of a crowd many hear it.
_BODY = Problem(Kind.OVERLOADED, "the write queue is full").body(request_id="%s").replace(b'"%s"', b'"%b"')
_HEADERS = b"Cache-Control: no-cache\r\nRetry-After: %d\r\n"


class RetryTimes:
    """When those who were turned away may come again, one after the other."""

    def __init__(self) -> None:
        self._last = 0.0

    def after(self, now: float, each: float) -> float:
        """The next time at which one may; on the loop's clock, as is `now`. `each` event takes so long to record."""
        apart = max(RECORDED * each, LEAST_SECONDS)
        self._last = min(max(now, self._last + apart), now + LATEST_SECONDS)
        return self._last


RETURNS: web.AppKey[RetryTimes] = web.AppKey("returns", RetryTimes)


async def rejection(request: web.Request) -> CompleteResponse | None:
    """The 503 for a post for which there is no room, before its body is read; None if there is room.

    Who comes again on the same connection before its time waits for that, a while at most, and is then looked at once
    more.
    """
    writer, size = request.app[WRITER], request.content_length or 0
    if size > MAX_QUEUED_BYTES or not writer.is_full(size):
        return None  # what is larger than all that may wait is refused for that, by whoever reads it
    connection, loop = request.protocol, asyncio.get_running_loop()
    assert isinstance(connection, Connection)
    if (early := connection.returns - loop.time()) > 0:
        await asyncio.sleep(min(early, HELD_SECONDS))
        if not writer.is_full(size):
            return None
    now = loop.time()
    connection.returns = request.app[RETURNS].after(now, writer.seconds_per_event)
    request.app[METRICS].refused(Kind.OVERLOADED)
    return CompleteResponse(
        503, _BODY % request[REQUEST_ID].encode(), MEDIA_TYPE, _HEADERS % max(1, ceil(connection.returns - now))
    )
