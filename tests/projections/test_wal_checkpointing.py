"""WAL checkpointing of the views: outside the commits, and the log restarts before it grows long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from projections.engine import wal_checkpointing
from projections.engine.database import connect
from projections.engine.wal_checkpointing import WalCheckpointing
from tests.recorded_views import party

PAGE = 8192
COMMITS = 300


@pytest.fixture
def path(tmp_path) -> Iterator[Path]:
    """A file with a table in it."""
    made = tmp_path / "views.sqlite"
    with closing(connect(made)) as db:
        db.execute("CREATE TABLE rows(id INTEGER PRIMARY KEY, value BLOB NOT NULL)")
        yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch) -> None:
    monkeypatch.setattr(wal_checkpointing, "EVENTS", 2)


def fill(db: sqlite3.Connection, carried: WalCheckpointing, first: int = 0) -> None:
    """Commits three pages each time."""
    for number in range(first, first + COMMITS):
        db.execute("INSERT INTO rows VALUES (?, zeroblob(?))", (number, 3 * PAGE))
        carried.committed(number)
        if carried._running is not None:
            carried._running.result()  # else a slow disk would be what is tested


def pages(path: Path) -> int:
    """Return the pages of the WAL."""
    return path.with_name(f"{path.name}-wal").stat().st_size // PAGE


def test_wal_restarts_once_all_of_it_is_checkpointed(path):
    with closing(connect(path)) as db, closing(WalCheckpointing(path, 0)) as carried:
        fill(db, carried)
        assert pages(path) < COMMITS
        assert db.execute("SELECT count(*), sum(length(value)) FROM rows").fetchone() == (COMMITS, COMMITS * 3 * PAGE)


def test_long_read_keeps_its_snapshot_and_the_wal_restarts_after_it(path):
    with (
        closing(connect(path)) as db,
        closing(WalCheckpointing(path, 0)) as carried,
        closing(connect(path, read_only=True)) as reader,
    ):
        fill(db, carried)
        reader.execute("BEGIN")
        counted = reader.execute("SELECT count(*) FROM rows").fetchone()
        fill(db, carried, COMMITS)
        assert pages(path) > 3 * COMMITS
        assert reader.execute("SELECT count(*) FROM rows").fetchone() == counted == (COMMITS,)
        reader.execute("COMMIT")
        long = pages(path)
        fill(db, carried, 2 * COMMITS)
        assert pages(path) < long + COMMITS  # the file is not made shorter, but written from its beginning
        assert db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1] < COMMITS


def test_commit_succeeds_even_if_checkpointing_fails(path, tmp_path):
    with closing(connect(path)) as db, closing(WalCheckpointing(tmp_path / "missing", 0)) as carried:
        fill(db, carried)
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (COMMITS,)
    assert not (tmp_path / "missing").exists()


def test_wal_restarts_even_if_the_next_transaction_has_read(views):
    _, _, path = views.views._db.execute("PRAGMA database_list").fetchone()
    for number in range(COMMITS):
        views.views.begin()
        assert views.views.version(f"parties/p{number}") == 0
        if (carried := views.views._checkpointing._running) is not None:
            carried.result()
        views.record(party(f"p{number}"))
    assert pages(Path(path)) < COMMITS
