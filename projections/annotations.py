"""Annotations of answers: the disputes of the facts that they show, and the evidence for these facts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired

import orjson
from pydantic import Field, StringConstraints, WithJsonSchema
from typing_extensions import TypedDict

from domain.edtf import day_text
from domain.payload import Count, Position
from domain.quotation import Status, selected, status_of
from domain.values import Address, Pointer, Reference, Text
from projections.catalogue import SUBJECT_VIEWS
from projections.documents import DocumentText, DocumentTexts
from projections.engine.answer_fields import CitedBy, Positions
from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import Page, TimeSlice, check_after
from projections.engine.references import References
from projections.engine.time_limit import Limit

DISPUTED = "disputed"
"""The list of disputes inside a state."""
LIST_PATHS = {"owns": "owned"}
"""Lists inside a state whose address ends in another word than their name."""
_IN_ITEM = 10
"""The most disputes shown with an item."""
_FIRST: Place = (0, -1)
_CURRENT = f"event <= ? AND {AS_OF}"
"""In SQL, that a claim was current as of a position, which is bound three times."""
_WITH_EVENTS = frozenset(("steps", *(each.name for view in SUBJECT_VIEWS.values() for each in view.lists))) - {
    "other_names"
}
"""The lists whose items name their source events."""

Digits = Annotated[str, StringConstraints(pattern="^[0-9]+$")]
"""A position as the name of a field."""


class Disputed(TypedDict):
    """Another source says otherwise: the event at `position` claims `value` for a part of `event`."""

    pointer: Annotated[Pointer, Field(description="The part of the event, as a JSON Pointer.")]
    value: Annotated[Any, Field(description="The value that the other source gives for it.")]
    position: Annotated[Position, Field(description="The position of the `event.disputed`.")]
    event: Annotated[Position, Field(description="The position of the disputed event.")]


class Quotation(TypedDict):
    """A passage of a document: its place, its words, and what it supports."""

    start: NotRequired[Annotated[Count, Field(description="The code point at which it starts, from 0 on.")]]
    end: NotRequired[Annotated[Count, Field(description="The code point before which it ends.")]]
    exact: NotRequired[
        Annotated[str, Field(description="Its words: as posted, or from the stored text where it is not too long.")]
    ]
    prefix: NotRequired[Annotated[str, Field(description="The words before it in the stored text.")]]
    suffix: NotRequired[Annotated[str, Field(description="The words after it in the stored text.")]]
    translation: NotRequired[Annotated[Text, Field(description="A translation of its words.")]]
    note: NotRequired[Annotated[Text, Field(description="A note on the passage.")]]
    supports: NotRequired[
        Annotated[list[Pointer], Field(description="The parts of the event that it supports; absent: all of it.")]
    ]
    status: Annotated[
        str,
        Field(description="Whether the stored text of the document has it; `unverified` if no text is stored."),
        WithJsonSchema({"type": "string", "enum": [status.value for status in Status]}),
    ]


class Passage(Quotation):
    """A passage of a document that supports an event."""

    document: Annotated[Reference, Field(description="The document.")]
    event: NotRequired[CitedBy]


class MoreDisputes(TypedDict):
    """Where the disputes of an item are cut short, the address of all of them."""

    disputed: NotRequired[Annotated[Address, Field(description="The address of the disputes.")]]


Disputes = Annotated[list[Disputed], Field(description="What other sources say, where there is a current dispute.")]
MoreOfItem = Annotated[MoreDisputes, Field(description="Where the disputes are cut short, the address of all.")]
EvidenceByEvent = Annotated[
    dict[Digits, list[Passage]],
    Field(
        description="With `evidence=full`: the cited passages, by the position of the event they support.",
        json_schema_extra={"additionalProperties": False},
    ),
]


NotesByEvent = Annotated[
    dict[Digits, Text],
    Field(
        description="With `evidence=full`: the notes of the events behind it, by their positions.",
        json_schema_extra={"additionalProperties": False},
    ),
]


class ItemAnnotations(TypedDict):
    """The fields of every item of a list: the events behind it, their disputes and the evidence for them."""

    events: Positions
    disputed: NotRequired[Disputes]
    more: NotRequired[MoreOfItem]
    evidence: NotRequired[EvidenceByEvent]
    notes: NotRequired[NotesByEvent]


Place = tuple[int, int]
"""The place of a claim in the order of all: the position of its dispute, and its index among the claims there."""
Dispute = tuple[int, int, int, bytes]
"""The place of a claim, the position of the disputed event, and the claim."""


class Annotations:
    """Disputes and evidence, on one connection."""

    def __init__(
        self, db: sqlite3.Connection, index: EventIndex, references: References, texts: DocumentTexts, limit: Limit
    ) -> None:
        self._db = db
        self._index = index
        self._references = references
        self._texts = texts
        self._limit = limit

    def disputes_of(
        self, numbers: Iterable[int], question: TimeSlice, limit: int, after: Place = _FIRST
    ) -> list[Dispute]:
        """Return at most `limit` + 1 current disputes of merged subjects, after a place in the order of the log."""
        found: list[Dispute] = []
        for number in numbers:
            rows = self._db.execute(
                "SELECT event, place, about, claim FROM disputes INDEXED BY disputes_of_subject"
                f" WHERE subject = ? AND {_CURRENT} AND (event, place) > (?, ?) ORDER BY event, place LIMIT ?",
                (number, *_as_of(question), *after, limit + 1),
            )
            found += self._limit.each(rows)
        return sorted(found)[: limit + 1]

    def disputes_about(self, positions: Iterable[int], question: TimeSlice, after: Place, limit: int) -> list[Dispute]:
        """Return at most `limit` + 1 current disputes of the events at some positions, after a place."""
        found: list[Dispute] = self._db.execute(
            "SELECT d.event, d.place, d.about, d.claim FROM json_each(?) j CROSS JOIN disputes d ON d.id IN"
            f" (SELECT x.id FROM disputes x INDEXED BY disputes_about WHERE x.about = j.value AND {_CURRENT}"
            " AND (event, place) > (?, ?) ORDER BY event, place LIMIT ?) ORDER BY d.event, d.place LIMIT ?",
            (_json(positions), *_as_of(question), *after, limit + 1, limit + 1),
        ).fetchall()
        return found

    def page(
        self,
        numbers: Sequence[int],
        question: TimeSlice,
        limit: int,
        after: Sequence[Any] | None,
        events: Sequence[int],
    ) -> Page:
        """Return a page of the current disputes of merged subjects; of these `events` alone, where any are given."""
        check_after(after, int, int)
        place = _FIRST if after is None else (after[0], after[1])
        if events:
            own = self._index.events(events)
            theirs = [position for position in own if self._index.find(own[position].subject) in numbers]
            rows = self.disputes_about(theirs, question, place, limit)
        else:
            rows = self.disputes_of(numbers, question, limit, after=place)
        return Page(shown(rows[:limit]), list(rows[limit - 1][:2]) if len(rows) > limit else None)

    def show_disputes(self, items: Iterable[dict[str, Any]], question: TimeSlice) -> None:
        """Add current disputes to items by their source events, and where there are many, the address of all."""
        provenance: dict[int, list[dict[str, Any]]] = {}
        for item in items:
            for position in item["events"]:
                provenance.setdefault(position, []).append(item)
        rows = self._db.execute(
            "SELECT d.subject, d.event, d.place, d.about, d.claim FROM json_each(?) j CROSS JOIN disputes d ON d.id IN"
            f" (SELECT x.id FROM disputes x INDEXED BY disputes_about WHERE x.about = j.value AND {_CURRENT}"
            " ORDER BY event, place LIMIT ?) ORDER BY d.event, d.place",
            (_json(provenance), *_as_of(question), _IN_ITEM + 1),
        )
        for subject, *row in self._limit.each(rows):
            for item in provenance[row[2]]:
                disputed = item.setdefault("disputed", [])
                if len(disputed) < _IN_ITEM:
                    disputed += shown([row])
                elif "more" not in item:
                    survivor = self._index.name(self._index.survivor(subject, question.as_of))
                    item["more"] = {"disputed": address(survivor, "disputed", question, item["events"])}

    def cite(self, items: Iterable[dict[str, Any]], question: TimeSlice) -> None:
        """Add to items the passages that support their events and the notes of these, both by position."""
        verified = self.verifying(question)
        for item in items:
            cited: dict[str, list[Passage]] = {}
            notes: dict[str, Any] = {}
            for position in sorted(_positions(item)):
                event = self._index.event(position)
                if event is None:
                    continue
                corrections = self._index.corrections(event, question.as_of, "evidence.added")
                if (note := corrections.effective_event(event).data.get("note")) is not None:
                    notes[str(position)] = note
                if passages := corrections.passages(event):
                    cited[str(position)] = [{**verified(passage), "event": by} for by, passage in passages]
            item["evidence"] = cited
            if notes:
                item["notes"] = notes
            self._references.name_others([cited], question)

    def verifying(self, question: TimeSlice) -> Callable[[Mapping[str, Any]], Passage]:
        """Return a function that adds to a passage its `status`, and makes a reference of its document."""
        texts: dict[str, DocumentText | None] = {}

        def verified(passage: Mapping[str, Any]) -> Passage:
            document = passage["document"]
            if document not in texts:
                number = self._index.find(document)
                texts[document] = None if number is None else self._texts.checked(number, question.as_of)
            stored = texts[document]
            text = None if stored is None else self._texts.text(stored)
            cited: Any = {**passage, "document": Reference(document), "status": status_of(passage, text)}
            if text is not None and cited["status"] == Status.VERIFIED:
                cited |= selected(passage, text)
            return cited  # type: ignore[no-any-return]

        return verified


def shown(rows: Iterable[Sequence[Any]]) -> list[Disputed]:
    """Return disputes as answered."""
    claims = ((event, about, orjson.loads(claim)) for event, _, about, claim in rows)
    return [
        {"pointer": claim["pointer"], "value": claim["value"], "position": event, "event": about}
        for event, about, claim in claims
    ]


def address(subject: str, name: str, question: TimeSlice, events: Iterable[int] = ()) -> str:
    """Return the address of the whole of a list inside a state; for disputes perhaps only those of some events."""
    on = "any" if question.on is None else day_text(question.on)
    of = ",".join(map(str, events))
    return f"/v1/{subject}/{LIST_PATHS.get(name, name)}?as_of={question.as_of}&on={on}" + (f"&event={of}" if of else "")


def _as_of(question: TimeSlice) -> tuple[int, ...]:
    """Return the values for `_CURRENT`."""
    return (question.as_of,) * 3


def _json(numbers: Iterable[int]) -> str:
    return orjson.dumps(list(numbers)).decode()


def _positions(item: Mapping[str, Any]) -> set[int]:
    """Return the positions of the source events of a state or an item, and of the items of its lists."""
    events = item["events"]
    found = {
        position for positions in (events.values() if type(events) is dict else [events]) for position in positions
    }
    for name in _WITH_EVENTS & item.keys():
        for each in item[name]:
            found |= _positions(each)
    return found
