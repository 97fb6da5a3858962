"""Redaction: erases data that the log has erased from its write-ahead log, the views, the search index and caches.

The request is answered once that is done. The log counts its erasures, so a crash loses nothing: the next start finds
views with fewer erasures than the log, and rebuilds them. This module never decides what is erased.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from projections.views import StaleViews
from service.app_keys import CLEAR_CACHES, LIVE, LOGGER, LOGS, READY, SETTINGS, WRITER
from service.commands.writer import Unavailable
from service.data_directory import VIEWS_ERASED, remove_unused_views
from service.jobs import job
from service.views import rebuild
from service.views.replay_jobs import REPLAYS

RETRY_SECONDS = 5.0
_REASON = "data that was erased from the log is not yet erased from the views; the service retries every few seconds"


class Redaction:
    """Erases data from the files and caches of one application. Belongs to the event loop's thread."""

    def __init__(self, app: web.Application) -> None:
        """The views lack all data that the log has erased."""
        self._app = app
        self._lock = asyncio.Lock()
        self._done = app[LOGS].here.erasures()
        self._retrying: asyncio.Task[None] | None = None

    async def finish(self) -> None:
        """Return once no file or cache holds data that the log has erased.

        Raises Unavailable if that failed; it is then retried in the background.
        """
        async with self._lock:
            try:
                while self._done != (count := self._app[LOGS].here.erasures()):
                    try:
                        await self._erase()
                    except StaleViews:  # more data was erased meanwhile: rebuild again
                        if count == self._app[LOGS].here.erasures():
                            raise
                    else:
                        self._done = count
            except Exception as error:
                self._app[LOGGER].exception("erased data could not be erased everywhere")
                self._app[READY].block(_REASON)
                if self._retrying is None:
                    self._retrying = asyncio.create_task(self._retry(), name="erasing")
                raise Unavailable(f"the event is recorded; {_REASON}") from error
        self._app[READY].unblock(_REASON)

    async def stop(self) -> None:
        """Cancel an erasure in progress; the next start ends it."""
        if self._retrying is not None:
            self._retrying.cancel()
            with suppress(asyncio.CancelledError):
                await self._retrying

    async def _retry(self) -> None:
        while self._done != self._app[LOGS].here.erasures():
            await asyncio.sleep(RETRY_SECONDS)
            with suppress(Unavailable):
                await self.finish()
        self._retrying = None

    async def _erase(self) -> None:
        app = self._app
        app[LIVE].forget()
        app[REPLAYS].kill()
        await app[WRITER].scrub()
        path = app[SETTINGS].data / VIEWS_ERASED
        remove_unused_views(path.parent)
        async with job("service.views.rebuild", str(path), str(os.getpid())) as rebuilding:
            await rebuilding.finish()
        await rebuild.take_over(app, path)
        for clear in app[CLEAR_CACHES]:
            clear()


async def erasing(app: web.Application) -> AsyncIterator[None]:
    """Let posts that erase data wait until it is erased everywhere, while the application runs."""
    work = Redaction(app)
    app[WRITER].erased = work.finish
    yield
    app[WRITER].erased = None
    await work.stop()
