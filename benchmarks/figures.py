"""What turns say when they are put together: ratios of each round, and the value of a figure over all rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.results import Row, Sample

Values = Sequence[float]


def ratios(row: Row) -> list[float]:
    """For each round what was reached of the limit in that round."""
    if not row.limits:
        return []
    return [sample.per_second / limit.per_second for sample, limit in zip(row.samples, row.limits, strict=True)]


def cpu_ratios(row: Row) -> list[float]:
    """The same by processor time for each of what was counted, which other work on the machine moves much less."""
    if not row.limits:
        return []
    return [
        limit.cpu / sample.cpu
        for sample, limit in zip(row.samples, row.limits, strict=True)
        if sample.cpu and limit.cpu is not None
    ]


def of(samples: Sequence[Sample], figure: Callable[[Sample], float | None]) -> list[float]:
    """What is known of it in each round."""
    return [value for value in map(figure, samples) if value is not None]


def milliseconds(seconds: float | None) -> float | None:
    """A time as tables show it."""
    return None if seconds is None else seconds * 1e3


def middle(values: Values) -> float | None:
    """The median, if there is one."""
    return median(values) if values else None
