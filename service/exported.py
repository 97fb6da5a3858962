"""Lines of an exported log, on their way into a log: what the registry had added to an event is checked for its shape
and taken off, and positions that events name are given the meaning that they have in the exported log.

It decides nothing: the events are posted ones, for which every rule holds.
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

from domain.cloudevent import Erasure, PostedEvent, parse_exported
from domain.errors import Flaw, Invalid
from domain.positions import names_positions, with_positions
from domain.values import MAX_INTEGER
from projections.fact_store import named_in
from service.commands.cloudevents import Find, parsed
from service.commands.decisions import Aims, Batch
from service.commands.log_entry import SALT_BYTES

ADDED = ("position", "version", "recorded", "actor", "entry")
"""What the registry adds to every event that it answers."""
_WHOLE = ("salt",)
_ERASED = ("redacted", "about")
_RECORDED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_exported(document: object) -> bool:
    """Whether a document is a line of an exported log, or is meant to be one."""
    return isinstance(document, dict) and not document.keys().isdisjoint((*ADDED, *_WHOLE, *_ERASED))


class PositionMap:
    """Where events of one exported log stand in this one: runs of positions that moved by the same distance.

    One thread may ask while another adds.
    """

    def __init__(self) -> None:
        self._pending: dict[int, tuple[str, str]] = {}
        self._first, self._end, self._shift = array("q"), array("q"), array("q")

    def expect(self, exported: int, source: str, id_: str) -> None:
        """The event of this source and id is being decided."""
        self._pending[exported] = (source, id_)

    def decided(self, exported: int, position: int | None) -> None:
        """The event stands at `position`, or (None) was refused; those before it in the exported log were decided."""
        if position is not None:
            self._add(exported, position - exported)
        self._pending.pop(exported, None)  # last: who asks finds it in one of the two

    def get(self, exported: int) -> int | tuple[str, str] | None:
        """Where the event stands, or its source and id while it is being decided; None if it was not taken."""
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
        self._first.append(exported)  # last: who asks looks here first


class Exported(NamedTuple):
    """An exported event that is to be recorded: what of, and where its new position is noted."""

    batch: Batch
    position: int
    positions: PositionMap


class ExportedLines:
    """The lines of exported logs in one import, in order."""

    def __init__(self) -> None:
        self._positions = PositionMap()
        self._last = 0
        self._erased: set[str] = set()
        """Subjects of events whose data was erased."""

    def read(self, document: dict[str, Any], find: Find, actor: str, size: int, *, may_erase: bool) -> Exported:
        """The event of the next line. Raises Invalid, DifferentContent."""
        if flaws := _flaws(document):
            raise Invalid("the line is not one of an exported log", flaws)
        position = document["position"]
        if position <= self._last:  # another exported log begins
            self._positions = PositionMap()
        self._last = position
        posted = _posted(document, find, is_trusted=may_erase)
        aims = self._aims(posted)
        if posted.erasure is not None:
            self._erased.add(posted.subject)
        has_gaps = may_erase and not self._erased.isdisjoint((posted.subject, *named_in(posted.model)))
        self._positions.expect(position, posted.source, posted.id)
        batch = Batch((posted,), actor, size, may_erase=may_erase, is_exported=True, aims=aims, has_gaps=has_gaps)
        return Exported(batch, position, self._positions)

    def _aims(self, posted: PostedEvent) -> Aims:
        """What the positions that an event names mean."""
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
    return parsed(event, find, lambda event: parse_exported(event, erasure, is_trusted=is_trusted))


def _flaws(document: Mapping[str, Any]) -> list[Flaw]:
    """What is wrong with what the registry had added."""
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
    """The digest of the data that a log entry commits to; None where it is no entry."""
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
