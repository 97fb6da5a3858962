"""The check of the order of events: positions without gaps, versions of each subject without gaps, times of recording
that never go back, and no two events with one name.

Its memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from domain.values import MAX_INTEGER
from service.audit.event_rows import Row
from service.audit.order_state import OrderState
from service.audit.report import MOST_FINDINGS, Check, Finding
from service.audit.summary import Batch

_NOT_NEXT = "does not follow the last of its subject"


class Order:
    """Checks batches in the order in which they come."""

    def __init__(self, check: Check, state: OrderState) -> None:
        """Findings go to the check."""
        self._check = check
        self._state = state
        self.position = 0
        """The last position."""
        self.broken: int | None = None
        """The first position that is missing, if any. No tree can be made of the events after it."""
        self._recorded = ""

    @property
    def subjects(self) -> int:
        """The number of subjects."""
        return self._state.subjects

    def take(self, batch: Batch) -> None:
        """Check the order of the next events. Raise the errors of reading them."""
        summary = batch.summary
        if summary is None:
            self._state.add_names([row[4:6] for row in batch.rows])
            self._take_each(batch.rows)
            return
        self._state.add_names(summary.names)
        since, until = summary.recorded
        if summary.first != self.position + 1 or since < self._recorded:
            self._take_each(batch.rows)
            return
        for subject, version in summary.since.items():
            before = self._state.version(subject)
            if version != before + 1:
                row = next(row for row in batch.rows if row.subject == subject)
                self._find(row, "version", _NOT_NEXT, before + 1, row.version)
        self._state.set_versions(summary.until)
        self.position, self._recorded = self.position + summary.events, until

    def _take_each(self, rows: Sequence[Row]) -> None:
        """Check events one by one, to name each fault."""
        expected, recorded = self.position, self._recorded
        for row in rows:
            expected += 1
            position, then = row.position, row.recorded
            if position != expected:
                if type(position) is int:
                    self._gap(expected, position, row)
                    expected = position
                else:
                    self._find(row, "position", "is not a number", found=position)
            if not isinstance(then, str) or then < recorded:
                self._find(row, "recorded", "is before that of the event before", recorded, then)
            else:
                recorded = then
            self._follow(row)
        self.position, self._recorded = expected, recorded

    def lacks(self, until: int) -> None:
        """Add a finding if the log ends before the position `until`."""
        if self.position < until:
            self._missing(self.position + 1, until)

    def end(self, again: Callable[[], Iterable[Sequence[Row]]]) -> None:
        """Check names, after the last event. `again` reads all events once more, which happens only if names may be
        repeated."""
        repeated = self._state.repeated(MOST_FINDINGS)
        if not repeated:
            return
        seen: set[tuple[Any, ...]] = set()
        for row in (row for rows in again() for row in rows):
            name = row[4:6]
            if hash(name) in repeated:
                if name in seen:
                    self._find(row, "id", "is the id of an earlier event of this source", found=row.id)
                seen.add(name)

    def _follow(self, row: Row) -> None:
        """Check that the version of an event follows the last one of its subject."""
        subject, version = row.subject, row.version
        if type(version) is int and 0 < version <= MAX_INTEGER and isinstance(subject, str):
            before = self._state.version(subject)
            if version != before + 1:
                self._find(row, "version", _NOT_NEXT, before + 1, version)
            self._state.set_versions({subject: version})
        else:
            self._find(row, "version", "is not a number of a subject", found=version)

    def _gap(self, expected: int, position: int, row: Row) -> None:
        if position > expected:
            self._missing(expected, position - 1)
        else:
            self._find(row, "position", "is not the next position", expected, position)
            self._break(expected)

    def _missing(self, first: int, last: int) -> None:
        says = "is missing" if first == last else f"is missing, as are all positions up to {last}"
        self._check.find(Finding(says, first, field="position"))
        self._break(first)

    def _break(self, position: int) -> None:
        if self.broken is None:
            self.broken = position

    def _find(self, row: Row, field: str, says: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        self._check.find(Finding(says, row.position, subject, field, expected, found))
