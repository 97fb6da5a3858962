"""One run of benchmarks: contestants take turns, round after round, so that other load of the machine affects all of
them equally. It adds its measurements to the results."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeVar

from benchmarks import closed_loop, open_loop
from benchmarks.bulk import Done
from benchmarks.closed_loop import Load, Times
from benchmarks.machine import Cores, Server, busy
from benchmarks.open_loop import Schedule
from benchmarks.results import LIMIT, Figure, Results, Row, Sample
from benchmarks.sizes import Sizes
from benchmarks.worker import Worker, nothing

T = TypeVar("T")
Turn = Callable[[], Sample]

FINE = frozenset((200, 201))


class Timed(Protocol):
    """The measurements of a run under load."""

    @property
    def times(self) -> Mapping[int, Times]:
        """The times by status."""

    @property
    def requests(self) -> int:
        """The number of requests."""

    @property
    def seconds(self) -> float:
        """The duration that counts."""

    @property
    def busy(self) -> float:
        """The load's share of a core."""


class Bench:
    """The state of a run: its cores, its folder, its sizes, and its results."""

    def __init__(self, cores: Cores, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.cores = cores
        self.folder = folder
        self.sizes = sizes
        self.results = Results()
        self.failed: list[str] = []
        """Measures that failed."""
        self._say = say
        self._load = Worker(cores.load)

    def close(self) -> None:
        """End the process that makes the load."""
        self._load.end()

    def attempt(self, name: str, measure: Callable[[], None]) -> None:
        """Take a measure. If it fails, report that and continue with the others."""
        try:
            measure()
        except (RuntimeError, OSError, TimeoutError, subprocess.SubprocessError) as error:
            self.failed.append(name)
            self.note(f"{name} failed: {error!r}")
            self.close()
            self._load = Worker(self.cores.load)

    def say(self, what: str) -> None:
        """Report progress."""
        self._say(what)

    def note(self, what: str) -> None:
        """Add a note to the results."""
        self._say(what)
        self.results.notes.append(what)

    def turns(self, at: str, turns: Mapping[str, Callable[[], T]], rounds: int | None = None) -> dict[str, list[T]]:
        """Run the turns of all contestants, forwards and backwards, round after round."""
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
        limit: Turn,
        contestants: Mapping[str, Turn],
        *,
        against: str = LIMIT,
        size: int | None = None,
        rounds: int | None = None,
    ) -> None:
        """Run turns of the limit and of the contestants, and add a row for each contestant."""
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
        """Add a figure that is no rate."""
        self.results.figures.append(Figure(measure, name, unit, values, size))

    def measured(self, server: Server, load: Load, *, each: int = 1) -> Sample:
        """Return a turn of a server under load; each answer counts for `each`. Raises RuntimeError for an unexpected
        answer."""
        result, cpu, others = self.loaded(server, partial(closed_loop.run, load))
        return sample_of(result, cpu, others, each=each, counted=load.counted)

    def paced(self, server: Server, schedule: Schedule) -> Sample:
        """Return a turn of a server with requests on a schedule. Raises RuntimeError for an unexpected answer."""
        result, cpu, others = self.loaded(server, partial(open_loop.run, schedule))
        return sample_of(result, cpu, others)

    def loaded(self, server: Server, work: Callable[[], T]) -> tuple[T, float | None, float | None]:
        """Return the result of `work` in the process that makes the load, the server's processor time meanwhile in
        seconds, and the share of its core that other processes used."""
        clock = _Clock(self.cores.server)
        began = server.cpu()
        found = self._load.do(work)
        ended = server.cpu()
        spent = None if began is None or ended is None else ended - began
        return found, spent, clock.others(spent)

    def bulk(self, server: Server, work: Callable[[], Done]) -> Sample:
        """Return a turn in which `work` exchanges many events with a server, in the process that makes the load."""
        done, cpu, others = self.loaded(server, work)
        spent = None if cpu is None else cpu / done.events
        return Sample(done.events, done.events / done.seconds, spent, done.cpu / done.seconds, others)

    def worked(self, work: Callable[[], Done]) -> Sample:
        """Return a turn of work without a server, in a new process on the server's core."""
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
    result: Timed, cpu: float | None, others: float | None, *, each: int = 1, counted: int | None = None
) -> Sample:
    """Return the sample of a run. If one status counts among several, the rate is that of requests for it alone."""
    if not result.times or set(result.times) - FINE or (counted is None and len(result.times) > 1):
        raise RuntimeError(
            f"unexpected answers, by status: { ({status: times.count for status, times in result.times.items()}) }"
        )
    times = result.times[counted] if counted is not None else next(iter(result.times.values()))
    rate = times.count * each / result.seconds if counted is None else 1 / times.mean
    return Sample(
        times.count * each,
        rate,
        None if cpu is None else cpu / (result.requests * each),
        result.busy,
        others,
        times.median,
        times.p95,
        times.p99,
        times.most,
    )


def without_cpu(sample: Sample) -> Sample:
    """Return a sample without processor time, which was spent on more than the counted events."""
    return replace(sample, cpu=None)


class _Clock:
    """The time on a core since its creation."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._began, self._all = perf_counter(), busy(core)

    def others(self, spent: float | None) -> float | None:
        """Return the share of the core that other processes used, if the measured one used so many seconds of it."""
        seconds, now = perf_counter() - self._began, busy(self._core)
        if spent is None or self._all is None or now is None:
            return None
        return max(now - self._all - spent, 0.0) / seconds
