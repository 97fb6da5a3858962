"""The tables of the log's file, and the statements that read and write them.

No statement changes or removes more of an event than the contract allows to erase: its data with the salt, and the text
of a document.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from service.event_log.errors import LogFormatError

FORMAT = 2
"""The version of these tables (`user_version` in the file). A file of a later version is refused."""
APPLICATION = 0x41675265
"""The `application_id` of a log."""

_BLOCK = 10  # 1,024 positions
SCHEMA = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # `state` is the log entry. Salt and data are NULL once erased; source to data are NULL in an event of the library
    # that is no LoggedEvent.
    """CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        source INTEGER,
        event_id TEXT,
        salt BLOB,
        data BLOB
    )""",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_by_stream ON events (stream, version)",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (source, event_id)",
    # The block of positions comes first. Without it a small commit rewrites one page for every topic in it, which costs
    # a third of the speed. A query by topic or source looks into one block after the other.
    f"CREATE INDEX IF NOT EXISTS events_by_topic ON events (position >> {_BLOCK}, topic, source)",
    # The redaction that erased the data of an event (0: the event came from another log without data), and the event
    # that the erased event is about, if any.
    "CREATE TABLE IF NOT EXISTS erased (position INTEGER PRIMARY KEY, by INTEGER NOT NULL, about INTEGER)",
    # The texts of documents, by the positions of the events that stored them.
    "CREATE TABLE IF NOT EXISTS texts (position INTEGER PRIMARY KEY, text BLOB NOT NULL)",
)
UPGRADES = {1: (f"PRAGMA user_version = {FORMAT}", *SCHEMA[-2:])}
"""The statements that bring the tables of an earlier version to the present one."""
INSERT = (
    "INSERT INTO events (position, stream, version, topic, state, source, event_id, salt, data)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
LAST_VERSION = (
    "SELECT id, (SELECT ifnull(max(version), 0) FROM events WHERE stream = streams.id) FROM streams WHERE name = ?"
)

_ERASED = "CASE WHEN data IS NULL THEN (SELECT {} FROM erased WHERE erased.position = events.position) END"
_STREAM = "(SELECT name FROM streams WHERE id = stream)"
LOGGED = (
    f"{_STREAM}, version, topic, state, position, ifnull((SELECT name FROM sources WHERE id = source), ''),"
    " ifnull(event_id, ''), ifnull(data, x''), ifnull(salt, x''),"
    f" {_ERASED.format('nullif(by, 0)')}, {_ERASED.format('about')}"
)
"""The columns of a LoggedEvent."""
OF_SUBJECT = (
    "SELECT * FROM (SELECT name AS originator_id, version AS originator_version, topic, state"
    " FROM streams CROSS JOIN events INDEXED BY events_by_stream ON events.stream = streams.id)"
    " WHERE originator_id = ? "
)
"""The library's StoredEvents of one subject. The library adds conditions, order and limit."""
LAST_POSITION = "SELECT max(position) FROM events"
FIND = f"SELECT {LOGGED} FROM events WHERE source = (SELECT id FROM sources WHERE name = ?) AND event_id = ?"

ERASE = "UPDATE events SET data = NULL, salt = NULL WHERE position = ?"
ERASED = "INSERT OR REPLACE INTO erased VALUES (?, ?, ?)"
SET_META = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"
DROP_TEXTS = "DELETE FROM texts WHERE position IN (SELECT position FROM events WHERE stream = ?)"

_OF_COLLECTIONS = "substr(streams.name, 1, instr(streams.name, '/') - 1) IN (SELECT value FROM json_each(?1))"
BY_SUBJECT = (
    f"SELECT {LOGGED} FROM streams CROSS JOIN events INDEXED BY events_by_stream ON events.stream = streams.id"
    f" WHERE {_OF_COLLECTIONS} AND streams.id >= ?2 AND version > iif(streams.id = ?2, ?3, 0) AND streams.id <= ?4"
    " AND position <= ?5 ORDER BY streams.id, version LIMIT ?6"
)
"""Subject by subject: keys of streams ascend as their first events do."""
EVENT_COUNTS = (
    "SELECT name, (SELECT max(version) FROM events WHERE stream = streams.id) FROM streams"
    f" WHERE {_OF_COLLECTIONS} ORDER BY id"
)
"""Subjects, and the number of events of each."""

LARGEST = 2**63 - 1  # integer of SQLite

Names = Literal["streams", "sources"]


def check_format(db: sqlite3.Connection, path: object, *, may_be_new: bool) -> None:
    """Raise LogFormatError unless the file is a log, or, if it `may_be_new`, empty or of an earlier format.

    Nothing is written, so another kind of file stays as it is.
    """
    ((application, version, objects),) = db.execute(
        "SELECT * FROM pragma_application_id, pragma_user_version, (SELECT count(*) FROM sqlite_master)"
    ).fetchall()
    if application == APPLICATION:
        if version in UPGRADES and not may_be_new:
            raise LogFormatError(f"{path} is a log of format {version}: serve it once to bring it to format {FORMAT}")
        if version != FORMAT and version not in UPGRADES:
            raise LogFormatError(f"{path} is a log of format {version}; this version of the registry reads {FORMAT}")
    elif not may_be_new or (application, version, objects) != (0, 0, 0):
        raise LogFormatError(f"{path} is not a log of the registry")


def head(db: sqlite3.Cursor) -> int:
    """Return the last position; 0 for an empty log."""
    ((position,),) = db.execute("SELECT ifnull(max(position), 0) FROM events").fetchall()
    return int(position)


def key(db: sqlite3.Cursor, table: Names, name: str) -> int | None:
    """Return the key of a name; None if it has none."""
    rows = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchall()
    return int(rows[0][0]) if rows else None


def make_key(db: sqlite3.Cursor, table: Names, name: str) -> int:
    """Return a new key of a name. Raise sqlite3.IntegrityError if the name has one."""
    made = db.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,)).lastrowid
    assert made is not None
    return made


def select(
    db: sqlite3.Cursor,
    columns: str,
    after: int,
    until: int | None,
    limit: int,
    *,
    topics: Sequence[str] = (),
    stream: int | None = None,
    source: int | None = None,
) -> list[Any]:
    """Return rows of events with after < position <= until, ascending, with any of `topics` if there are some.

    Of an event that a filter excludes, it reads no more than the entry in an index.
    """
    after, until = max(after, 0), LARGEST if until is None else min(until, LARGEST)
    limit = min(limit, LARGEST)
    if after >= until or limit <= 0:
        return []
    where = "position > ? AND position <= ?"
    values: list[int | str] = [after, until]
    if topics:
        where += f" AND topic IN ({', '.join('?' * len(topics))})"
        values += topics
    if source is not None:
        where += " AND source = ?"
        values.append(source)
    if stream is not None:  # versions ascend as positions do
        sql = f"SELECT {columns} FROM events INDEXED BY events_by_stream WHERE stream = ? AND {where} ORDER BY version"
        return db.execute(f"{sql} LIMIT ?", (stream, *values, limit)).fetchall()
    if not topics and source is None:
        sql = f"SELECT {columns} FROM events WHERE {where} ORDER BY position LIMIT ?"
        return db.execute(sql, (*values, limit)).fetchall()
    sql = (
        f"SELECT {columns} FROM events WHERE position IN (SELECT position FROM events INDEXED BY events_by_topic"
        f" WHERE position >> {_BLOCK} = ? AND {where} ORDER BY position LIMIT ?) ORDER BY position"
    )
    rows: list[Any] = []
    for block in range((after + 1) >> _BLOCK, (min(until, head(db)) >> _BLOCK) + 1):
        rows += db.execute(sql, (block, *values, limit - len(rows))).fetchall()
        if len(rows) >= limit:
            break
    return rows
