"""The buffered connection of the write half: inserted rows wait in memory and are written before any other statement.

Most rows of a post are not read again soon, and many rows of a table written together cost half of what they cost one
by one. Waiting rows belong to the transaction as if they were written. This module does not know the meaning of rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from projections.engine.time_limit import Limit

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
"""Rows by the statement that writes them."""


class Buffer(sqlite3.Connection):
    """A connection in autocommit mode whose `execute` and `executemany` see every row put before.

    A batch within a transaction can be undone alone. It costs no savepoint as long as all its rows wait.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._inserts: Rows = {}
        self._updates: Rows = {}
        self._ids: dict[str, int] = {}
        self._earlier: tuple[Rows, Rows, dict[str, int]] | None = None
        """The waiting rows and the next ids when the batch began."""
        self._is_saved = False
        self._changes = 0
        self.limit = Limit()
        """The time limit of the work on this connection."""
        self.is_flushed = True
        """Whether no row waits. A cache of rows (see `flush_dirty`) sets it to False when a row changes."""
        self.flush_dirty: Callable[[bool], None] = lambda _: None
        """Puts the changed rows of a cache into the buffer; with True only those that changed before the batch."""

    def begin(self) -> None:
        """Begin a transaction."""
        super().execute("BEGIN")
        self._changes = self.total_changes

    def restart_transaction(self) -> None:
        """Restart the transaction, if none of its rows is written yet.

        Only a transaction that begins after the whole write-ahead log was checkpointed writes that from its start.
        """
        if self.total_changes == self._changes:
            super().execute("COMMIT")
            super().execute("BEGIN IMMEDIATE")

    def put(self, statement: str, row: Row) -> None:
        """Insert a row later. Amendments may change rows that wait, because inserts are written first."""
        self.is_flushed = False
        waiting = self._inserts.get(statement)
        if waiting is None:
            self._inserts[statement] = [row]
        else:
            waiting.append(row)

    def put_all(self, statement: str, rows: list[Row]) -> None:
        """Insert some rows later, as by `put`."""
        self.is_flushed = False
        waiting = self._inserts.get(statement)
        if waiting is None:
            self._inserts[statement] = rows
        else:
            waiting += rows

    def amend(self, statement: str, row: Row) -> None:
        """Run a statement later, after the buffered inserts: one that changes rows, or adds rows made from others."""
        self.is_flushed = False
        self._updates.setdefault(statement, []).append(row)

    def discard(self, statements: Iterable[str]) -> None:
        """Drop the waiting rows of these inserts."""
        for statement in statements:
            self._inserts.pop(statement, None)

    def next_id(self, table: str) -> int:
        """Return the id of the next row of a table; ids of an undone batch are used again."""
        return self.next_ids(table, 1)[0]

    def next_ids(self, table: str, count: int) -> range:
        """Return this number of ids."""
        following = self._ids.get(table)
        if following is None:
            following = (super().execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0) + 1
        self._ids[table] = following + count
        return range(following, following + count)

    def look(self, statement: str, values: Iterable[Any]) -> Any:
        """Return the first row of a query that no waiting row can change, without writing them."""
        return super().execute(statement, tuple(values)).fetchone()

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        """Execute a statement, after the buffered rows are written."""
        if not self.is_flushed:
            self.flush()
        return super().execute(statement, values)

    def executemany(self, statement: str, rows: Any, /) -> sqlite3.Cursor:
        """Execute a statement, after the buffered rows are written."""
        if not self.is_flushed:
            self.flush()
        return super().executemany(statement, rows)

    def flush(self) -> None:
        """Write the waiting rows in their transaction.

        Raise sqlite3.OperationalError if SQLite has rolled the transaction back by itself, as on a full disk: else each
        row would be committed by itself.
        """
        if self.is_flushed:
            return
        self._check_transaction()
        with self.limit.writing():
            if self._earlier is not None and not self._is_saved:
                self._flush_earlier(*self._earlier)
            self.flush_dirty(False)
            self._write(self._inserts, self._updates)
        self._inserts.clear()
        self._updates.clear()
        self.is_flushed = True

    def _check_transaction(self) -> None:
        if not self.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone: roll it back first")

    def begin_batch(self) -> None:
        """Start a batch, which can be undone until `release_batch`."""
        self._earlier = self._inserts, self._updates, dict(self._ids)
        self._inserts, self._updates = {}, {}

    @property
    def waiting(self) -> int:
        """The number of waiting rows, without those of caches."""
        return sum(map(len, self._inserts.values())) + sum(map(len, self._updates.values()))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Undo everything done in this context. The transaction must have no writes before it.

        The caches of rows may be replaced in this context; the earlier ones are restored at its end.
        """
        self.flush()
        flush_dirty, ids = self.flush_dirty, self._ids
        self._ids = {}
        try:
            yield
        finally:
            if self.in_transaction:
                super().execute("ROLLBACK")
            self.forget()
            self.flush_dirty, self._ids = flush_dirty, ids

    def release_batch(self) -> None:
        """Make the batch part of the transaction."""
        assert self._earlier is not None
        if self._is_saved:
            super().execute("RELEASE batch")
        else:
            inserts, updates, _ = self._earlier
            _join(inserts, self._inserts)
            _join(updates, self._updates)
            self._inserts, self._updates = inserts, updates
        self._earlier, self._is_saved = None, False

    def undo_batch(self) -> None:
        """Undo everything since `begin_batch`. Raise sqlite3.OperationalError if SQLite has undone more."""
        assert self._earlier is not None
        self._check_transaction()
        inserts, updates, self._ids = self._earlier
        if self._is_saved:
            inserts, updates = {}, {}
            super().execute("ROLLBACK TO batch")
            super().execute("RELEASE batch")
        self._inserts, self._updates = inserts, updates
        self._earlier, self._is_saved = None, False

    def forget(self) -> None:
        """Drop the waiting rows, after the transaction was undone."""
        self._inserts.clear()
        self._updates.clear()
        self._ids.clear()
        self._earlier, self._is_saved = None, False
        self.is_flushed = True

    def close(self) -> None:
        """Close the connection and release the cache of subjects.

        The cache and the connection refer to each other; without this, cached data, perhaps erased since, would stay in
        memory until the garbage collector finds the cycle.
        """
        self.forget()
        self.flush_dirty = lambda _: None
        super().close()

    def _flush_earlier(self, inserts: Rows, updates: Rows, _: dict[str, int]) -> None:
        """Write the rows that waited before the batch, and only then set the savepoint to return to."""
        own = self._inserts, self._updates
        self._inserts, self._updates = inserts, updates
        self.flush_dirty(True)
        self._write(inserts, updates)
        self._inserts, self._updates = own
        super().execute("SAVEPOINT batch")
        self._is_saved = True

    def _write(self, *waiting: Rows) -> None:
        for each in waiting:
            for statement, rows in each.items():
                super().executemany(statement, rows)


def _join(rows: Rows, more: Rows) -> None:
    """Append rows to others."""
    for statement, following in more.items():
        if (waiting := rows.get(statement)) is None:
            rows[statement] = following
        else:
            waiting += following
