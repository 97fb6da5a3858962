"""Bulk operations: an import over HTTP, a rebuild of the views, and their limit, a plain load of the same lines into
one table. Each runs in the process that calls it, and reads only the given files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

import aiohttp

from benchmarks.connection import HOST
from benchmarks.event_models import EVENT
from service.data_directory import remove
from service.views.rebuild import build, install

AT_ONCE = 5_000
AT_LEAST = 20_000
CHUNK = 2**18


@dataclass(frozen=True, slots=True)
class Done:
    """The number of events, the duration in seconds, and the processor time of this process."""

    events: int
    seconds: float
    cpu: float


def import_over_http(port: int, headers: Mapping[str, str], path: Path) -> Done:
    """Post the lines of a file as one import, and wait for the receipt of each line.

    Raises RuntimeError if a line was refused.
    """
    return asyncio.run(_import(port, headers, path))


async def _import(port: int, headers: Mapping[str, str], path: Path) -> Done:
    lines = receipts = 0
    with path.open("rb") as file:

        async def chunks() -> AsyncIterator[bytes]:
            while chunk := file.read(CHUNK):
                yield chunk

        began, cpu = perf_counter(), process_time()
        timeout = aiohttp.ClientTimeout(total=None)  # the caller bounds it
        sent = {"Content-Type": "application/x-ndjson", **headers}
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"http://{HOST}:{port}/v1/events", data=chunks(), headers=sent) as response,
        ):
            rest = b""
            async for chunk in response.content.iter_any():
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                lines += (whole + newline).count(b"\n")
                receipts += whole.count(b'"leaf":')
        seconds, cpu = perf_counter() - began, process_time() - cpu
    if not lines or receipts < lines:
        raise RuntimeError(f"of {lines} lines of the import {lines - receipts} were refused")
    return Done(lines, seconds, cpu)


def load_plainly(path: Path, database: Path) -> Done:
    """Validate each line with pydantic and insert it into a table, with a durable commit for each batch.

    A short file is loaded several times, so that the measurement takes long enough.
    """
    count = 0
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, subject TEXT, type TEXT, source TEXT, id TEXT,"
            " occurred TEXT, body BLOB)"
        )
        began, cpu = perf_counter(), process_time()
        for lines in _slices(path):
            events = [EVENT.validate_json(line) for line in lines]
            rows = [
                (position, event.subject, event.type, event.source, event.id, event.occurred, line)
                for position, (event, line) in enumerate(zip(events, lines, strict=True), count + 1)
            ]
            db.execute("BEGIN")
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("COMMIT")
            count += len(lines)
        return Done(count, perf_counter() - began, process_time() - cpu)


def _slices(path: Path) -> Iterator[list[bytes]]:
    count = 0
    while count < AT_LEAST:
        with path.open("rb") as file:
            while lines := list(islice(file, AT_ONCE)):
                yield lines
                count += len(lines)


def rebuild(folder: Path, *, installs: bool = False) -> Done:
    """Fold the log of a data directory into new views, and install or remove them."""
    reached = [0]
    began, cpu = perf_counter(), process_time()
    built = build(folder, reached.append)
    done = Done(reached[-1], perf_counter() - began, process_time() - cpu)
    if installs:
        install(built)
    else:
        remove(built)
    return done
