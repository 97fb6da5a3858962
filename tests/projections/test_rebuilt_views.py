"""Views built in one run equal views that grew event by event; until they are finished they lack only indexes that the
fold never reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from domain.corrections import Event
from domain.merkle import leaf_hash
from projections.digests import VIEWS
from projections.reader import Reader
from projections.views import StaleViews, Views
from tests.random_histories import GENERATED, histories, recorded
from tests.recorded_views import new_views, parties

_LITERAL = re.compile(r"x?'[^']*'|\b\d+\b")


@contextmanager
def building() -> Iterator[tuple[Path, Views]]:
    """Return views that are still being built."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "built.sqlite"
        with closing(Views(path, building=True)) as views:
            yield path, views


def folded(views: Views, events: Sequence[Event]) -> None:
    """Fold events in one run."""
    views.begin()
    for event in events:
        views.apply(event, leaf_hash(event.data))
    views.commit()


def tables(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Return every table and index."""
    return set(db.execute("SELECT type, name, sql FROM sqlite_master"))


def plan(db: sqlite3.Connection, sql: str) -> list[str]:
    """Return SQLite's plan of a statement."""
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]


@settings(**GENERATED, max_examples=25)
@given(histories(most=40))
def test_rebuilt_views_equal_views_that_grew(documents):
    with new_views() as found, building() as (path, views):
        recorded(found, documents)
        events = found.events
        folded(views, events)
        views.finish()
        assert tables(views._db) == tables(found.views._db)
        with closing(Reader(path)) as reader:
            for view in VIEWS:
                assert [*reader.lines(view, found.head)] == [*found.reader.lines(view, found.head)]
        with closing(Views(path)) as again:
            assert again.position == found.head


@settings(**GENERATED, max_examples=25)
@given(histories(most=40))
def test_fold_uses_no_index_that_is_created_last(documents):
    with new_views() as found, building() as (_, views):
        recorded(found, documents)
        events = found.events
        statements: dict[str, str] = {}
        views._db.set_trace_callback(lambda sql: statements.setdefault(_LITERAL.sub("?", sql), sql))
        for event in events:
            folded(views, [event])
            views._store.subjects.forget()  # an empty cache: everything is read
        views._db.set_trace_callback(None)
        queries = [sql for sql in statements.values() if sql.startswith(("SELECT", "UPDATE", "DELETE"))]
        assert len(queries) > 10
        for sql in queries:
            assert plan(views._db, sql) == plan(found.views._db, sql), sql


def test_unfinished_views_are_refused_when_opened():
    with building() as (path, views):
        with new_views() as found:
            found.record(*parties("a", "b"))
            folded(views, found.events)
        with pytest.raises(StaleViews):
            Views(path)
