"""Figures over several turns: ratios of each round, and the value of a figure over all rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.results import Row, Sample

Values = Sequence[float]


def ratios(row: Row) -> list[float]:
    """Return the rate of each round divided by the limit's rate in the same round."""
    if not row.limits:
        return []
    return [sample.per_second / limit.per_second for sample, limit in zip(row.samples, row.limits, strict=True)]


def cpu_ratios(row: Row) -> list[float]:
    """Return the same ratios by processor time for each event, on which other load of the machine has much less
    effect."""
    if not row.limits:
        return []
    return [
        limit.cpu / sample.cpu
        for sample, limit in zip(row.samples, row.limits, strict=True)
        if sample.cpu and limit.cpu is not None
    ]


def of(samples: Sequence[Sample], figure: Callable[[Sample], float | None]) -> list[float]:
    """Return the known values of a figure, one a round."""
    return [value for value in map(figure, samples) if value is not None]


def milliseconds(seconds: float | None) -> float | None:
    """Return a time as tables show it."""
    return None if seconds is None else seconds * 1e3


def middle(values: Values) -> float | None:
    """Return the median, if there is one."""
    return median(values) if values else None
