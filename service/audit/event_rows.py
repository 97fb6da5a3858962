"""An event as it was found, whoever keeps it: a row of the log's table, or a line that `/v1/events` answers. Nothing of
it may be relied on before it was checked, not even the types of its values."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

BESIDE = ("time", "occurred", "recorded", "actor")


class Row(NamedTuple):
    """One event. `entry`, `data` and `salt` are bytes; the two last are empty where nothing is kept. All else is what a
    database may hold.

    `beside` are time, occurred, recorded and actor as they are told; None where only the entry says them, as in the
    log's table. `flaw` says what is wrong with the form of the row itself: a field, and what about it.
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
    beside: tuple[Any, Any, Any, Any] | None = None
    flaw: tuple[str, str] | None = None

    @property
    def time(self) -> Any:
        """When it happened, as its source says."""
        return self._told(0)

    @property
    def occurred(self) -> Any:
        """When what it tells of happened."""
        return self._told(1)

    @property
    def recorded(self) -> Any:
        """When it was recorded."""
        return self._told(2)

    @property
    def actor(self) -> Any:
        """Who had it recorded."""
        return self._told(3)

    def _told(self, index: int) -> Any:
        if self.beside is not None:
            return self.beside[index]
        try:
            return orjson.loads(self.entry).get(BESIDE[index])
        except (ValueError, AttributeError):
            return None


_SIMPLE = (*Row._fields[:6], *BESIDE)
_SIMPLE_TYPES = {str, int, type(None)}
_row = tuple.__new__  # a third of what calling the class takes
_ANSWERED = frozenset((*Row._fields, *BESIDE, "specversion")) - {"beside", "flaw"}


def stored(rows: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Rows of the log's table (see `Scan.rows`)."""
    return [
        _row(Row, (*row, None, None)) if type(row[6]) is type(row[7]) is type(row[8]) is bytes else _mended(row)
        for row in rows
    ]


def _mended(row: tuple[Any, ...]) -> Row:
    """A row that holds something else than bytes where bytes should be."""
    names = ("entry", "data", "salt")
    name = next(name for name, value in zip(names, row[6:9], strict=True) if type(value) is not bytes)
    kept = [_bytes(value) for value in row[6:9]]
    return Row._make((*row[:6], *kept, *row[9:], None, (name, "is not stored as bytes")))


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
        entry.encode(),
        data,
        salt or b"",
        said.get("redacted"),
        said.get("about"),
        (said.get("time"), said.get("occurred"), said.get("recorded"), said.get("actor")),
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
