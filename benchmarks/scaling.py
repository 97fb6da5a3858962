"""Scaling: the cost of each measure at every size, side by side. A measure that reads the whole log counts by event, so
that only costs that grow with the size show growth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.contestants import REGISTRY
from benchmarks.figures import of
from benchmarks.results import ALL, LIMIT, Results, Row


@dataclass(frozen=True, slots=True)
class Scaling:
    """One measure: its cost by the number of events, in a unit."""

    measure: str
    unit: str
    costs: Mapping[int, float]

    @property
    def growth(self) -> float:
        """The cost at the largest size divided by the cost at the smallest size."""
        least, most = min(self.costs), max(self.costs)
        return self.costs[most] / self.costs[least] if self.costs[least] else 1.0


def scalings(results: Results) -> list[Scaling]:
    """Return every measure that has several sizes."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    rows = [row for row in results.rows if row.size is not None and not _is_repeated(row)]
    crowds = Counter((row.measure, row.contestant, row.size) for row in rows)
    for row in rows:
        name = _name(row)
        if crowds[row.measure, row.contestant, row.size] > 1:
            name += f", {row.clients} client{'' if row.clients == 1 else 's'}"
        if row.size is not None and (cost := _cost(row)) is not None:
            unit, value = cost
            found.setdefault((name, unit), {})[row.size] = value
    for figure in results.figures:
        if figure.size is not None and figure.unit == "s":
            found.setdefault((f"{figure.measure}: {figure.name}", "s"), {})[figure.size] = median(figure.values)
    for each in results.footprints:
        if each.size is not None:
            if each.memory is not None and each.after == ALL:
                found.setdefault(("memory after all of it, most", "MB"), {})[each.size] = each.memory[1] / 2**20
            disk = sum(each.files.values()) / each.events
            found.setdefault(("disk, log and views", "bytes/event"), {})[each.size] = disk
    return [Scaling(*name, costs) for name, costs in found.items() if len(costs) > 1]


def _is_repeated(row: Row) -> bool:
    """Return whether the same turns have another limit too."""
    return row.against != LIMIT and row.clients is not None


def _name(row: Row) -> str:
    if row.contestant == REGISTRY:
        return row.measure
    return f"{row.measure}, {row.contestant.removeprefix(f'{REGISTRY}, ')}"


def _cost(row: Row) -> tuple[str, float] | None:
    """Return the 95th percentile of queries without a limit, or the processor time of each request."""
    if not row.limits:
        times = of(row.samples, lambda sample: sample.p95)
        return ("ms, p95", median(times) * 1e3) if times else None
    spent = of(row.samples, lambda sample: sample.cpu)
    return ("us of CPU", median(spent) * 1e6) if spent else None
