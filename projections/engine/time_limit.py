"""The time limit of recording and reading on the event loop: longer work is interrupted, and repeated in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

MOST_AHEAD = 32
"""So many steps of work that are known to come, each of some 30 µs, are too many."""
_INSTRUCTIONS = 10_000
"""SQLite is interrupted no later than so many of its instructions after the time is up."""

T = TypeVar("T")


class TooLong(Exception):
    """The work takes longer than the limit. It left nothing; it can be repeated without a limit."""


class Limit:
    """The time that work may take. Without a limit (the default) `check` never raises."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._is_writing = False

    @contextmanager
    def set_to(self, seconds: float, connection: sqlite3.Connection) -> Iterator[None]:
        """Set the limit while the block lasts: `check` raises TooLong after this number of seconds, and running
        statements are interrupted, which raises TooLong at the end of the block.
        """
        self._until = until = perf_counter() + seconds
        connection.set_progress_handler(self._is_over, _INSTRUCTIONS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT and perf_counter() >= until:
                raise TooLong from error
            raise
        finally:
            self.lift(connection)

    def lift(self, connection: sqlite3.Connection) -> None:
        """Remove the limit, if there is one."""
        if self._until is not None:
            self._until = None
            connection.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep SQLite from being interrupted while the block lasts: that would undo the whole transaction."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False

    def each(self, rows: Iterable[T]) -> Iterator[T]:
        """Yield rows as long as there is time. Raise TooLong."""
        for row in rows:
            self.check()
            yield row

    def check(self, ahead: int = 0) -> None:
        """Raise TooLong if the time is up, or if it will not suffice for this number of further steps."""
        if self._until is not None and (ahead > MOST_AHEAD or perf_counter() >= self._until):
            raise TooLong

    def _is_over(self) -> bool:
        return self._until is not None and not self._is_writing and perf_counter() >= self._until
