"""Overload protection: rejects posts before their body is read while the write queue is full, and spreads their
retries. A post that finds room is never delayed."""

from __future__ import annotations

import asyncio
from math import ceil

from aiohttp import hdrs, web

from service.app_keys import METRICS, REQUEST_ID, WRITER
from service.commands.write_queue import MAX_QUEUED_BYTES
from service.http.connections import Connection
from service.http.problem_responses import problem_response
from service.problems import Kind, Problem

RECORDED = 2
"""Events that are recorded for each post that may be retried. A rejection takes time too: if all rejected clients
retried at once, nothing else would be done."""
LEAST_SECONDS = 0.0005
LATEST_SECONDS = 30.0
HELD_SECONDS = 1.0
"""The longest delay of the response to a post that is retried before its `Retry-After`."""


class RetryTimes:
    """The times at which rejected posts may be retried, one after the other."""

    def __init__(self) -> None:
        self._last = 0.0

    def after(self, now: float, each: float) -> float:
        """Return the next time, on the event loop's clock as `now` is. `each`: seconds to record one event."""
        apart = max(RECORDED * each, LEAST_SECONDS)
        self._last = min(max(now, self._last + apart), now + LATEST_SECONDS)
        return self._last


RETRY_TIMES: web.AppKey[RetryTimes] = web.AppKey("retry times", RetryTimes)


async def rejection(request: web.Request) -> web.Response | None:
    """Return the 503 response to a post for which the write queue has no room; None if there is room.

    A post that is retried too early on the same connection first waits, for a short time at most.
    """
    writer, size = request.app[WRITER], request.content_length or 0
    if size > MAX_QUEUED_BYTES or not writer.is_full(size):
        return None  # a body larger than the whole queue gets 413 where it is read
    connection, loop = request.protocol, asyncio.get_running_loop()
    assert isinstance(connection, Connection)
    if (early := connection.retry_time - loop.time()) > 0:
        await asyncio.sleep(min(early, HELD_SECONDS))
        if not writer.is_full(size):
            return None
    now = loop.time()
    connection.retry_time = request.app[RETRY_TIMES].after(now, writer.seconds_per_event)
    request.app[METRICS].refused(Kind.OVERLOADED)
    seconds = str(max(1, ceil(connection.retry_time - now)))
    problem = Problem(Kind.OVERLOADED, "the write queue is full", headers={hdrs.RETRY_AFTER: seconds})
    return problem_response(problem, request[REQUEST_ID])
