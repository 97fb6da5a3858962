"""The eventsourcing library's own test cases for recorders, run on ours with a file, as it runs them on its own."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Literal
from unittest import TestCase
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import OperationalError, StoredEvent
from eventsourcing.tests import persistence as library  # as a module: a case imported by name would be run as a test

from service.event_log.recorder import LogAggregateRecorder, LogDatastore, LogRecorder


class LogFile(TestCase):
    originator_id_type: Literal["uuid", "text"] = "uuid"

    def new_datastore(self) -> LogDatastore:
        running = set(threading.enumerate())
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        datastore = LogDatastore(
            Path(directory.name, "log.db"), pool_size=100, originator_id_type=self.originator_id_type
        )
        self.addCleanup(datastore.close)
        self.addCleanup(_join_others, running)  # first: a case leaves threads reading, which closing would crash
        return datastore


def _join_others(running: set[threading.Thread]) -> None:
    for thread in set(threading.enumerate()) - running:
        thread.join(10)


class TextOriginatorID:
    originator_id_type: Literal["uuid", "text"] = "text"

    def new_originator_id(self) -> UUID | str:
        return f"parties/{uuid4()}"


class TestAggregateRecorder(LogFile, library.AggregateRecorderTestCase):
    def create_recorder(self) -> LogAggregateRecorder:
        recorder = LogAggregateRecorder(self.new_datastore())
        recorder.create_table()
        return recorder


class TestAggregateRecorderWithTextOriginatorID(TextOriginatorID, TestAggregateRecorder):
    pass


class TestApplicationRecorder(LogFile, library.ApplicationRecorderTestCase[LogRecorder]):
    def create_recorder(self) -> LogRecorder:
        recorder = LogRecorder(self.new_datastore())
        recorder.create_table()
        return recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithTextOriginatorID(TextOriginatorID, TestApplicationRecorder):
    pass


class TestNonInterleavingNotificationIDs(LogFile, library.NonInterleavingNotificationIDsBaseCase):
    insert_num = 10_000

    def create_recorder(self) -> LogRecorder:
        recorder = LogRecorder(self.new_datastore())
        recorder.create_table()
        return recorder


class TestErrors(LogFile):
    """The library's own tests of its SQLite recorders."""

    def test_raises_operational_error_when_creating_table_fails(self) -> None:
        recorder = LogRecorder(self.new_datastore())
        recorder.create_table_statements = ["BLAH"]
        with pytest.raises(OperationalError):
            recorder.create_table()

    def test_raises_operational_error_when_inserting_without_table(self) -> None:
        event = StoredEvent(originator_id=uuid4(), originator_version=1, topic="topic1", state=b"")
        for recorder in (LogAggregateRecorder(self.new_datastore()), LogRecorder(self.new_datastore())):
            with pytest.raises(OperationalError):
                recorder.insert_events([event])

    def test_raises_operational_error_when_selecting_without_table(self) -> None:
        recorder = LogRecorder(self.new_datastore())
        with pytest.raises(OperationalError):
            recorder.select_events(uuid4())
        with pytest.raises(OperationalError):
            recorder.select_notifications(start=1, limit=1)
        with pytest.raises(OperationalError):
            recorder.max_notification_id()
