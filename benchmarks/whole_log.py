"""Reading the whole log: a rebuild of the views, a replay of one list, an audit, a stream; against a scan of the same
events in a plain table, and a stream of the same bytes."""

from __future__ import annotations

import resource
import subprocess
from dataclasses import replace
from functools import partial
from itertools import count
from math import ceil
from pathlib import Path
from time import perf_counter

from benchmarks.bench import Bench
from benchmarks.bulk import Done, load_plainly, rebuild
from benchmarks.contestants import COMMAND, REGISTRY, ask, limits
from benchmarks.machine import Cores, unpin
from benchmarks.results import Row, Sample
from benchmarks.scans import fold_plainly, hash_plainly
from benchmarks.stores import Store
from benchmarks.stream_client import read_lines
from benchmarks.worker import MOST_SECONDS

REBUILD = "rebuild all views"
REPLAY = "replay one list"
AUDIT = "audit without views"
AUDIT_VIEWS = "audit with all views"
STREAM = "log as NDJSON to one client"
LOAD = "a plain load"
FOLD = "scan, JSON, fold"
HASHES = "scan, hashes"
BARE = "a bare stream"
BOTH = "audit without views + rebuild"
VIEW = "agreements"
PAGE = 1_000
STREAMED = 50_000
"""The least number of events in a turn of streaming."""


def measure(bench: Bench, store: Store) -> None:
    """Compare all operations that read the whole log."""
    plain = bench.folder / f"plain-{store.size}.sqlite"
    try:
        rebuilt = _rebuilt(bench, store, plain)
        _replayed(bench, store, plain)
        _audited(bench, store, plain, rebuilt)
    finally:
        plain.unlink(missing_ok=True)
    _streamed(bench, store)


def _rebuilt(bench: Bench, store: Store, plain: Path) -> list[Sample]:
    """Rebuild all views. If that takes long, the turn in which they were made counts instead."""
    size, rounds = store.size, bench.sizes.rounds_of(store.size)
    numbers = count()

    def load() -> Sample:
        database = plain.with_stem(f"{plain.stem}-{next(numbers)}")
        sample = bench.worked(partial(load_plainly, store.made.lines, database))
        database.replace(plain)
        return sample

    def fold() -> Sample:
        return bench.worked(partial(rebuild, store.made.folder)) if rounds > 1 else store.made.folded

    found = bench.turns(f"{REBUILD}, {size:,} events", {LOAD: load, REGISTRY: fold}, rounds)
    samples = found[REGISTRY]
    bench.results.rows.append(Row(REBUILD, REGISTRY, None, samples, found[LOAD], LOAD, size))
    return samples


def _replayed(bench: Bench, store: Store, plain: Path) -> None:
    server, size = store.ours.server, store.size

    def replay() -> Sample:
        return bench.bulk(server, partial(read_lines, server.port, f"/v1/replay?view={VIEW}&until={size}", size))

    scan = partial(bench.worked, partial(fold_plainly, plain))
    rounds = bench.sizes.rounds_of(size)
    bench.compare(REPLAY, None, scan, {REGISTRY: replay}, against=FOLD, size=size, rounds=rounds)


def _audited(bench: Bench, store: Store, plain: Path, rebuilt: list[Sample]) -> None:
    """Audit on both cores: there is no load meanwhile, and the auditor waits for the report."""
    size, rounds = store.size, bench.sizes.rounds_of(store.size)

    def offline(*options: str) -> Sample:
        sample = bench.worked(partial(audit, store.made.folder, size, bench.cores, *options))
        return replace(sample, others=None)  # its share is of one core

    found = bench.turns(
        f"audit, {size:,} events",
        {
            HASHES: partial(bench.worked, partial(hash_plainly, plain)),
            AUDIT: partial(offline, "--no-views", "--no-evidence"),
            AUDIT_VIEWS: partial(offline, "--no-evidence"),
        },
        rounds,
    )
    both = [_one_after_the_other(*pair) for pair in zip(found[AUDIT], rebuilt, strict=True)]
    bench.results.rows += [
        Row(AUDIT, REGISTRY, None, found[AUDIT], found[HASHES], HASHES, size),
        Row(AUDIT_VIEWS, REGISTRY, None, found[AUDIT_VIEWS], both, BOTH, size),
    ]


def audit(folder: Path, events: int, cores: Cores, *options: str) -> Done:
    """Run `registry audit` on a data directory. Raises CalledProcessError unless it passes."""
    unpin(cores)
    began, cpu = perf_counter(), _children()
    subprocess.run(
        (COMMAND, "audit", str(folder), *options), check=True, stdout=subprocess.DEVNULL, timeout=MOST_SECONDS
    )
    return Done(events, perf_counter() - began, _children() - cpu)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _one_after_the_other(first: Sample, second: Sample) -> Sample:
    seconds = 1 / first.per_second + 1 / second.per_second
    cpu = None if first.cpu is None or second.cpu is None else first.cpu + second.cpu
    return Sample(first.count, 1 / seconds, cpu, None, None)


def _streamed(bench: Bench, store: Store) -> None:
    """Stream the log. The limit sends the same page repeatedly, so that it sends as many bytes."""
    server, size = store.ours.server, store.size
    until = f"/v1/events?until={size}"
    with limits(bench.folder / f"stream-{size}", bench.cores.server) as bare:
        accept = {"Accept": "application/x-ndjson"}
        ask(bare, "PUT", "/ready", ask(server, "GET", f"/v1/events?after={size - PAGE}&limit={PAGE}", headers=accept))
        pages = ceil(size / PAGE)
        same = partial(read_lines, bare.port, f"/stream?times={pages}", pages * PAGE, at_least=STREAMED)
        limit = partial(bench.bulk, bare, same)
        turn = partial(bench.bulk, server, partial(read_lines, server.port, until, at_least=STREAMED))
        bench.compare(STREAM, None, limit, {REGISTRY: turn}, against=BARE, size=size)
