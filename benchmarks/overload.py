"""Overload: many clients post at four times the highest rate of the registry, until it is killed. It counts the
recorded events, the time until excess is refused, the memory, and acknowledged events that the log lacks."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from benchmarks.bench import Bench
from benchmarks.closed_loop import Load
from benchmarks.contestants import REGISTRY, Registry, lines, registry
from benchmarks.events import NewAgreements
from benchmarks.open_loop import PacedResult, Schedule, run
from benchmarks.requests import Posts
from benchmarks.results import Row, Sample
from benchmarks.sizes import PARTIES

OVERLOAD = "overload"
BEST = "overload, best of a closed loop"
SHARE = "recorded a second, to the highest rate"
OFFERED = "offered a second, to the highest rate"
REFUSED = "refused with 503"
UNHINTED = "503 without Retry-After"
SOON = "503 after, p99"
TAKEN = "201 after, p99"
BROKEN = "connections closed during a post"
MEMORY = "memory, most"
MISSING = "acknowledged posts missing after SIGKILL"
TIMES = 4
BEST_CLIENTS = 64
_NUMBER = re.compile(rb'"id":"signed-(\d+)"')
_SECOND_TURN = 10_000_000
_THIRD_TURN = 20_000_000


def measure(bench: Bench) -> None:
    """Overload a registry, kill it, and check its log."""
    core, sizes, folder = bench.cores.server, bench.sizes, bench.folder / "overload"
    with registry(folder, core, parties=PARTIES) as ours:
        server = ours.server
        best = bench.turns(
            BEST,
            {
                REGISTRY: lambda: bench.measured(
                    server, Load(server.port, BEST_CLIENTS, sizes.sustained, _posts(ours, 0), sizes.warm)
                )
            },
            1,
        )[REGISTRY][0]
        bench.say(f"{OVERLOAD}: {sizes.crowd} clients at {TIMES} times {best.per_second:,.0f} a second")
        schedule = Schedule(
            server.port,
            TIMES * best.per_second,
            max(2 * sizes.longer, sizes.sustained),
            _posts(ours, _SECOND_TURN),
            connections=sizes.crowd,
            warm=sizes.longer,  # until the number of waiting requests is at its largest
            holds_back=True,
            endures=True,
        )
        paced, cpu, others = bench.loaded(server, partial(run, schedule))
        _said(bench, best, paced, cpu, others)
        if (memory := server.memory()) is not None:
            bench.figure(OVERLOAD, MEMORY, "MB", memory[1] / 2**20)
        bench.say(f"{OVERLOAD}: the same, and the process is killed")
        again = replace(schedule, requests=_posts(ours, _THIRD_TURN), kills=server.pid)
        killed, _, _ = bench.loaded(server, partial(run, again))
    with registry(folder, core) as ours:
        kept = {int(found[1]) for line in lines(ours.server, "/v1/events") if (found := _NUMBER.search(line))}
    acknowledged = {_SECOND_TURN + number for number in paced.acknowledged}
    acknowledged |= {_THIRD_TURN + number for number in killed.acknowledged}
    bench.figure(OVERLOAD, MISSING, f"of {len(acknowledged):,}", len(acknowledged - kept))


def _posts(ours: Registry, first: int) -> Posts:
    return Posts("/v1/events", NewAgreements(first, PARTIES), ours.headers)


def _said(bench: Bench, best: Sample, paced: PacedResult, cpu: float | None, others: float | None) -> None:
    taken, refused = paced.times.get(201), paced.times.get(503)
    if taken is None or set(paced.times) - {201, 503}:
        raise RuntimeError(f"unexpected answers under overload: {sorted(paced.times)}")
    answers = taken.count + (refused.count if refused else 0)
    rate = paced.in_time.get(201, 0) / paced.seconds
    spent = None if cpu is None else cpu / max(1, answers)
    sample = Sample(taken.count, rate, spent, paced.busy, others, taken.median, taken.p95, taken.p99, taken.most)
    bench.results.rows.append(
        Row(OVERLOAD, REGISTRY, bench.sizes.crowd, [sample], [best], f"its best, {BEST_CLIENTS} clients")
    )
    bench.figure(OVERLOAD, SHARE, "ratio", rate / best.per_second)
    bench.figure(OVERLOAD, OFFERED, "ratio", (paced.due - paced.held_back) / paced.seconds / best.per_second)
    bench.figure(OVERLOAD, REFUSED, "%", 100 * (refused.count if refused else 0) / answers)
    if refused is not None:
        bench.figure(OVERLOAD, SOON, "ms", refused.p99 * 1e3)
    bench.figure(OVERLOAD, UNHINTED, "", paced.unhinted)
    bench.figure(OVERLOAD, TAKEN, "ms", taken.p99 * 1e3)
    bench.figure(OVERLOAD, BROKEN, "", paced.broken)
