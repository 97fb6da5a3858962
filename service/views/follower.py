"""From the log to the views: catching up at start and after a failure, and the position that readers wait for. It never
skips an event, and never writes to the log."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from domain.merkle import leaf_hash
from projections.views import Views
from service.commands.log_entry import event_of
from service.event_log import LoggedEvent

AT_ONCE = 1000
"""Events folded between two commits of the views."""
_OBJECTS = 100_000
"""Objects made, and not yet gone, between two searches for cycles, at least: more than are kept at hand while a log is
folded, so that nothing is looked for that goes by itself. With the 700 that Python looks after it took a sixth of a
rebuild."""


class LogPosition:
    """A position that only grows, up to which events are recorded, visible or signed, and the tasks that wait for it.
    Belongs to the loop's thread.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._moved: asyncio.Future[None] | None = None
        self._eager = 0

    def advance(self, position: int) -> None:
        """Move to `position`, never backwards, and wake the tasks that wait."""
        if position <= self.position:
            return
        self.position = position
        self.wake()

    def wake(self) -> None:
        """Wake every task that waits, to check again."""
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)
        self._moved = None

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits that wants new events immediately."""
        return self._eager > 0

    async def moved(self, *, at_once: bool = True) -> None:
        """Return once it has moved on, or `wake` was called; unless `at_once`, this may be a little later."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        self._eager += at_once
        try:
            await asyncio.shield(self._moved)  # many wait for it: one that gives up must not cancel it for the others
        finally:
            self._eager -= at_once

    async def reached(self, position: int, seconds: float) -> bool:
        """Wait for a position, for some seconds at most; return whether it is reached."""
        try:
            async with asyncio.timeout(seconds):
                while self.position < position:
                    await self.moved()
        except TimeoutError:
            return False
        return True


class Readable(Protocol):
    """A source of events and texts: a log, or the source of an audit."""

    def read(self, after: int = 0, until: int | None = None, limit: int = AT_ONCE) -> list[LoggedEvent]:
        """Return the first events after a position, in order."""

    def text(self, position: int) -> str | None:
        """Return the document text stored by the event at a position."""


@contextmanager
def with_rare_collections() -> Iterator[None]:
    """Looks for cycles less often while the block lasts: for whoever folds much."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@with_rare_collections()
def catch_up(
    log: Readable, views: Views, report: Callable[[int], None] | None = None, *, until: int | None = None
) -> None:
    """Fold the events that the views lack, and commit them; call `report` with each position reached.

    `until` is the position to stop at, if not the last. Whatever is raised, the views end at an event of the log, with
    nothing uncommitted.
    """
    while missing := log.read(views.position, until, limit=AT_ONCE):
        views.begin()
        try:
            for stored in missing:
                event = event_of(stored)
                views.apply(event, leaf_hash(stored.entry))
                if event.type == "document.text-stored" and (text := log.text(event.position)) is not None:
                    views.hold(event, text)
            views.commit()
        except BaseException:
            views.rollback()
            raise
        if report is not None:
            report(views.position)
