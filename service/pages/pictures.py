"""Pictures of times: charts of spans over years, computed here and drawn as SVG by templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import Any

from domain.edtf import AFTER, BEFORE, Span, parse_day, parse_edtf
from service.pages.site import Visit

WIDTH = 720
_ROW = 34
_TOP = 18
_AXIS = 22
_MOST_BARS = 50
_TICKS = 8

Row = tuple[Any, "str | None", "str | None", str, str]
"""Label (a text for people), first and last day (EDTF, None: not known), status, address."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart: `x` and `width` for certain, `possible_x` and `possible_width` with the days that may be."""

    label: str
    label_x: float
    anchor: str
    href: str
    style: str
    x: float
    width: float
    possible_x: float
    possible_width: float
    y: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A year on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of spans over years, in units of its own `width` and `height`."""

    id: str
    title: str
    about: str
    width: int
    height: int
    bars: list[Bar]
    ticks: list[Tick]
    marker: float | None


def chart(visit: Visit, name: str, title: str, rows: Sequence[Row]) -> Chart | None:
    """Return a chart of the days of some rows; None if no row has a day.

    A row whose first and last day are the same date shows that date as a span of its possible days.
    """
    spans = [(row, _span(row[1]), _span(row[2]) if row[2] != row[1] else None) for row in rows[:_MOST_BARS]]
    known = [bound for _, start, end in spans for span in (start, end) if span for bound in span if _is_bounded(bound)]
    if not known:
        return None
    on = visit.times.on
    marker = parse_day(on) if on else None
    first = date.fromordinal(min([*known, *([marker] if marker else [])])).year
    last = date.fromordinal(max([*known, *([marker] if marker else [])])).year + 1
    left, right = date(first, 1, 1).toordinal(), date(min(last, 9999), 1, 1).toordinal()
    scale = WIDTH / max(1, right - left)

    def at(day: int) -> float:
        return round(min(max(day, left), right) * scale - left * scale, 1)

    bars = []
    for index, (row, start, end) in enumerate(spans):
        label, _, _, status, href = row
        starts = start or Span(BEFORE, BEFORE)
        is_point = row[1] is not None and row[1] == row[2]
        ends = starts if is_point else end or Span(AFTER, AFTER)
        may = at(starts.lo), at(ends.hi + 1)
        sure = (may[1], may[1]) if is_point and starts.lo != starts.hi else (at(starts.hi), at(ends.lo))
        x = may[0]
        is_left = x < WIDTH * 0.6
        bars.append(
            Bar(
                visit.wording.plain(label)[:80],
                x if is_left else min(may[1], WIDTH),
                "start" if is_left else "end",
                href,
                f"status-{status}",
                sure[0],
                max(0.0, sure[1] - sure[0], 3.0 if is_point and starts.lo == starts.hi else 0.0),
                may[0],
                max(3.0, may[1] - may[0]),
                _TOP + index * _ROW,
            )
        )
    step = max(1, ceil((last - first) / _TICKS))
    ticks = [Tick(at(date(year, 1, 1).toordinal()), str(year)) for year in range(first, min(last, 9999) + 1, step)]
    about = visit.wording.text("Solid: certain. Light: possible. The line is the day shown.")
    height = _TOP + len(bars) * _ROW + _AXIS
    return Chart(name, str(title), str(about), WIDTH, height, bars, ticks, None if marker is None else at(marker))


def _span(text: str | None) -> Span | None:
    return None if text is None else parse_edtf(text)


def _is_bounded(day: int) -> bool:
    return BEFORE < day < AFTER


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle of the bitemporal chart: a status that held from a day on, as known from a moment on."""

    x: int
    y: int
    width: int
    height: int
    status: str | None


@dataclass(frozen=True, slots=True)
class Bitemporal:
    """The status of a subject by valid time (`days`, downwards) and by recorded time (`moments`, to the right)."""

    days: list[str]
    moments: list[str]
    statuses: list[list[str | None]]
    cells: list[Cell]
    width: int
    height: int


_CELL, _LINE, _DAYS_WIDTH = 56, 26, 110


def bitemporal(days: list[str], moments: list[str], statuses: list[list[str | None]]) -> Bitemporal:
    """Return the chart; neighbours of a row with the same status are one cell."""
    cells = []
    for row, found in enumerate(statuses):
        start = 0
        for end in range(1, len(found) + 1):
            if end == len(found) or found[end] != found[start]:
                x = _DAYS_WIDTH + start * _CELL
                cells.append(Cell(x, row * _LINE, (end - start) * _CELL, _LINE, found[start]))
                start = end
    return Bitemporal(days, moments, statuses, cells, _DAYS_WIDTH + len(moments) * _CELL, len(days) * _LINE + 24)
