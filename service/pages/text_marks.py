"""Marks in a text: its cited passages, overlapping ones too, as a sequence of segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a text that the same passages cover.

    `starts` and `ends`: the numbers of the passages that start and end here.
    """

    text: str
    passages: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def marked(text: str, passages: Sequence[Mapping[str, Any]]) -> Iterator[Segment]:
    """Yield the segments of a text, in order; together they are the whole text.

    A passage has `number`, and `start` and `end` (code points) or `exact`, which is looked for. One that is not in the
    text covers nothing.
    """
    spans = [(place, each["number"]) for each in passages if (place := _place(text, each)) is not None]
    bounds = sorted({0, len(text), *(bound for place, _ in spans for bound in place)})
    for first, last in pairwise(bounds):
        covering = tuple(number for (start, end), number in spans if start <= first and last <= end)
        starting = tuple(number for (start, _), number in spans if start == first)
        ending = tuple(number for (_, end), number in spans if end == last)
        yield Segment(text[first:last], covering, starting, ending)


def _place(text: str, passage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return where a passage starts and ends in a text; None where it does not stand in it."""
    if passage["status"] == "failed":
        return None
    start, end = passage.get("start"), passage.get("end")
    if start is None or end is None:
        exact = passage.get("exact", "")
        start = text.find(exact) if exact else -1
        end = start + len(exact)
    return (start, end) if 0 <= start < end <= len(text) else None
