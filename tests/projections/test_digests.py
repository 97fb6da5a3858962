"""Digests: the stored views as of any position equal a fold of the log up to there, byte for byte, and any change of
them changes a digest."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.corrections import Event, erased_data
from projections.digests import VIEWS
from projections.engine.database import CURRENT
from projections.views import Views
from tests.random_histories import GENERATED, histories, recorded, recording
from tests.recorded_views import (
    RecordedViews,
    adopted,
    corrected,
    disputed,
    document,
    event,
    joined,
    lab,
    new_views,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)

LIMITED: Any = {"max_examples": 15}


def held(found: RecordedViews, as_of: int) -> dict[str, list[str]]:
    """Return every canonical row of every view as of a position."""
    return {
        view: [line.decode(errors="backslashreplace") for line in found.reader.lines(view, as_of)] for view in VIEWS
    }


def difference(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, Any]:
    """Return the canonical rows that only one side has; empty where only the order differs."""
    return {
        view: (sorted(set(one[view]) - set(other[view])), sorted(set(other[view]) - set(one[view])))
        for view in VIEWS
        if one[view] != other[view]
    }


def reopen(found: RecordedViews) -> None:
    """Close the views for writing and open them again, with empty caches."""
    path = Path(found.views._db.execute("PRAGMA database_list").fetchone()[2])
    found.views.close()
    found.views = Views(path)
    found.views._db.execute("PRAGMA synchronous = OFF")


def assert_same_from_any_fold(events: Sequence[Event], *others: RecordedViews) -> None:
    """Check that folding in one run, or with views opened again before each event, gives the same canonical rows."""
    with new_views() as folded, new_views() as refolded:
        for each in events:
            folded.apply(each)
            reopen(refolded)
            refolded.apply(each)
            expected = held(folded, each.position)
            for other in (refolded, *others):
                assert difference(expected, held(other, each.position)) == {}, each.position
        for each in events:
            assert difference(held(refolded, each.position), held(folded, each.position)) == {}, each.position


@settings(**GENERATED, **LIMITED)
@given(histories(most=30))
def test_views_as_of_every_position_equal_a_replay_up_to_it(documents):
    with new_views() as found:
        then = {}
        for _ in recording(found, documents):
            then[found.head] = held(found, found.head)
        for position, lines in then.items():
            assert difference(lines, held(found, position)) == {}, position
        assert_same_from_any_fold(found.events, found)


@settings(**GENERATED, **LIMITED)
@given(histories(most=30), st.sets(st.integers(0, 49), min_size=1, max_size=5))
def test_views_as_of_every_position_equal_a_replay_after_an_erasure(documents, erased):
    with new_views() as found:
        recorded(found, documents)
        assert_same_from_any_fold(
            [
                each._replace(data=erased_data(each.about), erased=True) if each.position in erased else each
                for each in found.events
            ]
        )


@settings(**GENERATED, **LIMITED)
@given(histories(most=30))
def test_batch_gives_the_views_of_its_events_one_by_one(documents):
    """Without mergers: only within a batch are earlier facts of two merged parties checked together."""
    with new_views() as found, new_views() as batched:
        batched.batch(*recorded(found, (each for each in documents if each["type"] != "party.merged")))
        for position in range(1, found.head + 1):
            assert difference(held(found, position), held(batched, position)) == {}, position


STORIES = {
    "days cut by what is in force do not cut the days past an end": [
        *parties("a", "c"),
        adopted("s", until="2021-02-03"),
        step("resumed", "s", "2021-05-05", "a"),
        step("acceded", "s", None, "c"),
    ],
    "fields are in one order whichever fact gave them": [
        *parties("a", "b", "c"),
        event("party.dissolved", "parties/c", "2022-06~"),
        event("party.merged", "parties/c", into="parties/b"),
        event("party.reorganized", "parties/c", part_of=None),
        event("party.reorganized", "parties/b", "2020-03-10", part_of="parties/a"),
    ],
    "the latest day of a founding that changes nothing else": [
        document("d"),
        party("c", "2019"),
        event("party.dissolved", "parties/c"),
        event("party.dissolved", "parties/c", "2020"),
        disputed("parties/c", 2, occurred="2020-03"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_open_views_equal_views_opened_again(views, story):
    views.record(*STORIES[story])
    assert_same_from_any_fold(views.events, views)


def everything() -> list[dict[str, Any]]:
    """Record a story that leaves a row in every table."""
    passage = {"document": "documents/d", "start": 0, "end": 1}
    return [
        document("d", "2020-01-01"),
        *parties("a", "b", "c"),
        party("z", other_names=["zed"], identifiers=[{"scheme": "lei", "value": "Z"}], part_of="parties/a"),
        event("party.merged", "parties/c", into="parties/b"),
        signed("t", "2021-02-03", "a", "c", scope=["solar"], until="2022", evidence=[passage]),
        step("entered-into-force", "t", "2021-05", "a"),
        event(
            "agreement.commitment-made",
            "agreements/t",
            "2021-03-01",
            commitment="x",
            kind="research",
            title="Plan",
            by=["parties/a"],
            with_=["parties/b"],
            due="2023-01-01",
        ),
        lab("l", "2021", "a", under="agreements/t", fields=["storage"], phases=[{"phase": "one"}]),
        platform("p", "2022-02-02"),
        joined("a", "p", "2022-03-03", category="maker"),
        event("platform.supporter-added", "platforms/p", "2022", party="parties/b"),
        corrected("platforms/p", 12, occurred="2022-03-04"),
        disputed("platforms/p", 11, occurred="2022-02-03"),
    ]


def test_canonical_rows_show_the_views_in_words(views):
    views.record(*everything())
    lines = {view: [json.loads(line) for line in held(views, views.head)[view]] for view in VIEWS}
    assert [line["subject"] for line in lines["parties"][:3]] == ["parties/a", "parties/b", "parties/z"]
    assert lines["parties"][2]["refers_to"] == "parties/a"
    assert {"subject": "parties/c", "is_one_with": "parties/b", "event": 6} in lines["parties"]
    (commitment,) = lines["commitments"]
    assert commitment["subject"] == "agreements/t"
    assert commitment["entry"] == "commitment:x"
    assert (commitment["from"], commitment["until"], commitment["due"]) == ("2021-03-01", None, "2023-01-01")
    assert commitment["terms"] == {"party": ["parties/a", "parties/b"]}
    assert commitment["body"]["title"] == "Plan"
    agreement = lines["agreements"][0]
    assert agreement["terms"] == {"scope": ["solar"]}
    assert agreement["name"] == "t"
    (membership,) = [line for line in lines["memberships"] if line["in"] == "platforms/p"]
    assert (membership["party"], membership["from"], membership["status"]) == ("parties/a", "2022-03-04", "member")
    fact = lines["timeline"][11]
    assert (fact["position"], fact["type"], fact["events"]) == (12, "platform.member-joined", [12, 14])
    assert (fact["occurred"], fact["earliest"], fact["latest"]) == ("2022-03-04", "2022-03-04", "2022-03-04")
    recorded = lines["history"][6]
    assert recorded["data"]["evidence"] == [{"document": "documents/d", "end": 1, "start": 0}]
    assert (recorded["actor"], recorded["version"]) == ("tester", 1)
    assert len(lines["history"]) == views.head
    assert any(line.get("cited_by") == 7 for line in lines["documents"])


def test_digest_is_the_hash_of_the_canonical_rows(views):
    views.record(*everything())
    for view in VIEWS:
        lines = "".join(held(views, 9)[view]).encode()
        assert views.reader.digest(view, 9) == f"sha256:{sha256(lines).hexdigest()}"
        assert lines == b"" or lines.endswith(b"\n")
        assert views.reader.digest(view, 0) == f"sha256:{sha256(b'').hexdigest()}"


@settings(**GENERATED, max_examples=10)
@given(histories(most=30), st.integers(1, 7))
def test_canonical_rows_do_not_depend_on_the_chunk_size(documents, few):
    with new_views() as found:
        recorded(found, documents)
        for view in VIEWS:
            lines: list[str] = []
            after: Any = None
            while True:
                some = found.reader._digests.some(view, found.head, after, few)
                lines += [line.decode() for line in some.lines]
                if (after := some.after) is None:
                    break
            assert lines == held(found, found.head)[view]


TABLES = (
    "events",
    "facts",
    "tags",
    "mergers",
    "subject_states",
    "memberships",
    "list_items",
    "terms",
    "text_index",
    "names",
    "document_texts",
    "citations",
)


def test_change_of_any_column_of_a_current_row_changes_the_digest(views):
    views.record(*everything())
    views.views.begin()
    views.views.store_text(views.events[0], "the text")
    views.views.commit()
    before = held(views, views.head)
    for table in TABLES:
        columns = columns_of(views, table)
        for at, column in enumerate(columns):
            if column == "id" and table not in ("events", "text_index", "names"):
                continue  # the row's own number, which no answer shows
            row = current_row(views, table, column)
            changed = [*row[:at], other(column, row[at]), *row[at + 1 :]]
            update(views, table, row, changed)
            assert held(views, views.head) != before, (table, column)
            update(views, table, changed, row)
            assert held(views, views.head) == before, (table, column)


@pytest.mark.parametrize("strange", ["CAST(x'ff41' AS TEXT)", "x'ff41'", "1.5", "'['", "-5", "1 << 61"])
def test_any_other_value_in_a_row_changes_the_digest(views, strange):
    views.record(*everything())
    before = held(views, views.head)
    db = views.views._db
    for table in TABLES:
        columns = columns_of(views, table)
        for at, column in enumerate(columns):
            if (
                table == "document_texts"
                or column in ("system_from", "system_to")
                or (column == "id" and table != "events")
            ):
                continue
            row = current_row(views, table, column)
            others = [name for name in columns if name != column]
            found = " AND ".join(f"{name} IS ?" for name in others)
            values = [value for name, value in zip(columns, row, strict=True) if name != column]
            db.execute("BEGIN")
            try:
                db.execute(f"UPDATE {table} SET {column} = {strange} WHERE {found}", values)
            except sqlite3.IntegrityError:  # only a number is allowed there
                db.execute("ROLLBACK")
                continue
            db.execute("COMMIT")
            assert held(views, views.head) != before, (table, column)
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {found}", (row[at], *values))
    assert held(views, views.head) == before


def columns_of(found: RecordedViews, table: str) -> list[str]:
    return [row[1] for row in found.views._db.execute(f"PRAGMA table_info({table})")]


def current_row(found: RecordedViews, table: str, column: str) -> list[Any]:
    """Return a current row, with a value in a column if there is one."""
    where = f"system_to = {CURRENT}" if "system_to" in columns_of(found, table) else "1"
    if table in ("tags", "text_index", "names"):
        where = f"{'fact' if table == 'tags' else 'id'} IN (SELECT id FROM facts WHERE system_to = {CURRENT})"
    row = found.views._db.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY {column} IS NULL").fetchone()
    return list(row)


def update(found: RecordedViews, table: str, row: Sequence[Any], changed: Sequence[Any]) -> None:
    """Replace a row by another."""
    columns = columns_of(found, table)
    cursor = found.views._db.execute(
        f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)}"
        f" WHERE {' AND '.join(f'{name} IS ?' for name in columns)}",
        (*changed, *row),
    )
    assert cursor.rowcount == 1, (table, row)


def other(column: str, value: Any) -> Any:
    """Return another value for a column, as somebody might write there."""
    match value:
        case int():
            return {"system_from": CURRENT - 1, "system_to": 1}.get(
                column, value + 1000 if column in ("position", "id") else value + 1
            )
        case str():
            return value + "x"
        case bytes():
            return value.replace(b"a", b"e", 1) if b"a" in value else b'"other"'
        case _:
            return "2" if column in ("ref", "about") else "new"


def test_removed_or_added_row_changes_the_digest(views):
    views.record(*everything())
    before = held(views, views.head)
    db = views.views._db
    for table in TABLES:
        if table == "document_texts":
            continue
        columns = columns_of(views, table)
        row = current_row(views, table, columns[0])
        db.execute(f"DELETE FROM {table} WHERE {' AND '.join(f'{name} IS ?' for name in columns)}", row)
        assert held(views, views.head) != before, table
        db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        assert held(views, views.head) == before, table
        if columns[0] == "id" and table not in ("text_index", "names"):
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", (10**6, *row[1:]))
            assert held(views, views.head) != before, table
            db.execute(f"DELETE FROM {table} WHERE id = ?", (10**6,))


def test_digests_as_of_earlier_positions_stay_while_events_are_added(views):
    views.record(*everything())
    before = {view: views.reader.digest(view, 9) for view in VIEWS}
    views.record(retracted("agreements/t", 9), event("party.renamed", "parties/a", "2024", name="Anew"))
    assert {view: views.reader.digest(view, 9) for view in VIEWS} == before
    assert {view for view in VIEWS if views.reader.digest(view, views.head) != before[view]} >= {
        "parties",
        "commitments",
        "timeline",
        "history",
    }
