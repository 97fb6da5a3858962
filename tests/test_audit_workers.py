"""Worker processes find what one process finds, and none of them outlives the audit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from service.audit import workers
from service.audit.checkpoints import CannotAudit
from service.audit.run import AuditOptions, audit
from service.audit.summary import Wanted
from service.audit.targets import open_source
from service.audit.workers import summaries
from service.worker_pool import MOST
from tests.contract.audits import Story, entry_with, rows, tamper

WANTED = Wanted(evidence=True, rules=True)
AT_ONCE = 32
CHANGED = "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), ?, ?) AS BLOB) WHERE position = ?"
STARTED = """
import sys, time
from multiprocessing import active_children
from pathlib import Path
from service.audit.summary import Wanted
from service.audit.workers import summaries
found = summaries(Path(sys.argv[1]), int(sys.argv[2]), 1, Wanted(True, True), 2)
next(found)
print(*[each.pid for each in active_children()], flush=True)
try:
    time.sleep(60)
finally:
    found.close()
"""


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


def run_audit(data: Path, monkeypatch, count: int, **options: Any) -> dict[str, Any]:
    """Return the report of an audit by `count` processes, without times."""
    monkeypatch.setattr("service.audit.database.processes", lambda _: count)
    monkeypatch.setattr("service.audit.database.AT_ONCE", AT_ONCE)
    with closing(open_source(str(data))) as source:
        document = audit(source, AuditOptions(**options), lambda _: None).document
    for check in (document, *document["checks"]):
        del check["seconds"]
    return document


def with_data(story: Story, data: Path, content: bytes) -> tuple[str, bytes, bytes, int]:
    """Return the statement that changes the data of an event and its entry alike."""
    at = story.agreement
    ((salt,),) = rows(data, "SELECT salt FROM events WHERE position = ?", at)
    entry = entry_with(data, at, data_sha256=sha256(salt + content).hexdigest())
    return "UPDATE events SET data = ?, state = ? WHERE position = ?", content, entry, at


CHANGES: dict[str, Callable[[Story, Path], list[Any]]] = {
    "nothing": lambda story, data: [],
    "data": lambda story, data: [
        (CHANGED, "An agreement", "An agreemens", story.agreement),
        (CHANGED, "y 9", "y 8", 10),
    ],
    "data that its type does not have": lambda story, data: [with_data(story, data, b'{"title":"x"}')],
    "data that is no JSON": lambda story, data: [with_data(story, data, b"none")],
    "a time": lambda story, data: [
        (
            "UPDATE events SET state = ? WHERE position = 40",
            entry_with(data, 40, recorded="2020-01-01T00:00:00.000000Z"),
        )
    ],
    "an actor": lambda story, data: [
        ("UPDATE events SET state = ? WHERE position = 40", entry_with(data, 40, actor="somebody"))
    ],
    "versions": lambda story, data: ["UPDATE events SET version = 7 WHERE position IN (3, 33, 34, 270)"],
    "a name said twice": lambda story, data: [
        "DROP INDEX events_by_id",
        ("UPDATE events SET event_id = (SELECT event_id FROM events WHERE position = 9) WHERE position = 200",),
    ],
    "one deleted": lambda story, data: ["DELETE FROM events WHERE position = 100"],
    "the first of a batch deleted": lambda story, data: ["DELETE FROM events WHERE position = 65"],
    "the last of a batch deleted": lambda story, data: ["DELETE FROM events WHERE position = 64"],
    "a batch deleted": lambda story, data: ["DELETE FROM events WHERE position > 64 AND position <= 96"],
    "all deleted": lambda story, data: ["DELETE FROM events"],
    "data gone": lambda story, data: [("UPDATE events SET data = NULL, salt = NULL WHERE position = ?", story.signed)],
    "what is no text": lambda story, data: ["UPDATE events SET event_id = CAST(x'fffe' AS TEXT) WHERE position = 50"],
    "what is no entry": lambda story, data: ["UPDATE events SET state = CAST(state AS TEXT) WHERE position = 50"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_several_processes_find_the_faults_that_one_finds(story, data, monkeypatch, change):
    tamper(data, *CHANGES[change](story, data))
    alone = run_audit(data, monkeypatch, 0)
    assert (alone["status"] == 0) == (change == "nothing")
    assert run_audit(data, monkeypatch, 2) == alone


def test_changed_leaf_is_named_also_by_worker_processes(story, data, monkeypatch):
    tamper(data, "UPDATE tree SET hash = zeroblob(32) WHERE id IN (0, 100, 256)", file="views.sqlite")
    alone = run_audit(data, monkeypatch, 0, views=False)
    assert [each["position"] for each in alone["findings"]] == [1, 101, 257]
    assert run_audit(data, monkeypatch, 3, views=False, evidence=False) == run_audit(
        data, monkeypatch, 0, views=False, evidence=False
    )


def test_worker_processes_find_damage_of_the_file(data, monkeypatch):
    content = bytearray((data / "log.sqlite").read_bytes())
    page = content.index(b'"An agreement"') // 8192 * 8192
    content[page : page + 100] = b"\xff" * 100
    (data / "log.sqlite").write_bytes(content)
    alone = run_audit(data, monkeypatch, 0)
    assert alone["status"] == 1
    assert run_audit(data, monkeypatch, 2) == alone


def test_worker_processes_import_nothing_from_the_working_directory(story, tmp_path, monkeypatch):
    (tmp_path / "service" / "audit").mkdir(parents=True)
    for name in ("struct.py", "service/__init__.py", "service/audit/__init__.py", "service/audit/workers.py"):
        (tmp_path / name).write_text("raise SystemExit('code of the working directory')")
    monkeypatch.chdir(tmp_path)
    with closing(summaries(story.data / "log.sqlite", story.head, AT_ONCE, WANTED, 2)) as found:
        assert all(summary is not None for summary in found)
    assert "PYTHONSAFEPATH" not in os.environ


def test_worker_that_cannot_open_the_log_fails_the_audit(data):
    with (
        closing(summaries(data / "nowhere.sqlite", 10, 1, WANTED, 2)) as found,
        pytest.raises(CannotAudit, match=r"nowhere\.sqlite cannot be opened"),
    ):
        next(found)


def test_worker_that_is_killed_fails_the_audit_and_ends_the_others(data, story):
    with closing(summaries(data / "log.sqlite", story.head, 1, WANTED, 3)) as found:
        next(found)
        workers_ = active_children()
        workers_[0].kill()
        with pytest.raises(CannotAudit, match="worker process of the audit ended"):
            list(found)
    assert not any(each.is_alive() for each in workers_)


def test_closing_ends_the_workers(data, story):
    with closing(summaries(data / "log.sqlite", story.head, 1, WANTED, 2)) as found:
        next(found)
        workers_ = active_children()
        assert workers_
    assert not any(each.is_alive() for each in workers_)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux shows whether a process of others runs")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_when_the_audit_is_killed_or_interrupted(story, number):
    command = [sys.executable, "-c", STARTED, str(story.data / "log.sqlite"), str(story.head)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as audit_:
        assert audit_.stdout is not None
        pids = audit_.stdout.readline().split()
        assert pids
        assert all(is_running(pid) for pid in pids)
        audit_.send_signal(number)
    until = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Return whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_small_log_or_single_core_uses_no_workers(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert workers.processes(workers.LEAST - 1) == 0
    assert workers.processes(workers.LEAST) == 2
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {*range(64)})
    assert workers.processes(workers.LEAST) == MOST
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5})
    assert workers.processes(10**9) == 0
