"""JSON Schemas of events: every type of the catalogue as it is posted, and its data.

They follow from the records that events are checked by, with the sentences of their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from domain.catalogue import CATALOGUE
from domain.cloudevent import MAX_ATTRIBUTE
from domain.event_type import EventType
from domain.values import Edtf
from projections.engine.answer_fields import EventType as EventName
from projections.engine.answer_fields import SubjectAddress
from service.commands.cloudevents import MAX_BATCH_EVENTS
from service.schemas.json_schema import Components, Schema, list_of, nullable, object_of, ref, schema_of, subject


class EventAttributes(TypedDict):
    """The context attributes of an event, which are posted and answered alike."""

    specversion: Annotated[Literal["1.0"], Field(description="The version of CloudEvents.")]
    id: Annotated[
        str,
        Field(min_length=1, max_length=MAX_ATTRIBUTE, description="With `source` it names the event once for ever."),
    ]
    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_ATTRIBUTE,
            description="Who states the fact, as a URI reference.",
            json_schema_extra={"format": "uri-reference"},
        ),
    ]
    type: EventName
    subject: SubjectAddress
    time: NotRequired[
        Annotated[str, Field(description="When the source made the event.", json_schema_extra={"format": "date-time"})]
    ]
    occurred: NotRequired[
        Annotated[Edtf, Field(description="When the fact came about in the world, as far as it is known.")]
    ]


@cache
def event_schemas() -> Mapping[str, Schema]:
    """Return the components of events: the data of each type, each type as it is posted, `Event`, any of them, and
    `Batch`, a list of them.
    """
    components: Components = {}
    attributes = schema_of(EventAttributes, components)["properties"]
    for kind in CATALOGUE.values():
        components[data_name(kind)] = schema_of(kind.data, components)
        components[kind.name] = _posted(kind, attributes, components[data_name(kind)])
    names = [kind.name for kind in CATALOGUE.values() if kind.is_posted]
    components["Event"] = {
        "description": "An event as it is posted: a CloudEvent 1.0 of one of the types that the registry knows.",
        "oneOf": [ref(name) for name in names],
        "discriminator": {"propertyName": "type", "mapping": {name: ref(name)["$ref"] for name in names}},
    }
    components["Batch"] = {
        "description": "Events that are recorded as a whole or not at all, in their order.",
        **list_of(ref("Event")),
        "maxItems": MAX_BATCH_EVENTS,
    }
    return components


def data_name(kind: EventType) -> str:
    """Return the name of the component of a type's data. It differs from that of the event by more than case."""
    return f"{kind.data.__name__}Data"


def _posted(kind: EventType, attributes: Mapping[str, Schema], data: Schema) -> Schema:
    about = subject(kind.collection) if kind.collection else subject()
    required = ["specversion", "id", "source", "type", "subject"]
    fields = {
        **attributes,
        "type": {"const": kind.name, "description": attributes["type"]["description"]},
        "subject": {**about, "description": attributes["subject"]["description"]},
        "datacontenttype": {
            "type": ["string", "null"],
            "pattern": "^application/json",
            "description": "The media type of `data`: JSON.",
        },
        **{name: _or_null(attributes[name]) for name in ("time", "occurred")},
        "data": {**ref(data_name(kind)), "description": "What the event states."},
    }
    always = [*required, "data"] if data.get("required") else required
    example = {"examples": [_example(kind)]} if kind.example is not None else {}
    return {**object_of(fields, always, _description(kind)), "additionalProperties": False, **example}


def _example(kind: EventType) -> Mapping[str, Any]:
    """Return the example of a type as it is posted."""
    example = kind.example
    assert example is not None
    return {
        "specversion": "1.0",
        "id": kind.name,
        "source": "https://example.org/harbour",
        "type": kind.name,
        "subject": example.subject,
        **({} if example.occurred is None else {"occurred": example.occurred}),
        "data": example.data,
    }


def _or_null(schema: Schema) -> Schema:
    value = {key: part for key, part in schema.items() if key != "description"}
    return {**nullable(value), "description": schema["description"]}


def _description(kind: EventType) -> str:
    """Return what happens by an event of a type, and where it is posted."""
    return f"{' '.join(kind.description.split())} {_place(kind)}"


def _place(kind: EventType) -> str:
    if not kind.is_posted:
        return f"On a subject in {kind.collection}/; recorded by the registry itself, never posted."
    if kind.name == "event.redacted":
        return "On the subject of that event; takes a key with scope admin."
    if kind.collection is None:
        return "On the subject of that event."
    return f"On a subject in {kind.collection}/{', which it creates' if kind.is_creating else ''}."
