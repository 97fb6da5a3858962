"""How much there was of everything, as of any position and on any day, without counting it.

The log is cut into blocks of positions, and each is kept as what it added and took away: how much, of what, from which
day on. Blocks are joined into larger ones, so that a count is the sum of some dozen blocks and of the rows that came or
went since. A large one is made little by little, whenever one of the smallest ends, so that no commit waits for it.
All of it follows from rows of the views; this must never say anything that counting those would not.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from zlib import compress, decompress

import orjson

from domain.edtf import AFTER, BEFORE, day_text
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import CURRENT, first_after
from projections.engine.time_slices import HOLDING

SCHEMA = """
CREATE TABLE rollups(
    id INTEGER PRIMARY KEY, level INTEGER NOT NULL, until INTEGER NOT NULL, day INTEGER NOT NULL, counts BLOB NOT NULL);
CREATE UNIQUE INDEX rollups_in_order ON rollups(level, until, day);
"""

SIZES = (2**10, 2**14, 2**18, 2**22)
"""Positions in a block of each level, whole ones of which make those of the next."""
STEP = 64
"""So many positions are summed at once, unless a block ends."""
_PIECE = 512
_WHENEVER = -1
_AGREEMENTS = COLLECTIONS.index("agreements")

_OF = "FROM rollups WHERE level = ?1 AND until = ?2"
_DAYS = f"SELECT day {_OF} AND day > {_WHENEVER}"
_AT = f"SELECT counts {_OF} AND day <= ?3 AND EXISTS (SELECT 1 {_OF} AND day = {_WHENEVER}) ORDER BY day DESC LIMIT 1"
_BETWEEN = f"SELECT counts {_OF} AND day >= (SELECT MAX(day) {_OF} AND day <= ?3) AND day < ?4 ORDER BY day"

Counts = Mapping[str, int]
Sums = defaultdict[str, int]
Cells = defaultdict[int, Sums]
"""How much more there is of what, by the day from which on; `_WHENEVER` if no day is asked for."""
Piece = tuple[int, Counts, list[tuple[int, Counts]]]
"""Of a block: the day it begins on, what all before it adds up to, and what each of its days adds."""


class Rollups:
    """Keeps the blocks of one file as its log grows. What a block adds up to is summed little by little as its rows
    come, so that no commit has to sum all of it."""

    def __init__(self, db: sqlite3.Connection, position: int) -> None:
        """Goes on after a position: the blocks are there up to the last that ends before it."""
        self._db = db
        self._begin(position)

    def _begin(self, position: int) -> None:
        self._until = position - position % SIZES[0]
        self._cells = _no_cells()
        self._ids: dict[str, int] = {}

    def go_back(self, position: int) -> None:
        """Nothing was recorded after a position after all."""
        if position < self._until:
            self._begin(position)

    def grow(self, position: int) -> None:
        """Keeps the blocks that are complete up to a position. To be called once all rows up to it are there."""
        while self._until < position:
            end = self._until - self._until % SIZES[0] + SIZES[0]
            if position < end and position - self._until < STEP:
                return
            start, self._until = self._until, min(position, end)
            for day, counts in _changes(self._db, start, self._until, self._ids).items():
                _add(self._cells[day], counts)
            if self._until == end:
                self._complete(end)

    def _complete(self, end: int) -> None:
        whenever = self._cells.pop(_WHENEVER)
        _write(self._db, 0, end, _pieces(BEFORE, _no_counts(), self._cells))
        _write(self._db, 0, end, _last_piece(whenever))
        self._cells = _no_cells()
        for level, size in enumerate(SIZES[1:], 1):
            turns = max(1, size // SIZES[0] // 2)
            until = end - end % size
            if until and (turn := (end - until) // SIZES[0]) < turns:
                _join(self._db, level, until, turn, turns)
            end -= (turns - 1) * SIZES[0]  # those of the next level wait for the last turn of these


def tally(db: sqlite3.Connection, as_of: int, on: int | None) -> dict[str, int]:
    """How much there was as of a position, on a day or whenever, of

    - `event <rank>`: events by type;
    - `year <year> <1 or 0>`: facts by the year they are sorted by, and whether it is certain;
    - `thing <collection> <status> <kind, or nothing> <1 or 0>`, `tie <status> <1 or 0>`, `commitment <status> <kind>
      <1 or 0>`: what a list shows, and whether that is certain;
    - `signed <year> <1 or 0>`: agreements by the year they were signed in, and whether it is certain;
    - `party <number> <1 or 0>`: its ties, and whether they are certain.
    """
    day = _WHENEVER if on is None else on
    found = _no_counts()
    start = 0
    for level, size in reversed(list(enumerate(SIZES))):
        while start + size <= as_of and (row := db.execute(_AT, (level, start + size, day)).fetchone()):
            start += size
            before, cells = _unpacked(row[0])
            _add(found, before)
            for since, counts in cells:
                if since <= day:
                    _add(found, counts)
    for since, counts in _changes(db, start, as_of, {}).items():
        if since == day or _WHENEVER < since <= day:
            _add(found, counts)
    return {what: count for what, count in found.items() if count}


def _add(found: Sums, counts: Counts) -> None:
    for what, count in counts.items():
        found[what] += count


# blocks


def _write(db: sqlite3.Connection, level: int, until: int, pieces: Iterable[Piece]) -> None:
    """Write pieces of a block, each with the sum of all before it, so that one of them answers for a day."""
    for day, before, cells in pieces:
        packed = compress(orjson.dumps((before, cells), option=orjson.OPT_SORT_KEYS), 1)
        db.execute("INSERT INTO rollups(level, until, day, counts) VALUES (?, ?, ?, ?)", (level, until, day, packed))


def _unpacked(packed: bytes) -> tuple[Counts, list[tuple[int, Counts]]]:
    before, cells = orjson.loads(decompress(packed))
    return before, cells


def _pieces(first: int, sums: Sums, cells: Cells) -> Iterator[Piece]:
    """From a day on, before which it is so much."""
    before, size = _some(sums), 0
    piece: list[tuple[int, Counts]] = []
    for day in sorted(cells):
        if not (counts := _some(cells[day])):
            continue  # how often its counts came and went depends on how many positions were summed at once
        if size >= max(_PIECE, len(before)):
            yield first, before, piece
            first, before, size, piece = day, _some(sums), 0, []
        _add(sums, counts)
        piece.append((day, counts))
        size += len(counts)
    yield first, before, piece


def _last_piece(whenever: Counts) -> Iterator[Piece]:
    """A block is not read before it has this."""
    yield _WHENEVER, _some(whenever), []


def _some(counts: Counts) -> Counts:
    return {what: count for what, count in counts.items() if count}


def _join(db: sqlite3.Connection, level: int, until: int, turn: int, turns: int) -> None:
    """Do one of so many turns of joining the blocks below into one. Each reads about as much, and the last ends it.

    It is cut where one of every so many pieces begins, so that few are read in two turns. Of a small one, some turns
    have nothing to do.
    """
    ends = range(until - SIZES[level] + SIZES[level - 1], until + 1, SIZES[level - 1])
    days = [row[0] for end in ends for row in db.execute(_DAYS, (level - 1, end))]
    starts = [*sorted(days)[:: len(ends)], AFTER + 1]
    since, to = (starts[(len(starts) - 1) * each // turns] for each in (turn, turn + 1))
    is_last = turn == turns - 1
    sums, cells = _no_counts(), _no_cells()
    for end in ends if since < to else ():
        for number, (packed,) in enumerate(db.execute(_BETWEEN, (level - 1, end, since, to)).fetchall()):
            before, piece = _unpacked(packed)
            if number == 0:
                _add(sums, before)
            for day, counts in piece:
                if day < since:
                    _add(sums, counts)
                elif day < to:
                    _add(cells[day], counts)
    if since < to:
        _write(db, level, until, _pieces(since, sums, cells))
    if is_last:
        whenever = _no_counts()
        for end in ends:
            (packed,) = db.execute(_AT, (level - 1, end, _WHENEVER)).fetchone()
            _add(whenever, _unpacked(packed)[0])
        _write(db, level, until, _last_piece(whenever))


def _no_counts() -> Sums:
    return defaultdict(int)


def _no_cells() -> Cells:
    return defaultdict(_no_counts)


# rows


def _changes(db: sqlite3.Connection, start: int, end: int, ids: dict[str, int]) -> Cells:
    """What the positions after one, up to another, added and took away. `ids` are those of the first rows after the
    one, by table, as far as known, and become those after the other."""
    cells = _no_cells()
    whenever = cells[_WHENEVER]
    for rank, count in db.execute(
        "SELECT rank, COUNT(*) FROM events WHERE position > ? AND position <= ? GROUP BY rank", (start, end)
    ):
        whenever[f"event {rank}"] = count
    for count, rows in _moved(db, "facts", "at, hi", start, end, ids):
        for at, hi in rows:
            if at < AFTER:
                whenever[f"year {_year(at)} {_is_within(at, hi)}"] += count
    cells[BEFORE].update(whenever)
    signed = f"CASE WHEN collection = {_AGREEMENTS} AND upto >= 0 AND at < {AFTER} THEN at END"
    columns = f"{_CLAIM}, collection, status, kind, {signed}, upto"
    for count, rows in _moved(db, "subject_states", columns, start, end, ids):
        for since, until, last, certain, ever, collection, status, kind, at, upto in rows:
            _put(cells, f"thing {collection} {status} {kind or ''}", count, since, until, last, certain, ever)
            if at is not None:
                is_within = _is_within(at, upto)
                _put(cells, f"signed {_year(at)}", count, since, until, last, is_within, is_within)
    for count, rows in _moved(db, "memberships", f"{_CLAIM}, status, party, mask & {HOLDING}", start, end, ids):
        for since, until, last, on_days, ever, status, party, may_hold in rows:
            for what in (f"tie {status}", f"party {party}"):
                if may_hold:
                    _put(cells, what, count, since, until, 0, on_days, ever)
                if last:
                    whenever[f"{what} {ever}"] += count
    for count, rows in _moved(db, "list_items", f"{_CLAIM}, section, status, kind", start, end, ids):
        for *days, section, status, kind in rows:
            if section == 0:
                _put(cells, f"commitment {status} {kind}", count, *days)
    return cells


_CLAIM = "valid_from, valid_to, last, certain, ever = 1 << status"
"""The days of a row, whether they are its last, and whether what it claims is certain: on its days, and whenever."""


def _put(cells: Cells, what: str, count: int, since: int, until: int, last: int, certain: int, ever: int) -> None:
    on_days = f"{what} {certain}"
    cells[since][on_days] += count
    if until <= AFTER:
        cells[until][on_days] -= count
    if last:
        cells[_WHENEVER][f"{what} {ever}"] += count


def _is_within(lo: int, hi: int) -> int:
    """Whether all of some days are in the year of the first."""
    return int(hi < AFTER and _year(lo) == _year(hi))


def _moved(
    db: sqlite3.Connection, table: str, columns: str, start: int, end: int, ids: dict[str, int]
) -> Iterator[tuple[int, Iterable[tuple[Any, ...]]]]:
    """Some columns of the rows that came to be known between two positions (1), and of those that went (-1)."""
    first = ids[table] if table in ids else first_after(db, table, start)
    ids[table] = last = first_after(db, table, end, first)
    yield 1, db.execute(f"SELECT {columns} FROM {table} WHERE id >= ? AND id < ? AND system_to > ?", (first, last, end))
    # The first condition is that of the partial index on `system_to`.
    gone = f"system_to <> {CURRENT} AND system_to > ? AND system_to <= ? AND system_from <= ?"
    yield -1, db.execute(f"SELECT {columns} FROM {table} WHERE {gone}", (start, end, start))


@lru_cache(maxsize=2**15)
def _year(day: int) -> str:
    return day_text(day)[:4]
