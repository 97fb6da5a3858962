"""A replay by several processes equals that of one process, whole or not at all, and none of them stays."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from projections.digests import SCOPES
from service.commands.log_entry import logged
from service.data_directory import LOG
from service.event_log import ALL_SUBJECTS, Log, LogReader
from service.jobs import JobFailed
from service.views import replay_jobs
from service.views.replay import parts
from service.views.replay_jobs import Replays
from tests.processes import SECONDS, processes, soon
from tests.random_histories import GENERATED, histories, recorded
from tests.recorded_views import new_views, party
from tests.service.commands import call, environment, serving

SHARED = [view for view, scope in SCOPES.items() if scope.by_subject]
MANY = 3000
"""Parties whose lines are more than what pipes hold that nobody reads."""


def log_of(folder, events):
    """Return a data directory with a log of these events."""
    with closing(Log(folder / LOG)) as log:
        log.insert_events([logged(each) for each in events])
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a log of many parties."""
    with new_views() as found:
        found.record(*(party(f"p-{number}", name="Long name " * 20) for number in range(MANY)))
        return log_of(tmp_path_factory.mktemp("large"), found.events)


@contextmanager
def replay(data, view, until, processes):
    """Start a replay in a process group of its own."""
    with TemporaryDirectory(dir=data) as folder:
        begun = subprocess.Popen(
            (sys.executable, "-P", "-m", "service.views.replay", str(data), folder, view, str(until), str(processes)),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        try:
            yield begun
        finally:
            begun.kill()
            begun.communicate()


def others(first):
    """Return the other processes in the group of one."""
    return [
        each.pid
        for each in processes()
        if each.group == first and each.pid != first and not each.has_ended and not is_tracker(each.pid)
    ]


def is_tracker(process):
    """Whether a process is the one that multiprocessing starts beside workers, to clean up after them."""
    try:
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return True


async def read_all(begun):
    """Return all output of a replay."""
    while await begun.read():
        pass


def test_replay_in_chunks_equals_one_replay():
    @settings(**GENERATED, max_examples=10)
    @given(histories(most=40))
    def holds(documents):
        with new_views() as found, TemporaryDirectory() as name:
            recorded(found, documents)
            data = log_of(Path(name), found.events)

            def told(view, subjects):
                shares = parts(data / LOG, view, found.head, data, lambda _: None, subjects)
                return [b"".join(part) for part in shares]

            for view in SHARED:
                whole = told(view, ALL_SUBJECTS)
                assert b"".join(whole) == b"".join(found.reader.lines(view, found.head))
                for count in (2, 3):
                    with closing(LogReader(data / LOG)) as log:
                        ranges = log.subject_ranges(SCOPES[view].folded, count)
                    shares = [told(view, subjects) for subjects in ranges]
                    assert [b"".join(each) for each in zip(*shares, strict=True)] == whole, (view, ranges)

    holds()


def test_replay_restores_the_garbage_collector_settings(large):
    before, within = gc.get_threshold(), []
    told = parts(large / LOG, "parties", MANY, large, lambda _: within.append(gc.get_threshold()), ALL_SUBJECTS)
    assert sum(len(piece) for part in told for piece in part) > MANY
    assert min(within)[0] > before[0]
    assert gc.get_threshold() == before


@pytest.mark.parametrize("processes", [2, 5])
def test_several_processes_write_the_output_of_one(large, processes):
    with replay(large, "parties", MANY, 1) as alone, replay(large, "parties", MANY, processes) as together:
        assert together.stdout.read() == alone.stdout.read()
        assert (alone.wait(), together.wait()) == (0, 0)


def test_number_of_processes_is_that_of_the_shares(large):
    for count, expected in ((1, 0), (3, 3)):
        with replay(large, "parties", MANY, count) as begun:
            assert begun.stdout.read(1)
            assert len(others(begun.pid)) == expected


def test_replay_fails_if_one_of_its_processes_fails(large):
    with replay(large, "parties", MANY, 3) as begun:
        assert soon(lambda: len(others(begun.pid)) == 3)
        os.kill(max(others(begun.pid)), signal.SIGKILL)
        said, errors = begun.communicate(timeout=SECONDS)
        assert begun.returncode != 0
        assert b'"digest"' not in said
        assert b"BrokenProcessPool" in errors
        assert soon(lambda: others(begun.pid) == [])


@pytest.mark.parametrize("stopped", [False, True])
def test_processes_of_a_replay_end_with_it(large, stopped):
    with replay(large, "parties", MANY, 3) as begun:
        assert soon(lambda: len(others(begun.pid)) == 3)
        if stopped:
            assert begun.stdout.read(1)  # it is told already: whoever waits to be heard would wait for ever
        begun.kill()
        begun.wait()
        assert soon(lambda: others(begun.pid) == [])


@pytest.mark.parametrize(("least", "sharers"), [(MANY, 3), (MANY + 1, 0)])
async def test_large_replay_is_shared_and_all_its_processes_can_be_stopped(large, monkeypatch, least, sharers):
    monkeypatch.setattr(replay_jobs, "LARGE", least)
    monkeypatch.setattr(replay_jobs, "cores", lambda: 3)
    async with Replays(large).start("parties", MANY) as begun:
        assert await begun.read()
        first = begun.pid
        assert len(others(first)) == sharers
        begun.kill()
        with pytest.raises(JobFailed):
            await read_all(begun)
        assert soon(lambda: others(first) == [])


def test_nothing_in_the_directory_that_a_server_was_started_in_is_imported(tmp_path):
    (tmp_path / "orjson.py").write_text("raise SystemExit('imported from where the server was started')")
    with serving(tmp_path / "data", cwd=tmp_path) as server:
        status, body = call(f"{server.url}/v1/replay?view=parties&until=0")
    assert status == 200, body
    assert b'"position":0' in body
