"""The event log: append, read and subscribe. The library's own cases are in test_log_library_cases."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

import service
from service.event_log import (
    DuplicateEvent,
    HeadMoved,
    Log,
    LogError,
    LogFormatError,
    LoggedEvent,
    LogReader,
    LogUnavailable,
    VersionConflict,
)

REPOSITORY = Path(service.__file__).parents[1]


def event(position: int, subject: str = "", version: int = 1, **given: Any) -> LoggedEvent:
    """Return an event that differs from all others in every field that may differ."""
    return LoggedEvent(
        position=position,
        version=version,
        subject=subject or f"parties/p{position}",
        type=given.get("type", "party.registered"),
        source=given.get("source", "https://example.org/importer"),
        id=given.get("id", f"event-{position}"),
        entry=b'{"position":%d}' % position,
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
    log.append(appended)
    log.commit()


def positions(found: list[LoggedEvent]) -> list[int]:
    return [e.position for e in found]


# --- appending and reading ---


def test_appended_events_are_read_back_byte_for_byte(log: Log, reader: LogReader, path: Path) -> None:
    odd = LoggedEvent(2, 1, "agreements/\u5b81\u5fb7", "t", "urn:\u65f6", "\u4ee3 '\"", b"\x00\xff", b"{}", bytes(16))
    put(log, event(1), odd, event(3, "parties/p1", 2))
    log.close()
    with closing(Log(path)) as again:
        assert again.read() == [event(1), odd, event(3, "parties/p1", 2)]
    assert reader.at(2) == odd
    assert reader.find("urn:\u65f6", "\u4ee3 '\"") == odd


def test_empty_log_has_head_0_and_no_events(log: Log, reader: LogReader) -> None:
    for asked in (log, reader):
        assert asked.head() == 0
        assert asked.read() == asked.read(type="party.registered") == asked.read(subject="parties/p1") == []
        assert asked.at(1) is None
        assert asked.find("https://example.org/importer", "event-1") is None


def test_impossible_positions_are_not_found(log: Log) -> None:
    put(log, *events(1, 3))
    assert [log.at(position) for position in (-1, 0, 4, 2**63 - 1, 2**63, 10**30)] == [None] * 6
    assert positions(log.read(after=-5, until=10**30, limit=10**30)) == [1, 2, 3]
    assert log.read(after=10**30) == log.read(until=0) == log.read(limit=0) == log.read(limit=-1) == []


def test_head_counts_own_uncommitted_appends_and_forgets_them_on_rollback(log: Log) -> None:
    put(log, *events(1, 2))
    log.append(events(3, 5))
    assert log.head() == 5
    log.rollback()
    assert log.head() == 2


def test_own_uncommitted_appends_are_found_and_a_reader_sees_them_once_committed(log: Log, reader: LogReader) -> None:
    put(log, event(1))
    log.append([event(2)])
    log.append([event(3, "parties/p2", 2)])
    assert log.find("https://example.org/importer", "event-2") == event(2)
    assert positions(log.read(subject="parties/p2")) == [2, 3]
    assert reader.head() == 1
    assert reader.at(2) is None
    assert reader.find("https://example.org/importer", "event-2") is None
    assert positions(reader.read()) == [1]
    log.commit()
    assert reader.head() == 3
    assert positions(reader.read(after=1)) == [2, 3]


def test_a_commit_may_come_from_another_thread_while_readers_read(log: Log, reader: LogReader) -> None:
    with ThreadPoolExecutor(2) as pool:
        for position in range(1, 101):
            log.append([event(position)])
            reading = pool.submit(reader.read, position - 2)
            pool.submit(log.commit).result()
            assert positions(reading.result()) in ([position - 1], [position - 1, position], [position], [])
    assert positions(reader.read()) == list(range(1, 101))


def test_empty_commit_and_rollback_are_harmless(log: Log) -> None:
    log.commit()
    log.rollback()
    log.append([])
    log.commit()
    assert log.head() == 0


def test_a_reader_cannot_write(reader: LogReader) -> None:
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


@pytest.mark.parametrize("types", [None, (), "t1", ("t1",), ("t3", "rare", "t3"), "rare", "never", ("never", "rare")])
@pytest.mark.parametrize("subject", [None, "parties/p7", "parties/rare", "parties/never"])
@pytest.mark.parametrize("source", [None, "urn:s1", "urn:rare", "urn:never"])
def test_reading_gives_the_first_events_in_order_that_pass_every_filter(
    mixed: tuple[LogReader, list[LoggedEvent]],
    types: str | tuple[str, ...] | None,
    subject: str | None,
    source: str | None,
) -> None:
    reader, made = mixed
    wanted = (types,) if isinstance(types, str) else types
    for after, until, limit in [(0, None, 9999), (0, None, 7), (1023, 2048, 9999), (2046, 4999, 3), (4999, None, 5)]:
        passing = [
            e
            for e in made
            if e.position > after
            and (until is None or e.position <= until)
            and (not wanted or e.type in wanted)
            and (subject is None or e.subject == subject)
            and (source is None or e.source == source)
        ]
        assert reader.read(after, until, limit, type=types, subject=subject, source=source) == passing[:limit]


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
    scan = effort(reader, lambda: reader.read(limit=9999))
    assert effort(reader, lambda: reader.read(source="urn:never")) < scan / 1000
    assert effort(reader, lambda: reader.read(subject="parties/never")) < scan / 1000
    assert effort(reader, lambda: reader.read(subject="parties/rare")) < scan / 100
    assert effort(reader, lambda: reader.read(type="rare")) < scan / 100
    assert effort(reader, lambda: reader.read(type=["rare", "never"])) < scan / 100
    assert effort(reader, lambda: reader.find("urn:s1", "never")) < scan / 1000
    assert effort(reader, lambda: reader.at(3000)) < scan / 1000
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
            stretched: list[LoggedEvent] = []
            sizes = []
            for stretch in log.stretches(("labs", "parties"), count):
                before = len(stretched)
                while part := log.by_subject(
                    ("labs", "parties"),
                    stretched[-1] if len(stretched) > before else None,
                    until,
                    limit,
                    stretch=stretch,
                ):
                    stretched += part
                sizes.append(len(stretched) - before)
            assert stretched == found
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
    for appended in ([event(2), event(4)], [event(2), event(2)]):
        with pytest.raises(ValueError, match="where 3 comes next"):
            log.append(appended)
        log.rollback()
    for position in (1, 3):
        with pytest.raises(HeadMoved):
            log.append([event(position)])
        log.rollback()
    put(log, *events(2, 3))
    assert positions(log.read()) == [1, 2, 3]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_version_that_does_not_follow_is_refused(log: Log, path: Path, reopened: bool) -> None:
    put(log, event(1, "parties/catl", 1), event(2, "parties/catl", 2))
    writer = Log(path) if reopened else log
    for subject, version in [("parties/catl", 1), ("parties/catl", 2), ("parties/catl", 4), ("parties/new", 2)]:
        with pytest.raises(VersionConflict) as refused:
            writer.append([event(3), event(4, subject, version)])
        assert (refused.value.subject, refused.value.version) == (subject, version)
        writer.rollback()
    put(writer, event(3, "parties/catl", 3), event(4, "parties/new", 1), event(5, "parties/new", 2))
    assert positions(writer.read(subject="parties/catl")) == [1, 2, 3]
    writer.close()


@pytest.mark.parametrize("where", ["committed", "same transaction", "same append"])
def test_the_same_source_and_id_twice_is_refused_and_leaves_nothing(log: Log, reader: LogReader, where: str) -> None:
    first, again = event(1, id="once"), event(3, "parties/new", id="once", source=event(1).source)
    other_source = event(2, id="once", source="urn:another")
    if where == "committed":
        put(log, first)
    elif where == "same transaction":
        log.append([first])
    with pytest.raises(DuplicateEvent) as refused:
        log.append([other_source, again] if where != "same append" else [first, other_source, again])
    assert (refused.value.source, refused.value.id) == (first.source, "once")
    log.rollback()
    kept = [first] if where == "committed" else []
    assert log.read() == reader.read() == kept
    put(log, *[first, other_source, event(3, "parties/new")][len(kept) :])
    assert positions(reader.read()) == [1, 2, 3]


def test_after_a_refused_append_nothing_can_be_committed_but_by_rolling_back(log: Log, reader: LogReader) -> None:
    log.append([event(1)])
    with pytest.raises(VersionConflict):
        log.append([event(2, version=9)])
    for attempt in (log.commit, lambda: log.append([event(2)]), lambda: log.set_meta("a", "b")):
        with pytest.raises(LogError, match="roll it back"):
            attempt()
    log.rollback()
    assert reader.head() == log.head() == 0
    put(log, *events(1, 2))
    assert reader.head() == 2


def test_names_of_a_rolled_back_transaction_can_be_used_again(log: Log, path: Path) -> None:
    log.append([event(1, "parties/new", 1, source="urn:new"), event(2, "parties/new", 2, source="urn:new")])
    log.rollback()
    put(log, event(1, "labs/other", source="urn:other"), event(2, "parties/new", 1, source="urn:new"))
    put(log, event(3, "parties/new", 2, source="urn:new"))
    with closing(Log(path)) as again:
        assert [(e.subject, e.version, e.source) for e in again.read()] == [
            ("labs/other", 1, "urn:other"),
            ("parties/new", 1, "urn:new"),
            ("parties/new", 2, "urn:new"),
        ]


def test_more_subjects_and_sources_than_are_cached(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.event_log._REMEMBERED", 10)
    position = 0
    for version in (1, 2, 3):
        for n in range(40):
            position += 1
            log.append([event(position, f"parties/p{n}", version, source=f"urn:{n}")])
        log.commit()
    assert [positions(log.read(subject=f"parties/p{n}", source=f"urn:{n}")) for n in (0, 39)] == [
        [1, 41, 81],
        [40, 80, 120],
    ]
    assert max(len(log._streams), len(log._sources)) <= 11


# --- other writers ---


def test_second_writer_gets_an_error_and_can_continue(log: Log, path: Path) -> None:
    with closing(Log(path)) as other:
        put(log, event(1, "parties/catl", 1))
        with pytest.raises(HeadMoved) as moved:
            other.append([event(1, "parties/byd", 1)])
        assert moved.value.head == 1
        other.rollback()
        assert other.head() == 1
        put(other, event(2, "parties/catl", 2))
        for event_ in (event(2, "parties/catl", 2), event(2, "parties/byd", 1)):
            with pytest.raises(HeadMoved):
                log.append([event_])
            log.rollback()
        with pytest.raises(VersionConflict):  # the versions it remembered are the other's by now
            log.append([event(3, "parties/catl", 2)])
        log.rollback()
        put(log, event(3, "parties/catl", 3))
        assert positions(other.read()) == [1, 2, 3]


def test_writers_in_many_threads_leave_no_gap_and_lose_nothing(log: Log, path: Path) -> None:
    def write(writer: int) -> int:
        with closing(Log(path)) as own:
            for version in range(1, 21):
                while True:
                    try:
                        put(own, event(own.head() + 1, f"parties/w{writer}", version, source=f"urn:{writer}"))
                        break
                    except HeadMoved:
                        own.rollback()
        return writer

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, range(4))) == [0, 1, 2, 3]
    assert positions(log.read()) == list(range(1, 81))
    for writer in range(4):
        assert [e.version for e in log.read(subject=f"parties/w{writer}")] == list(range(1, 21))


def test_events_inserted_by_the_library_are_in_the_same_log(log: Log) -> None:
    put(log, event(1, "parties/catl", 1))
    assert log.recorder.insert_events([StoredEvent("parties/catl", 2, "a.topic", b"state")]) == [2]
    with pytest.raises(HeadMoved):
        log.append([event(2)])
    log.rollback()
    assert log.at(2) == LoggedEvent(2, 2, "parties/catl", "a.topic", "", "", b"state", b"", b"")
    put(log, event(3, "parties/catl", 3))
    notified = log.recorder.select_notifications(start=1, limit=10)
    assert [(n.id, n.originator_id, n.originator_version, n.topic, n.state) for n in notified] == [
        (1, "parties/catl", 1, "party.registered", event(1).entry),
        (2, "parties/catl", 2, "a.topic", b"state"),
        (3, "parties/catl", 3, "party.registered", event(3).entry),
    ]


def test_subscription_gets_every_commit_once_and_in_order(log: Log, path: Path) -> None:
    with closing(Log(path)) as other, log.recorder.subscribe(gt=1) as subscription:
        put(log, *events(1, 600))
        log.append([event(601)])
        log.rollback()

        def append_later() -> None:
            time.sleep(0.05)
            other.rollback()
            put(other, event(601))

        thread = threading.Thread(target=append_later)
        thread.start()
        heard = [next(subscription).id for _ in range(600)]
        thread.join()
    assert heard == list(range(2, 602))


# --- the file ---


def _pragma(db: sqlite3.Cursor, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchall()[0][0]


def test_every_commit_waits_for_the_disk_and_pages_are_large(log: Log) -> None:
    with log.recorder.datastore.transaction(commit=True) as librarys:
        for db in (log._db, librarys.sqlite_cursor):
            assert _pragma(db, "journal_mode") == "wal"
            assert _pragma(db, "synchronous") == 2
            assert _pragma(db, "page_size") == 8192
            assert _pragma(db, "wal_autocheckpoint") == 2000


def test_meta_is_stored_in_its_transaction(log: Log, reader: LogReader, path: Path) -> None:
    assert log.meta("origin") is None
    log.set_meta("origin", "registry.example/log")
    assert reader.meta("origin") == "registry.example/log"
    log.append([event(1)])
    log.set_meta("origin", "other")
    log.rollback()
    log.close()
    with closing(Log(path)) as again:
        assert again.meta("origin") == "registry.example/log"


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
        told = event(41)._replace(data=b'{"name":"%b"}' % word, salt=b"salt-to-be-gone!")
        put(log, told)
        put(log, *events(42, 80))
        log.append([event(81)])
        log.erase(41, 81, 7)
        log.commit()
        assert reader.read(40, 41) == [told._replace(data=b"", salt=b"", redacted=81, about=7)]
        assert reader.read(0, 40) == events(1, 40)
        assert log.erasures() == reader.erasures() == 1
        assert log.scrub()
        for file in path.parent.iterdir():
            assert b"erase-me-" not in file.read_bytes(), file
            assert b"salt-to-be-gone!" not in file.read_bytes(), file


def test_text_of_a_document_is_stored_until_it_is_erased(path: Path) -> None:
    text = "\u5b81\u5fb7 " * 20_000
    with closing(Log(path)) as log, closing(log.reader()) as reader:
        log.append([event(1, "documents/d"), event(2, "documents/d", 2), event(3, "documents/e")])
        log.put_text(2, text)
        log.put_text(3, "another")
        log.commit()
        assert [reader.text(position) for position in (1, 2, 3)] == [None, text, "another"]
        log.append([event(4, "documents/d", 3)])
        log.drop_texts("documents/d")
        log.commit()
        assert [reader.text(position) for position in (1, 2, 3)] == [None, None, "another"]
        assert log.scrub()
        for file in path.parent.iterdir():
            assert text[:100].encode() not in file.read_bytes(), file


def test_rolled_back_erasure_erases_nothing(log: Log, reader: LogReader) -> None:
    put(log, *events(1, 2))
    log.append([event(3)])
    log.erase(1, 3, None)
    log.rollback()
    assert reader.read() == events(1, 2)
    assert reader.erasures() == 0


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
        kept = log.read()
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE erased; DROP TABLE texts; PRAGMA user_version = 1")
    with pytest.raises(LogFormatError, match="serve it once"):
        LogReader(path)
    with closing(Log(path)) as log:
        assert log.read() == kept
        assert log.erasures() == 0
    with closing(LogReader(path)) as reader:
        assert reader.read() == kept


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


# --- faults: each durable step, failed and not kept, failed but kept ---


def test_full_database_keeps_its_events_and_accepts_more_later(log: Log, reader: LogReader) -> None:
    put(log, *events(1, 100))
    pages = _pragma(log._db, "page_count")
    log._db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    with pytest.raises(LogUnavailable, match="full"):
        log.append(events(101, 1000))
    with pytest.raises(LogError):
        log.commit()
    log.rollback()
    assert log.head() == reader.head() == 100
    assert log.read() == reader.read() == events(1, 100)
    log._db.execute("PRAGMA max_page_count = 1000000").fetchall()
    put(log, *events(101, 200))
    assert reader.read() == events(1, 200)


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from service.event_log import Log, LogUnavailable
from tests.test_log import events, put

path = Path(sys.argv[1])
log = Log(path)
put(log, *events(1, 10))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 10_000, hard))
log.append(events(11, 100))
try:
    log.commit()
except LogUnavailable as error:
    print("failed:", error)
log.rollback()
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
        assert log.read() == events(1, 20)


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


@pytest.mark.parametrize("kept", [False, True])
def test_after_a_commit_that_failed_the_head_is_where_the_file_says(log: Log, reader: LogReader, kept: bool) -> None:
    put(log, event(1))
    log.append([event(2)])
    reliable = log._db
    log._db = Unreliable(reliable, "COMMIT", done=kept)  # type: ignore[assignment]
    with pytest.raises(LogUnavailable, match="disk I/O error"):
        log.commit()
    log._db = reliable
    log.rollback()
    assert log.head() == reader.head() == (2 if kept else 1)
    assert (log.find("https://example.org/importer", "event-2") is not None) == kept
    put(log, event(log.head() + 1, "parties/next"))
    assert positions(reader.read()) == list(range(1, log.head() + 1))


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT ifnull(max", "INSERT INTO streams", "INSERT INTO sources"])
def test_an_append_that_fails_at_any_step_leaves_nothing(
    log: Log, reader: LogReader, statement: str, done: bool
) -> None:
    put(log, event(1))
    reliable = log._db
    log._db = Unreliable(reliable, statement, done=done)  # type: ignore[assignment]
    with pytest.raises(LogUnavailable):
        log.append([event(2, source="urn:new")])
    log._db = reliable
    with pytest.raises(LogError):
        log.commit()
    log.rollback()
    assert reader.read() == log.read() == [event(1)]
    put(log, event(2, source="urn:new"))
    assert reader.head() == 2


@pytest.mark.parametrize("done", [False, True])
def test_failed_rollback_may_be_repeated(log: Log, reader: LogReader, done: bool) -> None:
    log.append([event(1)])
    reliable = log._db
    log._db = Unreliable(reliable, "ROLLBACK", done=done)  # type: ignore[assignment]
    with pytest.raises(LogUnavailable):
        log.rollback()
    with pytest.raises(LogError):
        log.append([event(2)])
    log._db = reliable
    log.rollback()
    put(log, event(1, "parties/other"))
    assert reader.read() == [event(1, "parties/other")]


def test_a_transaction_that_sqlite_gave_up_by_itself_is_not_committed_in_part(log: Log, reader: LogReader) -> None:
    log.append([event(1)])
    log._db.execute("ROLLBACK")
    for attempt in (log.commit, lambda: log.append([event(2)]), lambda: log.set_meta("a", "b")):
        with pytest.raises(LogError, match="roll it back"):
            attempt()
    log.rollback()
    assert log.head() == reader.head() == 0


def test_lock_held_by_another_process_is_a_temporary_error(log: Log, path: Path) -> None:
    log._db.execute("PRAGMA busy_timeout = 10").fetchall()
    with closing(Log(path)) as other:
        other.append([event(1)])
        with pytest.raises(LogUnavailable, match="locked"):
            log.append([event(1)])
        log.rollback()
        other.rollback()
        put(log, event(1))


APPEND_FOR_EVER = """
import sys
from pathlib import Path
from service.event_log import Log
from tests.test_log import event

log = Log(Path(sys.argv[1]))
print(log.head(), flush=True)
while True:
    group = 1 + log.head() % 7
    log.append([event(log.head() + 1 + n) for n in range(group)])
    log.commit()
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
            time.sleep(chance.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
        with closing(Log(path)) as log:
            assert log.head() >= acknowledged
            assert log.read(limit=log.head() + 1) == events(1, log.head())
    assert acknowledged > 100
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
