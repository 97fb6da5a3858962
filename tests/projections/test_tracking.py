"""The position of the views as a tracking record, with the eventsourcing library's own test cases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from unittest import TestCase

import pytest
from eventsourcing.persistence import IntegrityError
from eventsourcing.tests import persistence as library  # as a module: a case imported by name would be run as a test

from domain.merkle import leaf_hash
from projections.engine.tracking import ViewsTracking
from projections.reader import Reader
from projections.views import Views
from tests.recorded_views import new_views, parties


class TestTrackingRecorder(library.TrackingRecorderTestCase, TestCase):
    def create_recorder(self) -> ViewsTracking:
        db = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(db.close)
        tracking = ViewsTracking(db)
        tracking.create_table()
        return tracking


def records(views: Views) -> list[tuple[str, int]]:
    """Return the tracking records in the file of views."""
    return views._db.execute("SELECT * FROM tracking WHERE application_name <> '__migration__'").fetchall()


def test_position_is_committed_with_the_rows_of_its_event_or_not_at_all():
    with new_views() as recorded:
        assert (records(recorded.views), recorded.reader.head()) == ([], 0)
        recorded.record(*parties("a", "b"))
        assert (records(recorded.views), recorded.reader.head()) == ([("log", 2)], 2)
        with new_views() as other:
            other.record(*parties("a", "b", "c"))
            event = other.events[2]
        recorded.views.begin()
        recorded.views.apply(event, leaf_hash(event.data))
        recorded.views.flush()
        assert (recorded.views.position, recorded.reader.head()) == (3, 2)
        recorded.views.rollback()
        assert (recorded.views.position, recorded.reader.head()) == (2, 2)
        recorded.apply(event)
        assert (records(recorded.views), recorded.reader.head()) == ([("log", 3)], 3)


def test_commit_without_new_events_writes_no_position():
    with new_views() as recorded:
        recorded.record(*parties("a"))
        recorded.views.begin()
        recorded.views.commit()
        assert records(recorded.views) == [("log", 1)]


def test_views_never_fold_an_event_that_another_writer_has_folded(tmp_path):
    path = tmp_path / "views.sqlite"
    with (
        new_views() as source,
        closing(Views(path)) as one,
        closing(Views(path)) as two,
        closing(Reader(path)) as reader,
    ):
        source.record(*parties("a"))
        (event,) = source.events
        one.begin()
        one.apply(event, leaf_hash(event.data))
        one.commit()
        with pytest.raises(IntegrityError):
            two._tracking.advance(1)
        assert reader.head() == 1
