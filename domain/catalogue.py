"""The catalogue: the closed table of every event type that can be recorded, and the events that are about events.

A type that is not in the catalogue is refused, and nothing is imported by a name found in a store.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema, model_validator

from domain.agreement import AGREEMENT
from domain.document import DOCUMENT
from domain.edtf import parse_edtf
from domain.event_type import EventType, Example
from domain.lab import LAB
from domain.party import PARTY
from domain.payload import Data, Passages, Position, Record, flawed
from domain.platform import PLATFORM
from domain.values import Edtf, Json, Pointer, Text


class EvidenceAdded(Data):
    """Further passages support an event."""

    event: Position = Field(description="The position of the event.")
    evidence: Annotated[Passages, Field(min_length=1)] = Field(description="The passages that support it.")


class EventCorrected(Data):
    """An event was recorded with wrong data or a wrong date: these are right."""

    NULLABLE = frozenset(("occurred",))

    event: Position = Field(description="The position of the corrected event.")
    reason: Text = Field(description="Why it is corrected.")
    data: dict[str, Json] | None = Field(None, description="The right data, all of it.")
    data_patch: dict[str, Json] | None = Field(
        None,
        description="What changes in the data, as a merge patch (RFC 7386): the right fields, and null for fields to"
        " leave out.",
    )
    occurred: Annotated[Edtf | None, WithJsonSchema({"type": ["string", "null"]})] = Field(
        None, description="The right date; null where it is not known."
    )

    @model_validator(mode="after")
    def _corrects(self) -> EventCorrected:
        if self.data is None and self.data_patch is None and "occurred" not in self.model_fields_set:
            raise flawed("", "a correction gives data or data_patch, occurred or both")
        if self.data is not None and self.data_patch is not None:
            raise flawed("/data_patch", "does not go with data, which replaces all of it")
        return self


class EventRetracted(Data):
    """An event should not have been recorded: it did not happen."""

    event: Position = Field(description="The position of the retracted event.")
    reason: Text = Field(description="Why it is retracted.")


class Claim(Record):
    """What another source says of a part of an event."""

    NULLABLE = frozenset(("value",))

    pointer: Pointer = Field(description="The part of the event: `/occurred` or a place in `/data`.")
    value: Json = Field(description="The value that the other source gives for it.")

    @model_validator(mode="after")
    def _within(self) -> Claim:
        if self.pointer != "/occurred" and not self.pointer.startswith("/data/"):
            raise flawed("/pointer", "a claim points to /occurred or into /data/")
        if self.pointer == "/occurred" and self.value is not None:
            if not isinstance(self.value, str):
                raise flawed("/value", "a claimed date is a string or null")
            try:
                parse_edtf(self.value)
            except ValueError as error:
                raise flawed("/value", f"a claimed date is an EDTF date or null: {error}") from None
        return self


class EventDisputed(Data):
    """Another source says otherwise."""

    event: Position = Field(description="The position of the disputed event.")
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=100)] = Field(
        description="What the other source says."
    )
    evidence: Annotated[Passages, Field(min_length=1)] = Field(description="The passages in which it says so.")


class EventRedacted(Data):
    """The data of an event is erased for good."""

    event: Position = Field(description="The position of the event.")
    reason: Text = Field(description="Why its data is erased.")


AGGREGATES = (PARTY, AGREEMENT, LAB, PLATFORM, DOCUMENT)

_ABOUT_EVENTS = (
    EventType(
        name="evidence.added",
        data=EvidenceAdded,
        collection=None,
        rank=37,
        example=Example(
            "agreements/harbour-treaty",
            {
                "event": 12,
                "evidence": [
                    {"document": "documents/harbour-notice", "exact": "the two states signed the Harbour Treaty"}
                ],
            },
        ),
    ),
    EventType(
        name="event.corrected",
        data=EventCorrected,
        collection=None,
        rank=38,
        example=Example(
            "agreements/harbour-treaty", {"event": 12, "reason": "The notice says 2 March.", "occurred": "2020-03-02"}
        ),
    ),
    EventType(
        name="event.retracted",
        data=EventRetracted,
        collection=None,
        rank=39,
        example=Example("platforms/clean-ports", {"event": 31, "reason": "It was another platform."}),
    ),
    EventType(
        name="event.disputed",
        data=EventDisputed,
        collection=None,
        rank=40,
        example=Example(
            "agreements/harbour-treaty",
            {
                "event": 11,
                "claims": [{"pointer": "/occurred", "value": "2020-02-03"}],
                "evidence": [
                    {"document": "documents/harbour-notice", "exact": "the two states signed the Harbour Treaty"}
                ],
            },
        ),
    ),
    EventType(
        name="event.redacted",
        data=EventRedacted,
        collection=None,
        rank=41,
        example=Example("parties/north-harbour", {"event": 7, "reason": "A court ordered it."}),
    ),
)


def closed(*tables: tuple[EventType, ...]) -> dict[str, EventType]:
    """Return event types by name, in the order of their ranks.

    Raise ValueError if a name or a rank occurs twice. Ranks may have gaps.
    """
    kinds = sorted((kind for table in tables for kind in table), key=lambda kind: kind.rank)
    if len({kind.rank for kind in kinds}) < len(kinds):
        raise ValueError("two event types have the same rank")
    by_name = {kind.name: kind for kind in kinds}
    if len(by_name) < len(kinds):
        raise ValueError("two event types have the same name")
    return by_name


CATALOGUE = closed(*(aggregate.events for aggregate in AGGREGATES), _ABOUT_EVENTS)
