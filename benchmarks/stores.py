"""Registries of a given size: the log is written directly, in groups, and the views are folded from it. The result
equals a registry that received the same events one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, islice
from pathlib import Path
from shutil import rmtree
from time import perf_counter, process_time

import orjson

from benchmarks.bench import Bench
from benchmarks.bulk import Done, rebuild
from benchmarks.contestants import Registry, ask, registry
from benchmarks.data_sets import NEWS, DataSet
from benchmarks.events import signed, write
from benchmarks.footprints import files_of
from benchmarks.requests import EVENT
from benchmarks.results import Sample
from domain.cloudevent import parse
from service.commands.log_entry import logged, recorded_event
from service.event_log import Log

AT_ONCE = 5_000
_ACTOR = "benchmarks"
_BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
LOG = "log.sqlite"


@dataclass(frozen=True, slots=True)
class Made:
    """A data directory that no server uses, and its events."""

    folder: Path
    lines: Path
    """The events, one a line."""
    events: int
    folded: Sample
    """The turn in which its views were folded."""
    files: Mapping[str, int]
    """Bytes of the log and of the views."""

    @property
    def raw(self) -> float:
        """Mean bytes of a posted event."""
        return self.lines.stat().st_size / self.events


@dataclass(frozen=True, slots=True)
class Store:
    """A registry that serves a data set."""

    made: Made
    data_set: DataSet
    ours: Registry
    numbers: Iterator[int]

    @property
    def size(self) -> int:
        """The number of its events at the start."""
        return self.data_set.events

    def record_event(self) -> None:
        """Record one more event, so that no answer is cached."""
        news = signed(next(self.numbers), self.data_set.parties)
        ask(self.ours.server, "POST", "/v1/events", news, {"Content-Type": EVENT, **self.ours.headers})


@contextmanager
def made(bench: Bench, name: str, events: Iterable[bytes]) -> Iterator[Made]:
    """Make a data directory with these events, and remove it at the end."""
    folder, lines = bench.folder / name, bench.folder / f"{name}.ndjson"
    try:
        bench.say(f"{name}: the log is written")
        count_ = write(lines, events)
        bench.worked(partial(write_log, folder, lines))
        bench.say(f"{name}: its {count_:,} events are folded into views")
        folded = bench.worked(partial(rebuild, folder, installs=True))
        yield Made(folder, lines, count_, folded, files_of(folder))
    finally:
        rmtree(folder, ignore_errors=True)
        lines.unlink(missing_ok=True)


@contextmanager
def served(bench: Bench, made: Made, data_set: DataSet) -> Iterator[Store]:
    """Start a registry on it."""
    with registry(made.folder, bench.cores.server) as ours:
        yield Store(made, data_set, ours, count(NEWS))


def write_log(folder: Path, lines: Path) -> Done:
    """Write the log of a new data directory."""
    folder.mkdir()
    versions: dict[str, int] = {}
    position = 0
    began, cpu = perf_counter(), process_time()
    with lines.open("rb") as file, closing(Log(folder / LOG)) as log:
        while some := list(islice(file, AT_ONCE)):
            group = []
            for line in some:
                position += 1
                posted = parse(orjson.loads(line))
                version = versions[posted.subject] = versions.get(posted.subject, 0) + 1
                recorded = (_BEGAN + timedelta(milliseconds=position)).isoformat(timespec="microseconds")
                group.append(logged(recorded_event(posted, position, version, f"{recorded[:26]}Z", _ACTOR)))
            log.insert_events(group)
    return Done(position, perf_counter() - began, process_time() - cpu)
