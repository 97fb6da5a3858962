"""Labels of a picture: a place for each name beside its mark, such that no label covers another label or a mark."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

HEIGHT = 14
"""The height of a label's box, in units of the picture."""
WIDTHS = (180, 100)
"""The widest label, and the width that a name is shortened to where there is less room."""
_BASELINE = 11
"""From the top of a box to the line that the letters stand on."""
_GAP = 2
_CELL_WIDTH, _CELL_HEIGHT = 120, 40
_WIDE, _CAPITAL, _SMALL, _NARROW = 12.0, 9.0, 7.2, 4.7
"""Widths of characters in a font of 11 units, at least as wide as in the common fonts."""
_WIDE_LETTERS = frozenset("mwMW@%…—")
_NARROW_LETTERS = frozenset("fijlrtI .,:;'()[]|!-/")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two have points in common that are not on their edges."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a subject, by its middle and half its width, and the name that belongs to it."""

    key: str
    name: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Label:
    """A placed label: the text, which may be shortened, where it is anchored on its baseline, and its box."""

    text: str
    anchor: Literal["start", "middle", "end"]
    x: float
    y: float
    box: Box


def width_of(text: str) -> float:
    """Return how wide a text is at most, in units of the picture."""
    return sum(map(_width_of, text))


def _width_of(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF" or character in _WIDE_LETTERS:
        return _WIDE
    if character in _NARROW_LETTERS:
        return _NARROW
    return _CAPITAL if character.isupper() or not character.isascii() else _SMALL


def shortened(name: str, width: float) -> str:
    """Return the name, or its beginning with `…` where it is wider than `width`."""
    if width_of(name) <= width:
        return name
    room, end = width - _WIDE, 0
    while room >= _width_of(name[end]):
        room -= _width_of(name[end])
        end += 1
    return name[:end].rstrip() + "…"


def place(marks: Iterable[Mark], frame: Box) -> Mapping[str, Label]:
    """Return labels by the keys of their marks; a mark with no room around it has none. The first marks come first."""
    every = list(marks)
    taken = _Taken()
    for mark in every:
        taken.add(_box_of(mark))
    labels = {}
    for mark in every:
        for label in _candidates(mark):
            if _is_within(label.box, frame) and taken.is_free(label.box):
                taken.add(label.box)
                labels[mark.key] = label
                break
    return labels


class _Taken:
    """The boxes of a picture by cells of a grid, so that a box is compared with its neighbours only."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Box]] = {}

    def add(self, box: Box) -> None:
        """Add a box."""
        for cell in _cells_of(box):
            self._cells.setdefault(cell, []).append(box)

    def is_free(self, box: Box) -> bool:
        """Whether no box that was added overlaps this one."""
        return not any(box.overlaps(other) for cell in _cells_of(box) for other in self._cells.get(cell, ()))


def _cells_of(box: Box) -> Iterator[tuple[int, int]]:
    for column in range(int(box.left // _CELL_WIDTH), int(box.right // _CELL_WIDTH) + 1):
        for row in range(int(box.top // _CELL_HEIGHT), int(box.bottom // _CELL_HEIGHT) + 1):
            yield column, row


def _candidates(mark: Mark) -> Iterator[Label]:
    """Yield labels of a mark, the best first: the long text below, above, right and left of it, then the short one."""
    away = mark.size + _GAP
    for text in dict.fromkeys(shortened(mark.name, width) for width in WIDTHS):
        if not text:
            continue
        width = width_of(text)
        below, above, beside = mark.y + away, mark.y - away - HEIGHT, mark.y - HEIGHT / 2
        yield _label(text, "middle", mark.x, below, width)
        yield _label(text, "middle", mark.x, above, width)
        yield _label(text, "start", mark.x + away, beside, width)
        yield _label(text, "end", mark.x - away, beside, width)


def _label(text: str, anchor: Literal["start", "middle", "end"], x: float, top: float, width: float) -> Label:
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return Label(text, anchor, round(x, 1), round(top + _BASELINE, 1), Box(left, top, left + width, top + HEIGHT))


def _box_of(mark: Mark) -> Box:
    return Box(mark.x - mark.size, mark.y - mark.size, mark.x + mark.size, mark.y + mark.size)


def _is_within(box: Box, frame: Box) -> bool:
    return frame.left <= box.left and frame.top <= box.top and box.right <= frame.right and box.bottom <= frame.bottom
