"""Replays for requests: each a process of its own (see `service.views.replay`), a few at a time. A process is ended and
waited for as soon as nobody reads it any longer, and what it may have left is removed; none outlives the
application."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from aiohttp import web

from service.app_keys import SETTINGS
from service.views.cores import cores

MOST = 2
"""Replays at a time: more would each take a part of what the server leaves."""
CHUNK = 64 * 1024
LARGE = 20_000
"""Events from which on a replay is shared among processes: to start them takes as long as to fold a few thousand."""
_PREFIX = "replay-"
_SHOWN = 2000


class TooMany(Exception):
    """As many replays as there may be are under way. The same again may work later."""


class ReplayFailed(Exception):
    """The process ended before it had written everything. Its text is what the process said last."""


class Replay:
    """One replay under way."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._output, self._errors = process, process.stdout, process.stderr

    async def read(self) -> bytes:
        """The next bytes; none once the view is complete. Raises ReplayFailed."""
        chunk = await self._output.read(CHUNK)
        if not chunk and (status := await self._process.wait()) != 0:
            said = (await self._errors.read()).decode(errors="replace").strip()
            raise ReplayFailed(f"status {status}: {said[-_SHOWN:]}")
        return chunk

    def cut_off(self) -> None:
        """Ends the process, and those that share its work; `read` will say that it failed."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Ends the process wherever it is, and waits for it."""
        self.cut_off()
        for pipe in (self._output, self._errors):
            while await pipe.read(CHUNK):  # else a pipe that nobody reads keeps `wait` waiting
                pass
        await self._process.wait()


class Replays:
    """Starts replays of the log in a data directory, which this process holds. Made and used on the loop's thread."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._under_way = 0
        self._replays: set[Replay] = set()

    @asynccontextmanager
    async def begun(self, view: str, until: int) -> AsyncIterator[Replay]:
        """A replay, for as long as the block lasts. Raises TooMany, and OSError where no process can be started."""
        if self._under_way >= MOST:
            raise TooMany(f"{MOST} replays are under way; there are no more at a time")
        self._under_way += 1
        try:
            folder = await asyncio.to_thread(mkdtemp, prefix=_PREFIX, dir=self._data)
            try:
                processes = cores() if until >= LARGE else 1
                arguments = (
                    "-P",
                    "-m",
                    "service.views.replay",
                    str(self._data),
                    folder,
                    view,
                    str(until),
                    str(processes),
                )
                process = await asyncio.create_subprocess_exec(
                    sys.executable, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, process_group=0
                )
                replay = Replay(process)
                self._replays.add(replay)
                try:
                    yield replay
                finally:
                    self._replays.discard(replay)
                    await replay.end()
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            self._under_way -= 1

    def cut_off(self) -> None:
        """Ends every replay under way: what it folds was erased. Whoever reads one is told that it broke off."""
        for replay in self._replays:
            replay.cut_off()

    def tidy(self) -> None:
        """Removes what replays left that were cut off together with the server."""
        for folder in self._data.glob(f"{_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)


REPLAYS: web.AppKey[Replays] = web.AppKey("replays", Replays)


async def replaying(app: web.Application) -> AsyncIterator[None]:
    """Makes replays possible while the application runs."""
    app[REPLAYS] = replays = Replays(app[SETTINGS].data)
    await asyncio.to_thread(replays.tidy)
    yield
