"""Whether two files of views have the very same rows, which two folds of one log give: compared by SQLite itself, in a
sixth of the time that reading them takes. Where they have not, nothing is said of what differs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from projections.table_comparison import COMPARED_TABLES
from service.data_directory import read_only_uri


def are_alike(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the open file of views has the same rows in `COMPARED_TABLES` as another. Raise sqlite3.Error."""
    db.execute("ATTACH ? AS theirs", (read_only_uri(path),))
    try:
        return all(_is_like(db, table, columns) for table, columns in COMPARED_TABLES.items())
    finally:
        db.execute("DETACH theirs")


def _is_like(db: sqlite3.Connection, table: str, columns: str) -> bool:
    """By the keys of our rows, as theirs may be indexed wrongly; values are not to be taken for one another."""
    (ours,), (theirs,) = (
        db.execute(f"SELECT sql FROM {file}.sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
        or (None,)
        for file in ("main", "theirs")
    )
    if ours != theirs:  # a key or a type of another kind would let others pass for the same
        return False
    described = db.execute(f"PRAGMA main.table_info({table})").fetchall()
    keys = [name for _, name, *_, key in described if key]
    rest = [name for _, name, *_, key in described if not key and (columns == "*" or name in columns.split(", "))]
    joined = " AND ".join(f"y.{name} = x.{name}" for name in keys)
    same = " AND ".join(f"+x.{name} IS +y.{name}" for name in rest) or "TRUE"
    pairs = f"main.{table} x NOT INDEXED CROSS JOIN theirs.{table} y ON {joined}"
    (counts,) = db.execute(
        f"SELECT (SELECT count(*) FROM {pairs} WHERE {same}),"
        f" (SELECT count(*) FROM main.{table} NOT INDEXED), (SELECT count(*) FROM theirs.{table} NOT INDEXED)"
    ).fetchall()
    return len(set(counts)) == 1
