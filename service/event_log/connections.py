"""Connections to the file of one log, as the eventsourcing library's recorders use them.

A commit must be on disk when it returns. A file that is not a log must never be written to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from time import monotonic, sleep

from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from service.data_directory import FILE_MODE, read_only_uri
from service.event_log import tables
from service.event_log.errors import LogFormatError, LogUnavailable


class LogDatastore(SQLiteDatastore):
    """One connection to one log; threads that use it wait for each other.

    Raise LogFormatError if `path` is another kind of file, LogUnavailable if it cannot be opened.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.guard = _Guard()
        """The block in which the connection is used."""
        super().__init__("", originator_id_type="text")
        self.path = path
        self.pool = _LogConnectionPool(path, read_only=read_only)
        self.db = self.pool.get_connection().cursor().sqlite_cursor

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """Yield a cursor, and commit what it wrote at the end of the block, or roll back if the block raises.

        The write lock is taken at the start, so nothing read in the block can change before the commit. With `commit`
        false the block may hold one query, which needs no transaction.
        """
        with self.guard:
            if not commit:
                reading = self.db.connection.cursor()
                reading.row_factory = sqlite3.Row  # the library's queries take columns by their names
                yield SQLiteCursor(reading)
                return
            try:
                self.db.execute("BEGIN IMMEDIATE")
                yield SQLiteCursor(self.db)
                self.db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error says more; the caller rolls back again
                    self.roll_back()
                raise

    def roll_back(self) -> None:
        """Discard an open transaction."""
        if self.db.connection.in_transaction:  # a full disk or an I/O error may have ended it already
            self.db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection, once no thread uses it."""
        with self.guard:
            super().close()


class _Guard:
    """Lets one thread at a time use a connection, and raises LogUnavailable for errors of SQLite.

    It is a class because a generator costs as much as a query.
    """

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise LogUnavailable(str(error)) from error


class _LogConnectionPool(SQLiteConnectionPool):
    """Opens connections to one log, with the settings that durability and erasure need."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        super().__init__(db_name=_reader_uri(path) if read_only else path.absolute().as_uri())
        self._path = path
        self._read_only = read_only

    def _create_connection(self) -> SQLiteConnection:
        try:
            if not self._read_only:
                with suppress(FileExistsError):
                    self._path.touch(mode=FILE_MODE, exist_ok=False)  # SQLite gives its companions the same mode
            db = sqlite3.connect(
                self.db_name,
                uri=True,
                timeout=SQLITE3_DEFAULT_LOCK_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=128,  # the library's pool keeps one
            )
            try:
                tables.check_format(db, self._path, may_be_new=not self._read_only)
                self._set_up(db)
            except BaseException:
                db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise LogFormatError(f"{self._path} is not a log of the registry") from None
            raise LogUnavailable(f"{self._path} cannot be opened: {error}") from error
        return SQLiteConnection(sqlite_conn=db, max_age=None)

    def _set_up(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")  # where fsync leaves it in the drive's cache (macOS)
        if self._read_only:
            db.execute("PRAGMA query_only = ON")
        else:
            db.execute("PRAGMA page_size = 8192")  # of a new file: so before WAL, which writes its first page
            _set_wal(db)
            db.execute("PRAGMA wal_autocheckpoint = 2000")
            db.execute("PRAGMA secure_delete = ON")  # erased bytes are overwritten, not only marked as free


def _reader_uri(path: Path) -> str:
    """Return the URI by which SQLite opens a log for reading.

    mode=rw creates no file. It is not mode=ro, because a reader may have to recover the WAL after a crash; in a
    read-only directory it cannot, and needs none of the files that SQLite would create there.
    """
    return f"{path.absolute().as_uri()}?mode=rw" if os.access(path.parent, os.W_OK) else read_only_uri(path)


def _set_wal(db: sqlite3.Connection) -> None:
    # If several processes create the file together, SQLite refuses all but one without its usual wait.
    deadline = monotonic() + SQLITE3_DEFAULT_LOCK_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)
