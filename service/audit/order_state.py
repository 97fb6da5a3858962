"""The state of the order check, in a temporary SQLite file: the last version of each subject, and the names of events.

Its memory does not grow with the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path

_SCHEMA = """
CREATE TABLE subjects(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE names(hash INTEGER NOT NULL);
"""
_CACHE_KIB = 2**16


class OrderState:
    """Versions of subjects and names of events."""

    def __init__(self, folder: Path) -> None:
        """Create the file in the folder."""
        self._db = sqlite3.connect(folder / "order.sqlite", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", f"cache_size = -{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")

    @property
    def subjects(self) -> int:
        """The number of subjects."""
        ((count,),) = self._db.execute("SELECT count(*) FROM subjects")
        return int(count)

    def version(self, subject: str) -> int:
        """Return the last version of a subject; 0 if it has none."""
        row = self._db.execute("SELECT version FROM subjects WHERE name = ?", (subject,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_versions(self, versions: Mapping[str, int]) -> None:
        """Set the last version of some subjects."""
        self._db.executemany("INSERT OR REPLACE INTO subjects VALUES (?, ?)", versions.items())

    def add_names(self, names: Iterable[Hashable]) -> None:
        """Add the names of the next events."""
        self._db.executemany("INSERT INTO names VALUES (?)", [(hash(name),) for name in names])

    def repeated(self, most: int) -> set[int]:
        """Return the hashes (Python's `hash`) of at most `most` names that came more than once.

        Different names can share a hash, so the caller must compare the names. Equal names never have different hashes.
        """
        rows = self._db.execute("SELECT hash FROM names GROUP BY hash HAVING count(*) > 1 LIMIT ?", (most,))
        return {hash_ for (hash_,) in rows}

    def close(self) -> None:
        """Close the file."""
        self._db.close()
