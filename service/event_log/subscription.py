"""Subscription: the events of a log in order, also those that are recorded later, for a follower with a thread of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING

from eventsourcing.persistence import Subscription

from service.event_log.events import LoggedEvent

if TYPE_CHECKING:
    from service.event_log.reader import LogReader

_AT_ONCE = 500
_POLL_SECONDS = 0.25


class LogSubscription(Subscription["LogReader"]):
    """Yields the events after position `gt`, of any of `topics` if there are some, for ever.

    It yields an event immediately if it was recorded by the `Log` that the reader belongs to, and within
    `_POLL_SECONDS` if another process recorded it. To wait blocks the thread.
    """

    def __init__(self, reader: LogReader, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(reader, gt, topics)
        self._found: Iterator[LoggedEvent] = iter(())
        self._recorded = Event()
        reader.listeners.add(self._recorded)

    def stop(self) -> None:
        """End the iteration, also in a thread that waits for an event."""
        super().stop()
        self._recorder.listeners.discard(self._recorded)
        self._recorded.set()

    def __next__(self) -> LoggedEvent:
        """Return the next event; wait until there is one."""
        while not self._has_been_stopped:
            event = next(self._found, None)
            if event is not None:
                self._last_notification_id = event.id
                return event
            self._recorded.clear()  # before the query: an event committed after it sets this again
            found = self._recorder.select_notifications(
                self._last_notification_id, _AT_ONCE, topics=self._topics, inclusive_of_start=False
            )
            self._found = iter(found)
            if not found and not self._has_been_stopped:
                self._recorded.wait(_POLL_SECONDS)
        raise StopIteration
