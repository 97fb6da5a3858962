"""Reports: results as tables in Markdown, and as JSON: medians, with the least and the most."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Values, cpu_ratios, middle, milliseconds, of, ratios
from benchmarks.results import LIMIT, Figure, Footprint, Results, Row, Sample
from benchmarks.scaling import Scaling, scalings
from benchmarks.targets import TargetResult, target_results

_MB = 2**20
_PACKAGES = ("aiohttp", "eventsourcing", "orjson", "pydantic", "umadb")
_RATES = (
    "measure",
    "by",
    "events",
    "clients",
    "a second",
    "against",
    "a second",
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
_JUDGED = ("target", "events", "found", "from - to", "by CPU", "wanted", "met")
_SAID = ("measure", "what", "events", "median", "from - to", "")
_WEIGHED = (
    "registry after",
    "events",
    "memory MB",
    "most MB",
    "log bytes/event",
    "views bytes/event",
    "posted bytes/event",
    "disk / posted",
)
_TIMES = ("measure", "by", "events", "a second", "p50 ms", "p95 ms", "p99 ms", "most ms", "CPU us each", "load, most")


def tables(results: Results) -> str:
    """Return all results as tables in Markdown; machine and targets come first."""
    parts = [", ".join(f"{name} {value}" for name, value in machine().items() if isinstance(value, str | int))]
    if found := target_results(results):
        parts.append(_titled("Targets", _JUDGED, [_target(each) for each in found]))
    if sized := scalings(results):
        sizes = sorted({size for each in sized for size in each.costs})
        head = ("measure", "unit", *(f"{size:,} events" for size in sizes), "growth")
        parts.append(_titled("Sizes", head, [_flat(each, sizes) for each in sized]))
    if rows := [row for row in results.rows if row.limits]:
        parts.append(_titled("Ratios to limits", _RATES, [_rate(row) for row in rows]))
    if rows := [row for row in results.rows if not row.limits]:
        parts.append(_titled("Times", _TIMES, [_times(row) for row in rows]))
    if results.figures:
        parts.append(_titled("Figures", _SAID, [_figure(each) for each in results.figures]))
    if results.footprints:
        parts.append(_titled("Weights", _WEIGHED, [_weights(each) for each in results.footprints]))
    parts += results.notes
    return "\n\n".join(parts)


def document(bench: Bench) -> dict[str, Any]:
    """Return everything as JSON: machine, sizes, each turn, ratios, targets."""
    results = bench.results
    return {
        "machine": machine(),
        "cores": asdict(bench.cores),
        "sizes": asdict(bench.sizes),
        "targets": [
            {
                "workload": each.target.workload,
                "unit": each.target.unit,
                "wanted": each.target.wanted,
                "is_most": each.target.is_most,
                "found": each.found.value,
                "is_met": each.is_met,
                "is_meant": each.is_meant,
                **asdict(each.found),
            }
            for each in target_results(results)
        ],
        "rows": [{**asdict(row), "ratios": ratios(row), "cpu_ratios": cpu_ratios(row)} for row in results.rows],
        "figures": [asdict(figure) for figure in results.figures],
        "footprints": [{**asdict(each), "of_raw": each.of_raw} for each in results.footprints],
        "notes": results.notes,
    }


def machine() -> dict[str, object]:
    """Return the machine that the figures are of."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": sys.platform,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _target(each: TargetResult) -> tuple[str, ...]:
    found, target = each.found, each.target
    return (
        target.workload,
        _count(found.size),
        f"{_plain(found.value)} {target.unit}",
        _spread(found.values),
        _shown(found.by_cpu, 3),
        f"{'at most' if target.is_most else 'at least'} {_plain(target.wanted)}"
        + ("" if target.at is None else f" at {target.at:,}"),
        _met(each),
    )


def _flat(each: Scaling, sizes: Sequence[int]) -> tuple[str, ...]:
    costs = (_plain(each.costs[size]) if size in each.costs else "" for size in sizes)
    return (each.measure, each.unit, *costs, f"{each.growth:.2f}")


def _met(each: TargetResult) -> str:
    said = "yes" if each.is_met else "no"
    return said if each.is_meant else f"({said})"


def _rate(row: Row) -> tuple[str, ...]:
    share, by_cpu = ratios(row), cpu_ratios(row)
    return (
        row.measure,
        row.contestant,
        _count(row.size),
        _count(row.clients),
        _rounds(row.samples, lambda sample: sample.per_second, 0),
        "" if row.against == LIMIT else row.against,
        _rounds(row.limits, lambda sample: sample.per_second, 0),
        _shown(share, 3),
        _spread(share),
        _shown(by_cpu, 3),
        _spread(by_cpu),
        _rounds(row.samples, _cpu, 0),
        _rounds(row.samples, lambda sample: milliseconds(sample.median), 1),
        _rounds(row.samples, lambda sample: milliseconds(sample.p99), 1),
        _most([sample.load for sample in (*row.samples, *row.limits)]),
        _percent([sample.others for sample in row.samples]),
    )


def _times(row: Row) -> tuple[str, ...]:
    return (
        row.measure,
        row.contestant,
        _count(row.size),
        _rounds(row.samples, lambda sample: sample.per_second, 0),
        *(
            _rounds(row.samples, figure, 2)
            for figure in (
                lambda sample: milliseconds(sample.median),
                lambda sample: milliseconds(sample.p95),
                lambda sample: milliseconds(sample.p99),
                lambda sample: milliseconds(sample.most),
            )
        ),
        _rounds(row.samples, _cpu, 0),
        _most([sample.load for sample in row.samples]),
    )


def _figure(figure: Figure) -> tuple[str, ...]:
    value = middle(figure.values)
    assert value is not None
    return (
        figure.measure,
        figure.name,
        _count(figure.size),
        _plain(value),
        _spread(figure.values) if len(figure.values) > 1 else "",
        figure.unit,
    )


def _weights(footprint: Footprint) -> tuple[str, ...]:
    now, most = footprint.memory or (None, None)
    return (
        footprint.after,
        _count(footprint.events),
        "" if now is None else f"{now / _MB:.0f}",
        "" if most is None else f"{most / _MB:.0f}",
        f"{footprint.files['log'] / footprint.events:.0f}",
        f"{footprint.files['views'] / footprint.events:.0f}",
        "" if footprint.raw is None else f"{footprint.raw:.0f}",
        "" if footprint.of_raw is None else f"{footprint.of_raw:.1f}",
    )


def _cpu(sample: Sample) -> float | None:
    return None if sample.cpu is None else sample.cpu * 1e6


def _rounds(samples: Sequence[Sample], figure: Callable[[Sample], float | None], digits: int) -> str:
    return _shown(of(samples, figure), digits)


def _shown(values: Values, digits: int) -> str:
    value = middle(values)
    return "" if value is None else f"{value:,.{digits}f}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _most(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{max(known):.0%}" if known else ""


def _percent(shares: Sequence[float | None]) -> str:
    value = middle([share for share in shares if share is not None])
    return "" if value is None else f"{value:.0%}"


def _spread(values: Values) -> str:
    return f"{_plain(min(values))} - {_plain(max(values))}" if len(values) > 1 else ""


def _titled(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return f"**{title}**\n\n" + "\n".join(lines)
