"""Results as a table to read, and as JSON to keep. Medians, with the least and the most; it judges nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Footprint, Results, Row, Sample

_MB = 2**20
_HEAD = (
    "measure",
    "by",
    "clients",
    "a second",
    "limit a second",
    "RATIO",
    "from - to",
    "RATIO by CPU",
    "from - to",
    "CPU us each",
    "p50 ms",
    "p99 ms",
    "load, most",
    "others",
)
Figures = Sequence[float]


def ratios(row: Row) -> list[float]:
    """For each round what was reached of the limit in that round."""
    return [sample.per_second / limit.per_second for sample, limit in zip(row.samples, row.limits, strict=True)]


def cpu_ratios(row: Row) -> list[float]:
    """The same by processor time for each of what was counted, which other work on the machine moves much less."""
    return [
        limit.cpu / sample.cpu
        for sample, limit in zip(row.samples, row.limits, strict=True)
        if sample.cpu and limit.cpu is not None
    ]


def tables(results: Results) -> str:
    """What was measured, as two tables in Markdown."""
    parts = []
    if results.rows:
        parts.append(_table(_HEAD, [_cells(row) for row in results.rows]))
    if results.footprints:
        head = ("registry after", "events", "memory MB", "most MB", "log bytes/event", "views bytes/event")
        parts.append(_table(head, [_weights(footprint) for footprint in results.footprints]))
    return "\n\n".join(parts)


def document(bench: Bench) -> dict[str, Any]:
    """Everything as JSON: the machine, the sizes, each turn, and the ratios."""
    rows = [{**asdict(row), "ratios": ratios(row), "cpu_ratios": cpu_ratios(row)} for row in bench.results.rows]
    return {
        "machine": machine(),
        "cores": asdict(bench.cores),
        "sizes": asdict(bench.sizes),
        "rows": rows,
        "footprints": [asdict(footprint) for footprint in bench.results.footprints],
    }


def machine() -> dict[str, object]:
    """What the figures hold for."""
    packages = {name: version(name) for name in ("aiohttp", "eventsourcing", "orjson", "pydantic")}
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": sys.platform,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        **packages,
    }


def _cells(row: Row) -> tuple[str, ...]:
    def of(figure: Callable[[Sample], float | None], scale: float, digits: int, unit: str = "") -> str:
        known = [value for value in map(figure, row.samples) if value is not None]
        return _median(known, scale, digits) + (unit if known else "")

    share, by_cpu = ratios(row), cpu_ratios(row)
    return (
        row.measure,
        row.contestant,
        str(row.clients or ""),
        of(lambda sample: sample.per_second, 1, 0),
        _median([limit.per_second for limit in row.limits], 1, 0),
        _median(share, 1, 3),
        _spread(share),
        _median(by_cpu, 1, 3),
        _spread(by_cpu),
        of(lambda sample: sample.cpu, 1e6, 0),
        of(lambda sample: sample.median, 1e3, 1),
        of(lambda sample: sample.slowest, 1e3, 1),
        _most([sample.load for sample in (*row.samples, *row.limits)]),
        of(lambda sample: sample.others, 100, 0, "%"),
    )


def _weights(footprint: Footprint) -> tuple[str, ...]:
    now, most = footprint.memory or (None, None)
    return (
        footprint.after,
        f"{footprint.events:,}",
        "" if now is None else f"{now / _MB:.0f}",
        "" if most is None else f"{most / _MB:.0f}",
        f"{footprint.files['log'] / footprint.events:.0f}",
        f"{footprint.files['views'] / footprint.events:.0f}",
    )


def _median(figures: Figures, scale: float, digits: int) -> str:
    return f"{median(figures) * scale:,.{digits}f}" if figures else ""


def _most(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{max(known):.0%}" if known else ""


def _spread(figures: Figures) -> str:
    return f"{min(figures):.3f} - {max(figures):.3f}" if figures else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)
