"""JSON Schemas of what is posted: every event of the catalogue, and the data it carries. They follow from the models
that check the events, never from a second description."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from domain.catalogue import CATALOGUE
from domain.cloudevent import MAX_ATTRIBUTE
from domain.event_type import EventType
from domain.values import COLLECTIONS, SLUG, Edtf, LongText, Pointer, Text

Schema = dict[str, Any]
_AT = "#/components/schemas/"
_SHARED = {
    "Text for people": "Text",
    "Long text for people": "LongText",
    "EDTF date": "Edtf",
    "JSON Pointer": "Pointer",
}
"""Titles of values that stand in many models, and the component that each becomes."""
_SHARED_TYPES: Mapping[str, Any] = {"Text": Text, "LongText": LongText, "Edtf": Edtf, "Pointer": Pointer}
"""The type of each of these components."""


def ref(name: str) -> Schema:
    """A reference to a component of the document."""
    return {"$ref": _AT + name}


@cache
def event_schemas() -> Mapping[str, Schema]:
    """By component name: the data of each type, each type of event as posted, and `Event`, which is any of them."""
    kinds = list(CATALOGUE.values())
    models = sorted({kind.data for kind in kinds}, key=lambda model: model.__name__)
    _, defined = models_json_schema([(model, "validation") for model in models], ref_template=_AT + "{model}")
    shared: dict[str, Schema] = {}
    components = {name: _tidied(schema, shared) for name, schema in defined["$defs"].items()}
    for kind in kinds:
        components[kind.name] = _posted(kind, components[kind.data.__name__])
    names = [kind.name for kind in kinds if kind.is_posted]
    components["Event"] = {
        "description": "An event as it is posted: a CloudEvent 1.0 of one of the types that the registry knows.",
        "oneOf": [ref(name) for name in names],
        "discriminator": {"propertyName": "type", "mapping": {name: _AT + name for name in names}},
    }
    return {**shared, **components}


def attributes() -> dict[str, Schema]:
    """The context attributes of an event, as posted and as answered alike."""
    return {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_ATTRIBUTE,
            "description": "Together with `source` it names the event once for ever.",
        },
        "source": {"type": "string", "format": "uri-reference", "minLength": 1, "maxLength": MAX_ATTRIBUTE},
        "type": {"type": "string", "enum": list(CATALOGUE)},
        "subject": subject(),
        "time": {"type": "string", "format": "date-time", "description": "When the source made the event."},
        "occurred": {**ref("Edtf"), "description": "When the fact came about in the world, as far as it is known."},
    }


def subject(*collections: str) -> Schema:
    """A subject of one of the collections; of any where none is named."""
    return {"type": "string", "pattern": f"^({'|'.join(collections or COLLECTIONS)})/{SLUG}$"}


def _posted(kind: EventType, data: Schema) -> Schema:
    about = subject(kind.collection) if kind.collection else subject()
    required = ["specversion", "id", "source", "type", "subject"]
    return {
        "type": "object",
        "description": _description(kind),
        "properties": {
            **attributes(),
            "type": {"const": kind.name},
            "subject": about,
            "datacontenttype": {"type": ["string", "null"], "pattern": "^application/json"},
            **{name: {"anyOf": [attributes()[name], {"type": "null"}]} for name in ("time", "occurred")},
            "data": ref(kind.data.__name__),
        },
        "required": [*required, "data"] if data.get("required") else required,
        "additionalProperties": False,
    }


def _description(kind: EventType) -> str:
    if not kind.is_posted:
        return f"On a subject in {kind.collection}/; recorded by the registry itself, never posted."
    if kind.name == "event.redacted":
        return "Has the data and salt of another event on the same subject erased; takes a key with scope admin."
    if kind.collection is None:
        return "About another event on the same subject."
    if kind.creates == "never":
        return f"On a subject in {kind.collection}/."
    return f"On a subject in {kind.collection}/, which it brings into being."


def _tidied(schema: Any, shared: dict[str, Schema]) -> Any:
    """The schema without the titles pydantic adds, shared values by reference, and no null where none is taken."""
    if isinstance(schema, list):
        return [_tidied(each, shared) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = _SHARED.get(schema.get("title", "")) if isinstance(schema.get("title"), str) else None
    if name is not None and not _is_nullable(schema):
        shared.setdefault(name, _of_shared(name))
        own = schema.get("description")
        return ref(name) if own in (None, shared[name].get("description")) else {**ref(name), "description": own}
    tidied = {
        key: {field: _tidied(value, shared) for field, value in part.items()}
        if key == "properties"
        else _tidied(part, shared)
        for key, part in schema.items()
        if key != "title" or not isinstance(part, str)
    }
    if "default" in tidied and tidied["default"] is None:
        del tidied["default"]
        # A field that may be left out but not be null (`domain.values.Maybe`) is drawn with null as an alternative.
        alternatives = [each for each in tidied.pop("anyOf", ()) if each != {"type": "null"}]
        if len(alternatives) == 1:
            tidied = {**alternatives[0], **tidied}
        elif alternatives:
            tidied["anyOf"] = alternatives
    return tidied


@cache
def _of_shared(name: str) -> Schema:
    """Return the schema of a shared component, without what one field says of it."""
    schema = TypeAdapter(_SHARED_TYPES[name]).json_schema()
    return {key: value for key, value in schema.items() if key != "title"}


def _is_nullable(schema: Schema) -> bool:
    return "null" in schema.get("type", ())
