"""Readers of the log for requests: one on the event loop for short reads, some on threads for long ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.event_log import Log, LoggedEvent, LogReader

THREADS = 2

T = TypeVar("T")


class LogReaders:
    """Reads committed events. Created, used and closed on the loop's thread."""

    def __init__(self, log: Log, threads: int = THREADS) -> None:
        self._here = log.reader()
        self._opened = [self._here]
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="log", initializer=self._open, initargs=(log,))

    @property
    def here(self) -> LogReader:
        """The reader of the loop's thread, for single events and short reads."""
        return self._here

    def find(self, source: str, id_: str) -> LoggedEvent | None:
        """Return the event recorded under a source and id."""
        return self._here.find(source, id_)

    async def ask(self, question: Callable[[LogReader], T]) -> T:
        """Return the result of `question`, run on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._asked, question)

    def close(self) -> None:
        """Wait for running reads and close."""
        self._pool.shutdown()
        for reader in self._opened:
            reader.close()

    def _open(self, log: Log) -> None:
        self._own.reader = reader = log.reader()
        self._opened.append(reader)

    def _asked(self, question: Callable[[LogReader], T]) -> T:
        return question(self._own.reader)
