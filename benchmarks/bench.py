"""One run of benchmarks: whoever is compared takes turns, round after round, so that whatever else the machine does
falls on all of them alike. What is measured goes into the results."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeVar

from benchmarks import client, openloop
from benchmarks.bulk import Done
from benchmarks.client import Load, Times
from benchmarks.machine import Cores, Server, busy
from benchmarks.openloop import Schedule
from benchmarks.results import LIMIT, Figure, Results, Row, Sample
from benchmarks.sizes import Sizes
from benchmarks.worker import Worker, nothing

T = TypeVar("T")
ExclusiveTask = Callable[[], Sample]

FINE = frozenset((200, 201))


class Timed(Protocol):
    """What came of a run under load."""

    @property
    def times(self) -> Mapping[int, Times]:
        """By status."""

    @property
    def asked(self) -> int:
        """Requests in all."""

    @property
    def seconds(self) -> float:
        """That count."""

    @property
    def busy(self) -> float:
        """The load's share of a core."""


class Bench:
    """Where a run takes place: its cores, its folder, its sizes, and where its results go."""

    def __init__(self, cores: Cores, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.cores = cores
        self.folder = folder
        self.sizes = sizes
        self.results = Results()
        self.failed: list[str] = []
        """Measures that were given up."""
        self._say = say
        self._load = Worker(cores.load)

    def close(self) -> None:
        """Ends the process that makes the load."""
        self._load.end()

    def attempt(self, name: str, measure: Callable[[], None]) -> None:
        """Takes a measure; where that fails, says so and lets the others go on."""
        try:
            measure()
        except (RuntimeError, OSError, TimeoutError, subprocess.SubprocessError) as error:
            self.failed.append(name)
            self.note(f"{name} was given up: {error!r}")
            self.close()
            self._load = Worker(self.cores.load)

    def say(self, what: str) -> None:
        """Tells whoever waits what is going on."""
        self._say(what)

    def note(self, what: str) -> None:
        """Says something that belongs to the results."""
        self._say(what)
        self.results.notes.append(what)

    def turns(self, at: str, turns: Mapping[str, Callable[[], T]], rounds: int | None = None) -> dict[str, list[T]]:
        """Lets each take its turn, forwards and backwards, round after round."""
        found: dict[str, list[T]] = {name: [] for name in turns}
        for number in range(rounds or self.sizes.rounds):
            for name in list(turns) if number % 2 == 0 else list(turns)[::-1]:
                self._say(f"{at}, round {number + 1}: {name}")
                found[name].append(turns[name]())
        return found

    def compare(
        self,
        measure: str,
        clients: int | None,
        limit: ExclusiveTask,
        contestants: Mapping[str, ExclusiveTask],
        *,
        against: str = LIMIT,
        size: int | None = None,
        rounds: int | None = None,
    ) -> None:
        """Lets the limit and the contestants take turns; keeps a row for each contestant."""
        at = ", ".join(
            [measure]
            + ([] if size is None else [f"{size:,} events"])
            + ([] if clients is None else [f"{clients} clients"])
        )
        found = self.turns(at, {against: limit, **contestants}, rounds)
        self.results.rows += [
            Row(measure, name, clients, found[name], found[against], against, size) for name in contestants
        ]

    def figure(self, measure: str, name: str, unit: str, *values: float, size: int | None = None) -> None:
        """Keeps something that is no rate."""
        self.results.figures.append(Figure(measure, name, unit, values, size))

    def asked(self, server: Server, load: Load, *, each: int = 1) -> Sample:
        """A turn of a server under load; each answer counts for `each`. Raises RuntimeError where it answered otherwise
        than it should."""
        heard, cpu, others = self.loaded(server, partial(client.run, load))
        return sample_of(heard, cpu, others, each=each, counted=load.counted)

    def paced(self, server: Server, schedule: Schedule) -> Sample:
        """A turn of a server that is asked on a schedule. Raises RuntimeError as `asked` does."""
        paced, cpu, others = self.loaded(server, partial(openloop.run, schedule))
        return sample_of(paced, cpu, others)

    def loaded(self, server: Server, work: Callable[[], T]) -> tuple[T, float | None, float | None]:
        """What `work` gives in the process that makes the load; the seconds of processor time that the server took
        meanwhile, and what others took of its core."""
        clock = _Clock(self.cores.server)
        began = server.cpu()
        found = self._load.do(work)
        ended = server.cpu()
        spent = None if began is None or ended is None else ended - began
        return found, spent, clock.others(spent)

    def taken_in(self, server: Server, work: Callable[[], Done]) -> Sample:
        """A turn of a server that is sent or asked for many events by `work`, in the process that makes the load."""
        done, cpu, others = self.loaded(server, work)
        spent = None if cpu is None else cpu / done.events
        return Sample(done.events, done.events / done.seconds, spent, done.cpu / done.seconds, others)

    def worked(self, work: Callable[[], Done]) -> Sample:
        """A turn of work that needs no server, in a new process on the server's core."""
        worker = Worker(self.cores.server)
        try:
            worker.do(nothing)
            clock = _Clock(self.cores.server)
            done = worker.do(work)
            others = clock.others(done.cpu)
        finally:
            worker.end()
        return Sample(done.events, done.events / done.seconds, done.cpu / done.events, None, others)


def sample_of(
    heard: Timed, cpu: float | None, others: float | None, *, each: int = 1, counted: int | None = None
) -> Sample:
    """The sample of a run. Where one status counts among several, the rate is that of asking for nothing else."""
    if not heard.times or set(heard.times) - FINE or (counted is None and len(heard.times) > 1):
        raise RuntimeError(f"it was answered { ({status: times.count for status, times in heard.times.items()}) }")
    times = heard.times[counted] if counted is not None else next(iter(heard.times.values()))
    rate = times.count * each / heard.seconds if counted is None else 1 / times.mean
    return Sample(
        times.count * each,
        rate,
        None if cpu is None else cpu / (heard.asked * each),
        heard.busy,
        others,
        times.median,
        times.p95,
        times.p99,
        times.most,
    )


def without_cpu(sample: Sample) -> Sample:
    """A sample whose processor time was spent on more than what is counted."""
    return replace(sample, cpu=None)


class _Clock:
    """Time on a core from here on."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._began, self._all = perf_counter(), busy(core)

    def others(self, spent: float | None) -> float | None:
        """The share of the core that others took, if the one measured took so many seconds of it."""
        seconds, now = perf_counter() - self._began, busy(self._core)
        if spent is None or self._all is None or now is None:
            return None
        return max(now - self._all - spent, 0.0) / seconds
