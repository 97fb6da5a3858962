"""Pictures: charts of spans over years and the network, computed here and drawn as SVG by templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import ceil, sqrt
from typing import Any

from domain.edtf import AFTER, BEFORE, Span, parse_day, parse_edtf
from service.pages.site import Visit

WIDTH = 720
_ROW = 34
_TOP = 18
_AXIS = 22
_MOST_BARS = 40
_TICKS = 8
_ITERATIONS = ((60, 300), (120, 150))
"""Up to so many subjects: iterations of the layout."""
_FEWEST = 40
_SEED = 7
"""The same network gives the same picture."""

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


@dataclass(frozen=True, slots=True)
class Node:
    """A subject in the network; `x` and `y` are the middle of its mark."""

    subject: str
    name: Any
    style: str
    status: str
    x: float
    y: float
    size: float
    is_labelled: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of the network between two places, with its kind."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: str


@dataclass(frozen=True, slots=True)
class Network:
    """A drawn graph: nodes and edges with their places, in a frame of `width` by `height` units."""

    width: int
    height: int
    nodes: list[Node]
    edges: list[Edge]


MOST_LABELS = 60


def network(graph: Mapping[str, Any], center: str | None) -> Network:
    """Return the picture of a graph as the API answers it. The same graph gives the same picture.

    Of a large network only the subjects with the most edges have their names in it; all have them on pointing.
    """
    subjects = tuple(sorted(node["subject"] for node in graph["nodes"]))
    edges_between = tuple(sorted({(edge["source"], edge["target"]) for edge in graph["edges"]}))
    degrees = Counter(end for edge in edges_between for end in edge)
    width = int(min(1800, 520 + 95 * sqrt(max(1, len(subjects)))))
    height = int(width * 0.7)
    at = _fitted(_layout(subjects, edges_between), width, height)
    ranked = sorted(subjects, key=lambda subject: (subject != center, -degrees[subject], subject))
    labelled = frozenset(ranked[:MOST_LABELS])
    nodes = [
        Node(
            node["subject"],
            node["name"],
            f"of-{node['collection']}" + (" center" if node["subject"] == center else ""),
            node["status"],
            *at[node["subject"]],
            round(5 + min(9.0, sqrt(degrees[node["subject"]]) * 2), 1),
            node["subject"] in labelled,
        )
        for node in graph["nodes"]
    ]
    edges = [
        Edge(*at[edge["source"]], *at[edge["target"]], f"edge-{edge['type'].replace('.', '-')}")
        for edge in graph["edges"]
    ]
    return Network(width, height, nodes, edges)


@lru_cache(maxsize=32)
def _layout(subjects: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return a place for each subject. It takes 0.1 s for 300 subjects, so the last ones are cached."""
    import networkx as nx  # here, as it takes a tenth of the start of every command that serves

    drawn: nx.Graph[str] = nx.Graph()
    drawn.add_nodes_from(subjects)
    drawn.add_edges_from(edges)
    places: dict[str, Any] = nx.forceatlas2_layout(
        drawn,
        pos=nx.circular_layout(drawn, scale=10),
        max_iter=next((most for size, most in _ITERATIONS if len(subjects) <= size), _FEWEST),
        strong_gravity=True,
        gravity=0.35,
        scaling_ratio=6.0,
        seed=_SEED,
    )
    return places


def _fitted(places: Mapping[str, Any], width: int, height: int) -> dict[str, tuple[float, float]]:
    """Return places moved and scaled to a picture, with room for the names at its edges."""
    lows = [min((place[axis] for place in places.values()), default=0.0) for axis in (0, 1)]
    highs = [max((place[axis] for place in places.values()), default=1.0) for axis in (0, 1)]
    room = ((width - 180, 90), (height - 60, 25))
    return {
        subject: (
            round(float((place[0] - lows[0]) / ((highs[0] - lows[0]) or 1.0)) * room[0][0] + room[0][1], 1),
            round(float((place[1] - lows[1]) / ((highs[1] - lows[1]) or 1.0)) * room[1][0] + room[1][1], 1),
        )
        for subject, place in places.items()
    }
