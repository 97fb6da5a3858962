"""The log's Merkle tree as a view: one row a stored hash of tlog-tiles, folded from the leaf hashes of log entries.

It is the same on every node, as the entries are. Rows are only added, and nothing here signs or proves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from domain.merkle import complete

SCHEMA = """
CREATE TABLE tree(id INTEGER PRIMARY KEY, hash BLOB NOT NULL);
"""

_LEVEL = 1 << 48


def hashes(db: sqlite3.Connection, level: int, first: int, count: int) -> list[bytes]:
    """Return stored hashes of a level from an index on; fewer than `count` if the tree ends before."""
    start = _id(level, first)
    rows = db.execute("SELECT hash FROM tree WHERE id >= ? AND id < ? ORDER BY id", (start, start + count))
    return [row[0] for row in rows]


def grow(db: sqlite3.Connection, size: int, leaves: Sequence[bytes]) -> None:
    """Add the leaf hashes that follow the first `size`, and the hashes above them that become complete."""
    rows = complete(size, leaves, partial(hashes, db))
    db.executemany("INSERT INTO tree VALUES (?, ?)", [(_id(level, index), hash_) for level, index, hash_ in rows])


def _id(level: int, index: int) -> int:
    """Return the id of a hash's row. Leaves have the highest ids, so that nearly every row is appended to the table."""
    return index - level * _LEVEL
