"""Stored views compared with those that the audit folded. Where they differ it tells which line does, and on which
event that line rests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice, zip_longest
from typing import Any

import orjson

from domain.posting import pointer
from projections.digests import VIEWS, written
from service.audit.folded import FoldedReader
from service.audit.report import Check, Finding, Verdict
from service.audit.source import StoredViews, Unreadable

_AHEAD = 64
"""Lines that are looked ahead to tell one that is missing or too many from one that was changed."""
_RESTS_ON = ("position", "borne_by", "event")
_SAYS = "is not what the log says"

Line = dict[str, Any]


class Comparing:
    """Compares all views as of one position."""

    def __init__(self, check: Check, folded: FoldedReader, stored: StoredViews, as_of: int) -> None:
        """What does not fit goes to the check."""
        self._check = check
        self._folded = folded
        self._stored = stored
        self._as_of = as_of
        self.digests: dict[str, str] = {}
        """The digest of each view, of what the audit folded."""

    def run(self) -> None:
        """Compare them. Raises CannotAudit."""
        different = [view for view in VIEWS if not self._agree(view)]
        if different and (reason := self._stored.is_passing()) is not None:
            self._check.ended(reason, Verdict.NOT_CHECKED)
            return
        for view in different:
            try:
                self._check.find(self._first_difference(view))
            except Unreadable as error:
                self._check.find(Finding(str(error), field=f"view {view}"))
        said = f"all {len(VIEWS)}" if not different else f"{len(different)} of {len(VIEWS)} differ"
        self._check.ended(f"{said} views folded anew, as of position {self._as_of}")

    def _agree(self, view: str) -> bool:
        """Whether a view is the same; by its lines where they are to be had, else by its digest."""
        digest, same = sha256(), True
        try:
            theirs = self._stored.lines(view, self._as_of)
            if theirs is None:
                self.digests[view] = self._folded.digest(view, self._as_of)
                return self._stored.digests(self._as_of, (view,)).get(view) == self.digests[view]
            for ours, line in zip_longest(self._folded.lines(view, self._as_of), theirs):
                if ours is not None:
                    digest.update(ours)
                if ours != line:
                    same = False
        except Unreadable:
            return False
        self.digests[view] = written(digest.digest())
        return same

    def _first_difference(self, view: str) -> Finding:
        theirs = self._stored.lines(view, self._as_of)
        if theirs is None and not self._stored.any_position:
            found = self._stored.digests(self._as_of, (view,)).get(view)
            return Finding(_SAYS, None, None, f"view {view}", self.digests[view], found)
        if theirs is None:
            position = self._first_position(view)
            expected = self._folded.digest(view, position)
            found = self._stored.digests(position, (view,)).get(view)
            return Finding(f"{_SAYS}, from here on", position, self._subject(position), f"view {view}", expected, found)
        ours = self._folded.lines(view, self._as_of)
        while True:
            mine, line = next(ours, None), next(theirs, None)
            if mine != line or mine is None:
                break
        return self._told(view, _ahead(mine, ours), _ahead(line, theirs))

    def _told(self, view: str, ours: list[bytes], theirs: list[bytes]) -> Finding:
        """What is different where the next lines are these."""
        if not theirs or (ours and theirs[0] in ours[1:]):
            return self._placed(view, _said(ours[0]), "is not there", None, ours[0], None)
        if not ours or ours[0] in theirs[1:]:
            return self._placed(view, _said(theirs[0]), "is not in the log", None, None, theirs[0])
        mine, line = _said(ours[0]), _said(theirs[0])
        if mine is None or line is None:
            return self._placed(view, mine, _SAYS, None, ours[0], theirs[0])
        at, expected, found = first_difference(mine, line)
        return self._placed(view, mine, _SAYS, at, expected, found)

    def _placed(self, view: str, line: Line | None, says: str, at: str | None, expected: Any, found: Any) -> Finding:
        rests_on = [line[name] for name in _RESTS_ON if line is not None and type(line.get(name)) is int]
        position = rests_on[0] if rests_on else self._first_position(view)
        subject = None if line is None else line.get("subject", line.get("in"))
        field = f"view {view}" + (f", {at}" if at else "")
        return Finding(says, position, subject or self._subject(position), field, expected, found)

    def _first_position(self, view: str) -> int:
        """The first position as of which a view is different: a row that was changed is known from its event on."""
        low, high = 0, self._as_of
        while high - low > 1:
            middle = (low + high) // 2
            stored = self._stored.digests(middle, (view,)).get(view)
            low, high = (middle, high) if stored == self._folded.digest(view, middle) else (low, middle)
        return high

    def _subject(self, position: int) -> str | None:
        return self._folded.event(position).get("subject")


def first_difference(one: Any, other: Any, at: str = "") -> tuple[str, Any, Any]:
    """A pointer to where two JSON values first differ, and what each has there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys((*one, *other)):
            if name not in one or name not in other:
                return at + pointer(name), one.get(name), other.get(name)
            if one[name] != other[name]:
                return first_difference(one[name], other[name], at + pointer(name))
    if isinstance(one, list) and isinstance(other, list):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if mine != theirs:
                return first_difference(mine, theirs, at + pointer(index))
    return at, one, other


def _ahead(line: bytes | None, lines: Iterator[bytes]) -> list[bytes]:
    return [] if line is None else [line, *islice(lines, _AHEAD)]


def _said(line: bytes) -> Line | None:
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
