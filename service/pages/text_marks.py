"""Marks in a part of a text: its cited places, overlapping ones too, as a sequence of segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from projections.citations import CitedPart, CitedPlace


@dataclass(frozen=True, slots=True)
class Segment:
    """Characters from `start` on that the same passages cover.

    `passages`: how many; `starts`: whether one of them starts here; `ends`: the places that end here.
    """

    text: str
    start: int
    passages: int
    starts: bool
    ends: tuple[CitedPlace, ...]


def marked(part: CitedPart) -> Iterator[Segment]:
    """Yield the segments of a part, in order; together they are its whole text."""
    first, last = part.start, part.start + len(part.text)
    starting: Counter[int] = Counter()
    ending: dict[int, list[CitedPlace]] = {}
    for each in part.places:
        starting[each.start] += each.passages
        ending.setdefault(each.end, []).append(each)
    covering = sum(each.passages for each in part.places if each.start < first)
    bounds = {bound for bound in (*starting, *ending) if first < bound < last}
    for start, end in pairwise(sorted({first, last, *bounds})):
        covering += starting[start]
        ends = tuple(ending.get(end, ()))
        yield Segment(part.text[start - first : end - first], start, covering, start in starting, ends)
        covering -= sum(each.passages for each in ends)
