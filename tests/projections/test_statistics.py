"""Statistics equal a count, as of any position and on any day, and cost the same in a longer log."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.edtf import AFTER, parse_day
from domain.membership import ORDER_OF_STATUSES
from domain.subject_state import STATUSES
from projections.engine import rollups
from projections.engine.query_types import CERTAINTIES
from projections.engine.time_slices import HOLDING
from projections.reader import Reader
from tests.projections.test_rebuilt_views import building, folded
from tests.query_cost import steps
from tests.random_histories import DAYS, GENERATED, histories, recorded
from tests.recorded_views import RecordedViews, corrected, new_views, parties, party, retracted, signed, step


def counted(found: RecordedViews, on: str | None, as_of: int) -> dict[str, Any]:
    """Return some of the statistics by counting rows."""
    held = ("is_final_period", ()) if on is None else ("valid_from <= ? AND valid_to > ?", (parse_day(on),) * 2)

    def count(columns: str, table: str) -> Counter[Any]:
        holds = f" AND possible_statuses & {HOLDING}" if table == "memberships" and on is not None else ""
        if table == "memberships":  # but not those of owners of parties
            holds += " AND container_name NOT LIKE 'parties/%'"
        rows = found.reader._db.execute(
            f"SELECT {columns} FROM {table} WHERE system_from <= ? AND system_to > ? AND {held[0]}{holds}",
            (as_of, as_of, *held[1]),
        )
        return Counter(row[0] if len(row) == 1 else row for row in rows.fetchall())

    sure = "final_statuses = 1 << status" if on is None else "is_certain"
    claimed = count(f"collection, {sure}", "subject_states")
    states = count("collection, status, kind", "subject_states")
    facts = found.reader._db.execute(
        f"SELECT at FROM facts WHERE system_from <= {as_of} AND system_to > {as_of} AND at < {AFTER}"
    )
    return {
        "subjects": {
            collection: {
                "total": sum(number for (other, _, _), number in states.items() if other == at),
                "status": _summed(
                    (STATUSES[collection][status], n) for (other, status, _), n in states.items() if other == at
                ),
                "kind": _summed((kind, n) for (other, _, kind), n in states.items() if other == at and kind),
                "apart": [claimed[at, 1], claimed[at, 0]],
            }
            for at, collection in enumerate(STATUSES)
        },
        "memberships": {ORDER_OF_STATUSES[status]: number for status, number in count("status", "memberships").items()},
        "memberships apart": [count(sure, "memberships")[certain] for certain in (1, 0)],
        "parties": sorted(count("party", "memberships").values()),
        "of parties": sorted(count(f"party, {sure}", "memberships").values()),
        "commitments": sum(number for section, number in count("section", "list_items").items() if section == 0),
        "types": Counter(event.type for event in found.events[:as_of]),
        "facts": len(facts.fetchall()),
    }


def _summed(counts: Any) -> dict[str, int]:
    found: Counter[str] = Counter()
    for what, count in counts:
        found[what] += count
    return dict(found)


def reported(found: RecordedViews, on: str | None, as_of: int) -> dict[str, Any]:
    """Return the same from the statistics."""
    reported = found.reader.statistics(found.question(on, as_of))
    return {
        "subjects": {
            collection: {
                "total": reported[collection]["total"],
                "status": reported[collection]["status"],
                "kind": reported[collection].get("kind", {}),
                "apart": [reported[collection][certainty]["total"] for certainty in CERTAINTIES],
            }
            for collection in STATUSES
        },
        "memberships": reported["memberships"]["status"],
        "memberships apart": [reported["memberships"][certainty]["total"] for certainty in CERTAINTIES],
        "parties": sorted(each["ties"] for each in reported["party"]),
        "of parties": sorted(each[name] for each in reported["party"] for name in CERTAINTIES if each[name]),
        "commitments": reported["commitments"]["total"],
        "types": reported["events"]["type"],
        "facts": sum(reported["events"]["year"].values()),
    }


@settings(**GENERATED, max_examples=25)
@given(histories(most=24), st.sampled_from(((2, 6), (1, 4, 16))))
def test_statistics_equal_a_count_as_of_any_position_and_on_any_day(
    documents: list[dict[str, Any]], sizes: tuple[int, ...]
):
    with pytest.MonkeyPatch.context() as patch, new_views() as found:
        patch.setattr(rollups, "SIZES", sizes)
        patch.setattr(rollups, "_CHUNK", 3)
        patch.setattr(rollups, "STEP", 1)
        recorded(found, documents)
        for as_of in range(found.head + 1):
            for on in DAYS:
                assert reported(found, on, as_of) == counted(found, on, as_of), (on, as_of)


def test_retracted_events_are_not_counted_even_if_their_block_is_stored(views, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (2, 6))
    views.record(*parties("a", "b", "c"), signed("t", "2020-01-01", "a", "b"))
    ratified = views.record(step("ratified", "t", "2021-01-01", "a"))
    for _ in range(5):
        views.record(*parties(f"more-{views.head}"))
    before = views.reader.statistics(views.question())
    views.record(retracted("agreements/t", ratified))
    after = views.reader.statistics(views.question())
    assert before["memberships"]["status"] == {"bound": 1, "signed": 1}
    assert after["memberships"]["status"] == {"signed": 2}
    assert views.reader.statistics(views.question(as_of=views.head - 1)) == before
    assert after["events"]["type"]["event.retracted"] == 1


def test_rebuilt_views_give_the_same_statistics(views, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (2, 6))
    views.record(*parties("a", "b", "c"), signed("t", "2020-01-01", "a", "b"), step("ratified", "t", "2021-01-01", "a"))
    views.record(*parties(*(f"more-{number}" for number in range(8))), retracted("agreements/t", 5))
    with building() as (path, built):
        folded(built, views.events)
        built.finish()
        with closing(Reader(path)) as reader:
            for as_of in range(views.head + 1):
                question = views.question(as_of=as_of)
                assert reader.statistics(question) == views.reader.statistics(question)


def is_the_same_built(found: RecordedViews) -> bool:
    """Return whether the blocks equal those of rebuilt views."""
    with building() as (path, built):
        folded(built, found.events)
        built.finish()
        with closing(Reader(path)) as reader:
            stored, whole = (each._db.execute("SELECT * FROM rollups").fetchall() for each in (found.reader, reader))
            return stored == whole


@settings(**GENERATED, max_examples=25)
@given(histories(most=24), st.sampled_from((1, 2, 5)), st.sampled_from(((5, 10), (1, 4, 16))))
def test_blocks_do_not_depend_on_how_many_positions_are_summed_together(
    documents: list[dict[str, Any]], step: int, sizes: tuple[int, ...]
):
    with pytest.MonkeyPatch.context() as patch, new_views() as found:
        patch.setattr(rollups, "SIZES", sizes)
        patch.setattr(rollups, "_CHUNK", 3)
        patch.setattr(rollups, "STEP", step)
        recorded(found, documents)
        assert is_the_same_built(found)


def test_day_without_a_net_change_in_a_block_changes_no_statistics(views, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (4, 8))
    monkeypatch.setattr(rollups, "_CHUNK", 1)
    monkeypatch.setattr(rollups, "STEP", 1)
    for slug, day in {"a": "2019-01-01", "b": "2020-01-01", "c": "2021-01-01"}.items():
        views.record(party(slug, day))
    views.record(corrected("parties/a", 1, occurred="2022-01-01"))
    assert is_the_same_built(views)


def test_no_commit_waits_for_a_large_block(views, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (2, 16, 256))
    monkeypatch.setattr(rollups, "_CHUNK", 3)
    monkeypatch.setattr(rollups, "STEP", 1)
    read: list[int] = []
    unpacked = rollups._unpacked

    def counted_too(packed: bytes) -> Any:
        read[-1] += 1
        return unpacked(packed)

    monkeypatch.setattr(rollups, "_unpacked", counted_too)
    views.record(*parties("a", "b", "c"))
    for number in range(600):
        read.append(0)
        views.record(signed(f"t-{number}", f"20{10 + number % 10}-01-01", "a", "b", "c"))
    assert max(read) < 6 * 16 < sum(read) / 4


def test_sums_of_a_failed_commit_are_discarded(views, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (4, 8))
    monkeypatch.setattr(rollups, "STEP", 1)
    views.record(*parties("a", "b"))

    execute = views.views._db.execute

    def fails(statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            raise sqlite3.OperationalError
        return execute(statement, *values)

    for number in (1, 2, 7):  # the block is summed in part, to its end, and beyond it
        with monkeypatch.context() as patch:
            patch.setattr(views.views._db, "execute", fails)
            with pytest.raises(sqlite3.OperationalError):
                views.batch(*parties(*(f"lost-{each}" for each in range(number))))
        views.views.rollback()
    views.record(*parties(*(f"more-{number}" for number in range(8))))
    assert reported(views, None, views.head) == counted(views, None, views.head)


def test_statistics_of_a_log_four_times_as_long_take_as_many_steps(monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (8, 64))
    taken = []
    for agreements in (60, 240):
        with new_views() as found:
            found.batch(*parties("a", "b", "c"))
            for number in range(agreements):
                found.record(signed(f"t-{number}", f"20{10 + number % 10}-01-01", "a", "b", "c"))
            found.record(*parties(*(f"more-{number}" for number in range(-found.head % 64 + 3))))
            taken.append(steps(found, partial(found.reader.statistics, found.question())))
    assert taken[1] < 1.5 * taken[0]


def test_certain_and_possible_are_counted_separately(views):
    views.record(*parties("a", "b"), signed("t", "2020-01-01", "a"), step("ratified", "t", "2021/2022", "b"))
    views.record(signed("s", "2021?", "a"), signed("u", None, "b"))
    reported = views.reader.statistics(views.question("2021-06-01"))["agreements"]
    assert (reported["total"], reported["certain"]["total"], reported["possible"]["total"]) == (3, 1, 2)
    assert reported["certain"]["status"] == {"signed": 1}
    assert reported["possible"]["kind"] == {"treaty": 2}
    reported = views.reader.statistics(views.question())
    assert reported["agreements"]["possible"]["total"] == 0  # what has no date is certain once it is recorded
    assert reported["agreements"]["year"] == {"2020": 2}
    assert reported["agreements"]["certain"]["year"] == {"2020": 1}
    assert reported["agreements"]["possible"]["year"] == {"2020": 1}
    assert reported["events"]["possible"]["year"] == {"2020": 1, "2021": 1}
    reported = views.reader.statistics(views.question("2021-06-01"))
    assert [(each["ties"], each["certain"], each["possible"]) for each in reported["party"]] == [(2, 1, 1), (2, 0, 2)]
