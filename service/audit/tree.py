"""The Merkle tree of the audit's own leaf hashes, and the comparison of stored or served tiles with it.

Memory holds the hashes above the leaves, and the leaves of the tiles that are not compared yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256

import orjson

from domain.merkle import HASH_BYTES, root
from domain.tlog_formats import TILE_WIDTH, NoteError, Tile, entry_bundle, parse_bundle
from service.audit.event_rows import Row
from service.audit.report import Check, Finding
from service.audit.summary import Batch

StoredTiles = Iterator[tuple[Tile, bytes | None]]
"""Tiles and their content, None for a missing tile: tiles of leaves and entries in the order of the last entry that
each covers, then the levels above."""


class MerkleTree:
    """The tree over the leaves so far. It returns its root at its present size, and at the given sizes."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.size = 0
        self._cut_tiles = {size // TILE_WIDTH for size in sizes}
        self._leaves: dict[int, list[bytes]] = {}  # by tile: the last one, and those that one of the given sizes cuts
        self._above: list[list[bytes]] = []  # stored hashes of levels 1 and up

    @property
    def room(self) -> int:
        """The number of leaves that one call of `add` may add."""
        return TILE_WIDTH - self.size % TILE_WIDTH

    def add(self, leaves: Sequence[bytes]) -> None:
        """Add the next leaf hashes, at most `room` of them."""
        number, filled = divmod(self.size, TILE_WIDTH)
        if not filled:
            if number and number - 1 not in self._cut_tiles:
                del self._leaves[number - 1]
            self._leaves[number] = []
        tile = self._leaves[number]
        tile += leaves
        self.size += len(leaves)
        level, hashes = 1, tile
        while len(hashes) and len(hashes) % TILE_WIDTH == 0 and (self.size >> 8 * (level - 1)) % TILE_WIDTH == 0:
            if len(self._above) < level:
                self._above.append([])
            self._above[level - 1].append(_tile_root(hashes[-TILE_WIDTH:]))
            hashes = self._above[level - 1]
            level += 1

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return stored hashes of a level (see `domain.merkle`), fewer if there are no more. Leaves are of one tile."""
        if level:
            return self._above[level - 1][first : first + count] if level <= len(self._above) else []
        number, start = divmod(first, TILE_WIDTH)
        return self._leaves.get(number, [])[start : start + count]

    def root(self, size: int) -> bytes:
        """Return the root at the present size or at one of the given sizes."""
        return root(size, self.hashes)


class TileComparison:
    """Compares tiles with the tree as it grows."""

    def __init__(self, check: Check, tree: MerkleTree, stored: StoredTiles) -> None:
        """Findings go to the check."""
        self._check = check
        self._tree = tree
        self._stored = stored
        self._next: tuple[Tile, bytes | None] | None = None
        self._is_started = False
        self._covered: list[tuple[Batch, int, int]] = []  # events of the last tile: a batch, its first and last index
        self.count = 0
        """The number of compared tiles."""

    def take(self, batch: Batch, first: int, count: int) -> None:
        """Compare every tile that the tree covers now, after it grew by `count` events of a batch from `first` on.

        Raises Unreadable.
        """
        if (self._tree.size - count) % TILE_WIDTH == 0:
            self._covered.clear()
        self._covered.append((batch, first, first + count))
        if not self._is_started:
            self._is_started, self._next = True, next(self._stored, None)
        while self._next is not None:
            tile, content = self._next
            if (tile.number * TILE_WIDTH + tile.width) << 8 * (tile.level or 0) > self._tree.size:
                return
            if content is None:
                self._find("is missing", tile, 0)
            elif tile.level is None:
                self._compare_entries(tile, content)
            else:
                self._compare_hashes(tile, tile.level, content)
            self.count += 1
            self._next = next(self._stored, None)

    def _row(self, index: int) -> Row | None:
        """Return an event of the last tile, or None."""
        for batch, first, end in self._covered:
            if index < end - first:
                return batch.rows[first + index]
            index -= end - first
        return None

    def _compare_hashes(self, tile: Tile, level: int, content: bytes) -> None:
        first = tile.number * TILE_WIDTH
        expected = b"".join(self._tree.hashes(level, first, tile.width))
        if expected == content:
            return
        if len(content) != len(expected):
            self._find(f"has {len(content)} bytes instead of {len(expected)}", tile, 0)
        for at in range(0, min(len(content), len(expected)), HASH_BYTES):
            ours, theirs = expected[at : at + HASH_BYTES], content[at : at + HASH_BYTES]
            if ours != theirs:
                says = "is not the hash of the entry" if level == 0 else "is not the hash of the entries below"
                self._find(says, tile, at // HASH_BYTES, ours.hex(), theirs.hex())

    def _compare_entries(self, tile: Tile, content: bytes) -> None:
        rows = [row for batch, first, end in self._covered for row in batch.rows[first:end]]
        entries = [row.entry for row in rows[: tile.width]]
        if entry_bundle(entries) == content:
            return
        try:
            found = parse_bundle(content)
        except NoteError as error:
            self._find(f"is not a tile of entries: {error}", tile, 0)
            return
        if len(found) != len(entries):
            self._find(f"has {len(found)} entries instead of {len(entries)}", tile, 0)
        for index, (ours, theirs) in enumerate(zip(entries, found, strict=False)):
            if ours != theirs:
                name, expected, there = difference(theirs, ours)
                says = f"differs from the entry in {tile.path}"
                row = rows[index]
                self._check.find(Finding(says, row.position, row.subject, name, expected, there))

    def _find(self, says: str, tile: Tile, index: int, expected: str | None = None, found: str | None = None) -> None:
        level = tile.level or 0
        first = (tile.number * TILE_WIDTH + index << 8 * level) + 1
        if level and any(first <= (each.position or 0) < first + (1 << 8 * level) for each in self._check.findings):
            return  # a finding on a lower level causes it
        field = f"{tile.path}, hash {index}" if expected is not None else tile.path
        subject = None
        if level == 0 and (row := self._row(index)) is not None:
            subject = row.subject if row.position == first and isinstance(row.subject, str) else None
        elif level:
            says = f"{says} ({first} to {first + (1 << 8 * level) - 1})" if expected is not None else says
        self._check.find(Finding(says, first, subject, field, expected, found))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile of a log of a size, in the order in which `TileComparison` takes them."""
    for number, width in _widths(size):
        yield Tile(0, number, width)
        yield Tile(None, number, width)
    level, count = 1, size // TILE_WIDTH
    while count:
        for number, width in _widths(count):
            yield Tile(level, number, width)
        level, count = level + 1, count // TILE_WIDTH


def difference(one: bytes, other: bytes) -> tuple[str, object, object]:
    """Return the first field in which two entries differ, and both values; else `entry` and both entries."""
    with suppress(ValueError):
        ours, theirs = orjson.loads(one), orjson.loads(other)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for name in sorted({*ours, *theirs}):
                if ours.get(name) != theirs.get(name):
                    return name, ours.get(name), theirs.get(name)
    return "entry", one, other


def _widths(count: int) -> Iterator[tuple[int, int]]:
    for number in range(-(-count // TILE_WIDTH)):
        yield number, min(TILE_WIDTH, count - number * TILE_WIDTH)


def _tile_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of a full tile: a fast path that equals `domain.merkle.root`."""
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]
