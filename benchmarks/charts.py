"""Charts of results for the docs: the reached share of each target, the effect of size on each measure, the times of
answers. A chart is drawn only if the run has data for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from statistics import median

from benchmarks.contestants import REGISTRY
from benchmarks.figures import of
from benchmarks.results import Results, Row
from benchmarks.scaling import Scaling, scalings
from benchmarks.svg import Drawing
from benchmarks.targets import TargetResult, target_results

_LABEL = 350
_WIDTH = 900
_ROW = 24
_TOP = 78
_MOST = 2.0
"""The largest drawn share of a target."""
_PANEL, _PANEL_HEIGHT, _COLUMNS = 290, 118, 3


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the charts into a new folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Drawing] = {}
    if found := target_results(results):
        drawn["targets"] = _targets(found)
    if found_flats := scalings(results):
        drawn["sizes"] = _sizes(found_flats)
    largest = {(row.measure, row.contestant): row for row in sorted(results.rows, key=lambda row: row.size or 0)}
    if rows := [row for row in largest.values() if not row.limits and _is_timed(row)]:
        drawn["times"] = _times(rows)
    paths = []
    for name, drawing in drawn.items():
        path = folder / f"{name}.svg"
        path.write_text(drawing.render(), encoding="utf-8")
        paths.append(path)
    return paths


def _targets(found: Sequence[TargetResult]) -> Drawing:
    """Draw a bar for each target, up to a line for the target."""
    met = sum(each.is_met for each in found)
    drawing = Drawing(
        _WIDTH,
        _TOP + _ROW * len(found) + 16,
        "What was reached of each target",
        f"{met} of {len(found)} targets were met. A bar that reaches the line is a target that was met.",
    )
    drawing.text(16, 28, "What was reached of each target", size=17)
    drawing.text(16, 50, f"{met} of {len(found)} met; longer is better; bars end at twice the target", "soft")
    scale = (_WIDTH - _LABEL - 190) / _MOST
    for number, each in enumerate(found):
        y = _TOP + _ROW * number
        drawing.text(_LABEL - 10, y + 15, each.target.workload, anchor="end")
        drawing.bar(_LABEL, y + 3, scale * min(each.reached, _MOST), _ROW - 8, "good" if each.is_met else "bad")
        label = f"{_short(each.found.value)} of {_short(each.target.wanted)} {each.target.unit}"
        if each.target.is_most:
            label = f"{_short(each.found.value)}, at most {_short(each.target.wanted)} {each.target.unit}"
        drawing.text(_WIDTH - 16, y + 15, label, "soft", "end", 12)
    middle = _LABEL + scale
    drawing.line(middle, _TOP - 6, middle, _TOP + _ROW * len(found), "ink", width=1.5)
    drawing.text(middle, _TOP - 11, "target", "soft", "middle", 12)
    return drawing


def _sizes(found: Sequence[Scaling]) -> Drawing:
    """Draw a small panel for each measure: its cost at every size, from zero on."""
    lines = ceil(len(found) / _COLUMNS)
    drawing = Drawing(
        _PANEL * _COLUMNS + 30,
        _TOP + _PANEL_HEIGHT * lines,
        "What size does to each measure",
        "For each measure its cost at every number of events. A level line is a cost that does not grow.",
    )
    drawing.text(16, 28, "What size does to each measure", size=17)
    sizes = sorted({size for each in found for size in each.costs})
    drawing.text(
        16,
        50,
        f"at {', '.join(f'{size:,}' for size in sizes)} events; each panel starts at zero; of what reads the whole log,"
        " the cost of one event",
        "soft",
    )
    for number, each in enumerate(found):
        left, top = 16 + _PANEL * (number % _COLUMNS), _TOP + _PANEL_HEIGHT * (number // _COLUMNS)
        _panel(drawing, each, sizes, left, top)
    return drawing


def _panel(drawing: Drawing, flat: Scaling, sizes: Sequence[int], left: float, top: float) -> None:
    floor_, height, width = top + 84, 44, 175
    drawing.text(left, top + 12, flat.measure, size=12)
    drawing.line(left, floor_, left + width + 20, floor_, "rule")
    most = max(flat.costs.values()) or 1.0
    points = [
        (left + 10 + width * sizes.index(size) / (len(sizes) - 1), floor_ - height * cost / most, cost)
        for size, cost in sorted(flat.costs.items())
    ]
    for (x, y, _), (to_x, to_y, _) in pairwise(points):
        drawing.line(x, y, to_x, to_y, "mark", width=2)
    for x, y, cost in points:
        drawing.dot(x, y, 3.5, "mark")
        drawing.text(x, y - 8, _short(cost), "soft", "middle", 11)
    drawing.text(left + width + 26, floor_ - 18, f"x {_short(flat.growth)}", size=13)
    drawing.text(left + width + 26, floor_ - 2, flat.unit, "soft", size=11)


def _times(rows: Sequence[Row]) -> Drawing:
    """Draw a line for each row from its median to its 99th percentile, on a logarithmic scale."""
    seconds = [value for row in rows for value in _percentiles(row)]
    least, most = (10.0 ** floor(log10(max(min(seconds), 1e-5))), 10.0 ** ceil(log10(max(*seconds, 1e-4))))
    drawing = Drawing(
        _WIDTH,
        _TOP + 12 + _ROW * len(rows) + 20,
        "How long answers took",
        "For each measure the median, the 95th and the 99th percentile of its times.",
    )
    drawing.text(16, 28, "How long answers took", size=17)
    drawing.text(16, 50, "milliseconds; full dot: half of them, at most; ring: 95 of 100; small dot: 99 of 100", "soft")
    width = _WIDTH - _LABEL - 60

    def across(value: float) -> float:
        return _LABEL + width * (log10(value) - log10(least)) / (log10(most) - log10(least))

    for power in range(round(log10(least)), round(log10(most)) + 1):
        x = across(10.0**power)
        drawing.line(x, _TOP, x, _TOP + 8 + _ROW * len(rows), "rule")
        drawing.text(x, _TOP - 6, f"{10.0**power * 1e3:g}", "soft", "middle", 12)
    for number, row in enumerate(rows):
        y = _TOP + 10 + _ROW * number + _ROW / 2
        name = row.measure if row.contestant == REGISTRY else f"{row.measure}: {row.contestant}"
        if row.size is not None:
            name += f", {row.size:,}"
        drawing.text(_LABEL - 10, y + 4, name, anchor="end", size=12)
        half, p95, p99 = (across(max(value, least)) for value in _percentiles(row))
        drawing.line(half, y, p99, y, "mark", width=1.5)
        drawing.dot(p99, y, 2.5, "mark")
        drawing.dot(p95, y, 4, "mark", is_hollow=True)
        drawing.dot(half, y, 5, "mark")
    return drawing


def _is_timed(row: Row) -> bool:
    return bool(of(row.samples, lambda sample: sample.median))


def _percentiles(row: Row) -> tuple[float, float, float]:
    """Return the median, 95th and 99th percentile, in seconds, over all rounds."""
    half, p95, p99 = (
        median(of(row.samples, figure))
        for figure in (lambda sample: sample.median, lambda sample: sample.p95, lambda sample: sample.p99)
    )
    return half, p95, p99


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
