"""Logging and metrics: a blocked log delays no request; each request has one line and its metrics."""

from __future__ import annotations

import asyncio
import os
import threading
from io import BytesIO, FileIO
from logging import getLogger
from time import monotonic

import orjson
import pytest
from aiohttp import ClientSession

from service import logging
from service.app_keys import LOG_WRITER
from service.http import stream
from service.logging import LogWriter, StandardHandler, make_logger
from tests.service.registry import problem, registered, running


class Counting(BytesIO):
    """A file that counts its writes."""

    writes = 0

    def write(self, data) -> int:
        self.writes += 1
        return super().write(data)


class Tries(FileIO):
    """A file that counts attempts to write."""

    tries = 0

    def write(self, data):
        self.tries += 1
        return super().write(data)


class Full(BytesIO):
    """A file on a full disk."""

    def write(self, data) -> int:
        raise OSError(28, "No space left on device")


class Stuck(BytesIO):
    """A file that blocks until it is released, as a pipe without a reader."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def write(self, data) -> int:
        self.let_go.wait(30)
        return super().write(data)


def logged(file: BytesIO) -> list[str]:
    return [orjson.loads(line)["event"] for line in file.getvalue().splitlines()]


def test_lines_are_written_in_order_and_together():
    file = Counting()
    writer = LogWriter(file)
    logger = make_logger(writer)
    for number in range(50):
        logger.info("logged", number=number)
    writer.close()
    assert [orjson.loads(line)["number"] for line in file.getvalue().splitlines()] == list(range(50))
    assert file.writes == 1


def test_closing_writes_queued_lines_and_drops_later_ones():
    file = BytesIO()
    dropped: list[int] = []
    writer = LogWriter(file, dropped.append)
    make_logger(writer).info("last")
    writer.close()
    make_logger(writer).info("later")
    assert logged(file) == ["last"]
    assert dropped == [1]


def test_lines_of_several_threads_are_each_whole():
    file = BytesIO()
    writer = LogWriter(file)
    logger = make_logger(writer)
    threads = [threading.Thread(target=lambda: [logger.info("logged") for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert logged(file) == ["logged"] * 400


def test_blocked_log_drops_and_counts_lines_and_reports_them_later(monkeypatch):
    monkeypatch.setattr(logging, "MAX_QUEUED_BYTES", 2000)
    file = Stuck()
    dropped: list[int] = []
    writer = LogWriter(file, dropped.append)
    logger = make_logger(writer)
    for _ in range(1000):
        logger.warning("logged")
    assert sum(dropped) > 900
    file.let_go.set()
    writer.flush()
    logger.warning("next")
    writer.close()
    lines = [orjson.loads(line) for line in file.getvalue().splitlines()]
    assert sum(line["event"] == "logged" for line in lines) + sum(dropped) == 1000
    assert sum(line["count"] for line in lines if line["event"] == "log lines dropped") == sum(dropped)


def test_a_full_pipe_that_does_not_block_is_waited_for_and_gets_every_line():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb", buffering=0) as pipe, Tries(writing, "wb") as log:
        writer = LogWriter(log)
        for _ in range(500):
            writer.write(b"x" * 999)
        writer.flush(0.2)
        assert log.tries < 200
        length = 0
        while length < 500 * 1000:
            length += len(pipe.read(2**16))
        writer.close()


def test_standard_library_logging_uses_the_same_writer():
    file = BytesIO()
    writer = LogWriter(file)
    handler = StandardHandler(make_logger(writer))
    standard = getLogger("tests.standard")
    standard.addHandler(handler)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        standard.exception("%s failed", "something")
    standard.info("too little")
    standard.removeHandler(handler)
    writer.close()
    (line,) = map(orjson.loads, file.getvalue().splitlines())
    assert (line["event"], line["level"], line["logger"]) == ("something failed", "error", "tests.standard")
    assert "ZeroDivisionError" in line["exception"]


async def test_a_log_that_cannot_be_written_fails_no_request(tmp_path):
    async with running(tmp_path, log=Full()) as registry:
        await registry.take(registered("a"))
        assert (await registry.get("/v1/parties/a")).status == 200


async def test_full_log_pipe_delays_no_request(tmp_path):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb", buffering=0) as log:
        async with running(tmp_path, log=log) as registry:
            for _ in range(6000):  # of some 300 bytes each: more than a pipe and what waits take
                registry.app[LOG_WRITER].write(b"x" * 300)
            for path in ("/healthz", "/v1/parties"):
                assert (await registry.get(path)).status == 200
            metrics = await (await registry.get("/metrics")).text()
            dropped = next(line for line in metrics.splitlines() if line.startswith("registry_log_lines_dropped_total"))
            assert float(dropped.split()[1]) > 1000
            draining = asyncio.create_task(asyncio.to_thread(pipe.readall))
        log.close()
        await draining


async def test_a_request_is_logged_with_its_id_which_its_problem_names_and_the_address(tmp_path):
    async with running(tmp_path) as registry:
        answer = await problem(await registry.get("/v1/parties/nobody"), 404, "not-found")
        line = registry.lines()[-1]
        assert line["request_id"] == answer["request_id"]
        assert line["remote"] == "127.0.0.1"
        await registry.get("/v1/parties")
        assert registry.lines()[-1]["request_id"] != answer["request_id"]


async def test_a_client_that_goes_away_is_no_internal_error(tmp_path):
    async with running(tmp_path) as registry:
        host, port = registry.client.server.host, registry.client.server.port
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {registry.key}\r\n"
        for half in (
            head + "Content-Type: application/cloudevents+json\r\nContent-Length: 1000\r\n\r\n{",
            head + "Content-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{}\n",
            "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(half.encode())
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        await asyncio.sleep(stream.GONE_SECONDS + 0.3)
        assert [line["status"] for line in registry.lines() if line.get("status", 0) >= 500] == []
        assert all("error" not in line for line in registry.lines())
        metrics = await (await registry.get("/metrics")).text()
        assert 'status="500"' not in metrics
        assert "internal-error" not in metrics


async def test_closed_live_stream_is_detected_soon(tmp_path):
    async with running(tmp_path) as registry:
        async with ClientSession() as session:
            answer = await session.get(registry.client.make_url("/v1/events/stream"))
            assert "registry_streams 1.0" in await (await registry.get("/metrics")).text()
            answer.close()
        ends = monotonic() + 5
        while "registry_streams 0.0" not in await (await registry.get("/metrics")).text():
            assert monotonic() < ends
            await asyncio.sleep(0.1)


async def test_request_times_exclude_streams_and_process_metrics_exist(tmp_path):
    async with running(tmp_path) as registry:
        await registry.take(registered("a"))
        await registry.get("/v1/parties")
        await (await registry.get("/v1/parties", Accept="application/x-ndjson")).read()
        metrics = await (await registry.get("/metrics")).text()
        counts = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        assert counts['registry_request_seconds_count{route="/v1/parties"}'] == "1.0"
        assert counts['registry_requests_total{method="GET",route="/v1/parties",status="200"}'] == "2.0"
        for name in ("process_resident_memory_bytes", "python_info", "python_gc_collections_total"):
            assert name in metrics


@pytest.mark.parametrize("level", ["warning", "error", "critical", "exception"])
def test_every_level_is_written(level):
    file = BytesIO()
    writer = LogWriter(file)
    getattr(make_logger(writer), level)("now")
    writer.close()
    assert logged(file) == ["now"]
