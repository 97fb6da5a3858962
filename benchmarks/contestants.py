"""Contestants: the registry and its limits, each a process on the server's core with a folder of its own, ended by its
id."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.connection import HOST
from benchmarks.events import known
from benchmarks.machine import Server, serving
from benchmarks.requests import BATCH

REGISTRY = "registry"
OBVIOUS = "the obvious"
UMADB = "UmaDB"
COMMAND = str(Path(sys.executable).with_name("registry"))
MOST_IN_BATCH = 1000
ASK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry with all its durability, and the headers that let a client post."""

    server: Server
    folder: Path
    headers: Mapping[str, str]


@contextmanager
def registry(folder: Path, core: int | None, *, parties: int = 0) -> Iterator[Registry]:
    """Start a registry on a data directory, which is created if missing. With `parties`, record parties and
    documents."""
    folder.mkdir(exist_ok=True)
    create = (COMMAND, "keys", "create", f"load-{len(list(folder.iterdir()))}", "--scope", "post", "--data", folder)
    key = subprocess.run(create, capture_output=True, check=True, text=True, timeout=ASK_SECONDS).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with serving_registry(folder, core) as server:
        events = known(parties) if parties else []
        for start in range(0, len(events), MOST_IN_BATCH):
            batch = b"[" + b",".join(events[start : start + MOST_IN_BATCH]) + b"]"
            ask(server, "POST", "/v1/events", batch, {"Content-Type": BATCH, **headers})
        yield Registry(server, folder, headers)


@contextmanager
def serving_registry(folder: Path, core: int | None) -> Iterator[Server]:
    """Start a registry on an existing data directory."""
    with serving((COMMAND, "serve", "--data", str(folder), "--port", "0"), core, folder) as server:
        yield server


@contextmanager
def limits(folder: Path, core: int | None) -> Iterator[Server]:
    """Start bare aiohttp: `benchmarks.limits`."""
    folder.mkdir()
    with serving((sys.executable, "-m", "benchmarks.limits"), core, folder) as server:
        yield server


@contextmanager
def obvious(folder: Path, core: int | None) -> Iterator[Server]:
    """Start the obvious implementation: `benchmarks.obvious`."""
    folder.mkdir()
    with serving((sys.executable, "-m", "benchmarks.obvious", str(folder / "events.sqlite")), core, folder) as server:
        yield server


def ask(
    server: Server, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Send one request outside all measurements. Raises RuntimeError unless it succeeds."""
    connection = HTTPConnection(HOST, server.port, timeout=ASK_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path} was answered {response.status}: {answer[:500]!r}")
    return answer


def lines(server: Server, path: str) -> Iterator[bytes]:
    """Yield the lines of an NDJSON answer. Raises RuntimeError unless it succeeds."""
    connection = HTTPConnection(HOST, server.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "application/x-ndjson"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"GET {path} was answered {response.status}")
        yield from response
    finally:
        connection.close()
