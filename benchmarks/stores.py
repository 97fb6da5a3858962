"""Registries made to hold so many events: the log is written directly, in groups, and the views are folded from it.
Each is as one that took the same events in one by one."""

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
from benchmarks.events import signed, write
from benchmarks.footprints import files_of
from benchmarks.requests import EVENT
from benchmarks.results import Sample
from benchmarks.worlds import NEWS, World
from domain.cloudevent import parse
from service.commands.log_entry import logged, recorded_event
from service.event_log import Log

AT_ONCE = 5_000
_ACTOR = "benchmarks"
_BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
LOG = "log.sqlite"


@dataclass(frozen=True, slots=True)
class Made:
    """A data directory that nobody serves yet, and what went into it."""

    folder: Path
    lines: Path
    """The events, one a line."""
    events: int
    folded: Sample
    """The turn in which its views were folded."""
    files: Mapping[str, int]
    """Bytes of log and views."""

    @property
    def raw(self) -> float:
        """Bytes of one event as posted, on average."""
        return self.lines.stat().st_size / self.events


@dataclass(frozen=True, slots=True)
class Store:
    """A registry that serves a world."""

    made: Made
    world: World
    ours: Registry
    numbers: Iterator[int]

    @property
    def size(self) -> int:
        """Events it was made to hold."""
        return self.world.events

    def moves_on(self) -> None:
        """Records one more event, so that no answer is at hand."""
        news = signed(next(self.numbers), self.world.parties)
        ask(self.ours.server, "POST", "/v1/events", news, {"Content-Type": EVENT, **self.ours.headers})


@contextmanager
def made(bench: Bench, name: str, events: Iterable[bytes]) -> Iterator[Made]:
    """A data directory that holds these events, gone afterwards."""
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
def served(bench: Bench, made: Made, world: World) -> Iterator[Store]:
    """A registry that serves it."""
    with registry(made.folder, bench.cores.server) as ours:
        yield Store(made, world, ours, count(NEWS))


def write_log(folder: Path, lines: Path) -> Done:
    """Writes the log of a data directory that is not there yet."""
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
