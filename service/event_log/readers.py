"""Log readers: read the log for requests, on the event loop for short reads, on threads for long ones."""

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
    """One reader for the event loop, and one for each thread. Created, used and closed on the loop's thread."""

    def __init__(self, log: Log, threads: int = THREADS) -> None:
        self._here = log.reader()
        self._opened = [self._here]
        self._of_thread = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="log", initializer=self._open, initargs=(log,))

    @property
    def here(self) -> LogReader:
        """The reader of the loop's thread, for single events and short reads."""
        return self._here

    def find(self, source: str, event_id: str) -> LoggedEvent | None:
        """Return the event named by (`source`, `event_id`)."""
        return self._here.find(source, event_id)

    async def ask(self, question: Callable[[LogReader], T]) -> T:
        """Return the result of `question`, run on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, question)

    def close(self) -> None:
        """Wait for running reads and close."""
        self._pool.shutdown()
        for reader in self._opened:
            reader.close()

    def _open(self, log: Log) -> None:
        self._of_thread.reader = reader = log.reader()
        self._opened.append(reader)

    def _answer(self, question: Callable[[LogReader], T]) -> T:
        return question(self._of_thread.reader)
