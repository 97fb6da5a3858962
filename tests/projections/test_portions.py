"""One view folded alone, many events at once, has the lines of that view among all others, and holds nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from domain.facts import Event
from domain.merkle import leaf_hash
from projections import views as views_module
from projections.digests import VIEWS
from projections.folding import Folding
from projections.portions import PORTIONS
from projections.reading import Reader
from projections.views import Views
from tests.given import event, joined, parties, platform, signed, world
from tests.histories import GENERATED, histories, taken


@contextmanager
def alone(view: str, events: Sequence[Event]) -> Iterator[Reader]:
    """A view folded alone."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "portion.sqlite"
        with closing(Views(path, building=True, portion=PORTIONS[view])) as views:
            views.begin()
            for each in events:
                views.apply(each, leaf_hash(each.data))
            views.commit()
            views.finish()
        with closing(Reader(path)) as reader:
            yield reader


def test_every_view_can_be_folded_alone():
    assert set(PORTIONS) == set(VIEWS)


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_folded_alone_a_view_has_the_lines_it_has_among_all(monkeypatch, at_once):
    monkeypatch.setattr(views_module, "_PENDING", at_once)

    @settings(**GENERATED, max_examples=40)
    @given(histories(most=40))
    def holds(documents):
        with world() as found:
            taken(found, documents)
            events = found.events
            for view in VIEWS:
                with alone(view, events) as reader:
                    assert [*reader.lines(view, found.head)] == [*found.reader.lines(view, found.head)], view

    holds()


def counts(reader: Reader) -> dict[str, int]:
    """How many rows there are of what is costly to keep."""
    tables = ("events", "facts", "things", "ties", "entries", "texts", "tree")
    return {table: reader._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_what_a_view_does_not_rest_on_is_not_folded():
    with world() as found:
        found.take(*parties("a", "b"), signed("t", "2020", "a", "b"), platform("p"), joined("a", "p"))
        found.take(event("agreement.amended", "agreements/t", summary="more"))
        held = {}
        for view in VIEWS:
            with alone(view, found.events) as reader:
                held[view] = counts(reader)
    events = {view: tables["events"] for view, tables in held.items()}
    assert events == dict.fromkeys(VIEWS, 6) | {"parties": 2, "labs": 0} | {
        "agreements": 2,
        "platforms": 2,
        "memberships": 4,
        "commitments": 2,
    }
    kept = {view: {table for table, count in tables.items() if count} for view, tables in held.items()}
    assert kept["parties"] == {"events", "facts", "things"}
    assert kept["agreements"] == {"events", "facts", "things", "ties", "entries"}
    assert kept["platforms"] == {"events", "facts", "things"}
    assert kept["memberships"] == {"events", "facts", "ties"}
    assert kept["labs"] == set()
    assert kept["commitments"] == kept["documents"] == {"events", "facts"}
    assert kept["timeline"] == {"events", "facts", "texts"}
    assert kept["history"] == {"events"}


def test_subjects_are_folded_once_for_many_events(monkeypatch):
    folded: list[int] = []
    fold = Folding.fold

    def counted(self, number, *arguments, **options):
        folded.append(number)
        fold(self, number, *arguments, **options)

    monkeypatch.setattr(Folding, "fold", counted)
    with world() as found:
        found.take(*parties("a", "b"), signed("t", "2020", "a", "b"))
        found.take(*(event("agreement.amended", "agreements/t", summary=f"{number}") for number in range(20)))
        folded.clear()
        with alone("agreements", found.events):
            assert len(folded) == 1
