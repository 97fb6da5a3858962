"""The parts of the benchmarks: events, load, comparison, charts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from statistics import mean
from time import monotonic, sleep
from xml.etree import ElementTree as ET

import orjson
import pytest

from benchmarks import charts, report, umadb
from benchmarks.appends import APPEND
from benchmarks.closed_loop import Load, run
from benchmarks.contestants import REGISTRY
from benchmarks.data_sets import DataSet
from benchmarks.event_models import EVENT
from benchmarks.events import NewAgreements, signed
from benchmarks.large_subject_events import KINDS, NewEvents, events, numbers, parties
from benchmarks.open_loop import Schedule, keep_to
from benchmarks.requests import AfterNewEvent, Gets, Posts
from benchmarks.results import Footprint, Results, Row, Sample
from benchmarks.scaling import scalings
from benchmarks.sizes import LargeSubjects
from benchmarks.states_and_lists import LIST
from benchmarks.targets import target_results
from benchmarks.worker import Worker
from domain.cloudevent import parse

# --- what is posted ---


def test_world_has_the_requested_number_of_valid_events():
    lines = list(DataSet(3_000))
    assert len(lines) == 3_000
    posted = [parse(orjson.loads(line)) for line in lines]
    assert len({event.id for event in posted}) == 3_000
    for line in lines:
        EVENT.validate_json(line)
    assert lines == list(DataSet(3_000))


def test_an_agreement_signed_has_some_590_bytes_and_some_have_a_chinese_title():
    lines = [signed(number, 200) for number in range(1_000)]
    assert mean(map(len, lines)) == pytest.approx(590, abs=10)
    titles = [orjson.loads(line)["data"]["title"] for line in lines]
    assert sum(isinstance(title, dict) for title in titles) == 400
    assert titles[0]["zh"] == "关于在成都合作开发固态电池的协议"


@pytest.mark.parametrize("kind", KINDS)
def test_new_events_of_large_subjects_are_valid_and_unique(kind):
    large = LargeSubjects(events=20, members=20, ties=20, posts=5, questions=5)
    before = [parse(orjson.loads(line)) for line in events(large, 10)]
    known = {event.id for event in before}
    assert len(known) == len(before)
    for is_large in (True, False):
        firsts = numbers(large, kind, is_large=is_large, turn=5)
        for first in islice(firsts, 2):
            ids = {parse(orjson.loads(line)).id for line in NewEvents(kind, is_large, first, 5, parties(large))}
            assert len(ids) == 5
            assert not ids & known
            known |= ids


def test_batches_have_the_requested_number_of_events():
    request = next(iter(Posts("/v1/events", NewAgreements(0, 200), {"A": "b"}, at_once=100)))
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"cloudevents-batch+json" in head
    assert len(orjson.loads(body)) == 100


def test_each_query_after_an_event_follows_a_post():
    requests = AfterNewEvent(Posts("/v1/events", [b"1", b"2"]), Gets(["/a"]))
    assert [request.split(b" ")[0] for request in requests] == [b"POST", b"GET", b"POST", b"GET"]


# --- the closed and the open loop ---


@asynccontextmanager
async def answering(stalls_at: int, seconds: float):
    """Return the port of a server that answers at once, until it pauses for everybody, and its requests."""
    requests: list[bytes] = []
    goes_on = asyncio.Event()
    goes_on.set()

    async def stall() -> None:
        goes_on.clear()
        await asyncio.sleep(seconds)
        goes_on.set()

    stalls: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                requests.append(head)
                if len(requests) == stalls_at:
                    stalls.append(asyncio.create_task(stall()))
                    await asyncio.sleep(0)
                await goes_on.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], requests
        await asyncio.gather(*stalls)


async def test_turn_lasts_until_it_has_enough_answers():
    async with answering(stalls_at=1, seconds=0.3) as (port, requests):
        result = await asyncio.to_thread(run, Load(port, 2, 0.05, Gets(["/"]), warm=0.0, least=7))
    assert result.times[200].count == 7
    assert len(requests) == result.requests == 8  # the other client had requests already
    assert result.seconds >= 0.3


async def test_requests_of_the_warm_up_are_sent_and_not_counted():
    async with answering(stalls_at=1, seconds=0.0) as (port, requests):
        paced = await keep_to(Schedule(port, 200, 0.3, Gets(["/"]), connections=4, warm=0.1))
    assert (paced.due, len(requests)) == (60, 80)


@pytest.mark.parametrize("connections", [2, 64])
async def test_pause_of_a_server_delays_every_request_due_in_it(connections):
    async with answering(stalls_at=20, seconds=0.4) as (port, requests):
        schedule = Schedule(port, 200, 0.6, Gets(["/"]), connections=connections, warm=0.0)
        paced = await keep_to(schedule)
    assert paced.due == len(requests) == 120
    times = paced.times[200]
    assert times.count == 120
    assert times.most >= 0.35
    assert times.p95 >= 0.2  # of 120 requests, 40 and more were due in the first half of the stop
    assert times.median <= times.p95 <= times.p99 <= times.most


async def test_requests_without_a_free_connection_can_be_skipped():
    async with answering(stalls_at=1, seconds=0.2) as (port, requests):
        schedule = Schedule(port, 100, 0.4, Gets(["/"]), connections=3, warm=0.0, holds_back=True)
        paced = await keep_to(schedule)
    assert paced.held_back > 0
    assert paced.in_time[200] <= paced.times[200].count == len(requests)
    assert len(requests) == paced.due - paced.held_back


async def test_vanished_server_ends_an_overload_and_fails_any_other_load():
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()

    for endures in (True, False):
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        schedule = Schedule(port, 100, 5.0, Gets(["/"]), connections=1, warm=0.0, endures=endures)
        if endures:
            paced = await keep_to(schedule)
            assert paced.times == {}
            assert paced.broken == 1
        else:
            with pytest.raises(ConnectionError):
                await keep_to(schedule)


# --- who works ---


def fails():
    raise ValueError("no such thing")


def starts_another(path: str):
    """Start a process, write its id to a file, and wait for it."""
    script = f"import os, pathlib, time; pathlib.Path({path!r}).write_text(str(os.getpid())); time.sleep(60)"
    subprocess.run((sys.executable, "-c", script), check=True)


def test_worker_runs_in_its_own_process_and_its_exceptions_are_raised():
    worker = Worker(None)
    try:
        assert worker.do(os.getpid) != os.getpid()
        with pytest.raises(ValueError, match="no such thing"):
            worker.do(fails)
        assert worker.do(partial(max, 1, 2)) == 2
        with pytest.raises(RuntimeError, match="has ended"):
            worker.do(partial(os._exit, 3))
    finally:
        worker.end()


def test_ended_worker_ends_its_child_processes(tmp_path):
    worker, note = Worker(None), tmp_path / "pid"
    with ThreadPoolExecutor(1) as waits:
        work = waits.submit(worker.do, partial(starts_another, str(note)))
        deadline = monotonic() + 30
        while not (note.exists() and note.read_text()):
            assert monotonic() < deadline
            sleep(0.02)
        worker._process.terminate()
        with pytest.raises(RuntimeError, match="has ended"):
            work.result(30)
    worker.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


# --- UmaDB ---


def test_missing_umadb_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(umadb, "find_spec", lambda _: None)
    messages: list[str] = []
    with ExitStack() as stack:
        assert umadb.started(stack, tmp_path / "uma", None, messages.append) is None
    assert messages == ["UmaDB is not installed, so it is not measured"]


def test_umadb_that_does_not_run_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(umadb, "find_spec", lambda _: object())
    monkeypatch.setattr(umadb, "_START", "raise SystemExit('not for this processor')")
    messages: list[str] = []
    with ExitStack() as stack:
        assert umadb.started(stack, tmp_path / "uma", None, messages.append) is None
    (line,) = messages
    assert line.startswith("UmaDB does not run here")
    assert "not for this processor" in line


# --- what is messages and drawn ---


def sample(per_second: float, cpu: float = 1e-4, seconds: float = 0.01) -> Sample:
    return Sample(10, per_second, cpu, 0.2, 0.0, seconds, 2 * seconds, 3 * seconds, 4 * seconds)


def found() -> Results:
    """Return results: appends at a third of the echo, and lists at two sizes, the larger at twice the cost."""
    results = Results()
    results.rows.append(Row(APPEND, REGISTRY, 64, [sample(3_000), sample(3_600)], [sample(9_000), sample(9_000)]))
    for size, cpu in ((10_000, 1e-3), (1_000_000, 2e-3)):
        results.rows.append(Row(LIST, REGISTRY, 16, [sample(300, cpu)], [sample(1_000)], size=size))
        results.rows.append(Row("a <timed> & named thing", REGISTRY, 1, [sample(100)], size=size))
        files = {"log": size * 600, "views": size * 1_400}
        results.footprints.append(Footprint("all of it", size, (10, 2**28), files, 500.0, size))
    results.figures.clear()
    return results


def test_target_is_met_from_its_value_on():
    by_name = {each.target.workload: each for each in target_results(found())}
    appends = by_name["one event a request, 64 clients, to echo"]
    assert appends.found.value == pytest.approx((3_000 / 9_000 + 3_600 / 9_000) / 2)
    assert appends.is_met
    slower = found()
    slower.rows[0] = replace(slower.rows[0], samples=[sample(3_000), sample(3_000)])
    assert not next(each for each in target_results(slower) if each.target == appends.target).is_met
    disk = by_name["disk, to what was posted"]
    assert disk.found.value == 4.0
    assert not disk.is_met
    assert by_name["list of 50 with two filters, to a bare GET"].found.size == 1_000_000


def test_target_measured_at_a_smaller_size_is_in_brackets():
    results = found()
    results.rows = [row for row in results.rows if row.size != 1_000_000]
    line = next(line for line in report.tables(results).splitlines() if line.startswith("| list of 50 with two"))
    assert line.rstrip(" |").endswith("(yes)")


def test_table_of_sizes_shows_growth():
    growth = {each.measure: each.growth for each in scalings(found())}
    assert growth[LIST] == pytest.approx(2.0)
    assert growth["disk, log and views"] == pytest.approx(1.0)
    assert "| 2.00" in report.tables(found())


def test_charts_are_well_formed_and_have_titles(tmp_path):
    paths = charts.draw(found(), tmp_path / "charts")
    assert [path.name for path in paths] == ["targets.svg", "sizes.svg", "times.svg"]
    for path in paths:
        root = ET.fromstring(path.read_bytes())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findtext("{http://www.w3.org/2000/svg}title")
        text = "".join(root.itertext())
        assert "prefers-color-scheme: dark" in text
        assert "http" not in text  # nothing is fetched from elsewhere
    times = "".join(ET.fromstring(paths[2].read_bytes()).itertext())
    assert "a <timed> & named thing" in times


def test_empty_results_draw_no_chart(tmp_path):
    assert charts.draw(Results(), tmp_path) == []
