"""Whether events stand in order: positions without gap, the versions of each subject likewise, times of recording that
never go back, and no two events of one name. In memory that does not grow with the log: what does not fit in goes to a
file, sorted, and is compared at the end."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from struct import Struct
from typing import Any

from service.audit.report import Check, Finding
from service.audit.rows import Row

MOST_NAMES = 2**19
"""Subjects, and names of events, that are kept in memory at a time."""
_HASH_BYTES = 16
_RECORD = Struct(">16sQQQQ")  # hash of the name, number of the file, first number, last number, first position
_AT_ONCE = 4096
_BITS = 32
_LAST = (1 << _BITS) - 1


class Order:
    """Checks the order of events as they come."""

    def __init__(self, check: Check, folder: Path, most: int = MOST_NAMES) -> None:
        """What does not fit goes to the check; files go to the folder."""
        self._check = check
        self.position = 0
        """The last position."""
        self.broken: int | None = None
        """The position that was to come at the first gap, if there is one: no tree can be made of what follows."""
        self._recorded = ""
        self._subjects = Chains("subject", folder, most)
        self._names = Chains("name", folder, most)

    @property
    def subjects(self) -> int | None:
        """How many subjects were seen; None where they were too many to count."""
        return self._subjects.count

    def take(self, rows: Sequence[Row]) -> None:
        """Check the next events."""
        expected, recorded = self.position, self._recorded
        follow = self._subjects.follow
        for row in rows:
            expected += 1
            position, version, subject = row[:3]
            if position != expected:
                if type(position) is not int:
                    self._find(row, "position", "is no number", found=position)
                    position = expected
                else:
                    self._gap(expected, position, row)
                    expected = position
            then = row[8]
            if then != recorded:
                if not isinstance(then, str) or then < recorded:
                    self._find(row, "recorded", "is before that of the event before", recorded, then)
                else:
                    recorded = then
            if type(version) is not int or type(subject) is not str or not 0 < version <= _LAST:
                self._find(row, "version", "is no number of a subject", found=version)
            elif (last := follow(subject, version, position)) is not None:
                self._find(row, "version", "does not follow the last of its subject", last + 1, version)
        self.position, self._recorded = expected, recorded
        keys = [f"{row[4]}\0{row[5]}" for row in rows]
        if not self._names.begin(keys, expected):
            for key, row in zip(keys, rows, strict=True):
                if self._names.follow(key, 1, _number(row.position)) is not None:
                    self._find(row, "id", "names another event of this source already", found=row.id)

    def end(self, subject_at: Callable[[int], Any]) -> None:
        """Check what could not be checked before the last event; `subject_at` gives the subject of a position."""
        for position, last, version in self._subjects.breaks():
            says = "does not follow the last of its subject"
            self._check.find(Finding(says, position, subject_at(position), "version", last + 1, version))
        for position, _, _ in self._names.breaks():
            says = "names another event of this source already"
            self._check.find(Finding(says, position, subject_at(position), "id"))

    def lacks(self, until: int) -> None:
        """Say that the events after the last one, up to a position, are not there."""
        if self.position < until:
            first = self.position + 1
            says = "is missing" if first == until else f"is missing, and all after it up to {until}"
            self._check.find(Finding(says, first, field="position"))
            self._broken(first)

    def _gap(self, expected: int, position: int, row: Row) -> None:
        if position > expected:
            last = position - 1
            says = "is missing" if last == expected else f"is missing, and all after it up to {last}"
            self._check.find(Finding(says, expected, field="position"))
        else:
            self._find(row, "position", "is not what comes next", expected, position)
        self._broken(expected)

    def _broken(self, position: int) -> None:
        if self.broken is None:
            self.broken = position

    def _find(self, row: Row, field: str, says: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        self._check.find(Finding(says, row.position, subject, field, expected, found))


class Chains:
    """Names, each with numbers that must be 1, 2, 3 ... in the order in which they come.

    What is in memory is compared at once. Once that is too much, it goes to a file as one record a name: its first and
    last number there; the files are compared at the end.
    """

    def __init__(self, kind: str, folder: Path, most: int) -> None:
        """Files are named after the kind. At most so many names are in memory at a time."""
        self._kind = kind
        self._folder = folder
        self._most = most
        self._last: dict[str, int] = {}  # the last number, and above it where the name came first
        self._first: dict[str, int] = {}  # the first number of those that go on from an earlier file
        self._files: list[Path] = []

    @property
    def count(self) -> int | None:
        """How many names there are, as long as all are in memory."""
        return None if self._files else len(self._last)

    def follow(self, name: str, number: int, position: int) -> int | None:
        """Take in a number; where it cannot follow the last of its name, that last one."""
        kept = self._last.get(name)
        if kept is None:
            if len(self._last) >= self._most:
                self._spill()
            self._last[name] = position << _BITS | number
            if number == 1:
                return None
            if not self._files:
                return 0
            self._first[name] = number
            return None
        if number == (kept & _LAST) + 1:
            self._last[name] = kept + 1
            return None
        last = kept & _LAST
        self._last[name] = kept - last + number
        return last

    def begin(self, names: Sequence[str], position: int) -> bool:
        """Take in number 1 of each of these, at positions that end with this one; False, and none, if one was there."""
        last = self._last
        if len(last) + len(names) > self._most or not last.keys().isdisjoint(names) or len(set(names)) < len(names):
            return False
        first = position - len(names) + 1
        last.update(zip(names, range(first << _BITS | 1, (position + 1) << _BITS, 1 << _BITS), strict=True))
        return True

    def breaks(self) -> Iterator[tuple[int, int, int]]:
        """Where a chain is broken from one file to another: the position, the last number before it, its number."""
        if not self._files:
            return
        self._spill()
        records = heapq.merge(*[_records(path) for path in self._files])
        for _, group in groupby(records, key=itemgetter(0)):
            last = 0
            for _, _, first, until, position in group:
                if first != last + 1:
                    yield position, last, first
                last = until

    def _spill(self) -> None:
        order = len(self._files)
        records = sorted(
            _RECORD.pack(
                sha256(name.encode("utf-8", "surrogateescape")).digest()[:_HASH_BYTES],
                order,
                self._first.get(name, 1),
                kept & _LAST,
                kept >> _BITS,
            )
            for name, kept in self._last.items()
        )
        path = self._folder / f"{self._kind}-{order}"
        path.write_bytes(b"".join(records))
        self._files.append(path)
        self._last.clear()
        self._first.clear()


def _number(position: Any) -> int:
    return position if type(position) is int and position > 0 else 0


def _records(path: Path) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        while chunk := file.read(_RECORD.size * _AT_ONCE):
            yield from _RECORD.iter_unpack(chunk)
