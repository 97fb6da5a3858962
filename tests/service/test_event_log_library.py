"""The eventsourcing library's own test cases for recorders, run on the class that serves."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import TestCase
from uuid import uuid4

import pytest
from eventsourcing.persistence import OperationalError, StoredEvent
from eventsourcing.tests import persistence as library  # as a module: a case imported by name would be run as a test

from service.event_log import Log


class LogFile(TestCase):
    log_class = Log

    def create_recorder(self) -> Log:
        running = set(threading.enumerate())
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        log = self.log_class(Path(directory.name, "log.db"))
        self.addCleanup(log.close)
        self.addCleanup(_join_others, running)  # first: a case leaves threads that read, and closing ends their reads
        return log

    def new_originator_id(self) -> str:
        return f"parties/{uuid4()}"


def _join_others(running: set[threading.Thread]) -> None:
    for thread in set(threading.enumerate()) - running:
        thread.join(10)


class WithoutPositions(Log):
    """A log that returns no positions, as a recorder of aggregates."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        super().insert_events(stored_events, **kwargs)
        return None


class TestAggregateRecorder(LogFile, library.AggregateRecorderTestCase):
    log_class = WithoutPositions


class TestApplicationRecorder(LogFile, library.ApplicationRecorderTestCase[Log]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIDs(LogFile, library.NonInterleavingNotificationIDsBaseCase):
    insert_num = 10_000


def test_log_without_its_tables_raises_the_operational_error_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(Log(path)) as log:
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE events")
        with pytest.raises(OperationalError):
            log.insert_events([StoredEvent("parties/a", 1, "topic", b"")])
        with pytest.raises(OperationalError):
            log.select_events("parties/a")
        with pytest.raises(OperationalError):
            log.select_notifications(start=1, limit=1)
        with pytest.raises(OperationalError):
            log.max_notification_id()
