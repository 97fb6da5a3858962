"""Fields that several answers have, each with its sentence."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from domain.catalogue import CATALOGUE
from domain.payload import Count, Position
from domain.values import Edtf, Instant, Subject, Text
from projections.engine.query_types import Certainty

EventPosition = Annotated[Position, Field(description="The position of the event in the log, from 1 on.")]
EventVersion = Annotated[Position, Field(description="The version of the subject after the event, from 1 on.")]
EventType = Annotated[
    str,
    Field(description="The type of the event."),
    WithJsonSchema({"type": "string", "enum": list(CATALOGUE)}),
]
EventId = Annotated[str, Field(description="The `id` that the source gave the event.")]
EventSource = Annotated[str, Field(description="The `source` of the event, a URI reference.")]
Recorded = Annotated[Instant, Field(description="When the event was recorded, in UTC.")]
Occurred = Annotated[Edtf | None, Field(description="When it happened, as far as it is known; else null.")]
CitedBy = Annotated[Position, Field(description="The position of the event that cites it.")]
Positions = Annotated[list[Position], Field(description="The positions of the events behind it.")]
AsOf = Annotated[Count, Field(description="The position that the answer is as of.")]

SubjectAddress = Annotated[Subject, Field(description="The subject, as `collection/slug`.")]
SubjectName = Annotated[Text | None, Field(description="Its name or title; null where none is known.")]
Status = Annotated[str, Field(description="Its status, each imprecise date taken at its earliest.")]
Statuses = Annotated[list[str], Field(description="All statuses that may be, where the dates leave that open.")]
IsCertain = Annotated[Certainty, Field(description="Whether it is so however its dates are read.")]
