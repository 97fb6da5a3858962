"""Whether each event is what its log entry says, and its data what the entry commits to. One event at a time, by its
own bytes alone; its place among the others is for `order`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from itertools import repeat
from operator import eq
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.cloudevent import MAX_ATTRIBUTE, canonical, checked
from domain.edtf import parse_edtf
from domain.values import is_subject
from service.audit.columns import Columns, columns_of
from service.audit.event_rows import Row
from service.audit.report import Check, Finding
from service.commands.log_entry import SALT_BYTES

_KINDS = {name: (kind.collection, kind.shape) for name, kind in CATALOGUE.items()}
_PREFIXES = {name: f"{collection}/" for name, (collection, _) in _KINDS.items() if collection}
_RECORDED = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)+", re.ASCII)
"""One after the other; no part of one, and no two of them, are an instant."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COMMITTED = re.compile(r'"data_sha256":"([0-9a-f]{64})"', re.ASCII)
_OCCURRED, _TIMED, _QUOTE = ',"occurred":"', ',"time":"', '"'
_OPTIONAL = ("occurred", "time")
_FORMED = ("source", "actor", "subject", *_OPTIONAL)
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
        self._forms = Forms()
        self.whole = self.erased = 0
        """Events whose data was compared with the entry, and those that have none any more."""

    def count(self, events: int, erased: int) -> None:
        """Take in so many events that fit, of which some have lost their data."""
        self.whole += events - erased
        self.erased += erased

    def take(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Check the next events; those that fit."""
        columns, unfit = columns_of(rows), set()
        suspects = range(len(rows)) if columns is None else self._forms.suspects(columns)
        for index in sorted(suspects):
            for finding in flaws(rows[index]):
                unfit.add(index)
                (self._data if finding.field in ("data", "salt") else self._entries).find(finding)
        self.count(len(rows), sum(not row.data for row in rows))
        return [row for index, row in enumerate(rows) if index not in unfit]


class Forms:
    """Tells events that are plainly as they should be from others. Remembers what was said before and has its form."""

    def __init__(self) -> None:
        self._formed: dict[str, set[str | None]] = {name: {None} for name in _OPTIONAL}

    def suspects(self, columns: Columns) -> Collection[int]:
        """The events that are not plainly as they should be; it may be that nothing is wrong with them."""
        try:
            return self._suspects(columns)
        except TypeError:  # a text that cannot be written as JSON
            return range(len(columns.entry))

    def _suspects(self, columns: Columns) -> set[int]:
        said = _written(columns)
        suspects = _untrue(map(eq, said, columns.text)) if said != columns.text else set()
        for name in _FORMED:
            column: Sequence[str | None] = getattr(columns, name)
            if unformed := self._unformed(name, column):
                suspects |= _untrue(value not in unformed for value in column)
        if not _are_instants(columns.recorded):
            suspects |= _untrue(_are_instants((value,)) for value in columns.recorded)
        for numbers in (columns.position, columns.version):
            if min(numbers) <= 0:
                suspects |= _untrue(number > 0 for number in numbers)
        lengths = [*map(len, columns.id)]
        if not 0 < min(lengths) <= max(lengths) <= _SHORT:
            suspects |= _untrue(0 < length <= _SHORT for length in lengths)
        begun = [*map(str.startswith, columns.subject, map(_PREFIXES.get, columns.type, repeat("")))]
        if not all(begun):
            suspects |= _untrue(begun)
        lengths = [*map(len, columns.salt)]
        if b"" in columns.data or {*lengths} != {SALT_BYTES}:
            due = [SALT_BYTES if data else 0 for data in columns.data]
            suspects |= _untrue(map(eq, lengths, due))
        return suspects

    def _unformed(self, name: str, column: Sequence[str | None]) -> set[str | None]:
        """What in a column has not the form of an attribute. Most of it was said before."""
        known = self._formed.setdefault(name, set())
        new = set(column) - known
        unformed = {value for value in new if _flaw(name, value) is not None}
        if len(known) >= _REMEMBERED:
            known.clear()
            known.update({None} if name in _OPTIONAL else ())
        known.update(new - unformed)
        return unformed


def _untrue(found: Iterable[bool]) -> set[int]:
    """Where something is not so."""
    return {index for index, is_so in enumerate(found) if not is_so}


def _written(columns: Columns) -> list[str]:
    """What the entries of events should be, by all that is known beside them: the fields and no others, their values,
    their order and form, and the data. Anything where there is no data, and the entry no digest that tells of it."""
    ids: Sequence[str] = columns.id
    joined = "".join(ids)
    if '"' in joined or "\\" in joined or not joined.isprintable():
        ids = [_quoted(id_) for id_ in ids]
    sources = {source: _quoted(source) for source in set(columns.source)}
    actors = {actor: _quoted(actor) for actor in set(columns.actor)}
    shapes = {name: _KINDS[name][1] if name in _KINDS else 0 for name in set(columns.type)}
    digests = [
        sha256(salt + data).hexdigest() if data else _committed(text)
        for salt, data, text in zip(columns.salt, columns.data, columns.text, strict=True)
    ]
    return [
        f'{{"actor":"{actors[actor]}","data_sha256":"{digest}","id":"{id_}"'
        f'{"" if occurred is None else _OCCURRED + occurred + _QUOTE},"position":{position},"recorded":"{recorded}"'
        f',"source":"{sources[source]}","specversion":"1.0","subject":"{subject}"'
        f'{"" if time is None else _TIMED + time + _QUOTE},"type":"{name}","v":{shapes[name]},"version":{version}}}'
        for actor, digest, id_, occurred, position, recorded, source, subject, time, name, version in zip(
            columns.actor,
            digests,
            ids,
            columns.occurred,
            columns.position,
            columns.recorded,
            columns.source,
            columns.subject,
            columns.time,
            columns.type,
            columns.version,
            strict=True,
        )
    ]


def _quoted(text: str) -> str:
    """A text as it stands between quotes in JSON."""
    return orjson.dumps(text)[1:-1].decode()


def _committed(text: str) -> str:
    """What an entry commits to, where the data is gone and cannot tell; nothing where that is no SHA-256."""
    found = _COMMITTED.search(text)
    return found[1] if found is not None else ""


def flaws(row: Row) -> list[Finding]:
    """What does not fit of an event. None does where only the version of its type's shape is an earlier one."""
    named: list[Finding] = []

    def find(says: str, field: str, expected: Any = None, found: Any = None) -> None:
        subject = row.subject if isinstance(row.subject, str) else None
        named.append(Finding(says, row.position, subject, field, expected, found))

    if row.flaw is not None:
        find(row.flaw[1], row.flaw[0])
    try:
        said = orjson.loads(row.entry)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        find("is no JSON object", "entry", found=row.entry)
        return named
    collection, shape = _KINDS.get(row.type, (None, 0)) if isinstance(row.type, str) else (None, 0)
    if not shape:
        find("is no type that this version of the registry knows", "type", found=row.type)
    v = said.get("v")
    is_earlier = type(v) is int and 0 < v < shape
    told = {name: getattr(row, name) for name in _COMPARED if name not in ("specversion", "v")}
    told |= {"specversion": "1.0", "v": v if is_earlier or not shape else shape}
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
    return named


def invalid(row: Row) -> Finding | None:
    """What is wrong with the data of an event, where it is as it was recorded and the entry commits to it."""
    try:
        said = orjson.loads(row.data)
    except ValueError:
        return Finding("is no JSON", row.position, row.subject, "data")
    if canonical(said) != row.data:
        return Finding("is not in RFC 8785 form", row.position, row.subject, "data")
    _, wrong = checked(CATALOGUE[row.type], said, is_posted=False)
    if wrong:
        return Finding(wrong[0].detail, row.position, row.subject, f"/data{wrong[0].pointer}")
    return None


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
        case "recorded" if not _are_instants((value,)):
            return "is no instant such as 2026-01-31T09:30:00.123456Z"
        case "time" if not _TIME.fullmatch(value):
            return "is no RFC 3339 timestamp"
        case "occurred":
            try:
                parse_edtf(value)
            except ValueError as error:
                return f"is no EDTF date: {error}"
    return None


def _are_instants(texts: Collection[Any]) -> bool:
    """Whether all of these are instants in the form in which they are recorded."""
    with suppress(ValueError):
        return _RECORDED.fullmatch("".join(texts)) is not None and all(map(datetime.fromisoformat, texts))
    return False
