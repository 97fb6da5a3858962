"""Forms made from the JSON Schemas of payloads: their fields to fill in, and the data of what was filled in.

The names of the fields are paths: `data.parties.0.party`. `~zh` after a path holds the same text in Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter

from domain.values import COLLECTIONS, Edtf

BLANKS = 2
"""So many empty fieldsets follow those that are filled in."""
CHINESE = "~zh"
PREFIX = "data."
OCCURRED = "occurred"
"""The field of a correction that is a date or null, which its schema writes as types alone."""
_MOST_ITEMS = 100
_NUMBER = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_TEXT_TYPES = ["string", "object"]
_DATE_EXAMPLES = TypeAdapter(Edtf).json_schema()["examples"]
"""The examples mark a date: the title and the description in the schema of a field are its own."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form.

    `label` and `help` are texts of the interface, which the template translates.
    `kind`: text (in two languages), line, lines, subject, subjects, choice, number, date, json, group (`parts` in one
    fieldset) or groups (a fieldset for each of `rows`).
    """

    name: str
    label: str
    kind: str
    help: str = ""
    is_required: bool = False
    choices: tuple[str, ...] = ()
    collection: str = ""
    value: str = ""
    other: str = ""
    parts: list[Field] = field(default_factory=list)
    rows: list[list[Field]] = field(default_factory=list)
    error: str = ""


def fields_of(
    schema: Mapping[str, Any], data: Mapping[str, Any], errors: Mapping[str, str], *, skip: Sequence[str] = ()
) -> list[Field]:
    """Return the fields of an object's schema with the values of `data`, and `errors` by JSON pointer into it."""
    return _parts(schema, schema.get("$defs", {}), data, errors, PREFIX, skip)


def flattened(fields: Iterable[Field]) -> Iterator[Field]:
    """Yield fields, each followed by those inside it."""
    for each in fields:
        yield each
        for parts in (each.parts, *each.rows):
            yield from flattened(parts)


def _parts(
    schema: Mapping[str, Any],
    shared: Mapping[str, Any],
    data: Mapping[str, Any],
    errors: Mapping[str, str],
    at: str,
    skip: Sequence[str] = (),
) -> list[Field]:
    required = schema.get("required", ())
    return [
        _field(f"{at}{name}", name, each, shared, data.get(name), errors, is_required=name in required)
        for name, each in schema.get("properties", {}).items()
        if name not in skip
    ]


def _field(
    path: str,
    name: str,
    schema: Mapping[str, Any],
    shared: Mapping[str, Any],
    value: Any,
    errors: Mapping[str, str],
    *,
    is_required: bool,
) -> Field:
    inner = _resolved(schema, shared)
    kind = "date" if name == OCCURRED else _kind(inner, shared)
    made = {
        "name": path,
        "label": name.replace("_", " "),
        "kind": kind,
        "help": schema.get("description") or inner.get("description", ""),
        "is_required": is_required,
        "choices": tuple(inner.get("enum", ())),
        "collection": _collection(inner),
        "error": errors.get("/" + path.replace(".", "/"), ""),
    }
    match kind:
        case "group":
            return Field(**made, parts=_parts(inner, shared, value or {}, errors, f"{path}."))
        case "groups":
            items = _resolved(inner["items"], shared)
            given = [*(value or ()), *({} for _ in range(BLANKS))]
            rows = [_parts(items, shared, each, errors, f"{path}.{index}.") for index, each in enumerate(given)]
            return Field(**made, rows=rows)
        case "text":
            own, other = _two_languages(value)
            return Field(**made, value=own, other=other)
        case "lines" | "subjects":
            return Field(**made, value="\n".join(_line(each) for each in value or ()))
        case "json":
            return Field(**made, value="" if value is None else orjson.dumps(value).decode())
    return Field(**made, value="" if value is None else str(value))


def data_of(schema: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the data that was filled in for an object's schema; fields that are empty are absent."""
    return _object(schema, schema.get("$defs", {}), form, PREFIX)


def _object(schema: Mapping[str, Any], shared: Mapping[str, Any], form: Mapping[str, str], at: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in schema.get("properties", {}).items():
        value = _value(f"{at}{name}", each, shared, form)
        if value not in (None, [], {}):
            found[name] = value
        elif name in schema.get("required", ()) and _takes_null(each):
            found[name] = None
    return found


def _value(path: str, schema: Mapping[str, Any], shared: Mapping[str, Any], form: Mapping[str, str]) -> Any:
    inner = _resolved(schema, shared)
    given = form.get(path, "").strip()
    match _kind(inner, shared):
        case "group":
            return _object(inner, shared, form, f"{path}.")
        case "groups":
            items = _resolved(inner["items"], shared)
            rows = (_object(items, shared, form, f"{path}.{index}.") for index in range(_MOST_ITEMS))
            return [row for row in rows if any(each is not None for each in row.values())]
        case "text":
            other = form.get(path + CHINESE, "").strip()
            if not other:
                return _text(given) if given else None
            return {**({"en": given} if given else {}), "zh": other}
        case "lines" | "subjects":
            return [_text(line.strip()) for line in given.splitlines() if line.strip()]
        case "number":
            return int(given) if _NUMBER.fullmatch(given) else given or None
        case "json":
            return _json(given) if given else None
    return given or None


def _text(given: str) -> Any:
    """Return a text for people: a string, or the language map that it is written as."""
    return _json(given) if given.startswith("{") else given


def _json(text: str) -> Any:
    """Return the JSON value of a text; a text that is no JSON, or too deep to be written again, stands for itself."""
    try:
        value = orjson.loads(text)
        orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return text
    return value


def _takes_null(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema takes null by itself, as one for any value does."""
    return "null" in schema.get("type", ()) or not schema.keys() - {"title", "description"}


def _resolved(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema without references and without null beside it."""
    while True:
        if "$ref" in schema:
            schema = shared[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
        else:
            return schema


def _kind(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    if [each.get("type") for each in schema.get("oneOf", ())] == _TEXT_TYPES:
        return "text"
    if schema.get("examples") == _DATE_EXAMPLES:
        return "date"
    if "enum" in schema:
        return "choice"
    types = schema.get("type", ())
    match types if isinstance(types, str) else next((each for each in types if each != "null"), ""):
        case "integer":
            return "number"
        case "array":
            items = _kind(_resolved(schema["items"], shared), shared)
            return {"group": "groups", "subject": "subjects"}.get(items, "lines")
        case "object":
            return "group" if "properties" in schema else "json"
        case "string":
            return "subject" if _collection(schema) else "line"
    return "json"


def _collection(schema: Mapping[str, Any]) -> str:
    """Return the collection of the subjects that a schema takes; empty for what is no reference."""
    items = schema.get("items", schema)
    head = items.get("pattern", "").removeprefix("^").partition("/[")[0]
    return head if head in COLLECTIONS else ""


def _two_languages(value: Any) -> tuple[str, str]:
    """Return a text in English and in Chinese; a map with other languages is written as JSON."""
    if not isinstance(value, Mapping):
        return str(value or ""), ""
    if "zh" not in value or set(value) - {"en", "zh"}:
        return _line(value), ""
    return value.get("en", ""), value["zh"]


def _line(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
