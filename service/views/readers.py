"""Readers of the views: a few, each used by one thread at a time, so that queries neither wait for each other nor block
the event loop.

When the file of the views is replaced, they are opened again. They never write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

from aiohttp import web

from projections.engine.time_limit import TooLong
from projections.reader import Reader
from service.app_keys import SETTINGS
from service.data_directory import VIEWS

THREADS = 2
"""One more than a long query needs. With four, which compete for the interpreter, each list takes a quarter longer."""

LOOP_SECONDS = 0.003
"""A query that takes longer moves from the event loop to a thread."""

T = TypeVar("T")


class Readers:
    """Reads the views in the file at `path`, which exists. Created, reopened and closed on the loop's thread."""

    def __init__(self, path: Path, threads: int = THREADS) -> None:
        self._path = path
        self._lock = Lock()
        self._idle: list[Reader] = []
        self.generation = 0
        """Changes each time the file of the views is replaced."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._here = Reader(path)

    def here(self, question: Callable[[Reader], T]) -> T:
        """Return the result of `question`, run on the calling thread, which is the loop's: only for short queries."""
        return question(self._here)

    async def ask_quick(self, question: Callable[[Reader], T]) -> T:
        """Return the result of `question` about a state: run on the loop, which is cheaper, unless it is slow."""
        try:
            with self._here.limited(LOOP_SECONDS):
                return question(self._here)
        except TooLong:
            return await self.ask(question)

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """Return the result of `question`, run on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, question)

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Allow another file at the path while the block lasts, on any thread: no reader is opened meanwhile.

        Running queries end on the old file, which may have lost its name; later ones read the new file.
        """
        with self._lock:
            self.generation += 1
            for reader in self._idle:
                reader.close()
            self._idle.clear()
            yield

    def reopen(self) -> None:
        """Open the reader of `here` again, on the loop's thread, after `replacing`."""
        before, self._here = self._here, Reader(self._path)
        self._pool.submit(before.close)  # to free its mapped memory takes long

    def close(self) -> None:
        """Wait for running queries and close."""
        self._pool.shutdown()
        for reader in (self._here, *self._idle):
            reader.close()

    def _run(self, question: Callable[[Reader], T]) -> T:
        with self._lock:
            generation = self.generation
            reader = self._idle.pop() if self._idle else Reader(self._path)
        try:
            return question(reader)
        finally:
            with self._lock:
                is_current = generation == self.generation
                if is_current:
                    self._idle.append(reader)
            if not is_current:
                reader.close()


READERS: web.AppKey[Readers] = web.AppKey("readers", Readers)


async def reading(app: web.Application) -> AsyncIterator[None]:
    """Open the readers once the views exist, and close them with the application."""
    app[READERS] = readers = Readers(app[SETTINGS].data / VIEWS)
    yield
    readers.close()
