"""Import of exported lines: removes the fields that a registry added to an event, and maps positions in its data.

The added fields are checked for their form. A position in the data of an exported event is one of the exported log, and
is mapped to the position of the same event here. The events are posted events, so every rule applies to them.
"""

from __future__ import annotations

import re
from array import array
from base64 import b64decode
from binascii import Error as Base64Error
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from domain.catalogue import CATALOGUE
from domain.cloudevent import Erasure, PostedEvent, parse_exported
from domain.errors import Flaw, Invalid
from domain.payload import subjects_in
from domain.positions import names_positions, with_positions
from domain.values import MAX_INTEGER
from service.commands.cloudevents import Find, parsed
from service.commands.decisions import Batch, Targets
from service.commands.log_entry import SALT_BYTES

ADDED = ("position", "version", "recorded", "actor", "entry")
"""Fields that the registry adds to every event it returns."""
_WHOLE = ("salt",)
_ERASED = ("redacted", "about")
_RECORDED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_exported(document: object) -> bool:
    """Return whether a document is a line of an exported log, or is meant to be one."""
    return isinstance(document, dict) and not document.keys().isdisjoint((*ADDED, *_WHOLE, *_ERASED))


class PositionMap:
    """Positions of the events of one exported log in this log, as runs that moved by the same distance.

    One thread may read while another adds.
    """

    def __init__(self) -> None:
        self._pending: dict[int, tuple[str, str]] = {}
        self._first, self._end, self._shift = array("q"), array("q"), array("q")

    def expect(self, exported: int, source: str, id_: str) -> None:
        """Note that the event of this source and id is being decided."""
        self._pending[exported] = (source, id_)

    def decided(self, exported: int, position: int | None) -> None:
        """Note that an event was recorded at `position`, or refused (None). The events before it are decided."""
        if position is not None:
            self._add(exported, position - exported)
        self._pending.pop(exported, None)  # last: a reader finds the event in one of the two

    def get(self, exported: int) -> int | tuple[str, str] | None:
        """Return an event's position, or its source and id while it is being decided; None if it was not recorded."""
        if (name := self._pending.get(exported)) is not None:
            return name
        run = bisect_right(self._first, exported) - 1
        return exported + self._shift[run] if run >= 0 and exported < self._end[run] else None

    def _add(self, exported: int, shift: int) -> None:
        if self._end and self._end[-1] == exported and self._shift[-1] == shift:
            self._end[-1] += 1
            return
        self._shift.append(shift)
        self._end.append(exported + 1)
        self._first.append(exported)  # last: a reader looks here first


class Exported(NamedTuple):
    """An exported event to be recorded, its old position, and the map for its new one."""

    batch: Batch
    position: int
    positions: PositionMap


class ExportedLines:
    """Reads the lines of exported logs in one import, in order."""

    def __init__(self) -> None:
        self._positions = PositionMap()
        self._last = 0
        self._erased: set[str] = set()
        """Subjects of events whose data was erased."""

    def read(self, document: dict[str, Any], find: Find, actor: str, size: int, *, may_erase: bool) -> Exported:
        """Return the event of the next line. Raises Invalid, DifferentContent."""
        if flaws := _flaws(document):
            raise Invalid("this is not a line of an exported log", flaws)
        position = document["position"]
        if position <= self._last:  # another exported log begins
            self._positions = PositionMap()
        self._last = position
        posted = _posted(document, find, is_trusted=may_erase)
        targets = self._targets(posted)
        if posted.erasure is not None:
            self._erased.add(posted.subject)
        has_gaps = may_erase and not self._erased.isdisjoint((posted.subject, *subjects_in(posted.model)))
        self._positions.expect(position, posted.source, posted.id)
        batch = Batch((posted,), actor, size, may_erase=may_erase, is_exported=True, targets=targets, has_gaps=has_gaps)
        return Exported(batch, position, self._positions)

    def _targets(self, posted: PostedEvent) -> Targets:
        """Return the position here of each position in the data of an event."""
        named: list[int] = []
        if posted.erasure is not None:
            named = [] if posted.erasure.about is None else [posted.erasure.about]
        elif names_positions(posted.type):

            def note(position: int) -> int:
                named.append(position)
                return position

            with_positions(orjson.loads(posted.data), note)
        return {at: self._positions.get(at) for at in named}


def _posted(document: dict[str, Any], find: Find, *, is_trusted: bool) -> PostedEvent:
    event = {name: value for name, value in document.items() if name not in (*ADDED, *_WHOLE, *_ERASED)}
    erasure = None
    if "redacted" in document:
        erasure = Erasure(_digest(document["entry"]) or "", document.get("about"))
    else:
        event["data"] = _current_data(document)
    return parsed(event, find, lambda event: parse_exported(event, erasure, is_trusted=is_trusted))


def _current_data(document: Mapping[str, Any]) -> Any:
    """Return the data of a line in today's shape of its type, or as it is if its shape is not known."""
    type_, data, shape = document.get("type"), document["data"], orjson.loads(document["entry"]).get("v")
    kind = CATALOGUE.get(type_) if isinstance(type_, str) else None
    if kind is None or not isinstance(data, dict) or type(shape) is not int or shape < 1:
        return data
    return kind.upcast(data, shape)


def _flaws(document: Mapping[str, Any]) -> list[Flaw]:
    """Return the faults of the fields that the registry had added."""
    is_erased = "redacted" in document
    required = (*ADDED, *(() if is_erased else _WHOLE))
    flaws = [Flaw(f"/{name}", "is required in a line of an exported log") for name in required if name not in document]
    if is_erased and "data" in document:
        flaws.append(Flaw("/data", "was erased, as /redacted says"))
    for name in ("position", "version", *_ERASED):
        value = document.get(name, 1)
        if type(value) is not int or not 0 < value <= MAX_INTEGER:
            flaws.append(Flaw(f"/{name}", f"is a whole number from 1 to {MAX_INTEGER}"))
    texts = ("recorded", "actor", "entry", "salt")
    flaws += [Flaw(f"/{name}", "is a string") for name in texts if not isinstance(document.get(name, ""), str)]
    if flaws:
        return flaws
    if not _RECORDED.fullmatch(document["recorded"]):
        flaws.append(Flaw("/recorded", "is an instant as the registry writes it"))
    if _digest(document["entry"]) is None:
        flaws.append(Flaw("/entry", "is a log entry"))
    if not is_erased and not _is_salt(document["salt"]):
        flaws.append(Flaw("/salt", f"is {SALT_BYTES} bytes in base64"))
    return flaws


def _digest(entry: str) -> str | None:
    """Return the digest of the data in a log entry; None if the text is not a log entry."""
    try:
        digest = orjson.loads(entry)["data_sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None


def _is_salt(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == SALT_BYTES
    except (Base64Error, ValueError):
        return False
