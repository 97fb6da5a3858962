"""What was erased from the log is erased everywhere else: from its write-ahead log, from the views and their search
index, from what is kept in memory. Whoever had it erased is answered only then.

The log says what is to be gone, so a crash at any moment loses nothing: a start finds views that count fewer erasures
than the log and folds them anew. Nothing here ever decides what is erased.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from projections.views import StaleViews
from service.app_keys import LIVE, LOGGER, LOGS, READY, SETTINGS, WRITER
from service.commands.writer import Unavailable
from service.data_directory import VIEWS_ERASED, remove_unused_views
from service.http.response_cache import KEPT_ANSWERS
from service.jobs import job
from service.views import rebuild
from service.views.replay_jobs import REPLAYS

AGAIN_SECONDS = 5.0
_REASON = "what was erased from the log is not yet erased from the views; it is tried again every few seconds"


class Erasing:
    """Brings the files of one application in step with what its log has erased. Belongs to the loop's thread."""

    def __init__(self, app: web.Application) -> None:
        """The views are in step with the log."""
        self._app = app
        self._lock = asyncio.Lock()
        self._done = app[LOGS].here.erasures()
        self._again: asyncio.Task[None] | None = None

    async def finish(self) -> None:
        """Returns once nothing of what the log has erased is left in any file or cache.

        Raises Unavailable where that failed; it is then tried again by itself.
        """
        async with self._lock:
            try:
                while self._done != (count := self._app[LOGS].here.erasures()):
                    try:
                        await self._erase()
                    except StaleViews:  # more was erased meanwhile: once more, without that too
                        if count == self._app[LOGS].here.erasures():
                            raise
                    else:
                        self._done = count
            except Exception as error:
                self._app[LOGGER].exception("what was erased could not be erased everywhere")
                self._app[READY].block(_REASON)
                if self._again is None:
                    self._again = asyncio.create_task(self._retry(), name="erasing")
                raise Unavailable(f"it is recorded, and erased from the log; {_REASON}") from error
        self._app[READY].unblock(_REASON)

    async def stop(self) -> None:
        """Gives up what is under way; the next start ends it."""
        if self._again is not None:
            self._again.cancel()
            with suppress(asyncio.CancelledError):
                await self._again

    async def _retry(self) -> None:
        while self._done != self._app[LOGS].here.erasures():
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(Unavailable):
                await self.finish()
        self._again = None

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
        app[KEPT_ANSWERS].clear()


async def erasing(app: web.Application) -> AsyncIterator[None]:
    """While the application runs, posts that have something erased wait until it is gone everywhere."""
    work = Erasing(app)
    app[WRITER].erased = work.finish
    yield
    app[WRITER].erased = None
    await work.stop()
