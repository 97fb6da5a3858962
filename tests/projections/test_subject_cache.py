"""The subject cache and the row buffer: a refused post leaves no trace in either, and both are bounded."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.corrections import Event
from domain.errors import Refused
from domain.lifespan import summarise
from projections import fact_store
from projections.digests import VIEWS
from projections.engine import event_index, subject_cache
from projections.engine.bitemporal import MEMBERSHIPS
from projections.views import Views
from tests.random_histories import GENERATED, histories, posted
from tests.recorded_views import RecordedViews, event, joined, left, new_views, parties, party, platform, signed


def taken_in_one_transaction(
    found: RecordedViews, documents: Sequence[dict], sizes: Sequence[int] = (1,)
) -> Sequence[Event]:
    """Return the events of the accepted documents, recorded in batches of these sizes with one commit at the end, with
    no batch undone together with another.
    """
    views = found.views
    commit, views.commit, views.rollback = views.commit, lambda: None, lambda: None  # type: ignore[method-assign]
    positions: dict[str, int] = {}
    left, size = iter(documents), cycle(sizes)
    while several := list(islice(left, next(size))):
        there = positions | {each["id"]: found.head + place for place, each in enumerate(several, 1)}
        try:
            found.batch(*(posted(each, there, found) for each in several))
        except Refused:
            continue
        positions = there
    commit()
    return found.events


def lines(found: RecordedViews, as_of: int) -> dict[str, list[bytes]]:
    """Return every canonical row of every view, as of a position."""
    return {view: sorted(found.reader.lines(view, as_of)) for view in VIEWS}


@pytest.mark.parametrize("cached", [1, 1_000])
@settings(**GENERATED, max_examples=15)
@given(documents=histories(most=40))
def test_posts_in_one_commit_equal_the_accepted_ones_alone(cached, documents):
    with new_views() as found, new_views() as alone, pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_cache, "_MOST_CACHED", cached)
        patch.setattr(subject_cache, "_MOST", 10 * cached)
        for each in taken_in_one_transaction(found, documents):
            alone.apply(each)
        for position in range(1, found.head + 1):
            assert lines(found, position) == lines(alone, position), position


@settings(**GENERATED, max_examples=15)
@given(documents=histories(most=40), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_refused_batches_leave_nothing_also_in_subjects_with_many_facts(documents, sizes):
    with new_views() as found, new_views() as alone, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_store, "_FEW_FACTS", 3)
        for each in taken_in_one_transaction(found, documents, sizes):
            alone.apply(each)
        for position in range(1, found.head + 1):
            assert lines(found, position) == lines(alone, position), position


@settings(**GENERATED, max_examples=25)
@given(documents=histories(most=60))
def test_cached_lifespan_of_a_large_subject_equals_that_of_all_its_facts(documents):
    with new_views() as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_store, "_FEW_FACTS", 2)
        taken_in_one_transaction(found, documents)
        written = found.views._store
        for (number,) in written.db.execute("SELECT id FROM subjects").fetchall():
            assert written.subjects.get(number).lifespan == summarise(written.facts(number))


def test_refused_post_among_others_leaves_nothing():
    with new_views() as found:
        found.record(*parties("a", "b"))
        documents = [
            {"id": f"e-{number}", "source": "test", **each}
            for number, each in enumerate(
                [
                    platform("p", "2020"),
                    joined("a", "p", "2021"),
                    joined("a", "p", "2022"),
                    left("a", "p", "2023"),
                    joined("a", "p", "2024"),
                ]
            )
        ]
        events = taken_in_one_transaction(found, documents)
        assert [event.id for event in events[2:]] == ["e-0", "e-1", "e-3", "e-4"]
        assert found.state("platforms/p")["version"] == 4


def test_subject_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(subject_cache, "_MOST_CACHED", 5)
    monkeypatch.setattr(subject_cache, "_MOST", 20)
    with new_views() as found:
        for number in range(100):
            found.record(party(f"p-{number}"))
        subjects = found.views._store.subjects
        assert len(subjects._cached) <= 6
        assert len(subjects._by_number) <= 21
        assert sum(each.cached is not None for each in subjects._by_number.values()) <= 6


def test_refused_post_leaves_nothing_after_its_transaction_is_lost(monkeypatch):
    with new_views() as found:
        found.record(*parties("a"))
        with monkeypatch.context() as patch:
            patch.setattr(found.views, "commit", lambda: None)
            patch.setattr(found.views, "rollback", lambda: None)
            found.record(party("b"))
            sqlite3.Connection.execute(found.views._db, "ROLLBACK")  # as SQLite does by itself where the disk is full
            patch.setattr(found.views, "begin", lambda: None)
            with pytest.raises(sqlite3.OperationalError):
                found.record(party("b"))
        found.views.rollback()
        assert found.head == 1
        found.record(party("b"))
        assert found.state("parties/b")["version"] == 1


def test_caches_are_dropped_with_their_views():
    with new_views() as found, TemporaryDirectory() as folder:
        views = Views(Path(folder) / "views.sqlite")
        for each in taken_in_one_transaction(found, [{"id": "a", "source": "test", **party("a")}]):
            views.begin()
            views.apply(each, bytes(32))
        records = ref(views._store.subjects)
        gc.disable()
        try:
            views.close()
            del views
            assert records() is None
        finally:
            gc.enable()


def test_large_subjects_are_cached_only_within_the_memory_limit(monkeypatch):
    named = [f"p-{number}" for number in range(50)]
    with new_views() as found:
        found.record(*parties(*named))
        subjects = found.views._store.subjects
        monkeypatch.setattr(subject_cache, "_MOST_BYTES", 500_000)
        for number in range(20):
            found.record(signed(f"a-{number}", "2020", *named))
        assert all(found.membership("parties/p-7", f"agreements/a-{number}", on="2021-01-01") for number in range(20))
        found.refused(party("p-0"), event("agreement.amended", "agreements/a-19", "2019"))
        found.record(signed("a-20", "2020", *named))
        cached = [each.cached for each in subjects._cached.values() if each.cached is not None]
        assert 0 < sum(1 for each in cached for _ in each.of(MEMBERSHIPS.name)) <= 200
        assert subjects._weight.bytes == sum(each.own for each in cached)


def test_texts_used_once_are_evicted(monkeypatch):
    monkeypatch.setattr(event_index, "_CACHED", 10)
    with new_views() as found:
        for number in range(50):
            found.record(party(f"p-{number}", identifiers=[{"scheme": "lei", "value": str(number)}]))
        assert len(found.views._store.words.by_text) <= 11


def test_words_of_a_refused_post_are_found_by_similarity_once_another_has_them():
    with new_views() as found:
        named = [party("a", name="Zephyrine"), party("b", name="Zephyrine")]
        first, second = ({"id": each["subject"], "source": "test", **each} for each in named)
        taken_in_one_transaction(found, [{**first, "id": "x"}, {**first, "id": "y"}, second], sizes=(2, 1))
        page = found.reader.search("zephyrone", found.question(), limit=5, after=None)
        assert [each["subject"] for each in page.items] == ["parties/b"]


def test_rows_of_a_party_with_many_names_are_buffered(monkeypatch):
    with new_views() as found:
        found.record(party("a"))
        monkeypatch.setattr(found.views, "commit", lambda: None)
        before = found.views._db.total_changes
        for slug in ("b", "c"):
            named = {"name": slug, "kind": "company", "other_names": [f"{slug} limited"]}
            identified = {"identifiers": [{"scheme": "lei", "value": slug}]}
            found.batch({"type": "party.registered", "subject": f"parties/{slug}", "data": named | identified})
        assert found.views._db.total_changes == before


def test_refused_batch_leaves_no_rows(views: RecordedViews):
    views.record(*parties("a", "b", "c"), platform("p", "2020-01-01"))
    before = views.state_or_error("platforms/p"), views.items("memberships", on=None), views.items("timeline")
    views.refused(joined("a", "p", "2021"), party("d"), joined("d", "p"), joined("a", "p", "2022"))
    assert (views.state_or_error("platforms/p"), views.items("memberships", on=None), views.items("timeline")) == before
