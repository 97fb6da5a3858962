"""One run of benchmarks: whoever is compared takes turns, round after round, so that whatever else the machine does
falls on all of them alike. What is measured goes into rows; nothing is left out and nothing is averaged away here."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

from benchmarks.bulk import Done
from benchmarks.client import Load, run
from benchmarks.machine import Cores, Server, busy, pin

T = TypeVar("T")

MOST_SECONDS = 1800
"""What any turn may take."""
_FINE = {200, 201}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done. Times are seconds."""

    rounds: int
    seconds: float
    signed: int
    """Agreements in an import of agreements signed."""
    lives: int
    """Agreements in an import of their whole lives, six events each."""
    asked: int
    """Agreements, with their whole lives, in the registry that is asked."""
    clients: tuple[int, ...] = (1, 16, 64)


QUICK = Sizes(rounds=3, seconds=1.0, signed=1_500, lives=300, asked=1_000)
FULL = Sizes(rounds=5, seconds=6.0, signed=50_000, lives=10_000, asked=10_000)
PARTIES = 200
"""Parties that the agreements posted and imported speak of."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn. Times are seconds; shares are of one core; None is what this machine does not tell."""

    count: int
    per_second: float
    cpu: float | None
    """Processor time of the one measured, for each of what was counted."""
    load: float | None
    """What making the load took of its core."""
    others: float | None
    """What took of the measured one's core and was not it."""
    median: float | None = None
    slowest: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The turns of one contestant, and those of the limit in the same rounds."""

    measure: str
    contestant: str
    clients: int | None
    samples: Sequence[Sample]
    limits: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a registry holds at the end: bytes of memory, and of files once it has stopped."""

    after: str
    events: int
    memory: tuple[int, int] | None
    files: Mapping[str, int]


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    rows: list[Row] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)


class Bench:
    """Where a run takes place: its cores, its folder, its sizes, and where its results go."""

    def __init__(self, cores: Cores, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.cores = cores
        self.folder = folder
        self.sizes = sizes
        self.results = Results()
        self._say = say
        self._load = _process(cores.load)

    def close(self) -> None:
        """Ends the process that makes the load."""
        self._load.shutdown(cancel_futures=True)

    def compare(
        self,
        measure: str,
        clients: int | None,
        limit: Callable[[], Sample],
        contestants: Mapping[str, Callable[[], Sample]],
    ) -> None:
        """Lets the limit and the contestants take turns, forwards and backwards; keeps a row for each contestant."""
        turns = {"limit": limit, **contestants}
        samples: dict[str, list[Sample]] = {name: [] for name in turns}
        at = measure if clients is None else f"{measure}, {clients} clients"
        for number in range(self.sizes.rounds):
            for name in list(turns) if number % 2 == 0 else reversed(turns):
                self._say(f"{at}, round {number + 1}: {name}")
                samples[name].append(turns[name]())
        self.results.rows += [Row(measure, name, clients, samples[name], samples["limit"]) for name in contestants]

    def asked(self, server: Server, load: Load) -> Sample:
        """A turn of a server under load. Raises RuntimeError where it answered otherwise than it should."""
        clock = _Clock(self.cores.server, server.cpu)
        heard = self._load.submit(_bounded, partial(run, load)).result()
        cpu, others = clock.passed()
        if not heard.answers or set(heard.statuses) - _FINE:
            raise RuntimeError(f"{load.clients} clients were answered {dict(heard.statuses)}")
        return Sample(
            heard.answers,
            heard.rate,
            None if cpu is None else cpu / heard.asked,
            heard.busy,
            others,
            heard.median,
            heard.slowest,
        )

    def taken_in(self, server: Server, work: Callable[[], Done]) -> Sample:
        """A turn of a server that is sent a file by `work`, in the process that makes the load."""
        clock = _Clock(self.cores.server, server.cpu)
        done = self._load.submit(_bounded, work).result()
        cpu, others = clock.passed()
        spent = None if cpu is None else cpu / done.events
        return Sample(done.events, done.events / done.seconds, spent, done.cpu / done.seconds, others)

    def worked(self, work: Callable[[], Done]) -> Sample:
        """A turn of work that needs no server, in a new process on the server's core."""
        with _process(self.cores.server) as process:
            done, others = process.submit(_bounded, partial(_clocked, self.cores.server, work)).result()
        return Sample(done.events, done.events / done.seconds, done.cpu / done.events, None, others)


class _Clock:
    """Processor time on a core from here on: the measured one's, and the share that all others took."""

    def __init__(self, core: int | None, own: Callable[[], float | None]) -> None:
        self._core = core
        self._own = own
        self._before = self._now()

    def passed(self) -> tuple[float | None, float | None]:
        """Seconds of the measured one; what others took of the core."""
        (began, own, all_), (ended, own_now, all_now) = self._before, self._now()
        spent = None if own is None or own_now is None else own_now - own
        if spent is None or all_ is None or all_now is None:
            return spent, None
        return spent, max(all_now - all_ - spent, 0.0) / (ended - began)

    def _now(self) -> tuple[float, float | None, float | None]:
        return perf_counter(), self._own(), busy(self._core)


def _bounded(work: Callable[[], T]) -> T:
    """Does it, in a process of its own, which ends where it takes too long; whoever waits hears BrokenProcessPool."""
    signal.alarm(MOST_SECONDS)
    try:
        return work()
    finally:
        signal.alarm(0)


def _clocked(core: int | None, work: Callable[[], Done]) -> tuple[Done, float | None]:
    clock = _Clock(core, process_time)
    done = work()
    return done, clock.passed()[1]


def _process(core: int | None) -> ProcessPoolExecutor:
    """A process to work in, bound to a core, without anything of this one's."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_settle, initargs=(core,))


def _settle(core: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever measures hears it, and ends what this process waits for
    pin(core)
