"""Unchecked events: rows of the log's table, or lines of the answer of `/v1/events`.

No value may be relied on before it is checked, not even its type.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

BESIDE = ("time", "occurred", "recorded", "actor")


class Row(NamedTuple):
    """One event. `entry`, `data` and `salt` are bytes; data and salt are empty if nothing is stored. Any other field
    has any type that a database or JSON can hold.

    `time`, `occurred`, `recorded` and `actor` come from the answer, or from the entry, as the log's table has no such
    columns. `flaw` is a fault in the form of the row itself: a field, and the fault.
    """

    position: Any
    version: Any
    subject: Any
    type: Any
    source: Any
    id: Any
    entry: bytes
    data: bytes
    salt: bytes
    redacted: Any = None
    about: Any = None
    time: Any = None
    occurred: Any = None
    recorded: Any = None
    actor: Any = None
    flaw: tuple[str, str] | None = None


_SIMPLE = (*Row._fields[:6], *BESIDE)
_SIMPLE_TYPES = {str, int, type(None)}
_row = tuple.__new__  # takes a third of the time of calling the class
_ANSWERED = frozenset((*Row._fields, "specversion")) - {"flaw"}


def stored(rows: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Return rows of the log's table (see `Scan.rows`) as events."""
    return [
        _row(Row, row + _beside(row[6])) if type(row[6]) is type(row[7]) is type(row[8]) is bytes else _with_bytes(row)
        for row in rows
    ]


def _beside(entry: bytes, flaw: tuple[str, str] | None = None) -> tuple[Any, ...]:
    """Return time, occurred, recorded and actor of an entry, and the flaw: the end of a row."""
    try:
        fields = orjson.loads(entry)
        return fields.get("time"), fields.get("occurred"), fields.get("recorded"), fields.get("actor"), flaw
    except (ValueError, AttributeError):
        return None, None, None, None, flaw


def _with_bytes(row: tuple[Any, ...]) -> Row:
    """Return the event of a row that has a value of another type where bytes should be."""
    names = ("entry", "data", "salt")
    name = next(name for name, value in zip(names, row[6:9], strict=True) if type(value) is not bytes)
    contents = [_bytes(value) for value in row[6:9]]
    return Row._make((*row[:6], *contents, *row[9:], *_beside(contents[0], (name, "is not stored as bytes"))))


def answered(line: bytes) -> Row:
    """Return the event of a line of `/v1/events`. Raises ValueError if the line is not a JSON object."""
    fields = orjson.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    flaw: tuple[str, str] | None = None
    if strange := fields.keys() - _ANSWERED:
        flaw = min(strange), "is nothing that an event has"
    if fields.get("specversion") != "1.0":
        flaw = "specversion", "is not 1.0"
    entry, salt, data = fields.get("entry"), fields.get("salt"), b""
    if not isinstance(entry, str):
        flaw = "entry", "is missing, or no text"
        entry = ""
    if salt is not None:
        try:
            salt = b64decode(salt, validate=True)
        except (Base64Error, ValueError, TypeError):
            flaw = "salt", "is not base64"
            salt = b""
    if not {type(fields.get(name)) for name in _SIMPLE} <= _SIMPLE_TYPES:
        name = next(name for name in _SIMPLE if type(fields.get(name)) not in _SIMPLE_TYPES)
        flaw = name, "is neither a text nor a number"
        fields |= {name: str(fields[name]) for name in _SIMPLE if type(fields.get(name)) not in _SIMPLE_TYPES}
    if "data" in fields:
        try:  # the form that was hashed; the answer may use another one
            data = orjson.dumps(fields["data"], option=orjson.OPT_SORT_KEYS)
        except TypeError:
            flaw = "data", "is nested too deep"
    return Row(
        fields.get("position"),
        fields.get("version"),
        fields.get("subject"),
        fields.get("type"),
        fields.get("source"),
        fields.get("id"),
        entry.encode(),
        data,
        salt or b"",
        fields.get("redacted"),
        fields.get("about"),
        fields.get("time"),
        fields.get("occurred"),
        fields.get("recorded"),
        fields.get("actor"),
        flaw,
    )


def _bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "surrogateescape")
        case _:
            return str(value).encode()
