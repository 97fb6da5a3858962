"""A replay of one view, many events at a time, has the canonical rows of a full fold and stores nothing more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from domain.corrections import Event
from domain.merkle import leaf_hash
from domain.subject_state import state_periods
from projections import fact_store as known_module
from projections import single_view as alone_module
from projections.digests import SCOPES, VIEWS
from projections.projector import Projector
from projections.reader import Reader
from projections.single_view import SingleViewReplay
from projections.views import Views
from tests.random_histories import GENERATED, histories, recorded
from tests.recorded_views import event, joined, new_views, parties, platform, signed, step


class Events:
    """Events, as a log for the replay of one list."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events

    def subjects(self) -> Iterable[str]:
        return dict.fromkeys(event.subject for event in self.events)

    def of_types(self, types: Collection[str]) -> Iterable[Event]:
        return (event for event in self.events if event.type in types)

    def of_collections(self, collections: Collection[str]) -> Iterable[Event]:
        wanted = [subject for subject in self.subjects() if subject.partition("/")[0] in collections]
        return chain.from_iterable(map(self.of_subject, wanted))

    def of_subject(self, subject: str) -> Iterable[Event]:
        return (event for event in self.events if event.subject == subject)


@contextmanager
def alone(view: str, events: Sequence[Event]) -> Iterator[Reader]:
    """Replay one view alone."""
    scope = SCOPES[view]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "portion.sqlite"
        if scope.by_subject:
            with closing(SingleViewReplay(path, scope)) as folding:
                folding.fold(Events(events), len(events))
        else:
            with closing(Views(path, building=True, scope=scope)) as views:
                views.begin()
                for each in events:
                    views.apply(each, leaf_hash(each.data))
                views.commit()
                views.finish()
        with closing(Reader(path)) as reader:
            yield reader


def test_every_view_can_be_replayed_alone():
    assert set(SCOPES) == set(VIEWS)


@pytest.mark.parametrize(("at_once", "cached"), [(1, 64), (2, 1), (500, 64), (500, 2)])
def test_view_replayed_alone_has_the_canonical_rows_of_a_full_fold(monkeypatch, at_once, cached):
    monkeypatch.setattr(alone_module, "_CHUNK", at_once)
    monkeypatch.setattr(alone_module, "_FEW", cached)
    monkeypatch.setattr(alone_module, "_COMMITTED", 2)
    monkeypatch.setattr(known_module, "_FEW_FACTS", cached)

    @settings(**GENERATED, max_examples=30)
    @given(histories(most=40))
    def holds(documents):
        with new_views() as found:
            recorded(found, documents)
            events = found.events
            for view in VIEWS:
                with alone(view, events) as reader:
                    assert [*reader.lines(view, found.head)] == [*found.reader.lines(view, found.head)], view

    holds()


def counts(reader: Reader) -> dict[str, int]:
    """Return the number of rows in the costly tables."""
    there = {name for (name,) in reader._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables = there & {"events", "facts", "tags", "subject_states", "memberships", "list_items", "text_index", "tree"}
    return {table: reader._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_single_view_replay_skips_unneeded_events():
    with new_views() as found:
        found.record(*parties("a", "b"), signed("t", "2020", "a", "b"), platform("p"), joined("a", "p"))
        found.record(event("agreement.amended", "agreements/t", summary="more"))
        held = {}
        for view in VIEWS:
            with alone(view, found.events) as reader:
                held[view] = counts(reader)
    stored = {view: {table for table, count in tables.items() if count} for view, tables in held.items()}
    assert stored == {
        "parties": {"subject_states"},
        "agreements": {"subject_states", "list_items"},
        "labs": set(),
        "platforms": {"subject_states"},
        "memberships": {"memberships"},
        "commitments": set(),
        "documents": {"events", "facts", "tags"},
        "timeline": {"events", "facts", "tags", "text_index"},
        "history": {"events"},
    }


@pytest.mark.parametrize(
    ("view", "are_computed"), [("agreements", True), ("memberships", False), ("commitments", False)]
)
def test_subject_states_are_computed_only_if_canonical_rows_show_them(monkeypatch, view, are_computed):
    computed: list[str] = []

    def counted(collection, *arguments):
        computed.append(collection)
        return state_periods(collection, *arguments)

    with new_views() as found:
        found.record(*parties("a", "b"), signed("t", "2020", "a", "b"), step("entered-into-force", "t", "2021"))
        monkeypatch.setattr("projections.projector.state_periods", counted)
        with alone(view, found.events):
            assert bool(computed) is are_computed


def test_subjects_are_folded_once_for_many_events(monkeypatch):
    folded: list[int] = []
    fold = Projector.fold

    def counted(self, number, *arguments, **options):
        folded.append(number)
        fold(self, number, *arguments, **options)

    monkeypatch.setattr(Projector, "fold", counted)
    with new_views() as found:
        found.record(*parties("a", "b"), signed("t", "2020", "a", "b"))
        found.record(*(event("agreement.amended", "agreements/t", summary=f"{number}") for number in range(20)))
        folded.clear()
        with alone("agreements", found.events):
            assert len(folded) == 1
