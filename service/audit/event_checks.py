"""Checks of one event: its log entry, the fields beside the entry, and its data, by the bytes of this event alone.

`order` checks the place of an event among the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.cloudevent import MAX_ATTRIBUTE, canonical, checked
from domain.edtf import parse_edtf
from domain.values import is_subject
from service.audit.event_rows import Row
from service.audit.report import Check, Finding
from service.commands.log_entry import SALT_BYTES, upcast

_KINDS = {name: (f"{kind.collection}/" if kind.collection else "", kind.shape) for name, kind in CATALOGUE.items()}
"""The beginning of the subject of each type, and the version of the shape of its data."""
_RECORDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OPTIONAL = ("occurred", "time")
_COMPARED = (
    "actor",
    "id",
    "occurred",
    "position",
    "recorded",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
    "v",
    "version",
)
"""The fields of an entry except `data_sha256`, in the order of RFC 8785."""
_FIELDS = frozenset((*_COMPARED, "data_sha256"))


class Entries:
    """Checks events one by one, and counts them."""

    def __init__(self, entries: Check, data: Check) -> None:
        """Findings go to these two checks."""
        self._entries = entries
        self._data = data
        self.with_data = self.erased = 0
        """The number of events with data and without data."""

    def count(self, events: int, erased: int) -> None:
        """Count events that pass; `erased` of them have no data."""
        self.with_data += events - erased
        self.erased += erased

    def take(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Check the next events and return those that pass."""
        passing = []
        for row in rows:
            found = flaws(row)
            for finding in found:
                (self._data if finding.field in ("data", "salt") else self._entries).find(finding)
            if not found:
                passing.append(row)
        self.count(len(rows), sum(not row.data for row in rows))
        return passing


def flaws(row: Row) -> list[Finding]:
    """Return the findings of one event. An earlier version of the shape of its type is no finding."""
    return [] if passes(row) else compared(row)


def passes(row: Row) -> bool:
    """Return whether the entry is the one that the other fields make. If so, `compared` finds nothing.

    This fast path saves a third of an audit without views. An event without data, or of an earlier shape, may pass all
    the same.
    """
    position, version, subject, type_, source, id_, entry, data, salt, _, _, time, occurred, recorded, actor, flaw = row
    kind = _KINDS.get(type_)
    if kind is None or flaw is not None or not data or len(salt) != SALT_BYTES:
        return False
    beginning, shape = kind
    fields = {"actor": actor, "data_sha256": sha256(salt + data).hexdigest(), "id": id_}
    if occurred is not None:
        fields["occurred"] = occurred
    fields["position"] = position
    fields["recorded"] = recorded
    fields["source"] = source
    fields["specversion"] = "1.0"
    fields["subject"] = subject
    if time is not None:
        fields["time"] = time
    fields["type"] = type_
    fields["v"] = shape
    fields["version"] = version
    try:
        return (
            orjson.dumps(fields) == entry
            and type(position) is type(version) is int
            and position > 0 < version
            and _flaw("id", id_) is None
            and _is_instant(recorded)
            and _has_form("source", source)
            and _has_form("subject", subject)
            and _has_form("actor", actor)
            and (occurred is None or _has_form("occurred", occurred))
            and (time is None or _has_form("time", time))
            and subject.startswith(beginning)
        )
    except TypeError:  # a value that JSON or a cache cannot hold
        return False


@lru_cache(maxsize=50_000)
def _has_form(name: str, value: Any) -> bool:
    """Return whether an attribute has its form. Most values come again."""
    return _flaw(name, value) is None


def compared(row: Row) -> list[Finding]:
    """Return the findings of one event, by each of its fields."""
    named: list[Finding] = []

    def find(says: str, field: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        named.append(Finding(says, row.position, subject, field, expected, found))

    if row.flaw is not None:
        find(row.flaw[1], row.flaw[0])
    try:
        entry = orjson.loads(row.entry)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        find("is not a JSON object", "entry", found=row.entry)
        return named
    beginning, shape = _KINDS.get(row.type, ("", 0)) if isinstance(row.type, str) else ("", 0)
    if not shape:
        find("is not a type that this version of the registry knows", "type", found=row.type)
    v = entry.get("v")
    is_earlier = type(v) is int and 0 < v < shape
    beside = {name: getattr(row, name) for name in _COMPARED if name not in ("specversion", "v")}
    beside |= {"specversion": "1.0", "v": v if is_earlier or not shape else shape}
    for name in _COMPARED:
        expected, found = entry.get(name), beside[name]
        if expected != found or type(expected) is not type(found):
            find("differs from the entry", name, expected, found)
        elif name in entry or name not in _OPTIONAL:
            flaw = _flaw(name, found)
            if flaw is not None:
                find(flaw, name, found=found)
    if isinstance(row.subject, str) and not row.subject.startswith(beginning):
        find(f"is not in {beginning}, as a subject of {row.type} is", "subject", found=row.subject)
    if extra := sorted(entry.keys() - _FIELDS):
        find("is not a field of an entry", extra[0], found=entry[extra[0]])
    if orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) != row.entry:
        find("is not in RFC 8785 form", "entry", found=row.entry)
    committed, digest = entry.get("data_sha256"), sha256(row.salt + row.data).hexdigest()
    if not isinstance(committed, str) or not _DIGEST.fullmatch(committed):
        find("is not an SHA-256", "data_sha256", found=committed)
    elif row.data and digest != committed:
        find("is not what the entry commits to (SHA-256 of salt and data)", "data", committed, digest)
    elif len(row.salt) != (SALT_BYTES if row.data else 0):
        says = f"has {len(row.salt)} bytes instead of {SALT_BYTES}" if row.data else "is stored, and the data is not"
        find(says, "salt")
    return named


def invalid(row: Row) -> Finding | None:
    """Return what is wrong with the data of an event by the rules for its type, or None.

    The entry must commit to the data: `flaws` finds nothing in the event.
    """
    try:
        data = orjson.loads(row.data)
    except ValueError:
        return Finding("is not JSON", row.position, row.subject, "data")
    if canonical(data) != row.data:
        return Finding("is not in RFC 8785 form", row.position, row.subject, "data")
    shape = orjson.loads(row.entry)["v"]
    _, wrong = checked(CATALOGUE[row.type], orjson.loads(upcast(row.type, shape, row.data)), is_posted=False)
    if wrong:
        return Finding(wrong[0].detail, row.position, row.subject, f"/data{wrong[0].pointer}")
    return None


def _flaw(name: str, value: Any) -> str | None:
    """Return what is wrong with the form of an attribute, or None."""
    if name in ("position", "v", "version"):
        return None if type(value) is int and value > 0 else "is not a positive number"
    if not isinstance(value, str):
        return "is not a text"
    match name:
        case "id" | "source" if not 0 < len(value.encode()) <= MAX_ATTRIBUTE:
            return f"does not have 1 to {MAX_ATTRIBUTE} bytes"
        case "subject" if not is_subject(value):
            return "is not a subject"
        case "recorded" if not _is_instant(value):
            return "is not an instant such as 2026-01-31T09:30:00.123456Z"
        case "time" if not _TIME.fullmatch(value):
            return "is not an RFC 3339 timestamp"
        case "occurred":
            try:
                parse_edtf(value)
            except ValueError as error:
                return f"is not an EDTF date: {error}"
    return None


def _is_instant(text: str) -> bool:
    """Return whether a text is an instant in the form of `recorded`."""
    if not _RECORDED.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
