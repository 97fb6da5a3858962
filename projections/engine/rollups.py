"""Rollups: stored counts, so that statistics as of any position and on any day do not count rows.

The log is cut into blocks of positions. Each block stores its deltas by day: how much of what it added and took away
from a day on. Blocks are joined into larger ones, so a count is the sum of some dozen blocks and of the rows that came
or went since. A large block is made in steps, one whenever one of the smallest blocks ends, so no commit waits for it.
A rollup follows from rows of the views and must equal the count of those rows.
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
"""Positions in a block of each level; each size is a multiple of the one before."""
STEP = 64
"""Positions that are summed together, unless a block ends before."""
_CHUNK = 512
"""Counts in a chunk, about."""
_WHENEVER = -1
"""The day under which the counts for `on=any` are stored."""
_AGREEMENTS = COLLECTIONS.index("agreements")

_OF = "FROM rollups WHERE level = ?1 AND until = ?2"
_DAYS = f"SELECT day {_OF} AND day > {_WHENEVER}"
_AT = f"SELECT counts {_OF} AND day <= ?3 AND EXISTS (SELECT 1 {_OF} AND day = {_WHENEVER}) ORDER BY day DESC LIMIT 1"
_BETWEEN = f"SELECT counts {_OF} AND day >= (SELECT MAX(day) {_OF} AND day <= ?3) AND day < ?4 ORDER BY day"

Counts = Mapping[str, int]
Sums = defaultdict[str, int]
Deltas = defaultdict[int, Sums]
"""Changes of counts by day and name, which hold from that day on; under `_WHENEVER` the counts for `on=any`."""
Chunk = tuple[int, Counts, list[tuple[int, Counts]]]
"""A part of a block: its first day, the sum of all days before it, and the delta of each of its days."""


class Rollups:
    """Writer of the blocks of one file as its log grows. It sums a block in steps, so that no commit sums all of it."""

    def __init__(self, db: sqlite3.Connection, position: int) -> None:
        """Continue after a position: the file has the blocks up to the last that ends before it."""
        self._db = db
        self._begin(position)

    def _begin(self, position: int) -> None:
        self._until = position - position % SIZES[0]
        self._deltas = _no_deltas()
        self._ids: dict[str, int] = {}

    def go_back(self, position: int) -> None:
        """Forget the deltas after a position, whose events were undone."""
        if position < self._until:
            self._begin(position)

    def grow(self, position: int) -> None:
        """Write the blocks that are complete up to a position. Call it after all rows up to there are written."""
        while self._until < position:
            end = self._until - self._until % SIZES[0] + SIZES[0]
            if position < end and position - self._until < STEP:
                return
            start, self._until = self._until, min(position, end)
            for day, counts in _changes(self._db, start, self._until, self._ids).items():
                _add(self._deltas[day], counts)
            if self._until == end:
                self._complete(end)

    def _complete(self, end: int) -> None:
        whenever = self._deltas.pop(_WHENEVER)
        _write(self._db, 0, end, _chunks(BEFORE, _no_counts(), self._deltas))
        _write(self._db, 0, end, _last_chunk(whenever))
        self._deltas = _no_deltas()
        for level, size in enumerate(SIZES[1:], 1):
            turns = max(1, size // SIZES[0] // 2)
            until = end - end % size
            if until and (turn := (end - until) // SIZES[0]) < turns:
                _join(self._db, level, until, turn, turns)
            end -= (turns - 1) * SIZES[0]  # those of the next level wait for the last turn of these


def tally(db: sqlite3.Connection, as_of: int, on: int | None) -> dict[str, int]:
    """Return counts as of a position, on a day or for `on=any` (None), by these names; 1 is certain, 0 is not:

    - `event <rank>`: events by type;
    - `year <year> <1 or 0>`: facts by the year of their earliest day;
    - `subject <collection> <status> <kind, or nothing> <1 or 0>`, `membership <status> <1 or 0>`,
      `commitment <status> <kind> <1 or 0>`: items that a list shows;
    - `signed <year> <1 or 0>`: agreements by the year of their signature;
    - `party <number> <1 or 0>`: the memberships of a party.
    """
    day = _WHENEVER if on is None else on
    found = _no_counts()
    start = 0
    for level, size in reversed(list(enumerate(SIZES))):
        while start + size <= as_of and (row := db.execute(_AT, (level, start + size, day)).fetchone()):
            start += size
            before, deltas = _unpacked(row[0])
            _add(found, before)
            for since, counts in deltas:
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


def _write(db: sqlite3.Connection, level: int, until: int, chunks: Iterable[Chunk]) -> None:
    """Write chunks of a block, each with the sum of all before it, so that one chunk answers for a day."""
    for day, before, deltas in chunks:
        packed = compress(orjson.dumps((before, deltas), option=orjson.OPT_SORT_KEYS), 1)
        db.execute("INSERT INTO rollups(level, until, day, counts) VALUES (?, ?, ?, ?)", (level, until, day, packed))


def _unpacked(packed: bytes) -> tuple[Counts, list[tuple[int, Counts]]]:
    before, deltas = orjson.loads(decompress(packed))
    return before, deltas


def _chunks(first: int, sums: Sums, deltas: Deltas) -> Iterator[Chunk]:
    """Yield the chunks from a day on; `sums` is the sum of all days before it."""
    before, size = _non_zero(sums), 0
    chunk: list[tuple[int, Counts]] = []
    for day in sorted(deltas):
        if not (counts := _non_zero(deltas[day])):
            continue  # whether a zero is there depends on how many positions were summed together
        if size >= max(_CHUNK, len(before)):
            yield first, before, chunk
            first, before, size, chunk = day, _non_zero(sums), 0, []
        _add(sums, counts)
        chunk.append((day, counts))
        size += len(counts)
    yield first, before, chunk


def _last_chunk(whenever: Counts) -> Iterator[Chunk]:
    """Yield the chunk that completes a block: a block without it is not read."""
    yield _WHENEVER, _non_zero(whenever), []


def _non_zero(counts: Counts) -> Counts:
    return {what: count for what, count in counts.items() if count}


def _join(db: sqlite3.Connection, level: int, until: int, turn: int, turns: int) -> None:
    """Take step `turn` of `turns` in joining the blocks of the level below into one. The steps read about the same.

    The steps meet where a chunk begins, so that few chunks are read twice. A small block leaves some steps empty.
    """
    ends = range(until - SIZES[level] + SIZES[level - 1], until + 1, SIZES[level - 1])
    days = [row[0] for end in ends for row in db.execute(_DAYS, (level - 1, end))]
    starts = [*sorted(days)[:: len(ends)], AFTER + 1]
    since, to = (starts[(len(starts) - 1) * each // turns] for each in (turn, turn + 1))
    is_last = turn == turns - 1
    sums, deltas = _no_counts(), _no_deltas()
    for end in ends if since < to else ():
        for number, (packed,) in enumerate(db.execute(_BETWEEN, (level - 1, end, since, to)).fetchall()):
            before, chunk = _unpacked(packed)
            if number == 0:
                _add(sums, before)
            for day, counts in chunk:
                if day < since:
                    _add(sums, counts)
                elif day < to:
                    _add(deltas[day], counts)
    if since < to:
        _write(db, level, until, _chunks(since, sums, deltas))
    if is_last:
        whenever = _no_counts()
        for end in ends:
            (packed,) = db.execute(_AT, (level - 1, end, _WHENEVER)).fetchone()
            _add(whenever, _unpacked(packed)[0])
        _write(db, level, until, _last_chunk(whenever))


def _no_counts() -> Sums:
    return defaultdict(int)


def _no_deltas() -> Deltas:
    return defaultdict(_no_counts)


# rows


def _changes(db: sqlite3.Connection, start: int, end: int, ids: dict[str, int]) -> Deltas:
    """Return the deltas of the positions after `start` up to `end`.

    `ids` holds, by table, the id of the first row after `start` where it is known; it is set to those after `end`.
    """
    deltas = _no_deltas()
    whenever = deltas[_WHENEVER]
    for rank, count in db.execute(
        "SELECT rank, COUNT(*) FROM events WHERE position > ? AND position <= ? GROUP BY rank", (start, end)
    ):
        whenever[f"event {rank}"] = count
    for count, rows in _moved(db, "facts", "at, hi", start, end, ids):
        for at, hi in rows:
            if at < AFTER:
                whenever[f"year {_year(at)} {_is_within(at, hi)}"] += count
    deltas[BEFORE].update(whenever)
    signed = f"CASE WHEN collection = {_AGREEMENTS} AND upto >= 0 AND at < {AFTER} THEN at END"
    columns = f"{_CLAIM}, collection, status, kind, {signed}, upto"
    for count, rows in _moved(db, "subject_states", columns, start, end, ids):
        for since, until, is_final_period, is_certain, is_settled, collection, status, kind, at, upto in rows:
            _put(
                deltas,
                f"subject {collection} {status} {kind or ''}",
                count,
                since,
                until,
                is_final_period,
                is_certain,
                is_settled,
            )
            if at is not None:
                is_within = _is_within(at, upto)
                _put(deltas, f"signed {_year(at)}", count, since, until, is_final_period, is_within, is_within)
    for count, rows in _moved(
        db, "memberships", f"{_CLAIM}, status, party, possible_statuses & {HOLDING}, {_IS_OWNER}", start, end, ids
    ):
        for since, until, is_final_period, on_days, is_settled, status, party, may_hold, is_owner in rows:
            for what in () if is_owner else (f"membership {status}", f"party {party}"):
                if may_hold:
                    _put(deltas, what, count, since, until, 0, on_days, is_settled)
                if is_final_period:
                    whenever[f"{what} {is_settled}"] += count
    for count, rows in _moved(db, "list_items", f"{_CLAIM}, section, status, kind", start, end, ids):
        for *days, section, status, kind in rows:
            if section == 0:
                _put(deltas, f"commitment {status} {kind}", count, *days)
    return deltas


_IS_OWNER = "container_name BETWEEN 'parties/' AND 'parties0'"
"""In SQL, that a membership is that of an owner of a party, which is not counted."""
_CLAIM = "valid_from, valid_to, is_final_period, is_certain, final_statuses = 1 << status"
"""The days of a row, whether it is the final period, and whether its status is certain: on these days, in the end."""


def _put(
    deltas: Deltas,
    what: str,
    count: int,
    since: int,
    until: int,
    is_final_period: int,
    is_certain: int,
    is_settled: int,
) -> None:
    on_days = f"{what} {is_certain}"
    deltas[since][on_days] += count
    if until <= AFTER:
        deltas[until][on_days] -= count
    if is_final_period:
        deltas[_WHENEVER][f"{what} {is_settled}"] += count


def _is_within(lo: int, hi: int) -> int:
    """Return whether all days from `lo` to `hi` are in the same year."""
    return int(hi < AFTER and _year(lo) == _year(hi))


def _moved(
    db: sqlite3.Connection, table: str, columns: str, start: int, end: int, ids: dict[str, int]
) -> Iterator[tuple[int, Iterable[tuple[Any, ...]]]]:
    """Yield columns of the rows whose transaction time began between two positions (1), or ended there (-1)."""
    first = ids[table] if table in ids else first_after(db, table, start)
    ids[table] = last = first_after(db, table, end, first)
    yield 1, db.execute(f"SELECT {columns} FROM {table} WHERE id >= ? AND id < ? AND system_to > ?", (first, last, end))
    # The first condition is that of the partial index on `system_to`.
    gone = f"system_to <> {CURRENT} AND system_to > ? AND system_to <= ? AND system_from <= ?"
    yield -1, db.execute(f"SELECT {columns} FROM {table} WHERE {gone}", (start, end, start))


@lru_cache(maxsize=2**15)
def _year(day: int) -> str:
    return day_text(day)[:4]
