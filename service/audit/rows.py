"""An event as it was found, whoever keeps it: a row of the log's table, or a line that `/v1/events` answers. Nothing of
it may be relied on before it was checked, not even the types of its values."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any, NamedTuple

import orjson

_OF_ENTRY = ("time", "occurred", "recorded", "actor")


class Row(NamedTuple):
    """One event. `entry`, `data` and `salt` are bytes; the two last are empty where nothing is kept. All else is what a
    database may hold.

    What the log's table does not keep beside the entry is taken from the entry. `flaw` says what is wrong with the form
    of the row itself: a field, and what about it.
    """

    position: Any
    version: Any
    subject: Any
    type: Any
    source: Any
    id: Any
    time: Any
    occurred: Any
    recorded: Any
    actor: Any
    entry: bytes
    data: bytes
    salt: bytes
    redacted: Any = None
    about: Any = None
    flaw: tuple[str, str] | None = None


_SIMPLE = Row._fields[:10]
_SIMPLE_TYPES = {str, int, type(None)}
_row = tuple.__new__  # a third of what calling the class takes
_ANSWERED = frozenset((*Row._fields, "specversion")) - {"flaw"}


def stored(row: tuple[Any, ...]) -> Row:
    """A row of the log's table (see `Scan.rows`)."""
    position, version, subject, type_, source, id_, entry, data, salt, redacted, about = row
    flaw = None
    if not (type(entry) is type(data) is type(salt) is bytes):
        kept = (("entry", entry), ("data", data), ("salt", salt))
        flaw = next(name for name, value in kept if type(value) is not bytes), "is not stored as bytes"
        entry, data, salt = _bytes(entry), _bytes(data), _bytes(salt)
    try:
        said = orjson.loads(entry).get
        time, occurred, recorded, actor = said("time"), said("occurred"), said("recorded"), said("actor")
    except (ValueError, AttributeError):
        time = occurred = recorded = actor = None
    return _row(
        Row,
        (
            position,
            version,
            subject,
            type_,
            source,
            id_,
            time,
            occurred,
            recorded,
            actor,
            entry,
            data,
            salt,
            redacted,
            about,
            flaw,
        ),
    )


def answered(line: bytes) -> Row:
    """A line of events as they are answered. Raises ValueError where it is no JSON object at all."""
    said = orjson.loads(line)
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    flaw: tuple[str, str] | None = None
    if strange := said.keys() - _ANSWERED:
        flaw = min(strange), "is nothing that an event has"
    if said.get("specversion") != "1.0":
        flaw = "specversion", "is not 1.0"
    entry, salt, data = said.get("entry"), said.get("salt"), b""
    if not isinstance(entry, str):
        flaw = "entry", "is missing, or no text"
        entry = ""
    if salt is not None:
        try:
            salt = b64decode(salt, validate=True)
        except (Base64Error, ValueError, TypeError):
            flaw = "salt", "is not base64"
            salt = b""
    if not {type(said.get(name)) for name in _SIMPLE} <= _SIMPLE_TYPES:
        name = next(name for name in _SIMPLE if type(said.get(name)) not in _SIMPLE_TYPES)
        flaw = name, "is neither a text nor a number"
        said |= {name: str(said[name]) for name in _SIMPLE if type(said.get(name)) not in _SIMPLE_TYPES}
    if "data" in said:
        try:  # the form that was hashed, which need not be the one that came over the wire
            data = orjson.dumps(said["data"], option=orjson.OPT_SORT_KEYS)
        except TypeError:
            flaw = "data", "is nested too deep"
    return Row(
        said.get("position"),
        said.get("version"),
        said.get("subject"),
        said.get("type"),
        said.get("source"),
        said.get("id"),
        said.get("time"),
        said.get("occurred"),
        said.get("recorded"),
        said.get("actor"),
        entry.encode(),
        data,
        salt or b"",
        said.get("redacted"),
        said.get("about"),
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
