"""The page of words: statuses with their diagrams, dates and their bounds, corrections, evidence, event types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from domain.catalogue import CATALOGUE
from domain.statuses import MEANINGS, Transition, transitions
from projections.reader import Reader
from service.pages.site import Context, Visit, page
from service.vocabulary import vocabulary

DATES = (
    "2024-01-21",
    "2024-01",
    "2024",
    "XXXX-08-18",
    "2024?",
    "2024-01~",
    "2024-01-21%",
    "2021-08/2021-09",
    "2021-08/..",
    "../2024-03",
)
"""One example of each form of a date."""
_COLUMN, _ROW, _WIDTH, _HEIGHT = 170, 64, 120, 30


@dataclass(frozen=True, slots=True)
class Box:
    """A status of a diagram, by its upper left corner; None is the beginning."""

    status: str | None
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """A state diagram: boxes in columns, and the ways between them as paths with their events."""

    width: int
    height: int
    boxes: list[Box]
    ways: list[tuple[str, str]]


def diagram(found: Sequence[Transition]) -> Diagram:
    """Return the diagram of some ways; a status stands in the column of its distance from the beginning."""
    columns = _columns(found)
    places: dict[str | None, tuple[int, int]] = {}
    for number, statuses in enumerate(columns):
        for row, status in enumerate(statuses):
            places[status] = (10 + number * _COLUMN, 20 + row * _ROW)
    events: dict[tuple[str | None, str], list[str]] = {}
    for way in found:
        events.setdefault((way.before, way.after), []).append(way.event)
    ways = [(_path(places[before], places[after]), ", ".join(names)) for (before, after), names in events.items()]
    boxes = [Box(status, x, y) for status, (x, y) in places.items()]
    return Diagram(20 + len(columns) * _COLUMN, 30 + max(map(len, columns)) * _ROW, boxes, ways)


def _columns(found: Sequence[Transition]) -> list[list[str | None]]:
    columns: list[list[str | None]] = [[None]]
    seen: set[str | None] = {None}
    while columns[-1]:
        following = dict.fromkeys(way.after for way in found if way.before in columns[-1] and way.after not in seen)
        seen |= set(following)
        columns.append(list(following))
    return columns[:-1]


def _path(before: tuple[int, int], after: tuple[int, int]) -> str:
    """Return the path of an arrow from the right of a box to the left of another; back, it bends below."""
    (x1, y1), (x2, y2) = before, after
    middle = _HEIGHT // 2
    if x1 == x2:
        side = x1 + _WIDTH + 22
        return (
            f"M{x1 + _WIDTH},{y1 + middle} C{side},{y1 + middle} {side},{y2 + middle} {x2 + _WIDTH + 6},{y2 + middle}"
        )
    if x1 > x2:
        low = max(y1, y2) + _HEIGHT + 18
        return f"M{x1 + 20},{y1 + _HEIGHT} C{x1},{low} {x2 + _WIDTH},{low} {x2 + _WIDTH - 20},{y2 + _HEIGHT + 6}"
    return (
        f"M{x1 + _WIDTH},{y1 + middle} C{x1 + _WIDTH + 25},{y1 + middle} {x2 - 25},{y2 + middle} {x2 - 6},{y2 + middle}"
    )


async def words(request: web.Request) -> web.StreamResponse:
    """Return the page of words."""

    def find(_reader: Reader, _visit: Visit) -> Context:
        fields: dict[str, list[tuple[str, str]]] = {}
        for each in vocabulary():
            if each.what == "field" and each.of in CATALOGUE and each.word not in ("evidence", "note"):
                fields.setdefault(each.of, []).append((each.word, each.sentence))
        return {
            "times": None,
            "groups": [(of, list(meanings.items()), _diagrams(of)) for of, meanings in MEANINGS.items()],
            "dates": DATES,
            "types": [
                (each.word, each.sentence, fields.get(each.word, []))
                for each in vocabulary()
                if each.what == "event type"
            ],
        }

    return await page(request, "words.html", find)


def _diagrams(of: str) -> list[tuple[str, Diagram, Sequence[Transition]]]:
    """Return the diagrams of what has some statuses: of memberships, one for each kind."""
    ways: Mapping[str, list[Transition]] = transitions()
    own = [name for name in ways if name == of or (of == "memberships" and " of " in name)]
    return [(name, diagram(ways[name]), ways[name]) for name in own]
