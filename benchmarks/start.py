"""Start: the time from the start of the process until it is ready for queries and posts."""

from __future__ import annotations

from http.client import HTTPConnection
from time import perf_counter, sleep

from benchmarks.bench import Bench
from benchmarks.connection import HOST
from benchmarks.contestants import serving_registry
from benchmarks.machine import START_SECONDS
from benchmarks.stores import Made

START = "start"
READY = "process started to ready"


def measure(bench: Bench, made: Made, size: int) -> None:
    """Start a registry on the data directory of another, several times."""
    seconds = []
    for number in range(bench.sizes.rounds):
        bench.say(f"start, {size:,} events, round {number + 1}")
        began = perf_counter()
        with serving_registry(made.folder, bench.cores.server) as server:
            _wait(server.port)
            seconds.append(perf_counter() - began)
    bench.figure(START, READY, "s", *seconds, size=size)


def _wait(port: int) -> None:
    deadline = perf_counter() + START_SECONDS
    while perf_counter() < deadline:
        connection = HTTPConnection(HOST, port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        finally:
            connection.close()
        sleep(0.002)
    raise RuntimeError("the registry did not become ready")
