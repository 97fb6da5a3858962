"""Replay jobs: replays for requests, each a process of its own (`service.views.replay`), a few at a time.

A process ends as soon as its client is gone, and with the application. Its files are then removed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

from aiohttp import web

from service.app_keys import SETTINGS
from service.jobs import Job, job
from service.worker_pool import cores

MOST = 2
"""Replays at a time. More would share the same processor time, which the server leaves to them."""
LARGE = 50_000
"""Events from which on a replay is shared among processes. Their start takes as long as to fold some ten thousand."""
_PREFIX = "replay-"


class TooManyReplays(Exception):
    """`MOST` replays are running. The same request may succeed later."""


class Replays:
    """Starts replays of the log in a data directory, which this process holds. Belongs to the event loop's thread."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._count = 0
        self._jobs: set[Job] = set()

    @asynccontextmanager
    async def start(self, view: str, until: int) -> AsyncIterator[Job]:
        """Run a replay for as long as the block lasts. Raises TooManyReplays, and OSError if no process can start."""
        if self._count >= MOST:
            raise TooManyReplays(f"{MOST} replays are running, which is the limit")
        self._count += 1
        try:
            folder = await asyncio.to_thread(mkdtemp, prefix=_PREFIX, dir=self._data)
            try:
                processes = cores() if until >= LARGE else 1
                arguments = (str(self._data), folder, view, str(until), str(processes))
                async with job("service.views.replay", *arguments) as replay:
                    self._jobs.add(replay)
                    try:
                        yield replay
                    finally:
                        self._jobs.discard(replay)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            self._count -= 1

    def kill(self) -> None:
        """End every replay, as data they have read was erased. Their readers get JobFailed."""
        for each in self._jobs:
            each.kill()

    def tidy(self) -> None:
        """Remove the files of replays that were killed together with the server."""
        for folder in self._data.glob(f"{_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)


REPLAYS: web.AppKey[Replays] = web.AppKey("replays", Replays)


async def replaying(app: web.Application) -> AsyncIterator[None]:
    """Provide replays while the application runs."""
    app[REPLAYS] = replays = Replays(app[SETTINGS].data)
    await asyncio.to_thread(replays.tidy)
    yield
