"""The event log: insert, select and subscribe. The library's own cases are in test_event_log_library."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import IntegrityError, InterfaceError, Notification, OperationalError, StoredEvent

import service
from service.event_log import (
    DuplicateEvent,
    Effect,
    EraseData,
    EraseTexts,
    HeadMoved,
    Log,
    LogFormatError,
    LoggedEvent,
    LogReader,
    LogUnavailable,
    StoreText,
    VersionConflict,
)

REPOSITORY = Path(service.__file__).parents[1]


def event(position: int, subject: str = "", version: int = 1, **given: Any) -> LoggedEvent:
    """Return an event that differs from all others in every field that may differ."""
    return LoggedEvent(
        originator_id=subject or f"parties/p{position}",
        originator_version=version,
        topic=given.get("type", "party.registered"),
        state=b'{"position":%d}' % position,
        id=position,
        source=given.get("source", "https://example.org/importer"),
        event_id=given.get("id", f"event-{position}"),
        data=b'{"name":"%d"}' % position,
        salt=position.to_bytes(16, "big"),
    )


def events(first: int, last: int) -> list[LoggedEvent]:
    return [event(position) for position in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[Log]:
    with closing(Log(path)) as log:
        yield log


@pytest.fixture
def reader(log: Log) -> Iterator[LogReader]:
    with closing(log.reader()) as reader:
        yield reader


def put(log: Log, *appended: LoggedEvent) -> None:
    log.insert_events(appended)


def read(log: LogReader, after: int = 0, until: int | None = None, limit: int = 1000) -> list[LoggedEvent]:
    return log.select_notifications(after + 1, limit, until)


def positions(found: list[LoggedEvent]) -> list[int]:
    return [e.position for e in found]


# --- inserting and selecting ---


def test_appended_events_are_read_back_byte_for_byte(log: Log, reader: LogReader, path: Path) -> None:
    odd = LoggedEvent("agreements/\u5b81\u5fb7", 1, "t", b"\x00\xff", 2, "urn:\u65f6", "\u4ee3 '\"", b"{}", bytes(16))
    put(log, event(1), odd, event(3, "parties/p1", 2))
    log.close()
    with closing(Log(path)) as again:
        assert read(again) == [event(1), odd, event(3, "parties/p1", 2)]
    assert reader.at(2) == odd
    assert reader.find("urn:\u65f6", "\u4ee3 '\"") == odd


def test_empty_log_has_head_0_and_no_events(log: Log, reader: LogReader) -> None:
    for asked in (log, reader):
        assert asked.head() == 0
        assert read(asked) == asked.select_notifications(None, 9, topics=("party.registered",)) == []
        assert asked.select_notifications(None, 9, subject="parties/p1") == asked.select_events("parties/p1") == []
        assert asked.max_notification_id() is None
        assert asked.at(1) is None
        assert asked.find("https://example.org/importer", "event-1") is None


def test_impossible_positions_are_not_found(log: Log) -> None:
    put(log, *events(1, 3))
    assert [log.at(position) for position in (-1, 0, 4, 2**63 - 1, 2**63, 10**30)] == [None] * 6
    assert positions(read(log, after=-5, until=10**30, limit=10**30)) == [1, 2, 3]
    assert read(log, after=10**30) == read(log, until=0) == read(log, limit=0) == read(log, limit=-1) == []


def test_recorded_group_is_seen_by_log_and_reader(log: Log, reader: LogReader) -> None:
    assert log.insert_events([event(1)]) == [1]
    assert log.insert_events([event(2), event(3, "parties/p2", 2)]) == [2, 3]
    for asked in (log, reader):
        assert asked.head() == asked.max_notification_id() == 3
        assert asked.find("https://example.org/importer", "event-2") == event(2)
        assert positions(asked.select_notifications(1, 9, subject="parties/p2")) == [2, 3]


def test_a_group_may_be_recorded_by_another_thread_while_readers_read(log: Log, reader: LogReader) -> None:
    with ThreadPoolExecutor(2) as pool:
        for position in range(1, 101):
            reading = pool.submit(read, reader, position - 2)
            pool.submit(log.insert_events, [event(position)]).result()
            assert positions(reading.result()) in ([position - 1], [position - 1, position], [position], [])
    assert positions(read(reader)) == list(range(1, 101))


def test_empty_group_and_recovery_without_a_failure_change_nothing(log: Log) -> None:
    assert log.insert_events([]) == []
    log.recover()
    put(log, event(1))
    log.recover()
    assert log.insert_events([]) == []
    assert log.head() == 1


def test_a_reader_cannot_write(reader: LogReader) -> None:
    with pytest.raises(LogUnavailable, match="readonly"):
        reader.insert_events([StoredEvent("parties/a", 1, "t", b"")])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM events")


def test_an_erased_event_keeps_its_entry_and_has_neither_data_nor_salt(log: Log, reader: LogReader) -> None:
    put(log, event(1))
    log._db.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 1")
    erased = reader.at(1)
    assert erased is not None
    assert (erased.entry, erased.data, erased.salt) == (event(1).entry, b"", b"")


# --- filters ---


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LogReader, list[LoggedEvent]]]:
    """Return events over several blocks of the index: common and rare types, subjects and sources."""
    chance = random.Random(7)
    versions: dict[str, int] = {}
    made = []
    for position in range(1, 5001):
        subject = f"parties/p{chance.randrange(50)}" if position % 1000 else "parties/rare"
        versions[subject] = versions.get(subject, 0) + 1
        kind = "rare" if position in (1024, 2047, 2048, 5000) else f"t{chance.randrange(4)}"
        source = "urn:rare" if position % 1500 == 0 else f"urn:s{chance.randrange(2)}"
        made.append(event(position, subject, versions[subject], type=kind, source=source))
    path = tmp_path_factory.mktemp("mixed") / "log.db"
    with closing(Log(path)) as log:
        put(log, *made)
        with closing(log.reader()) as reader:
            yield reader, made


@pytest.mark.parametrize("types", [(), ("t1",), ("t3", "rare", "t3"), ("rare",), ("never",), ("never", "rare")])
@pytest.mark.parametrize("subject", [None, "parties/p7", "parties/rare", "parties/never"])
@pytest.mark.parametrize("source", [None, "urn:s1", "urn:rare", "urn:never"])
def test_reading_gives_the_first_events_in_order_that_pass_every_filter(
    mixed: tuple[LogReader, list[LoggedEvent]],
    types: tuple[str, ...],
    subject: str | None,
    source: str | None,
) -> None:
    reader, made = mixed
    for after, until, limit in [(0, None, 9999), (0, None, 7), (1023, 2048, 9999), (2046, 4999, 3), (4999, None, 5)]:
        passing = [
            e
            for e in made
            if e.position > after
            and (until is None or e.position <= until)
            and (not types or e.type in types)
            and (subject is None or e.subject == subject)
            and (source is None or e.source == source)
        ]
        found = reader.select_notifications(after + 1, limit, until, types, subject=subject, source=source)
        assert found == passing[:limit]
        assert reader.select_parts(after, until, limit, topics=types, subject=subject, source=source) == [
            (e.position, e.entry, e.data, e.salt) for e in found
        ]


def effort(reader: LogReader, asked: Callable[[], object]) -> int:
    """Return the steps of SQLite's machine, in tens."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    reader._db.connection.set_progress_handler(count, 10)
    asked()
    reader._db.connection.set_progress_handler(None, 10)
    return steps


def test_filter_avoids_reading_other_events(mixed: tuple[LogReader, list[LoggedEvent]]) -> None:
    reader, _ = mixed
    scan = effort(reader, lambda: read(reader, limit=9999))
    assert effort(reader, lambda: reader.select_notifications(1, 1000, source="urn:never")) < scan / 1000
    assert effort(reader, lambda: reader.select_notifications(1, 1000, subject="parties/never")) < scan / 1000
    assert effort(reader, lambda: reader.select_notifications(1, 1000, subject="parties/rare")) < scan / 100
    assert effort(reader, lambda: reader.select_notifications(1, 1000, topics=["rare"])) < scan / 100
    assert effort(reader, lambda: reader.select_notifications(1, 1000, topics=["rare", "never"])) < scan / 100
    assert effort(reader, lambda: reader.find("urn:s1", "never")) < scan / 1000
    assert effort(reader, lambda: reader.at(3000)) < scan / 1000
    assert effort(reader, lambda: reader.select_events("parties/p7", gt=90, limit=1)) < scan / 1000
    assert effort(reader, reader.head) < scan / 1000


@pytest.mark.parametrize("until", [None, 0, 1, 700, 5000])
@pytest.mark.parametrize("limit", [1, 7, 999])
def test_events_are_read_subject_by_subject_in_the_order_of_the_first_event_of_each(
    path: Path, until: int | None, limit: int
) -> None:
    chance = random.Random(3)
    versions: dict[str, int] = {}
    made = []
    for position in range(1, 1001):
        subject = f"{chance.choice(('parties', 'labs', 'platforms'))}/p{chance.randrange(40)}"
        versions[subject] = versions.get(subject, 0) + 1
        made.append(event(position, subject, versions[subject]))
    with closing(Log(path)) as log:
        put(log, *made[:500])
        put(log, *made[500:])
        subjects: list[str] = []
        while some := log.subjects(subjects[-1] if subjects else None, limit):
            subjects += some
        assert subjects == [*versions]
        found: list[LoggedEvent] = []
        while part := log.by_subject(("labs", "parties"), found[-1] if found else None, until, limit):
            found += part
        assert effort(log, lambda: log.by_subject(("labs", "parties"), made[500], None, 1)) < 100
        for count in (1, 2, 3, 200):
            ranged: list[LoggedEvent] = []
            sizes = []
            for subjects_ in log.subject_ranges(("labs", "parties"), count):
                before = len(ranged)
                while part := log.by_subject(
                    ("labs", "parties"),
                    ranged[-1] if len(ranged) > before else None,
                    until,
                    limit,
                    subject_range=subjects_,
                ):
                    ranged += part
                sizes.append(len(ranged) - before)
            assert ranged == found
            assert len(sizes) <= count
            if until is None and count < 4:
                assert len(sizes) == count
                assert max(sizes) - min(sizes) < 60
    wanted = [each for subject in subjects for each in made if each.subject == subject]
    wanted = [each for each in wanted if not each.subject.startswith("platforms/")]
    assert found == [each for each in wanted if until is None or each.position <= until]


# --- refusals ---


def test_positions_with_a_gap_or_a_repeat_are_refused(log: Log) -> None:
    put(log, event(1))
    for group in ([event(2), event(4)], [event(2), event(2)]):
        with pytest.raises(ValueError, match="where 3 comes next"):
            log.insert_events(group)
    for position in (1, 3):
        with pytest.raises(HeadMoved):
            log.insert_events([event(position)])
    put(log, *events(2, 3))
    assert positions(read(log)) == [1, 2, 3]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_version_that_does_not_follow_is_refused(log: Log, path: Path, reopened: bool) -> None:
    put(log, event(1, "parties/catl", 1), event(2, "parties/catl", 2))
    writer = Log(path) if reopened else log
    for subject, version in [("parties/catl", 1), ("parties/catl", 2), ("parties/catl", 4), ("parties/new", 2)]:
        with pytest.raises(VersionConflict) as refused:
            writer.insert_events([event(3), event(4, subject, version)])
        assert (refused.value.subject, refused.value.version) == (subject, version)
    put(writer, event(3, "parties/catl", 3), event(4, "parties/new", 1), event(5, "parties/new", 2))
    assert positions(writer.select_notifications(1, 9, subject="parties/catl")) == [1, 2, 3]
    writer.close()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_the_same_source_and_id_twice_is_refused_and_leaves_nothing(
    log: Log, reader: LogReader, is_recorded: bool
) -> None:
    first, again = event(1, id="once"), event(3, "parties/new", id="once", source=event(1).source)
    other_source = event(2, id="once", source="urn:another")
    if is_recorded:
        put(log, first)
    with pytest.raises(DuplicateEvent) as refused:
        log.insert_events([other_source, again] if is_recorded else [first, other_source, again])
    assert (refused.value.source, refused.value.event_id) == (first.source, "once")
    recorded = [first] if is_recorded else []
    assert read(log) == read(reader) == recorded
    put(log, *[first, other_source, event(3, "parties/new")][len(recorded) :])
    assert positions(read(reader)) == [1, 2, 3]


def test_refused_group_leaves_nothing_and_the_next_is_recorded(log: Log, reader: LogReader) -> None:
    with pytest.raises(VersionConflict):
        log.insert_events([event(1), event(2, version=9)], effects=[StoreText(1, "text")])
    assert reader.head() == log.head() == 0
    assert reader.text(1) is None
    put(log, *events(1, 2))
    assert reader.head() == 2


def test_errors_are_the_errors_of_the_library(log: Log) -> None:
    put(log, event(1))
    for group in ([event(1)], [event(2, version=9)], [event(2, id="event-1")]):
        with pytest.raises(IntegrityError):
            log.insert_events(group)
    assert issubclass(LogUnavailable, OperationalError)
    assert issubclass(LogFormatError, InterfaceError)


def test_names_of_a_refused_group_can_be_used_again(log: Log, path: Path) -> None:
    with pytest.raises(VersionConflict):
        log.insert_events(
            [
                event(1, "parties/new", 1, source="urn:new"),
                event(2, "parties/new", 2, source="urn:new"),
                event(3, "x", 9),
            ]
        )
    put(log, event(1, "labs/other", source="urn:other"), event(2, "parties/new", 1, source="urn:new"))
    put(log, event(3, "parties/new", 2, source="urn:new"))
    with closing(Log(path)) as again:
        assert [(e.subject, e.version, e.source) for e in read(again)] == [
            ("labs/other", 1, "urn:other"),
            ("parties/new", 1, "urn:new"),
            ("parties/new", 2, "urn:new"),
        ]


def test_more_subjects_and_sources_than_are_cached(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.event_log.log._CACHED", 10)
    position = 0
    for version in (1, 2, 3):
        for n in range(40):
            position += 1
            log.insert_events([event(position, f"parties/p{n}", version, source=f"urn:{n}")])
    found = [log.select_notifications(1, 9, subject=f"parties/p{n}", source=f"urn:{n}") for n in (0, 39)]
    assert [positions(each) for each in found] == [[1, 41, 81], [40, 80, 120]]
    assert max(len(log._streams), len(log._sources)) <= 11


# --- other writers ---


def test_second_writer_gets_an_error_and_can_continue(log: Log, path: Path) -> None:
    with closing(Log(path)) as other:
        put(log, event(1, "parties/catl", 1))
        with pytest.raises(HeadMoved) as moved:
            other.insert_events([event(1, "parties/byd", 1)])
        assert moved.value.head == 1
        other.recover()
        assert other.head() == 1
        put(other, event(2, "parties/catl", 2))
        for event_ in (event(2, "parties/catl", 2), event(2, "parties/byd", 1)):
            with pytest.raises(HeadMoved):
                log.insert_events([event_])
        with pytest.raises(VersionConflict):  # the version in the cache is out of date
            log.insert_events([event(3, "parties/catl", 2)])
        put(log, event(3, "parties/catl", 3))
        assert positions(read(other)) == [1, 2, 3]


def test_versions_in_the_cache_are_dropped_after_another_writer(log: Log, path: Path) -> None:
    put(log, event(1, "parties/catl", 1))
    with closing(Log(path)) as other:
        put(other, event(2, "parties/catl", 2))
    assert log.head() == 1
    put(log, event(3, "parties/catl", 3))
    assert positions(read(log)) == [1, 2, 3]


def test_writers_in_many_threads_leave_no_gap_and_lose_nothing(log: Log, path: Path) -> None:
    def write(writer: int) -> int:
        with closing(Log(path)) as own:
            for version in range(1, 21):
                while True:
                    try:
                        put(own, event(own.head() + 1, f"parties/w{writer}", version, source=f"urn:{writer}"))
                        break
                    except HeadMoved:
                        own.recover()
        return writer

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, range(4))) == [0, 1, 2, 3]
    assert positions(read(log)) == list(range(1, 81))
    for writer in range(4):
        assert [e.originator_version for e in log.select_events(f"parties/w{writer}")] == list(range(1, 21))


def test_plain_events_of_the_library_are_recorded_and_read(log: Log) -> None:
    put(log, event(1, "parties/catl", 1))
    assert log.insert_events([StoredEvent("parties/catl", 2, "a.topic", b"state")]) == [2]
    with pytest.raises(HeadMoved):
        log.insert_events([event(2)])
    assert log.at(2) == LoggedEvent("parties/catl", 2, "a.topic", b"state", 2, "", "", b"", b"")
    put(log, event(3, "parties/catl", 3))
    found = log.select_notifications(start=1, limit=10)
    assert all(isinstance(each, Notification) for each in found)
    assert [(n.id, n.originator_id, n.originator_version, n.topic, n.state) for n in found] == [
        (1, "parties/catl", 1, "party.registered", event(1).entry),
        (2, "parties/catl", 2, "a.topic", b"state"),
        (3, "parties/catl", 3, "party.registered", event(3).entry),
    ]
    assert [(n.position, n.subject, n.version, n.type, n.entry) for n in found] == [
        (n.id, n.originator_id, n.originator_version, n.topic, n.state) for n in found
    ]
    assert log.select_events("parties/catl", gt=1, lte=2) == [StoredEvent("parties/catl", 2, "a.topic", b"state")]


@pytest.mark.parametrize("by", ["the log", "a reader", "a reader of another process"])
def test_subscription_gets_every_event_once_and_in_order(log: Log, path: Path, by: str) -> None:
    with closing(Log(path)) as other, closing(log.reader()) as near, closing(LogReader(path)) as far:
        subscribed = {"the log": log, "a reader": near, "a reader of another process": far}[by]
        with subscribed.subscribe(gt=1) as subscription:
            put(log, *events(1, 600))
            with pytest.raises(VersionConflict):
                log.insert_events([event(601), event(602, version=7)])

            def record_later() -> None:
                time.sleep(0.05)
                other.recover()
                put(other, event(601))

            thread = threading.Thread(target=record_later)
            thread.start()
            found = [next(subscription) for _ in range(600)]
            thread.join()
    assert found == events(2, 601)


def test_subscription_wakes_at_once_and_ends_when_stopped(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.event_log.subscription._POLL_SECONDS", 60.0)
    with closing(log.reader()) as reader, ThreadPoolExecutor(1) as pool:
        subscription = reader.subscribe(topics=("rare",))
        following = pool.submit(list, subscription)
        put(log, event(1), event(2, type="rare"))
        put(log, event(3, type="rare"))
        while subscription._last_notification_id != 3:
            time.sleep(0.005)
        subscription.stop()
        assert [each.id for each in following.result(10)] == [2, 3]
        assert log.listeners == set()


# --- the file ---


OPENED = {
    "projections/engine/": "the views",
    "service/api_keys.py": "the keys",
    "service/audit/": "files of an audit",
    "service/backup.py": "any file, to copy it",
    "service/event_log/": "the log",
}
"""The rooms and modules that open databases, and which."""


def test_only_the_recorder_the_audit_and_the_backup_open_the_log() -> None:
    packages = [REPOSITORY / name for name in ("domain", "projections", "seeds", "service")]
    sources = [path for package in packages for path in package.rglob("*.py")]
    opening = [str(path.relative_to(REPOSITORY)) for path in sources if "sqlite3.connect(" in path.read_text()]
    assert [path for path in opening if not path.startswith(tuple(OPENED))] == []


def _pragma(db: sqlite3.Cursor, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchall()[0][0]


def test_every_commit_waits_for_the_disk_and_pages_are_large(log: Log) -> None:
    assert _pragma(log._db, "journal_mode") == "wal"
    assert _pragma(log._db, "synchronous") == 2
    assert _pragma(log._db, "page_size") == 8192
    assert _pragma(log._db, "wal_autocheckpoint") == 2000


def test_a_group_is_one_transaction_that_locks_before_it_reads(log: Log) -> None:
    statements: list[str] = []
    log._db.connection.set_trace_callback(statements.append)
    log.insert_events(
        [event(1), event(2), event(3)], effects=[EraseData(1, 3, None), StoreText(2, "t"), EraseTexts("x")]
    )
    assert (statements[0], statements[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    assert [each.split()[0] for each in statements if each.split()[0] in ("BEGIN", "COMMIT", "ROLLBACK")] == [
        "BEGIN",
        "COMMIT",
    ]


def test_meta_is_stored_immediately(log: Log, reader: LogReader, path: Path) -> None:
    assert log.meta("origin") is None
    log.set_meta("origin", "other")
    log.set_meta("origin", "registry.example/log")
    log.set_meta("more", "1")
    log.drop_meta("more")
    assert reader.meta("origin") == "registry.example/log"
    log.close()
    with closing(Log(path)) as again:
        assert (again.meta("origin"), again.meta("more")) == ("registry.example/log", None)


def test_path_may_contain_url_characters(tmp_path: Path) -> None:
    path = tmp_path / "100% :memory: ?mode=memory #1.db"
    with closing(Log(path)) as log:
        put(log, event(1))
    assert path.is_file()
    with closing(LogReader(path)) as reader:
        assert reader.head() == 1


def _another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE events (a)")


def _a_later_format(path: Path) -> None:
    Log(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 3")


@pytest.mark.parametrize("size", [40, 3_000, 60_000])
def test_erased_data_is_in_no_file_of_the_log(path: Path, size: int) -> None:
    word = b"erase-me-" * (size // 9)
    with closing(Log(path)) as log, closing(log.reader()) as reader:
        put(log, *events(1, 40))
        secret = replace(event(41), data=b'{"name":"%b"}' % word, salt=b"salt-to-be-gone!")
        put(log, secret)
        put(log, *events(42, 80))
        log.insert_events([event(81)], effects=[EraseData(41, 81, 7)])
        assert read(reader, 40, 41) == [replace(secret, data=b"", salt=b"", redacted=81, about=7)]
        assert read(reader, 0, 40) == events(1, 40)
        assert log.erasures() == reader.erasures() == 1
        assert log.scrub()
        for file in path.parent.iterdir():
            assert b"erase-me-" not in file.read_bytes(), file
            assert b"salt-to-be-gone!" not in file.read_bytes(), file


def test_text_of_a_document_is_stored_until_it_is_erased(path: Path) -> None:
    text = "\u5b81\u5fb7 " * 20_000
    with closing(Log(path)) as log, closing(log.reader()) as reader:
        log.insert_events(
            [event(1, "documents/d"), event(2, "documents/d", 2), event(3, "documents/e")],
            effects=[StoreText(2, text), StoreText(3, "another")],
        )
        assert [reader.text(position) for position in (1, 2, 3)] == [None, text, "another"]
        log.insert_events([event(4, "documents/d", 3)], effects=[EraseTexts("documents/d")])
        assert [reader.text(position) for position in (1, 2, 3)] == [None, None, "another"]
        assert log.erasures() == 1
        assert log.scrub()
        for file in path.parent.iterdir():
            assert text[:100].encode() not in file.read_bytes(), file


def test_effects_are_applied_in_order_with_the_events_of_their_group(log: Log, reader: LogReader) -> None:
    group = [event(1, "documents/d"), event(2, "documents/d", 2), event(3), event(4)]
    effects = [
        StoreText(1, "first"),
        EraseTexts("documents/d"),
        StoreText(2, "second"),
        EraseData(3, 4, None),
    ]
    log.insert_events(group, effects=effects)
    assert [reader.text(position) for position in (1, 2)] == [None, "second"]
    assert read(reader) == [*group[:2], replace(group[2], data=b"", salt=b"", redacted=4), group[3]]
    assert log.erasures() == 2


def test_refused_group_erases_nothing(log: Log, reader: LogReader) -> None:
    put(log, *events(1, 2))
    with pytest.raises(VersionConflict):
        log.insert_events([event(3, version=9)], effects=[EraseData(1, 3, None)])
    assert read(reader) == events(1, 2)
    assert reader.erasures() == 0


def test_event_that_was_erased_in_another_log_is_stored_without_data(log: Log, reader: LogReader) -> None:
    erased = replace(event(1), data=b"", salt=b"", about=7)
    put(log, erased, event(2))
    assert read(reader) == [erased, event(2)]
    assert log.erasures() == 0


def test_files_are_not_scrubbed_while_a_reader_needs_them(log: Log, reader: LogReader) -> None:
    put(log, *events(1, 2))
    statement = reader._db.execute("SELECT * FROM events")
    statement.fetchone()
    put(log, event(3))
    assert not log.scrub()
    statement.fetchall()
    assert log.scrub()


def test_log_of_the_first_format_is_migrated_with_all_its_data(path: Path) -> None:
    with closing(Log(path)) as log:
        put(log, *events(1, 3))
        kept = read(log)
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE erased; DROP TABLE texts; PRAGMA user_version = 1")
    with pytest.raises(LogFormatError, match="serve it once"):
        LogReader(path)
    with closing(Log(path)) as log:
        assert read(log) == kept
        assert log.erasures() == 0
    with closing(LogReader(path)) as reader:
        assert read(reader) == kept


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_another_database, "not a log"),
        (_a_later_format, "format 3"),
        (lambda path: path.write_text("short"), "not a log"),
        (lambda path: path.write_bytes(b"not a database " * 1000), "not a log"),
    ],
)
def test_another_file_is_refused_and_left_as_it_was(path: Path, make: Callable[[Path], object], why: str) -> None:
    make(path)
    before = path.read_bytes()
    for opening in (Log, LogReader):
        with pytest.raises(LogFormatError, match=why):
            opening(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_reader_creates_no_file_and_refuses_an_empty_one(path: Path) -> None:
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        LogReader(path)
    assert not path.exists()
    path.touch()
    with pytest.raises(LogFormatError):
        LogReader(path)


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "log.db"):
        with pytest.raises(LogUnavailable, match=path.name):
            Log(path)


def test_an_empty_file_or_one_left_before_its_tables_were_made_becomes_a_log(path: Path) -> None:
    path.touch()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    with closing(Log(path)) as log:
        put(log, event(1))
        assert log.head() == 1


def test_concurrent_creations_of_a_file_make_one_log(tmp_path: Path) -> None:
    for attempt in range(10):
        path = tmp_path / f"{attempt}.db"
        start = threading.Barrier(4)

        def make(path: Path = path, start: threading.Barrier = start) -> Log:
            start.wait()
            return Log(path)

        with ThreadPoolExecutor(4) as pool:
            made = [future.result() for future in [pool.submit(make) for _ in range(4)]]
        put(made[0], event(1))
        assert {log.at(1) for log in made} == {event(1)}
        for log in made:
            log.close()


def test_opening_a_log_writes_nothing_to_it(path: Path) -> None:
    Log(path).close()
    before = path.read_bytes()
    with closing(Log(path)) as log:
        assert log.head() == 0
        assert not Path(f"{path}-wal").stat().st_size
    assert path.read_bytes() == before


# --- faults: each step, failed without and with its effect ---


def test_full_database_keeps_its_events_and_accepts_more_later(log: Log, reader: LogReader) -> None:
    put(log, *events(1, 100))
    pages = _pragma(log._db, "page_count")
    log._db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    with pytest.raises(LogUnavailable, match="full"):
        log.insert_events(events(101, 1000))
    log.recover()
    assert log.head() == reader.head() == 100
    assert read(log) == read(reader) == events(1, 100)
    log._db.execute("PRAGMA max_page_count = 1000000").fetchall()
    put(log, *events(101, 200))
    assert read(reader) == events(1, 200)


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from service.event_log import Log, LogUnavailable
from tests.service.test_event_log import events, put

path = Path(sys.argv[1])
log = Log(path)
put(log, *events(1, 10))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 10_000, hard))
try:
    log.insert_events(events(11, 100))
except LogUnavailable as error:
    print("failed:", error)
log.recover()
print(log.head(), log.find("https://example.org/importer", "event-11"))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
put(log, *events(11, 20))
print(log.head())
"""


def test_commit_that_fails_on_the_disk_is_discarded_and_the_log_continues(path: Path) -> None:
    child = [sys.executable, "-c", SMALL_DISK, str(path)]
    done = subprocess.run(child, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    failed, rolled_back, after = done.stdout.splitlines()
    assert failed.startswith("failed: ")
    assert (rolled_back, after) == ("10 None", "20")
    with closing(Log(path)) as log:
        assert read(log) == events(1, 20)


class Unreliable:
    """The cursor of a log whose chosen calls fail, before or after their effect."""

    def __init__(self, db: sqlite3.Cursor, statement: str, *, done: bool) -> None:
        self.db, self.statement, self.done = db, statement, done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith(self.statement) and not self.done:
            raise sqlite3.OperationalError("disk I/O error")
        result = self.db.execute(sql, *values)
        if sql.startswith(self.statement):
            raise sqlite3.OperationalError("disk I/O error")
        return result


@contextmanager
def failing(log: Log, statement: str, *, done: bool) -> Iterator[None]:
    """Make the statements of the log that begin so fail, before or after their effect."""
    reliable = log.datastore.db
    log.datastore.db = Unreliable(reliable, statement, done=done)  # type: ignore[assignment]
    yield
    log.datastore.db = reliable


@pytest.mark.parametrize("kept", [False, True])
def test_after_a_commit_that_failed_the_head_is_where_the_file_says(log: Log, reader: LogReader, kept: bool) -> None:
    put(log, event(1))
    with failing(log, "COMMIT", done=kept), pytest.raises(LogUnavailable, match="disk I/O error"):
        log.insert_events([event(2)])
    log.recover()
    assert log.head() == reader.head() == (2 if kept else 1)
    assert (log.find("https://example.org/importer", "event-2") is not None) == kept
    put(log, event(log.head() + 1, "parties/next"))
    assert positions(read(reader)) == list(range(1, log.head() + 1))


def test_group_that_was_recorded_in_spite_of_a_failure_is_not_recorded_twice(log: Log, reader: LogReader) -> None:
    with failing(log, "COMMIT", done=True), pytest.raises(LogUnavailable):
        log.insert_events([event(1)])
    with pytest.raises(HeadMoved):
        log.insert_events([event(1)])
    assert read(reader) == [event(1)]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "SELECT ifnull(max",
        "INSERT INTO streams",
        "INSERT INTO sources",
        "INSERT INTO texts",
        "UPDATE events",
        "INSERT OR REPLACE INTO erased",
        "INSERT OR REPLACE INTO meta",
    ],
)
def test_a_group_that_fails_at_any_step_leaves_nothing(log: Log, reader: LogReader, statement: str, done: bool) -> None:
    put(log, event(1))
    effects = [StoreText(2, "text"), EraseData(1, 2, None)]
    with failing(log, statement, done=done), pytest.raises(LogUnavailable):
        log.insert_events([event(2, source="urn:new")], effects=effects)
    assert read(reader) == read(log) == [event(1)]
    assert reader.text(2) is None
    assert reader.erasures() == 0
    log.insert_events([event(2, source="urn:new")], effects=effects)
    assert reader.head() == 2
    assert reader.text(2) == "text"


@pytest.mark.parametrize("done", [False, True])
def test_nothing_is_recorded_until_a_failed_rollback_is_repeated(log: Log, reader: LogReader, done: bool) -> None:
    with failing(log, "ROLLBACK", done=done):
        with pytest.raises(VersionConflict):
            log.insert_events([event(1), event(2, version=9)])
        if not done:
            for attempt in (log.recover, lambda: log.insert_events([event(1)]), lambda: log.set_meta("a", "b")):
                with pytest.raises(LogUnavailable):
                    attempt()
    log.recover()
    put(log, event(1, "parties/other"))
    assert read(reader) == [event(1, "parties/other")]
    assert reader.meta("a") is None


def test_a_transaction_that_sqlite_gave_up_by_itself_is_not_committed_in_part(
    log: Log, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(log, event(1))
    real = log._apply

    def given_up(db: sqlite3.Cursor, effects: Sequence[Effect]) -> None:
        db.execute("ROLLBACK")
        real(db, effects)

    monkeypatch.setattr(log, "_apply", given_up)
    with pytest.raises(LogUnavailable):
        log.insert_events([event(2), event(3)])
    monkeypatch.undo()
    assert read(reader) == [event(1)]
    put(log, *events(2, 3))
    assert reader.head() == 3


def test_lock_held_by_another_process_is_a_temporary_error(log: Log, path: Path) -> None:
    log._db.execute("PRAGMA busy_timeout = 10").fetchall()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked"):
            log.insert_events([event(1)])
        other.execute("ROLLBACK")
    put(log, event(1))


APPEND_FOR_EVER = """
import sys
from pathlib import Path
from service.event_log import Log
from tests.service.test_event_log import event

log = Log(Path(sys.argv[1]))
print(log.head(), flush=True)
while True:
    group = 1 + log.head() % 7
    log.insert_events([event(log.head() + 1 + n) for n in range(group)])
    print(log.head(), flush=True)
"""


def test_acknowledged_events_survive_kill_9(path: Path) -> None:
    chance = random.Random(9)
    acknowledged = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", APPEND_FOR_EVER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) >= acknowledged
            for _ in range(chance.randrange(5, 20)):
                acknowledged = int(process.stdout.readline())
            time.sleep(chance.uniform(0.0, 0.01))
            process.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
        with closing(Log(path)) as log:
            assert log.head() >= acknowledged
            assert read(log, limit=log.head() + 1) == events(1, log.head())
    assert acknowledged > 100
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
