"""UmaDB, an event store in Rust that also groups commits: its server from PyPI and its own Python client, with a thread
for each caller and one event a request. It has no rules, views or evidence."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from time import perf_counter, process_time

from benchmarks.closed_loop import LoadResult, times_of
from benchmarks.connection import HOST
from benchmarks.machine import Server, serving

PACKAGE = "umadb"
_LISTENS = re.compile(rb"listening on 127\.0\.0\.1:(\d+)\s")
_START = f"import sys; from {PACKAGE}.{PACKAGE}_server_cli import main; sys.exit(main())"
_TAKEN = 201


@dataclass(frozen=True, slots=True)
class Appends:
    """Callers that each append these events one at a time, for some seconds."""

    port: int
    callers: int
    seconds: float
    events: Iterable[bytes]
    warm: float


def started(stack: ExitStack, folder: Path, core: int | None, say: Callable[[str], None]) -> Server | None:
    """Start UmaDB on a free port until the stack is closed. Report and return None if it is not installed or does not
    start."""
    if find_spec(PACKAGE) is None:
        say("UmaDB is not installed, so it is not measured")
        return None
    folder.mkdir()
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]  # it does not accept port 0
    command = (sys.executable, "-c", _START, "--listen", f"{HOST}:{port}", "--db-path", str(folder / "umadb.db"))
    try:
        return stack.enter_context(serving(command, core, folder, _LISTENS))
    except (RuntimeError, OSError) as error:
        say(f"UmaDB does not run here, so it is not measured: {str(error).strip()[-300:]}")
        return None


def run(appends: Appends) -> LoadResult:
    """Append in this process. Raises the errors of the client, such as its TransportError."""
    from umadb import Client, Event

    client = Client(f"http://{HOST}:{appends.port}")
    events, turn = iter(appends.events), Lock()
    times: list[float] = []
    failures: list[BaseException] = []
    began, cpu = perf_counter(), process_time()
    counts_from = began + appends.warm
    until = counts_from + appends.seconds
    asked = 0

    def call() -> None:
        nonlocal asked
        try:
            while (sent := perf_counter()) < until and not failures:
                with turn:
                    body = next(events)
                    asked += 1
                client.append([Event("agreement.signed", body, tags=[_subject(body)])])
                if counts_from < (now := perf_counter()) <= until:
                    times.append(now - sent)
        except BaseException as error:  # noqa: BLE001 - whoever started the threads raises it
            failures.append(error)

    callers = [Thread(target=call) for _ in range(appends.callers)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    client.close()
    if failures:
        raise RuntimeError(f"UmaDB did not take an event: {failures[0]}")
    result = {_TAKEN: times_of(times)} if times else {}
    return LoadResult(appends.seconds, asked, result, (process_time() - cpu) / (perf_counter() - began))


def _subject(event: bytes) -> str:
    at = event.find(b'"subject":"') + 11
    return event[at : event.find(b'"', at)].decode()
