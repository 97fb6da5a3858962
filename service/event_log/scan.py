"""Scan: the rows of a log's file as stored, for an audit, which trusts nobody, and for a backup.

The connection cannot write and leaves no file behind. A scan trusts no index to be complete, and never judges a row.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from service.data_directory import read_only_uri
from service.event_log import tables
from service.event_log.errors import LogFormatError, LogUnavailable

_ROWS = (
    "SELECT events.position, version, streams.name, topic, ifnull(sources.name, ''), ifnull(event_id, ''), state,"
    " ifnull(data, x''), ifnull(salt, x''), erased.by, erased.about FROM events NOT INDEXED"
    " LEFT JOIN streams ON streams.id = stream LEFT JOIN sources ON sources.id = source"
    " LEFT JOIN erased ON data IS NULL AND erased.position = events.position"
    " WHERE events.position > ? AND events.position <= ? ORDER BY events.position"
)
"""Position, version, subject, type, source, id, entry, data, salt, and the positions of the redaction and of the event
that an erased event is about. Joins cost a third less than subqueries where all rows are read."""
_MOST = 10
MOST_VALUE_BYTES = 2**25
"""The greatest size of a value or row in a file that is audited: a text has at most 16 MiB."""


class Damaged(Exception):
    """The file cannot be read any further. The argument is SQLite's error."""


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing (see `read_only_uri`). Raise sqlite3.Error."""
    db = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, check_same_thread=False)
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA busy_timeout = 10000")
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        db.close()
        raise
    return db


def schema(db: sqlite3.Connection) -> dict[str, str]:
    """Return the statement that created each table, view and trigger of a database, by its kind and name. Indexes are
    left out: an audit trusts no index.
    """
    rows = db.execute(
        "SELECT type || ' ' || name, ifnull(sql, '') FROM sqlite_master"
        " WHERE type <> 'index' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    return {str(name): " ".join(str(sql).split()) for name, sql in rows}


class Inspection:
    """Checks the structure of files. It takes long, so it needs a thread; SQLite lets other threads work meanwhile."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        self._is_over = False

    def damages(self, path: Path) -> list[str]:
        """Return SQLite's findings about a file: pages, rows, indexes that disagree with their table."""
        try:
            with closing(read_only(path)) as self._db:
                if self._is_over:
                    return []
                found = [str(row[0]) for row in self._db.execute(f"PRAGMA integrity_check({_MOST})")]
        except sqlite3.Error as error:
            return [str(error)]
        finally:
            self._db = None
        return [] if found == ["ok"] else found

    def end(self) -> None:
        """Stop the check; its result is then empty. For any thread."""
        self._is_over = True
        if (db := self._db) is not None:
            with suppress(sqlite3.ProgrammingError):  # it has just ended by itself
                db.interrupt()


def difference(one: dict[str, str], other: dict[str, str]) -> str | None:
    """Return the first difference between two schemas, if any."""
    return next((name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)), None)


class Scan:
    """Reads one log, also while it is served. One thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raise LogFormatError if `path` is no log of this format, LogUnavailable if it cannot be opened."""
        try:
            self._db = read_only(path)
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise LogFormatError(f"{path} is not a log of the registry") from None
            raise LogUnavailable(f"{path} cannot be opened: {error}") from error
        try:
            tables.check_format(self._db, path, may_be_new=False)
            with closing(sqlite3.connect(":memory:")) as expected:
                for statement in tables.SCHEMA:
                    expected.execute(statement)
                if (name := difference(schema(self._db), schema(expected))) is not None:
                    raise LogFormatError(f"{path} is not a log of the registry: the schema of its {name} is another")
        except BaseException:
            self._db.close()
            raise

    def head(self) -> int:
        """Return the last position; 0 for an empty log. Raise Damaged, as every method does."""
        ((position,),) = self._ask("SELECT ifnull(max(position), 0) FROM events NOT INDEXED")
        return int(position)

    def rows(self, after: int, until: int) -> list[tuple[Any, ...]]:
        """Return the rows with after < position <= until, with the columns of `_ROWS` and values of any type."""
        return self._ask(_ROWS, after, until)

    def text(self, position: int) -> Any:
        """Return the document text stored with the event at a position, if any."""
        rows = self._ask("SELECT text FROM texts WHERE position = ?", position)
        return rows[0][0] if rows else None

    def meta(self, name: str) -> str | None:
        """Return the value that the log stores under a name."""
        rows = self._ask("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.OperationalError as error:
                if "UTF-8" not in str(error):
                    raise
            self._db.text_factory = _decode_any  # a third slower, so only if it is needed
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Damaged(str(error)) from error


def _decode_any(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
