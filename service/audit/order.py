"""Whether events stand in order: positions without gap, the versions of each subject likewise, times of recording that
never go back, and no two events of one name. In memory that does not grow with the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from domain.values import MAX_INTEGER
from service.audit.event_rows import Row
from service.audit.report import MOST_FINDINGS, Check, Finding
from service.audit.sequence import Sequences, Unique, name_hash
from service.audit.summary import Batch

_NOT_NEXT = "does not follow the last of its subject"


class Order:
    """Checks the order of events as they come."""

    def __init__(self, check: Check, subjects: Sequences, names: Unique) -> None:
        """What does not fit goes to the check."""
        self._check = check
        self._subjects = subjects
        self._names = names
        self.position = 0
        """The last position."""
        self.broken: int | None = None
        """The position that was to come at the first gap, if there is one: no tree can be made of what follows."""
        self._recorded = ""

    @property
    def subjects(self) -> int | None:
        """How many subjects were seen; None where they were too many to count."""
        return self._subjects.count

    def take(self, batch: Batch) -> None:
        """Check the next events. Raises as reading them does."""
        summary = batch.summary
        if summary is None:
            self._names.take([row[4:6] for row in batch.rows])
            self._take_each(batch.rows)
            return
        self._names.take(summary.names)
        since, until = summary.recorded
        if summary.first != self.position + 1 or since < self._recorded:
            self._take_each(batch.rows)
            return
        self._subjects.evict_if_full(summary.events)
        last = self._subjects.last
        known = last.get
        for subject in [subject for subject, version in summary.since.items() if version != known(subject, 0) + 1]:
            before = self._subjects.follow(subject, summary.since[subject])
            if before is not None:
                row = next(row for row in batch.rows if row.subject == subject)
                self._find(row, "version", _NOT_NEXT, before + 1, row.version)
        last.update(summary.until)
        self.position, self._recorded = self.position + summary.events, until

    def _take_each(self, rows: Sequence[Row]) -> None:
        """Check events one by one, to name what of them does not fit."""
        self._subjects.evict_if_full(len(rows))
        expected, recorded = self.position, self._recorded
        for row in rows:
            expected += 1
            position, then = row.position, row.recorded
            if position != expected:
                if type(position) is int:
                    self._gap(expected, position, row)
                    expected = position
                else:
                    self._find(row, "position", "is no number", found=position)
            if not isinstance(then, str) or then < recorded:
                self._find(row, "recorded", "is before that of the event before", recorded, then)
            else:
                recorded = then
            self._follow(row)
        self.position, self._recorded = expected, recorded

    def lacks(self, until: int) -> None:
        """Say that the events after the last one, up to a position, are not there."""
        if self.position < until:
            self._missing(self.position + 1, until)

    def end(self, again: Callable[[], Iterable[Sequence[Row]]]) -> None:
        """Check what could not be checked before the last event; `again` gives all events once more, if need be."""
        broken, repeated = self._subjects.broken(), self._names.repeated(MOST_FINDINGS)
        if not broken and not repeated:
            return
        last: dict[str, int] = {}
        seen: set[tuple[Any, ...]] = set()
        for row in (row for rows in again() for row in rows):
            if broken and name_hash(row.subject) in broken:
                before = last.get(row.subject, 0)
                if row.version != before + 1:
                    self._find(row, "version", _NOT_NEXT, before + 1, row.version)
                last[row.subject] = row.version
            name = row[4:6]
            if hash(name) in repeated:
                if name in seen:
                    self._find(row, "id", "names another event of this source already", found=row.id)
                seen.add(name)

    def _follow(self, row: Row) -> None:
        """Check that the version of an event follows the last of its subject."""
        subject, version = row.subject, row.version
        if type(version) is int and 0 < version <= MAX_INTEGER and isinstance(subject, str):
            before = self._subjects.follow(subject, version)
            if before is not None:
                self._find(row, "version", _NOT_NEXT, before + 1, version)
        else:
            self._find(row, "version", "is no number of a subject", found=version)

    def _gap(self, expected: int, position: int, row: Row) -> None:
        if position > expected:
            self._missing(expected, position - 1)
        else:
            self._find(row, "position", "is not what comes next", expected, position)
            self._break(expected)

    def _missing(self, first: int, last: int) -> None:
        says = "is missing" if first == last else f"is missing, and all after it up to {last}"
        self._check.find(Finding(says, first, field="position"))
        self._break(first)

    def _break(self, position: int) -> None:
        if self.broken is None:
            self.broken = position

    def _find(self, row: Row, field: str, says: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        self._check.find(Finding(says, row.position, subject, field, expected, found))
