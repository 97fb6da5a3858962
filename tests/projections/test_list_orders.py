"""Lists in every order and by every filter, page by page: every plan gives the same answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import given, settings

from projections.catalogue import LIST_VIEWS
from projections.engine import planner, text_filter
from projections.engine.planner import Planner, PlanTooSlow, bounded
from projections.engine.query_parts import Query
from tests.random_histories import GENERATED, histories, recorded
from tests.recorded_views import RecordedViews, event, joined, left, new_views, parties, platform, signed, step

ASKED: tuple[tuple[str, dict[str, str]], ...] = (
    ("agreements", {}),
    ("agreements", {"party": "parties/a"}),
    ("agreements", {"kind": "treaty", "party": "parties/b"}),
    ("agreements", {"kind": "contract"}),
    ("agreements", {"q": "one"}),
    ("agreements", {"signed_from": "2021-01-01"}),
    ("agreements", {"signed_to": "2021-06-30"}),
    ("agreements", {"signed_from": "2020-06-01", "signed_to": "2022-01-01", "status": "signed"}),
    ("agreements", {"status": "terminated"}),
    ("memberships", {"q": "one"}),
    ("platforms", {"member": "parties/a"}),
    ("labs", {"founder": "parties/a"}),
    ("memberships", {"party": "parties/a"}),
    ("memberships", {"in": "agreements/t"}),
    ("memberships", {"in": "agreements/t", "party": "parties/a"}),
    ("memberships", {"status": "bound"}),
    ("memberships", {"status": "in-force", "party": "parties/a"}),
    ("agreements", {"status": "in-force", "kind": "treaty"}),
    ("commitments", {"status": "planned"}),
    ("commitments", {"party": "parties/a"}),
    ("commitments", {"agreement": "agreements/t"}),
    ("commitments", {"agreement": "agreements/t", "party": "parties/b"}),
    ("commitments", {"kind": "research", "due_before": "2022-01-01"}),
)


def paged(found: RecordedViews, view: str, sort: str, on: str | None, filters: dict[str, str]) -> list[dict[str, Any]]:
    """Return the whole of a list, two items at a time."""
    items: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while True:
        options = {name: [value] for name, value in filters.items()}
        page = found.reader.page(view, found.question(on), options, sort=sort, limit=2, after=after)
        items, after = items + page.items, page.after
        if after is None:
            return items


@contextmanager
def walking_plans() -> Iterator[None]:
    """Plan every filter along the order of the list, without a limit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "isqrt", lambda _: -1)
        patch.setattr(text_filter, "FEW", -1)
        patch.setattr(planner, "STEPS", 10**9)
        yield


@contextmanager
def materialising_plans() -> Iterator[None]:
    """Plan every filter by an index where possible, however many rows match."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "isqrt", lambda _: -1)
        patch.setattr(text_filter, "FEW", -1)
        patch.setattr(planner, "STEPS", 1)
        patch.setattr(planner, "greatest", lambda *_: 10**6)
        yield


@settings(**GENERATED, max_examples=12)
@given(histories(most=24))
def test_every_plan_gives_the_same_pages(documents: list[dict[str, Any]]):
    with new_views() as found:
        recorded(found, documents)
        for view, filters in ASKED:
            for on in ("2022-01-01", None):
                every = found.items(view, on=on, **filters)
                for sort in (turn + name for name in LIST_VIEWS[view].sorts for turn in ("", "-")):
                    whole = paged(found, view, sort, on, filters)
                    assert sorted(map(repr, whole)) == sorted(map(repr, every)), (view, sort, on, filters)
                    for otherwise in (walking_plans, materialising_plans):
                        with otherwise():
                            assert paged(found, view, sort, on, filters) == whole, otherwise


def test_container_joined_twice_is_listed_once(views):
    views.record(*parties("a"), platform("p", "2010-01-01"), platform("q", "2010-01-01"))
    views.record(joined("a", "p", "2011-01-01"), left("a", "p", "2012-01-01"), joined("a", "p", "2013-01-01"))
    views.record(joined("a", "q", "2011-01-01"))
    for sort in ("subject", "-subject"):
        found = paged(views, "platforms", sort, None, {"member": "parties/a"})
        assert sorted(item["subject"] for item in found) == ["platforms/p", "platforms/q"]


def test_category_is_found_in_each_of_its_languages(views):
    views.record(*parties("a", "b"), platform("p", "2010-01-01"))
    views.record(joined("a", "p", category={"en": "Maker", "zh": "制造商"}), joined("b", "p", category="User"))
    for category, party in (("maker", "a"), ("制造商", "a"), ("USER", "b")):
        (item,) = views.items("memberships", category=category)
        assert item["party"]["subject"] == f"parties/{party}"
    assert views.items("memberships", category="make") == []


def test_latest_items_come_first_and_undated_ones_last(views):
    views.record(*parties("a"), signed("s", "2020-01-01", "a"), signed("t", None, "a"), signed("u", "2021-01-01", "a"))
    for sort, order in (("signed", "sut"), ("-signed", "ust")):
        found = paged(views, "agreements", sort, None, {})
        assert [item["subject"] for item in found] == [f"agreements/{slug}" for slug in order]
    for number, due in enumerate(("2030", None, "2029", "2030")):
        made = {"commitment": f"c-{number}", "kind": "research", "title": "x", **({"due": due} if due else {})}
        views.record(step("commitment-made", "s", "2020-02-01", **made))
    views.record(event("party.registered", "parties/z", name="z", kind="company"))
    for sort, dues in (("due", ["2029", "2030", "2030", None]), ("-due", ["2030", "2030", "2029", None])):
        assert [item.get("due") for item in paged(views, "commitments", sort, None, {})] == dues


def test_planner_abandons_a_slow_order_for_an_index(views, monkeypatch):
    views.record(*parties("a"))
    for number in range(120):
        kind = "contract" if number < 90 else "treaty"
        views.record(signed(f"t{number:03}", "2020-01-01", "a", kind=kind, title=f"{number:03}"))
    materialised: list[bool] = []
    queries: list[Query] = []
    init = Planner.__init__

    def recording_init(self: Planner, *given: Any, materialises: bool = False, **named: Any) -> None:
        init(self, *given, materialises=materialises, **named)
        materialised.append(materialises)
        queries.append(self.query)

    monkeypatch.setattr(Planner, "__init__", recording_init)
    wanted = [f"agreements/t{number:03}" for number in range(90, 120)]
    assert views.subjects("agreements", kind="treaty", sort="title") == wanted
    assert materialised == [False]
    monkeypatch.setattr(planner, "STEPS", 300)
    assert views.subjects("agreements", kind="treaty", sort="title") == wanted
    assert materialised[1:] == [False, True]
    assert [query.narrow for query in queries] == [False, False, True]
    assert views.subjects("agreements", kind="treaty", sort="-title") == wanted[::-1]


def test_error_in_a_bounded_statement_is_raised_and_the_connection_stays_usable():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE t(a, b)")
        db.executemany("INSERT INTO t VALUES (?, CAST(x'ff' AS TEXT))", [(number,) for number in range(100)])
        with pytest.raises(PlanTooSlow), bounded(db, 10):
            db.execute("SELECT a FROM t ORDER BY a DESC").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="decode"), bounded(db, 10_000):
            db.execute("SELECT b FROM t").fetchall()
        assert len(db.execute("SELECT a FROM t ORDER BY a DESC").fetchall()) == 100
        assert not db.in_transaction
