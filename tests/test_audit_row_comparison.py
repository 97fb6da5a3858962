"""Two files of views are equal only if every row behind an answer is equal."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from projections.table_comparison import COMPARED_TABLES
from service.audit.database import Database
from service.audit.row_comparison import have_equal_rows
from service.event_log.scan import Inspection, read_only
from tests.contract.audits import Story, record_story, rows, tamper

VIEWS = "views.sqlite"


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    found = record_story(tmp_path_factory.mktemp("story") / "data")
    tamper(found.data, "INSERT INTO terms VALUES (0, 'research', 1)", file=VIEWS)  # so that no table is empty
    return found


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


def is_equal(story: Story, data: Path) -> bool:
    """Return whether changed views equal those of the story, in both directions."""
    with closing(read_only(story.data / VIEWS)) as ours, closing(read_only(data / VIEWS)) as theirs:
        found = have_equal_rows(ours, data / VIEWS)
        assert have_equal_rows(theirs, story.data / VIEWS) == found
        assert have_equal_rows(ours, story.data / VIEWS)
    return found


def test_copy_is_equal_and_other_tables_are_ignored(story, data):
    assert is_equal(story, data)
    tamper(data, "UPDATE tree SET hash = zeroblob(32)", "DROP INDEX memberships_of_party", file=VIEWS)
    assert is_equal(story, data)


@pytest.mark.parametrize("table", COMPARED_TABLES)
def test_missing_or_changed_row_is_a_difference(story, data, table):
    described = rows(data, f"PRAGMA table_info({table})", file=VIEWS)
    names = [
        name for _, name, *_ in described if COMPARED_TABLES[table] == "*" or name in COMPARED_TABLES[table].split(", ")
    ]
    key = ", ".join(name for _, name, *_, is_of_key in described if is_of_key)
    one = f"({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)"
    for name in names:
        other = f"CASE typeof({name}) WHEN 'integer' THEN 2000000 + {name} WHEN 'null' THEN 0 ELSE {name} || 'x' END"
        tamper(data, f"UPDATE {table} SET {name} = {other} WHERE {one}", file=VIEWS)
        assert not is_equal(story, data), name
        shutil.copy(story.data / VIEWS, data / VIEWS)
    tamper(data, f"DELETE FROM {table} WHERE {one}", file=VIEWS)
    assert not is_equal(story, data)


def test_value_of_another_type_is_a_difference(story, data):
    tamper(data, "UPDATE subject_states SET body = CAST(body AS TEXT)", file=VIEWS)
    assert not is_equal(story, data)


def test_table_with_another_definition_is_a_difference_even_if_its_rows_are_equal(story, data):
    with closing(sqlite3.connect(data / VIEWS, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'label TEXT', 'label TEXT COLLATE NOCASE')")
        db.execute("PRAGMA writable_schema = RESET")
        db.execute("UPDATE facts SET label = upper(label)")
    assert not is_equal(story, data)
    tamper(data, "DROP TABLE mergers", file=VIEWS)
    assert not is_equal(story, data)


def test_comparison_of_files_stops_when_the_audit_ends(data):
    with closing(sqlite3.connect(data / VIEWS, isolation_level=None)) as db:
        db.execute("CREATE TABLE many(a PRIMARY KEY, b UNIQUE, c UNIQUE)")
        db.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000)"
            " INSERT INTO many SELECT n, -n, hex(n) FROM n"
        )
    found: list[object] = []
    source = Database(data)
    thread = threading.Thread(target=lambda: found.append(source.damages()))
    thread.start()
    source.close()
    thread.join(0.3)
    assert not thread.is_alive()
    assert Inspection().damages(data / VIEWS) == []
