"""Posted events as ordinary pydantic models: limits and the obvious implementation validate with them. They are not the
registry's own models, so that a change of those changes no limit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Subject = Annotated[str, Field(pattern="^(parties|agreements|documents|platforms)/[a-z0-9][a-z0-9-]{0,99}$")]
Text = str | dict[str, str]


class Shape(BaseModel):
    """A JSON object without unknown members."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Passage(Shape):
    document: Subject
    start: int
    end: int


class Data(Shape):
    evidence: list[Passage] | None = None


class Signatory(Shape):
    party: Subject
    role: Text | None = None


class Signed(Data):
    title: Text
    kind: str
    parties: Annotated[list[Signatory], Field(min_length=1)]
    scope: list[Text] | None = None
    place: Text | None = None
    summary: Text | None = None


class Registered(Data):
    name: Text
    kind: str


class Document(Data):
    title: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Step(Data):
    party: Subject | None = None


class Made(Data):
    commitment: str
    kind: str
    title: Text
    by: list[Subject]
    due: str


class Updated(Data):
    commitment: str
    status: str


class Envelope(Shape):
    """A CloudEvent in structured mode."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(max_length=1024)]
    source: Annotated[str, Field(max_length=1024)]
    subject: Subject
    occurred: str | None = None


class SignedEvent(Envelope):
    type: Literal["agreement.signed"]
    data: Signed


class RegisteredEvent(Envelope):
    type: Literal["party.registered"]
    data: Registered


class DocumentEvent(Envelope):
    type: Literal["document.registered"]
    data: Document


class StepEvent(Envelope):
    type: Literal["agreement.ratified", "agreement.entered-into-force"]
    data: Step


class MadeEvent(Envelope):
    type: Literal["agreement.commitment-made"]
    data: Made


class UpdatedEvent(Envelope):
    type: Literal["agreement.commitment-updated"]
    data: Updated


class Launched(Data):
    name: Text
    place: Text | None = None


class Joined(Data):
    party: Subject
    category: str | None = None


class LaunchedEvent(Envelope):
    type: Literal["platform.launched"]
    data: Launched


class JoinedEvent(Envelope):
    type: Literal["platform.member-joined"]
    data: Joined


AnyEvent = (
    SignedEvent | RegisteredEvent | DocumentEvent | StepEvent | MadeEvent | UpdatedEvent | LaunchedEvent | JoinedEvent
)
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])
"""Validates any of these events."""
SIGNED: TypeAdapter[list[SignedEvent]] = TypeAdapter(list[SignedEvent])
"""Validates a batch of signed agreements."""
