"""Limits of reading a whole log: a scan of the same events in one plain table, with as little work for each as the
measured operation must do. Each runs in the process that calls it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import orjson

from benchmarks.bulk import Done

AT_LEAST = 20_000
"""The least number of events. A short table is read several times, so that the measurement takes long enough."""


def fold_plainly(database: Path) -> Done:
    """Read each event as JSON into one dictionary for each subject."""
    count = 0
    _touch(database)
    began, cpu = perf_counter(), process_time()
    while count < AT_LEAST:
        states: dict[str, dict[str, Any]] = {}
        for subject, body in _rows(database, "subject, body"):
            event = orjson.loads(body)
            state = states.get(subject)
            if state is None:
                state = states[subject] = {}
            state.update(event["data"])
            count += 1
    return Done(count, perf_counter() - began, process_time() - cpu)


def hash_plainly(database: Path) -> Done:
    """Compute the Merkle tree hash (RFC 6962) of all events."""
    count = 0
    _touch(database)
    began, cpu = perf_counter(), process_time()
    while count < AT_LEAST:
        pending: list[bytes] = []  # the roots of complete subtrees, the largest first
        for number, (body,) in enumerate(_rows(database, "body"), 1):
            node = sha256(b"\x00" + body).digest()
            while not number & 1:
                node = sha256(b"\x01" + pending.pop() + node).digest()
                number >>= 1  # noqa: PLW2901 - its bits say which subtrees are whole
            pending.append(node)
            count += 1
    return Done(count, perf_counter() - began, process_time() - cpu)


def _touch(database: Path) -> None:
    """Read the file once, so that the measurement contains no disk access."""
    with database.open("rb") as file:
        while file.read(2**20):
            pass


def _rows(database: Path, columns: str) -> Iterator[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as db:
        yield from db.execute(f"SELECT {columns} FROM events ORDER BY position")
