"""Jobs: modules of the service that run in processes of their own, and that the server can end at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import IO

CHUNK = 64 * 1024
_SHOWN = 2000


class JobFailed(Exception):
    """The process ended with an error. The text holds its status, and the end of what it wrote to standard error."""


class Job:
    """A process that runs, and the processes it started: they are one process group."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._output, self._errors = process, process.stdout, process.stderr

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._process.pid

    async def read(self) -> bytes:
        """Return the next bytes of the output; none once the process has done its work. Raises JobFailed."""
        chunk = await self._output.read(CHUNK)
        if not chunk and (status := await self._process.wait()) != 0:
            errors = (await self._errors.read()).decode(errors="replace").strip()
            raise JobFailed(f"status {status}: {errors[-_SHOWN:]}")
        return chunk

    async def finish(self) -> None:
        """Wait until the process has done its work. Raises JobFailed."""
        while await self.read():
            pass

    def kill(self) -> None:
        """End the process group. After that, `read` raises JobFailed."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """End the process group wherever it is, and wait for the process."""
        self.kill()
        for pipe in (self._output, self._errors):
            while await pipe.read(CHUNK):  # `wait` does not return while a pipe holds bytes
                pass
        await self._process.wait()


@asynccontextmanager
async def job(module: str, *arguments: str, stdin: int | IO[bytes] = DEVNULL) -> AsyncIterator[Job]:
    """Run a module with these arguments; the end of the block ends the process. Raises OSError if it cannot start.

    The module imports nothing from the working directory. `stdin`: an open file that it reads.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments, stdin=stdin, stdout=PIPE, stderr=PIPE, process_group=0
    )
    started = Job(process)
    try:
        yield started
    finally:
        await started.end()


def end_with(parent: int) -> Callable[[int], None]:
    """Return a progress report that ends this process immediately if its parent is no longer `parent`."""

    def report(_: int) -> None:
        if os.getppid() != parent:
            os._exit(1)

    return report
