"""Pending events: a group that is being decided, laid over the log, which nothing of the group has changed yet.

It must never write: the writer records the group, or drops it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.event_log import Effect, EraseData, LoggedEvent, LogReader


class PendingEvents:
    """The accepted events of a group and their effects on the log, and the log as it will be with them."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._first = log.head() + 1
        self._by_name: dict[tuple[str, str], LoggedEvent] = {}
        self._erased: dict[int, EraseData] = {}
        self.events: list[LoggedEvent] = []
        self.effects: list[Effect] = []

    def add(self, events: Sequence[LoggedEvent]) -> None:
        """Add accepted events, at the next positions."""
        self.events += events
        for event in events:
            self._by_name[event.source, event.event_id] = event

    def apply(self, effect: Effect) -> None:
        """Add an effect of the events added so far."""
        self.effects.append(effect)
        if isinstance(effect, EraseData):
            self._erased[effect.position] = effect

    def find(self, source: str, event_id: str) -> LoggedEvent | None:
        """Return the event named by (`source`, `event_id`), pending or recorded."""
        return self._seen(self._by_name.get((source, event_id)) or self._log.find(source, event_id))

    def at(self, position: int) -> LoggedEvent | None:
        """Return the event at a position, pending or recorded."""
        index = position - self._first
        if index < 0:
            return self._seen(self._log.at(position))
        return self._seen(self.events[index]) if index < len(self.events) else None

    def _seen(self, event: LoggedEvent | None) -> LoggedEvent | None:
        """Return an event without the data that the group erases."""
        if event is None or not self._erased or (erased := self._erased.get(event.id)) is None:
            return event
        return replace(event, data=b"", salt=b"", redacted=erased.by, about=erased.about)
