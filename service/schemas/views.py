"""JSON Schemas and columns of states, of the items of lists, and of pages.

They follow from the aggregates, whose records give the attributes their types and sentences, and from the views, which
declare their lists. No field of a subject or of an item is named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import get_args

from domain.attributes import ORDER, shown_as
from domain.event_type import EventType, TakesEffect
from domain.payload import Record
from projections.annotations import DISPUTED, ItemAnnotations
from projections.catalogue import LIST_VIEWS, SUBJECT_VIEWS
from projections.citations import Coverage
from projections.engine.item_lists import ItemType
from projections.engine.query_types import Certainty
from projections.engine.specification import SubjectView
from projections.parties import OTHER_NAMES
from service.csv_tables import Table, table
from service.schemas.answer_types import StateAnnotations
from service.schemas.answers import ANSWERS
from service.schemas.json_schema import (
    Components,
    Schema,
    list_of,
    nullable,
    object_of,
    one_of,
    ref,
    schema_of,
    subject,
    without_null,
)

_ADDRESS: Schema = {"type": "string", "format": "uri-reference"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_POSITION: Schema = {"type": "integer", "minimum": 1}
_EVENTS = {**list_of(_POSITION), "description": "The positions of the events behind it."}
_BEGINNING = "The first items; where the list is longer, `more` has the address of the whole."
_NO_COLUMNS = frozenset(("more", "proofs"))


def entry_name(collection: str, name: str) -> str:
    """Return the component of the items of a list inside a state."""
    return f"{collection}.{name}"


@cache
def components() -> Mapping[str, Schema]:
    """Return the components of all answers, by name."""
    found: Components = {}
    for name, type_ in ANSWERS.items():
        found[name] = schema_of(type_, found)
    for view in LIST_VIEWS.values():
        if view.item is not None:
            found[view.name] = _item(view.item, found)
    for view in SUBJECT_VIEWS.values():
        found[view.name] = _state(view, found)
        for each in view.lists:
            found[entry_name(view.name, each.name)] = _item(each.item, found)
    return found


def page_of(item: Schema) -> Schema:
    """Return the schema of one page of a list."""
    return object_of(
        {
            "items": list_of(item),
            "next": {**nullable(_ADDRESS), "description": "The address of the next page; null at the end."},
            "position": {**_COUNT, "description": "The position the list is as of."},
        },
        ("items", "next", "position"),
    )


def page_of_citations() -> Schema:
    """Return the schema of one page of the passages of a document."""
    page = page_of(ref("Citation"))
    used = {**schema_of(Coverage, {})}
    return {**page, "properties": {**page["properties"], "used": used}, "required": [*page["required"], "used"]}


@cache
def table_of(name: str, without: frozenset[str] = frozenset()) -> Table:
    """Return the columns of a component, in the order of its fields. Readers go by their names."""
    shape = components()[name]
    shown = {
        field: schema
        for field, schema in shape["properties"].items()
        if field not in _NO_COLUMNS | without and "patternProperties" not in schema
    }
    return table(*(path for field, schema in shown.items() for path in _paths(field, schema)))


def _paths(field: str, schema: Schema) -> Iterator[str]:
    """Yield the columns of a field: one, or of an object with named members one each; a text is marked with `!`."""
    target = without_null(schema).get("$ref", "").rpartition("/")[2]
    members = components()[target].get("properties") if target else None
    if members is not None:
        for name, member in members.items():
            yield from _paths(f"{field}.{name}", member)
    else:
        yield f"{field}!" if target in ("Text", "LongText") else field


def _item(item: ItemType, found: Components) -> Schema:
    """Return the schema of the items of a list: their own fields, their status, and the events behind them."""
    own = schema_of(item.fields, found)
    fields, required = own["properties"], [*own.get("required", ())]
    if item.omits_none:
        required = [name for name in required if fields[name] == without_null(fields[name])]
        fields = {name: without_null(schema) for name, schema in fields.items()}
    for name, schema in fields.items():
        if "description" not in schema and (sentence := _sentence(name, item.records)):
            schema["description"] = sentence
    parts = [_claim(item.statuses), *(schema_of(each, found) for each in (item.span, ItemAnnotations) if each)]
    for part in parts:
        fields = {**fields, **{name: schema for name, schema in part["properties"].items() if name not in fields}}
        required += part.get("required", ())
    return object_of(fields, required, own["description"])


def _sentence(name: str, records: Iterable[type[Record]]) -> str | None:
    """Return the sentence of the field of this name in the first of the records that has one."""
    fields = (record.field(name) for record in records)
    return next((field.description for field in fields if field is not None and field.description), None)


def _claim(statuses: tuple[str, ...]) -> Schema:
    """Return the fields of a status; without statuses, of the certainty of an item."""
    certainty = {**one_of(get_args(Certainty)), "description": "Whether it is so however its dates are read."}
    if not statuses:
        return object_of({"certainty": certainty})
    fields = {
        "status": {**one_of(statuses), "description": "Each imprecise date taken at its earliest."},
        "certainty": certainty,
        "statuses": {
            **list_of(one_of(statuses)),
            "description": "All statuses that may be, where the dates leave that open.",
        },
    }
    return object_of(fields, ("status", "certainty"))


def _state(view: SubjectView, found: Components) -> Schema:
    """Return the schema of the state of a subject: its attributes, its dates, its lists and its status."""
    fields = _fields(view, found)
    lists = {
        each.name: {**list_of(ref(entry_name(view.name, each.name))), "description": _BEGINNING} for each in view.lists
    }
    named = [OTHER_NAMES.name] if OTHER_NAMES in view.lists else []
    for name in named:  # in a state, the names alone
        lists[name] = {**list_of(ref("Text")), "description": _BEGINNING}
    annotations = schema_of(StateAnnotations, found)["properties"]
    claim = _claim(view.aggregate.statuses)
    return object_of(
        {
            "subject": {**subject(view.name), "description": "The subject, as `collection/slug`."},
            **fields,
            **lists,
            **claim["properties"],
            "version": {**_COUNT, "description": "Of the subject's last event; the `ETag` begins with it."},
            "position": {**_POSITION, "description": "Of the subject's last event."},
            "events": {
                **object_of(dict.fromkeys((*fields, "status", *named), _EVENTS)),
                "description": "For each field the positions of the events behind it.",
            },
            **annotations,
            "more": {
                **object_of(dict.fromkeys((*lists, DISPUTED), _ADDRESS)),
                "description": "Where a list was cut short, the address of the whole.",
            },
        },
        ("subject", "version", "position", *claim["required"], *lists, "events"),
        view.aggregate.description,
    )


def _fields(view: SubjectView, found: Components) -> dict[str, Schema]:
    """Return the attributes and dates of a subject, in the order of a state."""
    fields: dict[str, Schema] = {}
    for kind in view.aggregate.events:
        stated = schema_of(kind.data, found)["properties"]
        for name in kind.attributes:
            if shown_as(name) not in fields:
                fields[shown_as(name)] = _attribute(stated[name], is_reference=name in kind.data.REFERENCES)
        if kind.date_field is not None and kind.date_field not in fields:
            fields[kind.date_field] = {**ref("Edtf"), "description": _date_sentence(kind)}
    if view.more_fields is not None:
        fields |= schema_of(view.more_fields, found)["properties"]
    return dict(sorted(fields.items(), key=lambda field: ORDER.get(field[0], len(ORDER))))


def _attribute(stated: Schema, *, is_reference: bool) -> Schema:
    """Return the schema of an attribute from that of the field that states it.

    Lists have no bounds, as they may grow beyond those of one event.
    """
    is_list = stated.get("type") == "array"
    value = ref("Reference") if is_reference else stated["items"] if is_list else stated
    sentence = {"description": stated["description"]} if "description" in stated else {}
    return {**(list_of(value) if is_list else value), **sentence}


def _date_sentence(kind: EventType) -> str:
    if issubclass(kind.data, TakesEffect):
        return f"When `{kind.name}` took effect: its `effective`, else its `occurred`."
    return f"When `{kind.name}` happened: its `occurred`."
