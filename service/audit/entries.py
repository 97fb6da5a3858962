"""Whether each event is what its log entry says, and its data what the entry commits to. One event at a time, by its
own bytes alone; its place among the others is for `order`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from domain.events import CATALOGUE
from domain.posting import MAX_ATTRIBUTE
from domain.times import parse_edtf
from domain.values import is_subject
from service.audit.report import Check, Finding
from service.audit.rows import Row
from service.entries import SALT_BYTES

_KINDS = {name: (kind.collection, kind.shape) for name, kind in CATALOGUE.items()}
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
"""What an entry says beside `data_sha256`, in the order of RFC 8785."""
_SHORT = MAX_ATTRIBUTE // 4
"""Characters that never take more bytes than an attribute may have."""
_REMEMBERED = 50_000


class Entries:
    """Checks the form of each entry, that it agrees with what is kept or answered beside it, and what it commits to."""

    def __init__(self, entries: Check, data: Check) -> None:
        """What does not fit goes to these two checks."""
        self._entries = entries
        self._data = data
        self._collections: dict[str, str] = {}  # of subjects that have their form
        self._days: set[str] = set()  # `occurred` that has its form
        self._last: tuple[Any, Any, Any] = (None, None, None)  # that have their form: source, actor, recorded
        self.whole = self.erased = 0
        """Events whose data was compared with the entry, and those that have none any more."""

    def take(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Check the next events; those that fit."""
        dumps, digest, kinds = orjson.dumps, sha256, _KINDS
        collections, days, last = self._collections, self._days, self._last
        unfit: set[int] = set()
        erased = 0
        for index, row in enumerate(rows):
            (position, version, subject, type_, source, id_, time, occurred, recorded, actor, entry, data, salt) = row[
                :13
            ]
            try:
                collection, shape = kinds[type_]
                said = {"actor": actor, "data_sha256": digest(salt + data).hexdigest() if data else _digest(entry)}
                said["id"] = id_
                if occurred is not None:
                    said["occurred"] = occurred
                said["position"] = position
                said["recorded"] = recorded
                said["source"] = source
                said["specversion"] = "1.0"
                said["subject"] = subject
                if time is not None:
                    said["time"] = time
                said["type"] = type_
                said["v"] = shape
                said["version"] = version
                # One comparison for all: the fields and no others, their values, their order and form, and the data.
                fits = dumps(said) == entry
                # Most of what follows is said again and again.
                if (source, actor, recorded) != last:
                    last = self._last = (
                        _formed("source", source),
                        _formed("actor", actor),
                        _formed("recorded", recorded),
                    )
                if occurred is not None and occurred not in days:
                    self._learn_day(occurred)
                if (found := collections.get(subject)) is None:
                    found = self._learn_subject(subject)
                if time is not None:
                    _formed("time", time)
                if not 0 < len(id_) <= _SHORT:
                    _formed("id", id_)
                if data:
                    fits = fits and len(salt) == SALT_BYTES
                else:
                    fits = fits and not salt
                    erased += 1
                fits = fits and row[15] is None and (found == collection or not collection)
            except (KeyError, TypeError, ValueError):
                fits = False
            if not fits and self._explain(row):
                unfit.add(index)
        self.erased += erased
        self.whole += len(rows) - erased
        return [row for index, row in enumerate(rows) if index not in unfit] if unfit else rows

    def _learn_day(self, occurred: Any) -> None:
        if len(self._days) >= _REMEMBERED:
            self._days.clear()
        self._days.add(_formed("occurred", occurred))

    def _learn_subject(self, subject: Any) -> str:
        if len(self._collections) >= _REMEMBERED:
            self._collections.clear()
        collection: str = _formed("subject", subject).partition("/")[0]
        self._collections[subject] = collection
        return collection

    def _explain(self, row: Row) -> bool:
        """Name what does not fit of an event that is not as most are; whether anything does not."""
        findings = _flaws(row)
        for finding in findings:
            (self._data if finding.field in ("data", "salt") else self._entries).find(finding)
        return bool(findings)


def _digest(entry: bytes) -> str:
    """What an entry commits to, where the data is gone and cannot tell. Raises ValueError, KeyError, TypeError."""
    found = orjson.loads(entry)["data_sha256"]
    if not _DIGEST.fullmatch(found):
        raise ValueError("it is no SHA-256")
    return str(found)


def _flaws(row: Row) -> list[Finding]:
    """What does not fit of an event. None does where only the version of its type's shape is an earlier one."""
    flaws: list[Finding] = []

    def find(says: str, field: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        flaws.append(Finding(says, row.position, subject, field, expected, found))

    if row.flaw is not None:
        find(row.flaw[1], row.flaw[0])
    try:
        said = orjson.loads(row.entry)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        find("is no JSON object", "entry", found=row.entry)
        return flaws
    collection, shape = _KINDS.get(row.type, (None, 0)) if isinstance(row.type, str) else (None, 0)
    if not shape:
        find("is no type that this version of the registry knows", "type", found=row.type)
    v = said.get("v")
    is_earlier = type(v) is int and 0 < v < shape
    told = row._asdict() | {"specversion": "1.0", "v": v if is_earlier or not shape else shape}
    for name in _COMPARED:
        if said.get(name) != told[name] or type(said.get(name)) is not type(told[name]):
            find("is not what the entry says", name, said.get(name), told[name])
        elif name in said or name not in _OPTIONAL:
            flaw = _flaw(name, told[name])
            if flaw is not None:
                find(flaw, name, found=told[name])
    if collection is not None and isinstance(row.subject, str) and not row.subject.startswith(f"{collection}/"):
        find(f"is not in {collection}/, as a subject of {row.type} is", "subject", found=row.subject)
    if extra := sorted(set(said) - {*_COMPARED, "data_sha256"}):
        find("is in the entry and should not be", extra[0], found=said[extra[0]])
    if orjson.dumps(said, option=orjson.OPT_SORT_KEYS) != row.entry:
        find("is not in RFC 8785 form", "entry", found=row.entry)
    committed, digest = said.get("data_sha256"), sha256(row.salt + row.data).hexdigest()
    if not isinstance(committed, str) or not _DIGEST.fullmatch(committed):
        find("is no SHA-256", "data_sha256", found=committed)
    elif row.data and digest != committed:
        find("is not what the entry commits to (SHA-256 of salt and data)", "data", committed, digest)
    elif len(row.salt) != (SALT_BYTES if row.data else 0):
        says = f"has {len(row.salt)} bytes instead of {SALT_BYTES}" if row.data else "is kept, and the data is not"
        find(says, "salt")
    if not flaws and not is_earlier:
        find("is not the one that the event has", "entry", found=row.entry)
    return flaws


def _formed(name: str, value: Any) -> Any:
    """An attribute that has its form. Raises ValueError for another."""
    if (flaw := _flaw(name, value)) is not None:
        raise ValueError(flaw)
    return value


def _flaw(name: str, value: Any) -> str | None:
    """What is wrong with the form of an attribute."""
    if name in ("position", "v", "version"):
        return None if type(value) is int and value > 0 else "is no positive number"
    if not isinstance(value, str):
        return "is no text"
    match name:
        case "id" | "source" if not 0 < len(value.encode()) <= MAX_ATTRIBUTE:
            return f"has not 1 to {MAX_ATTRIBUTE} bytes"
        case "subject" if not is_subject(value):
            return "is no subject"
        case "recorded" if not (_RECORDED.fullmatch(value) and _is_instant(value)):
            return "is no instant such as 2026-01-31T09:30:00.123456Z"
        case "time" if not _TIME.fullmatch(value):
            return "is no RFC 3339 timestamp"
        case "occurred":
            try:
                parse_edtf(value)
            except ValueError as error:
                return f"is no EDTF date: {error}"
    return None


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
