"""Follower: folds events of the log that the views lack, and the position that readers wait for.

It never skips an event, and never writes to the log.
"""

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
"""Objects created and not freed between two garbage collections. A fold caches fewer, so the collector does not run for
objects that reference counting frees. With the default of 700 it took a sixth of a rebuild."""


class LogPosition:
    """A position that only grows, and the tasks that wait for it: the last event recorded, visible or signed.

    Belongs to the event loop's thread.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._moved: asyncio.Future[None] | None = None
        self._urgent = 0

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
        return self._urgent > 0

    async def moved(self, *, is_urgent: bool = True) -> None:
        """Return once the position has moved, or `wake` was called; unless `is_urgent`, this may be a little later."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        self._urgent += is_urgent
        try:
            await asyncio.shield(self._moved)  # shared by many tasks: the cancellation of one must not cancel it
        finally:
            self._urgent -= is_urgent

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

    def select_notifications(self, start: int | None, limit: int, stop: int | None = None) -> list[LoggedEvent]:
        """Return the first events from position `start` on, in order."""

    def text(self, position: int) -> str | None:
        """Return the document text stored by the event at a position."""


@contextmanager
def with_rare_garbage_collection() -> Iterator[None]:
    """Run the garbage collector less often while the block lasts, for a fold of many events."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@with_rare_garbage_collection()
def catch_up(
    log: Readable, views: Views, report: Callable[[int], None] | None = None, *, until: int | None = None
) -> None:
    """Fold the events that the views lack, and commit them; call `report` with each position reached.

    `until` is the position to stop at, if not the last. Whatever is raised, the views end at an event of the log, with
    nothing uncommitted.
    """
    while missing := log.select_notifications(views.position + 1, AT_ONCE, until):
        views.begin()
        try:
            for stored in missing:
                event = event_of(stored)
                views.apply(event, leaf_hash(stored.entry))
                if event.type == "document.text-stored" and (text := log.text(event.position)) is not None:
                    views.store_text(event, text)
            views.commit()
        except BaseException:
            views.rollback()
            raise
        if report is not None:
            report(views.position)
