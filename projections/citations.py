"""The list of the passages cited from a document, each checked against its text, with the share that they cover."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from domain.corrections import Corrections, Event
from domain.payload import Count
from domain.values import Reference
from projections.annotations import Quotation
from projections.documents import NOWHERE, DocumentText, placed
from projections.engine.answer_fields import CitedBy, EventPosition, EventType, Occurred
from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import Page, TimeSlice, check_after
from projections.states import States

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


class Citations:
    """The cited passages of documents, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, states: States) -> None:
        self._db = db
        self._index = index
        self._states = states

    def page(
        self, subject: str, question: TimeSlice, *, status: str | None, limit: int, after: Sequence[Any] | None
    ) -> Page:
        """Return a page of the current passages of a document by their start, those without a place last.

        `extra` has `used`, the coverage of the whole document. References have no names yet. Raise NotFound or Gone.
        """
        check_after(after, *[int] * len(_FIRST))
        number = self._states.number(subject, question)
        text = self._states.texts.checked(number, question.as_of)
        ranges = self._ranges(number, question.as_of)
        if text is not None:
            ranges = sorted([*ranges, *self._quoted(number, question.as_of, self._states.texts.text(text))])
        used = _used(ranges, text)
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
            if len(rows) < _CHUNK:
                break
            reached = rows[-1]
        is_more = len(items) > limit
        return Page(items[:limit], list(keys[limit - 1]) if is_more else None, {"used": used})

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

    def _quoted(self, document: int, as_of: int, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and stop of the first match in a text of the passages that name no place, only a quotation."""
        rows = self._db.execute(
            f"SELECT fact, event, place FROM citations WHERE document = ? AND {AS_OF} AND start = {NOWHERE}"
            " ORDER BY fact",
            (document, as_of, as_of),
        ).fetchall()
        quoted: dict[str, None] = {}
        for fact, of_fact in groupby(rows, key=itemgetter(0)):
            given = _Supported(self._index, fact, as_of).passages
            exacts = (given[by, place].get("exact") for _, by, place in of_fact)
            quoted |= dict.fromkeys(exact for exact in exacts if exact is not None)
        for exact in quoted:
            if (start := text.find(exact)) >= 0:
                yield start, start + len(exact)


class _Supported:
    """A supported event as of a position, with its passages."""

    def __init__(self, index: EventIndex, position: int, as_of: int) -> None:
        event = index.event(position)
        assert event is not None
        corrections = index.corrections(event, as_of, "evidence.added")
        self.passages = placed(corrections.supporting_passages(event))
        self.shown = _fact(event, corrections)


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
