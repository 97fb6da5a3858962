"""JSON Schemas of types: of the records that events are checked by, and of the typed dictionaries that answers are.

Nothing here knows an event or an answer by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from domain.values import COLLECTIONS, SLUG, Edtf, LongText, Pointer, Text

Schema = dict[str, Any]
Components = dict[str, Schema]
"""Schemas of the document by name. Others refer to them."""

_AT = "#/components/schemas/"
_NULL: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """Return a reference to a component of the document."""
    return {"$ref": _AT + name}


def subject(*collections: str) -> Schema:
    """Return the schema of a subject of one of the collections; of any collection where none is named."""
    return {"type": "string", "pattern": f"^({'|'.join(collections or COLLECTIONS)})/{SLUG}$"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def one_of(values: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NULL]}


def object_of(fields: Mapping[str, Schema], required: Iterable[str] = (), description: str = "") -> Schema:
    """Return the schema of an object with these fields, of which some are always there."""
    about: Schema = {"description": description} if description else {}
    always = list(dict.fromkeys(required))
    return about | {"type": "object", "properties": dict(fields)} | ({"required": always} if always else {})


def schema_of(type_: Any, components: Components) -> Schema:
    """Return the schema of a type, and add the types inside it to the components, by the names of their classes."""
    schema = _generated(type_)
    for name, inner in schema.get("$defs", {}).items():
        tidied = _tidied(inner, components)
        if components.setdefault(name, tidied) != tidied:
            raise ValueError(f"two types are named {name}")
    tidied_schema: Schema = _tidied(_without(schema, "$defs"), components)
    return tidied_schema


@cache
def _generated(type_: Any) -> Schema:
    """Return the schema that pydantic generates of a type, with the types inside it. It must not be changed."""
    return TypeAdapter(type_).json_schema(ref_template=_AT + "{model}")


def without_null(schema: Schema) -> Schema:
    """Return the schema without null among its alternatives."""
    if "anyOf" not in schema:
        return schema
    alternatives = [each for each in schema["anyOf"] if each != _NULL]
    rest = _without(schema, "anyOf")
    return {**alternatives[0], **rest} if len(alternatives) == 1 else {"anyOf": alternatives, **rest}


@cache
def _shared() -> dict[str, Schema]:
    """Return the components of the values that stand in many types."""
    types: dict[str, Any] = {"Text": Text, "LongText": LongText, "Edtf": Edtf, "Pointer": Pointer}
    return {name: TypeAdapter(type_).json_schema() for name, type_ in types.items()}


def _shared_name(schema: Schema) -> str | None:
    """Return the component that a schema is, apart from its description; None where it is none."""
    bare = _without(schema, "title", "description", "default")
    return next((name for name, shared in _shared().items() if bare == _without(shared, "description")), None)


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: part for key, part in schema.items() if key not in keys}


def _tidied(schema: Any, components: Components) -> Any:
    """Return the schema without the titles that pydantic adds, with references to shared values.

    A field that may be left out but not be null (`X | None = None` in a record) has no null among its alternatives.
    """
    if isinstance(schema, list):
        return [_tidied(each, components) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if (name := _shared_name(schema)) is not None:
        components[name] = _shared()[name]
        own = schema.get("description")
        return ref(name) if own in (None, components[name].get("description")) else ref(name) | {"description": own}
    tidied = {
        key: {field: _tidied(value, components) for field, value in part.items()}
        if key == "properties"
        else _tidied(part, components)
        for key, part in schema.items()
        if key != "title" or not isinstance(part, str)
    }
    if "default" in tidied and tidied["default"] is None:
        del tidied["default"]
        return without_null(tidied)
    return tidied
