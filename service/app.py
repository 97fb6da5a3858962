"""Application: creates the parts in cleanup contexts, in the order of their dependencies, and adds the routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from typing import BinaryIO

from aiohttp import web

from service import data_directory, store
from service.api_keys import Keys
from service.app_keys import (
    CLEAR_CACHES,
    CLOCK,
    HEAD,
    KEYS,
    LIVE,
    LOG_WRITER,
    LOGGER,
    LOGS,
    METRICS,
    READY,
    REQUEST_LOG,
    SETTINGS,
    STARTED,
    STOPPING,
    WRITER,
)
from service.clock import Clock, system_time
from service.commands.redaction import erasing
from service.event_log.readers import LogReaders
from service.feed import LiveFeed
from service.http import (
    digests,
    events_get,
    events_post,
    health,
    openapi,
    proofs,
    search,
    stream,
    texts,
    tlog,
    unrouted,
    views,
)
from service.http.access import VERIFIED, Verified
from service.http.api_document import Document, document
from service.http.bodies import ARRIVING, Arriving
from service.http.connections import BoundedServer
from service.http.fields import MOST_BYTES, MOST_LINES
from service.http.middleware import finish, middleware
from service.http.operations import DESCRIBED
from service.http.origins import ORIGINS, Origins
from service.http.rate_limit import RATE_LIMITER, RateLimiter
from service.logging import LogWriter, make_logger
from service.metrics import Metrics, Readiness, RequestLog
from service.pages import routes
from service.settings import Settings
from service.transparency import checkpoint, witnesses
from service.views import readers, rebuild, replay_jobs

_HTTP = {
    "access_log": None,  # `service.http.middleware` logs each request
    "auto_decompress": False,  # a compressed body is refused
    "keepalive_timeout": 75.0,  # also for a request whose head is never complete
    "read_bufsize": 2**16,  # memory of each connection for a body that is not read yet
    "max_line_size": MOST_BYTES,
    "max_field_size": MOST_BYTES,
    "max_headers": MOST_LINES,
}
FIRST_REQUEST_SECONDS = 1.0
"""Time in which the first request of a connection can still begin when the server stops."""


def make_app(
    settings: Settings, *, clock: Callable[[], datetime] = system_time, log: BinaryIO | None = None
) -> web.Application:
    """Return the application of a data directory. After its start the store is open and the views are caught up.

    Log lines go to the file `log`, by default to standard error. The start raises what `service.store.open_store`
    raises, and CannotSign.
    """
    app = web.Application(middlewares=[middleware])
    app[SETTINGS] = settings
    app[METRICS] = Metrics()
    app[LOG_WRITER] = writer = LogWriter(log, app[METRICS].log_lines_dropped)
    app[LOGGER] = make_logger(writer)
    app[CLOCK] = Clock(clock, logger=app[LOGGER])
    app[REQUEST_LOG] = RequestLog(app[METRICS], writer)
    app[READY] = Readiness()
    app[STARTED] = asyncio.Event()
    app[STARTED].set()
    app[STOPPING] = asyncio.Event()
    app[CLEAR_CACHES] = []
    app[ARRIVING] = Arriving()
    app[ORIGINS] = Origins(settings.origins)
    app[RATE_LIMITER] = RateLimiter(settings.rate) if settings.rate else None
    app.on_response_prepare.append(finish)
    app.on_shutdown.append(_stop)
    app.cleanup_ctx.extend(
        (
            _logging,
            _storing,
            _verifying_keys,
            readers.reading,
            checkpoint.publishing,
            witnesses.witnessing,
            rebuild.rebuild_watch,
            replay_jobs.replaying,
            erasing,
        )
    )
    for resource in (
        stream,
        events_get,
        events_post,
        proofs,
        tlog,
        digests,
        search,
        views,
        texts,
        health,
        openapi,
        routes,
        unrouted,  # last
    ):
        resource.add_routes(app)
    return app


@asynccontextmanager
async def running(app: web.Application, *, connections: int, stop_seconds: float) -> AsyncIterator[web.BaseRunner]:
    """Start an application; yield a runner, whose sites accept so many connections at most. Stop it at the end.

    Requests in progress end within `stop_seconds`. Raise what the start raises.
    """
    application = web.AppRunner(app)
    try:
        await application.setup()
        assert application.server is not None
        server = BoundedServer(app, application.server, connections, _HTTP)
        runner = web.ServerRunner(server, shutdown_timeout=stop_seconds)
        await runner.setup()
        try:
            yield runner
        finally:
            await app.shutdown()  # requests that last end themselves
            await server.open.first_requests(FIRST_REQUEST_SECONDS)
            await runner.cleanup()
    finally:
        await application.cleanup()


def api_document() -> Document:
    """Return the OpenAPI document of the application. No data directory is opened."""
    rows = make_app(Settings())[DESCRIBED]
    return document(rows)


async def _logging(app: web.Application) -> AsyncIterator[None]:
    yield
    app[LOG_WRITER].close()


async def _storing(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    async with store.open_store(
        settings.data, clock=app[CLOCK], started=app[STARTED], logger=app[LOGGER], metrics=app[METRICS]
    ) as opened:
        store.fix_origin(opened.log, settings.origin)
        app[WRITER], app[HEAD] = opened.writer, opened.head
        with closing(LogReaders(opened.log)) as logs:
            app[LOGS] = logs
            app[LIVE] = live = LiveFeed(opened.writer.recorded, logs.here)
            waking = asyncio.create_task(live.run(), name="live")
            yield
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)


async def _verifying_keys(app: web.Application) -> AsyncIterator[None]:
    with closing(Keys(app[SETTINGS].data / data_directory.KEYS)) as keys:
        app[KEYS], app[VERIFIED] = keys, Verified(keys)
        yield


async def _stop(app: web.Application) -> None:
    """End the requests that last, before the server waits for the others."""
    app[STOPPING].set()
    app[HEAD].wake()
    app[LIVE].wake()
