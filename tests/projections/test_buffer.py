"""The buffer of rows: rows are written together, every read sees them, and a rolled back batch leaves nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.engine.buffer import Buffer

TABLE = "CREATE TABLE rows(id INTEGER PRIMARY KEY, value INTEGER NOT NULL)"
PUT = "INSERT INTO rows VALUES (?, ?)"
AMEND = "UPDATE rows SET value = ? WHERE id = ?"
ALL = "SELECT id, value FROM rows ORDER BY id"


def connected() -> Buffer:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Buffer)
    db.execute(TABLE)
    db.begin()
    return db


def written(db: Buffer) -> list[tuple[int, int]]:
    """Return the rows in the file, without the buffer."""
    found: list[tuple[int, int]] = sqlite3.Connection.execute(db, ALL).fetchall()
    return found


STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 9)),
    st.tuples(st.just("amend"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("ask")),
    st.tuples(st.just("renew")),
    st.tuples(st.just("batch"), st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_buffer_equals_a_plain_connection_at_any_time(steps):
    with closing(connected()) as db:
        rows: dict[int, int] = {}
        before: dict[int, int] | None = None
        for name, *values in steps:
            match name, values:
                case "put", [value]:
                    number = db.next_id("rows")
                    assert number == len(rows) + 1
                    db.put(PUT, (number, value))
                    rows[number] = value
                case "amend", [which, value] if rows:
                    number = which % len(rows) + 1
                    db.amend(AMEND, (value, number))
                    rows[number] = value
                case "ask", _:
                    assert dict(db.execute(ALL)) == rows
                case "renew", _ if before is None:
                    db.restart_transaction()
                case "batch", [is_released]:
                    if before is None:
                        db.begin_batch()
                        before = dict(rows)
                    else:
                        (db.release_batch if is_released else db.undo_batch)()
                        rows, before = rows if is_released else before, None
        assert dict(db.execute(ALL)) == rows


def test_rows_are_written_only_before_a_read():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        assert written(db) == []
        assert db.execute(ALL).fetchall() == [(1, 10)]
        assert written(db) == [(1, 10)]


def test_restarted_transaction_discards_its_writes():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        db.restart_transaction()
        db.flush()
        db.restart_transaction()
        db.execute("ROLLBACK")
        assert written(db) == []


def test_rows_buffered_before_a_batch_survive_its_rollback():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        db.begin_batch()
        db.put(PUT, (2, 20))
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (2,)
        db.undo_batch()
        assert written(db) == [(1, 10)]


def test_rollback_of_a_batch_reverts_its_amendments():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        db.amend(AMEND, (11, 1))
        db.begin_batch()
        db.amend(AMEND, (12, 1))
        db.undo_batch()
        assert db.execute(ALL).fetchall() == [(1, 11)]


def test_buffered_row_can_be_amended():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        db.flush()
        db.amend(AMEND, (11, 1))
        db.put(PUT, (2, 20))
        db.amend(AMEND, (21, 2))
        assert db.execute(ALL).fetchall() == [(1, 11), (2, 21)]


def test_rollback_empties_the_buffer_and_resets_numbers():
    with closing(connected()) as db:
        db.put(PUT, (db.next_id("rows"), 10))
        db.forget()
        db.execute("ROLLBACK")
        assert db.execute(ALL).fetchall() == []
        assert db.next_id("rows") == 1


def test_buffered_rows_are_not_written_after_their_transaction_is_lost():
    with closing(connected()) as db:
        db.put(PUT, (1, 10))
        sqlite3.Connection.execute(db, "ROLLBACK")  # as SQLite does by itself where the disk is full
        with pytest.raises(sqlite3.OperationalError):
            db.execute(ALL)
        assert written(db) == []
        db.forget()
        assert db.execute(ALL).fetchall() == []
