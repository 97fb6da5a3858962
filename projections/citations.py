"""The passages cited from a document: as a list, each checked against the text, with the share that they cover; and by
their places in a part of the text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from domain.corrections import Corrections, Event
from domain.payload import Count
from domain.quotation import flaw_of
from domain.values import Reference
from projections.annotations import Quotation
from projections.documents import NOWHERE, DocumentText, placed
from projections.engine.answer_fields import CitedBy, EventPosition, EventType, Occurred
from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import Page, TimeSlice, check_after
from projections.states import States

PART_CHARACTERS = 12_000
"""Most characters of a part of a text."""
PART_BOUNDS = 100
"""Most points within a part of a text at which a passage starts or ends."""
_CHECKED = 300
"""Places of a part whose passages are checked; any further one is taken as it is, as a false quotation of a stored text
is refused."""
_CHECKED_AT_PLACE = 20
_CHUNK = 200
_MEMBERS = ("start", "end", "exact", "translation", "note", "supports")
_FIRST = (-1, -1, -1, -1, -1)


class SupportedEvent(TypedDict):
    """The event that a passage supports, as corrections leave it."""

    position: EventPosition
    subject: Annotated[Reference, Field(description="The subject that it is about.")]
    type: EventType
    occurred: Occurred


class Citation(Quotation):
    """A passage of a document, and the fact that it supports."""

    event: CitedBy
    fact: Annotated[SupportedEvent, Field(description="The event that it supports.")]


class Coverage(TypedDict):
    """How many characters of the document lie within current passages, over the whole list."""

    characters: Annotated[Count, Field(description="How many characters they cover.")]
    of: Annotated[Count | None, Field(description="Of the document's text; null where it is not stored.")]
    share: Annotated[float | None, Field(description="Which part of the text that is; null where it is not stored.")]


class CitedPlace(NamedTuple):
    """A place in a text, from `start` to before `end`, with the number of `passages` there; one at least quotes it.

    They have consecutive numbers in the list of the document's passages, which begins with 1; `number` is the least.
    """

    start: int
    end: int
    number: int
    passages: int


class CitedPart(NamedTuple):
    """A part of a text of `of` characters, which begins at `start`, and the cited places that it touches, by start."""

    text: str
    start: int
    of: int
    places: list[CitedPlace]


class Citations:
    """The cited passages of documents, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, states: States) -> None:
        self._db = db
        self._index = index
        self._states = states

    def page(
        self,
        subject: str,
        question: TimeSlice,
        *,
        status: str | None,
        limit: int,
        after: Sequence[Any] | None,
        skip: int = 0,
    ) -> Page:
        """Return a page of the current passages of a document by their start, those without a place last.

        The page begins after the key `after`, or else after the first `skip` passages of any status. `extra` has
        `used`, the coverage of the whole document. References have no names yet. Raise NotFound or Gone.
        """
        check_after(after, *[int] * len(_FIRST))
        number = self._states.number(subject, question)
        text = self._states.texts.checked(number, question.as_of)
        ranges = self._ranges(number, question.as_of)
        if text is not None:
            quoted = self._quoted(number, question.as_of, self._states.texts.text(text))
            ranges = sorted([*ranges, *((each.start, each.end) for each in quoted)])
        used = _used(ranges, text)
        if skip:
            after = self._key(number, question.as_of, skip)
        verified = self._states.annotations.verifying(question)
        items: list[Any] = []
        keys: list[Sequence[Any]] = []
        reached: Sequence[Any] = _FIRST if after is None else after
        while len(items) <= limit:
            rows = self._rows(number, question.as_of, reached)
            facts: dict[int, _Supported] = {}
            for row in rows:
                _, _, fact, by, place = row
                if fact not in facts:
                    facts[fact] = _Supported(self._index, fact, question.as_of)
                passage = facts[fact].passages[by, place]
                item = verified(passage)
                if status in (None, item["status"]):
                    items.append({**_shown(passage, item["status"]), "event": by, "fact": facts[fact].shown})
                    keys.append(row)
                if len(items) > limit:
                    break
            if len(rows) < _CHUNK:
                break
            reached = rows[-1]
        is_more = len(items) > limit
        return Page(items[:limit], list(keys[limit - 1]) if is_more else None, {"used": used})

    def count(self, subject: str, question: TimeSlice, *, before: int | None = None) -> int:
        """Return the number of current passages of a document; with `before`, of those that start before that place.

        Raise NotFound or Gone.
        """
        return self._count(self._states.number(subject, question), question.as_of, before)

    def part(self, subject: str, question: TimeSlice, stored: DocumentText, start: int) -> CitedPart:
        """Return the part of a stored text that begins at a place, with every cited place that it touches.

        It has at most `PART_CHARACTERS`, and fewer where many passages start or end. Passages of a text other than the
        registered one have no places. Raise NotFound or Gone.
        """
        document, as_of = self._states.number(subject, question), question.as_of
        text = self._states.texts.text(stored)
        start = min(start, len(text) - 1)
        placed: list[CitedPlace] = []
        quoted: list[CitedPlace] = []
        if self._states.texts.checked(document, as_of) == stored:
            placed = self._places(document, as_of, start, start + PART_CHARACTERS)
            quoted = [each for each in self._quoted(document, as_of, text) if each.end > start]
        end = _end(text, start, [*placed, *quoted])
        is_quoted = self._checking(document, as_of, text)
        placed = [each for each in placed if each.start < end]
        placed = [*filter(is_quoted, placed[:_CHECKED]), *placed[_CHECKED:]]
        places = [*placed, *(each for each in quoted if each.start < end)]
        return CitedPart(text[start:end], start, len(text), _joined(places))

    def _places(self, document: int, as_of: int, start: int, end: int) -> list[CitedPlace]:
        """Return the places that passages name and that touch a part of the text, whether they quote it or not."""
        rows = self._db.execute(
            "SELECT start, stop, total - many + 1, many FROM"
            " (SELECT start, stop, COUNT(*) AS many, SUM(COUNT(*)) OVER (ORDER BY start, stop) AS total FROM citations"
            f" WHERE document = ? AND {AS_OF} AND start < ? GROUP BY start, stop) WHERE stop > ? ORDER BY start, stop",
            (document, as_of, as_of, min(end, NOWHERE), start),
        )
        return [CitedPlace(*row) for row in rows]

    def _checking(self, document: int, as_of: int, text: str) -> Callable[[CitedPlace], bool]:
        """Return a function that says whether one of the first passages of a place quotes the text there."""
        facts: dict[int, _Supported] = {}

        def is_quoted(place: CitedPlace) -> bool:
            rows = self._db.execute(
                f"SELECT fact, event, place FROM citations WHERE document = ? AND {AS_OF} AND start = ? AND stop = ?"
                " ORDER BY fact, event, place LIMIT ?",
                (document, as_of, as_of, place.start, place.end, _CHECKED_AT_PLACE),
            )
            for fact, by, number in rows:
                if fact not in facts:
                    facts[fact] = _Supported(self._index, fact, as_of)
                if flaw_of(facts[fact].passages[by, number], text) is None:
                    return True
            return False

        return is_quoted

    def _count(self, document: int, as_of: int, before: int | None = None) -> int:
        (count,) = self._db.execute(
            f"SELECT COUNT(*) FROM citations WHERE document = ? AND {AS_OF} AND start < ?",
            (document, as_of, as_of, NOWHERE + 1 if before is None else before),
        ).fetchone()
        return int(count)

    def _key(self, document: int, as_of: int, number: int) -> Sequence[int]:
        """Return the key of the passage with this number, from 1 on; beyond the last one, a key after all."""
        row: Sequence[int] | None = self._db.execute(
            f"SELECT start, stop, fact, event, place FROM citations WHERE document = ? AND {AS_OF}"
            " ORDER BY start, stop, fact, event, place LIMIT 1 OFFSET ?",
            (document, as_of, as_of, number - 1),
        ).fetchone()
        return (NOWHERE + 1, 0, 0, 0, 0) if row is None else row

    def _rows(self, document: int, as_of: int, after: Sequence[Any]) -> list[tuple[int, int, int, int, int]]:
        return self._db.execute(
            f"SELECT start, stop, fact, event, place FROM citations WHERE document = ? AND {AS_OF}"
            f" AND (start, stop, fact, event, place) > ({', '.join('?' * len(after))})"
            " ORDER BY start, stop, fact, event, place LIMIT ?",
            (document, as_of, as_of, *after, _CHUNK),
        ).fetchall()

    def _ranges(self, document: int, as_of: int) -> Iterable[tuple[int, int]]:
        """Return start and stop of the passages that name a place, ascending."""
        return self._db.execute(
            f"SELECT start, stop FROM citations WHERE document = ? AND {AS_OF} AND start < {NOWHERE}"
            " ORDER BY start, stop",
            (document, as_of, as_of),
        )

    def _quoted(self, document: int, as_of: int, text: str) -> Iterator[CitedPlace]:
        """Yield the first match in a text of the passages that name no place, only a quotation."""
        rows = self._db.execute(
            f"SELECT fact, event, place FROM citations WHERE document = ? AND {AS_OF} AND start = {NOWHERE}"
            " ORDER BY fact, event, place",
            (document, as_of, as_of),
        ).fetchall()
        numbered = enumerate(rows, self._count(document, as_of, NOWHERE) + 1) if rows else ()
        starts: dict[str, int] = {}
        for fact, of_fact in groupby(numbered, key=lambda each: each[1][0]):
            given = _Supported(self._index, fact, as_of).passages
            for number, (_, by, place) in of_fact:
                exact = given[by, place].get("exact")
                if exact is None:
                    continue
                if exact not in starts:
                    starts[exact] = text.find(exact)
                if starts[exact] >= 0:
                    yield CitedPlace(starts[exact], starts[exact] + len(exact), number, 1)


class _Supported:
    """A supported event as of a position, with its passages."""

    def __init__(self, index: EventIndex, position: int, as_of: int) -> None:
        event = index.event(position)
        assert event is not None
        corrections = index.corrections(event, as_of, "evidence.added")
        self.passages = placed(corrections.supporting_passages(event))
        self.shown = _fact(event, corrections)


def _joined(places: Iterable[CitedPlace]) -> list[CitedPlace]:
    """Return places by start, with one for all passages of consecutive numbers that quote the same place."""
    joined: list[CitedPlace] = []
    for each in sorted(places):
        last = joined[-1] if joined else None
        if last is not None and (*last[:2], last.number + last.passages) == each[:3]:
            joined[-1] = last._replace(passages=last.passages + each.passages)
        else:
            joined.append(each)
    return joined


def part_of(text: str, start: int) -> CitedPart:
    """Return the part of a text that begins at a place, without any cited places."""
    start = min(start, len(text) - 1)
    return CitedPart(text[start : _end(text, start, ())], start, len(text), [])


def _end(text: str, start: int, places: Iterable[CitedPlace]) -> int:
    """Return where a part of a text ends: after a line or a word, unless that makes it less than half as long."""
    end = min(start + PART_CHARACTERS, len(text))
    bounds = sorted({bound for each in places for bound in (each.start, each.end) if start < bound < end})
    if len(bounds) > PART_BOUNDS:
        return bounds[PART_BOUNDS]
    if end == len(text):
        return end
    for between in "\n ":
        if (found := text.rfind(between, start + PART_CHARACTERS // 2, end)) >= 0:
            return found + 1
    return end


def _fact(event: Event, corrections: Corrections) -> SupportedEvent:
    return {
        "position": event.position,
        "subject": Reference(event.subject),
        "type": event.type,
        "occurred": corrections.effective_event(event).occurred,
    }


def _shown(passage: Mapping[str, Any], status: str) -> dict[str, Any]:
    """Return a passage as posted, with its status, without its document: that is the same in the whole list."""
    return {**{name: passage[name] for name in _MEMBERS if name in passage}, "status": status}


def _used(ranges: Iterable[tuple[int, int]], text: DocumentText | None) -> Coverage:
    """Return how many characters some ranges cover, and their share of the text if it is stored."""
    total = None if text is None else text.characters
    characters = reached = 0
    for start, stop in ranges:
        last = stop if total is None else min(stop, total)
        characters += max(0, last - max(start, reached))
        reached = max(reached, last)
    return {"characters": characters, "of": total, "share": None if not total else round(characters / total, 3)}
