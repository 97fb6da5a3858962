"""Names of a log that are too many for memory: whether the numbers of each follow one another, and whether any is there
twice. What does not fit into memory goes to files, sorted, and is compared at the end. Names are told by hashes there:
what looks wrong is to be looked at again, what looks right is right."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from itertools import groupby, islice
from operator import eq, itemgetter
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

MOST_CHAINS = 2**18
"""Names whose last numbers are kept in memory, some 150 bytes each."""
MOST_HASHES = 2**20
"""Names that are compared in memory, some 50 bytes each while that is done."""
_HASH_BYTES = 16
_RECORD = Struct(">16sQQQ")  # hash of the name, number of the file, first and last number
_AT_ONCE = 4096


class Sequences:
    """Names, each with numbers that must be 1, 2, 3 ... in the order in which they come."""

    def __init__(self, folder: Path, most: int = MOST_CHAINS) -> None:
        """Files go to the folder."""
        self._folder = folder
        self._most = most
        self._first: dict[str, int] = {}  # the first number of those that go on from an earlier file
        self._files: list[Path] = []
        self.last: dict[str, int] = {}
        """The last number of each name in memory. Whoever knows that a number follows may put it here."""

    @property
    def count(self) -> int | None:
        """How many names there are, as long as all are in memory."""
        return None if self._files else len(self.last)

    def evict_if_full(self, count: int) -> None:
        """So many names may come before this is called again."""
        if self.last and len(self.last) + count > self._most:
            self._spill()

    def follow(self, name: str, number: int) -> int | None:
        """Take in a number; where it cannot follow the last of its name, that last one."""
        last = self.last.get(name)
        self.last[name] = number
        if last is None and number != 1 and self._files:
            self._first[name] = number
            return None
        last = last or 0
        return None if number == last + 1 else last

    def broken(self) -> set[bytes]:
        """The hashes (see `name_hash`) of names whose numbers do not follow from one file to another."""
        if not self._files:
            return set()
        self._spill()
        found = set()
        records = heapq.merge(*[_records(path) for path in self._files])
        for hash_, group in groupby(records, key=itemgetter(0)):
            last = 0
            for _, _, first, until in group:
                if first != last + 1:
                    found.add(hash_)
                last = until
        return found

    def _spill(self) -> None:
        order, first = len(self._files), self._first
        records = sorted(
            _RECORD.pack(name_hash(name), order, first.get(name, 1), last) for name, last in self.last.items()
        )
        path = self._folder / f"chains-{order}"
        path.write_bytes(b"".join(records))
        self._files.append(path)
        self.last.clear()
        self._first.clear()


class Unique:
    """Names, of which none should come twice."""

    def __init__(self, folder: Path, most: int = MOST_HASHES) -> None:
        """Files go to the folder."""
        self._folder = folder
        self._most = most
        self._hashes = array("q")
        self._files: list[Path] = []

    def take(self, names: Iterable[Hashable]) -> None:
        """Take in more names."""
        self._hashes.extend(map(hash, names))
        if len(self._hashes) >= self._most:
            path = self._folder / f"hashes-{len(self._files)}"
            with path.open("wb") as file:
                array("q", sorted(self._hashes)).tofile(file)
            self._files.append(path)
            self._hashes = array("q")

    def repeated(self, most: int) -> set[int]:
        """Hashes (of Python's own) of names that came more than once, or of different names; so many at most."""
        found: set[int] = set()
        for some in self._parts():
            if len(set(some)) != len(some):  # which takes half of the time of sorting them
                listed = sorted(some)
                twice = (hash_ for hash_, is_same in zip(listed, map(eq, listed, listed[1:]), strict=False) if is_same)
                found.update(islice(twice, most - len(found)))
            if len(found) >= most:
                break
        return found

    def _parts(self) -> Iterator[Sequence[int]]:
        """All hashes, some in each part, and those that are the same in the same one."""
        if not self._files:
            yield self._hashes
            return
        with ExitStack() as held:
            sorted_ = [_Ascending(held.enter_context(path.open("rb"))) for path in self._files]
            self._hashes = array("q", sorted(self._hashes))
            count = len(self._files) + 1
            for part in range(1, count + 1):
                below = -(2**63) + 2**64 * part // count
                rest = bisect_left(self._hashes, below)
                some = self._hashes[:rest]
                del self._hashes[:rest]
                for each in sorted_:
                    some += each.below(below)
                yield some


class _Ascending:
    """A file of hashes that ascend, read from its beginning to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = array("q")

    def below(self, bound: int) -> array[int]:
        """The next ones, up to a bound."""
        found = array("q")
        while True:
            end = bisect_left(self._ahead, bound)
            found += self._ahead[:end]
            del self._ahead[:end]
            if self._ahead or not (chunk := self._file.read(8 * _AT_ONCE)):
                return found
            self._ahead = array("q", chunk)


def name_hash(name: str) -> bytes:
    """A hash that two names share only where somebody broke SHA-256."""
    return sha256(name.encode("utf-8", "surrogateescape")).digest()[:_HASH_BYTES]


def _records(path: Path) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        while chunk := file.read(_RECORD.size * _AT_ONCE):
            yield from _RECORD.iter_unpack(chunk)
